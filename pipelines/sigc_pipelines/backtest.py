"""The backtest of one portfolio: compute its wanted weights, keep the book, price the trades, measure.

Accounting: `book.py` (language reference, section 5). Read there first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sigc.engine.gather import gather, source_panel
from sigc.engine.task import RunReport
from sigc.errors import Diagnostic, Severity, SigcError, did_you_mean
from sigc.ops.declare import REGISTRY
from sigc.panel import Dates, Floats, Panel
from sigc.plan.strategy import Backtest, Portfolio
from sigc_pipelines.book import Book, keep_book
from sigc_pipelines.compute import Loaded, Workspace, compute, rows_between
from sigc_pipelines.costs import Market, cost_of
from sigc_pipelines.performance import BenchmarkMetrics, Metrics, compare, measure
from sigc_pipelines.returns import benchmark_returns, returns_of
from sigc_pipelines.situation import adjuster


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A backtest. returns: net, per row; gross, costs, turnover likewise; weights: held after each row."""

    strategy: str
    portfolio: str
    params: Mapping[str, float]
    settings: Backtest
    dates: Dates
    returns: Floats
    gross: Floats
    costs: Floats
    turnover: Floats
    weights: Panel
    wanted: Panel
    metrics: Metrics
    benchmark: Floats | None
    against: BenchmarkMetrics | None
    findings: tuple[Diagnostic, ...]
    digests: Mapping[str, str]
    report: RunReport


def pick(loaded: Loaded, name: str = "") -> Portfolio:
    """The portfolio of that name, or the only (first) one. Raises E002 when there is none."""
    portfolios = loaded.strategy.portfolios
    if not portfolios:
        message = f"{loaded.strategy.path} has no portfolio to backtest"
        raise SigcError(Diagnostic("E002", message, hint="add 'portfolio main:' with 'weights = ...'"))
    for portfolio in portfolios:
        if portfolio.name == name or not name:
            return portfolio
    hint = did_you_mean(name, [p.name for p in portfolios])
    raise SigcError(Diagnostic("E002", f"no portfolio '{name}'", hint=hint))


def backtest(
    loaded: Loaded,
    workspace: Workspace,
    portfolio: Portfolio,
    *,
    capital: float = 1_000_000.0,
    overrides: Mapping[str, object] | None = None,
) -> Result:
    """Backtest `portfolio`. overrides: fields of `Backtest` set from outside (start, end, rebalance, ...)."""
    settings = replace(portfolio.backtest or Backtest(), **(overrides or {}))  # type: ignore[arg-type]
    start, stop = rows_between(loaded.grid, settings.start, settings.end)
    root = f"{portfolio.name}.weights"
    computed = compute(loaded, {root: portfolio.weights}, workspace, start, stop)
    wanted = gather(computed, root, start, stop)
    prices = source_panel(loaded.grid, workspace.store, loaded.strategy.traded, max(0, start - 1), stop)
    returns = returns_of(prices.values)[-(stop - start) :]
    adjust = adjuster(loaded, workspace, portfolio, capital, start, stop)
    book = keep_book(wanted.values, returns, rebalance=settings.rebalance, drift=settings.drift, adjust=adjust)
    market = _market(loaded, workspace, portfolio, capital, start, stop)
    costs = cost_of(portfolio.costs, book, market)
    net = book.gross - costs
    bench = benchmark_returns(loaded, workspace, settings, start, stop)
    return Result(
        strategy=loaded.strategy.name,
        portfolio=portfolio.name,
        params=dict(loaded.strategy.params),
        settings=settings,
        dates=wanted.dates,
        returns=net,
        gross=book.gross,
        costs=costs,
        turnover=book.turnover,
        weights=Panel(wanted.dates, wanted.names, book.held),
        wanted=wanted,
        metrics=measure(wanted.dates, net, book.turnover, costs, book.held),
        benchmark=bench,
        against=None if bench is None else compare(net, bench),
        findings=(*loaded.findings, *_missing_returns(book)),
        digests={n: leaf.source.fingerprint for n, leaf in sorted(loaded.grid.leaves.items())},
        report=computed.report,
    )


def _market(
    loaded: Loaded, workspace: Workspace, portfolio: Portfolio, capital: float, start: int, stop: int
) -> Market:
    """What the cost terms need, with 20 rows of warm-up where a volume source gives participation."""
    traded = loaded.strategy.traded
    models = any(c.name == "slippage.model" for c in portfolio.costs)
    if not models or "volume" not in loaded.grid.leaves:
        return Market(capital, source_panel(loaded.grid, workspace.store, traded, start, stop).values)
    low = max(0, start - 20)
    prices = source_panel(loaded.grid, workspace.store, traded, low, stop).values
    volume = source_panel(loaded.grid, workspace.store, "volume", low, stop).values
    rows = stop - start
    mean = REGISTRY["rolling_mean"].kernel(volume, window=20)
    sigma = REGISTRY["rolling_std"].kernel(returns_of(prices), window=20)
    return Market(capital, prices[-rows:], mean[-rows:], sigma[-rows:])


def _missing_returns(book: Book) -> tuple[Diagnostic, ...]:
    count = int(book.missing.sum())
    if not count:
        return ()
    days = int((book.missing > 0).sum())
    message = f"{count} returns of held assets are missing on {days} days; they counted as 0"
    return (Diagnostic("W002", message, severity=Severity.WARNING),)
