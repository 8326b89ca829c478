"""Backtest of one portfolio: compute its wanted weights, keep the book, price the trades, measure.

Accounting: `book.py` (language reference, section 5). Read there first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sigc.data.dates.frequency import Periods
from sigc.engine.core.gather import gather
from sigc.engine.core.task import RunReport
from sigc.engine.kernel.trial_figures import TrialBooks
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.ops.declare import REGISTRY
from sigc.panel import Dates, Floats, Panel
from sigc.plan.strategy import Backtest, Portfolio, Strategy
from sigc_pipelines.backtest.account_findings import findings_of
from sigc_pipelines.backtest.accounts import Adjust, BacktestAccounts, book_of, is_plain, keep_book, until_ruin
from sigc_pipelines.backtest.benchmark import benchmark_returns
from sigc_pipelines.backtest.costs import Market, are_of_turnover, cost_of, elapsed_days
from sigc_pipelines.backtest.ended_assets import cut, ends_of
from sigc_pipelines.backtest.measuring import measured
from sigc_pipelines.backtest.performance import BenchmarkMetrics, PerformanceMetrics
from sigc_pipelines.backtest.returns import over_gaps
from sigc_pipelines.backtest.warm_up import first_defined, first_of_figures, first_possible
from sigc_pipelines.compute import Loaded, Workspace, compute, rows_between
from sigc_pipelines.portfolio.constraint_inputs import adjuster
from sigc_pipelines.portfolio.rebalance import Due, due_rows, row_days
from sigc_pipelines.prices.coverage import doubtful
from sigc_pipelines.prices.dollars import WINDOW, mean_dollars
from sigc_pipelines.prices.quotes import Quotes, accepted


@dataclass(frozen=True, slots=True, eq=False)
class BacktestRun:
    """A backtest. returns: net, per row; gross, costs, turnover likewise; weights: held after each row.

    periods: rows a year of the traded source. left_out: first rows that `metrics` and `against` leave out, as no weight
    is defined on them.
    """

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
    metrics: PerformanceMetrics
    benchmark: Floats | None
    against: BenchmarkMetrics | None
    findings: tuple[Diagnostic, ...]
    digests: Mapping[str, str]
    report: RunReport
    periods: Periods
    left_out: int


def pick(loaded: Loaded, name: str = "") -> Portfolio:
    """Return the portfolio of that name of a loaded strategy, see `pick_of`."""
    return pick_of(loaded.strategy, name)


def pick_of(strategy: Strategy, name: str = "") -> Portfolio:
    """Return the portfolio of that name, or the only (first) one. Raises E002 when there is none."""
    if not strategy.portfolios:
        message = f"{strategy.path} has no portfolio to backtest"
        raise SigcError(Diagnostic("E002", message, hint="add 'portfolio main:' with 'weights = ...'"))
    for portfolio in strategy.portfolios:
        if portfolio.name == name or not name:
            return portfolio
    hint = did_you_mean(name, [p.name for p in strategy.portfolios])
    raise SigcError(Diagnostic("E002", f"no portfolio '{name}'", hint=hint))


def backtest(
    loaded: Loaded,
    workspace: Workspace,
    portfolio: Portfolio,
    *,
    capital: float = 1_000_000.0,
    overrides: Mapping[str, object] | None = None,
) -> BacktestRun:
    """Backtest `portfolio`. overrides: fields of `Backtest` set from outside (start, end, rebalance, ...)."""
    settings = replace(portfolio.backtest or Backtest(), **(overrides or {}))  # type: ignore[arg-type]
    start, stop = rows_between(loaded.grid, settings.start, settings.end)
    root = f"{portfolio.name}.weights"
    computed = compute(loaded, {root: portfolio.weights}, workspace, start, stop)
    ledger = Accounts(loaded, workspace, replace(portfolio, backtest=settings), capital, start, stop)
    return ledger.result(gather(computed, root, start, stop), computed.report)


class Accounts:
    """The accounting of one portfolio over the rows [start, stop), for any wanted weights over them.

    Holds the returns, prices and benchmark, so that many trials of one portfolio read them once.
    """

    def __init__(
        self, loaded: Loaded, workspace: Workspace, portfolio: Portfolio, capital: float, start: int, stop: int
    ) -> None:
        self.loaded = loaded
        self.portfolio = portfolio
        self.settings = portfolio.backtest or Backtest()
        made = accepted(loaded, workspace, loaded.money, start, stop)
        self.dates = made.dates
        ended_after = loaded.grid.leaves[loaded.money].source.spec.options.ended_after
        days = loaded.grid.days[start:stop]
        ends = ends_of(loaded.actions, loaded.grid.names, days, made.prices, made.levels)
        self.quotes = Quotes(
            cut(made.levels, ends),
            cut(made.raw_levels, ends),
            made.returns if ends is None else None,
            ended_after,
            self.settings.delisting_return or 0.0,
            ends,
        )
        known = {loaded.money: made.raw}
        self._doubtful, told = doubtful(loaded, workspace, portfolio, start, stop, known)
        self.findings = (*made.findings, *told)
        self.start = start
        self.row_days = row_days(loaded, workspace, start, stop)
        market = _market(loaded, workspace, portfolio, capital, start, stop, made.prices)
        self.market = replace(market, elapsed=elapsed_days(self.dates))
        self.benchmark = benchmark_returns(loaded, workspace, self.settings, start, stop)
        self._adjust = adjuster(loaded, workspace, portfolio, capital, start, stop)

    def book(self, wanted: Floats, low: int = 0, high: int | None = None) -> tuple[BacktestAccounts, Floats]:
        """Return the book over the rows [low, high) of the accounts, flat before them, and its costs per row."""
        high = len(self.dates) if high is None else high
        book = keep_book(
            self._decided(wanted)[low:high],
            self.quotes.rows(low, high),
            due=due_rows(self.settings.rebalance, self.row_days.part(low, high)),
            drift=self.settings.drift,
            adjust=shifted(self._adjust, low),
        )
        return until_ruin(book, cost_of(self.portfolio.costs, book, self.market.rows(low, high)))

    def _decided(self, wanted: Floats) -> Floats:
        """Return the wanted weights, NaN on rows whose sources tell nothing."""
        return np.where(self._doubtful[:, None], np.nan, wanted) if self._doubtful.any() else wanted

    def books(self, start: int) -> TrialBooks | None:
        """Return the figures that are kept of a book while it is computed, from row `start` of the grid on; None
        where more than figures must be known of it.
        """
        settings = self.settings
        if settings.drift or settings.rebalance.rows != 1 or self._adjust is not None or self._doubtful.any():
            return None
        return (
            TrialBooks(self.quotes.returns, self.loaded.grid.names, start)
            if are_of_turnover(self.portfolio.costs)
            else None
        )

    def followed(self, figures: Floats, last: Floats) -> tuple[BacktestAccounts, Floats] | None:
        """Return the book of stored figures, and its costs per row; None where it must be walked. last: the weights of
        its last row.
        """
        if not is_plain(figures, last, self.quotes):
            return None
        book = book_of(np.empty((figures.shape[1], 0)), figures)
        return until_ruin(book, cost_of(self.portfolio.costs, book, self.market))

    def first(self, wanted: Floats, portfolio: Portfolio) -> int:
        """Return the first row on which a weight of `portfolio` is defined."""
        return first_defined(wanted, first_possible(portfolio.weights, self.loaded.grid) - self.start)

    def first_followed(self, figures: Floats, portfolio: Portfolio) -> int:
        """Return the same row as `first`, from stored figures."""
        from sigc.ops.loops import books

        possible = first_possible(portfolio.weights, self.loaded.grid) - self.start
        return first_of_figures(figures[books.GROSS], figures[books.MISSING], len(self.loaded.grid.names), possible)

    def held(
        self, wanted: Floats, *, drift: bool, delay: int = 0, due: Due | None = None, keeps_ended: bool = False
    ) -> BacktestAccounts:
        """Return the book over all rows, with or without drift, traded `delay` rows after the decision.

        due: the rows on which it is decided, by default those of the rebalance. keeps_ended: what lacks prices stays.
        """
        rows = len(self.dates) - delay
        quotes = self.quotes.rows(delay, len(self.dates))
        book = keep_book(
            self._decided(wanted)[:rows],
            replace(quotes, ended_after=rows + 1) if keeps_ended else quotes,
            due=due_rows(self.settings.rebalance, self.row_days.part(0, rows)) if due is None else due[:rows],
            drift=drift,
            adjust=self._adjust,
        )
        return until_ruin(book, np.zeros(rows))[0]

    def result(self, wanted: Panel, report: RunReport, params: Mapping[str, float] | None = None) -> BacktestRun:
        """Return the backtest of `wanted` (rows of the accounts, traded assets)."""
        book, costs = self.book(wanted.values)
        net = book.gross - costs
        strategy, periods = self.loaded.strategy, self.loaded.periods
        first = self.first(wanted.values, self.portfolio)
        metrics, against = measured(
            *(self.dates, net, book.turnover, costs, book.exposures, self.benchmark),
            first=first,
            periods=periods.a_year,
        )
        leaves = sorted(self.loaded.grid.leaves.items())
        return BacktestRun(
            strategy=strategy.name,
            portfolio=self.portfolio.name,
            params=dict(strategy.params) if params is None else dict(params),
            settings=self.settings,
            dates=self.dates,
            returns=net,
            gross=book.gross,
            costs=costs,
            turnover=book.turnover,
            weights=Panel(self.dates, wanted.names, book.held),
            wanted=wanted,
            metrics=metrics,
            benchmark=self.benchmark,
            against=against,
            findings=(*self.loaded.findings, *self.findings, *findings_of(book, wanted.names, self.dates)),
            digests={name: leaf.source.fingerprint for name, leaf in leaves},
            report=report,
            periods=periods,
            left_out=first,
        )


def shifted(adjust: Adjust | None, rows: int) -> Adjust | None:
    """Return the same adjuster for a book that begins so many rows later."""
    if adjust is None or rows == 0:
        return adjust
    return lambda row, wanted, held, tradable: adjust(rows + row, wanted, held, tradable)


def _market(
    loaded: Loaded, workspace: Workspace, portfolio: Portfolio, capital: float, start: int, stop: int, prices: Floats
) -> Market:
    """Return the inputs of the cost terms, with 20 rows of warm-up where a volume source gives participation.

    prices: accepted ones as traded, of the rows [start, stop).
    """
    models = any(c.name == "slippage.model" for c in portfolio.costs)
    if not models or "volume" not in loaded.grid.leaves:
        return Market(capital, prices)
    low, rows = max(0, start - WINDOW), stop - start
    made = accepted(loaded, workspace, loaded.money, low, stop)
    dollars = mean_dollars(loaded, workspace, made.prices, low, stop)
    sigma = REGISTRY["rolling_std"].kernel(over_gaps(made.levels), window=WINDOW)
    return Market(capital, prices, dollars[-rows:], sigma[-rows:])
