"""The nearest book within all limits: every key keeps its limit, nothing nearer does, clashes are named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sigc.errors import SigcError
from sigc.plan.strategy import Constraint
from sigc_pipelines.constraints import Situation, excess, parts
from sigc_pipelines.project import TOLERANCE, project

Floats = NDArray[np.float64]
N = 12


def situation(seed: int, held: bool = True) -> Situation:
    random = np.random.default_rng(seed)
    wanted = random.normal(0, 0.1, N)
    return Situation(
        wanted=wanted,
        held=random.normal(0, 0.05, N) if held else np.zeros(N),
        tradable=np.ones(N, dtype=bool),
        capital=1e6,
        sectors=(np.arange(N) % 3).astype(float),
        returns=random.normal(0, 0.01, (60, N)),
        betas=random.normal(1, 0.3, N),
        adv=random.uniform(1e6, 2e7, N),
        market_cap=random.uniform(1e9, 9e9, N),
        benchmark=np.full(N, 1 / N),
    )


LIMITS = [
    ("max_position", (0.05,)), ("min_position", (-0.02,)), ("max_long", (0.3,)), ("max_short", (0.2,)),
    ("max_gross", (0.5,)), ("gross_exposure", (0.3, 0.6)), ("max_leverage", (0.4,)), ("min_gross", (1.5,)),
    ("max_net", (0.05,)), ("min_net", (0.1,)), ("net_exposure", (0.0, 0.02)), ("net_exposure", (0.1,)),
    ("dollar_neutral", (1.0,)), ("max_sector", (0.02,)), ("sector_neutral", (1.0,)), ("sector_deviation", (0.35,)),
    ("max_turnover", (0.2,)), ("target_volatility", (0.02,)), ("max_tracking_error", (0.03,)), ("beta", (0.0, 0.1)),
    ("max_beta", (0.0,)), ("min_beta", (0.2,)), ("min_adv", (5e6,)), ("max_participation", (0.01,)),
    ("min_market_cap", (4e9,)),
]  # fmt: skip


def distance(book: Floats, at: Situation) -> float:
    return float(((book - at.wanted) ** 2).sum())


@pytest.mark.parametrize(("name", "values"), LIMITS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_limit_is_kept_by_the_nearest_book(name: str, values: tuple[float, ...], seed: int) -> None:
    at = situation(seed)
    limit = Constraint(name, values)
    book = project([limit], at)
    asked = parts(limit, at)
    assert all(excess(p, book, at.held) <= TOLERANCE for p in asked)
    assert project([limit], at).tobytes() == book.tobytes()
    # No book near it that keeps the limit is nearer to the wanted one.
    random = np.random.default_rng(seed)
    for _ in range(200):
        other = book + random.normal(0, 10 ** random.uniform(-6, -1), N) * (random.random(N) < 0.4)
        if all(excess(p, other, at.held) <= 0 for p in asked):
            assert distance(other, at) >= distance(book, at) - 1e-6


@settings(max_examples=40)
@given(st.lists(st.sampled_from(LIMITS), min_size=2, max_size=5, unique_by=lambda x: x[0]), st.integers(0, 10_000))
def test_many_limits_are_kept_or_refused(chosen: list[tuple[str, tuple[float, ...]]], seed: int) -> None:
    at = situation(seed)
    limits = [Constraint(n, v) for n, v in chosen]
    refusal = ""
    try:
        book = project(limits, at)
    except SigcError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith("E502")
        assert any(n in refusal for n, _ in chosen)
        return
    for limit in limits:
        assert all(excess(p, book, at.held) <= TOLERANCE for p in parts(limit, at)), limit.name


def test_a_book_within_its_limits_is_left_alone() -> None:
    at = situation(4)
    book = project([Constraint("max_position", (9.0,))], at)
    assert book.tobytes() == at.wanted.tobytes()


def test_small_trades_are_not_made() -> None:
    at = situation(5)
    book = project([Constraint("min_trade", (0.05,)), Constraint("max_gross", (0.8,))], at)
    trades = np.abs(book - at.held)
    assert ((trades == 0.0) | (trades >= 0.05 - 1e-6)).all()
    assert np.abs(book).sum() <= 0.8 + TOLERANCE


def test_clashing_keys_are_named() -> None:
    at = situation(6)
    limits = [Constraint("max_gross", (0.1,)), Constraint("max_position", (0.5,)), Constraint("min_net", (0.3,))]
    with pytest.raises(SigcError, match=r"max_gross 0\.1, min_net 0\.3"):
        project(limits, at)


def test_soft_limits_bend() -> None:
    at = situation(7)
    hard = project([Constraint("max_turnover", (0.1,))], at)
    both = [Constraint("max_turnover", (0.1,), soft=True), Constraint("min_net", (0.5,))]
    bent = project(both, at)
    assert bent.sum() >= 0.5 - TOLERANCE
    assert np.abs(bent - at.held).sum() > np.abs(hard - at.held).sum()


def test_assets_without_a_price_keep_their_weight() -> None:
    at = situation(8)
    tradable = np.ones(N, dtype=bool)
    tradable[3] = False
    at = Situation(**{f: getattr(at, f) for f in at.__slots__} | {"tradable": tradable})
    book = project([Constraint("dollar_neutral", (1.0,))], at)
    assert book[3] == at.held[3]
    assert abs(book.sum()) < TOLERANCE


def test_too_few_positions() -> None:
    at = situation(9)
    with pytest.raises(SigcError, match="min_positions"):
        project([Constraint("min_positions", (40.0,))], at)
