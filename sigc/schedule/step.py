"""The state machine of a job: `step(state, event) -> (state, actions)`.

    idle -> waiting    for its dependencies, fresh data, its jitter
         -> starting   a run was requested
         -> running    -> idle, or retrying -> starting

Pure: it reads no clock and does nothing. The controller reports events with their time and does the actions. Laws
that the tests check:

    every fire ends once: as finished, or as a recorded miss with its reason
    a run is requested only when no run of the job is under way, scheduled or by hand
    an execute job is requested once a fire; a rebalance again only if it failed before it could trade
    paused or disabled jobs request no run except one wanted by hand

Read `state.py` first, then `step`. Neighbours: `misfire.py` gives the fires, `dependencies.py` finds the fires a
fire needs and passes on finished ones, `record.py` keeps states over a restart.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sigc.schedule.job import TRADING, Condition, Fire, Job, JobKind, Overlap, fire
from sigc.schedule.misfire import Miss, Reason
from sigc.schedule.state import (
    Action,
    CancelRun,
    DependencyFinished,
    DidNotRun,
    Event,
    FireDue,
    FireFinished,
    FireMissed,
    JobState,
    PauseChanged,
    Pending,
    QueueFire,
    RecordMiss,
    Requested,
    RetryAt,
    Retrying,
    RunFinished,
    Running,
    RunRefused,
    RunStarted,
    Starting,
    StartRun,
    Step,
    Switched,
    Tick,
    Waiting,
)

MOST_QUEUED = 16
LONGEST_BACKOFF_S = 3600.0
_LOUD = frozenset({Reason.DEPENDENCY, Reason.DEADLINE, Reason.REFUSED, Reason.QUEUE_FULL})
_QUIET = frozenset({Reason.PAUSED, Reason.DISABLED, Reason.MARKET_CLOSED})


def step(state: JobState, event: Event) -> Step:
    """Return the state after `event`, and the actions to do."""
    match event:
        case FireDue(fire=due, needed=needed, now=now, met=met):
            return _meet(state, Pending(due, needed), now, met)
        case Requested(fire=due, now=now, force=force):
            due = replace(due, by_hand=True)
            if state.paused and not force:
                return state, missed(state.job, due, Reason.PAUSED)
            return _meet(state, Pending(due), now, None)
        case FireMissed(miss=miss):
            return state, missed(state.job, miss.fire, miss.reason)
        case RunStarted():
            return _started(state, event)
        case RunRefused(planned=planned, now=now):
            # A late answer to a request that was given up meanwhile.
            if not isinstance(state.phase, Starting) or state.phase.pending.fire.planned != planned:
                return state, ()
            told = missed(state.job, state.phase.pending.fire, Reason.REFUSED)
            return _then(replace(state, phase=None), told, now)
        case RunFinished():
            return _finished(state, event)
        case DependencyFinished():
            return _dependency(state, event)
        case Tick(now=now, met=met):
            return _tick(state, now, met)
        case Switched(enabled=enabled, now=now):
            state = replace(state, enabled=enabled)
            return (state, ()) if enabled else _drop(state, Reason.DISABLED)
        case PauseChanged(paused=paused, now=now):
            state = replace(state, paused=paused)
            return _drop(state, Reason.PAUSED) if paused else (state, ())


def next_wake(state: JobState) -> datetime | None:
    """Return when a Tick is wanted at the latest; None if only events and conditions are awaited."""
    match state.phase:
        case None:
            return None
        case Retrying(at=at):
            return at
        case phase:
            one = phase.pending.fire
            ends = deadline(state.job, one) if state.alarmed != one.planned else None
            times = [at for at in (one.at if isinstance(phase, Waiting) else None, ends) if at is not None]
            return min(times, default=None)


def deadline(job: Job, one: Fire) -> datetime | None:
    """Return when the fire must have finished, None without a deadline."""
    return None if job.deadline_s is None else one.at + timedelta(seconds=job.deadline_s)


def missed(job: Job, one: Fire, reason: Reason) -> tuple[Action, ...]:
    """Return the record of a fire that does not run, and the alert if someone counts on the job.

    A run by hand raises no alert: the person gets the answer.
    """
    record = RecordMiss(Miss(one, reason))
    counted_on = job.deadline_s is not None or job.kind in TRADING
    loud = not one.by_hand and (reason in _LOUD or (counted_on and reason not in _QUIET))
    return (record, DidNotRun(one, reason)) if loud else (record,)


def _meet(state: JobState, pending: Pending, now: datetime, met: frozenset[Condition] | None) -> Step:
    """Handle a new fire: take it up if the job is idle, else apply the overlap policy."""
    job, one = state.job, pending.fire
    if not pending.fire.by_hand and not state.enabled:
        return state, missed(job, one, Reason.DISABLED)
    if not pending.fire.by_hand and state.paused:
        return state, missed(job, one, Reason.PAUSED)
    if not state.busy:
        return _take(state, pending, now, met)
    # Nothing has started, neither by the schedule nor from elsewhere: the waiting fire can be replaced.
    waits = isinstance(state.phase, Waiting) and not state.others
    match job.overlap:
        case Overlap.QUEUE if not (waits and pending.fire.by_hand):
            if len(state.queue) >= MOST_QUEUED:
                return state, missed(job, one, Reason.QUEUE_FULL)
            return replace(state, queue=(*state.queue, pending)), (QueueFire(one),)
        case Overlap.CANCEL_OLD if not waits:
            return _replace_run(state, pending, now, met)
        case _ if waits and isinstance(state.phase, Waiting):
            # The newer fire replaces a waiting one: else a dependency that never ends would stop the job for ever.
            told = missed(job, state.phase.pending.fire, Reason.NEWER)
            state, more = _take(replace(state, phase=None), pending, now, met)
            return state, told + more
        case _:
            return state, missed(job, one, Reason.OVERLAP)


def _replace_run(state: JobState, pending: Pending, now: datetime, met: frozenset[Condition] | None) -> Step:
    """Cancel the run under way and let the new fire follow (cancel_old)."""
    told: tuple[Action, ...] = ()
    match state.phase:
        case Waiting(pending=old):
            told, state = missed(state.job, old.fire, Reason.NEWER), replace(state, phase=None)
        case Retrying(pending=old):
            told, state = (FireFinished(old.fire, ok=False),), replace(state, phase=None)
        case _:
            pass
    if not state.busy:
        state, more = _take(state, pending, now, met)
        return state, told + more
    for old in state.queue:
        told += missed(state.job, old.fire, Reason.NEWER)
    runs = {*state.others, *([state.phase.run] if isinstance(state.phase, Running) else [])}
    # A queue that is not empty means that the runs were cancelled already.
    ends = () if state.queue else tuple(CancelRun(run) for run in sorted(runs))
    return replace(state, queue=(pending,)), (*told, *ends, QueueFire(pending.fire))


def _take(state: JobState, pending: Pending, now: datetime, met: frozenset[Condition] | None) -> Step:
    """Start a fire, let it wait, or miss it. The job is idle. `met` None: the conditions are not known now."""
    job, one = state.job, pending.fire
    ready = True
    if not pending.fire.by_hand:
        reason, ready = _readiness(state, pending, now, met)
        if reason is not None:
            return replace(state, phase=None), missed(job, one, reason)
    if not ready:
        return replace(state, phase=Waiting(pending)), ()
    return replace(state, phase=Starting(pending, 1)), (StartRun(one, 1),)


def _readiness(
    state: JobState, pending: Pending, now: datetime, met: frozenset[Condition] | None
) -> tuple[Reason | None, bool]:
    """Return why a fire can't start any more (None if it can), and True if it can start now."""
    job, one = state.job, pending.fire
    ends = deadline(job, one)
    if ends is not None and now >= ends:
        return Reason.DEADLINE, False
    results = [(state.result(name), planned) for name, planned in pending.needed]
    ended = [r for r, planned in results if r is not None and r.planned >= planned]
    if not all(r.ok for r in ended):
        return Reason.DEPENDENCY, False
    if len(ended) < len(results) or one.at > now:
        return None, False
    if met is not None and Condition.MARKET_OPEN in job.conditions - met:
        return Reason.MARKET_CLOSED, False
    return None, not job.conditions - (met or frozenset())


def _then(state: JobState, actions: tuple[Action, ...], now: datetime) -> Step:
    """Take up the queue after a fire has ended; go on while the fires taken up end at once."""
    while not state.busy and state.queue:
        head, rest = state.queue[0], state.queue[1:]
        state, more = _take(replace(state, queue=rest), head, now, None)
        actions += more
    return state, actions


def _started(state: JobState, event: RunStarted) -> Step:
    phase = state.phase
    if not isinstance(phase, Starting) or event.planned != phase.pending.fire.planned:
        return replace(state, others=state.others | {event.run}), ()
    state = replace(state, phase=Running(phase.pending, phase.attempt, event.run))
    # A newer fire came while this run was starting; it could not be cancelled before it had an id.
    ends = state.job.overlap is Overlap.CANCEL_OLD and bool(state.queue)
    return state, (CancelRun(event.run),) if ends else ()


def _finished(state: JobState, event: RunFinished) -> Step:
    phase = state.phase
    if not isinstance(phase, Running) or event.run != phase.run:
        return _then(replace(state, others=state.others - {event.run}), (), event.now)
    one = phase.pending.fire
    if not event.ok and _may_retry(state, phase, event):
        at = event.now + timedelta(seconds=_backoff_s(state.job, phase.attempt))
        ends = deadline(state.job, one)
        # No retry that would begin after the deadline.
        if ends is None or at <= ends:
            state = replace(state, phase=Retrying(phase.pending, phase.attempt + 1, at))
            return state, (RetryAt(one, phase.attempt + 1, at),)
    return _then(replace(state, phase=None), (FireFinished(one, event.ok),), event.now)


def _may_retry(state: JobState, phase: Running, event: RunFinished) -> bool:
    job = state.job
    if event.cancelled or phase.attempt > job.retries or state.paused or not state.enabled:
        return False
    if job.overlap is Overlap.CANCEL_OLD and state.queue:
        return False
    # A second try must never repeat an order that may have been sent.
    return job.kind is not JobKind.EXECUTE and (job.kind not in TRADING or event.before_trading)


def _backoff_s(job: Job, attempt: int) -> float:
    # The exponent is bounded, or a float would overflow; a first wait longer than the bound stays as configured.
    return min(job.backoff_s * 2.0 ** min(attempt - 1, 30), max(job.backoff_s, LONGEST_BACKOFF_S))


def _dependency(state: JobState, event: DependencyFinished) -> Step:
    job, result = state.job, event.result
    if result.job not in job.depends_on:
        return state, ()
    known = state.result(result.job)
    # Results may arrive out of order: an older one must not replace a newer one.
    if known is None or known.planned <= result.planned:
        # Only the newest result of each job is kept, so the state stays small.
        others = (r for r in state.finished if r.job != result.job)
        state = replace(state, finished=tuple(sorted((*others, result), key=lambda r: r.job)))
    chained = _chain(state) if job.trigger is None and result.ok else None
    if chained is not None:
        return _meet(replace(state, chained=chained), Pending(fire(job, chained)), event.now, None)
    if isinstance(state.phase, Waiting) and not state.others:
        return _again(state, state.phase, event.now, None)
    return state, ()


def _chain(state: JobState) -> datetime | None:
    """Return the fire made by dependencies alone, None if there is none.

    All of them must have succeeded on one day of the job's zone, and that day must not be used already.
    """
    results = [state.result(name) for name in state.job.depends_on]
    ended = [r.planned for r in results if r is not None and r.ok]
    zone = ZoneInfo(state.job.zone)
    if len(ended) < len(results) or len({at.astimezone(zone).date() for at in ended}) != 1:
        return None
    latest = max(ended)
    return latest if state.chained is None or latest > state.chained else None


def _again(state: JobState, phase: Waiting, now: datetime, met: frozenset[Condition] | None) -> Step:
    """Check again whether the waiting fire can start."""
    state, actions = _take(state, phase.pending, now, met)
    return _then(state, actions, now)


def _tick(state: JobState, now: datetime, met: frozenset[Condition]) -> Step:
    phase = state.phase
    if phase is None:
        return _then(state, (), now)
    one = phase.pending.fire
    ends = deadline(state.job, one)
    late = ends is not None and now >= ends
    match phase:
        case Waiting():
            # A run from elsewhere is under way: wait for its end, but not beyond the deadline.
            if state.others and not late:
                return state, ()
            return _again(state, phase, now, met)
        case Retrying(at=at, attempt=attempt):
            if late:
                over = (FireFinished(one, ok=False), DidNotRun(one, Reason.DEADLINE))
                return _then(replace(state, phase=None), over, now)
            if now < at or state.others:
                return state, ()
            # The market closed while the retry waited.
            if not phase.pending.fire.by_hand and Condition.MARKET_OPEN in state.job.conditions - met:
                return _then(replace(state, phase=None), (FireFinished(one, ok=False),), now)
            state = replace(state, phase=Starting(phase.pending, attempt))
            return state, (StartRun(one, attempt),)
        case _:
            if late and state.alarmed != one.planned:
                return replace(state, alarmed=one.planned), (DidNotRun(one, Reason.DEADLINE),)
            return state, ()


def _drop(state: JobState, reason: Reason) -> Step:
    """Drop everything that has not started; runs under way go on."""
    actions: tuple[Action, ...] = ()
    match state.phase:
        case Waiting(pending=pending):
            actions = missed(state.job, pending.fire, reason)
            state = replace(state, phase=None)
        case Retrying(pending=pending):
            actions = (FireFinished(pending.fire, ok=False),)
            state = replace(state, phase=None)
        case _:
            pass
    for pending in state.queue:
        actions += missed(state.job, pending.fire, reason)
    return replace(state, queue=()), actions
