"""Returns of the traded panel and of a benchmark, over rows of the grid."""

from __future__ import annotations

import numpy as np

from sigc.engine.gather import source_panel
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.ops.jit import frozen
from sigc.panel import Floats
from sigc.plan.strategy import Backtest
from sigc_pipelines.compute import Loaded, Workspace


def returns_of(prices: Floats) -> Floats:
    """Close-to-close returns, (rows, assets); NaN in the first row and where either price is missing or 0."""
    from sigc.ops.loops import books

    out: Floats = books.returns_of(frozen(prices))
    return out


def benchmark_returns(loaded: Loaded, workspace: Workspace, settings: Backtest, start: int, stop: int) -> Floats | None:
    """Returns of the benchmark over the rows, 0 on the first and where missing; None without a benchmark.

    A benchmark is a one-column source of that name, else an asset of the traded panel. Raises E202.
    """
    name = settings.benchmark
    if not name:
        return None
    grid = loaded.grid
    if name in grid.leaves:
        own = grid.leaves[name].source.names
        if len(own) != 1:
            message = f"benchmark '{name}' has {len(own)} columns"
            raise SigcError(Diagnostic("E202", message, settings.span, hint="a benchmark has one column"))
        levels = source_panel(grid, workspace.store, name, start, stop).values[:, 0]
        if own[0] in grid.names:
            levels = source_panel(grid, workspace.store, name, start, stop).values[:, grid.names.index(own[0])]
    elif name in grid.names:
        panel = source_panel(grid, workspace.store, loaded.strategy.traded, start, stop)
        levels = panel.values[:, grid.names.index(name)]
    else:
        hint = did_you_mean(name, [*grid.leaves, *grid.names])
        message = f"benchmark '{name}' is neither a source nor an asset of the traded panel"
        raise SigcError(Diagnostic("E202", message, settings.span, hint=hint))
    return np.nan_to_num(returns_of(levels[:, None])[:, 0], nan=0.0)
