"""Technical indicators. Wilder (1978): the mean of the first n values, then a recursion with 1/n."""

from __future__ import annotations

from sigc.ops.declare import Axis, Carry, State, Values, Window, operator
from sigc.ops.jit import frozen

_NAN = float("nan")


@operator(axis=Axis.TIME, lookback=Carry((_NAN, 0.0, 0.0, 0.0)), example="rsi(prices, 14)")
def rsi(x: Values, window: Window = 14, *, state: State) -> tuple[Values, State]:
    """Relative strength, 0..100: 100 * gains / (gains + losses), 50 without either.

    A change across a gap is dropped: the means stand as they were. NaN before `window` changes.
    """
    from sigc.ops.loops import running

    after = state.copy()
    return running.rsi(frozen(x), float(window), after[0], after[1], after[2], after[3]), after


@operator(axis=Axis.TIME, lookback=Carry((_NAN, _NAN, _NAN)), example="macd(prices, 12, 26, 9)")
def macd(x: Values, fast: Window = 12, slow: Window = 26, signal: Window = 9, *, state: State) -> tuple[Values, State]:
    """The histogram: line - ema(line, signal), with line = ema(x, fast) - ema(x, slow)."""
    from sigc.ops.loops import running

    after = state.copy()
    return running.macd(frozen(x), 2.0 / (fast + 1.0), 2.0 / (slow + 1.0), 2.0 / (signal + 1.0), after), after


@operator(axis=Axis.TIME, lookback=Carry((_NAN, 0.0, 0.0)), example="atr(high, low, close, 14)")
def atr(high: Values, low: Values, close: Values, window: Window = 14, *, state: State) -> tuple[Values, State]:
    """Average true range, Wilder. The range of a row without a previous close is high - low."""
    from sigc.ops.loops import running

    after = state.copy()
    arrays = (frozen(high), frozen(low), frozen(close))
    return running.atr(*arrays, float(window), after[0], after[1], after[2]), after


@operator(axis=Axis.TIME, lookback=Carry((0.0, 0.0)), example="vwap(close, volume)")
def vwap(price: Values, volume: Values, *, state: State) -> tuple[Values, State]:
    """Volume-weighted mean price since the first row: sum(price * volume) / sum(volume)."""
    from sigc.ops.loops import running

    after = state.copy()
    return running.vwap(frozen(price), frozen(volume), after[0], after[1]), after
