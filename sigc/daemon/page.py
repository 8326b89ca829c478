"""The status page, a process of its own: started when the daemon is ready, again when it dies, ended with us.

It listens on a socket that the daemon has bound, so its port is known before it runs and stays through its restarts.
It gets no token: it calls the daemon as the people who log in there. What it prints goes to the log. The kernel ends
it when the daemon is gone, however that went; one that grows beyond its memory is started anew.
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
_STEADY_S = 60.0  # a life that makes up for earlier deaths
_LOOK_EVERY_S = 10.0
_GOOD_BYE_S = 3.0
# What only the daemon itself should have: its tokens, and the ear of the service manager.
_KEPT_BACK = ("SIGC_RPC_TOKEN", "SIGC_DAEMON__RPC__TOKEN", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
log = logging.getLogger("sigc.page")


@dataclass(frozen=True, slots=True)
class PageOrder:
    """A page that is wanted: of which daemon, on which listening socket, ended with which parent."""

    name: str
    address: str
    ca: Path | None
    descriptor: int
    parent: int
    settings: DashboardSettings


class PageProcess:
    """Keeps the page running. command: what starts it, with the socket under its number."""

    def __init__(self, command: Sequence[str], listening: socket.socket, most_mb: int) -> None:
        self._command, self._listening, self._most_bytes = tuple(command), listening, most_mb << 20
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start it, from the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def end(self) -> None:
        """End it, and let go of its socket."""
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
            log.warning("the status page %s; it is started again", said, extra={"in_s": wait_s})
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    async def _live(self) -> int:
        """One life of it: the exit code."""
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
    """End it if it lives: asked first, then made to."""
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
    """What the page is told of our environment: no token, one thread.

    >>> environment_of({"PATH": "/bin", "SIGC_RPC_TOKEN": "x"})["PATH"]
    '/bin'
    """
    return {name: value for name, value in own.items() if name not in _KEPT_BACK} | _ONE_THREAD


def memory_of(pid: int) -> int:
    """Resident bytes of a process, 0 when it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
