"""Accounting, costs, performance: against definitions, by hand and by hypothesis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sigc.lang import vocabulary
from sigc.plan.strategy import Cost
from sigc_pipelines.backtest.accounts import keep_book
from sigc_pipelines.backtest.costs import MODELS, TERMS, Market, are_of_turnover, cost_of, elapsed_days
from sigc_pipelines.backtest.performance import (
    equity,
    exposures_of,
    measure,
    monthly,
)
from sigc_pipelines.portfolio.constraints import DECLARED
from sigc_pipelines.portfolio.rebalance import every
from sigc_pipelines.prices.quotes import Quotes

DAYS = np.arange("2020-01-01", "2020-01-31", dtype="datetime64[D]").astype("datetime64[ns]")


def quotes(returns: np.ndarray) -> Quotes:
    """Prices with such returns."""
    return Quotes.of(np.asarray(100.0 * np.cumprod(1.0 + returns, axis=0), dtype=np.float64))


def test_a_book_by_hand() -> None:
    wanted = np.array([[0.5, -0.5], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    returns = quotes(np.array([[0.1, 0.1], [0.1, 0.2], [0.5, 0.0], [0.1, 0.1]]))
    book = keep_book(wanted, returns)
    assert np.allclose(book.gross, [0.0, 0.05 - 0.1, 0.5, 0.0])
    assert np.allclose(book.turnover, [1.0, 1.0, 1.0, 1.0])
    assert book.missing.tolist() == [0, 0, 0, 0]
    every_two = keep_book(wanted, returns, due=every(2, len(wanted)))
    assert np.allclose(every_two.held, [[0.5, -0.5], [0.5, -0.5], [0.0, 0.0], [0.0, 0.0]])


def test_drift_moves_weights_with_returns() -> None:
    wanted = np.tile([[0.5, 0.5]], (3, 1))
    returns = quotes(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
    book = keep_book(wanted, returns, due=every(3, len(wanted)), drift=True)
    assert np.allclose(book.held[1], [2 / 3, 1 / 3])
    assert np.allclose(book.turnover, [1.0, 0.0, 0.0])


@given(hnp.arrays(float, (6, 3), elements=st.floats(-1, 1)), st.integers(1, 7))
def test_both_ways_of_keeping_a_book_agree(wanted: np.ndarray, count: int) -> None:
    returns = quotes(np.zeros(wanted.shape))
    fast = keep_book(wanted, returns, due=every(count, len(wanted)))
    slow = keep_book(wanted, returns, due=every(count, len(wanted)), adjust=lambda _, want, *__: want)
    assert np.array_equal(fast.held, slow.held)
    assert np.allclose(fast.turnover, slow.turnover)


def _cost(name: str, **arguments: float | str) -> Cost:
    return Cost(name, tuple(arguments.items()))


ROOT2, ROOT8 = 0.5**1.5, 0.25**1.5


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (_cost("tc.bps", value=10.0), [0.001, 0.0005, 0.00025]),
        (_cost("slippage.bps", value=10.0), [0.001, 0.0005, 0.00025]),
        (_cost("tc.per_share", value=0.01), [0.01 * (0.5 / 10 + 0.5 / 20), 0.01 * 0.5 / 10, 0.01 * 0.25 / 20]),
        (_cost("tc.per_trade", value=2.0), [4 / 1000, 2 / 1000, 2 / 1000]),
        (_cost("tc.asymmetric", buy=10.0, sell=20.0), [0.0005 + 0.001, 0.0005, 0.00025]),
        (_cost("tc.asymmetric", buy=10.0), [0.0005, 0.0005, 0.00025]),
        (_cost("borrow.rate", value=0.365), [0.0, 0.0015, 0.0005]),
        (_cost("slippage.model", model="linear", coef=0.2), [0.1, 0.05, 0.0125]),
        (_cost("slippage.model", model="linear"), [0.05, 0.025, 0.00625]),
        (_cost("slippage.model", model="square-root", coef=0.1), [0.1 * 2 * ROOT2, 0.1 * ROOT2, 0.1 * ROOT8]),
        (
            _cost("slippage.model", model="almgren-chriss", eta=0.2, gamma=0.4),
            [0.1 + 0.4 * 2 * ROOT2, 0.05 + 0.4 * ROOT2, 0.0125 + 0.4 * ROOT8],
        ),
        (_cost("slippage.model", model="almgren-chriss"), [0.05 + 0.2 * ROOT2, 0.025 + 0.1 * ROOT2, 0.01875]),
    ],
)
def test_costs_by_hand(term: Cost, expected: list[float]) -> None:
    book = keep_book(np.array([[0.5, -0.5], [1.0, -0.5], [1.0, -0.25]]), quotes(np.zeros((3, 2))))
    market = Market(1000.0, np.tile([10.0, 20.0], (3, 1)), elapsed=np.array([7.0, 3.0, 1.0]))
    assert np.allclose(cost_of([term], book, market), expected, atol=0)
    unpriced = replace(market, prices=np.full((3, 2), np.nan))
    assert cost_of([_cost("tc.per_share", value=9.0)], book, unpriced).tolist() == [0.0] * 3


def test_a_part_of_a_market() -> None:
    """With and without what only some terms look at."""
    arrays = {name: np.arange(8.0).reshape(4, 2) + at for at, name in enumerate(("prices", "dollars", "sigma"))}
    whole = Market(5.0, **arrays, elapsed=np.array([0.0, 1.0, 3.0, 1.0]))
    part = whole.rows(1, 3)
    assert part.capital == 5.0
    assert {n: getattr(part, n).tolist() for n in arrays} == {n: a.tolist()[1:3] for n, a in arrays.items()}
    assert part.elapsed is not None
    assert part.elapsed.tolist() == [1.0, 3.0]
    bare = Market(5.0, arrays["prices"]).rows(2, 4)
    assert (bare.prices.tolist(), bare.dollars, bare.sigma, bare.elapsed) == ([[4, 5], [6, 7]], None, None, None)


def test_days_between_rows_are_those_of_the_calendar() -> None:
    friday = np.array(["2024-03-08", "2024-03-11", "2024-03-12", "2024-03-12T12"], "datetime64[ns]")
    assert elapsed_days(friday).tolist() == [0.0, 3.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("names", "are"),
    [((), True), (("tc.bps", "slippage.bps"), True), (("tc.bps", "borrow.rate"), False), (("tc.per_trade",), False)],
)
def test_what_turnover_alone_pays(names: tuple[str, ...], are: bool) -> None:
    assert are_of_turnover([_cost(name) for name in names]) is are


def test_participation_takes_volume() -> None:
    book = keep_book(np.array([[0.5, 0.0]]), quotes(np.zeros((1, 2))))
    ones = np.ones((1, 2))
    market = Market(1000.0, 10 * ones, dollars=1000 * ones, sigma=0.02 * ones)
    term = _cost("slippage.model", model="square-root", coef=1.0)
    assert np.allclose(cost_of([term], book, market), 0.02 * 0.5 * np.sqrt(0.5))
    half_known = replace(market, sigma=None), replace(market, dollars=None)
    assert [cost_of([term], book, m).item() for m in half_known] == pytest.approx([ROOT2, ROOT2])


def test_vocabulary_and_tables_agree() -> None:
    assert set(vocabulary.COSTS) == set(TERMS)
    assert set(vocabulary.SLIPPAGE_MODELS) == set(MODELS)
    assert set(vocabulary.CONSTRAINTS) == set(DECLARED)


@given(hnp.arrays(float, 30, elements=st.floats(-0.2, 0.2)))
def test_performance_is_consistent(returns: np.ndarray) -> None:
    zeros = np.zeros(30)
    m = measure(DAYS, returns, zeros, zeros, exposures_of(np.zeros((30, 1))), 252.0)
    assert m.total_return == pytest.approx(equity(returns)[-1] - 1)
    assert 0.0 <= m.max_drawdown <= 1.0
    assert m.var_95 >= m.cvar_95 - 1e-15
    assert np.prod([1 + r for r in monthly(DAYS, returns).values()]) - 1 == pytest.approx(m.total_return)
    assert 0.0 <= m.probabilistic_sharpe <= 1.0
    assert np.isfinite(m.sharpe)
