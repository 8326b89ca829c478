"""A year of a small desk: signals before the open, trading before the close, a report when trading is done."""

from __future__ import annotations

from datetime import UTC, date, datetime

from sigc.schedule.dependencies import dependents, needed, told
from sigc.schedule.job import Condition, Fire, Job, JobKind
from sigc.schedule.misfire import Reason, due
from sigc.schedule.state import (
    Event,
    FireDue,
    FireMissed,
    RunFinished,
    RunStarted,
    StartRun,
    Tick,
    fresh,
)
from sigc.schedule.step import step
from sigc.schedule.triggers import parse_trigger
from tests.daemon.play import NEW_YORK, S, misses, nyse


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
    JobKind.EXECUTE,
    parse_trigger("close-15m", ""),
    depends_on=("signals",),
    conditions=frozenset({Condition.MARKET_OPEN}),
)
REPORT = Job("report", JobKind.REPORT, depends_on=("trade",))


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
