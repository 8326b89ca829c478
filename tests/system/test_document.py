"""Every command line of the source document on running a daemon, in its order, against real processes."""

from __future__ import annotations

import json
import os
import re
import signal
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from sigc.calendar import open_calendar
from sigc.daemon.pidfile import read_pid_file
from tests.daemon.daemons import Daemon, Site, free_port
from tests.daemon.processes import gone
from tests.world import NAMES, write_wide, write_world

BLOCK = re.compile(
    r"""sigc daemon status
==================
Status: running
PID: \d+
Uptime: (\d+d \d+h \d+m|\d+h \d+m|\d+m \d+s|\d+s)
Memory: [\d.]+ [GM]B / [\d.]+ [GM]B
CPU: \d+%

Strategies:
  momentum_strategy: active
    Last run: (-|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)
    Next run: \d{4}-\d\d-\d\d 09:00:00
    Status: (success|refused|never run)

  value_strategy: active
    Last run: -
    Next run: \d{4}-\d\d-\d\d 09:00:00
    Status: never run
"""
)


@pytest.fixture
def desk(tmp_path: Path, jit_directory: Path) -> Site:
    """A site whose prices end with the last session, as those of a desk do."""
    world, folder = tmp_path / "world", tmp_path / "site"
    world.mkdir()
    folder.mkdir()
    write_world(world, 300)
    last = open_calendar("weekdays", None).last_complete(datetime.now(UTC)).day
    dates = np.busday_offset(np.datetime64(last), np.arange(-299, 1)).astype("datetime64[ns]")
    walk = np.random.default_rng(5).normal(0.0, 0.01, (300, len(NAMES))).cumsum(axis=0)
    write_wide(world / "prices.parquet", dates, np.round(50 * np.exp(walk), 2))
    write_wide(world / "volume.parquet", dates, np.full((300, len(NAMES)), 1e6))
    site = Site(folder, world, jit_directory)
    for name in ("momentum_strategy", "value_strategy"):
        (folder / f"{name}.sig").write_text((folder / "momentum.sig").read_text())
    site.settings["strategies"] = [
        {"name": name, "file": f"{name}.sig", "schedule": "0 9 * * 1-5"}
        for name in ("momentum_strategy", "value_strategy")
    ]
    site.write()
    return site


def done(site: Site, line: str) -> str:
    """A command line that must succeed; what it printed."""
    found = site.sigc(*line.split()[1:])
    assert found.returncode == 0, (line, found.stdout, found.stderr)
    return found.stdout


def test_starting(desk: Site) -> None:
    pid_file = desk.folder / "other.pid"
    for line in ("sigc daemon", f"sigc daemon --pid-file {pid_file}", "sigc daemon --foreground --log-level debug"):
        with Daemon(desk, *line.split()[2:]) as daemon:
            assert BLOCK.fullmatch(done(desk, "sigc status"))
            assert read_pid_file(pid_file if "other" in line else desk.folder / "sigc.pid") == daemon.pid
            done(desk, "sigc stop")
            assert daemon.end()[0] == 0
    assert "PID" in done(desk, f"sigc daemon --config {desk.config} --daemonize")
    pid = read_pid_file(desk.folder / "sigc.pid")
    assert pid is not None
    # kill -9 $(cat /var/run/sigc.pid): started again by hand here, by systemd there.
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    done(desk, "sigc daemon --daemonize")
    done(desk, "sigc stop --force")
    assert desk.left_behind() == []


def test_controlling(desk: Site) -> None:
    with Daemon(desk) as daemon:
        ran = done(desk, "sigc run momentum_strategy.sig")
        assert "paper run" in ran
        assert BLOCK.fullmatch(done(desk, "sigc status"))
        assert "dry run" in done(desk, "sigc run momentum_strategy.sig --dry-run")
        day = json.loads(done(desk, "sigc run value_strategy.sig --dry-run --json"))["as_of"]
        assert f"as of {day}" in done(desk, f"sigc run value_strategy.sig --date {day} --dry-run")
        again = desk.sigc("run", "momentum_strategy.sig")
        assert again.returncode == 8
        assert "traded" in again.stderr
        for line in ("pause", "resume", "pause momentum_strategy"):
            done(desk, f"sigc {line}")
        paused = desk.sigc("run", "momentum_strategy.sig")
        assert (paused.returncode, "is paused" in paused.stderr) == (11, True)
        for line in (
            "resume momentum_strategy",
            "reload",
            "cache status",
            "cache clear --pattern prices_*",
            "cache clear",
        ):
            done(desk, f"sigc {line}")
        assert desk.page("health", "/health")[0] == 200
        assert desk.page("health", "/live")[0] == 200
        assert desk.page("health", "/ready")[0] == 200
        numbers = desk.page("metrics", "/metrics")[1].decode()
        for name in (
            "sigc_daemon_uptime_seconds",
            "sigc_daemon_memory_bytes",
            "sigc_computation_duration_seconds",
            "sigc_computation_total",
            "sigc_computation_errors_total",
            "sigc_positions_count",
            "sigc_trades_total",
        ):
            assert f"# TYPE {name} " in numbers
        assert "Checks:" in done(desk, "sigc status --detailed")
        assert BLOCK.fullmatch(done(desk, f"sigc status --address 127.0.0.1:{desk.port}"))
        assert f"PID {daemon.pid}" in done(desk, "sigc restart")
        done(desk, "sigc stop --timeout 30")
        assert daemon.end()[0] == 0
    assert desk.left_behind() == []


def test_several(desk: Site) -> None:
    """sigc daemon --config sigc.prod.yaml --port 5555, and sigc.paper.yaml at 5556."""
    for key in ("work_dir", "pid_file", "log_file", "rpc"):
        del desk.settings["daemon"][key]
    desk.write()
    ports = {"prod": free_port(), "paper": free_port()}
    for name in ports:
        (desk.folder / f"sigc.{name}.yaml").write_text(desk.config.read_text())
    lines = {name: ("--config", f"sigc.{name}.yaml", "--port", str(port)) for name, port in ports.items()}
    with Daemon(desk, *lines["prod"]) as prod, Daemon(desk, *lines["paper"]) as paper:
        listed = json.loads(done(desk, "sigc ps --json"))
        assert {entry["name"]: entry["pid"] for entry in listed} == {"prod": prod.pid, "paper": paper.pid}
        for name, daemon in (("prod", prod), ("paper", paper)):
            assert f"PID: {daemon.pid}" in done(desk, f"sigc status --config sigc.{name}.yaml")
            done(desk, f"sigc stop --name {name}")
            assert daemon.end()[0] == 0
