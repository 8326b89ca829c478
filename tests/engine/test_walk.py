"""A walk follows books to the bits of weights that were made node by node and stored."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sigc.engine.kernel.calls import Slice, call_of
from sigc.engine.kernel.evaluate import evaluate
from sigc.engine.kernel.trial_figures import TrialBooks
from sigc.engine.kernel.trial_walk import is_walked
from sigc.ops.chained import CODES, OF_ROWS
from sigc.ops.declare import REGISTRY
from sigc.ops.loops import books as loops
from sigc.ops.table import operators
from sigc.plan.expr import Expr, source
from sigc.plan.halo import needs, scope

operators()  # fills the registry
Floats = NDArray[np.float64]
SPECIAL = np.array([np.nan, 0.0, -0.0, 1.0, -1.0, 0.1, 3.0, -2.5])
LEAVES = tuple(source(name) for name in "pqr")
NAMES = st.lists(st.sampled_from([*sorted(CODES), *sorted(OF_ROWS), "rank", "lag"]), min_size=1, max_size=5)


def node(name: str, *inputs: Expr) -> Expr:
    """The operator with as many of the inputs as it takes, numbers by their defaults."""
    operator = REGISTRY[name]
    names = tuple(p.name for p in operator.inputs)
    numbers = tuple((p.name, 2) for p in operator.numbers)
    return Expr(name, inputs[: len(names)], numbers, given=names)


def chain_of(names: list[str]) -> Expr:
    made = node(names[0], *LEAVES)
    for name in names[1:]:
        made = node(name, made, *LEAVES[1:])
    return made


def by_kernels(root: Expr, leaves: dict[str, Floats], assets: int) -> Floats:
    """The values, one kernel after the other."""
    rows = len(next(iter(leaves.values())))
    at = Slice(0, rows, tuple(str(i) for i in range(assets)), (), "a test")
    known: dict[str, Floats | float] = dict(leaves)
    with np.errstate(all="ignore"):
        for n in scope([root], lambda _: False):
            if n.shape not in known:
                known[n.shape] = call_of(n, at)([known[i.shape] for i in n.inputs])
    return np.broadcast_to(np.asarray(known[root.shape]), (rows, assets))


@settings(max_examples=60)
@given(
    chains=st.lists(NAMES, min_size=1, max_size=4),
    rows=st.integers(1, 40),
    start=st.integers(0, 5),
    spare=st.integers(0, 3),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    assets=st.sampled_from([1, 7, 33]),
    seed=st.integers(0, 1000),
)
def test_books_have_the_bits_of_stored_weights(
    chains: list[list[str]], rows: int, start: int, spare: int, cuts: list[int], assets: int, seed: int
) -> None:
    """However rows are cut, in whatever order the slices come, over rows that begin and end within them."""
    random = np.random.default_rng(seed)
    names = tuple(str(i) for i in range(assets))
    total = start + rows + spare
    leaves = {leaf.shape: random.choice(SPECIAL, (total, assets)) for leaf in LEAVES}
    returns = random.choice([np.nan, 0.01, -0.02, 0.0], (rows, assets))
    roots = list({r.shape: r for r in map(chain_of, chains)}.values())
    order = tuple(scope(roots, lambda _: False))
    need = needs(list(order), roots)
    kept = TrialBooks(returns, names, start)
    edges = sorted({0, total, *(c for c in cuts if c < total)})
    slices = list(pairwise(edges))
    random.shuffle(slices)
    for low, high in slices:
        at = Slice(low, high, names, (), "a test")
        parts = {r.shape: kept.part(r.shape, at) for r in roots}
        read = {s: v[max(0, low - need[s]) : high] for s, v in leaves.items() if s in need}
        evaluate(order, need, read, parts, at)
    for root in roots:
        held = by_kernels(root, leaves, assets)[start : start + rows]
        expected = np.empty((loops.FIGURES, rows))
        with np.errstate(all="ignore"):
            loops.followed(held, returns, np.zeros(assets), expected)
        found = kept.figures(root.shape)
        assert np.array_equal(found, expected, equal_nan=True)


def test_an_asset_that_a_slice_has_not_is_not_held() -> None:
    returns = np.full((4, 3), 0.01)
    kept = TrialBooks(returns, ("A", "B", "C"), 0)
    first, second = Slice(0, 2, ("A", "C"), (), ""), Slice(2, 4, (), (), "")
    kept.part("x", first).take(np.array([[0.5, -0.5], [np.nan, 1.0]]), 0)
    kept.part("x", second).end()
    expected = np.empty((loops.FIGURES, 4))
    held = np.array([[0.5, 0.0, -0.5], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    loops.followed(held, returns, np.zeros(3), expected)
    found = kept.figures("x")
    assert np.array_equal(found[: loops.MISSING], expected[: loops.MISSING])


def test_rows_that_were_not_taken_are_no_book() -> None:
    kept = TrialBooks(np.zeros((4, 1)), ("A",), 0)
    kept.part("x", Slice(0, 2, ("A",), (), "")).take(np.zeros((2, 1)), 0)
    with pytest.raises(ValueError, match="not taken"):
        kept.figures("x")


def test_what_is_walked() -> None:
    assert is_walked(node("scale", *LEAVES))
    assert is_walked(node("gt", *LEAVES))
    assert not is_walked(node("rank", *LEAVES))
