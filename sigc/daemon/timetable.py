"""The running schedule: events go through `schedule.step`; the state is saved, then the actions are done.

One event at a time, in order:

    fires that are due, runs that begin and end, decisions of people   -> post(job, event)
    step(state, event) -> state, actions                               the state is durable before its actions are done
    StartRun -> begin(job, fire)        CancelRun -> cancel(run)       RecordMiss -> the ledger, DidNotRun -> alert
    FireFinished -> DependencyFinished for the jobs that wait for it

After a restart each job continues from its record (`schedule.record`). Calendars and missed fires: in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sigc import metrics as m
from sigc.calendar.sessions import Calendar
from sigc.clock import Clock
from sigc.daemon.decisions import ScheduleDecisions
from sigc.daemon.ledger_threads import LedgerThreads
from sigc.daemon.missed_reasons import detail_of
from sigc.errors import SigcError
from sigc.schedule.dependencies import dependents, needed, told
from sigc.schedule.job import TRADING, Condition, Fire, Job, fires, next_job_fires
from sigc.schedule.misfire import due
from sigc.schedule.record import restored, saved
from sigc.schedule.state import (
    Action,
    CancelRun,
    DidNotRun,
    Event,
    FireDue,
    FireMissed,
    JobState,
    PauseChanged,
    RecordMiss,
    Requested,
    RunFinished,
    Running,
    RunRefused,
    RunStarted,
    StartRun,
    Switched,
    Tick,
    Waiting,
    fresh,
)
from sigc.schedule.step import next_wake, step
from sigc.store.ledger import jobs as store
from sigc.store.ledger.ledger import Transaction

MISSED = "job.missed"
_LOOK_EVERY_S = 30.0  # between two looks while a fire waits for a condition
_AFTER_TROUBLE_S = 5.0
_LONGEST_SLEEP_S = 60.0  # bounds the delay after the wall clock was set forward
log = logging.getLogger("sigc.schedule")
Calendars = Mapping[str, Calendar]


@dataclass(frozen=True, slots=True)
class Duties:
    """The work that the timetable delegates.

    begin: start a run for a job's fire; returns its id, or '' and why not. fresh: True if a strategy's data are fresh.
    session: the ISO day that a run begun then trades, '' if unknown; from any thread. is_going: a run is under way.
    """

    begin: Callable[[Job, Fire], Awaitable[tuple[str, str]]]
    cancel: Callable[[str], bool]
    fresh: Callable[[str], Awaitable[bool]]
    alert: Callable[[Job, DidNotRun], None]
    session: Callable[[datetime], str] = lambda _: ""
    is_going: Callable[[str], bool] = lambda _: False


class Timetable:
    """The jobs of one daemon. Anyone in the loop queues events; `run` alone handles them, in order."""

    def __init__(self, books: LedgerThreads, metrics: m.DaemonMetrics, clock: Clock, duties: Duties) -> None:
        self._books, self._metrics, self._clock, self._duties = books, metrics, clock, duties
        self.states: dict[str, JobState] = {}
        self.handled: dict[str, datetime] = {}
        self.upcoming: dict[str, Fire | None] = {}
        self.calendars: Calendars = {}
        self.turned_at: datetime | None = None
        self._unwritten: list[tuple[str, Event]] = []
        self._queue: deque[tuple[Callable[[], Awaitable[None]], asyncio.Future[None] | None]] = deque()
        self._news = asyncio.Event()

    async def restore(
        self, jobs: tuple[Job, ...], calendars: Calendars, alive: datetime | None, decided: ScheduleDecisions
    ) -> None:
        """Continue where the last life ended; call it before `run`. alive: when that life was last seen, if known."""
        now = self._clock.now()
        self.calendars = calendars
        records = await self._books.read(store.states)
        done: dict[str, tuple[Action, ...]] = {}
        for job in jobs:
            record = records.get(job.name)
            if record is None:
                continue
            of_fires = await self._books.read(partial(store.of_fires, job=job.name))
            self.states[job.name], done[job.name] = restored(job, record["state"], now, alive or now, of_fires)
            # Fires of a changed trigger begin now: those that the new one would have had in the past were never due.
            same = record["trigger"] == repr(job.trigger)
            self.handled[job.name] = datetime.fromisoformat(record["handled"]) if same else now
        # All states are known before the first one moves: each job is told of what it depends on, whatever their order.
        for name, actions in done.items():
            await self._commit(name, self.states[name], actions)
            await self._end_runs(name)
        await self._adopt(jobs, calendars, decided)

    async def adopt(self, jobs: tuple[Job, ...], calendars: Calendars, decided: ScheduleDecisions) -> None:
        """Replace the jobs: those that stay keep their state."""
        await self._in_turn(lambda: self._adopt(jobs, calendars, decided))

    async def run(self) -> None:
        """Handle events and fires until cancelled."""
        while True:
            unwritten, self._unwritten = self._unwritten, []
            # Events that could not be saved go first and in their order; `extendleft` reverses, hence `reversed`.
            self._queue.extendleft((partial(self._take_in, *one), None) for one in reversed(unwritten))
            while self._queue:
                await self._handle(*self._queue.popleft())
            pause_s = _AFTER_TROUBLE_S if self._unwritten else 0.0
            try:
                await self._look()
            except Exception:
                log.exception("a turn of the schedule failed")
                pause_s = _AFTER_TROUBLE_S
            if not self._queue:
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), pause_s or self._sleep_s())

    async def settle(self) -> None:
        """Wait until every event queued so far is handled."""
        await self._in_turn(_nothing)

    def wake(self) -> None:
        """Look at the clock now."""
        self._news.set()

    # Events.

    def post(self, name: str, event: Event) -> None:
        """Queue an event of a job."""
        self._put(lambda: self._take_in(name, event), None)

    def hold(self, held: frozenset[str]) -> None:
        """Tell every job what is paused now: names of strategies, '' for all."""
        for name, state in self.states.items():
            self.post(name, PauseChanged("" in held or state.job.strategy in held, self._clock.now()))

    def began(self, run: str, strategy: str) -> None:
        """Tell the jobs of a strategy that a run by hand has begun: it counts as going on."""
        for name, state in self.states.items():
            if strategy and state.job.strategy == strategy:
                self.post(name, RunStarted(run, self._clock.now()))

    def ended(self, job: str, strategy: str, event: RunFinished) -> None:
        """Tell the jobs concerned that a run has ended, of a job or by hand."""
        for name, state in self.states.items():
            if name == job or (not job and strategy and state.job.strategy == strategy):
                self.post(name, event)

    async def request(self, one: Fire, force: bool) -> None:
        """Run a job now. Return when the request is accepted or refused."""
        await self._in_turn(lambda: self._apply(one.job, Requested(one, self._clock.now(), force)))

    async def switch(self, name: str, enabled: bool) -> None:
        """Enable or disable a job."""
        await self._in_turn(lambda: self._apply(name, Switched(enabled, self._clock.now())))

    def next_fires(self, most: int) -> tuple[tuple[Job, Fire], ...]:
        """Return the next fires of all enabled jobs, in order. May take long: call it in a thread."""
        now = self._clock.now()
        found: list[tuple[Job, Fire]] = []
        for state in list(self.states.values()):
            if state.enabled:
                calendar = self.calendars.get(state.job.calendar)
                with contextlib.suppress(SigcError):  # beyond the calendar's end nothing is known
                    found += [(state.job, one) for one in next_job_fires(state.job, now, most, calendar)]
        return tuple(sorted(found, key=lambda pair: (pair[1].at, pair[0].name))[:most])

    # One turn.

    async def _take_in(self, name: str, event: Event) -> None:
        """Apply an event; keep it for later if the ledger can't save it: the end of a run is told only once."""
        if any(name == waiting for waiting, _ in self._unwritten):  # events of a job keep their order
            self._unwritten.append((name, event))
            return
        before = self.states.get(name)
        try:
            await self._apply(name, event)
        except SigcError as error:
            # Retried only if nothing changed: an event whose state was saved must not be applied twice.
            if error.diagnostics[0].code != "E310" or self.states.get(name) is not before:
                raise
            log.error("can't save a schedule event yet, will retry: %s", error, extra={"job": name})
            self._unwritten.append((name, event))

    def _put(self, work: Callable[[], Awaitable[None]], done: asyncio.Future[None] | None) -> None:
        self._queue.append((work, done))
        self._news.set()

    async def _in_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(work, done)
        await done

    async def _handle(self, work: Callable[[], Awaitable[None]], done: asyncio.Future[None] | None) -> None:
        try:
            await work()
        except Exception as error:
            if done is None or done.done():
                log.exception("an event of the schedule failed")
            else:
                done.set_exception(error)
        else:
            if done is not None and not done.done():
                done.set_result(None)

    async def _adopt(self, jobs: tuple[Job, ...], calendars: Calendars, decided: ScheduleDecisions) -> None:
        now = self._clock.now()
        self.calendars = calendars
        for gone in self.states.keys() - {job.name for job in jobs}:
            for kept in (self.states, self.handled, self.upcoming):
                kept.pop(gone, None)
            self._metrics.leave("job", gone)
        for job in jobs:
            name, before = job.name, self.states.get(job.name)
            self._metrics.add(m.MISSES, 0, job=name)
            self.states[name] = fresh(job) if before is None else replace(before, job=job)
            if before is None or before.job.trigger != job.trigger:
                self.handled[name] = now
            self._plan_next(name)
            enabled = job.enabled and name not in decided.off
            await self._apply(
                name, Switched(enabled, now), PauseChanged(decided.holds(job.strategy), now), is_new=before is None
            )

    async def _look(self) -> None:
        """Handle the fires that are due; tick the jobs that wait."""
        now = self.turned_at = self._clock.now()
        for name, state in list(self.states.items()):
            one = self.upcoming.get(name)
            if one is not None and one.at <= now:
                await self._fire(name, state.job, now)
            state = self.states[name]
            wake = next_wake(state)
            if (wake is not None and wake <= now) or isinstance(state.phase, Waiting):
                await self._apply(name, Tick(now, await self._met(state.job, now)))

    async def _fire(self, name: str, job: Job, now: datetime) -> None:
        calendar = self.calendars.get(job.calendar)
        found = await asyncio.to_thread(due, job, self.handled[name], now, calendar)
        met = await self._met(job, now)
        if found.more:
            log.warning("too many missed fires: only the newest are recorded", extra={"job": name})
        jobs = {state.job.name: state.job for state in self.states.values()}
        events: list[Event] = [FireMissed(missed) for missed in found.misses]
        for one in found.runs:
            needs = await asyncio.to_thread(needed, job, one.planned, jobs, self.calendars)
            events.append(FireDue(one, now, needs, met))
        # `handled` is saved in the transaction of the fires' outcomes: after a crash no fire is lost or run twice.
        await self._apply(name, *events, is_new=True, handled=found.handled)
        self._plan_next(name)

    async def _met(self, job: Job, now: datetime) -> frozenset[Condition]:
        met: set[Condition] = set()
        if Condition.MARKET_OPEN in job.conditions:
            calendar = self.calendars.get(job.calendar)
            with contextlib.suppress(SigcError):
                if calendar is not None and calendar.is_open(now):
                    met.add(Condition.MARKET_OPEN)
        if Condition.DATA_FRESH in job.conditions and await self._duties.fresh(job.strategy):
            met.add(Condition.DATA_FRESH)
        return frozenset(met)

    async def _apply(self, name: str, *events: Event, is_new: bool = False, handled: datetime | None = None) -> None:
        """Apply events to a job: save its new state, then do the actions."""
        before = self.states.get(name)
        if before is None:
            return
        state, actions = before, tuple[Action, ...]()
        for event in events:
            state, more = step(state, event)
            actions += more
        if state != before or actions or is_new:
            await self._commit(name, state, actions, handled)

    async def _commit(
        self, name: str, state: JobState, actions: tuple[Action, ...], handled: datetime | None = None
    ) -> None:
        handled = handled or self.handled[name]
        # Saved first: a crash between the two finds a run that was planned and not begun, never one that is not on
        # record.
        await self._save(name, state, handled, actions, self.states.get(name, state))
        self.states[name], self.handled[name] = state, handled
        await self._do(name, actions)
        others = dependents(s.job for s in self.states.values()).get(name, ())
        for outcome in told(actions, self._clock.now()):
            for other in others:
                self.post(other, outcome)

    async def _save(
        self, name: str, state: JobState, handled: datetime, actions: tuple[Action, ...], before: JobState
    ) -> None:
        record = {"state": saved(state), "handled": handled.isoformat(), "trigger": repr(state.job.trigger)}
        misses = [action.miss for action in actions if isinstance(action, RecordMiss)]
        late, job = [action for action in actions if isinstance(action, DidNotRun)], state.job

        def write(tx: Transaction) -> None:
            store.save_state(tx, name, record)
            for miss in misses:
                store.miss(tx, name, miss.fire.planned, str(miss.reason), job.strategy)
            for one in late:
                trades, planned = job.kind in TRADING, one.fire.planned
                found = {"zone": job.zone, "detail": detail_of(tx.connection, before, one, tx.at)}
                found["session"] = self._duties.session(planned) if trades else ""
                more = {word: text for word, text in found.items() if text}
                store.did_not_run(tx, name, planned, str(one.reason), job.strategy, is_trading=trades, more=more)

        await self._books.write(write)
        for miss in misses:
            self._metrics.add(m.MISSES, job=name)
            self._metrics.add(m.ALERTS, event=MISSED, severity="warning")
            said = {"job": name, "planned": miss.fire.planned.isoformat(), "why": str(miss.reason)}
            log.warning("a fire does not run", extra=said)

    async def _do(self, name: str, actions: tuple[Action, ...]) -> None:
        for action in actions:
            match action:
                case StartRun(fire=one):
                    await self._start(name, one)
                case CancelRun(run=run):
                    self._duties.cancel(run)
                case DidNotRun():
                    self._duties.alert(self.states[name].job, action)
                case _:
                    pass

    async def _start(self, name: str, one: Fire) -> None:
        job, now = self.states[name].job, self._clock.now()
        try:
            run, why = await self._duties.begin(job, one)
        except Exception as error:
            log.exception("can't begin a run", extra={"job": name})
            run, why = "", f"{type(error).__name__}: {error}"
        if run:
            self._metrics.put(m.LAST_FIRE, now.timestamp(), job=name)
            self.post(name, RunStarted(run, now, one.planned))
        else:
            log.warning("a run is refused", extra={"job": name, "why": why})
            self.post(name, RunRefused(one.planned, now))

    async def _end_runs(self, name: str) -> None:
        """Report the end of runs that the restored state holds for running, except of those that are completed now."""
        state = self.states[name]
        runs = {*state.others, *([state.phase.run] if isinstance(state.phase, Running) else [])}
        for run in sorted(one for one in runs if not self._duties.is_going(one)):
            order = await self._books.read(partial(store.find, id=run))
            ok = order is not None and order.outcome.is_success
            before = order is not None and order.is_before_trading
            await self._apply(name, RunFinished(run, ok, self._clock.now(), before))

    def _plan_next(self, name: str) -> None:
        """Find the next fire of a job. Near fires are found fast, so this may run in the loop."""
        job, calendar = self.states[name].job, self.calendars.get(self.states[name].job.calendar)
        handled = self.handled[name]
        try:
            soon = fires(job, handled, handled + timedelta(days=1), calendar)
            found = soon[:1] or next_job_fires(job, handled, 1, calendar)
        except SigcError as error:
            log.error("can't compute the next fire: %s", error, extra={"job": name})
            found = ()
        self.upcoming[name] = found[0] if found else None
        if found:
            self._metrics.put(m.NEXT_FIRE, found[0].at.timestamp(), job=name)

    def _sleep_s(self) -> float:
        """Return the seconds until something new is due."""
        now, looked = self._clock.now(), self.turned_at
        times = [one.at for one in self.upcoming.values() if one is not None]
        wakes = (next_wake(state) for state in self.states.values())
        # A fire that waits for data was due long ago; counting it would make the loop spin.
        times += [wake for wake in wakes if wake is not None and (looked is None or wake > looked)]
        waits = any(isinstance(state.phase, Waiting) for state in self.states.values())
        longest = _LOOK_EVERY_S if waits else _LONGEST_SLEEP_S
        until = (min(times) - now).total_seconds() if times else longest
        return min(max(until, 0.001), longest)


async def _nothing() -> None:
    """Do nothing; `settle` waits for it."""
