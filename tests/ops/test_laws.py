"""The contract of every operator in the registry. A new operator is tested here without a line of test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given as given_
from hypothesis import settings
from hypothesis import strategies as st

from sigc.ops import jit
from sigc.ops.declare import Axis, Carry, Missing, Operator, ValueKind
from sigc.ops.table import operators, resolve
from tests.ops import digests
from tests.ops.samples import ASSETS, ROWS, inputs, panel, rows_of, run, same, variants

Args = dict[str, Any]
CASES = [(op, args, f"{op.name} {way}".strip()) for op in operators() for way, args in variants(op)]
ALL = [pytest.param(op, args, id=name) for op, args, name in CASES]
# Without those that look ahead by design, which the checker refuses in signals.
BACK = [pytest.param(op, args, id=name) for op, args, name in CASES if op.rows_ahead(args) <= 0]
FINITE = [pytest.param(op, args, id=name) for op, args, name in CASES if not isinstance(op.lookback, Carry)]
CARRIED = [pytest.param(op, args, id=name) for op, args, name in CASES if isinstance(op.lookback, Carry)]


@pytest.mark.parametrize(("op", "args"), FINITE)
@pytest.mark.parametrize(("start", "stop"), [(0, 20), (1, 2), (23, 24), (17, 61), (40, 55)])
def test_blocks_equal_whole(op: Operator, args: Args, start: int, stop: int) -> None:
    given = inputs(op)
    whole, _ = run(op, given, args)
    back = op.rows_back(args)
    low = max(0, start - back)
    ahead = max(0, op.rows_ahead(args))
    part, _ = run(op, rows_of(given, low, min(ROWS, stop + ahead)), args)
    assert same(part[start - low : stop - low], whole[start:stop])


@pytest.mark.parametrize(("op", "args"), CARRIED)
@pytest.mark.parametrize("cut", [0, 1, 7, 30, 60])
def test_continuing_equals_running_through(op: Operator, args: Args, cut: int) -> None:
    given = inputs(op)
    whole, end = run(op, given, args)
    first, state = run(op, rows_of(given, 0, cut), args)
    second, after = run(op, rows_of(given, cut, ROWS), args, state)
    assert same(np.vstack([first, second]), whole)
    assert same(after, end)


@pytest.mark.parametrize(("op", "args"), BACK)
def test_the_future_is_not_read(op: Operator, args: Args) -> None:
    given = inputs(op)
    whole, _ = run(op, given, args)
    changed = {k: v.copy() for k, v in given.items()}
    for v in changed.values():
        v[40:] = 1.0
    assert same(run(op, changed, args)[0][:40], whole[:40])


@pytest.mark.parametrize(("op", "args"), FINITE)
def test_an_earlier_start_changes_nothing(op: Operator, args: Args) -> None:
    given = inputs(op)
    back = op.rows_back(args)
    huge = {k: np.vstack([v[:4] * 1e8 if k != "by" else v[:4], v]) for k, v in given.items()}
    longer, _ = run(op, huge, args)
    assert same(longer[4 + back :], run(op, given, args)[0][back:])


@pytest.mark.parametrize(("op", "args"), ALL)
@pytest.mark.parametrize("where", [0, 3, ASSETS])
def test_assets_that_are_missing_throughout_change_nothing(op: Operator, args: Args, where: int) -> None:
    given = inputs(op)
    wider = {k: np.insert(v, [where] * 3, np.nan, axis=1) for k, v in given.items()}
    kept = [i for i in range(ASSETS + 3) if not where <= i < where + 3]
    result, state = run(op, wider, args)
    plain, plain_state = run(op, given, args)
    assert same(result[:, kept], plain)
    if isinstance(op.lookback, Carry):
        assert same(state[:, kept], plain_state)
        fresh = np.tile(np.array(op.lookback.initial)[:, None], (1, 3))
        untouched = state[:, where : where + 3]
        # ffill counts the age of a gap; an asset never seen stays unseen whatever its age.
        assert op.name == "ffill" or same(untouched, fresh)


@pytest.mark.parametrize(
    ("op", "args"),
    [pytest.param(op, args, id=name) for op, args, name in CASES if not any(p.variadic for p in op.inputs)],
)
def test_more_assets_than_loops_take_at_once(op: Operator, args: Args) -> None:
    """Neither missing assets nor a later start nor the company change a bit, where loops go by tiles and lanes."""
    given = inputs(op, rows=40, assets=1100)
    whole, _ = run(op, given, args)
    if op.axis in (Axis.TIME, Axis.CELL):
        few, _ = run(op, {k: v[:, 490:720] for k, v in given.items()}, args)
        assert same(few, whole[:, 490:720])
    else:
        wider = {k: np.insert(v, [0, 1, 31, 700, 1100, 1100], np.nan, axis=1) for k, v in given.items()}
        found, _ = run(op, wider, args)
        assert same(np.delete(found, [0, 2, 33, 703, 1104, 1105], axis=1), whole)
    if not isinstance(op.lookback, Carry):
        back = op.rows_back(args)
        later, _ = run(op, rows_of(given, 13, 40), args)
        ahead = max(0, op.rows_ahead(args))
        assert same(later[back : 27 - ahead], whole[13 + back : 40 - ahead])


@pytest.mark.parametrize(
    ("op", "args"), [pytest.param(op, args, id=n) for op, args, n in CASES if op.missing is Missing.PROPAGATES]
)
def test_missing_in_missing_out(op: Operator, args: Args) -> None:
    given = inputs(op)
    nothing = {k: np.full(v.shape, np.nan) for k, v in given.items()}
    assert np.isnan(run(op, nothing, args)[0]).all()


@pytest.mark.parametrize(("op", "args"), ALL)
def test_inputs_are_left_alone_and_may_be_views(op: Operator, args: Args) -> None:
    given = inputs(op)
    views = {}
    for k, v in given.items():
        wide = np.zeros((v.shape[0], v.shape[1] * 2))
        wide[:, ::2] = v
        view = wide[:, ::2]
        view.flags.writeable = False
        views[k] = view
    before = {k: v.copy() for k, v in views.items()}
    result, _ = run(op, views, args)
    assert same(result, run(op, given, args)[0])
    assert all(same(views[k], before[k]) for k in views)


@pytest.mark.parametrize(("op", "args"), ALL)
@pytest.mark.parametrize(("rows", "assets"), [(1, 1), (1, 4), (4, 1), (3, 3)])
def test_small_shapes(op: Operator, args: Args, rows: int, assets: int) -> None:
    if any(p.variadic for p in op.inputs):
        given = {"0": panel(0, rows, assets), "1": panel(1, rows, assets)}
    else:
        given = inputs(op, rows=rows, assets=assets)
    result, _ = run(op, given, args)
    assert result.shape == (rows, assets)


@pytest.mark.parametrize(("op", "args"), ALL)
def test_declarations_are_whole(op: Operator, args: Args) -> None:
    assert op.doc.endswith((".", ")"))
    assert op.example
    assert resolve(op.name) is op
    assert all(resolve(a) is op for a in op.aliases)
    assert not op.windowed or resolve(op.windowed, windowed=True) is op
    assert op.result in (ValueKind.PANEL, ValueKind.BOOLEAN)


def test_results_change_only_with_the_version(jit_directory: Path) -> None:
    """On the canonical class of CPU, on every machine. Recorded by `python -m tests.ops.digests`."""
    stored = json.loads(digests.FILE.read_text(encoding="utf-8"))[digests.CANONICAL]
    found = digests.canonical_digests(jit_directory)
    assert sorted(stored) == sorted(found), "record operators that are new or have a new version"
    assert stored == found
    if jit.cpu_class() == "AVX512":  # whose exp is NumPy's own: the child process did leave it out
        assert found["exp 1"] != digests.own_digests()["exp 1"]


def test_results_of_this_machine_change_only_with_the_version() -> None:
    """On the class of this machine; digests that were recorded on others are of operators that it lacks."""
    stored = json.loads(digests.FILE.read_text(encoding="utf-8"))
    known = stored.get(jit.cpu_class(), stored[digests.CANONICAL])
    found = digests.own_digests()
    assert known == {name: found[name] for name in known}


WINDOWS = ["rolling_sum", "rolling_mean", "rolling_std", "rolling_max", "ts_rank", "ts_zscore", "decay_linear"]


@settings(max_examples=40)
@given_(
    name=st.sampled_from(WINDOWS),
    window=st.integers(1, 40),
    cut=st.integers(0, 60),
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([1e-12, 1.0, 1e12]),
)
def test_any_window_and_cut(name: str, window: int, cut: int, seed: int, scale: float) -> None:
    op = resolve(name)
    assert op is not None
    x = panel(seed) * scale
    with np.errstate(all="ignore"):
        whole = op.kernel(x, window=window)
        low = max(0, cut - window + 1)
        part = op.kernel(x[low:], window=window)
    assert same(part[cut - low :], whole[cut:])


@settings(max_examples=40)
@given_(st.lists(st.floats(-5, 5).map(lambda v: round(v, 1)) | st.just(float("nan")), min_size=1, max_size=40))
def test_ranks_are_those_of_a_plain_sort(values: list[float]) -> None:
    import pandas as pd

    op = resolve("rank")
    assert op is not None
    row = np.array([values])
    count = int((~np.isnan(row)).sum())
    expected = pd.Series(values).rank().to_numpy()
    expected = (expected - 1) / (count - 1) if count > 1 else np.where(np.isnan(expected), np.nan, 0.5)
    with np.errstate(all="ignore"):
        ranks = op.kernel(row)[0]
    assert np.allclose(ranks, expected, equal_nan=True, atol=1e-12)


HOSTILE = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1.0, 1.0 + 2**-52, 5e-324, 1e308, -1e308, float("nan")])


@settings(max_examples=80)
@given_(
    rows=st.lists(st.lists(HOSTILE, min_size=6, max_size=6), min_size=1, max_size=4),
    q=st.sampled_from([0.0, 0.01, 0.3, 0.5, 0.99, 1.0]),
)
def test_quantiles_are_those_of_a_plain_sort(rows: list[list[float]], q: float) -> None:
    op = resolve("quantile")
    assert op is not None
    x = np.array(rows)
    with np.errstate(all="ignore"):
        found = op.kernel(x, q=q)
        for row, got in zip(x, found, strict=True):
            valid = np.sort(row[~np.isnan(row)])
            place = q * (len(valid) - 1)
            a, b = (valid[int(place)], valid[min(int(place) + 1, len(valid) - 1)]) if len(valid) else (np.nan, np.nan)
            expected = a if a == b else a + (b - a) * (place - int(place))
            assert np.array_equal(got, np.where(np.isnan(row), np.nan, expected), equal_nan=True)


@settings(max_examples=80)
@given_(
    rows=st.lists(st.lists(HOSTILE, min_size=7, max_size=7), min_size=1, max_size=4),
    top=st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]),
    bottom=st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]),
)
def test_books_are_those_of_a_plain_sort(rows: list[list[float]], top: float, bottom: float) -> None:
    """Whatever row stood before."""
    op = resolve("long_short")
    assert op is not None
    x = np.array(rows)
    for row, got in zip(x, op.kernel(x, top=top, bottom=bottom), strict=True):
        n, expected = int((~np.isnan(row)).sum()), np.zeros(len(row))
        k = min(int(np.ceil(n * top - 1e-9)), n)
        m = min(int(np.ceil(n * bottom - 1e-9)), n - k)
        order = np.argsort(row + 0.0, kind="stable")[:n]
        if n > 1:
            expected[order[n - k :]] = 1.0 / max(k, 1)
            expected[order[:m]] = -1.0 / max(m, 1)
        assert np.array_equal(got, expected)


def test_a_rolling_std_of_a_constant_after_huge_values_is_zero() -> None:
    x = np.concatenate([np.full(30, 1e8) * np.arange(30), np.full(40, 3.3)])[:, None]
    op = resolve("rolling_std")
    assert op is not None
    assert (op.kernel(x, window=20)[-15:] == 0.0).all()
