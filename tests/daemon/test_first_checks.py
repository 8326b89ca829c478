"""Healthy is said when the checks are made, not before; a check that does not end keeps nobody from being ready."""

from __future__ import annotations

import http.client
import json
import os
import select
from collections.abc import Iterator
from typing import Any

import pytest

from tests.daemon.daemons import Daemon, Site, free_port
from tests.daemon.processes import PATIENCE_S

BROKER = """
from sigc_pipelines.brokers.paper import PaperBroker

class Slow:
    def __init__(self, settings, directory, clock):
        self._paper = PaperBroker(directory / "paper.sqlite", settings.paper, clock)
        self._folder, self._is_slow = directory.parent, True

    def account(self):
        if self._is_slow:
            self._is_slow = False
            (self._folder / "asked").write_text("x")  # a pipe: until somebody listens
            (self._folder / "go").read_text()  # a pipe: until somebody says so
        return self._paper.account()

    def __getattr__(self, name):
        return getattr(self._paper, name)

def slow(settings, directory, clock):
    return Slow(settings, directory, clock)
"""


@pytest.fixture
def slow(site: Site) -> Iterator[Daemon]:
    """A daemon that starts, and has asked a broker for its account that answers the first time when `go` is written."""
    installed = site.folder / "installed"
    information = installed / "slow-1.dist-info"
    information.mkdir(parents=True)
    (installed / "slow.py").write_text(BROKER)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[sigc.brokers]\nslow = slow:slow\n")
    site.settings["broker"] |= {"type": "slow"}
    site.settings["daemon"]["health"] = {"port": free_port(), "interval_seconds": 0.2}
    site.write()
    for name in ("asked", "go"):
        os.mkfifo(site.folder / name)
    listening = os.open(site.folder / "asked", os.O_RDONLY | os.O_NONBLOCK)
    try:
        path = f"{site.environment['PYTHONPATH']}:{installed}"
        with Daemon(site, wait=False, PYTHONPATH=path) as daemon:
            assert select.select([listening], [], [], PATIENCE_S)[0], "the broker is asked"
            yield daemon
    finally:
        os.close(listening)


def answer(site: Site) -> None:
    """Let the broker answer, which waits for it."""
    (site.folder / "go").write_text("x")


def page(site: Site, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", site.settings["daemon"]["health"]["port"], timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_starting_until_the_first_checks_are_in(slow: Daemon) -> None:
    site = slow.site
    status, body = page(site, "/health")
    assert (status, body["status"], body["checks"]) == (503, "starting", {})
    assert page(site, "/live")[0] == 200
    assert page(site, "/ready") == (503, {"ready": False, "reason": "the first checks are made"})
    assert not site.status().is_ready
    answer(site)
    slow.until("READY=1")
    status, body = page(site, "/health")
    assert (status, body["status"]) == (200, "healthy")
    assert body["checks"]["broker_connection"] == "ok"
    assert page(site, "/ready")[0] == 200


def test_a_check_that_does_not_end(slow: Daemon) -> None:
    site = slow.site
    slow.until("READY=1")
    assert page(site, "/ready")[0] == 200
    assert page(site, "/health")[1]["status"] == "degraded"
    assert page(site, "/health")[1]["checks"] == {"checks": "the first checks take longer than 10 s"}
    answer(site)
    site.until(lambda: page(site, "/health")[1]["status"] == "healthy", "they are over")


def test_a_stop_while_they_are_made(slow: Daemon) -> None:
    site = slow.site
    assert site.sigc("stop", "--name", "sigc", "--timeout", "1").returncode == 0
    assert slow.end()[0] == 0
