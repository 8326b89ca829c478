"""Each way to stop in each state of the daemon, with real processes; its effect is read in the broker's book.

    alive     it answers                                busy     its event loop is held, its threads are not
    frozen    SIGSTOP                                   dead     kill -9: its PID file is left
    absent    it has ended

A run sends slices over an hour of a clock that stands still: those of the first moment are in the book, the others wait.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TextIO

import pytest

from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.errors import SigcError
from sigc.host.kill_file import FILE as KILL_FILE
from sigc.rpc.messages.requests import RunStatus
from sigc.store.ledger import breakers, control, orders, runs
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.records import Intent, IntentState
from sigc_cli.daemon_call import RunTarget
from sigc_cli.text.runbook_text import sections
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import BrokerOrder, OrderStatus
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.daemon.hand_daemon import turn
from tests.daemon.processes import ROOT
from tests.daemon.test_tending import QUICK, at

NOW = at(DAYS[0], 15)  # ten in New York: the session is open
TWAP = {**QUICK, "style": "twap", "slices": 6, "window_minutes": 60.0}
STATES = ("alive", "busy", "frozen", "dead", "absent")
S = IntentState


@dataclass
class Stand:
    """A site with a run in the middle of its slices, and a daemon in some state."""

    site: Site
    daemon: Daemon
    clock: Path
    state: str = "alive"
    pipe: TextIO | None = None

    @property
    def work(self) -> Path:
        return self.site.folder / "work"

    def intents(self, *states: IntentState) -> list[Intent]:
        with contextlib.closing(connect_reader(self.work / FILE)) as connection:
            return [i for i in orders.recent(connection, 100_000) if not states or i.state in states]

    def book(self, *statuses: OrderStatus) -> list[BrokerOrder]:
        """The broker's book."""
        paper = PaperBroker(self.work / "paper.sqlite", PaperSettings(), HandClock(NOW), durable=False)
        try:
            found = paper.orders(datetime(2000, 1, 1, tzinfo=UTC))
            return [o for o in found if not statuses or o.status in statuses]
        finally:
            paper.close()

    def held(self) -> dict[str, Decimal]:
        """What the broker holds."""
        paper = PaperBroker(self.work / "paper.sqlite", PaperSettings(), HandClock(NOW), durable=False)
        try:
            return paper.positions()
        finally:
            paper.close()

    def halts(self) -> dict[str, control.Control]:
        """The ledger's halts."""
        with contextlib.closing(connect_reader(self.work / FILE)) as connection:
            return {one.scope: one for one in control.every(connection, control.HALTED)}

    def become(self, state: str) -> None:
        """Bring the daemon into a state."""
        self.state = state
        if state == "frozen":
            self.daemon.signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.daemon.pid, os.WSTOPPED)
        elif state == "busy":
            os.mkfifo(self.clock.with_suffix(".block"))
            self.pipe = self.clock.with_suffix(".block").open("w")  # until the loop has opened it for reading
        elif state == "dead":
            self.daemon.kill()
            assert (self.site.folder / "sigc.pid").exists()
        elif state == "absent":
            assert self.site.sigc("stop", "--force").returncode == 0
            self.daemon.end()

    def wake(self) -> None:
        """Let a daemon that was frozen or busy go on."""
        if self.state == "frozen":
            self.daemon.signal(signal.SIGCONT)
        if self.pipe is not None:
            self.clock.with_suffix(".block").unlink()
            with suppress(BrokenPipeError):
                self.pipe.close()
            self.pipe = None
        self.state = "alive"

    def sigc(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.site.sigc(*words)

    def run_slices(self, strategy: str = "momentum") -> None:
        """Begin a run; return when the first slices are in the broker's book."""
        with self.site.client() as client:
            client.post("run", RunTarget(strategy).request(), reply=RunStatus)

        def is_begun() -> bool:
            with suppress(Exception):  # no ledger yet
                found = [i for i in self.intents() if i.key.strategy == strategy]
                first = [i for i in found if i.slice == 1]
                return bool(first) and all(i.state is S.ACKNOWLEDGED for i in first)
            return False

        self.site.until(is_begun, "the first slices are sent")


@contextmanager
def stand(site: Site, strategies: int = 1) -> Iterator[Stand]:
    """A daemon whose clock stands still, with runs in the middle of their slices."""
    clock = site.folder / "clock"
    site.settings["execution"] = TWAP
    if strategies > 1:
        site.settings["strategies"].append({"name": "second", "file": "momentum.sig"})
    site.write()
    turn(clock, NOW)
    with running(site, clock) as daemon:
        made = Stand(site, daemon, clock)
        for name in ("momentum", "second")[:strategies]:
            made.run_slices(name)
        try:
            yield made
        finally:
            made.wake()


@contextmanager
def running(site: Site, clock: Path) -> Iterator[Daemon]:
    program = ("tests.daemon.hand_daemon", str(site.config), str(clock))
    with Daemon(site, program=program) as daemon:
        yield daemon


def ended(made: Stand) -> bool:
    with contextlib.closing(connect_reader(made.work / FILE)) as connection:
        return not runs.left_open(connection)


@pytest.mark.parametrize("state", STATES)
def test_halt(site: Site, state: str) -> None:
    with stand(site) as made:
        before, waiting = made.book(), made.intents(S.PLANNED)
        assert before
        assert waiting
        made.become(state)
        done = made.sigc("halt", "--reason", "odd prices")
        assert done.returncode == 0, done.stderr
        by_file = "by the kill file" in done.stdout
        assert by_file == (state != "alive")
        assert "halted now: everything" in done.stdout
        assert (made.work / KILL_FILE).exists() == by_file
        turn(made.clock, NOW + timedelta(minutes=30))  # slices are due
        shown = made.sigc("safety", "status")
        assert "halted  everything" in shown.stdout
        assert "odd prices" in shown.stdout
        made.wake()
        if state in ("dead", "absent"):
            with running(site, made.clock):
                after_a_halt(made, before, waiting)
        else:
            after_a_halt(made, before, waiting)


def after_a_halt(made: Stand, before: list[BrokerOrder], waiting: list[Intent]) -> None:
    """Nothing more was sent, what waited is denied, and the end of the halt revives nothing."""
    site = made.site
    site.until(lambda: "" in made.halts(), "the ledger has the halt")
    site.until(lambda: ended(made) and site.status().strategies[0].status != "running", "the run has ended")
    assert made.book() == before
    ids = {i.client_order_id for i in waiting}
    unsent = [i for i in made.intents() if i.client_order_id in ids]
    if made.state == "alive" and site.status().strategies[0].status != "interrupted":
        assert {i.state for i in unsent} <= {S.DENIED, S.CANCELLED}
    site.until(lambda: site.status().is_halted, "status shows it")
    refused = site.run()
    assert refused.outcome == "refused"
    assert "halted" in refused.message
    lifted = site.sigc("safety", "resume", "--reason", "seen")
    assert lifted.returncode == 0, lifted.stderr
    assert "everything is no longer halted" in lifted.stdout
    assert "nothing is halted or paused" in lifted.stdout
    assert not (made.work / KILL_FILE).exists()
    assert made.halts() == {}
    turn(made.clock, NOW + timedelta(minutes=40))
    assert made.book() == before
    assert made.intents(S.PLANNED) == []


@pytest.mark.parametrize("state", STATES)
def test_kill_cancel(site: Site, state: str) -> None:
    with stand(site) as made:
        before = made.book()
        made.become(state)
        if state in ("busy", "frozen"):
            asked = made.sigc("kill", "--cancel", "--reason", "enough")  # nobody says yes
            assert asked.returncode == 10
            assert "and was not ended" in asked.stderr
            assert "End it by SIGKILL?" in asked.stderr
            assert len(made.book(OrderStatus.NEW)) == len(before)
            assert (made.work / KILL_FILE).exists()
        done = made.sigc("kill", "--cancel", "--reason", "enough", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{len(before)} orders cancelled:" in done.stdout
        after = made.book()
        assert {o.status for o in after} == {OrderStatus.CANCELLED}
        assert [o.request for o in after] == [o.request for o in before]
        assert not made.intents(S.PLANNED, S.SENDING, S.UNKNOWN, S.ACKNOWLEDGED)
        assert made.halts()[""].reason.startswith("enough")
        assert ended(made) or state == "alive"
        again = made.sigc("kill", "--cancel", "--yes")
        assert "no order was open" in again.stdout
        if state in ("busy", "frozen"):
            made.state = "dead"
            assert made.daemon.process.wait() == -signal.SIGKILL


def test_a_process_that_is_frozen_between_mark_and_request_sends_nothing_after_it_wakes(site: Site) -> None:
    clock = site.folder / "clock"
    site.settings["execution"] = TWAP
    site.write()
    turn(clock, NOW)
    program = ("tests.daemon.hand_daemon", str(site.config), str(clock), "post:before", "3", "stop")
    with Daemon(site, program=program) as daemon:
        made = Stand(site, daemon, clock)
        with site.client() as client:
            client.post("run", RunTarget("momentum").request(), reply=RunStatus)
        os.waitid(os.P_PID, daemon.pid, os.WSTOPPED)
        assert (len(made.book()), len(made.intents(S.SENDING))) == (2, 1)
        assert "by the kill file" in made.sigc("halt").stdout
        daemon.signal(signal.SIGCONT)
        site.until(lambda: ended(made), "the run has ended")
        assert len(made.book()) == 2
        assert {i.state for i in made.intents()} == {S.ACKNOWLEDGED, S.DENIED}
        assert all("is halted by" in i.message for i in made.intents(S.DENIED))


@pytest.mark.parametrize("state", ["alive", "frozen", "absent"])
def test_one_strategy_of_two_is_stopped(site: Site, state: str) -> None:
    with stand(site, 2) as made:
        of_second = {i.client_order_id for i in made.intents() if i.key.strategy == "second"}
        made.become(state)
        wrong = made.sigc("halt", "secnod")
        assert (wrong.returncode, "did you mean 'second'?" in wrong.stderr) == (11, True), wrong.stderr
        assert not (made.work / KILL_FILE).exists()
        done = made.sigc("kill", "--cancel", "second", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "halted now: strategy second" in done.stdout
        for order in made.book():
            is_second = order.request.client_order_id in of_second
            assert order.status is (OrderStatus.CANCELLED if is_second else OrderStatus.NEW)
        assert set(made.halts()) == {"second"}
        waiting = {i.key.strategy for i in made.intents(S.PLANNED)}
        assert waiting == ({"momentum"} if state != "absent" else set())  # a stop ends what waits
        made.state = "dead" if state == "frozen" else made.state


@pytest.mark.parametrize("state", STATES)
def test_kill_flatten(site: Site, state: str) -> None:
    """A book that holds positions: each is closed by one order, which in the living daemon is filled at the next close."""
    clock = site.folder / "clock"
    site.settings["execution"] = QUICK
    site.write()
    turn(clock, NOW)
    with running(site, clock) as daemon:
        made = Stand(site, daemon, clock)
        assert site.run().outcome == "done"
        turn(clock, at(DAYS[1], 15))
        site.until(lambda: bool(made.held()) and not made.intents(S.ACKNOWLEDGED), "the book holds positions")
        held, known = made.held(), {o.request.client_order_id for o in made.book()}
        made.become(state)
        asked = made.sigc("kill", "--flatten")
        assert (asked.returncode, "nobody said yes" in asked.stderr) == (11, True)
        assert {o.request.client_order_id for o in made.book()} == known
        done = made.sigc("kill", "--flatten", "--reason", "out", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"positions are closed by {len(held)} orders" in done.stdout
        closing = [o for o in made.book() if o.request.client_order_id not in known]
        assert {o.request.asset: -o.request.side.sign * o.request.quantity for o in closing} == held
        assert {o.status for o in closing} == {OrderStatus.NEW}
        assert "" in made.halts()
        if state == "alive":
            assert f"for the session {DAYS[1]}, which is open" in done.stdout
            turn(clock, at(DAYS[2], 15))
            site.until(lambda: not made.held(), "the positions are closed")
            assert site.run().outcome == "refused"
        again = made.sigc("kill", "--flatten", "--yes")
        assert "NOT closed" not in again.stdout
        if state != "alive":  # nothing is sold twice: what was open is taken back, and goes out again
            total: dict[str, Decimal] = {}
            for order in made.book(OrderStatus.NEW):
                asset = order.request.asset
                total[asset] = total.get(asset, Decimal(0)) - order.request.side.sign * order.request.quantity
            assert total == held
        made.wake()


def first_page() -> list[str]:
    """The commands of the runbook's first section, in order."""
    section = next(one for one in sections((ROOT / "docs" / "runbook.md").read_text()) if one.title == "Ways to stop")
    return [line.strip() for line in section.body.splitlines() if line.startswith("    sigc ")]


def test_each_command_of_the_runbook_s_first_page_does_what_it_says(site: Site) -> None:
    """In the order in which it lists them, in one daemon; the effect is read in ledger and broker's book."""
    clock = site.folder / "clock"
    site.settings["execution"] = QUICK
    site.write()
    turn(clock, NOW)
    seen: list[str] = []

    def typed(line: str, code: int = 0) -> str:
        seen.append(line)
        words = shlex.split(line)[1:]
        done = site.sigc(*words, *(["--yes"] if words[0] == "kill" else []))
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def stops() -> set[tuple[str, str]]:
        with contextlib.closing(connect_reader(site.folder / "work" / FILE)) as connection:
            return {(one.name, one.scope) for one in breakers.stops(connection)}

    with running(site, clock) as daemon:
        made = Stand(site, daemon, clock)
        assert site.run().outcome == "done"
        turn(clock, at(DAYS[1], 15))
        site.until(lambda: bool(made.held()) and not made.intents(S.ACKNOWLEDGED), "the book holds positions")
        held = made.held()

        typed('sigc pause --reason "why"')
        assert stops() == {("paused", "")}
        with pytest.raises(SigcError, match="is paused"):
            site.run()
        typed("sigc resume")
        assert stops() == set()
        turn(clock, at(DAYS[1], 16))
        assert site.run().outcome == "done"
        flying = made.book(OrderStatus.NEW)
        assert flying

        typed('sigc halt --reason "why"')
        assert stops() == {("halted", "")}
        assert made.book(OrderStatus.NEW) == flying
        shown = site.sigc("status").stdout
        assert ("Status: running (halted)" in shown, "momentum: halted" in shown) == (True, True)
        typed('sigc kill --cancel --reason "why"')
        assert made.book(OrderStatus.NEW) == []
        assert made.held() == held
        assert "positions are closed" in typed('sigc kill --flatten --reason "why"')
        closing = {o.request.asset: -o.request.side.sign * o.request.quantity for o in made.book(OrderStatus.NEW)}
        assert closing == held
        assert "halted  everything" in typed("sigc safety status")
        assert "nothing is halted or paused" in typed('sigc safety resume --reason "why"')
        assert stops() == set()
        turn(clock, at(DAYS[2], 15))
        site.until(lambda: not made.held(), "the positions are closed")
    assert seen == first_page()


def test_a_file_of_that_name_is_a_halt_even_if_it_is_empty(site: Site) -> None:
    with stand(site) as made:
        before = made.book()
        (made.work / KILL_FILE).touch()
        turn(made.clock, NOW + timedelta(minutes=30))
        site.until(lambda: "" in made.halts() and ended(made), "the daemon has seen it")
        assert made.book() == before
        assert "can't be read as a list of halts" in made.sigc("safety", "status").stdout
        assert "no longer halted" in made.sigc("safety", "resume", "--reason", "seen").stdout
        assert (made.halts(), list(made.work.glob(f"{KILL_FILE}.lifted-*")) != []) == ({}, True)


@contextmanager
def ticking(clock: Path) -> Iterator[None]:
    """A clock that goes on in real time."""
    over, begun = threading.Event(), time.monotonic()

    def tick() -> None:
        while not over.wait(0.02):
            turn(clock, NOW + timedelta(seconds=time.monotonic() - begun))

    with ThreadPoolExecutor(1) as hands:
        hands.submit(tick)
        try:
            yield
        finally:
            over.set()


@contextmanager
def streaming(site: Site, state: str) -> Iterator[Stand]:
    """A daemon in some state, from which thousands of orders leave one after the other."""
    clock = site.folder / "clock"
    site.settings["execution"] = TWAP | {"window_minutes": 2.0, "slices": 500}
    site.settings["safety"] |= {"max_orders_per_run": 1_000_000, "max_orders_per_session": 1_000_000}
    site.write()
    turn(clock, NOW)
    with running(site, clock) as daemon, ticking(clock):
        made = Stand(site, daemon, clock)
        with site.client() as client:
            client.post("run", RunTarget("momentum").request(), reply=RunStatus)
        site.until(lambda: (made.work / "paper.sqlite").exists() and len(made.book()) > 0, "orders go out")
        site.until(lambda: len(made.book()) > 50, "orders go out one after the other")
        if state == "busy":
            made.become(state)
        try:
            yield made
        finally:
            made.wake()


@pytest.mark.parametrize("state", ["alive", "busy"])
def test_once_the_command_has_returned_one_request_may_still_be_on_its_way(site: Site, state: str) -> None:
    with streaming(site, state) as made:
        assert made.sigc("halt").returncode == 0
        then = len(made.book())
        made.wake()
        site.until(lambda: ended(made), "the run has ended")
        assert len(made.book()) - then <= 1
        assert made.intents(S.PLANNED) == []
        assert len(made.intents(S.DENIED)) > 100


@pytest.mark.soak
@pytest.mark.parametrize("state", ["alive", "busy"])
def test_the_time_from_the_command_to_the_last_order(site: Site, state: str) -> None:
    """Printed, and below a second."""
    with streaming(site, state) as made:
        watching = contextlib.closing(sqlite3.connect(made.work / "paper.sqlite"))
        with watching as connection, ThreadPoolExecutor(1) as threads:
            before, begun = len(made.book()), time.monotonic()
            command = threads.submit(made.sigc, "halt")
            last, count, returned = begun, before, 0.0
            while time.monotonic() < (returned or begun + 30.0) + 2.0:
                (now,) = connection.execute("SELECT count(*) FROM orders").fetchone()
                last, count = (time.monotonic(), now) if now != count else (last, count)
                returned = returned or (time.monotonic() if command.done() else 0.0)
                time.sleep(0.002)  # the processor is theirs
        assert command.result().returncode == 0, command.result().stderr
        sent, took, after = count - before, last - begun, last - returned
        print(f"{state}: {sent} orders left after the command was typed, the last {took:.3f} s after it began,")
        print(f"  {after:+.3f} s from its return, which came {returned - begun:.3f} s after it began")
        assert took < 1.0


@pytest.mark.needs("root")
def test_root_halts_as_the_daemon_s_user(site: Site) -> None:
    """Else the daemon could not read the file, and a halt of one strategy would be one of all."""
    work = site.folder / "work"
    os.chown(work, 65534, 65534)
    assert site.sigc("halt", "momentum", "--work-dir", str(work)).returncode == 0
    assert (work / KILL_FILE).stat().st_uid == 65534
