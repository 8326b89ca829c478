"""The names of `import sigc`: complete, lazy, and typed down to the figures."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import assert_type, get_type_hints

import pandas as pd

import sigc
from sigc_pipelines.backtest.performance import PerformanceMetrics
from sigc_pipelines.backtest.trials import Search


def strict_types(strategy: sigc.CompiledStrategy, result: sigc.BacktestResult) -> None:
    """Read by the type checker alone (`make check`): an `Any` on the way to a figure fails it."""
    assert_type(sigc.compile("momentum.sig"), sigc.CompiledStrategy)
    assert_type(sigc.compile("momentum.sig").backtest().metrics.sharpe, float)
    assert_type(strategy.signals("momentum"), pd.DataFrame)
    assert_type(strategy.optimize(), Search)
    assert_type(result.returns, pd.Series[float])
    assert_type(result.findings, tuple[sigc.Diagnostic, ...])


def test_all_is_whole() -> None:
    """What type checkers are shown, what is loaded lazily and `__all__` are the same names."""
    tree = ast.parse(Path(sigc.__file__).read_text(encoding="utf-8"))
    guarded = [node for node in tree.body if isinstance(node, ast.If)]
    shown = {
        (alias.name, node.module)
        for block in guarded
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert shown == set(sigc._HOMES.items())
    assert sorted(sigc.__all__) == sigc.__all__ == sorted(sigc._HOMES)
    assert set(sigc.__all__) <= set(dir(sigc))
    assert all(getattr(sigc, name).__name__ == name for name in sigc.__all__)


def test_figures_have_types_at_run_time_too() -> None:
    assert get_type_hints(PerformanceMetrics)["sharpe"] is float
