"""Detection of old prices that a vendor has restated by a constant ratio, so that quantities and prices no longer
match.

    shown    the prices of a decision's last two rows, by asset and day; kept in its audit record
    restated those of them that the data show otherwise now, both by the same ratio

A price as traded is a fact of its day. Where two of them change by one ratio the vendor has begun to adjust, or has
changed his units; a single row that changes is a correction. The asset is kept as it is until a person accepts it
(`sigc data accept`), and until then its prices of before are handed on from decision to decision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sigc.errors import Severity
from sigc.store.ledger.records import Finding
from sigc_pipelines.checks.declare import listed
from sigc_pipelines.compute import Loaded
from sigc_pipelines.live.trading import TargetFeed
from sigc_pipelines.prices.closes import Closes

Shown = Mapping[str, Mapping[str, float]]  # asset -> ISO day -> price as traded
_CHANGED = 0.005  # more than vendors round
_SAME = 0.001  # of ratios
_ROWS = 2


@dataclass(frozen=True, slots=True)
class RestatedAsset:
    """An asset whose prices of a day and before are now so many times what they were."""

    asset: str
    day: str
    times: float


@dataclass(frozen=True, slots=True)
class Told:
    """The prices of the decision before, and the assets whose prices of then are others now."""

    before: Shown
    those: tuple[RestatedAsset, ...] = ()

    def record(self, feed: TargetFeed, loaded: Loaded, assets: Iterable[str]) -> dict[str, dict[str, float]]:
        """Return the prices to compare at the next decision."""
        if not feed.is_kept:
            return {}
        closes = feed.closes(loaded, str(loaded.grid.days[-_ROWS:][0]))
        return shown(closes, assets, self.before, {r.asset for r in self.those})


def look(feed: TargetFeed, loaded: Loaded, before: Shown, by_hand: Collection[tuple[str, str]]) -> Told:
    """Hold the prices of the last decision against the data. A replay has no other data than it had."""
    since = first_day(before)
    if not since or not feed.is_kept:
        return Told(before)
    return Told(before, restated(feed.closes(loaded, since), before, by_hand))


def shown(closes: Closes, assets: Iterable[str], before: Shown, kept: Collection[str]) -> dict[str, dict[str, float]]:
    """Return the prices of the last rows for each asset. kept: the assets whose earlier prices are carried on."""
    place = {name: at for at, name in enumerate(closes.names)}
    days = [str(d) for d in closes.dates[-_ROWS:].astype("datetime64[D]")]
    found = {name: dict(before[name]) for name in sorted(kept) if name in before}
    for name in sorted(set(assets) - found.keys()):
        if name in place:
            values = closes.prices[-_ROWS:, place[name]].tolist()
            known = {day: value for day, value in zip(days, values, strict=True) if value == value}
            if len(known) == _ROWS:
                found[name] = known
    return found


def restated(closes: Closes, before: Shown, by_hand: Collection[tuple[str, str]]) -> tuple[RestatedAsset, ...]:
    """Return the assets whose old prices have changed. by_hand: (asset, day) of prices that a person accepted."""
    row = {str(d): at for at, d in enumerate(closes.dates.astype("datetime64[D]"))}
    place = {name: at for at, name in enumerate(closes.names)}
    found = []
    for name, prices in before.items():
        if name not in place or not all(day in row for day in prices):
            continue
        ratios = [float(closes.prices[row[day], place[name]]) / price for day, price in prices.items()]
        newest = max(prices)
        times = ratios[0]
        is_one = abs(times - 1.0) <= _CHANGED or not np.isfinite(ratios).all()
        if not is_one and max(ratios) / min(ratios) - 1.0 <= _SAME and (name, newest) not in by_hand:
            found.append(RestatedAsset(name, newest, times))
    return tuple(sorted(found, key=lambda r: r.asset))


def first_day(before: Shown) -> str:
    """Return the earliest day of which prices are known, '' for none."""
    return min((day for prices in before.values() for day in prices), default="")


def told_of(those: tuple[RestatedAsset, ...]) -> tuple[Finding, ...]:
    """Return a warning with the assets and the remedy."""
    if not those:
        return ()
    one = those[0]
    what = listed(f"{r.asset} ({r.day} and before x {r.times:.4g})" for r in those)
    text = (
        f"old prices were restated by a constant ratio: {what}; they are kept as they are until a person accepts it: "
        f"sigc data accept {one.asset} {one.day} --reason '...'"
    )
    return (Finding("restated", Severity.WARNING, text, tuple(r.asset for r in those)),)
