"""Inputs of constraints, row by row: sectors, past returns, volume, betas, built from the sources.

A constraint that needs a source the strategy does not have is an error (E202) before anything is computed.
Windows: volatility and tracking error 60 rows, volume 20, beta 252, all up to and including the row itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sigc.data.catalog import Source
from sigc.engine.core.gather import source_panel
from sigc.errors import Diagnostic, SigcError
from sigc.ops.declare import REGISTRY, ValueKind
from sigc.panel import Dates, Floats
from sigc.plan.strategy import Portfolio
from sigc_pipelines.backtest.accounts import Adjust, Flags
from sigc_pipelines.backtest.benchmark import benchmark_returns
from sigc_pipelines.backtest.returns import over_gaps
from sigc_pipelines.compute import Loaded, Workspace
from sigc_pipelines.portfolio.constraints import (
    ANNUAL_KEYS,
    BETA_KEYS,
    BOOK_KEYS,
    SECTOR_KEYS,
    VOLUME_KEYS,
    ConstraintInputs,
)
from sigc_pipelines.prices.dollars import mean_dollars
from sigc_pipelines.prices.quotes import accepted

VOLATILITY_ROWS = 60
BETA_ROWS = 252
BENCHMARK_BOOK = "benchmark_weights"  # the source that holds the benchmark's weights


@dataclass(frozen=True, slots=True, eq=False)
class _World:
    """Arrays over the rows [start - warm, stop); None where no constraint asks."""

    warm: int
    names: tuple[str, ...]
    dates: Dates
    returns: Floats
    sectors: Floats | None
    dollars: Floats | None
    betas: Floats | None
    market_cap: Floats | None
    benchmark: Floats | None


def adjuster(
    loaded: Loaded, workspace: Workspace, portfolio: Portfolio, capital: float, start: int, stop: int
) -> Adjust | None:
    """Return a function that brings a wanted book within the portfolio's constraints; None without constraints."""
    if not portfolio.constraints:
        return None
    from sigc_pipelines.portfolio.nearest_book import project  # with scipy and a solver: only for who has constraints

    _sources_there(loaded, portfolio)
    world, periods = _world(loaded, workspace, portfolio, start, stop), loaded.periods.a_year

    def adjust(row: int, wanted: Floats, held: Floats, tradable: Flags) -> Floats:
        at = _situation(world, row, wanted, held, tradable, capital)
        return project(portfolio.constraints, replace(at, periods=periods))

    return adjust


def _situation(
    world: _World, row: int, wanted: Floats, held: Floats, tradable: Flags, capital: float
) -> ConstraintInputs:
    at = world.warm + row
    return ConstraintInputs(
        wanted=wanted,
        held=held,
        tradable=tradable,
        capital=capital,
        sectors=None if world.sectors is None else world.sectors[at],
        returns=world.returns[max(0, at + 1 - VOLATILITY_ROWS) : at + 1],
        betas=None if world.betas is None else world.betas[at],
        adv=None if world.dollars is None else world.dollars[at],
        market_cap=None if world.market_cap is None else world.market_cap[at],
        benchmark=None if world.benchmark is None else world.benchmark[at],
        names=world.names,
        date=str(world.dates[at].astype("datetime64[D]")),
    )


def _world(loaded: Loaded, workspace: Workspace, portfolio: Portfolio, start: int, stop: int) -> _World:
    keys = {c.name for c in portfolio.constraints}
    warm = min(start, BETA_ROWS if keys & BETA_KEYS else VOLATILITY_ROWS)
    low = start - warm

    def read(name: str) -> Floats:
        return source_panel(loaded.grid, workspace.store, name, low, stop).values

    made = accepted(loaded, workspace, loaded.money, low, stop)
    returns = over_gaps(made.levels)
    dollars = mean_dollars(loaded, workspace, made.prices, low, stop) if keys & VOLUME_KEYS else None
    betas = None
    if keys & BETA_KEYS and portfolio.backtest is not None:
        bench = benchmark_returns(loaded, workspace, portfolio.backtest, low, stop)
        betas = None if bench is None else _betas(returns, bench)
    category = category_of(loaded)
    sectors = read(category.name) if category is not None and keys & SECTOR_KEYS else None
    return _World(
        warm=warm,
        names=loaded.grid.names,
        dates=made.dates,
        returns=returns,
        sectors=sectors,
        dollars=dollars,
        betas=betas,
        market_cap=read("market_cap") if "min_market_cap" in keys else None,
        benchmark=np.nan_to_num(read(BENCHMARK_BOOK)) if keys & BOOK_KEYS else None,
    )


def _betas(returns: Floats, bench: Floats) -> Floats:
    """Beta over as many of the last 252 rows as there are; NaN before 20."""
    wide = np.repeat(bench[:, None], returns.shape[1], axis=1)
    rows = min(BETA_ROWS, max(20, len(returns) - 1))
    out: Floats = REGISTRY["rolling_beta"].kernel(returns, wide, window=rows)
    return out


def category_of(loaded: Loaded) -> Source | None:
    """Return the first category source, whose labels are the sectors."""
    found = [s for s in loaded.catalog.sources.values() if s.kind is ValueKind.CATEGORY]
    return found[0] if found else None


def _sources_there(loaded: Loaded, portfolio: Portfolio) -> None:
    named = loaded.grid.leaves
    has_benchmark = portfolio.backtest is not None and bool(portfolio.backtest.benchmark)
    asked: tuple[tuple[frozenset[str], bool, str], ...] = (
        (SECTOR_KEYS, category_of(loaded) is not None, "a category source (load sector from ...)"),
        (VOLUME_KEYS, "volume" in named, "a source named 'volume'"),
        (frozenset({"min_market_cap"}), "market_cap" in named, "a source named 'market_cap'"),
        (BETA_KEYS, has_benchmark, "'benchmark=' in the backtest line"),
        (ANNUAL_KEYS, loaded.periods.is_known, "rows a year: declare periods= at the source"),
        (BOOK_KEYS, BENCHMARK_BOOK in named, f"a source named '{BENCHMARK_BOOK}'"),
    )
    errors = [
        Diagnostic("E202", f"constraint '{c.name}' needs {what}", c.span)
        for c in portfolio.constraints
        for keys, there, what in asked
        if c.name in keys and not there
    ]
    if errors:
        raise SigcError(*errors)
