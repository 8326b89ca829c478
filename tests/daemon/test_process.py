"""To the background and back: what the starter learns, what the daemon keeps and lets go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sigc.host.process import daemonize
from tests.daemon.processes import PATIENCE_S, Script, environment, gone

_DAEMON = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
from pathlib import Path
from sigc.host.process import daemonize
from sigc.errors import Diagnostic, SigcError

def serve(report):
    print("from the daemon")
    kind = sys.argv[2]
    if kind == "config":
        raise SigcError(Diagnostic("E402", "daemon.port: is no number"))
    if kind == "bug":
        raise ValueError("what is this")
    if kind == "ends":
        return 0
    if kind == "dies":
        os.kill(os.getpid(), 9)
    if kind == "hangs":
        os.read(fifo, 1)
    tty = sys.stdin.read()
    facts = [os.getppid(), os.getsid(0) == os.getpid(), os.getcwd(), tty]
    report.ready(repr(facts))
    assert not report.is_open
    report.ready("twice")
    os.read(fifo, 1)
    return 3

fifo = os.open(sys.argv[3], os.O_RDWR)
launched = daemonize(serve, Path(sys.argv[1]) if sys.argv[1] else None, timeout_s=float(sys.argv[4]))
print(launched.pid)
print(launched.text)
sys.exit(launched.code)
"""


def start(kind: str, folder: Path, timeout_s: float = PATIENCE_S, keep: int | None = None) -> tuple[int, int, str, str]:
    """Exit code of the starter, PID of the daemon, text of the report, what the starter printed as errors."""
    fifo = folder / "fifo"
    if not fifo.exists():
        os.mkfifo(fifo)
    done = subprocess.run(
        [sys.executable, "-c", _DAEMON, str(folder / "out"), kind, str(fifo), str(timeout_s)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=folder,
        pass_fds=() if keep is None else (keep,),
    )
    pid, _, text = done.stdout.partition("\n")
    return done.returncode, int(pid), text.strip(), done.stderr


def test_the_starter_returns_when_the_daemon_is_ready(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    code, pid, text, err = start("serves", tmp_path, keep=writing)
    os.close(writing)
    assert (code, err) == (0, "")
    try:
        parent, leads, where, stdin = eval(text)  # noqa: S307
        assert parent != os.getpid()
        assert not leads
        assert (where, stdin) == (str(tmp_path), "")
        # What the starter's shell had open is let go: else this would wait as long as the daemon lives.
        assert os.read(reading, 1) == b""
    finally:
        os.kill(pid, signal.SIGTERM)
        os.close(reading)
    assert gone(pid)


def test_what_the_daemon_prints_is_kept(tmp_path: Path) -> None:
    code, pid, _, _ = start("serves", tmp_path)
    assert code == 0
    with (tmp_path / "fifo").open("r+b", buffering=0) as fifo:
        fifo.write(b"x")
        assert gone(pid)
    assert (tmp_path / "out").read_text() == "from the daemon\n"


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        ("config", 6, "error[E402]: daemon.port: is no number"),
        ("bug", 1, "ValueError: what is this"),
        ("ends", 1, "the daemon ended before it was ready"),
        ("dies", 1, "the daemon died before it was ready; its log is OUT"),
    ],
)
def test_a_failed_start_is_told(tmp_path: Path, kind: str, code: int, text: str) -> None:
    found, pid, said, _ = start(kind, tmp_path)
    assert (found, said) == (code, text.replace("OUT", str(tmp_path / "out")))
    assert gone(pid)
    assert kind != "bug" or "Traceback" in (tmp_path / "out").read_text()


def test_a_slow_start_is_told_and_goes_on(tmp_path: Path) -> None:
    code, pid, text, _ = start("hangs", tmp_path, timeout_s=0.05)
    assert code == 1
    assert text == f"not ready after 0.05 s, still starting as PID {pid}; its log is {tmp_path / 'out'}"
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)


def test_interrupting_the_starter_ends_the_daemon(tmp_path: Path) -> None:
    for name in ("fifo", "out"):
        os.mkfifo(tmp_path / name)
    printed = os.open(tmp_path / "out", os.O_RDWR)
    daemon = _DAEMON.replace('"hangs":', '"hangs":\n        print(os.getpid())')
    with Script(daemon, str(tmp_path / "out"), "hangs", str(tmp_path / "fifo"), "60") as starter:
        with os.fdopen(printed, "rb", buffering=0) as out:
            assert out.readline() == b"from the daemon\n"
            pid = int(out.readline())
        starter.process.send_signal(signal.SIGINT)
        code, _, err = starter.end()
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in err
    assert gone(pid)


def test_a_log_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from sigc.host.process import daemonize
daemonize(lambda _: 0, Path(sys.argv[1]))
"""
    with Script(script, str(tmp_path / "missing" / "log")) as starter:
        code, _, err = starter.end()
    assert code == 1
    assert "daemon.log_file" in err


def test_threads_are_refused(tmp_path: Path) -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="before any thread"):
            daemonize(lambda _: 0)
    finally:
        release.set()
        thread.join()
