"""Inputs of checks: the last rows of the data, and the wanted book beside the held one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigc.panel import Floats

FEW_ASSETS = 5  # below this number shares say nothing: universe and coverage are not judged


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source on the last row. values: number of assets with a value; mean: of the rows before; assets: number it has.

    newest: ISO day of its newest value, '' where it has no days (is_static) or none yet. is_late: that value is older
    than it should be. is_read: the weights use it.
    """

    name: str
    is_read: bool
    is_static: bool
    assets: int
    values: int
    mean: float
    newest: str
    is_late: bool


@dataclass(frozen=True, slots=True, eq=False)
class DataView:
    """The end of the loaded data.

    as_of: ISO date of the expected session; newest: of the last row. rows: their number. Arrays are (assets,) in the
    order of `names`: accepted prices and volumes of the last row, prices of the row before (accepted or not), mean
    volumes of the (up to 20) rows before the last. NaN is missing; None: the strategy reads no volume. sectors: a label
    per asset, '' unknown. raw: prices of the last row, accepted or not; before: the last accepted ones before it.
    repeated: assets whose row only repeats the one before. ended: assets that ended by a declared action.
    """

    as_of: str
    newest: str
    rows: int
    names: tuple[str, ...]
    prices: Floats
    previous: Floats
    volumes: Floats | None = None
    mean_volumes: Floats | None = None
    sectors: tuple[str, ...] | None = None
    raw: Floats | None = None
    before: Floats | None = None
    repeated: NDArray[np.bool_] | None = None
    ended: frozenset[str] = frozenset()
    sources: tuple[SourceView, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class WeightsView:
    """A wanted book. target, held: weights (assets,) in the order of `names`; sectors as in `DataView`.

    past_turnovers: of the strategy's runs before this one, oldest first, as sums of absolute changes of weights.
    """

    names: tuple[str, ...]
    target: Floats
    held: Floats
    sectors: tuple[str, ...] | None = None
    past_turnovers: tuple[float, ...] = ()
