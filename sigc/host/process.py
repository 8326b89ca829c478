"""Going to the background, with a pipe by which the starter learns whether the daemon is ready.

    starter --fork--> middle --setsid, fork--> daemon        the middle one ends at once
    starter <======== pipe: pid, then ready or failed ====== daemon

The daemon is not a session leader, so it can't acquire a terminal. The working directory is kept: paths on the command
line are relative to it, also when the daemon restarts itself with the same arguments.

Call `daemonize` before any loop, thread or lock is made: a fork copies them in whatever state they are.
Neighbours: `pidfile` (one at a time), `supervisor` (restarts after a crash), `systemd` (does both itself).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sigc.errors import Diagnostic, SigcError, exit_code, render

_PID_WITHIN_S = 10.0  # a fork, on a machine under whatever load
_MOST_BYTES = 65_536  # of a daemon's report
_MOST_TEXT = 8_000


@dataclass(frozen=True, slots=True)
class Launched:
    """The result for the starter: the exit code to end with, a text for people, the daemon's PID."""

    code: int
    text: str
    pid: int | None


class StartReport:
    """The daemon's end of the pipe to its starter. In the foreground there is no starter, and it does nothing.

    hide: removes secrets from everything reported and printed.
    """

    def __init__(
        self,
        descriptor: int | None = None,
        on_ready: Callable[[], None] | None = None,
        hide: Callable[[str], str] = str,
    ) -> None:
        self._descriptor = descriptor
        self._on_ready = on_ready
        self.hide = hide

    def also(self, on_ready: Callable[[], None]) -> StartReport:
        """Return the same report, which calls `on_ready` too."""
        return StartReport(self._descriptor, on_ready, self.hide)

    def when_ready(self, call: Callable[[], None]) -> None:
        """Add a function to call when the daemon is ready."""
        before = self._on_ready

        def both() -> None:
            if before is not None:
                before()
            call()

        self._on_ready = both

    def ready(self, text: str = "") -> None:
        """Release the starter with exit code 0. Later reports reach nobody."""
        if self._on_ready is not None:
            self._on_ready()
        self._last(0, text)

    def failed(self, code: int, text: str) -> None:
        """Release the starter with the error, unless it is gone."""
        self._last(code or 1, text)

    @property
    def is_open(self) -> bool:
        """Return True if the starter still waits."""
        return self._descriptor is not None

    def pid(self) -> None:
        """Report our PID to the starter."""
        self._send({"pid": os.getpid()})

    def _last(self, code: int, text: str) -> None:
        self._send({"code": code, "text": text[:_MOST_TEXT]})
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _send(self, said: dict[str, object]) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(BrokenPipeError):  # the starter was killed: the daemon lives on
                os.write(self._descriptor, json.dumps(said).encode() + b"\n")


def run(serve: Callable[[StartReport], int], report: StartReport) -> int:
    """Serve. Turn an exception into an exit code that is both reported and printed."""
    try:
        code = serve(report)
    except SigcError as error:
        text = report.hide("\n".join(render(d, {}) for d in error.diagnostics))
        code = exit_code(error.diagnostics)
        print(text, file=sys.stderr)  # noqa: T201
        report.failed(code, text)
    except Exception as error:
        print(report.hide(traceback.format_exc()), end="", file=sys.stderr)  # noqa: T201
        code = 1
        report.failed(code, report.hide(f"{type(error).__name__}: {error}"))
    if report.is_open:
        report.failed(code, "the daemon ended before it was ready")
    return code


def daemonize(
    serve: Callable[[StartReport], int],
    output: Path | None = None,
    timeout_s: float = 120.0,
    hide: Callable[[str], str] = str,
) -> Launched:
    """Run `serve` in the background. Return in the starter when the daemon is ready or has failed.

    output: a file that the daemon's prints are appended to; None drops them. hide: see `StartReport`. The daemon
    itself never returns from here: it raises SystemExit with the result of `serve`.
    """
    if threading.active_count() > 1:
        raise RuntimeError("going to the background must come before any thread is started")
    printed = _open_output(output)
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # An interrupt is held back until it can be passed on: between the fork and the `try` it would orphan the daemon.
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    middle = os.fork()
    if middle == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        os.close(reading)
        report = StartReport(writing, hide=hide)
        _leave_session(report, printed)
        report.pid()
        raise SystemExit(run(serve, report))
    try:
        os.close(writing)
        os.close(printed)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        return _await(reading, timeout_s, output)
    except KeyboardInterrupt:
        # The daemon's PID may not have been read yet, but its group has the middle process' number. WNOWAIT keeps that
        # number from being reused until the signal is sent.
        os.waitid(os.P_PID, middle, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(middle, signal.SIGTERM)
        raise
    finally:
        os.waitpid(middle, 0)
        os.close(reading)


def _open_output(output: Path | None) -> int:
    try:
        return os.open(output or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as failure:
        message = f"the log {output} (daemon.log_file) can't be written: {failure.strerror}"
        raise SigcError(Diagnostic("E402", message)) from failure


def _leave_session(report: StartReport, printed: int) -> None:
    """Start the daemon from the middle process, with files of its own. Only the daemon returns."""
    try:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
    except OSError as failure:
        report.failed(1, f"the daemon can't be started: {failure.strerror}")
        os._exit(1)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for target, source in ((0, nothing), (1, printed), (2, printed)):
        os.dup2(source, target)
    # Files the shell had open would be held for days. Python marks its own files close-on-exec; the shell's are not.
    for descriptor in sorted(int(path.name) for path in Path("/dev/fd").iterdir()):
        with contextlib.suppress(OSError):  # the descriptor of this listing is closed by now
            if descriptor > 2 and os.get_inheritable(descriptor):
                os.close(descriptor)


def _await(reading: int, timeout_s: float, output: Path | None) -> Launched:
    pid: int | None = None
    log = f"; its log is {output}" if output is not None else ""
    try:
        for line in _lines(reading, timeout_s):
            said = json.loads(line)
            if "pid" in said:
                pid = said["pid"]
            else:
                return Launched(said["code"], said["text"], pid)
    except TimeoutError:
        return Launched(1, f"not ready after {timeout_s:g} s, still starting as PID {pid}{log}", pid)
    return Launched(1, f"the daemon died before it was ready{log}", pid)


def _lines(reading: int, timeout_s: float) -> Iterator[bytes]:
    """Yield each line as it comes, until the last writer is gone. Raise TimeoutError.

    The first, which is the daemon's PID, is waited for somewhat longer: without it nobody could stop the daemon.
    """
    begun = time.monotonic()
    end = begun + max(timeout_s, _PID_WITHIN_S)
    text = b""
    while len(text) < _MOST_BYTES:
        ready, _, _ = select.select([reading], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise TimeoutError
        read = os.read(reading, _MOST_BYTES)
        if not read:
            return
        *lines, text = (text + read).split(b"\n")
        if lines:
            end = begun + timeout_s
        yield from lines
