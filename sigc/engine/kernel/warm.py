"""Warm calls: those whose time tells the cost of a loop, as no code was compiled or loaded during them.

    begun = begin("rank")           before the call
    is_warm(begun)                  after it: it was not the first of its kind here, and no code was made in it

A call is cold until another one of its kind has ended in this process: if two threads begin together, one waits for the
code that the other compiles.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TypeAlias

Begun: TypeAlias = tuple[float, str, bool, int]  # time, kind, True if one has ended, compilations so far

_ended: set[str] = set()
_watched: list[object] = []  # the listener, once numba is loaded
_turn = threading.Lock()
_thread = threading.local()


def begin(kind: str) -> Begun:
    """Record that a call of a kind begins in this thread."""
    return time.perf_counter(), kind, kind in _ended, _made()


def is_warm(begun: Begun) -> bool:
    """Return True if a call that has just ended tells how long the next one takes."""
    _, kind, was_called, made = begun
    _ended.add(kind)
    if not _watched:
        _watch()
    return was_called and _made() == made


def _made() -> int:
    count: int = getattr(_thread, "made", 0)
    return count


def _watch() -> None:
    """Count, by thread, how often numba's compiler is entered: to compile, or to load compiled code.

    Import nothing here: another thread may be importing numba, and the two would deadlock.
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
    """Ignore the end of a compilation."""
