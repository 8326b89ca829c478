"""Load and compute: the two stages shared by every use of a strategy, from backtest to live.

loaded   = load(strategy, workspace)                 data read, laid on the grid
computed = compute(loaded, roots, workspace)         blocks stored
panel    = gather(computed, "momentum")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property, partial

import numpy as np

from sigc.actions import Action
from sigc.blocks.block import BlockStore
from sigc.config.settings import DataSettings
from sigc.data.actions.adjust import acting
from sigc.data.actions.factor_names import traded_of
from sigc.data.actions.judged import Judged, judged
from sigc.data.anomalies import MAX_RETURN
from sigc.data.catalog import Catalog, read_block
from sigc.data.catalog import load as load_sources
from sigc.data.dates.exchange import NYSE, Exchanges
from sigc.data.dates.frequency import Periods, periods_of
from sigc.data.sources.connections import Connections
from sigc.data.sources.frame_source import MemoryFrame
from sigc.engine.core.drive import Computed, EngineLostError, Executor, drive
from sigc.engine.core.frontier import cost_at_most, outstanding
from sigc.engine.core.task import Progress
from sigc.engine.executors.local import LocalExecutor
from sigc.engine.kernel.trial_figures import TrialBooks
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.plan.expr import Expr, lookback, walk
from sigc.plan.grid import Grid, lay
from sigc.plan.periods import with_periods
from sigc.plan.plan import Plan, least_memory, make_plan
from sigc.plan.strategy import Strategy
from sigc_pipelines.portfolio.calendar_words import check_words

_MOST_ENGINES = 3  # lost in one run
_RECENT = timedelta(days=30)
_LITTLE_NS = 1_000_000_000
_BEST_CELLS, _LEAST_ROWS = 700_000, 252  # of a block that passes; measured over 500 to 5,000 assets


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """The means of a computation: the store, the engine, the settings of data. rule: the size of blocks. ttl_hours: age
    up to which a downloaded URL counts as unchanged. held: in-memory sources, by name. passing: number of computing
    threads if nothing is kept, 0 else; blocks then need not be those of the calendar, and have the best size.

    engine: opens an executor for work that takes about so many nanoseconds. seen: told of
    the sources that were read. connections: how sources are reached. exchanges: the schedule's calendar, which sources
    have that name none.
    memory_bytes: what a plan must fit into, 0 for whatever there is. max_return: of a session, beyond which a price is
    not accepted before it is confirmed, where its source does not say. by_hand: (asset, ISO date) of prices that a
    person has accepted. max_coverage_drop: of the assets with a value, beyond which a row of a source decides nothing.
    """

    store: BlockStore
    engine: Callable[[int], AbstractContextManager[Executor]]
    data: DataSettings = field(default_factory=DataSettings)
    rule: str = "auto"
    ttl_hours: float = 0.0
    progress: Callable[[Progress], None] | None = None
    held: Mapping[str, MemoryFrame] = field(default_factory=dict)
    seen: Callable[[Catalog], None] | None = None
    connections: Connections = field(default_factory=Connections)
    memory_bytes: int = 0
    passing: int = 0
    exchanges: Exchanges = NYSE
    max_return: float = MAX_RETURN
    by_hand: frozenset[tuple[str, str]] = frozenset()
    max_coverage_drop: float = 0.2


@dataclass(frozen=True, eq=False)
class Loaded:
    """A strategy with its data on the grid. judged: its corporate actions against the prices that money is counted by."""

    strategy: Strategy
    catalog: Catalog
    grid: Grid
    judged: Judged = field(default_factory=Judged)

    @property
    def periods(self) -> Periods:
        """Rows a year of the traded source."""
        return _periods(self.strategy, self.catalog)

    @property
    def money(self) -> str:
        """The source of the prices that money is counted by: the traded one, or what it names by `traded=`."""
        return traded_of(self.catalog.sources[self.strategy.traded].spec, self.catalog.sources)

    @property
    def actions(self) -> tuple[Action, ...]:
        """Corporate actions of all assets, by ex-date; those after the last row too, as they are announced before.

        None where money is counted by prices that are adjusted: they have them in already.
        """
        return () if self._is_adjusted(self.money) else self.catalog.actions

    def _is_adjusted(self, name: str) -> bool:
        options = self.catalog.sources[name].spec.options
        return options.adjusted or (name == self.money and bool(self.judged.evidence))

    @cached_property
    def _acting(self) -> tuple[Action, ...]:
        return acting(self.catalog.actions)

    def acts(self, name: str) -> tuple[Action, ...]:
        """Return the actions that change a source's prices, in order; none where its file is adjusted."""
        return () if self._is_adjusted(name) else self._acting

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        return (*self.catalog.findings, *self.judged.findings, *self.grid.findings)


def load(strategy: Strategy, workspace: Workspace, until: str = "") -> Loaded:
    """Read the sources of `strategy`. until: an ISO date after which no row is read.

    Raises `SigcError` with everything that is wrong with the data.
    """
    catalog = load_sources(
        strategy.data,
        workspace.store,
        workspace.data,
        workspace.ttl_hours,
        workspace.connections,
        workspace.held,
        exchanges=workspace.exchanges,
    )
    if workspace.seen is not None:
        workspace.seen(catalog)
    check_words(strategy, catalog.sources[strategy.traded])
    strategy = with_periods(strategy, _periods(strategy, catalog).a_year)
    loaded = Loaded(strategy, catalog, lay(strategy, catalog, _rule(strategy, catalog, workspace), until))
    return replace(loaded, judged=_judged(loaded, workspace, until))


def _judged(loaded: Loaded, workspace: Workspace, until: str) -> Judged:
    """Return the findings about actions of as-traded prices. A run reports the newest only; earlier runs reported the
    rest.
    """
    source = loaded.catalog.sources[loaded.money]
    if source.spec.options.adjusted or source.static or source.events is not None:
        return Judged()
    days = (source.dates if source.sessions is None else source.sessions).astype("datetime64[D]")
    since = date.fromisoformat(until[:10]) - _RECENT if until else None
    read = partial(read_block, source, workspace.store)
    found = judged(source, days, loaded.catalog.actions, workspace.store, read, since)
    if not found.evidence:
        return found
    message = f"source '{source.name}' looks adjusted, not as traded, so that no action is applied: {found.evidence}"
    hint = "say adjusted=true, and traded= for the column or source of prices as traded"
    return replace(found, findings=(Diagnostic("W007", message, source.spec.span, Severity.WARNING, hint=hint),))


def _periods(strategy: Strategy, catalog: Catalog) -> Periods:
    traded = catalog.sources[strategy.traded]
    return periods_of(traded.rows.frequency, traded.rows.calendar, traded.spec.options.periods)


def _rule(strategy: Strategy, catalog: Catalog, workspace: Workspace) -> str:
    """Return the rule by which blocks are cut. Of blocks that pass, few are best, since each computes the rows
    before it that its windows take, but one for each thread, and none of more cells than caches hold.
    """
    if workspace.rule != "auto" or not workspace.passing:
        return workspace.rule
    traded = catalog.sources[strategy.traded]
    share = -(-len(traded.dates) // workspace.passing)
    return str(max(_LEAST_ROWS, min(share, _BEST_CELLS // max(1, len(traded.names)))))


def rows_between(grid: Grid, start: str = "", end: str = "") -> tuple[int, int]:
    """Return the grid rows of the dates from `start` to `end`, both inclusive, '' for open. Raises E501 for none."""
    first = int(np.searchsorted(grid.dates, np.datetime64(start, "D"))) if start else 0
    last = len(grid.dates)
    if end:
        last = int(np.searchsorted(grid.dates, np.datetime64(end, "D") + 1))
    if first >= last:
        have = f"the data run from {_day(grid, 0)} to {_day(grid, -1)}" if len(grid.dates) else "no data"
        message = f"no rows between {start or 'the start'} and {end or 'the end'}"
        raise SigcError(Diagnostic("E501", message, hint=have))
    return first, last


def compute(
    loaded: Loaded,
    roots: Mapping[str, Expr],
    workspace: Workspace,
    start: int = 0,
    stop: int | None = None,
    books: TrialBooks | None = None,
) -> Computed:
    """Compute the blocks of `roots` that touch the rows [start, stop).

    books: take the roots, none of them carried, instead of the store; only where nothing is kept (`passing`).
    Raises E302 for too few rows, E300 for a plan that can't fit into memory, before anything is computed.
    """
    stop = len(loaded.grid.dates) if stop is None else stop
    _long_enough(roots, stop)

    def make() -> Plan:
        return make_plan([loaded.strategy], loaded.grid, roots, start, stop)

    def restore() -> Plan:
        load_sources(
            loaded.strategy.data,
            workspace.store,
            workspace.data,
            connections=workspace.connections,
            held=workspace.held,
            thorough=True,
            exchanges=workspace.exchanges,
        )
        return make()

    lost: list[str] = []
    while True:
        plan = make()
        _fits(plan, workspace.memory_bytes)
        try:
            with workspace.engine(_cost(plan, workspace.store)) as executor:
                if isinstance(executor, LocalExecutor):
                    executor.books = books
                    executor.keep_in(workspace.store)
                done = drive(plan, workspace.store, executor, progress=workspace.progress, restore=restore)
            break
        except EngineLostError as gone:  # what is stored by now is found by the next engine
            lost.append(f"{gone}; another was opened and went on")
            if len(lost) > _MOST_ENGINES:
                raise SigcError(Diagnostic("E300", str(gone), hint="is the cluster being shut down?")) from gone
    done.report.incidents[:0] = lost
    return replace(done, again=lambda: compute(loaded, roots, workspace, start, stop))


def _cost(plan: Plan, store: BlockStore) -> int:
    """Return the estimated work, for the choice of an engine; estimated closely only where it may be much."""
    most = cost_at_most(plan, store)
    return most if most < _LITTLE_NS else outstanding(plan, store)


def examine(loaded: Loaded) -> tuple[Diagnostic, ...]:
    """Return the findings of the data about a strategy before it runs: E302 for roots, E501 for ranges, W003 for
    windows.
    """
    rows = len(loaded.grid.dates)
    found = list(_too_long(loaded.strategy.roots, rows))
    for node in walk(loaded.strategy.roots.values()):
        if node.rows_back >= rows:
            message = f"a window of '{node.op}' is longer than the data ({rows} rows)"
            found.append(Diagnostic("W003", message, node.span, Severity.WARNING))
    for portfolio in loaded.strategy.portfolios:
        if portfolio.backtest is not None:
            try:
                rows_between(loaded.grid, portfolio.backtest.start, portfolio.backtest.end)
            except SigcError as error:
                found += [replace(d, span=portfolio.backtest.span) for d in error.diagnostics]
    return tuple(found)


def _fits(plan: Plan, memory_bytes: int) -> None:
    needed, block = least_memory(plan)
    if 0 < memory_bytes < needed and block is not None:
        size = f"{block.stop - block.start:,} rows of {len(plan.grid.names):,} assets ({block.label})"
        message = f"the plan needs {-(-needed >> 20):,} MB at least, for {size}; {memory_bytes >> 20:,} MB are allowed"
        hint = "raise daemon.max_memory_mb, or take fewer assets or signals at once"
        raise SigcError(Diagnostic("E300", message, hint=hint))


def _long_enough(roots: Mapping[str, Expr], rows: int) -> None:
    errors = _too_long(roots, rows)
    if errors:
        raise SigcError(*errors)


def _too_long(roots: Mapping[str, Expr], rows: int) -> list[Diagnostic]:
    errors = []
    for name, root in roots.items():
        need = lookback(root)
        if need is not None and need >= rows:
            message = f"'{name}' needs {need + 1} rows of data, there are {rows}"
            errors.append(Diagnostic("E302", message, root.span, hint="load more history, or shorten the window"))
    return errors


def _day(grid: Grid, row: int) -> str:
    return str(grid.dates[row].astype("datetime64[D]"))
