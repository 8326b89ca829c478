"""Content of a report as plain values: the border between computing and drawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class BacktestView:
    """A backtest to draw. Series are (rows,) along `dates`; returns are fractions.

    tiles: (label, text, sign). months: `YYYY-MM` -> return; years: `YYYY` -> return. ic: by horizon in rows.
    steps: what the simple accounting leaves out, with its size; nothing where no orders were traded.
    weights: the largest of the last row, as text; more_weights: how many are not shown.
    """

    title: str
    subtitle: str
    findings: Rows
    tiles: tuple[tuple[str, str, float], ...]
    months: Mapping[str, float]
    years: Mapping[str, float]
    figures: Rows
    steps: Rows
    weights: Rows
    more_weights: int
    made_of: Rows
    dates: NDArray[np.datetime64]
    equity: Floats
    benchmark: Floats | None
    benchmark_name: str
    drawdown: Floats
    rolling_sharpe: Floats
    gross: Floats
    net: Floats
    turnover: Floats
    costs: Floats
    quantiles: Floats
    ic: Mapping[int, float]
    coverage: Floats
