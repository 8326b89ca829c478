"""Memory of blocks: kept in the heap instead of given back to the system after each.

The C library maps every large array anew and unmaps it when it is freed, so that each block pays for zeroed pages:
as much as computing it. With a large threshold freed blocks are used again. What lies unused at the end of the heap
beyond `_KEPT` goes back to the system. Who set these by the environment is left alone.
"""

from __future__ import annotations

import ctypes
import functools
import os

_TRIM, _MAP, _ARENAS = -1, -3, -8  # parameters of mallopt(3)
_KEPT = 1 << 30


@functools.cache
def keep_blocks() -> None:
    """Once a process. Nothing where the C library has no such setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt(_MAP, _KEPT)
    mallopt(_TRIM, _KEPT)
    mallopt(_ARENAS, 1)  # threads share one heap: what one frees another takes
