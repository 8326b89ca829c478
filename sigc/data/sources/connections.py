"""How sources are reached: so many at a time, each answer within a time, each file within some memory; shared by all
who load with the same settings.

    connections = Connections(most=10, timeout_s=30.0, memory_bytes=1 << 30)
    connections.gather([partial(look, spec) for spec in specs])      what each step makes, in order, or its error

Files of this machine are read by as many threads as there are processors: more would only take memory. What is behind
a URL waits for the network, and is read by up to `most` at once.
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
    """Nothing came within the time."""


class Connections:
    """A bound on sources that are read at once, over all threads.

    timeout_s: for one answer; 0: as long as it takes. memory_bytes: that a file may take to read; 0: any. scratch: a
    folder for what a large file is cut in on its way; '': the system's.
    """

    def __init__(self, most: int = 10, timeout_s: float = 0.0, memory_bytes: int = 0, scratch: str = "") -> None:
        self.most, self.timeout_s, self.memory_bytes, self.scratch = most, timeout_s, memory_bytes, scratch
        self._free = threading.BoundedSemaphore(most)

    def gather(self, steps: Sequence[Callable[[], T]], *, are_remote: bool = False) -> list[T | SigcError]:
        """What each step makes, or the SigcError it ends with; in the order of the steps. Other errors are raised."""
        threads = min(len(steps), self.most, self.most if are_remote else len(os.sched_getaffinity(0)))
        if threads <= 1:
            return [self._made(step) for step in steps]
        with ThreadPoolExecutor(threads, "sigc-read") as pool:
            # Each with the context of its run: what is logged there is told of that run.
            made = [pool.submit(contextvars.copy_context().run, self._made, step) for step in steps]
            return [one.result() for one in made]

    def _made(self, step: Callable[[], T]) -> T | SigcError:
        with self._free:
            try:
                return step()
            except SigcError as error:
                return error


def within(timeout_s: float, ask: Callable[[], T]) -> T:
    """What `ask` gives, when it gives it in time; 0: whenever. Raises NoAnswerError; then nobody waits for it any more.

    For what has no limit of its own that we could set.
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

    threading.Thread(target=work, name="sigc-ask", daemon=True).start()
    if not is_over.wait(timeout_s):
        raise NoAnswerError(f"no answer within {timeout_s:g} s (daemon.connections.timeout_seconds)")
    found = box[0]
    if isinstance(found, BaseException):
        raise found
    return found
