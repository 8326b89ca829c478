"""Compiled inner loops. Imported at a kernel's first call, never by the checker: importing them imports numba.

All are compiled with `OPTIONS`: no GIL, kept on disk, IEEE division, no fastmath. They see C-ordered
float64 arrays of shape (rows, assets) and numbers.

On a CPU with AVX-512 vectors are as wide as it has them: the compiler prefers half of that, for the sake of old CPUs
that slowed down. No bit changes by it, since sums are never reordered. Features chosen by the environment are left
alone.
"""

from __future__ import annotations

from typing import Any

from sigc.ops.jit import load_numba

load_numba()

import numba  # noqa: E402
from numba.core import codegen  # noqa: E402

_config: Any = numba.config
_features: str = codegen.get_host_cpu_features()  # type: ignore[no-untyped-call]
if _config.CPU_FEATURES is None and "+avx512f" in _features:
    _config.CPU_FEATURES = _features + ",-prefer-256-bit"
