"""Carried operators: they depend on all rows since the first, through a small state per asset.

Inner loops: `loops/running.py`. The state is passed in as (components, assets) and returned changed; the given array is
not modified.
"""

from __future__ import annotations

import numpy as np

from sigc.ops.declare import Axis, Carry, State, Values, Window, operator
from sigc.ops.jit import frozen

_NAN = float("nan")


@operator(axis=Axis.TIME, lookback=Carry((_NAN, 0.0)), example="ffill(prices)", keeps=True)
def ffill(x: Values, limit: Window | None = None, *, state: State) -> tuple[Values, State]:
    """The last valid value carried forward, over at most `limit` missing rows (none: any number); labels too."""
    from sigc.ops.loops import running

    after = state.copy()
    most = np.inf if limit is None else float(limit)
    return running.forward(frozen(x), most, after[0], after[1]), after


def _accumulate(x: Values, how: int, state: State) -> tuple[Values, State]:
    from sigc.ops.loops import running

    after = state.copy()
    return running.accumulate(frozen(x), how, after[0]), after


@operator(axis=Axis.TIME, lookback=Carry((0.0,)), example="cumsum(ret(prices))")
def cumsum(x: Values, *, state: State) -> tuple[Values, State]:
    """Running sum per asset; a missing cell stays missing, the total goes on."""
    return _accumulate(x, 0, state)


@operator(axis=Axis.TIME, lookback=Carry((1.0,)), example="cumprod(1 + ret(prices))")
def cumprod(x: Values, *, state: State) -> tuple[Values, State]:
    """Running product per asset; a missing cell stays missing, the total goes on."""
    return _accumulate(x, 1, state)


@operator(axis=Axis.TIME, lookback=Carry((_NAN,)), example="cummax(prices)")
def cummax(x: Values, *, state: State) -> tuple[Values, State]:
    """Running maximum per asset; a missing cell stays missing, the maximum goes on."""
    return _accumulate(x, 2, state)


@operator(axis=Axis.TIME, lookback=Carry((_NAN,)), example="cummin(prices)")
def cummin(x: Values, *, state: State) -> tuple[Values, State]:
    """Running minimum per asset; a missing cell stays missing, the minimum goes on."""
    return _accumulate(x, 3, state)


@operator(axis=Axis.TIME, lookback=Carry((_NAN,)), example="ema(prices, 20)")
def ema(x: Values, span: Window = 20, *, state: State) -> tuple[Values, State]:
    """Exponential mean with alpha 2 / (span + 1), from the first valid value on, no warm-up. NaN in, NaN out."""
    from sigc.ops.loops import running

    after = state.copy()
    return running.ema(frozen(x), 2.0 / (span + 1.0), after[0]), after
