"""Job states as JSON, and their recovery after a restart.

`saved` loses nothing. `restored` applies the misfire policy to fires that had not started when the daemon went away:
after more than `grace_s` of downtime they are missed (skip), or the newest (latest) or all that are young enough
(all) go on. Runs under way stay so until the controller reports their end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sigc.schedule.job import TRADING, Fire, Job, Misfire
from sigc.schedule.misfire import Reason
from sigc.schedule.state import (
    FireResult,
    JobState,
    Pending,
    Phase,
    Retrying,
    Running,
    Starting,
    Step,
    Waiting,
)
from sigc.schedule.step import missed


def saved(state: JobState) -> dict[str, Any]:
    """Return `state` without its job, as JSON values."""
    return {
        "enabled": state.enabled,
        "paused": state.paused,
        "phase": None if state.phase is None else _phase_saved(state.phase),
        "queue": [_pending_saved(pending) for pending in state.queue],
        "others": sorted(state.others),
        "finished": [[r.job, r.planned.isoformat(), r.ok] for r in state.finished],
        "chained": _text(state.chained),
        "alarmed": _text(state.alarmed),
    }


def read(job: Job, record: Mapping[str, Any]) -> JobState:
    """Return the state that was `saved`, under the job as it is configured now."""
    return JobState(
        job,
        record["enabled"],
        record["paused"],
        _phase(job, record["phase"]),
        tuple(_pending(job, pending) for pending in record["queue"]),
        frozenset(record["others"]),
        tuple(FireResult(name, datetime.fromisoformat(at), ok) for name, at, ok in record["finished"]),
        _instant(record["chained"]),
        _instant(record["alarmed"]),
    )


def restored(job: Job, record: Mapping[str, Any], now: datetime, alive: datetime, runs: Mapping[datetime, str]) -> Step:
    """Return the state to go on with at `now` and the actions to record. alive: when the daemon was last seen.

    runs: the job's runs by fire, over or not, for a run that was asked for and began just before the end; the
    controller
    then reports how it ended. A trade that did not begin for certain is not asked for again.
    """
    state, actions = _began(read(job, record), now, runs)
    if now - alive <= timedelta(seconds=job.grace_s):
        return state, actions
    held = [state.phase.pending] if isinstance(state.phase, Waiting | Retrying) else []
    kept = _kept(job, [*held, *state.queue], now)
    for pending in (*held, *state.queue):
        if pending not in kept:
            young = now - pending.fire.at <= timedelta(seconds=job.misfire_window_s)
            actions += missed(job, pending.fire, Reason.LATE if young else Reason.TOO_OLD)
    queue = tuple(pending for pending in state.queue if pending in kept)
    if held and held[0] not in kept:
        state = replace(state, phase=None)
    if queue and not state.busy:
        state, queue = replace(state, phase=Waiting(queue[0])), queue[1:]
    return replace(state, queue=queue), actions


def _began(state: JobState, now: datetime, runs: Mapping[datetime, str]) -> Step:
    """Decide about a run that was asked for: it goes on, begins again, or is missed."""
    if not isinstance(state.phase, Starting):
        return state, ()
    pending, attempt = state.phase.pending, state.phase.attempt
    run = runs.get(pending.fire.planned)
    if run is not None:
        return replace(state, phase=Running(pending, attempt, run)), ()
    # The run may have been asked for and died before it was recorded. For a trade the safe answer is a miss.
    if state.job.kind in TRADING:
        return replace(state, phase=None), missed(state.job, pending.fire, Reason.LATE)
    again = Retrying(pending, attempt, now) if attempt > 1 else Waiting(pending)
    return replace(state, phase=again), ()


def _kept(job: Job, pending: list[Pending], now: datetime) -> list[Pending]:
    young = [p for p in pending if now - p.fire.at <= timedelta(seconds=job.misfire_window_s)]
    match job.misfire_policy:
        case Misfire.SKIP:
            return []
        case Misfire.LATEST:
            return young[-1:]
        case Misfire.ALL:
            return young


def _phase_saved(phase: Phase) -> dict[str, Any]:
    match phase:
        case Waiting(pending=pending):
            return {"name": "waiting", "pending": _pending_saved(pending)}
        case Starting(pending=pending, attempt=attempt):
            return {"name": "starting", "pending": _pending_saved(pending), "attempt": attempt}
        case Running(pending=pending, attempt=attempt, run=run):
            return {"name": "running", "pending": _pending_saved(pending), "attempt": attempt, "run": run}
        case Retrying(pending=pending, attempt=attempt, at=at):
            kept = _pending_saved(pending)
            return {"name": "retrying", "pending": kept, "attempt": attempt, "at": at.isoformat()}


def _phase(job: Job, record: Mapping[str, Any] | None) -> Phase | None:
    if record is None:
        return None
    pending = _pending(job, record["pending"])
    match record["name"]:
        case "waiting":
            return Waiting(pending)
        case "starting":
            return Starting(pending, record["attempt"])
        case "running":
            return Running(pending, record["attempt"], record["run"])
        case "retrying":
            return Retrying(pending, record["attempt"], datetime.fromisoformat(record["at"]))
        case other:
            raise ValueError(f"no phase of a job is named '{other}'")


def _pending_saved(pending: Pending) -> dict[str, Any]:
    one = pending.fire
    needed = [[name, at.isoformat()] for name, at in pending.needed]
    return {"planned": one.planned.isoformat(), "at": one.at.isoformat(), "by_hand": one.by_hand, "needed": needed}


def _pending(job: Job, record: Mapping[str, Any]) -> Pending:
    planned, at = datetime.fromisoformat(record["planned"]), datetime.fromisoformat(record["at"])
    needed = tuple((str(name), datetime.fromisoformat(fired)) for name, fired in record["needed"])
    return Pending(Fire(planned, at, job.name, bool(record["by_hand"])), needed)


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
