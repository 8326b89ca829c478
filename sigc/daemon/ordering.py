"""Orders of runs: the order a fire stands for, and what forbids an order. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sigc.calendar.sessions import Calendar
from sigc.daemon.configured.configured import Configured
from sigc.daemon.decisions import ScheduleDecisions
from sigc.daemon.runner import RunOrder
from sigc.errors import Diagnostic, SigcError
from sigc.schedule.job import Fire, Job, JobKind, fires
from sigc.store.ledger.records import Outcome, RunKind

KINDS: Mapping[JobKind, str] = {JobKind.EXECUTE: RunKind.TRADE, JobKind.REBALANCE: RunKind.TRADE}


def kind_of(job: Job) -> str:
    """Return the kind of a job's runs.

    >>> kind_of(Job("a", JobKind.EXECUTE)), kind_of(Job("a", JobKind.COMPUTE))
    ('trade', 'compute')
    """
    return str(KINDS.get(job.kind, job.kind))


def slot_of(job: Job, one: Fire, calendar: Calendar | None) -> str:
    """Return the time of a fire (HHMM) if its job fires more than once that day, else ''.

    >>> from datetime import UTC, datetime
    >>> from sigc.schedule.job import fire
    >>> from sigc.schedule.triggers import Cron
    >>> job = Job("twice", trigger=Cron("0 9,15 * * *", "UTC"), zone="UTC", skip_holidays=False)
    >>> slot_of(job, fire(job, datetime(2024, 1, 2, 9, tzinfo=UTC)), None)
    '0900'
    """
    if one.by_hand or job.trigger is None:
        return ""
    zone = ZoneInfo(job.zone)
    local = one.planned.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    near = fires(job, midnight - timedelta(seconds=1), midnight + timedelta(days=1, hours=1), calendar)
    same = [other for other in near if other.planned.astimezone(zone).date() == local.date()]
    return f"{local:%H%M}" if len(same) > 1 else ""


def order_of(found: Configured, job: Job, one: Fire, id: str, calendar: Calendar | None) -> RunOrder:
    """Return the order that a fire of a job stands for."""
    entry = found.strategy(job.strategy)
    return RunOrder(
        id,
        job.strategy,
        Path() if entry is None else entry.file,
        "" if entry is None else entry.portfolio,
        kind_of(job),
        params={} if entry is None else entry.params,
        slot=slot_of(job, one, calendar),
        who=f"job {job.name}",
        capital=None if entry is None else entry.capital,
        job=job.name,
        fire=one.planned,
        command=job.command,
        is_scheduled=not one.by_hand,
    )


def check_order(order: RunOrder, found: Configured, decided: ScheduleDecisions, going: Sequence[str]) -> None:
    """Raise E901 if the settings, a pause or a run under way forbid the order. going: non-dry runs of its strategy."""
    if order.kind == RunKind.DRY:
        return
    entry = found.strategy(order.strategy)
    if entry is not None and not entry.enabled:
        raise refusal(f"strategy '{order.strategy}' is disabled in the configuration", "a dry run is possible")
    if decided.holds(order.strategy) and not order.is_forced:
        hint = "`sigc resume`, or run it with --force --reason '...'"
        raise refusal(f"strategy '{order.strategy}' is paused", hint)
    if going:
        hint = f"wait for it, or end it by `sigc runs cancel {going[0]}`"
        raise refusal(f"a run of '{order.strategy}' is under way: {going[0]}", hint)


def refusal(message: str, hint: str = "") -> SigcError:
    """Return the error for a call that the daemon's state forbids."""
    return SigcError(Diagnostic("E901", message, hint=hint))


def status_text(outcome: Outcome) -> str:
    """Return the word shown to people for an outcome.

    >>> status_text(Outcome.DONE), status_text(Outcome.UNCHANGED), status_text(Outcome.REFUSED)
    ('success', 'success', 'refused')
    """
    return "success" if outcome.is_success else str(outcome)
