"""Digests of kernel results on fixed data: equal on two machines only if their bits are equal.

The controller compares them with those of every worker, for the operators in use, before it sends a task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from sigc.ops.declare import REGISTRY, Carry, Default, Operator, ValueKind
from sigc.ops.table import operators
from sigc.panel import Floats, canonical

_ROWS, _ASSETS = 41, 9


def kernel_digests(names: Iterable[str]) -> dict[str, str]:
    """Return digests by operator name; other names (sources, constants) are left out."""
    operators()  # fills the registry
    found = {}
    for name in sorted(set(names)):
        operator = REGISTRY.get(name)  # looked up like the engine does
        if operator is not None:
            found[name] = _digest(operator)
    return found


def _digest(operator: Operator) -> str:
    args: dict[str, Any] = {
        p.name: 0.1 if p.default is Default.REQUIRED else _short(p.name, p.default) for p in operator.numbers
    }
    inputs = {p.name: _input(at, p.kind) for at, p in enumerate(operator.inputs)}
    if isinstance(operator.lookback, Carry):
        args["state"] = np.tile(np.array(operator.lookback.initial)[:, None], (1, _ASSETS))
    with np.errstate(all="ignore"):
        if any(p.variadic for p in operator.inputs):
            result = operator.kernel(*inputs.values(), **args)
        else:
            result = operator.kernel(**inputs, **args)
    values: Floats = result[0] if isinstance(operator.lookback, Carry) else result
    return hashlib.sha256(canonical(values).tobytes()).hexdigest()[:16]


def _short(name: str, default: Any) -> Any:
    """Return a window that the rows can fill."""
    return min(default, 7) if name in ("window", "span", "slow") and default is not None else default


def _input(at: int, kind: ValueKind) -> Floats:
    """Return fixed data made by arithmetic alone, independent of any generator's version."""
    row, column = np.mgrid[0:_ROWS, 0:_ASSETS]
    if kind is ValueKind.CATEGORY:
        return np.asarray((column % 3).astype(np.float64))
    values = 50.0 + ((row * 7919 + column * 104729 + at * 31) % 1009) / 97.0
    values[(row + column + at) % 13 == 0] = np.nan
    return np.asarray(values, dtype=np.float64)
