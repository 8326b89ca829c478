"""Metrics of a book over the rows that count: from the first with a defined weight on (`warm_up.py`)."""

from __future__ import annotations

from sigc.panel import Dates, Floats
from sigc_pipelines.backtest.performance import BenchmarkMetrics, Exposures, PerformanceMetrics, compare, measure


def measured(
    dates: Dates,
    net: Floats,
    turnover: Floats,
    costs: Floats,
    exposures: Exposures,
    benchmark: Floats | None,
    *,
    first: int,
    periods: float,
) -> tuple[PerformanceMetrics, BenchmarkMetrics | None]:
    """Return all metrics of the rows from `first` on, and those against a benchmark's returns over the same rows.

    The book is decided at the close of its first row, so the benchmark earns from the second on too.
    """
    rows = slice(first, None)
    gross, exposure = exposures
    metrics = measure(dates[rows], net[rows], turnover[rows], costs[rows], (gross[rows], exposure[rows]), periods)
    if benchmark is None:
        return metrics, None
    other = benchmark[rows].copy()
    other[:1] = 0.0
    return metrics, compare(net[rows], other, periods)
