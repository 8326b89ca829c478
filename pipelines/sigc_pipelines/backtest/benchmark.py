"""Returns of a benchmark over rows of the grid: a one-column source, or an asset of the traded panel."""

from __future__ import annotations

import numpy as np

from sigc.data.actions.adjust import forward
from sigc.engine.core.gather import source_panel
from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.panel import Floats
from sigc.plan.strategy import Backtest
from sigc_pipelines.backtest.returns import over_gaps
from sigc_pipelines.compute import Loaded, Workspace
from sigc_pipelines.prices.quotes import accept_panel

_LOOK_BACK = 64  # rows before the first, at first; more where a price is not found in them


def benchmark_returns(loaded: Loaded, workspace: Workspace, settings: Backtest, start: int, stop: int) -> Floats | None:
    """Return the returns of the benchmark over the rows, 0 on the first; None without a benchmark. Raises E202.

    A benchmark is a one-column source of that name, else an asset of the traded panel. A return over a gap is in the
    row where the price is back, also where the gap began before `start`.
    """
    name = settings.benchmark
    if not name:
        return None
    source, column = _benchmark(loaded, settings)
    back = _LOOK_BACK
    while True:
        low = max(0, start - back)
        levels, first = _levels(loaded, workspace, (source, column), low, stop), start - low
        if low == 0 or np.isfinite(levels[: first + 1]).any():
            break
        back *= 4
    made: Floats = np.nan_to_num(over_gaps(levels[:, None])[first:, 0], nan=0.0)
    made[:1] = 0.0
    return made


def _benchmark(loaded: Loaded, settings: Backtest) -> tuple[str, str]:
    """Return the source and the column of the benchmark's levels."""
    grid, name = loaded.grid, settings.benchmark
    if name in grid.leaves:
        own = grid.leaves[name].source.names
        if len(own) != 1:
            message = f"benchmark '{name}' has {len(own)} columns"
            raise SigcError(Diagnostic("E202", message, settings.span, hint="a benchmark has one column"))
        return name, own[0]
    if name in grid.names:
        return loaded.money, name
    hint = did_you_mean(name, [*grid.leaves, *grid.names])
    message = f"benchmark '{name}' is neither a source nor an asset of the traded panel"
    raise SigcError(Diagnostic("E202", message, settings.span, hint=hint))


def _levels(loaded: Loaded, workspace: Workspace, of: tuple[str, str], low: int, stop: int) -> Floats:
    """Return the accepted levels of the benchmark over rows of the grid."""

    source, name = of
    names = loaded.grid.names
    column = names.index(name) if name in names else 0
    panel = source_panel(loaded.grid, workspace.store, source, low, stop)
    values = panel.values[:, column : column + 1]
    levels = forward(values, (name,), loaded.grid.days[low:stop], loaded.acts(source))
    whole = loaded.grid.leaves[source].source
    return accept_panel(whole, values, (name,), panel.dates, workspace.max_return, levels=levels).levels[:, 0]
