"""What the service manager hears, on real datagram sockets with a path and with an abstract name."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigc.host.systemd import Notifier, is_manager, watchdog_interval_s


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = f"@sigc-{uuid.uuid4().hex}" if request.param == "abstract" else str(tmp_path / "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(30)
    manager.bind("\0" + name[1:] if name.startswith("@") else name)
    yield manager, name
    manager.close()


def test_a_life_is_told(listening: tuple[socket.socket, str]) -> None:
    manager, address = listening
    notifier = Notifier.of({"NOTIFY_SOCKET": address})
    before = time.monotonic_ns() // 1000
    sent = [
        notifier.ready("2 strategies"),
        notifier.reloading(),
        notifier.watchdog(),
        notifier.status("line one\nREADY=1"),
        notifier.extend_timeout(1.5),
        notifier.stopping(),
    ]
    assert all(sent)
    heard = [manager.recv(4096).decode() for _ in sent]
    assert heard[0] == f"READY=1\nMAINPID={os.getpid()}\nSTATUS=2 strategies"
    reloading, _, at = heard[1].partition("\nMONOTONIC_USEC=")
    assert reloading == "RELOADING=1"
    assert before <= int(at) <= time.monotonic_ns() // 1000
    assert heard[2:] == ["WATCHDOG=1", "STATUS=line one READY=1", "EXTEND_TIMEOUT_USEC=1500000", "STOPPING=1"]


def test_nobody_listening_is_no_error(tmp_path: Path) -> None:
    assert not Notifier.of({}).ready()
    assert not Notifier(str(tmp_path / "gone")).ready()
    assert not Notifier("vsock:2:1234").ready()
    assert not Notifier("@x" * 200).ready()


def test_a_manager_that_does_not_read_holds_nothing_up(listening: tuple[socket.socket, str]) -> None:
    _, address = listening
    notifier = Notifier(address)
    while notifier.watchdog():
        pass
    assert not notifier.status("still here")


def test_the_watchdog_is_fed_at_half_its_interval() -> None:
    assert watchdog_interval_s({}) is None
    assert watchdog_interval_s({"WATCHDOG_USEC": "0"}) is None
    assert watchdog_interval_s({"WATCHDOG_USEC": "nonsense"}) is None
    assert watchdog_interval_s({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}) is None
    assert watchdog_interval_s({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}) == 1.0


def test_systemd_is_known_by_what_it_gives_to_its_own_child() -> None:
    assert is_manager({"NOTIFY_SOCKET": "/run/systemd/notify"})
    assert is_manager({"SYSTEMD_EXEC_PID": str(os.getpid())})
    assert not is_manager({"INVOCATION_ID": "inherited from a terminal", "SYSTEMD_EXEC_PID": "1"})
    assert not is_manager({})
