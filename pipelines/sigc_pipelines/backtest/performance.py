"""Performance metrics of a series of returns, as in the results block. Risk-free rate 0; formulas: `docs/metrics.md`.

periods: rows a year of the series, NaN where they are unknown; figures a year are NaN then.

Sources: Sharpe (1994); Sortino, Price (1994), downside over all bars; probabilistic and deflated Sharpe:
Bailey, Lopez de Prado (2012, 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np

from sigc.ops.jit import frozen
from sigc.panel import Dates, Floats

_NORMAL = NormalDist()
Exposures: TypeAlias = tuple[Floats, Floats]
_EULER = 0.5772156649015329
_NOISE = 1e-14  # of returns: less is the rounding of prices, of which no ratio says anything


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall: depth as a positive fraction; dates ISO, '' where there is none (never recovered)."""

    depth: float
    peak: str
    trough: str
    recovery: str


@dataclass(frozen=True, slots=True)
class PerformanceMetrics:
    """Figures of one book. Returns are fractions, VaR and CVaR signed returns, turnover two-sided a year.

    ruined: the ISO date on which nothing was left, '' for none.
    """

    total_return: float
    annualized_return: float
    volatility: float
    sharpe: float
    sortino: float
    max_drawdown: float
    drawdown: Drawdown
    calmar: float
    win_rate: float
    profit_factor: float
    var_95: float
    cvar_95: float
    skew: float
    kurtosis: float
    turnover: float
    gross_exposure: float
    net_exposure: float
    costs: float
    bars: int
    probabilistic_sharpe: float
    ruined: str = ""


@dataclass(frozen=True, slots=True)
class BenchmarkMetrics:
    """Figures against a benchmark. alpha, tracking_error annualised; captures are ratios of mean returns."""

    total_return: float
    alpha: float
    beta: float
    information_ratio: float
    tracking_error: float
    correlation: float
    up_capture: float
    down_capture: float


def exposures_of(held: Floats) -> Exposures:
    """Return gross and net exposure by row, (rows,) each, of weights (rows, assets)."""
    from sigc.ops.loops import books

    gross, net = books.exposures(frozen(held))
    return gross, net


def measure(
    dates: Dates, returns: Floats, turnover: Floats, costs: Floats, exposures: Exposures, periods: float
) -> PerformanceMetrics:
    """Return all metrics of net `returns` (rows,), with `turnover`, `costs` and `exposures` (see `exposures_of`) per
    row.
    """
    bars = len(returns)
    gross, net = exposures
    total = total_return(returns)
    annual = annual_return(total, bars, periods)
    fall = drawdown(dates, returns)
    won = returns[returns > 0]
    gains, losses = float(won.sum()), float(-returns[returns < 0].sum())
    active, least = int(np.count_nonzero(returns)), _NOISE * bars
    var, cvar = value_at_risk(returns)
    moments = moments_of(returns)
    return PerformanceMetrics(
        total_return=total,
        annualized_return=annual,
        volatility=moments.deviation * math.sqrt(periods),
        sharpe=moments.sharpe * math.sqrt(periods),
        sortino=sortino(returns, periods),
        max_drawdown=fall.depth,
        drawdown=fall,
        calmar=annual / fall.depth if fall.depth > _NOISE else 0.0,
        win_rate=len(won) / active if active else 0.0,
        profit_factor=gains / losses if losses > least else math.inf if gains > least else 0.0,
        var_95=var,
        cvar_95=cvar,
        skew=moments.skew,
        kurtosis=moments.kurtosis,
        turnover=float(turnover.sum()) / bars * periods if bars else 0.0,
        gross_exposure=float(gross.mean()) if bars else 0.0,
        net_exposure=float(net.mean()) if bars else 0.0,
        costs=float(costs.sum()),
        bars=bars,
        probabilistic_sharpe=moments.probabilistic_sharpe(0.0),
        ruined=_ruined(dates, returns) if total <= -1.0 else "",
    )


def _ruined(dates: Dates, returns: Floats) -> str:
    return str(dates[int((returns <= -1.0).argmax())].astype("datetime64[D]"))


@dataclass(frozen=True, slots=True)
class ReturnMoments:
    """Of returns: their mean, the central moments over their count, and the deviation (ddof 1). flat: without spread,
    or with one that is mere rounding."""

    count: int
    mean: float
    second: float
    third: float
    fourth: float
    deviation: float
    flat: bool

    @property
    def sharpe(self) -> float:
        """Mean over deviation, per bar; 0 without spread."""
        return 0.0 if self.flat else self.mean / self.deviation

    @property
    def skew(self) -> float:
        """Bias-corrected sample skewness; 0 without spread or under 3 rows."""
        n = self.count
        if n < 3 or self.flat:
            return 0.0
        return float(math.sqrt(n * (n - 1)) / (n - 2) * self.third / self.second**1.5)

    @property
    def kurtosis(self) -> float:
        """Bias-corrected excess kurtosis; 0 without spread or under 4 rows."""
        n = self.count
        if n < 4 or self.flat:
            return 0.0
        return (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (self.fourth / self.second**2 - 3.0) + 6.0)

    def probabilistic_sharpe(self, against: float) -> float:
        """See `probabilistic_sharpe`."""
        if self.flat:
            return 0.5
        g3, g4, ratio = self.third / self.second**1.5, self.fourth / self.second**2, self.sharpe
        spread = 1.0 - g3 * ratio + (g4 - 1.0) / 4.0 * ratio**2
        return _NORMAL.cdf((ratio - against) * math.sqrt(self.count - 1) / math.sqrt(max(spread, 1e-12)))


def moments_of(returns: Floats) -> ReturnMoments:
    """Return the moments of returns (rows,); zeros under 2 rows."""
    n = len(returns)
    if n < 2:
        return ReturnMoments(n, float(returns.sum()), 0.0, 0.0, 0.0, 0.0, flat=True)
    mean = float(returns.mean())
    d = returns - mean
    square = d * d
    total = float(square.sum())
    flat = math.sqrt(total / n) <= _NOISE
    third, fourth = float(square.dot(d)) / n, float(square.dot(square)) / n
    return ReturnMoments(n, mean, total / n, third, fourth, math.sqrt(total / (n - 1)), flat)


def total_return(returns: Floats) -> float:
    """Compounded."""
    return float(np.prod(1.0 + returns)) - 1.0


def equity(returns: Floats) -> Floats:
    """Return the value of 1 invested before the first row, after each row."""
    return np.asarray(np.cumprod(1.0 + returns), dtype=np.float64)


def annual_return(total: float, rows: int, periods: float) -> float:
    """Return the annual compounded return of `total` over so many rows; -1 for a book that lost all, 0 without rows."""
    if rows == 0:
        return 0.0
    try:
        return float((1.0 + max(total, -1.0)) ** (periods / rows)) - 1.0
    except OverflowError:  # a few rows of many a year
        return math.inf


def sharpe(returns: Floats, periods: float) -> float:
    """Annualised mean over standard deviation (ddof 1); 0 without spread."""
    return moments_of(returns).sharpe * math.sqrt(periods)


def sortino(returns: Floats, periods: float) -> float:
    """Annualised mean over the downside deviation, taken over all bars; 0 without a loss."""
    if len(returns) == 0:
        return 0.0
    downside = math.sqrt(float((np.minimum(returns, 0.0) ** 2).mean()))
    return (float(returns.mean()) / downside if downside > _NOISE else 0.0) * math.sqrt(periods)


def drawdown(dates: Dates, returns: Floats) -> Drawdown:
    """Return the deepest fall from a peak, which starts at 1."""
    if len(returns) == 0:
        return Drawdown(0.0, "", "", "")
    value: Floats = np.concatenate([[1.0], equity(returns)])
    peak = np.maximum.accumulate(value)
    depth = 1.0 - value / peak
    trough = int(depth.argmax())
    if depth[trough] <= 0.0:
        return Drawdown(0.0, "", "", "")
    top = int(value[: trough + 1].argmax())
    back = np.flatnonzero(value[trough:] >= value[top])

    def day(row: int) -> str:
        return str(dates[max(0, row - 1)].astype("datetime64[D]"))

    recovery = day(trough + int(back[0])) if len(back) else ""
    return Drawdown(float(depth[trough]), day(top), day(trough), recovery)


def value_at_risk(returns: Floats, share: float = 0.05) -> tuple[float, float]:
    """(VaR, CVaR): the `share` quantile of returns, and the mean of those at or below it; signed."""
    if len(returns) == 0:
        return 0.0, 0.0
    var = quantile(returns, share)
    return var, float(returns[returns <= var].mean())


def quantile(values: Floats, share: float) -> float:
    """Return the quantile by linear interpolation, equal to `numpy.quantile` and faster for a few hundred values; NaN
    where one is missing.
    """
    place = (len(values) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    ordered = np.partition(values, (below, above, len(values) - 1))  # missing ones are last
    low, high, weight = float(ordered[below]), float(ordered[above]), place - below
    if np.isnan(ordered[-1]):
        return math.nan
    return high - (high - low) * (1.0 - weight) if weight >= 0.5 else low + (high - low) * weight


def probabilistic_sharpe(returns: Floats, against: float = 0.0) -> float:
    """P(true Sharpe > `against`), both per bar for `against`; Bailey, Lopez de Prado (2012), eq. 3."""
    return moments_of(returns).probabilistic_sharpe(against)


def deflated_sharpe(returns: Floats, trials: Floats) -> float:
    """Return the probabilistic Sharpe against the best of `trials` Sharpe ratios per row under no skill.

    Bailey, Lopez de Prado (2014): the expected maximum of N independent trials with that variance.
    """
    count = len(trials)
    if count < 2:
        return probabilistic_sharpe(returns)
    spread = _std(trials)
    best = (1 - _EULER) * _NORMAL.inv_cdf(1 - 1 / count) + _EULER * _NORMAL.inv_cdf(1 - 1 / (count * math.e))
    return probabilistic_sharpe(returns, spread * best)


def compare(returns: Floats, benchmark: Floats, periods: float) -> BenchmarkMetrics:
    """Return the metrics of `returns` against `benchmark` returns of the same rows."""
    active = returns - benchmark
    spread = not _flat(benchmark)
    error = _std(active) * math.sqrt(periods)
    beta = float(np.cov(returns, benchmark, ddof=1)[0, 1]) / _std(benchmark) ** 2 if spread else 0.0
    flat = not spread or _flat(returns)
    up, down = benchmark > 0, benchmark < 0
    return BenchmarkMetrics(
        total_return=total_return(benchmark),
        alpha=(float(returns.mean()) - beta * float(benchmark.mean())) * periods if len(returns) else 0.0,
        beta=beta,
        information_ratio=float(active.mean()) * periods / error if not _flat(active) else 0.0,
        tracking_error=error,
        correlation=0.0 if flat else float(np.corrcoef(returns, benchmark)[0, 1]),
        up_capture=float(returns[up].mean() / benchmark[up].mean()) if up.any() else 0.0,
        down_capture=float(returns[down].mean() / benchmark[down].mean()) if down.any() else 0.0,
    )


def monthly(dates: Dates, returns: Floats) -> dict[str, float]:
    """Compounded return by month, `YYYY-MM`."""
    months = dates.astype("datetime64[M]")
    return {str(m): total_return(returns[months == m]) for m in np.unique(months)}


def _flat(values: Floats) -> bool:
    """Return True if there is no spread beyond rounding."""
    return len(values) < 2 or float(values.std()) <= _NOISE


def _std(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
