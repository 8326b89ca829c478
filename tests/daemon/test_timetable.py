"""The schedule at work over a real ledger, with a hand-turned clock: what fires, what is durable, what a crash leaves."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sigc import metrics as m
from sigc.calendar.calendar import open_calendar
from sigc.calendar.sessions import Calendar, Session
from sigc.clock import HandClock
from sigc.daemon.decisions import ScheduleDecisions
from sigc.daemon.ledger_threads import LedgerThreads
from sigc.daemon.timetable import Duties, Timetable
from sigc.errors import SigcError
from sigc.metrics import DaemonMetrics
from sigc.schedule.job import Condition, Fire, Job, JobKind, Misfire, Overlap
from sigc.schedule.state import DidNotRun, RunFinished, Running, Waiting
from sigc.schedule.triggers import parse_trigger
from sigc.store.ledger import jobs as store
from sigc.store.ledger.jobs import OrderedRun
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Outcome

DAY = datetime(2024, 1, 2, tzinfo=UTC)  # a Tuesday
NONE = ScheduleDecisions()


def at(hour: int, minute: int = 0, day: int = 2) -> datetime:
    return datetime(2024, 1, day, hour, minute, tzinfo=UTC)


# Of three sessions, and known up to the day of the last one.
WEEK = Calendar(
    "week",
    "America/New_York",
    tuple(Session(at(0, day=day).date(), at(14, 30, day), at(21, 0, day)) for day in (2, 3, 4)),
    at(0, day=1).date(),
    at(0, day=4).date(),
)


def job(name: str, trigger: str | None = "0 9 * * *", **more: Any) -> Job:
    given: dict[str, Any] = {"zone": "UTC", "calendar": "always", "skip_holidays": False, "strategy": "s"} | more
    return Job(name, trigger=None if trigger is None else parse_trigger(trigger, "UTC"), **given)


@dataclass
class Floor:
    """A timetable, and what it had done: runs begin at once, and end when the test says so."""

    books: LedgerThreads
    clock: HandClock
    table: Timetable
    begun: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    alerts: list[tuple[str, str]] = field(default_factory=list)
    refuse: str = ""
    fails: bool = False
    is_fresh: bool = True

    async def begin(self, one_job: Job, one: Fire) -> tuple[str, str]:
        if self.refuse:
            return "", self.refuse
        if self.fails:
            raise OSError("no more processes")
        before = await self.books.read(partial(store.recent, most=1000))
        id = f"{one_job.name}-{len(before) + 1}"
        order = OrderedRun(id, one_job.strategy, "compute", "", "", "", "", one_job.name, one.planned, "t", "", DAY)
        await self.books.write(lambda tx: store.ask(tx, order))
        self.begun.append(id)
        return id, ""

    def cancel(self, run: str) -> bool:
        self.cancelled.append(run)
        return True

    async def fresh(self) -> bool:
        return self.is_fresh

    def alert(self, one_job: Job, found: DidNotRun) -> None:
        self.alerts.append((one_job.name, str(found.reason)))

    async def turn(self, to: datetime) -> None:
        """The clock shows `to`, and everything that follows from it has happened."""
        self.clock.turn(to)
        self.table.wake()
        for _ in range(6):
            await self.table.settle()

    async def end(self, run: str, outcome: Outcome = Outcome.DONE, before_trading: bool = True) -> None:
        """A run ends."""
        order = await self.books.read(partial(store.find, id=run))
        assert order is not None
        await self.books.write(lambda tx: store.end(tx, order, outcome, "", "", "", before_trading))
        ok, cancelled = outcome is Outcome.DONE, outcome is Outcome.CANCELLED
        self.table.ended(order.job, order.strategy, RunFinished(run, ok, self.clock.now(), before_trading, cancelled))
        await self.turn(self.clock.now())

    async def audited(self, event: str) -> list[dict[str, Any]]:
        """What the audit says of an event, oldest first."""
        found = await self.books.read(
            lambda c: c.execute("SELECT record FROM audit WHERE event = ? ORDER BY seq", (event,)).fetchall()
        )
        return [json.loads(record)["payload"] for (record,) in found]

    async def misses(self, name: str) -> list[str]:
        return [miss.reason for miss in await self.books.read(partial(store.misses, job=name))]


@asynccontextmanager
async def floor(
    folder: Path,
    listed: tuple[Job, ...],
    now: datetime = DAY,
    decided: ScheduleDecisions = NONE,
    alive: datetime | None = None,
) -> AsyncIterator[Floor]:
    """A life of the timetable; it ends as by kill -9: nothing is told."""
    clock = HandClock(now)
    books = await LedgerThreads.open(lambda: Ledger.open(folder, clock, durable=False))
    made: list[Floor] = []
    duties = Duties(
        lambda j, f: made[0].begin(j, f),
        lambda run: made[0].cancel(run),
        lambda _: made[0].fresh(),
        lambda j, d: made[0].alert(j, d),
    )
    table = Timetable(books, DaemonMetrics(), clock, duties)
    made.append(Floor(books, clock, table))
    calendars = {"always": open_calendar("always", None, today=now.date()), "week": WEEK}
    await table.restore(listed, calendars, alive, decided)
    running = asyncio.ensure_future(table.run())
    try:
        yield made[0]
    finally:
        running.cancel()
        await asyncio.wait([running])
        await books.close()


@contextmanager
def logged(least: int = logging.ERROR) -> Iterator[list[str]]:
    """The errors that the schedule logs meanwhile, or all from a level on."""
    told: list[str] = []
    handler = logging.Handler(least)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("sigc.schedule").addHandler(handler)
    try:
        yield told
    finally:
        logging.getLogger("sigc.schedule").removeHandler(handler)


def phase(now: Floor, name: str = "a") -> type:
    return type(now.table.states[name].phase)


def played(play: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    def test(tmp_path: Path) -> None:
        asyncio.run(asyncio.wait_for(play(tmp_path), 20))

    test.__name__, test.__doc__ = play.__name__, play.__doc__
    return test


@played
async def test_a_fire_runs_once(folder: Path) -> None:
    async with floor(folder, (job("a"),)) as now:
        await now.turn(at(8, 59))
        assert now.begun == []
        await now.turn(at(9))
        assert now.begun == ["a-1"]
        await now.turn(at(9, 30))
        assert now.begun == ["a-1"]
        assert phase(now) is Running
        await now.end("a-1")
        assert phase(now) is type(None)
        assert now.table.upcoming["a"] is not None
        await now.turn(at(9, day=3))
        assert now.begun == ["a-1", "a-2"]


@played
async def test_an_end_that_cannot_be_written_down_is_not_lost(folder: Path) -> None:
    """A ledger that takes no writes when the run ends: the job is free when it does again, and its next fire runs."""
    async with floor(folder, (job("a"),)) as now:
        await now.turn(at(9))
        connection = now.books.ledger._connection
        await now.books.write(lambda _: connection.execute("PRAGMA query_only = ON"))
        now.table.ended("a", "s", RunFinished("a-1", True, now.clock.now()))
        await now.turn(at(9, 1))
        assert phase(now) is Running
        assert "readonly" in now.books.trouble
        await asyncio.get_running_loop().run_in_executor(None, connection.execute, "PRAGMA query_only = OFF")
        await now.turn(at(9, 2))
        assert phase(now) is type(None)
        await now.turn(at(9, day=3))
        assert now.begun == ["a-1", "a-2"]


@played
async def test_overlap_skips_queues_and_cancels(folder: Path) -> None:
    listed = tuple(job(str(rule), "0 9,10 * * *", overlap=rule) for rule in Overlap)
    async with floor(folder, listed) as now:
        await now.turn(at(9))
        assert sorted(now.begun) == ["cancel_old-3", "queue-2", "skip-1"]
        await now.turn(at(10))
        assert await now.misses("skip") == ["an earlier run was going on"]
        assert now.cancelled == ["cancel_old-3"]
        assert len(now.begun) == 3
        await now.end("queue-2")
        await now.end("cancel_old-3", Outcome.CANCELLED)
        assert now.begun[3:] == ["queue-4", "cancel_old-5"]


@played
async def test_a_run_by_hand_counts_as_going_on(folder: Path) -> None:
    async with floor(folder, (job("a"), job("other", strategy="t"))) as now:
        now.table.began("manual", "s")
        await now.turn(at(9))
        assert now.begun == ["other-1"]
        assert await now.misses("a") == ["an earlier run was going on"]
        now.table.ended("", "s", RunFinished("manual", True, now.clock.now()))
        await now.turn(at(9, day=3))
        assert now.begun == ["other-1", "a-2"]


@played
async def test_dependencies_and_failures(folder: Path) -> None:
    listed = (job("signals", "0 8 * * *"), job("trade", "0 9 * * *", depends_on=("signals",), kind=JobKind.EXECUTE))
    async with floor(folder, listed) as now:
        await now.turn(at(8))
        await now.turn(at(9))
        assert now.begun == ["signals-1"]
        await now.end("signals-1")
        assert now.begun == ["signals-1", "trade-2"]
        await now.end("trade-2")
        await now.turn(at(8, day=3))
        await now.end("signals-3", Outcome.FAILED)
        await now.turn(at(9, day=3))
        assert len(now.begun) == 3
        assert await now.misses("trade") == ["a job it depends on did not finish"]
        assert now.alerts == [("trade", "a job it depends on did not finish")]
        (said,) = await now.audited("job.did_not_run")
        assert said == {
            "job": "trade",
            "planned": at(9, day=3).isoformat(),
            "trades": True,
            "reason": "a job it depends on did not finish",
            "zone": "UTC",
            "detail": "signals failed 2024-01-03 08:00:00 UTC (sigc runs show signals-3)",
        }


@played
async def test_retries_come_after_their_backoff(folder: Path) -> None:
    async with floor(folder, (job("a", retries=2, backoff_s=60),)) as now:
        await now.turn(at(9))
        await now.end("a-1", Outcome.FAILED)
        await now.turn(at(9) + timedelta(seconds=59))
        assert now.begun == ["a-1"]
        await now.turn(at(9, 1))
        assert now.begun == ["a-1", "a-2"]
        await now.end("a-2", Outcome.FAILED)
        await now.turn(at(9, 3))
        assert now.begun == ["a-1", "a-2", "a-3"]


@played
async def test_a_condition_is_waited_for(folder: Path) -> None:
    async with floor(folder, (job("a", conditions=frozenset({Condition.DATA_FRESH}), deadline_s=3600),)) as now:
        now.is_fresh = False
        await now.turn(at(9))
        assert phase(now) is Waiting
        now.is_fresh = True
        await now.turn(at(9, 20))
        assert now.begun == ["a-1"]


@played
async def test_a_closed_market_ends_a_fire(folder: Path) -> None:
    """It is open from 14:30 to 21:00."""
    bound = job("a", "0 14,15 * * *", calendar="week", conditions=frozenset({Condition.MARKET_OPEN}))
    async with floor(folder, (bound,), at(13)) as now:
        await now.turn(at(14))
        assert now.begun == []
        assert await now.misses("a") == ["the market was closed"]
        await now.turn(at(15))
        assert now.begun == ["a-1"]


@played
async def test_a_pause_and_a_switch(folder: Path) -> None:
    async with floor(folder, (job("a"), job("b", strategy="t"))) as now:
        now.table.hold(frozenset({"s"}))
        await now.table.switch("b", False)
        await now.turn(at(9))
        assert now.begun == []
        assert (await now.misses("a"), await now.misses("b")) == (["paused"], ["disabled"])
        now.table.hold(frozenset())
        await now.table.switch("b", True)
        await now.turn(at(9, day=3))
        assert sorted(now.begun) == ["a-1", "b-2"]
    async with floor(folder, (job("a"),), at(10, day=3), ScheduleDecisions(frozenset({""}))) as later:
        assert later.table.states["a"].paused


@played
async def test_a_refusal_is_recorded(folder: Path) -> None:
    async with floor(folder, (job("a"), job("b", "0 10 * * *"))) as now:
        now.refuse = "it was traded"
        with logged(logging.WARNING) as told:
            await now.turn(at(9))
        assert told == ["a run is refused", "a fire does not run"]
        assert await now.misses("a") == ["the run was refused"]
        assert now.table.states["a"].phase is None
        now.refuse = ""
        await now.turn(at(10))
        assert now.table._metrics.values(m.LAST_FIRE) == {("b",): at(10).timestamp()}


@played
async def test_a_run_that_can_not_be_begun_is_one_that_was_refused(folder: Path) -> None:
    async with floor(folder, (job("a"),)) as now:
        now.fails = True
        with logged() as told:
            await now.turn(at(9))
        assert told == ["can't begin a run"]
        assert await now.misses("a") == ["the run was refused"]


@played
async def test_a_fire_that_is_far_off_is_known(folder: Path) -> None:
    async with floor(folder, (job("a", "0 9 * * 1"),)) as now:
        found = now.table.upcoming["a"]
        assert found is not None
        assert found.planned == at(9, day=8)


@pytest.mark.parametrize("policy", list(Misfire))
def test_what_was_missed_while_it_was_down(tmp_path: Path, policy: Misfire) -> None:
    listed = (job("a", "0 * * * *", misfire=policy, overlap=Overlap.QUEUE),)

    async def play() -> None:
        async with floor(tmp_path, listed, at(8, 30)) as now:
            await now.turn(at(9))
            await now.end("a-1")
        async with floor(tmp_path, listed, at(12, 30), alive=at(9, 5)) as later:
            await later.turn(at(12, 30))
            expected = {Misfire.SKIP: 0, Misfire.LATEST: 1, Misfire.ALL: 3}[policy]
            done = 0
            while len(later.begun) > done:
                done = len(later.begun)
                await later.end(later.begun[-1])
            assert len(later.begun) == expected
            assert len(await later.misses("a")) == 3 - expected

    asyncio.run(play())


@played
async def test_a_run_that_a_crash_cut_off(folder: Path) -> None:
    listed = (
        job("a", retries=1, backoff_s=60, kind=JobKind.REBALANCE),
        job("t", "0 9 * * *", kind=JobKind.EXECUTE),
        job("u", "0 9 * * *", retries=1, backoff_s=60, kind=JobKind.REBALANCE),
    )
    async with floor(folder, listed) as now:
        await now.turn(at(9))
        assert len(now.begun) == 3
    # What recovery does at the start: each order that was left open gets its verdict.
    ledger = Ledger.open(folder, HandClock(at(9, 1)), durable=False)
    with ledger.reading() as connection:
        left = store.left_open(connection)
    with ledger.transaction("control") as tx:
        for order in left:
            store.end(tx, order, Outcome.INTERRUPTED, "", "", "", order.job == "a")
    ledger.close()
    assert len(left) == 3
    async with floor(folder, listed, at(9, 1), alive=at(9)) as later:
        await later.turn(at(9, 2))
        assert later.begun == ["a-4"]  # tried again; what may have traded is not
        assert later.table.states["t"].phase is None
        assert later.table.states["u"].phase is None


@pytest.mark.parametrize("turned", [1, -1])
def test_a_run_that_was_done_while_it_was_down_is_told_of(tmp_path: Path, turned: int) -> None:
    """It is not tried again, and what follows it learns of it, whichever of the two is listed first."""
    asyncio.run(asyncio.wait_for(_done_while_down(tmp_path, turned), 60))


async def _done_while_down(folder: Path, turned: int) -> None:
    listed = (job("a", retries=1, backoff_s=60), job("b", None, depends_on=("a",)))[::turned]
    async with floor(folder, listed) as now:
        await now.turn(at(9))
    with Ledger.open(folder, HandClock(at(9, 1)), durable=False) as ledger:
        with ledger.reading() as connection:
            (left,) = store.left_open(connection)
        with ledger.transaction("control") as tx:
            store.end(tx, left, Outcome.DONE, "", "", "", False)
    async with floor(folder, listed, at(9, 1), alive=at(9)) as later:
        await later.turn(at(9, 3))
        assert later.table.states["a"].phase is None
        assert later.begun == ["b-2"]  # what follows it has learned of it


@played
async def test_a_job_that_never_fires_keeps_no_other_from_it(folder: Path) -> None:
    async with floor(folder, (job("chained", None, depends_on=("z",)), job("z"))) as now:
        assert now.table.upcoming["chained"] is None
        await now.turn(at(9))
        assert now.begun == ["z-1"]
        await now.end("z-1")
        assert now.begun == ["z-1", "chained-2"]


@played
async def test_it_sleeps_until_the_next_that_is_due(folder: Path) -> None:
    fresh = frozenset({Condition.DATA_FRESH})
    async with floor(folder, (job("b", "0 10 * * *"), job("a", conditions=fresh), job("c", None))) as now:
        for instant, seconds in (((8, 0), 60.0), ((9, 0), 30.0)):
            now.is_fresh = False
            await now.turn(at(*instant))
            assert now.table._sleep_s() == seconds
        now.clock.turn(at(9, 59) + timedelta(seconds=50))  # a waits for its data, b is due in ten seconds
        assert now.table._sleep_s() == 10.0
        now.clock.turn(at(10, 1))
        assert now.table._sleep_s() == 0.001
    async with floor(folder, (job("c", None),), at(11)) as idle:
        assert idle.table._sleep_s() == 60.0


@played
async def test_it_wakes_for_what_is_tried_again_and_for_a_deadline(folder: Path) -> None:
    listed = (job("a", retries=1, backoff_s=20), job("b", "0 11 * * *", deadline_s=40))
    async with floor(folder, listed) as now:
        await now.turn(at(9))
        await now.end("a-1", Outcome.FAILED)
        assert now.table._sleep_s() == 20.0
        now.clock.turn(at(9) + timedelta(seconds=15))
        assert now.table._sleep_s() == 5.0
        await now.turn(at(11))
        assert now.table._sleep_s() == 40.0


@played
async def test_who_asks_is_told_what_failed(folder: Path) -> None:
    async with floor(folder, (job("a"),)) as now:
        now.books.ledger._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(SigcError):
            await now.table.request(Fire(now.clock.now(), now.clock.now(), "a", by_hand=True), force=False)
        assert now.begun == []
        now.books.ledger._connection.execute("PRAGMA query_only = OFF")


def test_what_is_decided_of_a_strategy() -> None:
    some, every = (ScheduleDecisions(names, frozenset(), names) for names in (frozenset({"s"}), frozenset({""})))
    for decided, name, expected in ((NONE, "s", False), (some, "s", True), (some, "t", False), (every, "t", True)):
        assert decided.halts(name) is expected
        assert decided.holds(name) is expected


@played
async def test_a_miss_is_counted_and_is_an_alert(folder: Path) -> None:
    async with floor(folder, (job("a", "0 9,10 * * *"),)) as now:
        await now.turn(at(9))
        counted = [now.table._metrics.total(metric) for metric in (m.MISSES, m.ALERTS)]
        await now.turn(at(10))
        assert [now.table._metrics.total(metric) for metric in (m.MISSES, m.ALERTS)] == [n + 1 for n in counted]


@played
async def test_new_jobs_changed_jobs_and_jobs_that_go(folder: Path) -> None:
    async with floor(folder, (job("a"), job("b"))) as now:
        await now.turn(at(8))
        changed = (job("b", "0 7 * * *"), job("c"))
        await now.table.adopt(changed, now.table.calendars, NONE)
        await now.turn(at(9))
        assert now.begun == ["c-1"]  # a is gone; b would have fired before it was changed
        known = now.table._metrics.values(m.NEXT_FIRE)
        assert known == {("b",): at(7, day=3).timestamp(), ("c",): at(9, day=3).timestamp()}
        assert [set(of) for of in (now.table.states, now.table.handled, now.table.upcoming)] == [{"b", "c"}] * 3
        assert (
            b'sigc_schedule_missed_total{job="b"} 0.0' in now.table._metrics.render()
        )  # an alert can count from there on
        await now.turn(at(7, day=3))
        assert now.begun == ["c-1", "b-2"]


@played
async def test_a_trigger_that_changed_while_it_was_down_misses_nothing(folder: Path) -> None:
    async with floor(folder, (job("a", "0 9 * * *"),)) as now:
        await now.turn(at(8))
    async with floor(folder, (job("a", "0 10 * * *"),), at(12), alive=at(8)) as later:
        await later.turn(at(12))
        assert later.begun == []
        assert await later.misses("a") == []


@played
async def test_a_calendar_that_ends_is_told_of_and_keeps_no_other_job_from_its_fire(folder: Path) -> None:
    listed = (job("b", "30 9 * * *", calendar="week", skip_holidays=True), job("a"))
    with logged() as told:
        async with floor(folder, listed, at(9, 15, day=4)) as now:
            assert now.table.upcoming["b"] is None
            await now.turn(at(9, 30, day=4))
            assert now.begun == []
            await now.turn(at(9, day=5))
            assert now.begun == ["a-1"]
            assert [one.name for one, _ in now.table.next_fires(2)] == ["a", "a"]
    why = "can't compute the next fire: E402: calendar 'week' covers 2024-01-01 to 2024-01-04"
    assert [said[: len(why)] for said in told] == [why]


@played
async def test_an_event_that_fails_is_told_of_and_what_waits_for_the_ledger_keeps_its_order(folder: Path) -> None:
    async with floor(folder, (job("a"),)) as now:
        with logged() as told:
            now.books.ledger._connection.execute("PRAGMA query_only = ON")
            now.table.hold(frozenset({"s"}))
            now.table.hold(frozenset())
            gone = asyncio.ensure_future(now.table.switch("a", False))  # nobody waits for its answer any more
            await asyncio.wait([gone, asyncio.ensure_future(_cancelled(gone))])
            await now.table.settle()
            now.books.ledger._connection.execute("PRAGMA query_only = OFF")
        assert [text.partition(":")[0] for text in told] == [
            "can't save a schedule event yet, will retry",
            "an event of the schedule failed",
        ]
        await now.turn(at(9))
        assert not now.table.states["a"].paused
        assert now.begun == ["a-1"]


async def _cancelled(task: asyncio.Future[None]) -> None:
    await asyncio.sleep(0)
    task.cancel()


@played
async def test_it_waits_as_long_as_it_may_and_five_seconds_after_trouble(folder: Path) -> None:
    waited: list[float | None] = []
    plain = asyncio.wait_for

    async def wait_for(what: Any, timeout: float | None) -> Any:
        waited.append(timeout)
        return await plain(what, timeout)

    with pytest.MonkeyPatch.context() as patch, logged() as told:
        async with floor(folder, (job("a"),)) as now:
            await now.turn(at(8, 59) + timedelta(seconds=48))
            patch.setattr(asyncio, "wait_for", wait_for)
            await now.turn(at(8, 59) + timedelta(seconds=50))
            assert waited[-1] == 10.0
            now.books.ledger._connection.execute("PRAGMA query_only = ON")
            await now.turn(at(9))
            while waited[-1] == 10.0:  # until that turn is over
                await asyncio.sleep(0)
            assert waited[-1] == 5.0
            now.books.ledger._connection.execute("PRAGMA query_only = OFF")
            patch.undo()
            await now.turn(at(9))
            assert now.begun == ["a-1"]
    assert set(told) == {"a turn of the schedule failed"}


@played
async def test_by_hand(folder: Path) -> None:
    async with floor(folder, (job("a"),)) as now:
        one = Fire(now.clock.now(), now.clock.now(), "a", by_hand=True)
        await now.table.request(one, force=False)
        assert now.begun == ["a-1"]
        second = replace(one, planned=one.planned + timedelta(seconds=1))
        await now.table.request(second, force=False)
        assert now.begun == ["a-1"]
        assert await now.misses("a") == ["an earlier run was going on"]


@played
async def test_the_next_fires_of_all(folder: Path) -> None:
    async with floor(folder, (job("a"), job("b", "0 8,10 * * *"), job("off", enabled=False))) as now:
        found = [(one.name, fire.planned.hour) for one, fire in now.table.next_fires(4)]
        assert found == [("b", 8), ("a", 9), ("b", 10), ("b", 8)]


def test_a_full_disk_starts_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        async with floor(tmp_path, (job("a"),)) as now:
            now.books.ledger._connection.execute("PRAGMA max_page_count = 1")
            with pytest.raises(SigcError):
                await now.books.write(lambda tx: store.save_state(tx, "x", {"big": "x" * 100_000}))
            now.books.ledger._connection.execute("PRAGMA query_only = ON")
            await now.turn(at(9))
            assert now.begun == []
            now.books.ledger._connection.execute("PRAGMA query_only = OFF")
            now.books.ledger._connection.execute("PRAGMA max_page_count = 100000")
            await now.turn(at(9) + timedelta(seconds=30))
            assert now.begun == ["a-1"]

    asyncio.run(play())
