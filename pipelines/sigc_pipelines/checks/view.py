"""What checks look at: the last rows of the data, and a book that is wanted beside the one that is held."""

from __future__ import annotations

from dataclasses import dataclass

from sigc.panel import Floats


@dataclass(frozen=True, slots=True, eq=False)
class DataView:
    """The end of the loaded data.

    as_of: ISO date of the session that is expected; newest: of the last row. rows: how many there are. Arrays are
    (assets,) in the order of `names`: prices and volumes of the last row, prices of the row before, mean volumes of the
    (up to 20) rows before the last. NaN is missing; None: the strategy reads no volume. sectors: a label per asset, ''
    unknown.
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
