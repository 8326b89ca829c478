"""The supervisor: a small parent process that restarts the daemon after a crash.

    supervise --fork--> daemon, in a process group of its own
        our signals are passed on, once (a terminal's Ctrl-C reaches our group only, never both)
        the daemon dies with us (PR_SET_PDEATHSIG); processes it leaves behind are killed with its group
        killed, or ended by a code that is no refusal: restarted after the delay, at most `max_restarts` times
        it can't start again (data, broker, work dir in use): tried again after the delay, as long as it takes

A daemon that was never ready is not restarted: its starter gets the error instead. After an hour of steady running
all restarts are available again. Under systemd there is no supervisor (`is_needed`): systemd restarts.

The supervisor waits for signals with sigwait, so it has no handlers, no loop and no races between them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sigc.host.process import StartReport, run
from sigc.host.systemd import is_manager

_MARK = "SIGC_SUPERVISOR"  # the supervisor's PID; survives the daemon's own exec, which must not start a second one
_STOPS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})
_PASSED = _STOPS | {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
# Exit codes that another start would not change: success, or an error of usage, strategy, configuration, trading.
_FINAL = frozenset({0, 2, 3, 6, 8, 10, 11})
# Errors that end by themselves: a file is not there, a broker does not answer, a `sigc run` has the work dir.
_TRANSIENT = frozenset({4, 7, 12})
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36


@dataclass(frozen=True, slots=True)
class Recovery:
    """The restart policy: the number of restarts, the delay, and the seconds of running that reset the count."""

    max_restarts: int = 3
    restart_delay_s: float = 10.0
    steady_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """The end of one life: exit code (the negative signal if killed), ready before, stopped on request, seconds."""

    code: int
    was_ready: bool = True
    was_asked: bool = False
    lasted_s: float = 0.0

    @property
    def is_crash(self) -> bool:
        """Return True if another start may help."""
        if self.code < 0:
            return -self.code not in _STOPS
        return self.code not in _FINAL

    @property
    def is_transient(self) -> bool:
        """Return True if a start failed, after a life that was ready, by what ends by itself."""
        return self.was_ready and self.code in _TRANSIENT


def restarts_after(end: ProcessEnd, restarts: int, recovery: Recovery) -> int | None:
    """Return the number of restarts including the one due now; None if none is due.

    >>> [restarts_after(ProcessEnd(-9), n, Recovery(max_restarts=2)) for n in (0, 1, 2)]
    [1, 2, None]
    >>> [restarts_after(ProcessEnd(12), n, Recovery(max_restarts=2)) for n in (0, 1, 2)]  # not counted
    [1, 1, 2]
    """
    if end.was_asked or not end.was_ready or not end.is_crash:
        return None
    if end.is_transient:
        return max(restarts, 1)
    counted = 0 if end.lasted_s >= recovery.steady_s else restarts
    return counted + 1 if counted < recovery.max_restarts else None


def is_needed(environment: Mapping[str, str]) -> bool:
    """Return True if nobody else restarts this process: neither systemd nor another supervisor."""
    return not is_manager(environment) and environment.get(_MARK) != str(os.getppid())


def supervise(
    serve: Callable[[StartReport], int],
    report: StartReport,
    recovery: Recovery,
    say: Callable[[str], None] | None = None,
    again: Callable[[StartReport], int] | None = None,
) -> int:
    """Run `serve` in a child until it ends for good. Return its exit code, or 128 plus the signal that killed it.

    say: called with a text for each crash. again: runs instead of `serve` after a crash. The child never returns from
    here: it raises SystemExit with the result of `serve`.
    """
    say = say or _print
    _prctl(_SET_CHILD_SUBREAPER, 1)  # orphans of the daemon become our children, and are reaped here
    # Blocked, not handled: sigwait takes them one by one.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED | {signal.SIGCHLD})
    restarts, was_ready = 0, False
    try:
        while True:
            end = _one_life(serve if restarts == 0 else again or serve, report, before, was_ready)
            was_ready = end.was_ready
            due = restarts_after(end, restarts, recovery)
            if due is None:
                if end.is_crash and end.was_ready and not end.was_asked:
                    say(f"the daemon {_how(end)}; it was restarted {restarts} times already and stays down")
                return end.code if end.code >= 0 else 128 - end.code
            restarts = due
            count = "" if end.is_transient else f" ({due} of {recovery.max_restarts})"
            say(f"the daemon {_how(end)}; restarting it in {recovery.restart_delay_s:g} s{count}")
            if _is_stopped_within(recovery.restart_delay_s):
                return 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_with_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Make the kernel send us a signal when our parent ends; exit at once if it already has. Linux only."""
    _prctl(_SET_PDEATHSIG, number)
    # The parent may have died before the call above took effect.
    if os.getppid() != parent:
        raise SystemExit(128 + number)


def _one_life(
    serve: Callable[[StartReport], int], report: StartReport, mask: set[int | signal.Signals], was_ready: bool
) -> ProcessEnd:
    reading, writing = os.pipe()
    began, us = time.monotonic(), os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setpgid(0, 0)
        os.environ[_MARK] = str(us)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        die_with_parent(us)
        raise SystemExit(run(serve, report.also(lambda: _tell(writing))))
    os.close(writing)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)  # in both processes: the group must exist before either sends a signal to it
    code, was_asked = _watch(child)
    # The byte may be in the pipe although the child is dead already.
    ready = bool(select.select([reading], [], [], 0)[0]) and os.read(reading, 1) == b"r"
    os.close(reading)
    return ProcessEnd(code, was_ready or ready, was_asked, time.monotonic() - began)


def _tell(writing: int) -> None:
    with contextlib.suppress(OSError):  # reported already
        os.write(writing, b"r")
        os.close(writing)


def _watch(child: int) -> tuple[int, bool]:
    """Pass signals on until the daemon has ended. Return its exit code, and True if one of them asked it to end."""
    was_asked = False
    while True:
        code = _reap(child)
        if code is not None:
            return code, was_asked
        number = signal.sigwait(_PASSED | {signal.SIGCHLD})
        if number != signal.SIGCHLD:
            was_asked = was_asked or number in _STOPS
            os.kill(child, number)  # not reaped yet, so the PID is still its own


def _reap(child: int) -> int | None:
    """Reap every child that has ended. If the daemon has, kill its group and return its exit code."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        if ended is None:
            return None
        if ended.si_pid == child:
            # Before it is reaped its number can't be reused. Its orphaned workers are killed with the group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(ended.si_pid, 0)
        if ended.si_pid == child:
            return os.waitstatus_to_exitcode(status)


def _is_stopped_within(seconds: float) -> bool:
    """Wait for the time of the next start. Return True if a signal asked to stop."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        found = signal.sigtimedwait(_PASSED | {signal.SIGCHLD}, left)
        if found is not None and found.si_signo in _STOPS:
            return True
        _reap(-1)
    return False


def _how(end: ProcessEnd) -> str:
    return f"was killed by {signal.Signals(-end.code).name}" if end.code < 0 else f"ended with exit code {end.code}"


def _print(text: str) -> None:
    print(f"sigc: {text}", file=sys.stderr, flush=True)  # noqa: T201


def _prctl(option: int, argument: int) -> None:
    """Call prctl; do nothing on other systems."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0)
