"""A check that is declared is in force: none can be written and be left out of a list."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import numpy as np
import pytest

from sigc.config.settings import SafetySettings
from sigc.errors import Severity
from sigc_pipelines.checks import declare, weights
from sigc_pipelines.checks.declare import Breach, check, collected
from sigc_pipelines.checks.view import WeightsView
from sigc_pipelines.checks.weights import judge_weights

FOLDER = Path(declare.__file__).parent
MODULES = sorted(p.stem for p in FOLDER.glob("*.py") if "@check(" in p.read_text())
FORCE = {"account": "CHECKS", "data": "CHECKS", "orders": "CHECKS", "size": "SIZES", "weights": "CHECKS"}


def decorated(module: str) -> list[str]:
    """The functions of a module that stand under @check, by its text."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        for mark in node.decorator_list
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "check"
    ]


def test_every_module_with_checks_is_looked_at() -> None:
    assert [m for m in MODULES if m != "declare"] == sorted(FORCE)


@pytest.mark.parametrize("module", sorted(FORCE))
def test_all_that_is_declared_is_in_force(module: str) -> None:
    loaded = importlib.import_module(f"sigc_pipelines.checks.{module}")
    in_force = [c.name for c in (*getattr(loaded, "SOUND", ()), *getattr(loaded, FORCE[module]))]
    assert set(decorated(module)) <= set(in_force)
    assert len(in_force) == len(set(in_force))
    assert [c.name for c in collected(loaded.__name__)] == decorated(module)


def test_each_check_of_data_has_a_group_that_is_weighed() -> None:
    data = importlib.import_module("sigc_pipelines.checks.data")
    groups = {data.FUTURE, data.STALE, data.DAMAGED, data.UNPRICED, data.ODD, data.RARE}
    assert {c.group for c in data.CHECKS} == groups
    assert all(c.group for c in data.CHECKS)


def test_a_planted_check_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(declare._declared, weights.__name__, list(declare._declared[weights.__name__]))

    def planted(view: WeightsView, limits: SafetySettings) -> Breach | None:
        """Nothing may be wanted of A."""
        return Breach("planted", ("A",)) if view.target[0] else None

    planted.__module__ = weights.__name__
    check()(planted)
    view = WeightsView(("A",), np.array([0.01]), np.array([0.0]))
    found = judge_weights(view, SafetySettings())
    assert ("planted", Severity.ERROR) in [(f.check, f.severity) for f in found]
