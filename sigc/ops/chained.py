"""Codes of operators in chains and walks: cell-wise ones (`loops/chains.py`), and row-wise ones (`loops/walks.py`).

This module does not import numba.
"""

from __future__ import annotations

SEGMENT = 512  # columns processed at once
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
