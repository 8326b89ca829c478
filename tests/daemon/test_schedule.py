"""What happens to fires: laws over random histories, the rules one by one, and a year of a small desk."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.calendar import Calendar, open_calendar
from sigc.daemon.dependencies import dependents, needed, told
from sigc.daemon.job_record import read, restored, saved
from sigc.daemon.job_state import (
    Action,
    CancelRun,
    DependencyFinished,
    DidNotRun,
    Event,
    FireDue,
    FireFinished,
    FireMissed,
    Held,
    JobState,
    Pending,
    QueueFire,
    RecordMiss,
    Requested,
    Result,
    RetryAt,
    Retrying,
    RunFinished,
    Running,
    RunRefused,
    RunStarted,
    Starting,
    StartRun,
    Switched,
    Tick,
    Waiting,
    fresh,
)
from sigc.daemon.jobs import Condition, Fire, Job, Kind, Misfire, Overlap, fire
from sigc.daemon.misfire import Miss, Reason, due
from sigc.daemon.schedule import MOST_QUEUED, next_wake, step
from sigc.daemon.triggers import parse_trigger

NEW_YORK = ZoneInfo("America/New_York")
T = datetime(2024, 3, 4, 14, tzinfo=UTC)
S = timedelta(seconds=1)
BOTH = frozenset(Condition)


def after(seconds: float) -> datetime:
    return T + seconds * S


def one(job: Job, seconds: float = 0) -> Fire:
    return fire(job, after(seconds))


def walk(state: JobState, *events: Event) -> tuple[JobState, list[Action]]:
    """The state after the events, and the actions of the last of them."""
    actions: tuple[Action, ...] = ()
    for event in events:
        state, actions = step(state, event)
    return state, list(actions)


def misses(actions: list[Action] | tuple[Action, ...]) -> list[tuple[Fire, Reason]]:
    return [(a.miss.fire, a.miss.reason) for a in actions if isinstance(a, RecordMiss)]


# Laws over random histories.


class Watch:
    """Plays a controller at random and holds every step to the laws."""

    def __init__(self, job: Job) -> None:
        self.state = fresh(job)
        self.now = T
        self.given: list[Fire] = []
        self.ended: Counter[Fire] = Counter()
        self.starts: Counter[Fire] = Counter()
        self.asked: Fire | None = None  # a start without an answer
        self.runs: dict[str, Fire | None] = {}  # going on; None: from elsewhere
        self.sure: set[Fire] = set()  # failed before trading, last time
        self.number = 0

    def tell(self, event: Event) -> None:
        before = self.state
        self.state, actions = step(before, event)
        for action in actions:
            self.check(action)
        self.check_fires()
        record = json.loads(json.dumps(saved(self.state)))
        assert read(before.job, record) == self.state
        assert hash(self.state) == hash(read(before.job, record))

    def check(self, action: Action) -> None:
        job = self.state.job
        match action:
            case StartRun(fire=begun, attempt=attempt):
                assert self.asked is None
                assert not self.runs
                assert begun.by_hand or (self.state.enabled and not self.state.paused)
                self.starts[begun] += 1
                assert attempt == self.starts[begun] <= job.retries + 1
                if attempt > 1:
                    assert job.kind is not Kind.EXECUTE
                    assert job.kind is not Kind.REBALANCE or begun in self.sure
                self.asked = begun
            case CancelRun(run=run):
                assert run in self.runs
                assert job.overlap is Overlap.CANCEL_OLD
            case RecordMiss(miss=miss):
                assert miss.fire not in self.starts or miss.reason is Reason.REFUSED
                self.ended[miss.fire] += 1
            case FireFinished(fire=over):
                assert over in self.starts
                self.ended[over] += 1
            case RetryAt(fire=again, attempt=attempt, at=at):
                assert self.starts[again] == attempt - 1
                assert at - self.now == job.backoff_s * 2 ** (attempt - 2) * S
            case QueueFire():
                assert job.overlap is not Overlap.SKIP
            case DidNotRun(fire=quiet):
                assert not quiet.by_hand or job.deadline_s is not None

    def check_fires(self) -> None:
        """Every fire is either over, once, or in the state, once."""
        held = [p.fire for p in self.state.queue] + ([self.state.phase.pending.fire] if self.state.phase else [])
        assert len(held) == len(set(held))
        for known in self.given:
            assert self.ended[known] + held.count(known) == 1, known
        assert self.state.busy or not self.state.queue
        assert len(self.state.queue) <= MOST_QUEUED
        places = [self.given.index(p.fire) for p in self.state.queue]
        assert places == sorted(places)

    def turn(self, what: str, data: st.DataObject) -> None:
        job = self.state.job
        self.now += data.draw(st.sampled_from([1, 5, 40, 400])) * S
        met = data.draw(st.sampled_from([BOTH, BOTH, frozenset[Condition]()]))
        match what:
            case "fire" if job.trigger is not None:
                self.given.append(fire(job, self.now))
                since = data.draw(st.sampled_from([0, 100]))
                self.tell(
                    FireDue(self.given[-1], self.now, tuple((d, self.now - since * S) for d in job.depends_on), met)
                )
            case "by hand":
                self.given.append(Fire(self.now, self.now, job.name, True))
                self.tell(Requested(Fire(self.now, self.now, job.name), self.now, data.draw(st.booleans())))
            case "answer" if self.asked is not None:
                begun, self.asked = self.asked, None
                if data.draw(st.integers(0, 4)) == 0:
                    self.tell(RunRefused(begun.planned, self.now))
                else:
                    self.number += 1
                    self.runs[f"run{self.number}"] = begun
                    self.tell(RunStarted(f"run{self.number}", self.now, begun.planned))
            case "elsewhere" if not self.runs and self.asked is None:
                self.number += 1
                self.runs[f"run{self.number}"] = None
                self.tell(RunStarted(f"run{self.number}", self.now))
            case "end" if self.runs:
                run = data.draw(st.sampled_from(sorted(self.runs)))
                begun_or_none, sure = self.runs.pop(run), data.draw(st.booleans())
                if begun_or_none is not None:
                    (self.sure.add if sure else self.sure.discard)(begun_or_none)
                self.tell(RunFinished(run, data.draw(st.booleans()), self.now, sure, data.draw(st.integers(0, 5)) == 0))
            case "dependency" if job.depends_on:
                result = Result(
                    job.depends_on[0], self.now - data.draw(st.sampled_from([0, 50])) * S, data.draw(st.booleans())
                )
                chained = self.state.chained
                # A job that its dependencies alone start is given its fires by them.
                before = {p.fire for p in self.held()}
                state, _ = step(self.state, DependencyFinished(result, self.now))
                if state.chained != chained and state.chained is not None:
                    assert fire(job, state.chained) not in before
                    self.given.append(fire(job, state.chained))
                self.tell(DependencyFinished(result, self.now))
            case "switch":
                self.tell(Switched(data.draw(st.booleans()), self.now))
            case "hold":
                self.tell(Held(data.draw(st.booleans()), self.now))
            case _:
                self.tell(Tick(self.now, met))

    def held(self) -> list[Pending]:
        return [*self.state.queue, *([self.state.phase.pending] if self.state.phase else [])]


WATCHED = st.builds(
    Job,
    name=st.just("watched"),
    kind=st.sampled_from(list(Kind)),
    trigger=st.sampled_from([parse_trigger("0 * * * *", "UTC"), None]),
    conditions=st.sets(st.sampled_from(list(Condition))).map(frozenset),
    depends_on=st.sampled_from([(), ("other",)]),
    retries=st.integers(0, 3),
    backoff_s=st.sampled_from([1.0, 30.0]),
    deadline_s=st.sampled_from([None, 60.0, 1000.0]),
    overlap=st.sampled_from(list(Overlap)),
)
TURNS = st.sampled_from(
    ["fire", "fire", "by hand", "answer", "answer", "elsewhere", "end", "end", "tick", "dependency", "switch", "hold"]
)


@settings(deadline=None, max_examples=400)
@given(WATCHED, st.lists(TURNS, max_size=60), st.data())
def test_laws_of_any_history(job: Job, turns: list[str], data: st.DataObject) -> None:
    watch = Watch(job)
    for what in turns:
        watch.turn(what, data)


@pytest.mark.soak
@settings(deadline=None, max_examples=20_000)
@given(WATCHED, st.lists(TURNS, max_size=200), st.data())
def test_laws_of_many_histories(job: Job, turns: list[str], data: st.DataObject) -> None:
    watch = Watch(job)
    for what in turns:
        watch.turn(what, data)


# Rules one by one.


def test_a_fire_that_needs_nothing_starts_at_once() -> None:
    job = Job("a")
    state, actions = walk(fresh(job), FireDue(one(job), T))
    assert actions == [StartRun(one(job), 1)]
    state, actions = walk(state, RunStarted("r", T, T), RunFinished("r", True, after(9)))
    assert actions == [FireFinished(one(job), True)]
    assert state == fresh(job)


def test_a_fire_waits_for_what_it_needs() -> None:
    job = Job("trade", Kind.EXECUTE, depends_on=("signals",), trigger=parse_trigger("open+5m", "UTC"))
    due_now = FireDue(one(job), T, (("signals", after(-3600)),))
    state, actions = walk(fresh(job), DependencyFinished(Result("signals", after(-90_000), True), T), due_now)
    assert (state.phase, actions) == (Waiting(Pending(one(job), due_now.needed)), [])
    state, actions = walk(state, DependencyFinished(Result("other", T, False), T), Tick(after(60)))
    assert actions == []
    assert walk(state, DependencyFinished(Result("signals", after(-3600), True), after(90)))[1] == [
        StartRun(one(job), 1)
    ]
    failed = walk(state, DependencyFinished(Result("signals", after(-3600), False), after(90)))
    assert failed[0].phase is None
    assert failed[1] == [RecordMiss(Miss(one(job), Reason.DEPENDENCY)), DidNotRun(one(job), Reason.DEPENDENCY)]


def test_what_has_finished_before_is_known() -> None:
    job = Job("trade", depends_on=("signals",), trigger=parse_trigger("0 * * * *", "UTC"))
    for ok, expected in ((True, StartRun(one(job), 1)), (False, None)):
        finished = DependencyFinished(Result("signals", T, ok), T)
        _, actions = walk(fresh(job), finished, FireDue(one(job), T, (("signals", T),)))
        assert (expected in actions) == ok
    older = DependencyFinished(Result("signals", after(-60), True), T)
    _, actions = walk(
        fresh(job), DependencyFinished(Result("signals", T, False), T), older, FireDue(one(job), T, (("signals", T),))
    )
    assert [reason for _, reason in misses(actions)] == [Reason.DEPENDENCY]


def test_a_closed_market_ends_a_fire_and_stale_data_hold_it_back() -> None:
    job = Job("a", conditions=BOTH)
    only_open, only_fresh = frozenset({Condition.MARKET_OPEN}), frozenset({Condition.DATA_FRESH})
    state, actions = walk(fresh(job), FireDue(one(job), T, met=only_fresh))
    assert misses(actions) == [(one(job), Reason.MARKET_CLOSED)]
    state, actions = walk(fresh(job), FireDue(one(job), T, met=only_open))
    assert isinstance(state.phase, Waiting)
    assert walk(state, Tick(after(60), BOTH))[1] == [StartRun(one(job), 1)]
    assert misses(walk(state, Tick(after(60), only_fresh))[1]) == [(one(job), Reason.MARKET_CLOSED)]


def test_a_deadline_ends_waiting_and_tells_of_running() -> None:
    job = Job("a", conditions=frozenset({Condition.DATA_FRESH}), deadline_s=600)
    state, _ = walk(fresh(job), FireDue(one(job), T))
    assert next_wake(state) == T
    late, actions = walk(state, Tick(after(599)), Tick(after(600), BOTH))
    assert misses(actions) == [(one(job), Reason.DEADLINE)]
    assert DidNotRun(one(job), Reason.DEADLINE) in actions
    assert late.phase is None
    state, _ = walk(state, Tick(after(1), BOTH), RunStarted("r", after(2), T))
    assert next_wake(state) == after(600)
    state, actions = walk(state, Tick(after(600)))
    assert actions == [DidNotRun(one(job), Reason.DEADLINE)]
    assert isinstance(state.phase, Running)
    assert next_wake(state) is None
    assert walk(state, Tick(after(700)))[1] == []


def test_a_failed_run_is_tried_again_ever_later() -> None:
    job = Job("a", retries=3, backoff_s=10)
    state, now, waits = walk(fresh(job), FireDue(one(job), T))[0], 0.0, []
    for attempt in (1, 2, 3):
        run = f"r{attempt}"
        state, (action,) = walk(state, RunStarted(run, after(now), T), RunFinished(run, False, after(now)))
        assert isinstance(action, RetryAt)
        waits.append((action.at - after(now)).total_seconds())
        assert next_wake(state) == action.at
        assert walk(state, Tick(action.at - S))[1] == []
        now = (action.at - T).total_seconds()
        state, actions = walk(state, Tick(action.at))
        assert actions == [StartRun(one(job), attempt + 1)]
    assert waits == [10, 20, 40]
    state, actions = walk(state, RunStarted("r4", after(now), T), RunFinished("r4", False, after(now)))
    assert actions == [FireFinished(one(job), False)]


@pytest.mark.parametrize(
    ("kind", "before_trading", "again"),
    [
        (Kind.COMPUTE, False, True),
        (Kind.DATA_REFRESH, False, True),
        (Kind.EXECUTE, False, False),
        (Kind.EXECUTE, True, False),
        (Kind.REBALANCE, False, False),
        (Kind.REBALANCE, True, True),
    ],
)
def test_what_may_have_traded_is_not_tried_again(kind: Kind, before_trading: bool, again: bool) -> None:
    job = Job("a", kind, retries=5)
    ended = RunFinished("r", False, after(1), before_trading)
    state, actions = walk(fresh(job), FireDue(one(job), T), RunStarted("r", T, T), ended)
    assert isinstance(state.phase, Retrying) == again
    assert (actions == [FireFinished(one(job), False)]) != again


def test_no_second_try_after_the_deadline_or_a_cancel_or_the_close() -> None:
    job = Job("a", retries=5, backoff_s=30, deadline_s=60, conditions=frozenset({Condition.MARKET_OPEN}))
    state, _ = walk(fresh(job), FireDue(one(job), T, met=BOTH), RunStarted("r", T, T))
    over = [FireFinished(one(job), False)]
    assert walk(state, RunFinished("r", False, after(31)))[1] == over
    assert walk(state, RunFinished("r", False, after(1), cancelled=True))[1] == over
    assert walk(state, RunFinished("r", False, after(1)), Tick(after(31)))[1] == over
    assert walk(state, RunFinished("r", False, after(1)), Tick(after(61), BOTH))[1] == [
        *over,
        DidNotRun(one(job), Reason.DEADLINE),
    ]


def busy(job: Job, by_hand: bool) -> JobState:
    if by_hand:
        return walk(fresh(job), RunStarted("old", T))[0]
    return walk(fresh(job), FireDue(one(job), T), RunStarted("old", T, T))[0]


@pytest.mark.parametrize("by_hand", [False, True])
def test_overlap_with_runs_scheduled_and_by_hand(by_hand: bool) -> None:
    skip, queue, cancel = (Job("a", overlap=overlap) for overlap in Overlap)
    second, third = FireDue(one(skip, 60), after(60)), FireDue(one(skip, 120), after(120))
    end = RunFinished("old", True, after(130))

    state, actions = walk(busy(skip, by_hand), second)
    assert misses(actions) == [(second.fire, Reason.OVERLAP)]
    assert not [a for a in walk(state, end)[1] if isinstance(a, StartRun)]

    state, actions = walk(busy(queue, by_hand), second, third)
    assert actions == [QueueFire(third.fire)]
    state, actions = walk(state, end)
    assert actions[-1] == StartRun(second.fire, 1)
    state, actions = walk(state, RunStarted("r", after(130), second.fire.planned), RunFinished("r", False, after(140)))
    assert actions == [FireFinished(second.fire, False), StartRun(third.fire, 1)]

    state, actions = walk(busy(cancel, by_hand), second)
    assert actions == [CancelRun("old"), QueueFire(second.fire)]
    state, actions = walk(state, third)
    assert misses(actions) == [(second.fire, Reason.NEWER)]
    assert not [a for a in actions if isinstance(a, CancelRun)]
    assert walk(state, RunFinished("old", False, after(130), cancelled=True))[1][-1] == StartRun(third.fire, 1)


def test_what_waits_waits_for_runs_from_elsewhere_too() -> None:
    job = Job("a", conditions=frozenset({Condition.DATA_FRESH}), depends_on=("b",), retries=1)
    elsewhere, over = RunStarted("hand", after(40)), RunFinished("hand", True, after(200))
    waits, _ = walk(
        fresh(job), FireDue(one(job), T, (("b", T),)), elsewhere, DependencyFinished(Result("b", T, True), T)
    )
    assert waits.phase == Waiting(Pending(one(job), (("b", T),)))
    waits, actions = walk(waits, Tick(after(100), BOTH))
    assert actions == []
    assert walk(waits, over, Tick(after(201), BOTH))[1] == [StartRun(one(job), 1)]
    plain = Job("a", depends_on=("b",), trigger=parse_trigger("0 * * * *", "UTC"))
    held, actions = walk(
        fresh(plain), FireDue(one(plain), T, (("b", T),)), elsewhere, DependencyFinished(Result("b", T, True), T)
    )
    assert actions == []
    assert walk(held, over, Tick(after(201)))[1] == [StartRun(one(plain), 1)]
    failed = (RunStarted("r", T, T), RunFinished("r", False, T), elsewhere)
    retries, _ = walk(fresh(job), FireDue(one(job), T, met=BOTH), *failed)
    retries, actions = walk(retries, Tick(after(100), BOTH))
    assert actions == []
    assert walk(retries, over, Tick(after(201), BOTH))[1] == [StartRun(one(job), 2)]


def test_a_run_that_was_only_asked_for_is_cancelled_when_it_begins() -> None:
    job = Job("a", overlap=Overlap.CANCEL_OLD)
    state, actions = walk(fresh(job), FireDue(one(job), T), FireDue(one(job, 60), after(60)))
    assert isinstance(state.phase, Starting)
    assert actions == [QueueFire(one(job, 60))]
    assert walk(state, RunStarted("r", after(61), T))[1] == [CancelRun("r")]
    assert walk(state, RunRefused(T, after(61)))[1][-1] == StartRun(one(job, 60), 1)


def test_a_newer_fire_takes_the_place_of_one_that_waits() -> None:
    job = Job("a", conditions=frozenset({Condition.DATA_FRESH}))
    _, actions = walk(fresh(job), FireDue(one(job), T), FireDue(one(job, 60), after(60), met=BOTH))
    assert misses(actions) == [(one(job), Reason.NEWER)]
    assert actions[-1] == StartRun(one(job, 60), 1)


def test_a_queue_is_bounded() -> None:
    job = Job("a", overlap=Overlap.QUEUE)
    state = busy(job, False)
    for n in range(1, MOST_QUEUED + 1):
        state, actions = walk(state, FireDue(one(job, n), after(n)))
    assert actions == [QueueFire(one(job, MOST_QUEUED))]
    state, actions = walk(state, FireDue(one(job, 99), after(99)))
    assert misses(actions) == [(one(job, 99), Reason.QUEUE_FULL)]


def test_by_hand_waits_for_nothing_and_runs_what_is_disabled() -> None:
    job = Job("a", conditions=BOTH, depends_on=("b",), enabled=False)
    wanted = Fire(T, T, "a", True)
    assert walk(fresh(job), Requested(Fire(T, T, "a"), T))[1] == [StartRun(wanted, 1)]
    paused = Held(True, T)
    assert misses(walk(fresh(job), paused, Requested(wanted, T))[1]) == [(wanted, Reason.PAUSED)]
    assert walk(fresh(job), paused, Requested(wanted, T, force=True))[1] == [StartRun(wanted, 1)]
    assert misses(walk(fresh(job), FireDue(one(job), T, met=BOTH))[1]) == [(one(job), Reason.DISABLED)]


def test_a_pause_drops_what_waits_and_leaves_what_runs() -> None:
    job = Job("a", overlap=Overlap.QUEUE)
    state, actions = walk(busy(job, False), FireDue(one(job, 60), after(60)), Held(True, after(61)))
    assert misses(actions) == [(one(job, 60), Reason.PAUSED)]
    assert isinstance(state.phase, Running)
    state, actions = walk(state, FireDue(one(job, 70), after(70)))
    assert misses(actions) == [(one(job, 70), Reason.PAUSED)]
    state, actions = walk(
        state, RunFinished("old", False, after(80)), Held(False, after(90)), FireDue(one(job, 95), after(95))
    )
    assert actions == [StartRun(one(job, 95), 1)]
    waits = Job("b", retries=1)
    state, _ = walk(fresh(waits), FireDue(one(waits), T), RunStarted("r", T, T), RunFinished("r", False, T))
    assert walk(state, Switched(False, T))[1] == [FireFinished(one(waits), False)]


def test_a_miss_is_recorded_and_told_where_someone_counts_on_the_job() -> None:
    for job, alarmed in ((Job("a"), False), (Job("a", deadline_s=60), True), (Job("a", Kind.REBALANCE), True)):
        found = due(
            Job("a", job.kind, parse_trigger("0 * * * *", "UTC"), skip_holidays=False, misfire=Misfire.SKIP),
            after(-3600),
            after(600),
            None,
        )
        _, actions = walk(fresh(job), FireMissed(found.misses[0]))
        assert misses(actions) == [(one(job), Reason.LATE)]
        assert (len(actions) == 2) == alarmed


def test_a_job_without_a_trigger_follows_its_dependencies_of_one_day() -> None:
    job = Job("report", Kind.REPORT, depends_on=("east", "west"))

    def done(name: str, seconds: float, ok: bool = True) -> DependencyFinished:  # fmt: skip
        return DependencyFinished(Result(name, after(seconds), ok), after(seconds + 60))

    day = 86_400
    state, actions = walk(fresh(job), done("east", 0))
    assert actions == []
    state, actions = walk(state, done("west", 600))
    assert actions == [StartRun(one(job, 600), 1)]
    state, _ = walk(state, RunStarted("r", after(660), after(600)), RunFinished("r", True, after(700)))
    assert walk(state, done("west", 600))[1] == []
    # The next day the first alone gives nothing, nor does a failure, nor the same again.
    state, actions = walk(state, done("west", day), done("east", day + 5, ok=False), done("east", 0))
    assert actions == []
    assert walk(state, done("east", day + 9))[1] == [StartRun(one(job, day + 9), 1)]


# What other jobs learn.


def test_what_a_fire_needs_of_other_jobs() -> None:
    signals = Job("signals", trigger=parse_trigger("30 8 * * 1-5", "America/New_York"))
    weekly = Job("weekly", trigger=parse_trigger("0 6 * * 6", "UTC"), skip_holidays=False)
    risk = Job("risk", depends_on=("signals", "weekly"))
    trade = Job("trade", Kind.EXECUTE, parse_trigger("open+5m", "UTC"), depends_on=("risk", "signals", "weekly"))
    jobs = {j.name: j for j in (signals, weekly, risk, trade)}
    friday = datetime(2024, 7, 5, 13, 35, tzinfo=UTC)
    signalled, weekly_ran = datetime(2024, 7, 5, 12, 30, tzinfo=UTC), datetime(2024, 6, 29, 6, tzinfo=UTC)
    assert needed(trade, friday, jobs, {"nyse": nyse()}) == (
        ("risk", signalled), ("signals", signalled), ("weekly", weekly_ran),
    )  # fmt: skip
    early = datetime(2024, 7, 5, 12, tzinfo=UTC)
    assert needed(trade, early, jobs, {"nyse": nyse()})[1] == ("signals", datetime(2024, 7, 3, 12, 30, tzinfo=UTC))


def test_failures_by_hand_take_nothing_back() -> None:
    job, hand = Job("a"), Fire(T, T, "a", True)
    _, refused = walk(fresh(job), Held(True, T), Requested(hand, T))
    assert told(refused, T) == ()
    assert told([FireFinished(hand, False)], T) == ()
    assert told([FireFinished(hand, True)], T) == (DependencyFinished(Result("a", T, True), T),)
    assert told([FireFinished(one(job), False)], T) == (DependencyFinished(Result("a", T, False), T),)


# Over a restart.


def again(
    state: JobState, now: datetime, alive: datetime, runs: dict[datetime, str] | None = None
) -> tuple[JobState, list[Action]]:
    found, actions = restored(state.job, json.loads(json.dumps(saved(state))), now, alive, runs or {})
    return found, list(actions)


@pytest.mark.parametrize("misfire", list(Misfire))
def test_what_waited_over_a_restart(misfire: Misfire) -> None:
    job = Job(
        "a", overlap=Overlap.QUEUE, misfire=misfire, conditions=frozenset({Condition.DATA_FRESH}), misfire_window_s=7200
    )
    state, _ = walk(fresh(job), *(FireDue(one(job, n), after(n)) for n in (0, 3600, 3660)))
    assert again(state, after(4000), after(3970)) == (state, [])
    found, actions = again(state, after(7300), after(4000))
    kept = {Misfire.SKIP: [], Misfire.LATEST: [one(job, 3660)], Misfire.ALL: [one(job, 3600), one(job, 3660)]}[misfire]
    assert [*([found.phase.pending.fire] if found.phase else []), *(p.fire for p in found.queue)] == kept
    reasons = [(one(job), Reason.TOO_OLD), (one(job, 3600), Reason.LATE), (one(job, 3660), Reason.LATE)]
    assert misses(actions) == [(f, reason) for f, reason in reasons if f not in kept]


def test_what_ran_over_a_restart_runs_until_told() -> None:
    job = Job("a", Kind.EXECUTE, overlap=Overlap.QUEUE)
    state, _ = walk(busy(job, False), RunStarted("hand", T), FireDue(one(job, 60), after(60)))
    found, actions = again(state, after(9000), after(100))
    assert isinstance(found.phase, Running)
    assert found.others == {"hand"}
    assert misses(actions) == [(one(job, 60), Reason.LATE)]
    assert walk(found, RunFinished("old", False, after(9000)))[1] == [FireFinished(one(job), False)]


@pytest.mark.parametrize("kind", [Kind.COMPUTE, Kind.EXECUTE, Kind.REBALANCE])
def test_a_start_without_an_answer_over_a_restart(kind: Kind) -> None:
    job = Job("a", kind)
    state, _ = walk(fresh(job), FireDue(one(job), T))
    found, actions = again(state, after(10), after(5), {T: "r"})
    assert (found.phase, actions) == (Running(Pending(one(job)), 1, "r"), [])
    found, actions = again(state, after(10), after(5))
    assert (found.phase is None) == (kind is not Kind.COMPUTE)
    assert [a for a in walk(found, Tick(after(11)))[1] if isinstance(a, StartRun)] == (
        [StartRun(one(job), 1)] if kind is Kind.COMPUTE else []
    )


# A year of a small desk: signals before the open, trading after it, a report when trading is done.


@cache
def nyse() -> Calendar:
    return open_calendar("nyse", None, today=date(2026, 3, 2))


class Desk:
    """The controller's turn as the README of the daemon tells it; runs take their time and all succeed."""

    def __init__(self, jobs: list[Job], start: datetime, run_s: float) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.states = {job.name: fresh(job) for job in jobs}
        self.handled = {job.name: start for job in jobs}
        self.running: list[tuple[datetime, str, str]] = []
        self.run_s = run_s
        self.begun: list[Fire] = []
        self.missed: list[tuple[Fire, Reason]] = []

    def turn(self, now: datetime) -> None:
        for name, job in self.jobs.items():
            found = due(job, self.handled[name], now, nyse())
            self.handled[name] = found.handled
            met = frozenset({Condition.MARKET_OPEN}) if nyse().is_open(now) else frozenset[Condition]()
            for miss in found.misses:
                self.tell(name, FireMissed(miss), now)
            for one_due in found.runs:
                self.tell(
                    name, FireDue(one_due, now, needed(job, one_due.planned, self.jobs, {"nyse": nyse()}), met), now
                )
            self.tell(name, Tick(now, met), now)
        for end, name, run in [r for r in self.running if r[0] <= now]:
            self.running.remove((end, name, run))
            self.tell(name, RunFinished(run, True, now), now)

    def tell(self, name: str, event: Event, now: datetime) -> None:
        self.states[name], actions = step(self.states[name], event)
        for action in actions:
            if isinstance(action, StartRun):
                self.begun.append(action.fire)
                run = f"{name}-{action.fire.planned:%Y%m%dT%H%M}"
                self.running.append((now + self.run_s * S, name, run))
                self.tell(name, RunStarted(run, now, action.fire.planned), now)
        self.missed += misses(actions)
        for event in told(actions, now):
            for other in dependents(self.jobs.values())[name]:
                self.tell(other, event, now)

    def days(self, name: str) -> list[date]:
        return [f.planned.astimezone(NEW_YORK).date() for f in self.begun if f.job == name]


SIGNALS = Job("signals", trigger=parse_trigger("0 9 * * 1-5", "America/New_York"), jitter_s=60)
TRADE = Job(
    "trade",
    Kind.EXECUTE,
    parse_trigger("close-15m", ""),
    depends_on=("signals",),
    conditions=frozenset({Condition.MARKET_OPEN}),
)
REPORT = Job("report", Kind.REPORT, depends_on=("trade",))


def test_a_year_of_sessions() -> None:
    desk = Desk([SIGNALS, TRADE, REPORT], datetime(2024, 1, 1, tzinfo=UTC), run_s=120)
    sessions = nyse().sessions(date(2024, 1, 1), date(2024, 12, 31))
    now = datetime(2024, 1, 1, tzinfo=UTC)
    # Looked at every hour, and each five minutes while the market is open.
    while now < datetime(2025, 1, 1, tzinfo=UTC):
        now += 300 * S if nyse().is_open(now) else 3600 * S
        desk.turn(now)
    assert not [m for m in desk.missed if m[0].job != "signals"]
    assert desk.days("trade") == desk.days("report") == desk.days("signals") == [s.day for s in sessions]
    traded = {f.planned for f in desk.begun if f.job == "trade"}
    assert traded == {s.close - 900 * S for s in sessions}
    assert datetime(2024, 7, 3, 12, 45, tzinfo=NEW_YORK) in traded


def test_a_day_on_which_the_signals_are_late() -> None:
    desk = Desk([SIGNALS, TRADE, REPORT], datetime(2024, 7, 3, tzinfo=UTC), run_s=4.5 * 3600)
    now = datetime(2024, 7, 3, tzinfo=UTC)
    while now < datetime(2024, 7, 4, tzinfo=UTC):
        now += 60 * S
        desk.turn(now)
    # Half day: the signals end at half past one, the market closed at one.
    assert desk.days("signals") == [date(2024, 7, 3)]
    assert desk.days("trade") == []
    assert [(f.job, reason) for f, reason in desk.missed] == [("trade", Reason.MARKET_CLOSED)]
