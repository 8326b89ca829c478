"""A backtest for the command line and the notebook: the book, and the validation that its line asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sigc_pipelines.assembly.parts import Compiled
from sigc_pipelines.backtest.backtest import BacktestRun, backtest, pick
from sigc_pipelines.backtest.trials import field
from sigc_pipelines.backtest.validation import Validated, validate
from sigc_pipelines.compute import Loaded, Workspace, load


@dataclass(frozen=True, slots=True, eq=False)
class Backtested:
    """result: of the book over the whole range, with all findings. validated: None where none was asked for."""

    loaded: Loaded
    result: BacktestRun
    validated: Validated | None


def backtested(
    compiled: Compiled, workspace: Workspace, portfolio: str, capital: float, overrides: Mapping[str, object]
) -> Backtested:
    """Load, backtest and validate a portfolio ('' for the first). overrides: as there."""
    loaded = load(compiled.strategy, workspace)
    book = pick(loaded, portfolio)
    result = with_warnings(backtest(loaded, workspace, book, capital=capital, overrides=overrides), compiled)
    settings = book.backtest
    if settings is None or settings.validation is None:
        return Backtested(loaded, result, None)
    of = field(compiled.lower, loaded, workspace, book.name, capital=capital, overrides=overrides)
    return Backtested(loaded, result, validate(of, settings.validation))


def with_warnings(result: BacktestRun, compiled: Compiled) -> BacktestRun:
    """Return the result with the warnings of the check before the findings about data and accounting."""
    return replace(result, findings=(*compiled.warnings, *result.findings))
