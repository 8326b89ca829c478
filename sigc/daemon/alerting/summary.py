"""The daily summary of a daemon: sent at its time, once a day across restarts, from the ledger and memory.

A day's summary is an alert of the rule `daily_summary` whose key is the date, so the ledger knows if it was sent.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sigc import metrics as m
from sigc.alerts.summary import LATEST, BookDay, DayFacts, StrategyDay, instant, newest_time, text_of, title_of
from sigc.alerts.urgency import Urgency
from sigc.daemon.status import strategy_of
from sigc.errors import SigcError
from sigc.schedule.job import TRADING
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import books, jobs, orders
from sigc.store.ledger.records import RunKind
from sigc.store.outbox import alert_query as looking

if TYPE_CHECKING:
    from sigc.daemon.controller import Controller

_RULE, _EVENT = "daily_summary", "daily.summary"
_MOST_TITLES = 100
_DAY = timedelta(days=1)
log = logging.getLogger("sigc.alerts")


@dataclass(frozen=True, slots=True)
class SummaryStrategy:
    """A strategy in a summary: its state, and the jobs that trade it."""

    name: str
    state: str
    jobs: tuple[str, ...]


class Summary:
    """The daily summary of one daemon."""

    def __init__(self, daemon: Controller) -> None:
        self._daemon = daemon
        self._told: date | None = None

    async def tell_when_due(self, at: str) -> None:
        """Write the summary that is due and not written yet. at: its time of day, '' for none.

        An internal error costs that day's summary and no other alert. Raise SigcError E310.
        """
        daemon = self._daemon
        if not at or not daemon.is_ready:
            return
        zone, now = ZoneInfo(daemon.configured.loaded.config.schedule.timezone), daemon.clock.now()
        clock = time.fromisoformat(at)
        day, due = newest_time(clock, zone, now)
        if day == self._told or now - due >= LATEST:
            return
        since, watched = instant(day - _DAY, clock, zone), self._watched()

        def look(connection: sqlite3.Connection) -> DayFacts | None:
            if looking.is_raised(connection, _RULE, str(day)):
                return None
            return self._facts(connection, DayFacts(day, since, now, zone), watched)

        try:
            facts = await daemon.books.read(look)
            if facts is not None:
                said = {"day": str(day), "title": title_of(facts), "text": text_of(facts)}
                await daemon.books.audit(AuditEvent(_EVENT, said))
        except SigcError:
            raise
        except Exception:
            log.exception("internal error in the daily summary", extra={"day": str(day)})
        self._told = day

    def _watched(self) -> tuple[SummaryStrategy, ...]:
        daemon = self._daemon
        by_strategy: dict[str, list[str]] = {}
        for name, state in daemon.job_states().items():
            if state.job.kind in TRADING:
                by_strategy.setdefault(state.job.strategy, []).append(name)
        return tuple(
            SummaryStrategy(
                one.name, strategy_of(daemon, one.name, one.enabled).state, tuple(by_strategy.get(one.name, ()))
            )
            for one in daemon.configured.strategies
            if one.enabled
        )

    def _facts(self, connection: sqlite3.Connection, about: DayFacts, watched: Iterable[SummaryStrategy]) -> DayFacts:
        daemon, open_ = self._daemon, looking.listed(connection, _MOST_TITLES)
        urgent_first = sorted(open_, key=lambda alert: (-alert.severity.rank, alert.id))
        return DayFacts(
            about.day,
            about.since,
            about.until,
            about.zone,
            strategies=tuple(strategy_day(connection, one, about) for one in watched),
            books=tuple(found for book in books.books(connection) if (found := book_day(connection, book)) is not None),
            alerts=_by_severity(looking.count_open(connection)),
            titles=tuple(f"[{alert.severity}] {alert.title}" for alert in urgent_first),
            ages={(strategy, source): age for (strategy, source), age in daemon.metrics.values(m.DATA_AGE).items()},
            fires=tuple((job, fire.at) for job in daemon.job_states() if (fire := daemon.next_fire(job)) is not None),
        )


def strategy_day(connection: sqlite3.Connection, one: SummaryStrategy, about: DayFacts) -> StrategyDay:
    """Return a strategy's day since the summary before: its trades, and its missed fires."""
    asked = jobs.asked_between(connection, one.name, about.since, about.until)
    trades = [order for order in asked if order.kind == RunKind.TRADE]
    counts: dict[str, int] = {}
    for trade in trades:
        for state, number in orders.states_of(connection, trade.id).items():
            counts[state] = counts.get(state, 0) + number
    missed = tuple(
        f"{miss.planned.astimezone(about.zone):%a %H:%M %Z} ({miss.reason})"
        for job in one.jobs
        for miss in jobs.misses_between(connection, job, about.since, about.until)
    )
    outcome, run = (str(trades[-1].outcome), trades[-1].id) if trades else ("", "")
    return StrategyDay(one.name, outcome, run, len(trades), counts, missed, one.state)


def book_day(connection: sqlite3.Connection, book: books.Book) -> BookDay | None:
    """Return a book at its newest close, None before the first."""
    newest = books.last_navs(connection, book.key, 2)
    if not newest:
        return None
    before = newest[0].nav if len(newest) > 1 else book.capital
    strategy, portfolio = book.key.strategy, book.key.portfolio
    name = strategy if portfolio in ("", "main") else f"{strategy}/{portfolio}"
    return BookDay(name, newest[-1].session, newest[-1].nav, before)


def _by_severity(counts: Mapping[Urgency, int]) -> dict[str, int]:
    urgent_first = sorted(counts, key=lambda urgency: -urgency.rank)
    return {str(urgency): counts[urgency] for urgency in urgent_first}
