"""The track of a book, from its NAVs: returns, drawdowns, months, figures; and thinning of long series.

Pure functions over numbers, in the order of sessions. They use the standard library alone, so that the daemon reads a
track without loading numeric libraries. 252 sessions a year, risk-free rate 0, as in `performance.py` of the backtest.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

SESSIONS_A_YEAR = 252


@dataclass(frozen=True, slots=True)
class Close:
    """A book at the close of a session. nav, gross, net: money."""

    session: str
    nav: float
    gross: float
    net: float


@dataclass(frozen=True, slots=True)
class Day:
    """A session of a book. drawdown: from the highest NAV so far, 0 or negative; daily: return since the last close.

    gross, net: exposure as a share of NAV; turnover: ordered value as a share of the NAV before, None without orders.
    """

    session: str
    nav: float
    drawdown: float
    daily: float
    gross: float
    net: float
    turnover: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a track: fractions, annualised volatility and Sharpe ratio, positive max_drawdown with its dates.

    recovery: '' until the peak is reached again; best, worst: of a session; turnover: mean per rebalance.
    """

    sessions: int = 0
    first: str = ""
    last: str = ""
    nav: float = 0.0
    total_return: float = 0.0
    annual_return: float = 0.0
    volatility: float = 0.0
    sharpe: float = 0.0
    max_drawdown: float = 0.0
    peak: str = ""
    trough: str = ""
    recovery: str = ""
    best: float = 0.0
    worst: float = 0.0
    win_rate: float = 0.0
    turnover: float = 0.0


def days(
    capital: float,
    closes: Sequence[Close],
    ordered: Mapping[str, float],
    flows: Mapping[str, float | None] = MappingProxyType({}),
) -> tuple[Day, ...]:
    """Return a book's sessions. capital: its initial money. ordered: money, by the session that it was ordered for.

    flows: money that came (or left) since the close before without being earned, by session; None: nobody knows how
    much. It counts as there from that close on, so that returns are time-weighted; a session of an unknown flow has
    none. Drawdowns are those of the returns multiplied.

    >>> [(d.daily, d.drawdown, d.turnover) for d in days(100.0, [Close("a", 110.0, 0, 0), Close("b", 99.0, 0, 0)],
    ...                                                  {"b": 22.0})]
    [(0.1, 0.0, None), (-0.1, -0.1, 0.2)]
    """
    found, before, grown, peak = [], capital, 1.0, 1.0
    for close in closes:
        flow = flows.get(close.session, 0.0)
        base = 0.0 if flow is None else before + flow
        daily = close.nav / base - 1.0 if base > 0.0 else 0.0
        grown *= 1.0 + daily
        peak = max(peak, grown)
        share = 1.0 / close.nav if close.nav > 0.0 else 0.0
        money = ordered.get(close.session)
        found.append(
            Day(
                close.session,
                round(close.nav, 2),
                round(grown / peak - 1.0, 9),
                round(daily, 9),
                round(close.gross * share, 6),
                round(close.net * share, 6),
                None if money is None or before <= 0.0 else round(money / before, 6),
            )
        )
        before = close.nav
    return tuple(found)


def thin(most: int, *series: Sequence[float]) -> tuple[int, ...]:
    """Return the indices of at most `most` points (at least 2 + 2 per series) that keep the shape of a plot.

    Kept are the first point, the last, and of each bucket between them the minimum and maximum of every series: no
    extreme and no drawdown is lost at any zoom. (Largest-triangle sampling, LTTB, looks smoother and loses extremes.)
    The indices are sorted.

    >>> thin(6, [1, 2, 9, 3, -5, 4, 4, 4, 7, 0])
    (0, 2, 4, 5, 8, 9)
    """
    count = len(series[0]) if series else 0
    if count <= most:
        return tuple(range(count))
    buckets = max(1, (most - 2) // (2 * len(series)))
    kept = {0, count - 1}
    for number in range(buckets):
        low, high = 1 + number * (count - 2) // buckets, 1 + (number + 1) * (count - 2) // buckets
        for values in series:
            places = range(low, high)
            kept.add(min(places, key=values.__getitem__))
            kept.add(max(places, key=values.__getitem__))
    return tuple(sorted(kept))


def months(found: Sequence[Day]) -> dict[str, float]:
    """Return the compounded return by month, `YYYY-MM`."""
    grown: dict[str, float] = {}
    for day in found:
        grown[day.session[:7]] = grown.get(day.session[:7], 1.0) * (1.0 + day.daily)
    return {month: round(value - 1.0, 9) for month, value in grown.items()}


def figures(capital: float, found: Sequence[Day]) -> Figures:
    """Return the figures of a whole track."""
    if not found:
        return Figures(nav=capital)
    daily = [day.daily for day in found]
    total = math.prod(1.0 + value for value in daily) - 1.0
    spread = statistics.stdev(daily) if len(daily) > 1 else 0.0
    active = sum(1 for value in daily if value != 0.0)
    turnovers = [day.turnover for day in found if day.turnover is not None]
    peak, trough, recovery = _fall(found)
    return Figures(
        sessions=len(found),
        first=found[0].session,
        last=found[-1].session,
        nav=found[-1].nav,
        total_return=total,
        annual_return=(1.0 + total) ** (SESSIONS_A_YEAR / len(found)) - 1.0 if total > -1.0 else -1.0,
        volatility=spread * math.sqrt(SESSIONS_A_YEAR),
        sharpe=statistics.fmean(daily) / spread * math.sqrt(SESSIONS_A_YEAR) if spread > 1e-12 else 0.0,
        max_drawdown=-min(day.drawdown for day in found) + 0.0,
        peak=peak,
        trough=trough,
        recovery=recovery,
        best=max(daily),
        worst=min(daily),
        win_rate=sum(1 for value in daily if value > 0.0) / active if active else 0.0,
        turnover=statistics.fmean(turnovers) if turnovers else 0.0,
    )


def _fall(found: Sequence[Day]) -> tuple[str, str, str]:
    """Return (peak, trough, recovery) of the deepest drawdown: sessions, '' where there is none."""
    at = min(range(len(found)), key=lambda place: found[place].drawdown)
    if found[at].drawdown >= 0.0:
        return "", "", ""
    before = [place for place in range(at) if found[place].drawdown == 0.0]
    after = (day.session for day in found[at:] if day.drawdown == 0.0)
    return found[before[-1]].session if before else "", found[at].session, next(after, "")
