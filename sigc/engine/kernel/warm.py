"""Which calls say what a loop costs: none that may have waited for code to be compiled, or loaded from disk.

    begun = begin("rank")           before the call
    is_warm(begun)                  after it: it was not the first of its kind here, and no code was made in it

A call counts as the first until another one of its kind has ended in this process: of two threads that begin together,
one waits for the code that the other makes.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TypeAlias

Begun: TypeAlias = tuple[float, str, bool, int]  # the time, what is called, whether one has ended, code made so far

_ended: set[str] = set()
_watched: list[object] = []  # the listener, once numba is there
_turn = threading.Lock()
_thread = threading.local()


def begin(kind: str) -> Begun:
    """Note that a call of a kind begins in this thread."""
    return time.perf_counter(), kind, kind in _ended, _made()


def is_warm(begun: Begun) -> bool:
    """Whether a call that has ended now says what the next one will take."""
    _, kind, was_called, made = begun
    _ended.add(kind)
    if not _watched:
        _watch()
    return was_called and _made() == made


def _made() -> int:
    count: int = getattr(_thread, "made", 0)
    return count


def _watch() -> None:
    """Count from now on, thread by thread, how often numba's compiler is entered: to compile, or to load what it kept.

    Nothing is imported here: another thread may be in the middle of loading numba, and each would wait for the other.
    """
    numba, event = sys.modules.get("numba"), sys.modules.get("numba.core.event")
    if numba is None or event is None or getattr(numba.__spec__, "_initializing", False):
        return
    with _turn:
        if not _watched:
            listener = type("Entered", (event.Listener,), {"on_start": _entered, "on_end": _left})()
            event.register("numba:compiler_lock", listener)
            _watched.append(listener)


def _entered(_listener: object, _event: object) -> None:
    _thread.made = _made() + 1


def _left(_listener: object, _event: object) -> None:
    """Nothing is counted when it is left."""
