"""Nanoseconds per element of every operator on one block of 504 x 3,000, beside pandas where it has the same; and beside
the best that is known of each, both as ratios to a copy of memory, to compare machines by."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.timing import median_s
from sigc.ops.declare import Carry, Default, Kind
from sigc.ops.table import operators

ROWS, ASSETS = 504, 3000

# Nanoseconds per element of the best implementations measured when the engine was designed, where a copy of memory took
# 0.475: pandas, bottleneck, and numba by hand.
COPY_THEN = 0.475
BEST: dict[str, tuple[float, dict[str, float]]] = {
    "rolling_mean": (2.6, {"window": 20}),
    "rolling_std": (5.5, {"window": 20}),
    "rolling_max": (2.1, {"window": 20}),
    "rolling_corr": (8.0, {"window": 60}),
    "ts_rank": (9.7, {"window": 20}),
    "ts_argmax": (4.5, {"window": 20}),
    "decay_linear": (2.8, {"window": 10}),
    "ema": (1.9, {}),
    "rank": (5.4, {}),
    "winsor": (4.4, {}),
    "zscore": (2.8, {}),
    "neutralize": (2.1, {}),
    "ret": (1.1, {"periods": 1}),
}

PANDAS: dict[str, Callable[[pd.DataFrame], object]] = {
    "rolling_mean": lambda x: x.rolling(20).mean(),
    "rolling_sum": lambda x: x.rolling(20).sum(),
    "rolling_std": lambda x: x.rolling(20).std(),
    "rolling_max": lambda x: x.rolling(20).max(),
    "rolling_median": lambda x: x.rolling(20).median(),
    "ts_rank": lambda x: x.rolling(20).rank(),
    "ts_skew": lambda x: x.rolling(20).skew(),
    "ema": lambda x: x.ewm(span=20, adjust=False).mean(),
    "ret": lambda x: x.pct_change(fill_method=None),
    "rank": lambda x: x.rank(axis=1),
    "zscore": lambda x: x.sub(x.mean(axis=1), axis=0).div(x.std(axis=1), axis=0),
    "cumsum": lambda x: x.cumsum(),
    "ffill": lambda x: x.ffill(),
}


def main() -> dict[str, float]:
    """Nanoseconds per element, and the ratio to pandas in the same run (below 1 is faster)."""
    random = np.random.default_rng(1)
    x = 50 + random.normal(0, 1, (ROWS, ASSETS)).cumsum(axis=0)
    x[random.random(x.shape) < 0.01] = np.nan
    frame = pd.DataFrame(x)
    codes = np.tile(random.integers(0, 11, ASSETS).astype(float), (ROWS, 1))
    large = np.ones((2520, 5000))  # beyond any cache
    copy = median_s(partial(np.copyto, np.empty_like(large), large), 9) / large.size * 1e9
    figures: dict[str, float] = {"copy of memory": copy}
    with np.errstate(all="ignore"):
        for op in operators():
            given = (
                {} if op.name == "coalesce" else {p.name: codes if p.kind is Kind.CATEGORY else x for p in op.inputs}
            )
            both = (x, x) if op.name == "coalesce" else ()
            args = {p.name: 0.1 if p.default is Default.REQUIRED else p.default for p in op.numbers}
            if isinstance(op.lookback, Carry):
                args["state"] = np.tile(np.array(op.lookback.initial)[:, None], (1, ASSETS))  # type: ignore[assignment]
            ours = median_s(partial(op.kernel, *both, **given, **args), 3) / x.size * 1e9
            figures[op.name] = ours
            if op.name in BEST:
                best, chosen = BEST[op.name]
                ours = median_s(partial(op.kernel, *both, **given, **(args | chosen)), 5) / x.size * 1e9
                figures[f"{op.name}: over a copy"] = ours / copy
                figures[f"{op.name}: best known over a copy"] = best / COPY_THEN
            if op.name in PANDAS:
                theirs = median_s(partial(PANDAS[op.name], frame), 3) / x.size * 1e9
                figures[f"{op.name}: ratio to pandas"] = ours / theirs
    return figures
