"""Real daemons for tests: a site with data, strategies and a configuration; processes awaited by what they log."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import yaml

from sigc.errors import SigcError
from sigc.rpc.access import read_token
from sigc.rpc.client import Client, NoDaemonError, Target
from sigc.rpc.messages.requests import RunStatus, StatusReply
from sigc_cli.daemon_call import RunTarget, run_over_rpc
from tests.daemon.processes import PATIENCE_S, ROOT, gone
from tests.trading.floor import PAPER, SAFETY, TEXT

DAYS = ("2017-03-01", "2017-03-02", "2017-03-03", "2017-03-06", "2017-03-07", "2017-03-08", "2017-03-09", "2017-03-10")

_LOOK_EVERY_S = 0.03

# Below those that the system gives to whoever asks for any: a daemon that starts again must find its port free still.
_PORTS = range(12_000, 32_000)
_next_port = itertools.count(os.getpid() * 7919)


def free_port() -> int:
    """A port that nobody has, and that nobody else is given soon."""
    for number in itertools.islice(_next_port, len(_PORTS)):
        port = _PORTS[number % len(_PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port is taken")


def in_moments(seconds: float) -> str:
    """A trigger that fires so many seconds from now, for jobs whose calendar is `always`."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return f"open+{at.hour}h{at.minute}m{at.second}s"


@dataclass
class Site:
    """A folder a daemon runs in, and all it is told."""

    folder: Path
    world: Path
    jit: Path
    port: int = field(default_factory=free_port)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("cache", "work", "run"):
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (self.folder / "cache" / "jit").symlink_to(self.jit / "jit")
        for path in self.world.iterdir():
            shutil.copy(path, self.folder)
        (self.folder / "momentum.sig").write_text(TEXT)
        base: dict[str, Any] = {
            "daemon": {
                "rpc": {"address": f"127.0.0.1:{self.port}"},
                "work_dir": str(self.folder / "work"),
                "pid_file": str(self.folder / "sigc.pid"),
                "log_file": str(self.folder / "daemon.log"),
                "cache": {"directory": str(self.folder / "cache")},
                "health": {"port": 0},
                "metrics": {"port": 0},
                "dashboard": {"enabled": False},
                "recovery": {"enabled": False},
            },
            "cluster": {"type": "none"},
            "strategies": [{"name": "momentum", "file": "momentum.sig"}],
            "schedule": {"calendar": "weekdays"},
            "safety": dict(SAFETY),
            "broker": {"paper": dict(PAPER)},
        }
        self.settings = {**base, **self.settings}
        self.write()

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "sigc.yaml"

    @property
    def address(self) -> str:
        """Of the RPC."""
        return f"127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """The token that the daemon has made."""
        return read_token(self.folder / "work" / "rpc.token")

    @property
    def environment(self) -> dict[str, str]:
        """Of commands and daemons: nothing of it is shared with other sites, or this machine's own daemons."""
        paths = os.pathsep.join(str(ROOT / part) for part in (".", "cli", "pipelines", "dashboard"))
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": paths,
            "HOME": str(self.folder),
            "STATE_DIRECTORY": str(self.folder / "work"),
            "RUNTIME_DIRECTORY": str(self.folder / "run"),
        }

    def write(self) -> None:
        """Write the configuration from `settings`."""
        self.config.write_text(yaml.safe_dump(self.settings, sort_keys=False))

    def script(self, name: str, *command: str, **more: Any) -> dict[str, Any]:
        """A script job that fires only by hand: at the open of no session that is near."""
        return {"name": name, "kind": "script", "trigger": "0 0 29 2 *", "command": list(command), **more}

    def sigc(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command, as a process of its own in the site's folder."""
        return subprocess.run(
            [sys.executable, "-m", "sigc_cli.main", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
            check=False,
        )

    def client(self, timeout_s: float = PATIENCE_S) -> Client:
        """A client of the daemon here."""
        return Client(Target(self.address, self.token), timeout_s)

    def status(self) -> StatusReply:
        """How the daemon is."""
        with self.client() as client:
            return client.get("status", reply=StatusReply)

    def wait_until_ready(self) -> StatusReply:
        """How a daemon is that nobody told us of, once it is ready."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(NoDaemonError, SigcError):
                found = self.status()
                if found.is_ready:
                    return found
            time.sleep(_LOOK_EVERY_S)
        raise AssertionError("no daemon is ready")

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something is so that the daemon does by itself."""
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < end, f"not so yet: {what}"
            self.status()
            time.sleep(_LOOK_EVERY_S)  # the daemon, and the test beside, want the processor

    def run(self, what: str = "momentum", **wanted: Any) -> RunStatus:
        """Run a strategy in the daemon, to its end."""
        with self.client() as client:
            return run_over_rpc(client, RunTarget(what, **wanted))

    def page(self, port: str, path: str) -> tuple[int, bytes]:
        """A plain page of the health or metrics port."""
        import http.client

        with self.client() as client:
            number = client.get("status", {"is_detailed": True})["detailed"]["ports"][f"daemon.{port}.port"]
        connection = http.client.HTTPConnection("127.0.0.1", number, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def log(self) -> list[dict[str, Any]]:
        """Every record of the log file."""
        return [json.loads(line) for line in (self.folder / "daemon.log").read_text().splitlines()]

    def left_behind(self) -> list[str]:
        """Files that a daemon leaves nobody."""
        places = (self.folder / "sigc.pid", *(self.folder / "run").glob("*.json"), self.folder / "work" / "scratch")
        return [path.name for path in places if path.exists()]


class Daemon:
    """`sigc daemon` in the foreground, as a process that tells us of its life as it tells systemd."""

    def __init__(
        self,
        site: Site,
        *arguments: str,
        wait: bool = True,
        program: Sequence[str] | None = None,
        **environment: str,
    ) -> None:
        self.site = site
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"\0sigc-test-{os.getpid()}-{id(self)}-{threading.get_ident()}"
        self._told.bind(name)
        self._told.settimeout(PATIENCE_S)
        config = () if "--config" in arguments else ("--config", str(site.config))
        self.process = subprocess.Popen(
            [sys.executable, "-m", *(program or ("sigc_cli.main", "daemon", *config, *arguments))],
            cwd=site.folder,
            env=site.environment | {"NOTIFY_SOCKET": f"@{name[1:]}"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if wait:
            try:
                self.until("READY=1")
            except BaseException:
                self.__exit__(None, None, None)
                raise

    @property
    def pid(self) -> int:
        """Of the daemon."""
        return self.process.pid

    def until(self, word: str) -> str:
        """Wait until it says that; what it said."""
        watching = threading.Thread(target=self._wake_at_end, daemon=True)
        watching.start()
        while True:
            said = self._told.recv(4096).decode()
            if said == "gone":
                out, err = self.process.communicate()
                raise AssertionError(f"the daemon ended ({self.process.returncode}): {out}{err}")
            if word in said:
                return said

    def _wake_at_end(self) -> None:
        gone(self.process.pid)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"gone", self._told.getsockname())

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for its end: the exit code, and what it printed."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out + err

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)

    def descendants(self) -> list[psutil.Process]:
        """Every process that comes from it."""
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def __enter__(self) -> Daemon:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=PATIENCE_S)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self._told.close()


@dataclass(frozen=True)
class Gate:
    """A script job that says when it has begun and ends when it is let go: two named pipes."""

    begun: Path
    go: Path

    @classmethod
    def make(cls, folder: Path, name: str = "gate") -> Gate:
        """The pipes, in `folder`."""
        made = cls(folder / f"{name}.begun", folder / f"{name}.go")
        os.mkfifo(made.begun)
        os.mkfifo(made.go)
        return made

    @property
    def command(self) -> tuple[str, ...]:
        """Of the job."""
        return ("/bin/sh", "-c", f"echo $$ > {self.begun}; read answer < {self.go}; exit $answer")

    def wait(self) -> int:
        """Until it has begun; its PID."""
        # Opened without waiting for a writer: a job that never begins is a failure, not a suite that hangs.
        handle = os.open(self.begun, os.O_RDONLY | os.O_NONBLOCK)
        try:
            found, _, _ = select.select([handle], [], [], PATIENCE_S)
            assert found, "the job has not begun"
            os.set_blocking(handle, True)
            with os.fdopen(os.dup(handle)) as reading:
                return int(reading.readline())
        finally:
            os.close(handle)

    def open(self, code: int = 0) -> None:
        """Let it end with that exit code."""
        self.go.write_text(f"{code}\n")
