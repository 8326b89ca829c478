"""Operators that can be steps of a chain, by number: those of one cell (`loops/chains.py` walks them), and those of a
row that can be steps of a walk over whole rows (`loops/walks.py`). Loads no numba."""

from __future__ import annotations

SEGMENT = 512  # columns at once
CLEAN, PAST, ADD, SUB, MUL, DIV, NEG, ABS, MIN, MAX, GT, LT, GE, LE, AND, OR, NOT, WHERE, FILL, SQUARE, RESCALE = range(
    21
)
CODES = {
    "add": ADD,
    "sub": SUB,
    "mul": MUL,
    "div": DIV,
    "neg": NEG,
    "abs": ABS,
    "min": MIN,
    "max": MAX,
    "gt": GT,
    "lt": LT,
    "ge": GE,
    "le": LE,
    "and": AND,
    "or": OR,
    "not": NOT,
    "where": WHERE,
    "fill_nan": FILL,
    "rescale": RESCALE,
}

DEMEAN, ZSCORE, SCALE, BOOK = range(100, 104)
OF_ROWS = {"demean": DEMEAN, "zscore": ZSCORE, "scale": SCALE}
