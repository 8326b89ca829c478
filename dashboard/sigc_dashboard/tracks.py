"""Columns that `track_figures` draws, from the daemon's replies about a book. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

from sigc.rpc.messages.history import NavReply, SignalDay, SignalLine
from sigc_dashboard.reports.track_figures import tone

NAN = float("nan")
_RUNNING = 20  # sessions of the running mean of the rank correlation
_QUANTILES = ("least", "q05", "q25", "median", "q75", "q95", "greatest")
Columns = dict[str, list[Any]]


def milliseconds(session: str) -> float:
    """Return a session in the unit of plots (ms); NaN for an invalid one.

    >>> milliseconds("1970-01-02")
    86400000.0
    """
    try:
        return datetime.fromisoformat(session).replace(tzinfo=UTC).timestamp() * 1000
    except ValueError:
        return NAN


def track_columns(nav: NavReply) -> Columns:
    """Return the columns `TRACK`."""
    return {
        "x": [milliseconds(session) for session in nav.session],
        "nav": list(nav.nav),
        "drawdown": list(nav.drawdown),
        "daily": list(nav.daily),
        "colour": [tone(value) for value in nav.daily],
        "gross": list(nav.gross),
        "net": list(nav.net),
        "turnover": [NAN if value is None else value for value in nav.turnover],
        "commission": list(nav.commission),
        "slippage": list(nav.slippage),
    }


def signal_names(days: Sequence[SignalDay]) -> tuple[str, ...]:
    """Return the signals of these days, the wanted weights last."""
    names = dict.fromkeys(line.name for day in days for line in day.signals)
    return tuple(sorted(names, key=lambda name: (name == "weights", name)))


def signal_columns(days: Sequence[SignalDay], name: str) -> Columns:
    """Return the columns `SIGNAL` of one signal. days: newest first."""
    found: Columns = {"x": [], **{q: [] for q in _QUANTILES}, "coverage": [], "ic": [], "bps": []}
    for day in reversed(days):
        line = next((own for own in day.signals if own.name == name), None)
        found["x"].append(milliseconds(day.as_of))
        quantiles = line.quantiles if line is not None and len(line.quantiles) == len(_QUANTILES) else ()
        for place, column in enumerate(_QUANTILES):
            found[column].append(quantiles[place] if quantiles else NAN)
        found["coverage"].append(_covered(line, day.universe))
        found["ic"].append(NAN if line is None or line.ic is None else line.ic)
        found["bps"].append(NAN if day.slippage_bps is None else day.slippage_bps)
    ics: list[float] = found["ic"]
    found["mean_ic"] = running_mean(ics, _RUNNING)
    found["colour"] = [tone(value) for value in ics]
    return found


def running_mean(values: Sequence[float], count: int) -> list[float]:
    """Return the mean of the last `count` known values, NaN before the first.

    >>> running_mean([1.0, float("nan"), 3.0], 2)
    [1.0, 1.0, 3.0]
    """
    found = []
    for place in range(len(values)):
        known = [v for v in values[max(0, place + 1 - count) : place + 1] if v == v]
        found.append(fmean(known) if known else NAN)
    return found


def fifth_columns(means: Sequence[float]) -> Columns:
    """Return the columns `FIFTHS`."""
    return {
        "fifth": [str(number) for number in range(1, len(means) + 1)],
        "mean": list(means),
        "colour": [tone(value) for value in means],
    }


def by_year(months: Mapping[str, float]) -> dict[str, float]:
    """Compounded returns of years, from those of months.

    >>> {year: round(value, 4) for year, value in by_year({"2024-01": 0.1, "2024-02": -0.1}).items()}
    {'2024': -0.01}
    """
    grown: dict[str, float] = {}
    for month, value in months.items():
        grown[month[:4]] = grown.get(month[:4], 1.0) * (1.0 + value)
    return {year: value - 1.0 for year, value in grown.items()}


def _covered(line: SignalLine | None, universe: int) -> float:
    return NAN if line is None or not universe else line.count / universe
