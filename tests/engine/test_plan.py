"""Need, levels, blocks and keys, by worked examples."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sigc.blocks.block import concat, grid, row_digests
from sigc.lang.check import check_file
from sigc.ops.table import operators
from sigc.panel import Panel
from sigc.plan.expr import Expr, source, walk
from sigc.plan.halo import needs, peak_rows, scope
from sigc.plan.lower import lower
from sigc.plan.plan import is_leaf
from sigc.plan.rules import rewrite
from sigc.plan.rules.fuse import groups

operators()  # fills the registry


def op(name: str, *inputs: Expr, given: tuple[str, ...] = ("x",), **args: float) -> Expr:
    return Expr(name, inputs, tuple(sorted(args.items())), given=given)


def test_need_is_trimmed_per_node() -> None:
    """The example of sigc.plan.halo."""
    prices = source("prices")
    back = op("ret", prices, periods=60)
    z = op("zscore", back)
    w = op("rolling_mean", z, window=5)
    order = scope([w], is_leaf)
    need = needs(order, [w], is_leaf)
    assert [need[n.shape] for n in (w, z, back, prices)] == [0, 4, 4, 64]


def test_what_is_alive_at_once() -> None:
    """Of blocks of 10 rows: prices 10 + 3 + 4 all along; both are made of them, and out of both.

    slow is made first and takes its own 4 rows back beside: 17 + 10 + 3; then 17 + (13 + 10) + fast, at last 17 + 23 + 10.
    """
    prices = source("prices")
    slow = op("rolling_mean", prices, window=5)
    fast = op("rolling_max", prices, window=3)
    late = op("lag", slow, periods=3)
    out = op("add", late, fast, given=("x", "y"))
    order = scope([out], is_leaf)
    need = needs(order, [out], is_leaf)
    assert [need[n.shape] for n in (out, late, fast, slow, prices)] == [0, 0, 0, 3, 7]
    nodes = [[n] for n in order if not is_leaf(n)]
    assert [g[0].op for g in nodes] == ["rolling_mean", "lag", "rolling_max", "add"]
    # prices 17; rolling_mean 13, with 13 + 4 beside it; lag 10 + 10 + 3 beside 13; then rolling_max beside lag; then add.
    assert peak_rows(nodes, need, 10, [prices]) == max(
        17 + 13 + 13 + 4, 17 + 13 + 10 + 10 + 3, 17 + 10 + 10 + 10 + 2, 17 + 20 + 10
    )
    one = [[slow, late], [fast], [out]]  # slow lies between two of a group
    assert peak_rows(one, need, 10, [prices]) == max(17 + 10 + 10 + 3, 17 + 10 + 10 + 10 + 2, 17 + 20 + 10)
    assert peak_rows([], need, 10, [prices]) == 17
    assert peak_rows([[slow]], need, 10, [prices]) == 17 + 13 + 4  # which nobody reads
    twice = scope([op("sub", late, slow, given=("x", "y"))], is_leaf)
    assert [n.op for n in twice if not is_leaf(n)] == ["rolling_mean", "lag", "sub"]
    assert needs(twice, twice[-1:]) == needs(twice, twice[-1:], is_leaf)


def test_a_node_that_is_wanted_is_no_leaf_for_another() -> None:
    prices = source("prices")
    smooth = op("ema", prices, span=5)
    out = op("rolling_mean", smooth, window=10)
    need = needs(scope([out], is_leaf), [out], is_leaf)
    assert need == {out.shape: 0, smooth.shape: 9}
    both = needs(scope([smooth, out], is_leaf), [smooth, out], is_leaf)
    assert (both[smooth.shape], both[prices.shape]) == (9, 9 + smooth.rows_back)
    assert [n.op for n in scope([out, smooth], is_leaf)] == [n.op for n in (prices, smooth, out)]


def test_stages_read_carried_nodes() -> None:
    prices = source("prices")
    smooth = op("ema", prices, span=5)
    out = op("rolling_mean", smooth, window=10)
    assert prices not in scope([out], is_leaf)
    assert prices in scope([smooth], is_leaf)


def test_equal_values_are_one_node() -> None:
    a = op("lag", op("lag", source("p"), periods=2), periods=3)
    b = op("lag", source("p"), periods=5)
    first, second = rewrite([a, b])
    assert first is second


@given(st.integers(0, 400), st.integers(1, 400))
def test_appending_moves_no_cut(first: int, more: int) -> None:
    days = np.arange("2015-06-01", "2018-06-01", dtype="datetime64[D]").astype("datetime64[ns]")
    before, after = grid(days[: first + 3]), grid(days[: first + 3 + more])
    assert [(b.start, b.label) for b in before] == [(b.start, b.label) for b in after[: len(before)]]
    assert all(a.stop == b.start for a, b in pairwise(after))


@given(
    st.integers(-4_000_000_000, 4_000_000_000),
    st.lists(st.integers(1, 10_000_000), max_size=60),
    st.sampled_from([("year", "Y"), ("month", "M"), ("week", "W")]),
)
def test_a_block_is_the_rows_of_one_period(first: int, gaps: list[int], rule: tuple[str, str]) -> None:
    name, unit = rule
    seconds = first + np.cumsum([0, *gaps])
    days = seconds.astype("datetime64[s]").astype("datetime64[ns]")
    found = [b.label for b in grid(days, name) for _ in range(b.start, b.stop)]
    assert found == [str(period) for period in days.astype(f"datetime64[{unit}]")]
    assert len({b.label for b in grid(days, name)}) == len(grid(days, name))


def test_hours_are_cut_by_month_and_minutes_by_week() -> None:
    hours = np.arange("2020-01-01", "2020-03-01", dtype="datetime64[h]").astype("datetime64[ns]")
    minutes = np.arange("2020-01-01", "2020-01-15", dtype="datetime64[m]").astype("datetime64[ns]")
    assert [b.label for b in grid(hours)] == ["2020-01", "2020-02"]
    assert len(grid(minutes)) == 3


def test_row_digests_ignore_assets_without_a_value() -> None:
    days = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")
    values = np.array([[1.0, np.nan], [2.0, 3.0], [np.nan, 4.0]])
    plain = row_digests(Panel(days, ("A", "C"), values))
    wider = row_digests(Panel(days, ("A", "B", "C"), np.insert(values, 1, np.nan, axis=1)))
    renamed = row_digests(Panel(days, ("A", "D"), values))
    assert plain == wider
    assert plain[:16] == renamed[:16]
    assert plain[16:32] != renamed[16:32]


def test_labels_are_united() -> None:
    days = np.arange("2020-01-01", "2020-01-02", dtype="datetime64[D]")
    a = Panel(days, ("X",), np.array([[0.0]]), ("tech",))
    b = Panel(days + 1, ("X", "Y"), np.array([[1.0, 0.0]]), ("energy", "tech"))
    both = concat([a, b])
    assert both.labels == ("energy", "tech")
    assert np.array_equal(both.values, np.array([[1.0, np.nan], [1.0, 0.0]]), equal_nan=True)


def test_what_looks_at_one_row_is_fused() -> None:
    """(p - q) / (p - r) with a rolling mean of it: one group of three, read whole by the window."""
    p, q, r = source("p"), source("q"), source("r")
    top = op("sub", p, q, given=("a", "b"))
    bottom = op("sub", p, r, given=("a", "b"))
    ratio = op("div", top, bottom, given=("a", "b"))
    mean = op("rolling_mean", ratio, window=5)
    order = scope([mean], is_leaf)
    leaves = {p.shape, q.shape, r.shape}
    assert groups(order, {mean.shape}, leaves) == ((top, bottom, ratio), (mean,))
    # What two others read stands on its own.
    both = op("add", mean, top, given=("a", "b"))
    order = scope([both], is_leaf)
    assert groups(order, {both.shape}, leaves) == ((top,), (bottom, ratio), (mean,), (both,))


def test_values_of_parameters_that_are_given_and_those_to_be_tried(tmp_path: Path) -> None:
    """One that is given as it is written changes nothing of the others; of one value there is nothing to try."""
    path = tmp_path / "s.sig"
    path.write_text(
        'data:\n  prices: load csv from "p.csv"\nparams:\n  fast: [2, 5]\n  slow = 9\n'
        "signal s:\n  emit rolling_mean(prices, fast) - rolling_mean(prices, slow)\n"
    )
    of = check_file(path)
    assert lower(of).grid == (("fast", (2.0, 5.0)),)
    assert dict(lower(of).params) == {"fast": 2.0, "slow": 9.0}
    assert dict(lower(of, {"fast": 5.0, "slow": 9.0}).params) == {"fast": 5.0, "slow": 9.0}
    assert [n.arguments["window"] for n in walk(r for _, r in lower(of, {"fast": 5.0, "slow": 9.0}).signals) if "window" in n.arguments] == [5.0, 9.0]  # fmt: skip
