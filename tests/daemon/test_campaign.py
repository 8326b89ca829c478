"""Deaths and signals at any moment, with runs in flight: nothing acknowledged is lost, nothing is left open or behind."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time
from typing import Any

import pytest

from sigc.errors import SigcError
from sigc.host.pidfile import read_pid_file
from sigc.rpc.client import NoDaemonError
from sigc.store.ledger import jobs, runs
from sigc.store.ledger.connection import FILE, connect_reader
from sigc_cli.daemon_call import _status
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.daemon.processes import gone

STAGES = ("load", "compute", "validate", "execute")


class Load(threading.Thread):
    """Asks for runs, one after the other, until the daemon is gone; what it was told is kept."""

    def __init__(self, site: Site, seed: int) -> None:
        super().__init__()
        self.site, self.pick = site, random.Random(seed)
        self.acknowledged: list[str] = []
        self.enough = threading.Event()
        self.count = self.pick.randint(1, 12)

    def run(self) -> None:
        try:
            with self.site.client() as client:
                while True:
                    kind = self.pick.choice(("run", "run/dry"))
                    try:
                        reply = client.post(kind, {"strategy": "momentum", "date": self.pick.choice(DAYS)})
                    except NoDaemonError:
                        return
                    except SigcError:
                        continue  # a run of it is under way
                    self.acknowledged.append(str(reply["id"]))
                    if len(self.acknowledged) >= self.count:
                        self.enough.set()
        finally:
            self.enough.set()


def check_all_ended(site: Site, acknowledged: list[str]) -> None:
    connection: sqlite3.Connection = connect_reader(site.folder / "work" / FILE)
    try:
        assert jobs.left_open(connection) == ()
        assert runs.left_open(connection) == ()
        for id in acknowledged:
            order = jobs.find(connection, id)
            assert order is not None
            assert order.finished is not None
    finally:
        connection.close()


def killed_and_started(site: Site, trials: int, seed: int) -> None:
    acknowledged: list[str] = []
    for trial in range(trials):
        with Daemon(site) as daemon:
            load = Load(site, seed * 1000 + trial)
            load.start()
            assert load.enough.wait(60)
            children = [child.pid for child in daemon.descendants()]
            daemon.kill()
            load.join()
            acknowledged += load.acknowledged
        assert read_pid_file(site.folder / "sigc.pid") is None
        assert all(gone(child) for child in children)
        began = time.monotonic()
        with Daemon(site, wait=False) as again:
            is_alive_after = None
            while is_alive_after is None:
                try:
                    site.status()
                    is_alive_after = time.monotonic() - began
                except (NoDaemonError, OSError):
                    assert time.monotonic() - began < 30
            again.until("READY=1")
            assert is_alive_after < 5
            assert time.monotonic() - began < 15
            check_all_ended(site, acknowledged)
            again.signal(signal.SIGTERM)
            assert again.end()[0] == 0
        assert site.left_behind() == []
    assert acknowledged


def test_killed_under_load(site: Site) -> None:
    killed_and_started(site, 3, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_killed_under_load_at_length(site: Site, seed: int) -> None:
    killed_and_started(site, 20, seed)


def stopped_in(site: Site, stage: str, number: int) -> None:
    """SIGTERM when a run is in that stage: the run finishes, the daemon ends in order."""
    with Daemon(site) as daemon:
        with site.client() as client:
            begun = client.post("run", {"strategy": "momentum", "date": DAYS[number % len(DAYS)]})
            for event in client.events("runs/events", {"id": begun["id"]}):
                if _status(event).stage == stage:
                    break
        daemon.signal(signal.SIGTERM)
        began = time.monotonic()
        assert daemon.end()[0] == 0
        assert time.monotonic() - began < 30
    check_all_ended(site, [begun["id"]])
    connection: Any = connect_reader(site.folder / "work" / FILE)
    try:
        order = jobs.find(connection, begun["id"])
    finally:
        connection.close()
    assert order is not None
    assert order.outcome in ("done", "refused"), order
    assert site.left_behind() == []


@pytest.mark.parametrize(("number", "stage"), list(enumerate(STAGES)))
def test_sigterm_in_a_stage(site: Site, number: int, stage: str) -> None:
    stopped_in(site, stage, number)


@pytest.mark.soak
def test_sigterm_in_every_stage_at_length(site: Site) -> None:
    for number in range(100):
        stopped_in(site, STAGES[number % len(STAGES)], number)


def test_the_same_key_runs_once_over_a_crash(site: Site) -> None:
    key = "a-key-of-the-caller"
    wanted = {"strategy": "momentum", "date": DAYS[0]}
    with Daemon(site) as daemon:
        with site.client() as client:
            first = client.post("run", wanted, key=key)
            assert client.post("run", wanted, key=key)["id"] == first["id"]
        daemon.kill()
    with Daemon(site), site.client() as client:
        again = client.post("run", wanted, key=key)
        assert again["id"] == first["id"]
        assert again["state"] == "ended"
        listed = client.get("runs/list")["runs"]
        assert [run["id"] for run in listed] == [first["id"]]
