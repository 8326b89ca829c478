"""Inputs for every operator, by the kinds it declares: awkward data on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sigc.ops.declare import Carry, Default, Operator, ValueKind

Floats = NDArray[np.float64]
ROWS, ASSETS = 61, 7


def panel(seed: int, rows: int = ROWS, assets: int = ASSETS, gaps: float = 0.08) -> Floats:
    """A random walk with gaps, ties and one late start."""
    random = np.random.default_rng(seed)
    x = np.round(50 + random.normal(0, 1, (rows, assets)).cumsum(axis=0), 2)
    x[random.random(x.shape) < gaps] = np.nan
    if assets > 2:
        x[: rows // 3, 1] = np.nan
    if assets > 4 and rows > 8:
        x[5:9, 3] = x[5:9, 4]
    return x


def inputs(op: Operator, seed: int = 0, rows: int = ROWS, assets: int = ASSETS) -> dict[str, Floats]:
    """One array per input parameter; two for a variadic one."""
    made: dict[str, Floats] = {}
    for at, param in enumerate(op.inputs):
        if param.kind is ValueKind.CATEGORY:
            codes = np.random.default_rng(seed + 50).integers(0, 3, (rows, assets)).astype(np.float64)
            codes[:, assets // 2] = np.nan
            made[param.name] = codes
        elif param.variadic:
            made |= {"0": panel(seed), "1": panel(seed + 1)}
        elif param.kind is ValueKind.BOOLEAN:
            made[param.name] = (panel(seed + at, rows, assets) > 50).astype(np.float64)
        else:
            made[param.name] = panel(seed + at, rows, assets)
    return made


def numbers(op: Operator) -> dict[str, Any]:
    """Number arguments: short windows, so that blocks are longer than they."""
    chosen: dict[str, Any] = {}
    for param in op.numbers:
        if param.name in ("window", "span", "signal", "fast", "slow"):
            chosen[param.name] = {"fast": 3, "slow": 8, "signal": 4}.get(param.name, 5)
        elif param.default is Default.REQUIRED:
            chosen[param.name] = 0.1
        elif param.default is not None:
            chosen[param.name] = param.default
        else:
            chosen[param.name] = None
    return chosen


def variants(op: Operator) -> list[tuple[str, dict[str, Any]]]:
    """Number arguments that take different ways through a kernel, with a name for each but the first."""
    plain = numbers(op)
    return [("", plain), ("min_periods", plain | {"min_periods": 2})] if "min_periods" in plain else [("", plain)]


def run(
    op: Operator, given: dict[str, Floats], args: dict[str, Any], state: Floats | None = None
) -> tuple[Floats, Floats]:
    """The result and the state after it (empty for operators without)."""
    with np.errstate(all="ignore"):
        if any(p.variadic for p in op.inputs):
            return op.kernel(*given.values(), **args), np.empty((0, 0))
        if not isinstance(op.lookback, Carry):
            return op.kernel(**given, **args), np.empty((0, 0))
        width = next(iter(given.values())).shape[1]
        if state is None:
            state = np.tile(np.array(op.lookback.initial)[:, None], (1, width))
        result, after = op.kernel(**given, **args, state=state)
        return result, after


def rows_of(given: dict[str, Floats], start: int, stop: int) -> dict[str, Floats]:
    return {k: np.ascontiguousarray(v[start:stop]) for k, v in given.items()}


def same(a: Floats, b: Floats) -> bool:
    """Equal bits, but for the sign of zero and the payload of NaN, which stored blocks do not keep."""
    return np.array_equal(a, b, equal_nan=True)
