"""Limits of reading sources: a number at a time, a timeout per answer, memory per file.

    connections = Connections(most=10, timeout_s=30.0, memory_bytes=1 << 30)
    connections.gather([partial(look, spec) for spec in specs])      the result of each step, in order, or its error

All loads with the same settings share them. Local files are read by as many threads as there are processors: more would
only take memory. URLs wait for the network, and are read by up to `most` at once.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sigc.errors import SigcError

T = TypeVar("T")


class NoAnswerError(TimeoutError):
    """A timeout: no answer came."""


class Connections:
    """A bound on sources that are read at once, over all threads.

    timeout_s: for one answer; 0: no limit. memory_bytes: for reading a file; 0: no limit. scratch: the folder for the
    scratch files of large files; '': the system's.
    """

    def __init__(self, most: int = 10, timeout_s: float = 0.0, memory_bytes: int = 0, scratch: str = "") -> None:
        self.most, self.timeout_s, self.memory_bytes, self.scratch = most, timeout_s, memory_bytes, scratch
        self._free = threading.BoundedSemaphore(most)

    def gather(self, steps: Sequence[Callable[[], T]], *, are_remote: bool = False) -> list[T | SigcError]:
        """Return the result of each step, or its SigcError; in order. Other errors are raised."""
        threads = min(len(steps), self.most, self.most if are_remote else len(os.sched_getaffinity(0)))
        if threads <= 1:
            return [self._made(step) for step in steps]
        with ThreadPoolExecutor(threads, "sigc-read") as pool:
            # Copy the context, so that log lines of the threads name the run.
            made = [pool.submit(contextvars.copy_context().run, self._made, step) for step in steps]
            return [one.result() for one in made]

    def _made(self, step: Callable[[], T]) -> T | SigcError:
        with self._free:
            try:
                return step()
            except SigcError as error:
                return error


def within(timeout_s: float, ask: Callable[[], T]) -> T:
    """Return the result of `ask` if it comes in time; 0: wait. Raise NoAnswerError; the call is then abandoned.

    For calls without a timeout of their own.
    """
    if timeout_s <= 0:
        return ask()
    box: list[T | BaseException] = []
    is_over = threading.Event()

    def work() -> None:
        try:
            box.append(ask())
        except BaseException as failure:
            box.append(failure)
        is_over.set()

    # A daemon thread: an abandoned call must not keep the process from ending.
    threading.Thread(target=work, name="sigc-ask", daemon=True).start()
    if not is_over.wait(timeout_s):
        raise NoAnswerError(f"no answer within {timeout_s:g} s (daemon.connections.timeout_seconds)")
    found = box[0]
    if isinstance(found, BaseException):
        raise found
    return found
