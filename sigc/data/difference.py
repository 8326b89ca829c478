"""The difference of two versions of a source: rows, assets, restated cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sigc.blocks.block import places
from sigc.data.formats.shape import when
from sigc.panel import Floats, Panel

_SAME_RATIO = 1e-9  # relative spread of the ratios of one asset's restated cells
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class RestatedCell:
    """A cell of both versions with different values. before, after: None if missing; text of labels."""

    asset: str
    date: str
    before: float | str | None
    after: float | str | None


@dataclass(frozen=True, slots=True)
class DataDifference:
    """The difference of two panels: rows and assets that one version lacks, and restated cells.

    appended: rows after the last of the old version. restated: cells of common rows and assets; `cells` counts them,
    `shown` are the first. scaled: assets whose restated cells all changed by one ratio, as an adjustment does, with
    that ratio.
    """

    rows_gone: tuple[str, ...]
    rows_between: tuple[str, ...]
    appended: tuple[str, ...]
    assets_gone: tuple[str, ...]
    assets_new: tuple[str, ...]
    cells: int
    by_asset: tuple[tuple[str, int], ...]
    shown: tuple[RestatedCell, ...]
    scaled: tuple[tuple[str, float], ...]

    @property
    def is_same(self) -> bool:
        """Return True if nothing changed."""
        rows = (*self.rows_gone, *self.rows_between, *self.appended)
        return not (rows or self.assets_gone or self.assets_new or self.cells)

    @property
    def is_append(self) -> bool:
        """Return True if rows were appended and nothing else changed."""
        return bool(self.appended) and not (
            self.rows_gone or self.rows_between or self.assets_gone or self.assets_new or self.cells
        )


def difference(old: Panel, new: Panel) -> DataDifference:
    """Compare two versions of a panel.

    >>> days = np.array(["2024-03-07", "2024-03-08"], "datetime64[ns]")
    >>> found = difference(Panel(days, ("A",), np.array([[1.0], [2.0]])), Panel(days, ("A",), np.array([[1.0], [3.0]])))
    >>> found.cells, found.shown
    (1, (RestatedCell(asset='A', date='2024-03-08', before=2.0, after=3.0),))
    """
    last = old.dates[-1] if len(old.dates) else np.datetime64(0, "ns")
    added = np.setdiff1d(new.dates, old.dates)
    dates, at_old, at_new = np.intersect1d(old.dates, new.dates, return_indices=True)
    names = sorted(set(old.names) & set(new.names))
    before = old.values[at_old][:, places(tuple(names), old.names)]
    after = new.values[at_new][:, places(tuple(names), new.names)]
    if old.labels is not None or new.labels is not None:
        changed = _texts(old, before) != _texts(new, after)
    else:
        changed = ~((before == after) | (np.isnan(before) & np.isnan(after)))
    rows, columns = np.nonzero(changed)
    counts = changed.sum(axis=0)
    return DataDifference(
        rows_gone=_days(np.setdiff1d(old.dates, new.dates)),
        rows_between=_days(added[added <= last]),
        appended=_days(added[added > last]),
        assets_gone=tuple(sorted(set(old.names) - set(new.names))),
        assets_new=tuple(sorted(set(new.names) - set(old.names))),
        cells=len(rows),
        by_asset=tuple((names[i], int(counts[i])) for i in np.argsort(-counts, kind="stable") if counts[i]),
        shown=tuple(
            RestatedCell(names[c], when(dates[r]), _cell(old, before[r, c]), _cell(new, after[r, c]))
            for r, c in zip(rows[:_SHOWN].tolist(), columns[:_SHOWN].tolist(), strict=True)
        ),
        scaled=() if old.labels is not None else _scaled(names, before, after, changed),
    )


def _scaled(names: list[str], before: Floats, after: Floats, changed: np.ndarray) -> tuple[tuple[str, float], ...]:
    found = []
    for column in np.flatnonzero(changed.sum(axis=0) > 1):
        rows = changed[:, column]
        with np.errstate(all="ignore"):
            ratios = after[rows, column] / before[rows, column]
        if np.isfinite(ratios).all() and np.ptp(ratios) <= _SAME_RATIO * abs(float(ratios[0])):
            found.append((names[int(column)], float(ratios[0])))
    return tuple(found)


def _cell(panel: Panel, value: float) -> float | str | None:
    if np.isnan(value):
        return None
    return float(value) if panel.labels is None else panel.labels[int(value)]


def _texts(panel: Panel, values: Floats) -> np.ndarray:
    labels = np.array([*(panel.labels or ()), ""], dtype=object)
    return labels[np.where(np.isnan(values), len(labels) - 1, values).astype(np.intp)]


def _days(dates: np.ndarray) -> tuple[str, ...]:
    return tuple(when(d) for d in dates)
