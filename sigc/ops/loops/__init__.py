"""Compiled inner loops, imported at a kernel's first call, never by the checker: importing them imports numba.

All are compiled with `OPTIONS`: no GIL, cached on disk, IEEE division, no fastmath. They get C-ordered float64 arrays
of shape (rows, assets), and numbers.

On a CPU with AVX-512 they use its full vector width; the compiler prefers half of it because of old CPUs that lowered
their clock. No bit changes, since sums are never reordered. CPU features set in the environment are respected.
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
