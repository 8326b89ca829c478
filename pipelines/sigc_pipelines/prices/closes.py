"""Closing prices as they became known, for the value of positions and the fills of a simulated broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import numpy as np

from sigc.actions import Action, between, restated_price
from sigc.engine.core.gather import source_panel
from sigc.panel import Dates, Floats
from sigc_pipelines.compute import Loaded, Workspace
from sigc_pipelines.live.sizing import decimal
from sigc_pipelines.prices.quotes import accepted

Prices = dict[str, Decimal | None]


@dataclass(frozen=True, slots=True, eq=False)
class Closes:
    """Prices as traded, and volumes (rows, assets), of the traded panel over some days; NaN where there is none.

    acts: corporate actions in order, over which prices are restated. A price that is not accepted (`quotes.py`) is
    none: nothing is filled at it or marked by it.
    """

    dates: Dates
    names: tuple[str, ...]
    prices: Floats
    volumes: Floats | None
    acts: Sequence[Action] = ()

    def since(self, day: str) -> Closes:
        """Return the same closes from a day on."""
        at = int(np.searchsorted(self.dates, np.datetime64(day, "D")))
        volumes = None if self.volumes is None else self.volumes[at:]
        return replace(self, dates=self.dates[at:], prices=self.prices[at:], volumes=volumes)

    @property
    def marks(self) -> Floats:
        """The newest price on or before each row, in the units of that row (rows, assets); NaN before the first."""
        known = np.isfinite(self.prices) & (self.prices > 0.0)
        last = np.maximum.accumulate(np.where(known, np.arange(len(known))[:, None], -1), axis=0)
        found = np.where(last >= 0, np.take_along_axis(self.prices, np.maximum(last, 0), axis=0), np.nan)
        days, place = self.dates.astype("datetime64[D]"), {name: at for at, name in enumerate(self.names)}
        rows = np.searchsorted(days, np.array([a.ex_date for a in self.acts], "datetime64[D]")).tolist()
        for row, action in zip(rows, self.acts, strict=True):
            at = place.get(action.asset, -1)
            if at < 0 or row == len(days) or known[row, at] or last[row, at] < 0:
                continue
            stop = row + (int(np.argmax(known[row:, at])) or len(days))
            price = restated_price(decimal(float(found[row, at])), [action], date.min, action.ex_date)
            found[row:stop, at] = float(price)
        return found

    def has(self, day: str) -> bool:
        """Return True if any asset has a price of that very day."""
        at = int(np.searchsorted(self.dates, np.datetime64(day, "D")))
        is_there = at < len(self.dates) and str(self.dates[at].astype("datetime64[D]")) == day
        return is_there and bool(np.isfinite(self.prices[at]).any())

    def on(self, day: str) -> tuple[Prices, Prices]:
        """Return prices and volumes by asset of exactly that day; None for an asset, or all, without one."""
        at = int(np.searchsorted(self.dates, np.datetime64(day, "D")))
        if at == len(self.dates) or str(self.dates[at].astype("datetime64[D]")) != day:
            return dict.fromkeys(self.names), dict.fromkeys(self.names)
        nothing = np.full(len(self.names), np.nan)
        return self._row(self.prices[at], 0.0), self._row(nothing if self.volumes is None else self.volumes[at], -1.0)

    def last(self, day: str, before: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Return the newest price of each asset on or before a day, else that of `before`.

        In the units of that day: an asset that has no price since its split is worth its last one restated. `before`
        is taken as it is.
        """
        stop = int(np.searchsorted(self.dates, np.datetime64(day, "D") + 1))
        known = dict(before)
        if stop == 0:
            return known
        block = self.prices[:stop]
        valid = np.isfinite(block) & (block > 0.0)
        newest = stop - 1 - np.argmax(valid[::-1], axis=0)
        days = self.dates[:stop].astype("datetime64[D]")
        for asset in np.flatnonzero(valid.any(axis=0)):
            known[self.names[asset]] = decimal(float(block[newest[asset], asset]))
        since = {self.names[asset]: days[newest[asset]].item() for asset in np.flatnonzero(valid.any(axis=0))}
        return self._restated(known, day, since)

    def _restated(self, known: dict[str, Decimal], day: str, since: Mapping[str, date]) -> dict[str, Decimal]:
        until = date.fromisoformat(day[:10])
        due: dict[str, list[Action]] = {}
        for action in between(self.acts, min(since.values(), default=until), until):
            due.setdefault(action.asset, []).append(action)
        for name, acts in due.items():
            if name in since:
                known[name] = restated_price(known[name], acts, since[name], until)
        return known

    def _row(self, values: Floats, least: float) -> Prices:
        return {
            name: decimal(value) if np.isfinite(value) and value > least else None
            for name, value in zip(self.names, values.tolist(), strict=True)
        }


def closes(loaded: Loaded, workspace: Workspace, since: str) -> Closes:
    """Return the closes from `since` to the last day on the grid."""
    grid = loaded.grid
    start = int(np.searchsorted(grid.dates, np.datetime64(since, "D")))
    made = accepted(loaded, workspace, loaded.money, start, len(grid.dates))
    volumes = None
    if "volume" in grid.leaves:
        volumes = source_panel(grid, workspace.store, "volume", start, len(grid.dates)).values
    return Closes(made.dates, grid.names, made.prices, volumes, loaded.acts(loaded.money))
