"""The daily summary: its due time and its text. Pure; `sigc.daemon.alerting.summary` collects the facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sigc.words import counted

LATEST = timedelta(hours=12)  # a summary is not sent later than this after its time
_SHOWN = 15  # lines of a part: the whole must fit into one message
_ORDER = ("filled", "partially_filled", "acknowledged", "denied", "rejected", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class StrategyDay:
    """A strategy since the summary before. outcome: of its newest trade, '' without one; run: its id.

    runs: number of its trades. orders: of all of them, by state. missed: fires that did not run, with the reason.
    state:
    active, paused, halted.
    """

    name: str
    outcome: str = ""
    run: str = ""
    runs: int = 0
    orders: Mapping[str, int] = field(default_factory=dict)
    missed: tuple[str, ...] = ()
    state: str = "active"


@dataclass(frozen=True, slots=True)
class BookDay:
    """A book at its newest close. before: its NAV at the close before, or its capital if that was the first."""

    name: str
    session: str
    nav: Decimal
    before: Decimal


@dataclass(frozen=True, slots=True)
class DayFacts:
    """The facts of a summary. day: its date; since: the time of the summary before; until: now.

    alerts: open ones by severity; titles: the most urgent of them first. ages: seconds since the newest row, by
    (strategy, source). fires: the next of each job.
    """

    day: date
    since: datetime
    until: datetime
    zone: ZoneInfo
    strategies: Sequence[StrategyDay] = ()
    books: Sequence[BookDay] = ()
    alerts: Mapping[str, int] = field(default_factory=dict)
    titles: Sequence[str] = ()
    ages: Mapping[tuple[str, str], float] = field(default_factory=dict)
    fires: Sequence[tuple[str, datetime]] = ()


def newest_time(at: time, zone: ZoneInfo, now: datetime) -> tuple[date, datetime]:
    """Return the newest time at which a summary was due, as its date in the zone and as an instant.

    A time skipped by a clock change keeps the offset before the change; a repeated time is its first occurrence.

    >>> zone = ZoneInfo("America/New_York")
    >>> [newest_time(time(17, 30), zone, datetime(2024, 3, 11, hour, tzinfo=UTC))[1].isoformat() for hour in (21, 22)]
    ['2024-03-10T21:30:00+00:00', '2024-03-11T21:30:00+00:00']
    >>> newest_time(time(2, 30), zone, datetime(2024, 3, 10, 12, tzinfo=UTC))[1].isoformat()
    '2024-03-10T07:30:00+00:00'
    """
    # From tomorrow backwards to the newest time that is not after `now`.
    day = now.astimezone(zone).date() + timedelta(days=1)
    while (found := instant(day, at, zone)) > now:
        day -= timedelta(days=1)
    return day, found


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return the instant of a local time on a day, in UTC."""
    return datetime.combine(day, at, zone).astimezone(UTC)


def title_of(facts: DayFacts) -> str:
    """Return the first line: the number of strategies by outcome, and of open alerts."""
    counts: dict[str, int] = {}
    for one in facts.strategies:
        counts[_word(one.outcome)] = counts.get(_word(one.outcome), 0) + 1
    ended = ", ".join(f"{number} {word}" for word, number in sorted(counts.items(), key=lambda c: (-c[1], c[0])))
    number = sum(facts.alerts.values())
    open_ = counted(number, "alert") if number else "no alerts"
    return f"summary of {facts.day:%a %Y-%m-%d}: {ended or 'no strategies'}; {open_} open"


def text_of(facts: DayFacts) -> str:
    """Return the summary's text: plain lines, with a part each for runs, books, alerts, data and fires."""
    open_ = ", ".join(f"{number} {severity}" for severity, number in facts.alerts.items() if number)
    ages = sorted(facts.ages.items(), key=lambda one: (-one[1], one[0]))
    parts = (
        (f"Trades since {_at(facts.since, facts.zone)}", [_strategy_line(one) for one in facts.strategies]),
        ("Books", [_book_line(one) for one in facts.books]),
        (f"Open alerts: {open_}" if open_ else "", list(facts.titles)),
        ("Newest data", [f"{strategy} {source}: {_age(age)} old" for (strategy, source), age in ages]),
        ("Next fires", [f"{_at(at, facts.zone)} {job}" for job, at in sorted(facts.fires, key=lambda f: (f[1], f[0]))]),
    )
    return "\n".join(line for head, lines in parts if head and lines for line in (head, *_first(lines)))


def _strategy_line(one: StrategyDay) -> str:
    said = [_word(one.outcome) + (f" ({one.runs} runs)" if one.runs > 1 else "")]
    if one.orders:
        states = sorted(one.orders, key=lambda state: (_ORDER.index(state) if state in _ORDER else 99, state))
        counts = ", ".join(f"{one.orders[state]} {state}" for state in states)
        said.append(f"{sum(one.orders.values())} orders: {counts}")
    said += [f"missed {fire}" for fire in one.missed]
    said += [one.state] if one.state != "active" else []
    return f"{one.name}: {'; '.join(said)}" + (f" ({one.run})" if one.run else "")


def _book_line(one: BookDay) -> str:
    gain = one.nav - one.before
    share = f" ({gain / one.before:+.2%})" if one.before > 0 else ""
    return f"{one.name}: NAV {one.nav:,.2f} at the close of {one.session}, day's P&L {gain:+,.2f}{share}"


def _word(outcome: str) -> str:
    return {"": "not run", "open": "under way"}.get(outcome, outcome.replace("_", " "))


def _at(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def _age(seconds: float) -> str:
    """Return an age in a suitable unit.

    >>> [_age(s) for s in (90.0, 7300.0, 86400.0 * 3.4)]
    ['1 min', '2 h', '3 days']
    """
    if seconds >= 2 * 86_400:
        return f"{int(seconds // 86_400)} days"
    return f"{int(seconds // 3600)} h" if seconds >= 7200 else f"{int(max(0.0, seconds) // 60)} min"


def _first(lines: Iterable[str]) -> list[str]:
    found = [f"- {line}" for line in lines]
    return found if len(found) <= _SHOWN else [*found[: _SHOWN - 1], f"- and {len(found) - _SHOWN + 1} more"]
