"""Every figure of a backtest against somebody else's: empyrical where the definition is the same (see
docs/metrics.md), the written formula in plain Python elsewhere, and one short series with all figures as literals."""

from __future__ import annotations

import dataclasses
import math
import re
import statistics
from pathlib import Path
from typing import Any

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import kurtosis, norm, skew

from sigc_pipelines.backtest.measuring import measured
from sigc_pipelines.backtest.performance import (
    BenchmarkMetrics,
    PerformanceMetrics,
    ReturnMoments,
    annual_return,
    compare,
    deflated_sharpe,
    drawdown,
    exposures_of,
    measure,
    moments_of,
    monthly,
    probabilistic_sharpe,
    quantile,
    sharpe,
    value_at_risk,
)

# Rows a year: sessions, weeks, months, hours and minutes of a session, all days.
PERIODS = (252.0, 52.0, 12.0, 252.0 * 7, 252.0 * 390, 365.0)

# Computed by a script in plain Python (the formulas of docs/metrics.md), without numpy and without this project.
NET = (0.0, -0.001, 0.02, -0.03, 0.01, 0.04, -0.02, 0.015, 0.0, -0.005, 0.03, 0.01)
BENCHMARK = (0.0, 0.01, 0.015, -0.02, 0.005, 0.03, -0.025, 0.02, 0.01, -0.01, 0.02, 0.0)
FIGURES = {
    "total_return": 0.06897095340778758,
    "annualized_return": 0.06897095340778758,
    "volatility": 0.06812488532100439,
    "sharpe": 1.0128457416826766,
    "sortino": 1.894860875514759,
    "max_drawdown": 0.030000000000000027,
    "calmar": 2.299031780259584,
    "win_rate": 0.6,
    "profit_factor": 2.232142857142857,
    "var_95": -0.0245,
    "cvar_95": -0.03,
    "skew": -0.09205581949947443,
    "kurtosis": 0.035033017731978804,
    "turnover": 2.0,
    "gross_exposure": 0.75,
    "net_exposure": 0.05,
    "costs": 0.002,
    "bars": 12,
    "probabilistic_sharpe": 0.8272402920824087,
}
AGAINST = {
    "total_return": 0.05481987883496231,
    "alpha": 0.009436250861474812,
    "beta": 1.0829772570640939,
    "information_ratio": 0.4962168435058353,
    "tracking_error": 0.02821347195933177,
    "correlation": 0.9128951927954212,
    "up_capture": 1.0363636363636364,
    "down_capture": 1.0,
}


def series(periods: float, seed: int = 1, rows: int = 400) -> pd.Series:
    random = np.random.default_rng(seed)
    returns = random.standard_t(4, rows) * 0.2 / math.sqrt(periods) + 0.1 / periods
    return pd.Series(returns, index=pd.date_range("2015-01-01", periods=rows, freq="D"))


def dates(rows: int) -> Any:
    return np.arange(np.datetime64("2015-01-01", "D"), rows).astype("datetime64[ns]")


def of(returns: pd.Series, periods: float) -> PerformanceMetrics:
    none = np.zeros(len(returns))
    return measure(dates(len(returns)), returns.to_numpy(), none, none, (none, none), periods)


def literal() -> tuple[PerformanceMetrics, BenchmarkMetrics | None]:
    """Two rows of warm-up before the twelve."""
    turnover = np.array([9.0, 9.0, 1.0, 0, 0, 0.5, 0, 0, 0.25, 0, 0, 0.25, 0, 0])
    costs = np.array([9.0, 9.0, 0.001, 0, 0, 0.0005, 0, 0, 0.00025, 0, 0, 0.00025, 0, 0])
    gross, net = np.array([9.0, 9.0, *[1.0] * 6, *[0.5] * 6]), np.array([9.0, 9.0, *[0.2] * 6, *[-0.1] * 6])
    returns, bench = np.array([0.0, 0.0, *NET]), np.array([0.5, 0.5, 0.25, *BENCHMARK[1:]])
    return measured(dates(14), returns, turnover, costs, (gross, net), bench, first=2, periods=12.0)


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_of_a_short_series(name: str) -> None:
    assert getattr(literal()[0], name) == pytest.approx(FIGURES[name], rel=1e-12)


@pytest.mark.parametrize("name", AGAINST)
def test_each_figure_against_a_benchmark_of_a_short_series(name: str) -> None:
    """The benchmark's return of the first row, at whose close the book is decided, counts for neither."""
    assert getattr(literal()[1], name) == pytest.approx(AGAINST[name], rel=1e-12)


def test_no_figure_is_left_without_a_literal() -> None:
    assert {f.name for f in dataclasses.fields(PerformanceMetrics)} == {*FIGURES, "drawdown", "ruined"}
    assert {f.name for f in dataclasses.fields(BenchmarkMetrics)} == set(AGAINST)
    assert literal()[0].ruined == ""
    fall = literal()[0].drawdown
    assert (fall.peak, fall.trough, fall.recovery) == ("2015-01-05", "2015-01-06", "2015-01-08")


@pytest.mark.parametrize("periods", PERIODS)
@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_empyrical(periods: float, seed: int) -> None:
    returns = series(periods, seed)
    m = of(returns, periods)
    assert m.sharpe == pytest.approx(empyrical.sharpe_ratio(returns, annualization=periods), rel=1e-9)
    assert m.sortino == pytest.approx(empyrical.sortino_ratio(returns, annualization=periods), rel=1e-9)
    assert m.volatility == pytest.approx(empyrical.annual_volatility(returns, annualization=periods), rel=1e-9)
    assert m.annualized_return == pytest.approx(empyrical.annual_return(returns, annualization=periods), rel=1e-9)
    assert m.max_drawdown == pytest.approx(-empyrical.max_drawdown(returns), rel=1e-9)
    assert m.calmar == pytest.approx(empyrical.calmar_ratio(returns, annualization=periods), rel=1e-9)
    assert m.var_95 == pytest.approx(empyrical.value_at_risk(returns), rel=1e-9)
    assert m.total_return == pytest.approx(empyrical.cum_returns_final(returns), rel=1e-9)
    assert m.skew == pytest.approx(returns.skew(), rel=1e-9)
    assert m.kurtosis == pytest.approx(returns.kurt(), rel=1e-9)
    bench = series(periods, seed + 100)
    against = compare(returns.to_numpy(), bench.to_numpy(), periods)
    assert against.beta == pytest.approx(empyrical.beta(returns, bench), rel=1e-9)


@pytest.mark.parametrize("periods", PERIODS)
def test_other_figures_are_their_formulas(periods: float) -> None:
    """In plain Python: what is not defined alike elsewhere."""
    random = np.random.default_rng(7)
    returns, bench = series(periods).to_numpy(), series(periods, 5).to_numpy()
    turnover, costs, held = random.random(400), random.random(400) / 1e3, random.normal(size=(400, 3))
    m = measure(dates(400), returns, turnover, costs, exposures_of(held), periods)
    r, b = returns.tolist(), bench.tolist()
    assert m.win_rate == pytest.approx(sum(x > 0 for x in r) / sum(x != 0 for x in r))
    assert m.profit_factor == pytest.approx(sum(x for x in r if x > 0) / -sum(x for x in r if x < 0))
    worst = [x for x in r if x <= m.var_95]
    assert m.cvar_95 == pytest.approx(statistics.fmean(worst))
    assert m.turnover == pytest.approx(statistics.fmean(turnover.tolist()) * periods)
    assert m.costs == pytest.approx(math.fsum(costs.tolist()))
    assert m.gross_exposure == pytest.approx(statistics.fmean(sum(abs(w) for w in row) for row in held.tolist()))
    assert m.net_exposure == pytest.approx(statistics.fmean(sum(row) for row in held.tolist()))
    a = compare(returns, bench, periods)
    active = [x - y for x, y in zip(r, b, strict=True)]
    beta = statistics.covariance(r, b) / statistics.variance(b)
    assert a.alpha == pytest.approx((statistics.fmean(r) - beta * statistics.fmean(b)) * periods)
    assert a.tracking_error == pytest.approx(statistics.stdev(active) * math.sqrt(periods))
    assert a.information_ratio == pytest.approx(
        statistics.fmean(active) / statistics.stdev(active) * math.sqrt(periods)
    )
    assert a.correlation == pytest.approx(statistics.correlation(r, b))
    ups = [(x, y) for x, y in zip(r, b, strict=True) if y > 0]
    assert a.up_capture == pytest.approx(sum(x for x, _ in ups) / sum(y for _, y in ups))


BY_ROW = ("annualized_return", "turnover", "gross_exposure", "net_exposure")
ANNUAL = ("annualized_return", "volatility", "sharpe", "sortino", "calmar", "turnover")


def test_without_rows_a_year_there_is_no_figure_a_year() -> None:
    some, none = of(series(252.0), 252.0), of(series(252.0), math.nan)
    for name in FIGURES:
        known, found = getattr(some, name), getattr(none, name)
        assert math.isnan(found) if name in ANNUAL else found == known
    against = compare(series(252.0).to_numpy(), series(252.0, 2).to_numpy(), math.nan)
    assert {f for f in AGAINST if math.isnan(getattr(against, f))} == {"alpha", "information_ratio", "tracking_error"}


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([], {"bars": 0, "sharpe": 0.0, "var_95": 0.0, "profit_factor": 0.0, **dict.fromkeys(BY_ROW, 0.0)}),
        ([0.01], {"bars": 1, "sharpe": 0.0, "volatility": 0.0, "skew": 0.0, "kurtosis": 0.0, "win_rate": 1.0}),
        ([0.0, 0.0, 0.0], {"sharpe": 0.0, "sortino": 0.0, "win_rate": 0.0, "profit_factor": 0.0, "calmar": 0.0}),
        ([0.01, 0.02], {"sortino": 0.0, "profit_factor": math.inf, "max_drawdown": 0.0, "skew": 0.0}),
        ([0.1, -0.5, -1.0, 0.2], {"ruined": "2015-01-03", "win_rate": 0.5, "cvar_95": -1.0}),
        (
            [0.1, -1.0, 0.2],
            {
                "ruined": "2015-01-02",
                "total_return": -1.0,
                "annualized_return": -1.0,
                "max_drawdown": 1.0,
                "calmar": -1.0,
            },
        ),
        ([0.1, -1.5], {"annualized_return": -1.0}),
        ([3.0, 3.0], {"annualized_return": math.inf}),
    ],
    ids=["empty", "one row", "flat", "no loss", "ruined later", "ruined", "beyond ruin", "beyond a float"],
)
def test_figures_of_odd_series(returns: list[float], expected: dict[str, float]) -> None:
    m = of(pd.Series(returns, dtype=float), 252.0 * 390)
    assert {name: getattr(m, name) for name in expected} == expected


@example([0.1, 3 / 7], 0.5)  # whose middle is another double from below than from above
@settings(max_examples=100)
@given(st.lists(st.floats(-1e3, 1e3) | st.integers(-2, 2).map(float), min_size=1, max_size=70), st.floats(0.0, 1.0))
def test_quantiles_and_moments_as_numpy_gives_them(values: list[float], share: float) -> None:
    x = np.array(values)
    assert quantile(x, share) == float(np.quantile(x, share))
    moments = moments_of(x)
    if len(x) > 1:
        assert (moments.mean, moments.second) == (float(x.mean()), float(x.var()))
        assert moments.deviation == float(x.std(ddof=1))
    assert np.isnan(quantile(np.append(x, np.nan), share))


def fall_of(returns: list[float]) -> tuple[float, int, int, int]:
    """The deepest fall, and the rows of its peak, trough and recovery, counted from 0 for before the first; -1: none."""
    value = [1.0]
    for r in returns:
        value.append(value[-1] * (1.0 + r))
    depth = [1.0 - v / max(value[: at + 1]) for at, v in enumerate(value)]
    trough = depth.index(max(depth))
    peak = value.index(max(value[: trough + 1]))
    back = [at for at in range(trough, len(value)) if value[at] >= value[peak]]
    return depth[trough], peak, trough, back[0] if back else -1


@example([-0.5, 1.0])  # back at the very value it fell from
@given(st.lists(st.integers(-6, 6).map(lambda x: x / 8), max_size=12))
def test_the_deepest_fall(returns: list[float]) -> None:
    found, days = drawdown(dates(len(returns)), np.array(returns)), [str(d)[:10] for d in dates(len(returns))]
    depth, *rows = fall_of(returns)
    assert found.depth == depth
    told = [days[max(0, row - 1)] if row >= 0 and depth > 0 else "" for row in rows]
    assert [found.peak, found.trough, found.recovery] == told


@pytest.mark.parametrize("count", [2, 5, 200])
def test_a_sharpe_among_trials(count: int) -> None:
    """Bailey, Lopez de Prado, with the normal distribution, skewness and kurtosis of scipy."""
    returns = np.random.default_rng(1).standard_t(4, 300) * 0.01 + 0.002
    trials = np.random.default_rng(2).normal(0.0, 0.05, count)
    ratio, gamma = returns.mean() / returns.std(ddof=1), 0.5772156649015329
    best = (1 - gamma) * norm.ppf(1 - 1 / count) + gamma * norm.ppf(1 - 1 / (count * math.e))
    spread = 1 - skew(returns) * ratio + (kurtosis(returns, fisher=False) - 1) / 4 * ratio**2

    def probability(against: float) -> float:
        return float(norm.cdf((ratio - against) * math.sqrt(299) / math.sqrt(spread)))

    assert deflated_sharpe(returns, trials) == pytest.approx(probability(best * statistics.stdev(trials.tolist())))
    assert probabilistic_sharpe(returns, 0.05) == pytest.approx(probability(0.05))
    assert deflated_sharpe(returns, trials[:1]) == probabilistic_sharpe(returns) == pytest.approx(probability(0.0))


def test_returns_by_month() -> None:
    days = np.array(["2023-12-29", "2024-01-02", "2024-01-31", "2024-03-01"], "datetime64[ns]")
    found = monthly(days, np.array([0.1, 0.5, -0.2, 0.3]))
    assert list(found) == ["2023-12", "2024-01", "2024-03"]
    assert list(found.values()) == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("returns", "benchmark", "expected"),
    [
        ([], [], {"alpha": 0, "beta": 0, "correlation": 0, "up_capture": 0, "down_capture": 0, "total_return": 0}),
        ([0.01], [0.02], {"alpha": 2.52, "beta": 0, "tracking_error": 0, "information_ratio": 0, "up_capture": 0.5}),
        ([0.01, 0.03], [0.02, 0.02], {"alpha": 5.04, "beta": 0, "correlation": 0, "up_capture": 1, "down_capture": 0}),
        (
            [0.01, 0.01],
            [-0.02, -0.04],
            {"alpha": 2.52, "beta": 0, "correlation": 0, "up_capture": 0, "down_capture": -1 / 3},
        ),
        (
            [0.01, 0.03],
            [-0.01, 0.01],
            {"alpha": 5.04, "beta": 1, "correlation": 1, "up_capture": 3, "down_capture": -1},
        ),
        (
            [0.01, 0.03],
            [0.0, 0.02],
            {"alpha": 2.52, "beta": 1, "tracking_error": 0, "information_ratio": 0, "up_capture": 1.5},
        ),
    ],
    ids=["empty", "one row", "a flat benchmark", "a flat book", "both ways", "a constant more"],
)
def test_figures_against_odd_benchmarks(
    returns: list[float], benchmark: list[float], expected: dict[str, float]
) -> None:
    found = compare(np.array(returns, float), np.array(benchmark, float), 252.0)
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, abs=1e-6)


def test_of_mere_rounding_no_ratio_says_anything() -> None:
    """An account that earns the same each day, by its closes: their returns differ in the last bits."""
    values = 100.0 * 1.0001 ** np.arange(400)
    returns = values[1:] / values[:-1] - 1.0
    assert 0.0 < returns.std() < 1e-15
    for of_it in (returns, np.full(10, 0.01), np.zeros(10)):
        assert (moments_of(of_it).flat, sharpe(of_it, 252.0), probabilistic_sharpe(of_it)) == (True, 0.0, 0.5)
    against = compare(returns + 0.001, returns, 252.0)
    assert (against.information_ratio, against.beta, against.correlation) == (0.0, 0.0, 0.0)
    noise = returns - returns.mean() + np.where(np.arange(399) % 2, 0.001, 0.0)
    m = of(pd.Series(noise), 252.0)
    assert (m.sortino, m.calmar, m.profit_factor) == (0.0, 0.0, math.inf)
    assert of(pd.Series(noise - np.where(np.arange(399) % 2, 0.001, 0.0)), 252.0).profit_factor == 0.0
    assert not moments_of(returns * np.where(np.arange(399) % 2, 1.0, 1.0 + 1e-8)).flat
    assert moments_of(np.array([0.25])) == ReturnMoments(1, 0.25, 0.0, 0.0, 0.0, 0.0, flat=True)
    assert moments_of(np.array([0.0, 1.0])) == ReturnMoments(2, 0.5, 0.25, 0.0, 0.0625, math.sqrt(0.5), flat=False)
    assert (moments_of(np.array([0.0, 1.0])).skew, moments_of(np.array([0.0, 1.0, 5.0])).kurtosis) == (0.0, 0.0)
    assert moments_of(np.array([0.0, 0.0, 1.0])).skew == pytest.approx(pd.Series([0.0, 0.0, 1.0]).skew())
    assert moments_of(np.array([0.0, 0.0, 1.0, 0.0])).kurtosis == pytest.approx(pd.Series([0.0, 0.0, 1.0, 0.0]).kurt())


@pytest.mark.parametrize(("spread", "counts"), [(0.98e-14, False), (1e-14, False), (1.02e-14, True)])
def test_a_spread_of_a_hundred_billionth_of_a_millionth_is_the_last_that_counts_as_none(
    spread: float, counts: bool
) -> None:
    """The rounding of a price ratio is about 1e-16 whatever it is of, so the bound is absolute: 1e-14 a row."""
    above = np.array([0.0, 2 * spread])  # mean and deviation (ddof 0) are the spread, exactly
    assert moments_of(above).flat is not counts
    assert sharpe(above, 2.0) == pytest.approx(counts * 1.0)  # 1 / sqrt(2) a row, of 2 rows a year
    against = compare(above, np.zeros(2), 2.0)
    assert against.information_ratio == pytest.approx(counts * 1.0)
    assert compare(above, above, 2.0).beta == pytest.approx(counts * 1.0)
    assert compare(above, np.array([0.0, 1.0]), 2.0).correlation == pytest.approx(counts * 1.0)
    assert of(pd.Series(above), 2.0).profit_factor == (math.inf if counts else 0.0)
    both = of(pd.Series([-2 * spread, 2 * spread]), 2.0)
    assert both.profit_factor == counts * 1.0
    fallen = of(pd.Series([-spread, -spread]), 4.0)
    assert fallen.sortino == pytest.approx(counts * -2.0)


@pytest.mark.parametrize(("fall", "calmar"), [(0.98e-14, 0.0), (1.02e-14, -2.0)])
def test_a_fall_of_rounding_is_none(fall: float, calmar: float) -> None:
    """Of one row of two a year; a value near 1 is told to 1.1e-16."""
    assert of(pd.Series([-fall]), 2.0).calmar == pytest.approx(calmar, rel=0.02)


def test_the_share_of_the_worst_may_be_chosen() -> None:
    values = np.array([-0.4, -0.3, -0.2, -0.1, 0.0])
    assert value_at_risk(values, 0.25) == pytest.approx((-0.3, -0.35))
    assert value_at_risk(values) == pytest.approx((-0.38, -0.4))


@pytest.mark.parametrize(("total", "expected"), [(0.21, 0.1), (-1.0, -1.0), (-2.0, -1.0)])
def test_a_return_a_year(total: float, expected: float) -> None:
    assert annual_return(total, 24, 12.0) == pytest.approx(expected)
    assert annual_return(total, 0, 12.0) == 0.0


def test_every_printed_figure_is_written_down() -> None:
    """The labels of a printed result and of its benchmark block, each in a table of docs/metrics.md."""
    root = Path(__file__).parents[2]
    source = (root / "pipelines" / "sigc_pipelines" / "text" / "results_text.py").read_text("utf-8")
    block = source[source.index("def results(") : source.index("def work(")]
    labels = set(re.findall(r'\("([A-Z][A-Za-z0-9 /]+)", (?:percent|number|f")', block)) - {
        "Strategy",
        "Period",
        "Left Out",
    }
    rows = (root / "docs" / "metrics.md").read_text("utf-8").splitlines()
    described = {row.split("|")[1].strip() for row in rows if row.startswith("| ")}
    assert len(labels) > 20
    for label in labels - {"Skew / Kurtosis"}:
        assert label in described, label
    assert {"Skew", "Kurtosis"} <= described
