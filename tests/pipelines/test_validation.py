"""Search, walk-forward and cross-validation: one DAG, windows that do not overlap, choices made in train only."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.blocks.block import MemoryStore
from sigc.errors import SigcError
from sigc.lang.check import check_file
from sigc.plan.lower import lower
from sigc.plan.strategy import Validation
from sigc_pipelines.backtest.backtest import backtest, pick
from sigc_pipelines.backtest.trials import TrialField, field, search
from sigc_pipelines.backtest.validation import _cpcv, _walk_forward, validate
from sigc_pipelines.compute import Loaded, load
from tests.world import STRATEGIES, workspace, write_world


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrialField, Loaded]:
    folder = tmp_path_factory.mktemp("trials")
    write_world(folder)
    path = folder / "walkforward.sig"
    path.write_text((STRATEGIES / "walkforward.sig").read_text(encoding="utf-8"))
    checked = check_file(path)
    space = workspace(MemoryStore())
    loaded = load(lower(checked), space)
    return field(lambda p: lower(checked, p), loaded, space, "main"), loaded


def test_a_search_equals_its_single_runs(trials: tuple[TrialField, Loaded], tmp_path: Path) -> None:
    of, _ = trials
    found = search(of)
    assert len(found.scored) == 6
    write_world(tmp_path)
    path = tmp_path / "walkforward.sig"
    path.write_text((STRATEGIES / "walkforward.sig").read_text(encoding="utf-8"))
    checked = check_file(path)
    space = workspace(MemoryStore())
    for one in found.scored[:3]:
        loaded = load(lower(checked, one.params), space)
        single = backtest(loaded, space, pick(loaded))
        assert single.returns.tobytes() == one.returns.tobytes()


def test_what_does_not_depend_on_a_parameter_is_computed_once(trials: tuple[TrialField, Loaded]) -> None:
    of, _ = trials
    (stage,) = of.computed.plan.stages
    assert sum(n.op == "rolling_quantile" for n in stage.order) == 1
    assert sum(n.op == "ret" for n in stage.order) == 3


def test_walk_forward_windows(trials: tuple[TrialField, Loaded]) -> None:
    of, _ = trials
    how = Validation("walk_forward", (("train_years", 1.0), ("test_months", 6.0)))
    done = validate(of, how)
    assert len(done.windows) == 4
    for window in done.windows:
        assert window.train[-1] + 1 == window.test[0]
    tests = np.concatenate([w.test for w in done.windows])
    assert (np.diff(tests) == 1).all()
    assert len(done.returns) == len(tests)
    anchored = validate(of, Validation("walk_forward", (("train_years", 1.0), ("test_months", 6.0), ("anchored", 1.0))))
    assert all(w.train[0] == 0 for w in anchored.windows)


@pytest.mark.parametrize(
    ("method", "arguments", "count"),
    [
        ("cross_validate", (("folds", 4.0), ("purge_days", 5.0)), 4),
        ("cpcv", (("n_splits", 5.0), ("n_test_groups", 2.0), ("embargo_days", 3.0)), 10),
    ],
)
def test_train_and_test_rows_keep_apart(
    trials: tuple[TrialField, Loaded], method: str, arguments: tuple[tuple[str, float], ...], count: int
) -> None:
    of, _ = trials
    done = validate(of, Validation(method, arguments))
    assert len(done.windows) == count
    gap = int(dict(arguments).get("purge_days", 0))
    for window in done.windows:
        assert not set(window.train) & set(window.test)
        near = {r + d for r in window.test.tolist() for d in range(-gap, gap + 1)}
        assert not set(window.train.tolist()) & near
    assert set(np.concatenate([w.test for w in done.windows]).tolist()) == set(range(len(of.accounts.dates)))


def test_windows_that_do_not_fit(trials: tuple[TrialField, Loaded]) -> None:
    with pytest.raises(SigcError, match="no window fits"):
        validate(trials[0], Validation("walk_forward", (("train_years", 30.0),)))


@given(
    first=st.dates(date(2010, 1, 1), date(2012, 12, 31)),
    train=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
    test=st.integers(1, 14),
    anchored=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=150)
def test_windows_of_walk_forward_meet_and_never_overlap(
    first: date, train: float, test: int, anchored: float, seed: int
) -> None:
    """From any day on, the 31st and leap days too, with rows missing anywhere."""
    days = np.arange(np.datetime64(first), np.datetime64(first) + 365 * 6)
    days = days[np.random.default_rng(seed).random(len(days)) < 0.6]
    arguments = {"train_years": train, "test_months": float(test), "anchored": anchored}
    found = list(_walk_forward(days, dict(arguments), None))
    assert found
    for trained, tested in found:
        assert trained[-1] + 1 == tested[0]
        assert (np.diff(trained) == 1).all()
    tested = np.concatenate([t for _, t in found])
    assert (np.diff(tested) == 1).all()


def test_a_step_shorter_than_a_test_is_refused() -> None:
    days = np.arange(np.datetime64("2010-01-01"), 2000)
    with pytest.raises(SigcError, match="a step of 6 months is shorter than a test of 12: rows would count twice"):
        list(_walk_forward(days, {"train_years": 1.0, "test_years": 1.0, "step_years": 0.5}, None))


@pytest.mark.parametrize(("purge", "embargo"), [(0, 0), (5, 0), (0, 7), (3, 4)])
def test_purge_and_embargo_are_rows_that_are_in_neither(purge: int, embargo: int) -> None:
    days = np.arange(np.datetime64("2010-01-01"), 500)
    arguments = {"n_splits": 6.0, "n_test_groups": 2.0, "purge_days": float(purge), "embargo_days": float(embargo)}
    for trained, tested in _cpcv(days, dict(arguments), None):
        assert not set(trained) & set(tested)
        near = {int(t) + shift for t in tested for shift in range(-purge, purge + embargo + 1)}
        assert set(trained) == set(range(500)) - near
