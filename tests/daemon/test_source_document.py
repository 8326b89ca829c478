"""Every command line of the source document, in its order, as a person gives it: real commands, real daemons, real data.

Paths and ports are of the test; strategies have the document's names; the data end today, as a daemon's do.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from sigc.data.dates.exchange import NYSE
from sigc.host.pidfile import read_pid_file
from sigc.rpc.client import Client, Target
from sigc.rpc.messages.requests import StatusReply
from sigc_cli.daemon_call import wait_until_ready
from sigc_cli.starter_files import MOMENTUM
from sigc_cli.synthetic_universe import write_universe
from tests.daemon.daemons import Daemon, Site, free_port
from tests.daemon.processes import gone

CONFIG = """# sigc.yaml
daemon:
  # RPC settings
  rpc:
    address: "127.0.0.1:5555"
    auth: token
    token: ${SIGC_RPC_TOKEN}
  # Process settings
  pid_file: /var/run/sigc.pid
  work_dir: /var/lib/sigc
  # Resource limits
  max_memory_mb: 4096
  max_cpu_pct: 80
  # Logging
  log_file: /var/log/sigc/daemon.log
  log_level: info
"""
MORE = """  cache: {{directory: {folder}/cache}}
  health: {{port: {health}}}
  metrics: {{port: {metrics}}}
cluster: {{type: none}}
execution: {{cut_off: close}}  # of today: the tests run at any time of the day
schedule: {{calendar: nyse}}
strategies:
  - {{name: momentum_strategy, file: momentum_strategy.sig, schedule: "0 {hour} * * 1-5"}}
  - {{name: value_strategy, file: value_strategy.sig, schedule: "0 {hour} * * 1-5"}}
"""
SEVEN = (
    *("sigc_daemon_uptime_seconds", "sigc_daemon_memory_bytes", "sigc_computation_duration_seconds"),
    *("sigc_computation_total", "sigc_computation_errors_total", "sigc_positions_count", "sigc_trades_total"),
)
TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105


@dataclass
class Terminal:
    """Gives commands in the site's folder and keeps what was said, so that a failure shows the session."""

    site: Site
    said: list[str] = field(default_factory=list)

    def sigc(self, line: str, code: int = 0) -> str:
        done = self.site.sigc(*line.split()[1:], SIGC_RPC_TOKEN=TOKEN)
        return self._kept(line, done, code)

    def shell(self, line: str) -> str:
        """Through a shell, as it stands."""
        done = subprocess.run(line, shell=True, cwd=self.site.folder, capture_output=True, text=True, check=False)  # noqa: S602
        return self._kept(line, done, 0)

    def _kept(self, line: str, done: subprocess.CompletedProcess[str], code: int) -> str:
        self.said.append(f"$ {line}\n{done.stdout}{done.stderr}")
        assert done.returncode == code, "\n".join(self.said)
        return done.stdout


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prices of every session up to today."""
    folder = tmp_path_factory.mktemp("today")
    day = np.datetime64(datetime.now(UTC).date() + timedelta(days=1), "D")
    start = np.datetime64("2022-06-01", "D")
    first, stop = NYSE.of().place(np.array([start, day]))
    write_universe(folder, 40, int(stop - first), str(start), with_actions=True)
    return folder


@pytest.fixture
def terminal(tmp_path: Path, today: Path, jit_directory: Path) -> Terminal:
    """A site with the document's configuration and strategies."""
    site = Site(tmp_path, today, jit_directory)
    for name in ("momentum_strategy", "value_strategy"):
        (tmp_path / f"{name}.sig").write_text(MOMENTUM.replace("PLACE/", ""))
    (tmp_path / "momentum.sig").unlink()
    places = {"/var/run/": f"{tmp_path}/", "/var/lib/sigc": f"{tmp_path}/work", "/var/log/sigc": str(tmp_path)}
    text = CONFIG.replace("127.0.0.1:5555", site.address)
    for before, after in places.items():
        text = text.replace(before, after)
    hour = (datetime.now(ZoneInfo("America/New_York")) + timedelta(hours=6)).hour
    more = MORE.format(folder=tmp_path, health=free_port(), metrics=free_port(), hour=hour)
    site.config.write_text(text + more)
    return Terminal(site)


def running(terminal: Terminal, *arguments: str) -> Daemon:
    return Daemon(terminal.site, *arguments, SIGC_RPC_TOKEN=TOKEN)


def page(terminal: Terminal, port: str, path: str) -> str:
    number = json.loads(terminal.sigc("sigc status --detailed --json"))["detailed"]["ports"][f"daemon.{port}.port"]
    return terminal.shell(f'{sys.executable} -c "{FETCH}" http://127.0.0.1:{number}{path}')


FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode(), end='')"


def test_starting(terminal: Terminal) -> None:
    folder = terminal.site.folder
    with running(terminal, "--config", "sigc.yaml"):
        assert "Status: running" in terminal.sigc("sigc status")
        terminal.sigc("sigc stop")
    told = terminal.sigc("sigc daemon --config sigc.yaml --daemonize")
    assert "is ready: PID" in told
    terminal.sigc("sigc stop")
    with running(terminal, "--pid-file", f"{folder}/other.pid") as daemon:
        assert int((folder / "other.pid").read_text()) == daemon.pid
        terminal.sigc("sigc stop")
    with running(terminal, "--foreground", "--log-level", "debug"):
        steps = [record["text"] for record in terminal.site.log() if record["level"] == "debug"]
        assert steps[:3] == [
            "the ledger is opened",
            "the ledger is compared with its audit",
            "strategies are checked",
        ]
        terminal.sigc("sigc stop")
    assert terminal.site.left_behind() == []


def test_the_rpc_commands(terminal: Terminal) -> None:
    with running(terminal) as daemon:
        text = terminal.sigc("sigc run momentum_strategy.sig")
        assert ": done, 16 orders" in text
        assert "0 orders would go out" in terminal.sigc("sigc run momentum_strategy.sig --dry-run")
        assert "for the session 2024-01-16: done" in terminal.sigc("sigc run value_strategy.sig --date 2024-01-15")
        said = terminal.sigc("sigc status")
        when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
        # Before today's open its orders wait for it.
        newest = rf"(success|waiting, 16 orders are at the broker, and may be filled from {when})"
        assert re.fullmatch(
            "sigc daemon status\n==================\nStatus: running\n"
            rf"PID: {daemon.pid}\nUptime: \d+s\nMemory: [\d.]+ [MG]B / 4 GB\nCPU: \d+%\n\nStrategies:\n"
            rf"  momentum_strategy: active\n    Last run: {when}\n    Next run: {when}\n    Status: {newest}\n\n"
            rf"  value_strategy: active\n    Last run: {when}\n    Next run: {when}\n    Status: success\n",
            said,
        ), said
        # A book that has traded a later session is not taken back: a scratch account is traded.
        past = terminal.sigc("sigc run momentum_strategy.sig --date 2024-01-15")
        assert re.match(r"scratch account: momentum_strategy \(\w+\) has traded for the session [\d-]+ already: ", past)
        assert "for the session 2024-01-16: done" in past
        assert "orders would go out" in terminal.sigc("sigc run momentum_strategy.sig --dry-run --date 2024-01-15")
        for line, state in (
            ("sigc pause", ["paused", "paused"]),
            ("sigc resume", ["active", "active"]),
            ("sigc pause momentum_strategy", ["paused", "active"]),
            ("sigc resume momentum_strategy", ["active", "active"]),
        ):
            terminal.sigc(line)
            found = json.loads(terminal.sigc("sigc status --json"))
            assert [s["state"] for s in found["strategies"]] == state, line
        assert "0 differences; reloaded" in terminal.sigc("sigc reload")
        terminal.sigc("sigc stop")
        assert daemon.end()[0] == 0
    for line in ("sigc stop --force", "sigc stop --timeout 30"):
        with running(terminal) as daemon:
            assert "the daemon has ended" in terminal.sigc(line)
            assert daemon.end()[0] == 0


def test_cache_health_metrics_and_trouble(terminal: Terminal) -> None:
    port = terminal.site.port
    with running(terminal) as daemon:
        terminal.sigc("sigc run momentum_strategy.sig")
        assert "Entries:" in terminal.sigc("sigc cache status")
        assert "entries removed" in terminal.sigc("sigc cache clear --pattern prices_*")
        assert "entries removed" in terminal.sigc("sigc cache clear")
        health = json.loads(page(terminal, "health", "/health"))
        assert health.keys() == {"status", "checks", "uptime_seconds"}
        assert health["status"] == "healthy", health
        four = ("data_connection", "broker_connection", "memory", "disk")
        assert [health["checks"][name] for name in four] == ["ok"] * 4
        assert json.loads(page(terminal, "health", "/live")) == {"status": "alive"}
        assert json.loads(page(terminal, "health", "/ready"))["ready"] is True
        metrics = page(terminal, "metrics", "/metrics")
        assert all(
            re.search(rf"^{name}(_count)?[ {{]", metrics, re.MULTILINE) for name in SEVEN if "errors" not in name
        )
        assert all(f"# TYPE {name.removesuffix('_total')}" in metrics for name in SEVEN)
        if shutil.which("lsof"):  # a tool of the operator's, not of ours
            assert str(daemon.pid) in terminal.shell(f"lsof -i :{port}")
        assert "sigc.pid" in terminal.shell("ls -la sigc.pid")
        assert terminal.sigc("sigc status").startswith("sigc daemon status")
        assert terminal.sigc(f"sigc status --address 127.0.0.1:{port}").startswith("sigc daemon status")
        assert "Versions:" in terminal.sigc("sigc status --detailed")
        terminal.sigc("sigc cache clear")
        assert f"PID {daemon.pid}" in terminal.sigc("sigc restart")
        terminal.sigc("sigc stop")
    terminal.sigc("sigc status", code=10)


def test_two_daemons(terminal: Terminal) -> None:
    site = terminal.site
    text = re.sub(
        r"  (pid_file|work_dir|log_file|rpc|health|metrics|  address|  auth|  token).*\n", "", site.config.read_text()
    )
    text = re.sub(r"^ +(address|auth|token):.*\n", "", text, flags=re.MULTILINE)
    for name in ("prod", "paper"):
        (site.folder / f"sigc.{name}.yaml").write_text(text)
    ports = free_port(), free_port()
    with (
        running(terminal, "--config", "sigc.prod.yaml", "--port", str(ports[0])) as one,
        running(terminal, "--config", "sigc.paper.yaml", "--port", str(ports[1])) as two,
    ):
        listed = json.loads(terminal.sigc("sigc ps --json"))
        assert {(e["name"], e["pid"], e["address"]) for e in listed} == {
            ("prod", one.pid, f"127.0.0.1:{ports[0]}"),
            ("paper", two.pid, f"127.0.0.1:{ports[1]}"),
        }
        assert len({e["work_dir"] for e in listed}) == 2
        for name in ("prod", "paper"):
            terminal.sigc(f"sigc stop --config sigc.{name}.yaml")


def test_shutdown_and_recovery(terminal: Terminal) -> None:
    folder = terminal.site.folder
    recovery = "  recovery: {enabled: true, max_restarts: 3, restart_delay_seconds: 0.1}\n"
    text = terminal.site.config.read_text()
    terminal.site.config.write_text(text.replace("  log_level: info\n", f"  log_level: info\n{recovery}"))
    terminal.sigc("sigc daemon --daemonize")
    terminal.sigc("sigc stop")
    terminal.sigc("sigc daemon --daemonize")
    first = read_pid_file(folder / "sigc.pid")
    assert first is not None
    with Client(Target(terminal.site.address, TOKEN)) as client:
        before = client.get("status", reply=StatusReply)
        terminal.shell("kill -9 $(cat sigc.pid)")
        assert gone(first)
        after = wait_until_ready(client, before)
    assert after.pid == read_pid_file(folder / "sigc.pid") != first
    terminal.sigc("sigc stop")
    assert terminal.site.left_behind() == []


def test_a_plain_kill_is_a_graceful_stop(terminal: Terminal) -> None:
    with running(terminal) as daemon:
        os.kill(daemon.pid, signal.SIGTERM)
        assert daemon.end()[0] == 0
    assert terminal.site.left_behind() == []
