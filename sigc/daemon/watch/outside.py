"""The judgement of `sigc watch`: the conditions an outside look finds and the messages they cause. Pure functions.

    sight = Sight(now, {"gone": Trouble(...)}, frozenset({"late"}))
    state, messages = step(state, sight, patience, "paper")

A condition is reported once, after it has lasted as long as the patience, and its end once. A condition that can't be
known (whether a daemon that is gone is late) stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sigc.alerts.message import Message
from sigc.alerts.urgency import Urgency
from sigc.alerts.words import explained, moment
from sigc.daemon.alerting.certificate import trouble as certificate_ends
from sigc.rpc.messages.status import StatusReply
from sigc.words import local_time

GONE, REFUSED, NOT_READY, LATE, CERTIFICATE = "gone", "refused", "not_ready", "late", "certificate"
CONDITIONS = (GONE, REFUSED, NOT_READY, LATE, CERTIFICATE)
LATE_AFTER = timedelta(minutes=3)  # clocks of two machines differ, and a run takes a moment to begin


@dataclass(frozen=True, slots=True)
class Trouble:
    """One problem: its title and details. needs_patience: report it only after it has lasted."""

    title: str
    text: str
    severity: Urgency = Urgency.CRITICAL
    needs_patience: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of one look, by condition. unknown: conditions that it can't judge."""

    at: datetime
    found: Mapping[str, Trouble]
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ActiveCondition:
    """A condition that holds: since when, and whether it was reported."""

    since: datetime
    title: str
    severity: str
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A message that a channel has not taken yet. attempts: tries so far; at: the time of the next one."""

    channel: str
    message: Message
    attempts: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WatchState:
    """The state kept over a restart of the watch: active conditions, and unsent messages, oldest first."""

    standing: Mapping[str, ActiveCondition] = field(default_factory=dict)
    waiting: tuple[PendingMessage, ...] = ()


def troubles_of(status: StatusReply, now: datetime) -> dict[str, Trouble]:
    """Return the problems of a daemon that answers, as far as its answer shows them."""
    found: dict[str, Trouble] = {}
    if not status.is_ready:
        text = f"it is {status.status}: {status.reason or 'no reason given'}\nLook further: sigc status"
        found[NOT_READY] = Trouble("the daemon is not ready", text)
    late = [
        f"{one.name} was due at {local_time(one.next_run, status.zone)}"
        for one in status.strategies
        if one.state == "active" and one.next_run is not None and one.next_run < now - LATE_AFTER
    ]
    if late:
        text = "\n".join([*late, "The schedule does not turn, or a clock is wrong. Look further: sigc schedule list"])
        found[LATE] = Trouble("a run is due and has not begun", text)
    return found


def certificate_trouble(whose: str, ends: datetime, now: datetime) -> Trouble | None:
    """Return the problem of a certificate that expires within 14 days; None for any other."""
    found = certificate_ends(whose, ends, now)
    if found is None:
        return None
    title, text, days = found
    return Trouble(title, text, Urgency.CRITICAL if days < 3 else Urgency.WARNING, needs_patience=False)


def step(state: WatchState, sight: Observation, patience: timedelta, daemon: str) -> tuple[WatchState, list[Message]]:
    """Return the state after a look, and the messages about conditions that began or ended."""
    standing = dict(state.standing)
    messages: list[Message] = []
    for name, trouble in sight.found.items():
        before = standing.get(name)
        since = before.since if before is not None else sight.at
        was_told = before is not None and before.is_told
        is_due = not was_told and (not trouble.needs_patience or sight.at - since >= patience)
        if is_due:
            text = explained(f"{trouble.text}\nFirst seen {moment(since)}.", f"watch_{name}")
            messages.append(_message("raise", name, trouble.title, text, trouble.severity, since, sight.at, daemon))
        title = before.title if before is not None and was_told else trouble.title
        standing[name] = ActiveCondition(since, title, str(trouble.severity), was_told or is_due)
    for name in [n for n in standing if n not in sight.found and n not in sight.unknown]:
        over = standing.pop(name)
        if over.is_told:
            text = f"it is over\n{over.title}"
            severity = Urgency(over.severity)
            messages.append(_message("resolve", name, over.title, text, severity, over.since, sight.at, daemon))
    return replace(state, standing=standing), messages


def _message(
    kind: str, name: str, title: str, text: str, severity: Urgency, since: datetime, at: datetime, daemon: str
) -> Message:
    about = f"watch-{daemon}-{name}-{since.isoformat()}"
    return Message(f"{about}-{kind}", about, kind, severity, title, text, at, daemon, f"watch_{name}")
