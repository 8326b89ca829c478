"""What happens to fires: laws over random histories, whatever happens in whatever order."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.schedule.job import Condition, Fire, Job, JobKind, Overlap, fire
from sigc.schedule.misfire import Reason
from sigc.schedule.record import read, saved
from sigc.schedule.state import (
    Action,
    CancelRun,
    DependencyFinished,
    DidNotRun,
    Event,
    FireDue,
    FireFinished,
    FireResult,
    PauseChanged,
    Pending,
    QueueFire,
    RecordMiss,
    Requested,
    RetryAt,
    RunFinished,
    RunRefused,
    RunStarted,
    StartRun,
    Switched,
    Tick,
    fresh,
)
from sigc.schedule.step import MOST_QUEUED, step
from sigc.schedule.triggers import parse_trigger
from tests.daemon.play import BOTH, S, T


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
                    assert job.kind is not JobKind.EXECUTE
                    assert job.kind is not JobKind.REBALANCE or begun in self.sure
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
                result = FireResult(
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
                self.tell(PauseChanged(data.draw(st.booleans()), self.now))
            case _:
                self.tell(Tick(self.now, met))

    def held(self) -> list[Pending]:
        return [*self.state.queue, *([self.state.phase.pending] if self.state.phase else [])]


WATCHED = st.builds(
    Job,
    name=st.just("watched"),
    kind=st.sampled_from(list(JobKind)),
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


@settings(max_examples=400)
@given(WATCHED, st.lists(TURNS, max_size=60), st.data())
def test_laws_of_any_history(job: Job, turns: list[str], data: st.DataObject) -> None:
    watch = Watch(job)
    for what in turns:
        watch.turn(what, data)


@pytest.mark.soak
@settings(max_examples=20_000)
@given(WATCHED, st.lists(TURNS, max_size=200), st.data())
def test_laws_of_many_histories(job: Job, turns: list[str], data: st.DataObject) -> None:
    watch = Watch(job)
    for what in turns:
        watch.turn(what, data)
