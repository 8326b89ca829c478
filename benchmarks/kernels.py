"""Nanoseconds per element of every operator on one block of 504 x 3,000, beside pandas where it has the same, and
bottleneck where it is installed, results compared; and beside the best that is known of each, both as ratios to a copy
of memory, to compare machines by."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import median_s
from sigc.ops.declare import Carry, Default, ValueKind
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

Given = Mapping[str, Callable[[Any], Any]]
PANDAS: Given = {
    "rolling_mean": lambda x: x.rolling(20).mean(),
    "rolling_sum": lambda x: x.rolling(20).sum(),
    "rolling_std": lambda x: x.rolling(20).std(),
    "rolling_max": lambda x: x.rolling(20).max(),
    "rolling_median": lambda x: x.rolling(20).median(),
    "ts_rank": lambda x: x.rolling(20).rank(),
    "ts_skew": lambda x: x.rolling(20).skew(),
    "ema": lambda x: x.ewm(span=20, adjust=False, ignore_na=True).mean().where(x.notna()),
    "ret": lambda x: x.pct_change(fill_method=None),
    "rank": lambda x: x.rank(axis=1).sub(1.0).div(x.count(axis=1) - 1.0, axis=0),
    "zscore": lambda x: x.sub(x.mean(axis=1), axis=0).div(x.std(axis=1), axis=0),
    "cumsum": lambda x: x.cumsum(),
    "ffill": lambda x: x.ffill(),
}


def bottleneck() -> Given:
    """The same operators, on an array; nothing where it is not installed."""
    try:
        import bottleneck as bn
    except ImportError as absent:
        print(f"  bottleneck is left out, not installed: {absent}", flush=True)
        return {}
    return {
        "rolling_mean": lambda x: bn.move_mean(x, 20, axis=0),
        "rolling_sum": lambda x: bn.move_sum(x, 20, axis=0),
        "rolling_std": lambda x: bn.move_std(x, 20, axis=0, ddof=1),
        "rolling_var": lambda x: bn.move_var(x, 20, axis=0, ddof=1),
        "rolling_max": lambda x: bn.move_max(x, 20, axis=0),
        "rolling_min": lambda x: bn.move_min(x, 20, axis=0),
        "rolling_median": lambda x: bn.move_median(x, 20, axis=0),
        "ts_rank": lambda x: (bn.move_rank(x, 20, axis=0) + 1.0) * 9.5 + 1.0,  # its ranks are from -1 to 1
        "ts_argmax": lambda x: bn.move_argmax(x, 20, axis=0),
        "ts_argmin": lambda x: bn.move_argmin(x, 20, axis=0),
        "rank": lambda x: (bn.nanrankdata(x, axis=1) - 1.0) / (np.isfinite(x).sum(axis=1, keepdims=True) - 1.0),
        "ffill": lambda x: bn.push(x, axis=0),
    }


def beside(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = 3) -> float:
    """Their CPU seconds over ours, the median of calls made one after the other. Raises ValueError for unequal results."""
    found = ours()
    mine = found[0] if isinstance(found, tuple) else found  # a carried operator's values, and its states
    if not np.allclose(mine, np.asarray(theirs()), rtol=1e-9, atol=1e-9, equal_nan=True):
        raise ValueError("results differ")
    ratios = []
    for _ in range(rounds):
        begun = time.process_time()
        ours()
        between = time.process_time()
        theirs()
        ratios.append((time.process_time() - between) / (between - begun))
    return statistics.median(ratios)


def main() -> dict[str, float]:
    """Nanoseconds per element, and what others take over ours in the same run."""
    random = np.random.default_rng(1)
    x = 50 + random.normal(0, 1, (ROWS, ASSETS)).cumsum(axis=0)
    x[random.random(x.shape) < 0.01] = np.nan
    frame = pd.DataFrame(x)
    codes = np.tile(random.integers(0, 11, ASSETS).astype(float), (ROWS, 1))
    large = np.ones((2520, 5000))  # beyond any cache
    copy = median_s(partial(np.copyto, np.empty_like(large), large), 9) / large.size * 1e9
    figures: dict[str, float] = {"copy of memory": copy}
    peers: dict[str, tuple[Given, Any]] = {"pandas": (PANDAS, frame), "bottleneck": (bottleneck(), x)}
    figures |= {f"{peer} over ours, CPU": math.nan for peer, (calls, _) in peers.items() if not calls}
    with np.errstate(all="ignore"):
        for op in operators():
            given = (
                {}
                if op.name == "coalesce"
                else {p.name: codes if p.kind is ValueKind.CATEGORY else x for p in op.inputs}
            )
            both = (x, x) if op.name == "coalesce" else ()
            args = {p.name: 0.1 if p.default is Default.REQUIRED else p.default for p in op.numbers}
            if isinstance(op.lookback, Carry):
                args["state"] = np.tile(np.array(op.lookback.initial)[:, None], (1, ASSETS))  # type: ignore[assignment]
            call = partial(op.kernel, *both, **given, **args)
            figures[op.name] = median_s(call, 3) / x.size * 1e9
            if op.name in BEST:
                best, chosen = BEST[op.name]
                ours = median_s(partial(op.kernel, *both, **given, **(args | chosen)), 5) / x.size * 1e9
                figures[f"{op.name}: over a copy"] = ours / copy
                figures[f"{op.name}: best known over a copy"] = best / COPY_THEN
            for peer, (calls, table) in peers.items():
                if op.name in calls:
                    figures[f"{op.name}: {peer} over ours, CPU"] = beside(call, partial(calls[op.name], table))
    return figures
