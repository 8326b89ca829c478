"""What the daemon tells of itself: memory and processor time of all its processes, checks, pages for anyone."""

from __future__ import annotations

import http.client
from datetime import UTC, date, datetime
from pathlib import Path

import psutil

from sigc.calendar.sessions import Calendar
from sigc.daemon import health
from sigc.host.usage import Usage, collect, machine_memory
from tests.daemon.daemons import DAYS, Daemon, Gate, Site
from tests.daemon.processes import PATIENCE_S, Script

_BUSY = """
import sys
held = bytearray(80_000_000)
print("ready")
while True:
    sum(range(1000))
"""


def test_a_child_counts_while_it_lives() -> None:
    usage = Usage()
    before, spent = usage.last.memory_bytes, usage.spent()
    with Script(_BUSY) as child:
        assert child.line() == "ready"
        with_child = usage.sample()
        assert with_child.memory_bytes > before + 80_000_000
        assert with_child.processes >= 2
        process = psutil.Process(child.process.pid)
        while sum(process.cpu_times()[:2]) < 0.5:
            assert child.process.poll() is None
        assert usage.spent() > spent + 0.3
        assert usage.sample().cpu_pct > 0
    assert usage.sample().processes == with_child.processes - 1
    collect()
    assert 0 < usage.last.memory_bytes < machine_memory()


def test_checks_say_what_is_wrong(tmp_path: Path) -> None:
    found = health.examine(
        {
            "memory": lambda: health.memory(2 << 30, 1 << 30),
            "disk": lambda: health.disk([tmp_path / "not" / "there"], 1 << 40),
            "late": lambda: health.lateness(1000.0),
            "broken": lambda: str(1 / 0),
            "good": lambda: health.disk([tmp_path], 0),
            "clock": health.ClockWatch().check,
        }
    )
    assert found.status == "degraded"
    assert "the limit is 1024 MB" in found.checks["memory"]
    assert "MB are free" in found.checks["disk"]
    assert "17 min" in found.checks["late"]
    assert "ZeroDivisionError" in found.checks["broken"]
    assert (found.checks["good"], found.checks["clock"]) == ("ok", "ok")
    ends = Calendar("x", "UTC", (), date(2024, 1, 1), date(2024, 2, 1))
    assert "are known for 12 more days" in health.calendars([ends], datetime(2024, 1, 20, tzinfo=UTC))


PAGES = (
    ("GET", "/live", None, 200),
    ("HEAD", "/live", None, 200),
    ("GET", "/live", "localhost", 200),
    ("GET", "/live", "evil.example", 403),
    ("POST", "/live", None, 405),
    ("DELETE", "/health", None, 405),
    ("GET", "/../etc/passwd", None, 404),
    ("GET", "/v1/status", None, 404),
)


def test_pages_are_only_read(daemon: Daemon) -> None:
    with daemon.site.client() as client:
        port = client.get("status", {"is_detailed": True})["detailed"]["ports"]["daemon.health.port"]
    for method, path, host, status in PAGES:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, headers={} if host is None else {"Host": host})
            response = connection.getresponse()
            body = response.read()
            assert response.status == status, (method, path, host)
            assert response.getheader("X-Content-Type-Options") == "nosniff"
            assert (body == b"") == (method == "HEAD")
        finally:
            connection.close()


def test_by_hand_waits_for_what_goes_on(site: Site) -> None:
    gate = Gate.make(site.folder)
    site.settings["schedule"]["jobs"] = [site.script("gate", *gate.command, strategy="momentum")]
    site.write()
    with Daemon(site):
        site.sigc("schedule", "run", "gate")
        gate.wait()
        refused = site.sigc("run", "momentum", "--date", DAYS[0])
        assert refused.returncode == 11
        assert "is under way" in refused.stderr
        assert site.run(date=DAYS[0], is_dry=True).outcome == "done"
        gate.open()


def test_above_its_threshold_it_gives_memory_back(site: Site) -> None:
    site.settings["daemon"]["limits"] = {"gc_threshold_mb": 1}
    site.write()
    with Daemon(site) as daemon:
        while not any("gc_threshold_mb" in record["text"] for record in site.log()):
            assert daemon.process.poll() is None
            site.status()
        assert site.run(date=DAYS[0], is_dry=True).outcome == "done"
