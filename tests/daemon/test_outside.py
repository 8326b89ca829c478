"""`sigc watch`: what it tells of a daemon that is gone, not ready, late, and back; over restarts of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from sigc.clock import HandClock
from sigc.config.alert_settings import AlertSettings
from sigc.daemon.alerting.certificate import file_ends
from sigc.daemon.watch.outside import WatchState, certificate_trouble, troubles_of
from sigc.daemon.watch.watch_state import owned, read_state
from sigc.daemon.watch.watcher import WatchedDaemon, Watcher
from sigc.errors import SigcError
from sigc.rpc.discovery import DaemonOptions
from sigc.rpc.messages.status import StatusReply, StrategyStatus
from sigc.rpc.schema import to_json
from tests.alerts.servers import Hook, hook
from tests.daemon.daemons import free_port
from tests.daemon.processes import ROOT
from tests.daemon.test_tls import certificate

START = datetime(2024, 1, 2, 21, tzinfo=UTC)
WELL = StatusReply("sigc", "running", 1, "", "0", 1.0, 1, 1, 0.0, "UTC", is_ready=True, is_paused=False, life="a")


@contextmanager
def answering(port: int, status: StatusReply, code: int = 200) -> Iterator[None]:
    """Something that answers as a daemon would."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = to_json(status)
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Post:
    """A watch with a hand-turned clock; `again` is one that was restarted."""

    folder: Path
    told: Hook
    port: int

    def __post_init__(self) -> None:
        self.clock = HandClock(START)
        self.watcher = self.again()

    def again(self) -> Watcher:
        channel = {"type": "webhook", "url": self.told.url, "timeout_seconds": 1}
        settings = AlertSettings.model_validate({"channels": {"ops": channel}})
        asked = DaemonOptions(address=f"127.0.0.1:{self.port}")
        watched = WatchedDaemon(asked, 10.0, 60.0, self.folder / "watch.json")
        self.watcher = Watcher(watched, settings, self.clock, {"HOME": str(self.folder), "SIGC_RPC_TOKEN": "x"})
        return self.watcher

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.watcher.look()
            self.clock.sleep(10.0)

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return [(said["kind"], said["rule"]) for said in self.told.taken]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with hook() as told:
        yield Post(tmp_path, told, free_port())


def test_gone_is_told_once_after_the_patience_over_a_restart_and_its_end_once(post: Post) -> None:
    post.look(6)  # 0 to 50 s
    assert post.kinds == []
    post.again()
    post.look()
    assert post.kinds == [("raise", "watch_gone")]
    post.again()
    post.look(20)
    assert len(post.kinds) == 1
    with answering(post.port, WELL):
        post.look(3)
        post.again()
        post.look(3)
    assert post.kinds == [("raise", "watch_gone"), ("resolve", "watch_gone")]
    assert post.told.taken[0]["about"] == post.told.taken[1]["about"]


def test_a_restart_of_the_daemon_within_the_patience_is_not_told(post: Post) -> None:
    post.look(5)
    with answering(post.port, WELL):
        post.look(2)
    post.look(5)
    assert post.kinds == []


def test_what_a_channel_did_not_take_is_sent_after_a_restart_under_the_same_key(post: Post) -> None:
    post.told.answers.extend([500])
    post.look(7)
    assert post.kinds == []
    assert len(read_state(post.folder / "watch.json").waiting) == 1
    post.again()
    post.look(3)
    assert post.kinds == [("raise", "watch_gone")]
    first, second = post.told.bodies()
    assert first["key"] == second["key"]
    assert read_state(post.folder / "watch.json").waiting == ()


def test_not_ready_late_and_refused_are_told_and_are_not_taken_back_by_what_is_unknown(post: Post) -> None:
    late = StrategyStatus("momentum", "active", next_run=START - timedelta(minutes=4))
    with answering(post.port, replace(WELL, is_ready=False, reason="the ledger is opened", strategies=(late,))):
        post.look(7)
    assert post.kinds == [("raise", "watch_not_ready"), ("raise", "watch_late")]
    assert "the ledger is opened" in post.told.taken[0]["text"]
    with answering(post.port, WELL, code=401):
        post.look(7)
    assert post.kinds[2:] == [("raise", "watch_refused")]
    with answering(post.port, WELL):
        post.look()
    assert sorted(post.kinds[3:]) == [
        ("resolve", "watch_late"),
        ("resolve", "watch_not_ready"),
        ("resolve", "watch_refused"),
    ]


@pytest.mark.parametrize(
    ("state", "minutes", "is_late"), [("active", 4, True), ("paused", 4, False), ("active", 2, False)]
)
def test_late_is_a_due_time_of_an_active_strategy_more_than_three_minutes_ago(
    state: str, minutes: int, is_late: bool
) -> None:
    one = StrategyStatus("momentum", state, next_run=START - timedelta(minutes=minutes))
    assert ("late" in troubles_of(replace(WELL, strategies=(one,)), START)) == is_late


def test_a_certificate_is_told_two_weeks_before_its_end(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path)  # for a day
    ends = file_ends(cert)
    assert timedelta(hours=23) < ends - datetime.now(UTC) <= timedelta(days=1)
    assert certificate_trouble("of it", ends, ends - timedelta(days=15)) is None
    soon, over = certificate_trouble("of it", ends, ends - timedelta(days=13)), certificate_trouble("of it", ends, ends)
    assert soon is not None
    assert str(soon.severity) == "warning"
    assert over is not None
    assert (over.title, str(over.severity)) == ("the certificate of it has run out", "critical")


def test_a_state_that_is_broken_is_moved_aside(tmp_path: Path) -> None:
    place = tmp_path / "watch.json"
    place.write_text('{"standing": 3')
    assert read_state(place) == WatchState()
    assert (tmp_path / "watch.json.broken").read_text() == '{"standing": 3'


def test_a_state_has_one_watch(tmp_path: Path) -> None:
    place = tmp_path / "w" / "watch.json"
    with owned(place), pytest.raises(SigcError, match="another"), owned(place):
        pass
    with owned(place):
        pass


def test_the_process_tells_and_ends_on_sigterm_within_a_second(tmp_path: Path) -> None:
    with hook() as told:
        config = tmp_path / "watch.yaml"
        channels = {"ops": {"type": "webhook", "url": told.url}}
        rpc = {"address": f"127.0.0.1:{free_port()}", "token": "x" * 32}
        config.write_text(yaml.safe_dump({"daemon": {"rpc": rpc}, "alerts": {"channels": channels}}))
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "PYTHONPATH": ":".join(str(ROOT / part) for part in (".", "cli", "pipelines", "dashboard")),
        }
        arrived = threading.Event()

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            arrived.set()

        told.answers.append(answer)
        base = [sys.executable, "-m", "sigc_cli.main", "watch", "--config", str(config), "--state", "w.json"]
        words = [*base, "--every", "0.1", "--patience", "0"]
        with subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
            assert arrived.wait(30)
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
        assert json.loads((tmp_path / "w.json").read_bytes())["standing"]["gone"]["is_told"]
        once = subprocess.run([*base, "--once"], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (once.returncode, "no daemon answers" in once.stdout) == (1, True)
        config.write_text(yaml.safe_dump({"daemon": {"rpc": rpc}}))
        silent = subprocess.run([*base, "--once"], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert (silent.returncode, "no channel" in silent.stderr) == (6, True)


def test_the_watch_needs_neither_numpy_nor_dask() -> None:
    text = (
        "import sys, sigc_cli.commands.watch, sigc.config.check, sigc.daemon.watch.watcher, sigc.daemon.watch.watch_state\n"
        "from sigc.alerts.channels import makers; makers()\n"
        "print([m for m in ('numpy', 'dask', 'distributed', 'pandas', 'tornado') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
