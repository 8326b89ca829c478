"""View of a backtest and its factor analysis for the report."""

from __future__ import annotations

import numpy as np

from sigc_dashboard.reports.view import BacktestView, Rows
from sigc_pipelines.backtest.backtest import BacktestRun
from sigc_pipelines.backtest.factor_analysis import FactorAnalysis
from sigc_pipelines.backtest.performance import equity, monthly, total_return
from sigc_pipelines.portfolio.rebalance import text_of
from sigc_pipelines.text.results_text import number, percent

_MOST_WEIGHTS = 20


def view(result: BacktestRun, study: FactorAnalysis, steps: Rows = ()) -> BacktestView:
    """Everything the page of a backtest shows. steps: from weights to orders, where orders were traded."""
    weights, more = _weights(result)
    held = result.weights.values
    return BacktestView(
        title=f"{result.strategy} ({result.portfolio})",
        subtitle=_subtitle(result),
        findings=tuple((f.code, f.message) for f in result.findings),
        tiles=_tiles(result),
        months=monthly(result.dates, result.returns),
        years=_years(result),
        figures=_figures(result),
        steps=steps,
        weights=weights,
        more_weights=more,
        made_of=(
            *((f"parameter {k}", f"{v:g}") for k, v in sorted(result.params.items())),
            *((f"data {k}", v) for k, v in result.digests.items()),
        ),
        dates=result.dates,
        equity=equity(result.returns),
        benchmark=None if result.benchmark is None else equity(result.benchmark),
        benchmark_name=result.settings.benchmark,
        drawdown=study.drawdown,
        rolling_sharpe=study.rolling_sharpe,
        gross=np.abs(held).sum(axis=1),
        net=held.sum(axis=1),
        turnover=result.turnover,
        costs=np.cumsum(result.costs),
        quantiles=study.quantiles,
        ic=study.ic,
        coverage=study.coverage,
    )


def _subtitle(result: BacktestRun) -> str:
    day = result.dates.astype("datetime64[D]")
    every = text_of(result.settings.rebalance)
    drift = ", weights drift between" if result.settings.drift else ""
    return f"{day[0]} to {day[-1]}, {len(day)} bars, {len(result.weights.names)} assets, rebalanced {every}{drift}"


def _years(result: BacktestRun) -> dict[str, float]:
    years = result.dates.astype("datetime64[Y]")
    return {str(y): total_return(result.returns[years == y]) for y in np.unique(years)}


def _tiles(result: BacktestRun) -> tuple[tuple[str, str, float], ...]:
    m = result.metrics
    return (
        ("Total return", percent(m.total_return), m.total_return),
        ("Annualized", percent(m.annualized_return), m.annualized_return),
        ("Sharpe", number(m.sharpe), m.sharpe),
        ("Max drawdown", percent(m.max_drawdown), 0.0),
        ("Volatility", percent(m.volatility), 0.0),
        ("Turnover a year", f"{m.turnover:.1f}x" if result.periods.is_known else "-", 0.0),
    )


def _figures(result: BacktestRun) -> Rows:
    m = result.metrics
    rows = [
        ("Sortino", number(m.sortino)),
        ("Calmar", number(m.calmar)),
        ("Win rate", percent(m.win_rate)),
        ("Profit factor", f"{m.profit_factor:.2f}"),
        ("VaR 95 / CVaR 95", f"{percent(m.var_95)} / {percent(m.cvar_95)}"),
        ("Skew / kurtosis", f"{m.skew:.2f} / {m.kurtosis:.2f}"),
        ("Gross / net exposure", f"{m.gross_exposure:.2f} / {m.net_exposure:.2f}"),
        ("Costs, sum", percent(m.costs)),
        ("Probabilistic Sharpe", percent(m.probabilistic_sharpe)),
        ("Periods a year", result.periods.text),
    ]
    if result.left_out:
        rows.append(("First rows left out, without a defined weight", str(result.left_out)))
    if m.drawdown.trough:
        end = m.drawdown.recovery or "not recovered"
        rows.append(("Drawdown: peak, trough, recovery", ", ".join([m.drawdown.peak, m.drawdown.trough, end])))
    if result.against is not None:
        a = result.against
        rows += [
            (f"Benchmark {result.settings.benchmark}", percent(a.total_return)),
            ("Alpha / beta", f"{percent(a.alpha)} / {a.beta:.2f}"),
            ("Information ratio", number(a.information_ratio)),
            ("Tracking error", percent(a.tracking_error)),
            ("Correlation", f"{a.correlation:.2f}"),
        ]
    return tuple(rows)


def _weights(result: BacktestRun) -> tuple[Rows, int]:
    last = result.weights.values[-1]
    names = result.weights.names
    held = sorted((i for i in range(len(last)) if last[i] != 0.0), key=lambda i: (-abs(last[i]), names[i]))
    shown = tuple((names[i], percent(last[i])) for i in held[:_MOST_WEIGHTS])
    return shown, len(held) - len(shown)
