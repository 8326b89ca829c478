"""Compiled inner loops. Imported at a kernel's first call, never by the checker: importing them imports numba.

All are compiled with `OPTIONS`: no GIL, kept on disk, IEEE division, no fastmath. They see C-ordered
float64 arrays of shape (rows, assets) and numbers.
"""

from sigc.ops.jit import load_numba

load_numba()
