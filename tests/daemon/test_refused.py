"""A daemon that does not start tells so over its channels: once, not once a try, and that it is over."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.alerts.servers import Hook, hook
from tests.daemon.daemons import Daemon, Site


@pytest.fixture
def told() -> Iterator[Hook]:
    with hook() as server:
        yield server


def configured(site: Site, told: Hook) -> None:
    site.settings["alerts"] = {"channels": {"ops": {"type": "webhook", "url": told.url, "timeout_seconds": 2}}}
    site.write()


def start(site: Site) -> subprocess.CompletedProcess[str]:
    return site.sigc("daemon", "--config", str(site.config))


def kinds(told: Hook) -> list[tuple[str, str]]:
    return [(said["kind"], said["rule"]) for said in told.taken if said["rule"] == "start_refused"]


def test_a_ledger_damaged_at_boot_is_told_once_and_its_end(site: Site, told: Hook) -> None:
    configured(site, told)
    ledger = site.folder / "work" / "ledger.sqlite"
    ledger.write_bytes(b"this is no database, " * 1000)
    ledger.chmod(0o600)
    for _ in range(2):
        assert start(site).returncode == 5
    assert kinds(told) == [("raise", "start_refused")]
    assert "E310" in told.taken[0]["text"]
    assert "sigc audit verify" in told.taken[0]["text"]
    ledger.unlink()
    with Daemon(site):
        site.until(lambda: len(kinds(told)) == 2, "the end is told")
    assert kinds(told)[1] == ("resolve", "start_refused")
    assert told.taken[0]["about"] == told.taken[-1]["about"]


def test_a_bad_configuration_and_a_port_that_is_taken_are_told_each(site: Site, told: Hook) -> None:
    configured(site, told)
    site.settings["schedule"]["timezon"] = "UTC"
    site.write()
    for _ in range(2):
        assert start(site).returncode == 6
    assert len(kinds(told)) == 1
    assert "timezon" in told.taken[0]["text"]
    del site.settings["schedule"]["timezon"]
    site.write()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", site.port))
        taken.listen()
        assert start(site).returncode != 0
    assert len(kinds(told)) == 2
    assert str(site.port) in told.taken[1]["text"]


def test_another_daemon_that_runs_is_nothing_to_tell(site: Site, told: Hook) -> None:
    configured(site, told)
    with Daemon(site):
        assert start(site).returncode == 12
    assert kinds(told) == []
