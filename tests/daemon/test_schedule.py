"""What happens to fires: the rules one by one, what other jobs learn, and restarts."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sigc.schedule.dependencies import needed, told
from sigc.schedule.job import Condition, Fire, Job, JobKind, Misfire, Overlap
from sigc.schedule.misfire import Miss, Reason, due
from sigc.schedule.record import restored, saved
from sigc.schedule.state import (
    Action,
    CancelRun,
    DependencyFinished,
    DidNotRun,
    FireDue,
    FireFinished,
    FireMissed,
    FireResult,
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
    Switched,
    Tick,
    Waiting,
    fresh,
)
from sigc.schedule.step import next_wake
from sigc.schedule.triggers import parse_trigger
from tests.daemon.play import BOTH, S, T, after, misses, nyse, one, walk

# Rules one by one.


def test_a_fire_that_needs_nothing_starts_at_once() -> None:
    job = Job("a")
    state, actions = walk(fresh(job), FireDue(one(job), T))
    assert actions == [StartRun(one(job), 1)]
    state, actions = walk(state, RunStarted("r", T, T), RunFinished("r", True, after(9)))
    assert actions == [FireFinished(one(job), True)]
    assert state == fresh(job)


def test_a_fire_waits_for_what_it_needs() -> None:
    job = Job("trade", JobKind.EXECUTE, depends_on=("signals",), trigger=parse_trigger("open+5m", "UTC"))
    due_now = FireDue(one(job), T, (("signals", after(-3600)),))
    state, actions = walk(fresh(job), DependencyFinished(FireResult("signals", after(-90_000), True), T), due_now)
    assert (state.phase, actions) == (Waiting(Pending(one(job), due_now.needed)), [])
    state, actions = walk(state, DependencyFinished(FireResult("other", T, False), T), Tick(after(60)))
    assert actions == []
    assert walk(state, DependencyFinished(FireResult("signals", after(-3600), True), after(90)))[1] == [
        StartRun(one(job), 1)
    ]
    failed = walk(state, DependencyFinished(FireResult("signals", after(-3600), False), after(90)))
    assert failed[0].phase is None
    assert failed[1] == [RecordMiss(Miss(one(job), Reason.DEPENDENCY)), DidNotRun(one(job), Reason.DEPENDENCY)]


def test_what_has_finished_before_is_known() -> None:
    job = Job("trade", depends_on=("signals",), trigger=parse_trigger("0 * * * *", "UTC"))
    for ok, expected in ((True, StartRun(one(job), 1)), (False, None)):
        finished = DependencyFinished(FireResult("signals", T, ok), T)
        _, actions = walk(fresh(job), finished, FireDue(one(job), T, (("signals", T),)))
        assert (expected in actions) == ok
    older = DependencyFinished(FireResult("signals", after(-60), True), T)
    _, actions = walk(
        fresh(job),
        DependencyFinished(FireResult("signals", T, False), T),
        older,
        FireDue(one(job), T, (("signals", T),)),
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
        (JobKind.COMPUTE, False, True),
        (JobKind.DATA_REFRESH, False, True),
        (JobKind.EXECUTE, False, False),
        (JobKind.EXECUTE, True, False),
        (JobKind.REBALANCE, False, False),
        (JobKind.REBALANCE, True, True),
    ],
)
def test_what_may_have_traded_is_not_tried_again(kind: JobKind, before_trading: bool, again: bool) -> None:
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
        fresh(job), FireDue(one(job), T, (("b", T),)), elsewhere, DependencyFinished(FireResult("b", T, True), T)
    )
    assert waits.phase == Waiting(Pending(one(job), (("b", T),)))
    waits, actions = walk(waits, Tick(after(100), BOTH))
    assert actions == []
    assert walk(waits, over, Tick(after(201), BOTH))[1] == [StartRun(one(job), 1)]
    plain = Job("a", depends_on=("b",), trigger=parse_trigger("0 * * * *", "UTC"))
    held, actions = walk(
        fresh(plain), FireDue(one(plain), T, (("b", T),)), elsewhere, DependencyFinished(FireResult("b", T, True), T)
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


def failed(job: Job) -> JobState:
    """A job whose first run has failed, and is to be tried again."""
    return walk(fresh(job), FireDue(one(job), T), RunStarted("r", T, T), RunFinished("r", False, after(1)))[0]


def test_a_newer_fire_follows_a_run_that_is_to_be_tried_again() -> None:
    new = FireDue(one(Job("a"), 60), after(60))
    skip, queue, cancel = (Job("a", overlap=overlap, retries=5, backoff_s=90) for overlap in Overlap)
    assert misses(walk(failed(skip), new)[1]) == [(new.fire, Reason.OVERLAP)]
    assert walk(failed(queue), new)[1] == [QueueFire(new.fire)]
    assert walk(failed(cancel), new)[1] == [FireFinished(one(cancel), False), StartRun(new.fire, 1)]


def test_a_second_try_goes_before_what_is_queued_unless_that_is_to_take_its_place() -> None:
    _, queue, cancel = (Job("a", overlap=overlap, retries=5, backoff_s=10) for overlap in Overlap)
    new, ends = FireDue(one(queue, 60), after(60)), RunFinished("old", False, after(70))
    state, actions = walk(busy(queue, by_hand=False), new, ends)
    assert actions == [RetryAt(one(queue), 2, after(80))]
    assert walk(state, Tick(after(80)))[1] == [StartRun(one(queue), 2)]
    _, actions = walk(busy(cancel, by_hand=False), new, ends)
    assert actions == [FireFinished(one(cancel), False), StartRun(new.fire, 1)]


@pytest.mark.parametrize(("first_s", "waits"), [(1000, [1000, 2000, 3600, 3600]), (5000, [5000, 5000])])
def test_the_longest_wait_is_an_hour_or_the_first(first_s: float, waits: list[float]) -> None:
    job = Job("a", retries=9, backoff_s=first_s)
    state, now, found = walk(fresh(job), FireDue(one(job), T))[0], T, []
    for number in range(len(waits)):
        run = f"r{number}"
        state, (action,) = walk(state, RunStarted(run, now, T), RunFinished(run, False, now))
        assert isinstance(action, RetryAt)
        found.append((action.at - now).total_seconds())
        now = action.at
        state, _ = walk(state, Tick(now))
    assert found == waits


def test_a_refusal_of_another_fire_changes_nothing() -> None:
    job = Job("a")
    starting, _ = walk(fresh(job), FireDue(one(job), T))
    for state, planned in ((starting, after(60)), (busy(job, by_hand=False), T), (fresh(job), T)):
        assert walk(state, RunRefused(planned, after(1))) == (state, [])


def test_a_newer_fire_takes_the_place_of_one_that_waits() -> None:
    job = Job("a", conditions=frozenset({Condition.DATA_FRESH}))
    _, actions = walk(fresh(job), FireDue(one(job), T), FireDue(one(job, 60), after(60), met=BOTH))
    assert misses(actions) == [(one(job), Reason.NEWER)]
    assert actions[-1] == StartRun(one(job, 60), 1)


def test_a_queue_is_bounded() -> None:
    job = Job("a", overlap=Overlap.QUEUE)
    state = busy(job, False)
    for n in range(1, 17):
        state, actions = walk(state, FireDue(one(job, n), after(n)))
    assert actions == [QueueFire(one(job, 16))]
    state, actions = walk(state, FireDue(one(job, 99), after(99)))
    assert misses(actions) == [(one(job, 99), Reason.QUEUE_FULL)]


def test_by_hand_waits_for_nothing_and_runs_what_is_disabled() -> None:
    job = Job("a", conditions=BOTH, depends_on=("b",), enabled=False)
    wanted = Fire(T, T, "a", True)
    assert walk(fresh(job), Requested(Fire(T, T, "a"), T))[1] == [StartRun(wanted, 1)]
    paused = PauseChanged(True, T)
    assert misses(walk(fresh(job), paused, Requested(wanted, T))[1]) == [(wanted, Reason.PAUSED)]
    assert walk(fresh(job), paused, Requested(wanted, T, force=True))[1] == [StartRun(wanted, 1)]
    assert misses(walk(fresh(job), FireDue(one(job), T, met=BOTH))[1]) == [(one(job), Reason.DISABLED)]


def test_a_pause_drops_what_waits_and_leaves_what_runs() -> None:
    job = Job("a", overlap=Overlap.QUEUE)
    state, actions = walk(busy(job, False), FireDue(one(job, 60), after(60)), PauseChanged(True, after(61)))
    assert misses(actions) == [(one(job, 60), Reason.PAUSED)]
    assert isinstance(state.phase, Running)
    state, actions = walk(state, FireDue(one(job, 70), after(70)))
    assert misses(actions) == [(one(job, 70), Reason.PAUSED)]
    state, actions = walk(
        state, RunFinished("old", False, after(80)), PauseChanged(False, after(90)), FireDue(one(job, 95), after(95))
    )
    assert actions == [StartRun(one(job, 95), 1)]
    waits = Job("b", retries=1)
    state, _ = walk(fresh(waits), FireDue(one(waits), T), RunStarted("r", T, T), RunFinished("r", False, T))
    assert walk(state, Switched(False, T))[1] == [FireFinished(one(waits), False)]


def test_a_miss_is_recorded_and_told_where_someone_counts_on_the_job() -> None:
    for job, alarmed in ((Job("a"), False), (Job("a", deadline_s=60), True), (Job("a", JobKind.REBALANCE), True)):
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
    job = Job("report", JobKind.REPORT, depends_on=("east", "west"))

    def done(name: str, seconds: float, ok: bool = True) -> DependencyFinished:  # fmt: skip
        return DependencyFinished(FireResult(name, after(seconds), ok), after(seconds + 60))

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
    trade = Job("trade", JobKind.EXECUTE, parse_trigger("open+5m", "UTC"), depends_on=("risk", "signals", "weekly"))
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
    _, refused = walk(fresh(job), PauseChanged(True, T), Requested(hand, T))
    assert told(refused, T) == ()
    assert told([FireFinished(hand, False)], T) == ()
    assert told([FireFinished(hand, True)], T) == (DependencyFinished(FireResult("a", T, True), T),)
    assert told([FireFinished(one(job), False)], T) == (DependencyFinished(FireResult("a", T, False), T),)


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
    job = Job("a", JobKind.EXECUTE, overlap=Overlap.QUEUE)
    state, _ = walk(busy(job, False), RunStarted("hand", T), FireDue(one(job, 60), after(60)))
    found, actions = again(state, after(9000), after(100))
    assert isinstance(found.phase, Running)
    assert found.others == {"hand"}
    assert misses(actions) == [(one(job, 60), Reason.LATE)]
    assert walk(found, RunFinished("old", False, after(9000)))[1] == [FireFinished(one(job), False)]


@pytest.mark.parametrize("kind", [JobKind.COMPUTE, JobKind.EXECUTE, JobKind.REBALANCE])
def test_a_start_without_an_answer_over_a_restart(kind: JobKind) -> None:
    job = Job("a", kind)
    state, _ = walk(fresh(job), FireDue(one(job), T))
    found, actions = again(state, after(10), after(5), {T: "r"})
    assert (found.phase, actions) == (Running(Pending(one(job)), 1, "r"), [])
    found, actions = again(state, after(10), after(5))
    assert (found.phase is None) == (kind is not JobKind.COMPUTE)
    assert [a for a in walk(found, Tick(after(11)))[1] if isinstance(a, StartRun)] == (
        [StartRun(one(job), 1)] if kind is JobKind.COMPUTE else []
    )
