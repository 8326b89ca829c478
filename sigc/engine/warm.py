"""Which calls say what a loop costs: none that may have waited for code to be compiled, or loaded from disk.

    begun = begin("rank")           before the call
    is_warm(begun)                  after it: it was not the first of its kind here, and no code was made in it

A call counts as the first until another one of its kind has ended in this process: of two threads that begin together,
one waits for the code that the other makes.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from typing import Any, TypeAlias

Begun: TypeAlias = tuple[float, str, bool, int]  # the time, what is called, whether one has ended, code made so far

_ended: set[str] = set()
_thread = threading.local()


def begin(kind: str) -> Begun:
    """Note that a call of a kind begins in this thread."""
    return time.perf_counter(), kind, kind in _ended, _made()


def is_warm(begun: Begun) -> bool:
    """Whether a call that has ended now says what the next one will take."""
    _, kind, was_called, made = begun
    _ended.add(kind)
    if "numba" in sys.modules:
        _watch()
    return was_called and _made() == made


def _made() -> int:
    count: int = getattr(_thread, "made", 0)
    return count


@functools.cache
def _watch() -> None:
    """Count, thread by thread, how often numba's compiler is entered: it compiles there, and loads what it kept."""
    from numba.core import event

    class Entered(event.Listener):
        def on_start(self, event: Any) -> None:  # noqa: ARG002
            _thread.made = _made() + 1

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compiler_lock", Entered())  # type: ignore[no-untyped-call]
