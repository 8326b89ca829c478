"""Search, walk-forward and cross-validation: one DAG, windows that do not overlap, choices made in train only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sigc.blocks import MemoryStore
from sigc.errors import SigcError
from sigc.lang.check import check_file
from sigc.plan.lower import lower
from sigc.plan.strategy import Validation
from sigc_pipelines.backtest import backtest, pick
from sigc_pipelines.compute import Loaded, load
from sigc_pipelines.trials import Field, field, search
from sigc_pipelines.validation import validate
from tests.world import STRATEGIES, workspace, write_world


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> tuple[Field, Loaded]:
    folder = tmp_path_factory.mktemp("trials")
    write_world(folder)
    path = folder / "walkforward.sig"
    path.write_text((STRATEGIES / "walkforward.sig").read_text(encoding="utf-8"))
    checked = check_file(path)
    space = workspace(MemoryStore())
    loaded = load(lower(checked), space)
    return field(lambda p: lower(checked, p), loaded, space, "main"), loaded


def test_a_search_equals_its_single_runs(trials: tuple[Field, Loaded], tmp_path: Path) -> None:
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


def test_what_does_not_depend_on_a_parameter_is_computed_once(trials: tuple[Field, Loaded]) -> None:
    of, _ = trials
    (stage,) = of.computed.plan.stages
    assert sum(n.op == "rolling_quantile" for n in stage.order) == 1
    assert sum(n.op == "ret" for n in stage.order) == 3


def test_walk_forward_windows(trials: tuple[Field, Loaded]) -> None:
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
    trials: tuple[Field, Loaded], method: str, arguments: tuple[tuple[str, float], ...], count: int
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


def test_windows_that_do_not_fit(trials: tuple[Field, Loaded]) -> None:
    with pytest.raises(SigcError, match="no window fits"):
        validate(trials[0], Validation("walk_forward", (("train_years", 30.0),)))
