"""The status page's process: started when the daemon is ready, restarted when it dies, ended with the daemon.

It listens on a socket that the daemon has bound, so its port is known before it runs and stays through its restarts.
It gets no token: it calls the daemon as the people who log in there. Its output goes to the log. The kernel ends
it when the daemon is gone, however that went; one that grows beyond its memory is restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from sigc.config.daemon_settings import DashboardSettings

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_STEADY_S = 60.0  # after a life this long the wait before a restart is the first one again
_LOOK_EVERY_S = 10.0
_GOOD_BYE_S = 3.0
# Secrets of the daemon, and the variables by which systemd knows it: a child must not notify in its name.
_KEPT_BACK = ("SIGC_RPC_TOKEN", "SIGC_DAEMON__RPC__TOKEN", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
log = logging.getLogger("sigc.page")


@dataclass(frozen=True, slots=True)
class PageOrder:
    """The order for a status page: the daemon it shows, its listening socket, the parent it ends with."""

    name: str
    address: str
    ca: Path | None
    descriptor: int
    parent: int
    settings: DashboardSettings


class PageProcess:
    """Keeps the page running. command: starts the page, with the number of its socket."""

    def __init__(self, command: Sequence[str], listening: socket.socket, most_mb: int) -> None:
        self._command, self._listening, self._most_bytes = tuple(command), listening, most_mb << 20
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the page, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def end(self) -> None:
        """End the page and close its socket."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._listening.close()

    async def _keep(self) -> None:
        loop, wait_s = asyncio.get_running_loop(), _FIRST_WAIT_S
        while True:
            began = loop.time()
            try:
                said = f"ended with code {await self._live()}"
            except OSError as failure:
                said = f"can't be started: {failure.strerror}"
            wait_s = _FIRST_WAIT_S if loop.time() - began >= _STEADY_S else wait_s
            log.warning("the status page %s; restarting it", said, extra={"in_s": wait_s})
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    async def _live(self) -> int:
        """Run the page once. Return its exit code."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            pass_fds=(self._listening.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment_of(os.environ),
        )
        log.info("the status page is started", extra={"pid": process.pid})
        reading = asyncio.ensure_future(_log_lines(process.stderr))
        try:
            while True:
                # Wakes now and then to check the memory; `wait_for` cancels only the waiting, not the process.
                with contextlib.suppress(TimeoutError):
                    return await asyncio.wait_for(process.wait(), _LOOK_EVERY_S)
                if memory_of(process.pid) > self._most_bytes:
                    log.warning("the status page grew beyond daemon.dashboard.max_memory_mb")
                    process.terminate()
        finally:
            await _finish(process)
            reading.cancel()
            await asyncio.wait([reading])


async def _finish(process: asyncio.subprocess.Process) -> None:
    """End the process: SIGTERM first, SIGKILL if it does not end in time."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GOOD_BYE_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _log_lines(stream: asyncio.StreamReader | None) -> None:
    while stream is not None:
        try:
            line = await stream.readline()
        except ValueError:  # longer than anybody reads
            continue
        if not line:
            return
        log.warning("page: %s", line.decode(errors="replace").rstrip())


def environment_of(own: Mapping[str, str]) -> dict[str, str]:
    """Return the page's environment: ours without tokens, and with one thread for the numeric libraries.

    >>> environment_of({"PATH": "/bin", "SIGC_RPC_TOKEN": "x"})["PATH"]
    '/bin'
    """
    return {name: value for name, value in own.items() if name not in _KEPT_BACK} | _ONE_THREAD


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process, 0 when it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
