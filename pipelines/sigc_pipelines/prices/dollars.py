"""Dollar volume: the money traded in an asset on a row. A split changes neither it nor its mean."""

from __future__ import annotations

from sigc.engine.core.gather import source_panel
from sigc.ops.declare import REGISTRY
from sigc.panel import Floats
from sigc_pipelines.compute import Loaded, Workspace

WINDOW = 20  # rows of a mean


def mean_dollars(loaded: Loaded, workspace: Workspace, prices: Floats, start: int, stop: int) -> Floats:
    """Return the mean of volume x price over `WINDOW` rows, by row; NaN where one of them is missing.

    prices: as traded, of the rows [start, stop). Shares and prices are those of their own day.
    """
    volume = source_panel(loaded.grid, workspace.store, "volume", start, stop).values
    mean: Floats = REGISTRY["rolling_mean"].kernel(volume * prices, window=WINDOW)
    return mean


def mean_of_known(prices: Floats, volumes: Floats) -> Floats:
    """Return the mean of the known rows among the `WINDOW`; NaN where none is."""
    mean: Floats = REGISTRY["rolling_mean"].kernel(volumes * prices, window=WINDOW, min_periods=1)
    return mean
