"""Parameter search: all combinations of the grid are planned as one DAG, so that common parts are computed once; then
each trial's book is kept and scored.

    searched = search(strategies, loaded, workspace, "main")     one result per combination
    best     = searched.best("sharpe")

Walk-forward and cross-validation (`validation.py`) choose among the same trials.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from dataclasses import field as data_field
from functools import cached_property

import numpy as np

from sigc.blocks.block import Overlay
from sigc.engine.core.drive import Computed
from sigc.engine.core.gather import gather
from sigc.engine.core.task import RunReport
from sigc.engine.kernel.trial_figures import TrialBooks
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.panel import Floats
from sigc.plan.expr import Expr
from sigc.plan.periods import book_with_periods
from sigc.plan.strategy import Backtest, Portfolio, Strategy
from sigc_pipelines.backtest.accounts import BacktestAccounts
from sigc_pipelines.backtest.backtest import Accounts
from sigc_pipelines.backtest.measuring import measured
from sigc_pipelines.backtest.performance import PerformanceMetrics, deflated_sharpe, moments_of
from sigc_pipelines.compute import Loaded, Workspace, compute, rows_between

Params = Mapping[str, float]
MOST_TRIALS = 10_000
_WEIGHTS_BYTES = 256 << 20  # of weights that are computed again at a time


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One combination of parameters and its portfolio's wanted weights."""

    params: Params
    portfolio: Portfolio


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A trial with its figures and net returns (rows,). left_out: first rows that the figures leave out."""

    params: Params
    metrics: PerformanceMetrics
    returns: Floats
    left_out: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """All trials, in grid order. deflated: of the best by Sharpe, with all trials counted. report: of the run."""

    scored: tuple[Scored, ...]
    deflated: float
    report: RunReport

    def best(self, metric: str = "sharpe") -> Scored:
        """Return the trial with the highest `metric`; the first of equals."""
        return max(self.scored, key=lambda s: score(s.metrics, metric))


@dataclass(frozen=True, eq=False)
class TrialField:
    """The trials of one portfolio over the rows [start, stop) of the grid, computed when they are asked for."""

    trials: tuple[Trial, ...]
    accounts: Accounts
    workspace: Workspace
    start: int
    stop: int
    _first: dict[int, int] = data_field(default_factory=dict)

    @cached_property
    def computed(self) -> Computed:
        """The wanted weights of all trials, as one plan."""
        return self._compute(None)

    def wanted(self, number: int) -> Floats:
        """Return the weights of a trial, (rows, assets)."""
        return gather(self.computed, _root(self.trials[number]), self.start, self.stop).values

    def first(self, number: int) -> int:
        """Return the first row on which a weight of a trial is defined."""
        if number not in self._first:
            self._first[number] = self.accounts.first(self.wanted(number), self.trials[number].portfolio)
        return self._first[number]

    def books(self) -> tuple[RunReport, Iterator[tuple[BacktestAccounts, Floats, int]]]:
        """Return the run, and by trial the book, its costs per row and the first row that counts. If nothing is stored
        and row figures are enough, weights are processed while they are computed, and never stored.
        """
        # Values that are carried from the first row on need the store, so such trials are not passed through.
        passes = self.workspace.passing and not any(t.portfolio.weights.carried for t in self.trials)
        books = self.accounts.books(self.start) if passes else None
        if books is None:
            return self.computed.report, (self._stored(n) for n in range(len(self.trials)))
        report = self._compute(books).report
        return report, self._followed(books)

    def _stored(self, number: int) -> tuple[BacktestAccounts, Floats, int]:
        wanted = self.wanted(number)
        return *self.accounts.book(wanted), self.accounts.first(wanted, self.trials[number].portfolio)

    def _followed(self, books: TrialBooks) -> Iterator[tuple[BacktestAccounts, Floats, int]]:
        """Yield the books from figures; books that must be walked (a price or weight is missing) are computed again
        from their weights, a few trials at a time.
        """
        portfolios = [t.portfolio for t in self.trials]
        shapes = [p.weights.shape for p in portfolios]
        plain = [self.accounts.followed(books.figures(s), books.last(s)) for s in shapes]
        odd = [n for n, book in enumerate(plain) if book is None]
        # As many trials at once as fit into _WEIGHTS_BYTES: the weights of all at once may be larger than memory.
        few = max(1, _WEIGHTS_BYTES // max(1, 8 * self.accounts.quotes.prices.size))
        walked: dict[int, tuple[BacktestAccounts, Floats, int]] = {}
        for number, book in enumerate(plain):
            if book is None and number not in walked:
                at = odd.index(number)
                walked = dict(self._walked(odd[at : at + few]))
            if book is None:
                yield walked.pop(number)
            else:
                yield *book, self.accounts.first_followed(books.figures(shapes[number]), portfolios[number])

    def _walked(self, numbers: list[int]) -> Iterator[tuple[int, tuple[BacktestAccounts, Floats, int]]]:
        space = replace(self.workspace, store=Overlay(self.workspace.store))
        roots = {_root(self.trials[n]): self.trials[n].portfolio.weights for n in numbers}
        computed = compute(self.accounts.loaded, roots, space, self.start, self.stop)
        for n in numbers:
            wanted = gather(computed, _root(self.trials[n]), self.start, self.stop).values
            book, costs = self.accounts.book(wanted)
            first = self.accounts.first(wanted, self.trials[n].portfolio)
            yield n, (replace(book, held=np.empty((len(wanted), 0)), moved=None), costs, first)

    def _compute(self, books: TrialBooks | None) -> Computed:
        roots: dict[str, Expr] = {_root(t): t.portfolio.weights for t in self.trials}
        return compute(self.accounts.loaded, roots, self.workspace, self.start, self.stop, books)


def combinations(strategy: Strategy) -> Iterator[dict[str, float]]:
    """Yield every combination of the grid, the last parameter varying fastest. Raises E101 beyond 10,000."""
    names = [n for n, _ in strategy.grid]
    values = [v for _, v in strategy.grid]
    count = int(np.prod([len(v) for v in values])) if values else 1
    if count > MOST_TRIALS:
        message = f"the grid has {count} combinations, more than {MOST_TRIALS}"
        raise SigcError(Diagnostic("E101", message, hint="use fewer or coarser ranges in 'params'"))
    for chosen in itertools.product(*values):
        yield dict(zip(names, chosen, strict=True))


def field(
    lower: Callable[[Params], Strategy],
    loaded: Loaded,
    workspace: Workspace,
    portfolio: str,
    *,
    capital: float = 1_000_000.0,
    overrides: Mapping[str, object] | None = None,
) -> TrialField:
    """Return the field of all combinations of the grid. lower: gives the strategy of some parameters."""
    trials = []
    for params in combinations(loaded.strategy):
        book = next(p for p in lower(params).portfolios if p.name == portfolio)
        book = book_with_periods(book, loaded.periods.a_year)
        settings = replace(book.backtest or Backtest(), **(overrides or {}))  # type: ignore[arg-type]
        trials.append(Trial(params, replace(book, backtest=settings)))
    settings = trials[0].portfolio.backtest or Backtest()
    start, stop = rows_between(loaded.grid, settings.start, settings.end)
    accounts = Accounts(loaded, workspace, trials[0].portfolio, capital, start, stop)
    return TrialField(tuple(trials), accounts, workspace, start, stop)


def search(of: TrialField) -> Search:
    """Keep and measure the book of every trial over all rows."""
    scored = []
    periods = of.accounts.loaded.periods.a_year
    report, books = of.books()
    for trial, (book, costs, first) in zip(of.trials, books, strict=True):
        net = book.gross - costs
        own = (of.accounts.dates, net, book.turnover, costs, book.exposures, None)
        metrics, _ = measured(*own, first=first, periods=periods)
        scored.append(Scored(trial.params, metrics, net, first))
    ratios = np.array([moments_of(s.returns[s.left_out :]).sharpe for s in scored])
    best = scored[int(ratios.argmax())]
    return Search(tuple(scored), deflated_sharpe(best.returns[best.left_out :], ratios), report)


def score(metrics: PerformanceMetrics, metric: str) -> float:
    """Return a metric by name; higher is better (drawdown, volatility and turnover count negative). Raises E101."""
    name = {"return": "total_return", "annual_return": "annualized_return"}.get(metric, metric)
    known = [f.name for f in fields(PerformanceMetrics) if f.name not in ("drawdown", "ruined")]
    if name not in known:
        hint = did_you_mean(metric, known)
        raise SigcError(Diagnostic("E101", f"no metric '{metric}' to maximise", hint=hint))
    value = float(getattr(metrics, name))
    if value != value:
        hint = "rows of the traded source are irregular: declare periods= there, or maximise total_return"
        raise SigcError(Diagnostic("E101", f"'{metric}' of these rows is not known", hint=hint))
    return -value if name in ("max_drawdown", "volatility", "turnover", "costs") else value


def text_of(params: Params) -> str:
    """`lookback=20 top=0.2`."""
    return " ".join(f"{k}={v:g}" for k, v in params.items()) or "(no parameters)"


def _root(trial: Trial) -> str:
    """`main.weights:lookback=60,top=0.2`: under this name its blocks stand in the cache."""
    chosen = ",".join(f"{k}={repr(v).removesuffix('.0')}" for k, v in trial.params.items())
    return f"{trial.portfolio.name}.weights:{chosen}"
