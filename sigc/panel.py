"""The panel: dates x assets of float64, the one shape of data in sigc.

Read-only by construction, so that a value can be shared between threads, caches and plans. Categories
(sectors, labels) are panels too: their values are codes into `labels`, NaN where the label is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = NDArray[np.float64]
Dates: TypeAlias = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Values of shape (len(dates), len(names)); dates strictly ascending datetime64[ns], names unique."""

    dates: Dates
    names: tuple[str, ...]
    values: Floats
    labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        dates = np.ascontiguousarray(self.dates, dtype="datetime64[ns]")
        values = np.ascontiguousarray(self.values, dtype=np.float64)
        if values.shape != (len(dates), len(self.names)):
            raise ValueError(f"values {values.shape} do not fit {len(dates)} dates x {len(self.names)} names")
        for name, array in (("dates", dates), ("values", values)):
            # A view is locked: the caller's own array stays writable.
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def rows(self, start: int, stop: int) -> Panel:
        """Return the rows [start, stop) as a panel, without copying."""
        return Panel(self.dates[start:stop], self.names, self.values[start:stop], self.labels)

    def equals(self, other: Panel) -> bool:
        """Return True if everything is equal bit for bit (NaN equals NaN)."""
        return (
            self.names == other.names
            and self.labels == other.labels
            and np.array_equal(self.dates, other.dates)
            and self.values.tobytes() == other.values.tobytes()
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame: index dates, columns assets; label text for a category panel."""
        import pandas as pd

        index = pd.DatetimeIndex(self.dates, name="date")
        if self.labels is None:
            return pd.DataFrame(self.values.copy(), index=index, columns=list(self.names))
        texts = np.array([*self.labels, None], dtype=object)
        codes = np.where(np.isnan(self.values), len(self.labels), self.values).astype(np.intp)
        return pd.DataFrame(texts[codes], index=index, columns=list(self.names))


def canonical(values: Floats) -> Floats:
    """Return a copy of `values` with one NaN bit pattern and no negative zero: equal numbers have equal bytes."""
    out = values + 0.0  # -0.0 + 0.0 is +0.0
    out[np.isnan(out)] = np.nan
    return out
