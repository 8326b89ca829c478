"""Block memory: freed blocks stay in the heap instead of going back to the system.

By default the C library maps every large array and unmaps it when freed, so that each block pays for zeroed pages: as
much as its computation. With a large threshold freed blocks are reused. Unused memory at the end of the heap beyond
`_KEPT` goes back to the system. Settings of the environment (`MALLOC_*`) have priority.
"""

from __future__ import annotations

import ctypes
import functools
import os

_TRIM, _MAP, _ARENAS = -1, -3, -8  # parameters of mallopt(3)
_KEPT = 1 << 30


@functools.cache
def keep_blocks() -> None:
    """Set the thresholds once per process; do nothing if the C library has no mallopt(3)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt(_MAP, _KEPT)
    mallopt(_TRIM, _KEPT)
    mallopt(_ARENAS, 1)  # one heap for all threads: a block freed by one is reused by another
