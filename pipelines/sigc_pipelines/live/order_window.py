"""The window in which a run's orders may leave, and what ends it.

    opens    the session's open; at a broker that queues, the close of the session before
    ends     the cut-off; earlier: `execute_deadline_s` after the first order is due

Orders of a run that decides before the window wait in it, `planned`, with its opening as their time.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sigc.calendar.sessions import Calendar, Session
from sigc.config.settings import ExecutionSettings
from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger.records import Intent, Run
from sigc.words import local_time
from sigc_pipelines.brokers.protocol import Capabilities
from sigc_pipelines.live.session import cut_off_of


@dataclass(frozen=True, slots=True)
class SendingEnd:
    """The instant after which nothing is sent, and why orders that were not sent expire. check: of the finding."""

    at: datetime
    why: str
    check: str = "cut_off"


def opening_of(calendar: Calendar, session: Session, can: Capabilities) -> datetime:
    """Return the instant from which a broker takes orders for a session."""
    return calendar.before_or_on(session.day - timedelta(days=1)).close if can.queues else session.open


def not_before_opening(intents: Sequence[Intent], opens: datetime, now: datetime) -> tuple[Intent, ...]:
    """Return the orders with the window's opening as their time, where it is to come and they have none."""
    if opens <= now:
        return tuple(intents)
    return tuple(one if one.not_before is not None else replace(one, not_before=opens) for one in intents)


def end_of(run: Run, begins: datetime, settings: ExecutionSettings, zone: str) -> SendingEnd:
    """Return the end of sending. begins: when the first order is due. zone: of the time in the reason."""
    seconds = settings.execute_deadline_s
    at = begins + timedelta(seconds=seconds)
    late = f"execute took longer than its deadline of {seconds:g} s, until {local_time(at, zone)}"
    ends = [SendingEnd(at, f"{late}: this order was not sent", check="deadline")]
    if run.cut_off is not None:
        why = f"the cut-off, {local_time(run.cut_off, zone)}, passed before this order was sent"
        ends.append(SendingEnd(run.cut_off, why))
    return min(ends, key=lambda end: end.at)


def misfit(
    intents: Sequence[Intent],
    opens: datetime,
    now: datetime,
    ends: datetime,
    per_minute: int | None,
    newer: Session | None = None,
    zone: str = "UTC",
    cut_off: str = "close",
) -> Diagnostic | None:
    """Return why orders cannot all leave within their window, with the arithmetic (E806); None if they can.

    opens, ends: of the window. per_minute: the most orders that the broker takes, None without a limit. newer: the
    session that completes before the one that the run trades for, if it does not know that one. zone: of the times.
    cut_off: execution.cut_off.
    """

    def text(at: datetime) -> str:
        return local_time(at, zone)

    if intents and newer is not None and opens >= newer.close:
        message = f"the broker takes orders from {text(opens)} on, when the session {newer.day} is complete"
        passed = f"the cut-off of {newer.day}, {text(cut_off_of(newer, cut_off))}, has passed"
        hint = f"{passed}: run it after the close, {text(newer.close)}"
        return Diagnostic("E806", f"{message}, and what is decided now does not know it", hint=hint)
    if intents and opens >= ends:
        message = f"the broker takes orders from {text(opens)} on, and nothing is sent after {text(ends)}"
        return Diagnostic("E806", message, hint="set execution.cut_off to a later time")
    begins = max(opens, now)
    if per_minute is None or not intents or begins >= ends:
        return None
    gap, last = timedelta(minutes=1) / per_minute, begins
    for one in sorted(intents, key=lambda i: i.not_before or begins):
        last = max(last, one.not_before or begins) + gap
    last -= gap  # the first one leaves at once
    if last < ends:
        return None
    number, room = len(intents), (ends - begins) / timedelta(minutes=1)
    need = f"{number} orders at {per_minute} a minute, the most that the broker takes, need {number / per_minute:.1f}"
    when = f"from {text(begins)} there are {room:.1f} minutes, and the last one would leave at {text(last)}"
    hint = "run earlier, or trade fewer orders: execution.min_order_value, execution.slices"
    return Diagnostic("E806", f"{need} minutes: {when}, but nothing is sent after {text(ends)}", hint=hint)


def newer_session(calendar: Calendar, run: Run) -> Session | None:
    """Return the session that completes before the one that a run trades for; None if that one is next, or unknown."""
    with suppress(SigcError):  # recovery of a run beyond the calendar must not fail by this
        found = calendar.after(date.fromisoformat(run.as_of))
        return found if str(found.day) < run.key.session else None
    return None
