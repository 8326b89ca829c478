"""What a breaker measures, by figures worked by hand, and by pandas where it has the same word."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sigc.config.breaker_settings import BreakerSettings
from sigc.config.settings import Config, SafetySettings
from sigc.store.history.breaker_values import (
    BreakerState,
    CloseWorth,
    WorthHistory,
    measured,
    rules_of,
    sessions_of,
    units,
)

S = BreakerState
NAVS = ["101", "99", "100.98", "95.931", "96"]


def rule(
    type: str = "loss", threshold: float = 0.02, window: str = "", action: str = "halt_trading"
) -> BreakerSettings:
    said = {"name": "a", "type": type, "threshold": threshold, "window": window, "action": action}
    return BreakerSettings.model_validate(said)


def history(*navs: str | tuple[str, str | None], base: str = "100") -> WorthHistory:
    """Closes named by their number; a pair is a NAV and the flow that it has taken in."""
    closes = []
    for number, nav in enumerate(navs, 1):
        worth, flow = nav if isinstance(nav, tuple) else (nav, "0")
        closes.append(CloseWorth(f"d{number}", Decimal(worth), None if flow is None else Decimal(flow)))
    return WorthHistory(Decimal(base), tuple(closes))


def value(found: WorthHistory, **said: Any) -> tuple[BreakerState, Any]:
    one = measured(rule(**said), found)
    return one.state, one.value


def test_a_daily_loss_trips_at_the_very_threshold() -> None:
    """2 % of 100 is 2: at 98 it is reached, a cent above it is not, though 0.02 is no binary fraction."""
    assert value(history("98")) == (S.REACHED, 0.02)
    assert value(history("98.01")) == (S.FINE, 0.0199)
    assert value(history("97.99")) == (S.REACHED, 0.0201)
    assert value(history("102")) == (S.FINE, -0.02)
    # 0.1 and 0.3 are worse: in floats 1 - 0.7 is 0.30000000000000004, and 0.9 of 0.3 is not 0.27.
    assert value(history("0.27", base="0.3"), threshold=0.1) == (S.REACHED, 0.1)
    assert value(history("0.270000000000000000001", base="0.3"), threshold=0.1)[0] is S.FINE


def test_a_loss_is_since_the_close_before_or_over_the_window() -> None:
    found = history(*NAVS)
    assert value(found)[0] is S.FINE  # 95.931 -> 96
    assert value(found.until("d4"), threshold=0.05) == (S.REACHED, 0.05)  # 100.98 -> 95.931
    assert value(found, window="2d")[1] == pytest.approx(1 - 96 / 100.98)
    assert value(found, window="1w")[1] == 0.04  # from the 100 that it began with
    assert value(found, window="9d")[1] == 0.04  # a loss within the window, though the window is not full


def test_a_drawdown_is_from_the_highest_close_or_from_what_it_began_with() -> None:
    assert value(history("90", "95"), type="drawdown", threshold=0.05) == (S.REACHED, 0.05)
    assert value(history("110", "99", "104.5"), type="drawdown", threshold=0.05) == (S.REACHED, 0.05)
    assert value(history("110", "99", "104.5"), type="drawdown", threshold=0.05, window="1d") == (
        S.FINE,
        0.0,
    )
    assert value(history("101"), type="drawdown", threshold=0.05) == (S.FINE, 0.0)


def test_a_streak_is_of_sessions_in_a_row_with_a_loss() -> None:
    assert value(history("99", "98", "97"), type="streak", threshold=3) == (S.REACHED, 3.0)
    assert value(history("99", "98", "98"), type="streak", threshold=1) == (S.FINE, 0.0)  # as much as before
    assert value(history("101", "100", "99"), type="streak", threshold=3) == (S.FINE, 2.0)
    assert value(history("99", "nan", "97", "96", "95"), type="streak", threshold=2) == (S.REACHED, 2.0)
    assert value(history("99", "nan", "97", "96"), type="streak", threshold=3)[0] is S.UNKNOWN


def test_volatility_needs_the_whole_window() -> None:
    short = measured(rule("volatility", 0.1, "5d"), history("99", "100", "99", "100"))
    assert (short.state, short.value, short.why) == (S.SHORT, None, "4 of the 5 returns are there")
    found = history(*NAVS)
    returns = pd.Series([100.0, *map(float, NAVS)]).pct_change().dropna()
    expected = returns.std() * np.sqrt(252)
    assert value(found, type="volatility", threshold=0.1, window="5d") == (S.REACHED, pytest.approx(expected))
    assert value(found, type="volatility", threshold=9.0, window="5d")[0] is S.FINE
    still = history(*["100"] * 6)
    assert value(still, type="volatility", threshold=0.1, window="5d") == (S.FINE, 0.0)


@given(
    st.lists(st.integers(1, 10**9), min_size=1, max_size=30),
    st.integers(1, 12),
)
def test_losses_and_drawdowns_are_those_of_pandas(cents: list[int], window: int) -> None:
    navs = [Decimal(c).scaleb(-2) for c in cents]
    found = WorthHistory(Decimal(100), tuple(CloseWorth(f"{n:03}", nav) for n, nav in enumerate(navs)))
    series = pd.Series([100.0, *map(float, navs)])
    peak = series.rolling(window + 1, min_periods=1).max().iloc[-1]
    before = series.iloc[max(0, len(series) - 1 - window)]
    last = series.iloc[-1]
    for type, base in (("loss", before), ("drawdown", peak)):
        assert measured(rule(type, 0.5, f"{window}d"), found).value == pytest.approx(
            1 - last / base, rel=1e-9, abs=1e-12
        )
    whole = float((1 - series / series.cummax()).iloc[-1])
    assert measured(rule("drawdown", 0.5), found).value == pytest.approx(whole, abs=1e-12)


def test_a_flow_is_neither_a_loss_nor_a_gain() -> None:
    # 40 are taken out of 100 that had become 101: 61 are left, and the session earned 1 %.
    assert value(history(("61", "-40")))[1] == -0.01
    assert value(history(("161", "60")), threshold=0.01)[1] == -0.01
    # A fall of 5 % is not hidden by a deposit of as much.
    assert value(history(("100", "5")), threshold=0.05) == (S.REACHED, 0.05)
    # And it is the same share afterwards: 61 -> 57.95 is 5 %, 10 % below the peak that was 61 / 0.95.
    assert value(history(("61", "-40"), "57.95"), threshold=0.05) == (S.REACHED, 0.05)
    assert value(history("100", ("56", "-40"), "53.2"), type="drawdown", threshold=0.5)[1] == pytest.approx(
        1 - 0.96 * 0.95
    )


@given(st.lists(st.tuples(st.integers(-400, 400), st.integers(-3_000, 10_000)), min_size=1, max_size=20))
def test_units_grow_by_what_is_earned_alone(moves: list[tuple[int, int]]) -> None:
    """Against a walk of returns in basis points, with a flow after each."""
    worth, unit, navs, expected = Decimal(100_000), Decimal(100_000), [], []
    for bps, flow in moves:
        grown = 1 + Decimal(bps) / 10_000
        worth, unit = worth * grown + flow, unit * grown
        if worth <= 0:
            break
        navs.append((str(worth), str(flow)))
        expected.append(float(unit))
    found = [u.worth for u in units(history(*navs, base="100000"))[1:]]
    assert [float(u) if u is not None else None for u in found] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        # 10 and 5 come while nobody knows the worth: of 109 that are known again, 94 were there; then 10 % are lost.
        ([("100", "0"), ("nan", "10"), ("nan", "5"), "109", "98.1"], [100, 100, None, None, 94, 84.6]),
        # Nothing came meanwhile: what is known again is just that.
        ([("nan", "0"), "90", "45"], [100, None, 90, 45]),
        # Shares that nobody can value came: no later close can be compared with one before.
        ([("150", None), "140", "126"], [100, None, None, None]),
        # Of 50 all are taken out: nothing is left to measure a gain by. Or all was lost, and 50 were put in, or 60.
        ([("0", "-50"), "10"], [100, 50, None]),
        ([("50", "50"), "60"], [100, 0, None]),
        ([("50", "60"), "60"], [100, -10, None]),
        # One unit of money is something.
        ([("1", "-98"), "2"], [100, 99, 198]),
        ([("51", "50"), "102"], [100, 1, 2]),
    ],
)
def test_units_where_little_or_nothing_is_known(closes: list[Any], expected: list[float | None]) -> None:
    found = [unit.worth for unit in units(history(*closes))]
    assert [worth if worth is None else float(worth) for worth in found] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("navs", "state"),
    [
        (["50", "0"], S.REACHED),  # lost: half, then all; the newest close may be nothing
        (["0", "50"], S.UNKNOWN),  # from nothing to something is no return
        (["-5", "50"], S.UNKNOWN),
        (["1", "2"], S.REACHED),
        (["0.5", "1"], S.REACHED),
    ],
)
def test_volatility_of_a_book_that_came_to_nothing(navs: list[str], state: BreakerState) -> None:
    assert value(history(*navs), type="volatility", threshold=0.1, window="2d")[0] is state
    # Nor with a close after it, or one before.
    if state is S.UNKNOWN:
        for beside in (history(*navs, "60"), history("99", *navs)):
            assert value(beside, type="volatility", threshold=0.1, window="3d") == (S.UNKNOWN, None)


def test_volatility_looks_over_a_month_of_twenty_sessions_and_trips_at_its_very_value() -> None:
    navs = [str(100 + number % 3) for number in range(1, 21)]
    assert value(history(*navs[:19]), type="volatility", threshold=0.1)[0] is S.SHORT
    state, spread = value(history(*navs), type="volatility", threshold=9.0)
    assert state is S.FINE
    returns = pd.Series([100.0, *map(float, navs)]).pct_change().dropna()
    assert spread == pytest.approx(returns.std() * 252**0.5, rel=1e-9)
    assert value(history(*navs), type="volatility", threshold=spread)[0] is S.REACHED


def test_nothing_that_comes_of_nothing_is_too_little_to_judge() -> None:
    """Over two sessions from 0, by way of 5, to 0: no loss and no gain can be named."""
    assert value(history("0", "5", "0"), window="2d") == (S.SHORT, None)


@pytest.mark.parametrize("type", ["loss", "drawdown", "volatility", "streak"])
def test_a_value_is_of_the_newest_close(type: str) -> None:
    found = history("99", "98", "97", "96")
    window = "3d" if type == "volatility" else ""
    assert measured(rule(type, 1, window), found).session == "d4"
    assert measured(rule(type, 1, window), history("99", "98", "97", "nan")).session == "d4"


@pytest.mark.parametrize("nav", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("type", ["loss", "drawdown", "volatility", "streak"])
def test_a_worth_that_is_not_known_is_not_fine(nav: str, type: str) -> None:
    window = {"volatility": "2d"}.get(type, "")
    for found in (history("100", nav), history(nav, "100")):
        one = measured(rule(type, 1 if type == "streak" else 0.5, window), found)
        assert (one.state, one.value) == (S.UNKNOWN, None)
        assert "is not known" in one.why
    # A day that is outside the window does not matter; a drawdown looks at all of them.
    later = measured(rule(type, 1 if type == "streak" else 0.5, window), history(nav, "100", "101", "102"))
    assert later.state is (S.UNKNOWN if type == "drawdown" else S.FINE)


def test_without_a_close_there_is_too_little_history() -> None:
    for type in ("loss", "drawdown", "volatility", "streak"):
        one = measured(rule(type, 1, "2d" if type == "volatility" else ""), history())
        assert (one.state, one.value) == (S.SHORT, None)


def test_a_book_that_was_worth_nothing_can_not_be_judged() -> None:
    assert value(history("-5", "-6"))[0] is S.UNKNOWN
    assert value(history("0", "-6"))[0] is S.UNKNOWN
    assert value(history("0", "0"))[0] is S.SHORT
    assert value(history("0"), threshold=1.0) == (S.REACHED, 1.0)
    assert value(history("-20"), threshold=1.0) == (S.REACHED, 1.2)
    # Shares that came without a price: what was earned is not known, that day and ever after, until a reset.
    unpriced = history(("150", None), "140")
    assert value(unpriced)[0] is S.UNKNOWN
    assert value(unpriced.since("d1"), threshold=0.05) == (S.REACHED, pytest.approx(1 / 15))


def test_a_reset_begins_anew_with_its_close() -> None:
    found = history("120", "90", "89", "88")
    assert value(found, type="drawdown", threshold=0.2)[0] is S.REACHED
    since = found.since("d2")
    assert value(since, type="drawdown", threshold=0.2) == (S.FINE, pytest.approx(1 - 88 / 90))
    assert value(since, type="streak", threshold=3) == (S.FINE, 2.0)
    assert value(found.since("d4"), type="drawdown")[0] is S.SHORT
    assert found.since("") is found
    assert found.since("c") is found  # before its first close: nothing of it is over
    assert found.since("d3") == WorthHistory(Decimal("89"), found.closes[3:])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"type": "loss", "threshold": 5}, "5 % is 0.05"),
        ({"type": "drawdown", "threshold": 1.01}, "more than everything"),
        ({"type": "loss", "threshold": 0}, "greater than 0"),
        ({"type": "loss", "threshold": -0.1}, "greater than 0"),
        ({"type": "loss", "threshold": float("nan")}, "finite"),
        ({"type": "volatility", "threshold": float("inf")}, "finite"),
        ({"type": "streak", "threshold": 2.5}, "a number of sessions"),
        ({"type": "streak", "threshold": 3, "window": "5d"}, "has no window"),
        ({"type": "volatility", "threshold": 0.3, "window": "1d"}, "at least 2d"),
        ({"type": "loss", "threshold": 0.1, "window": "1h"}, "pattern"),
        ({"type": "loss", "threshold": 0.1, "window": "0d"}, "pattern"),
        ({"type": "los", "threshold": 0.1}, "'loss'"),
        ({"type": "loss", "threshold": 0.1, "action": "stop"}, "'halt_trading'"),
        ({"type": "loss"}, "required"),
        ({"type": "loss", "threshold": 0.1, "name": "two words"}, "pattern"),
    ],
)
def test_settings_that_mean_nothing(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Config.model_validate({"safety": {"circuit_breakers": [{"name": "a", **wrong}]}})


def test_loss_limits_are_breakers_too() -> None:
    limits = SafetySettings.model_validate(
        {
            "daily_loss": 0.02,
            "weekly_loss": 0.05,
            "drawdown": 0.1,
            "loss_action": "flatten",
            "circuit_breakers": [rule()],
        }
    )
    found = [(one.name, one.type, one.threshold, sessions_of(one), one.action) for one in rules_of(limits)]
    assert found == [
        ("daily_loss", "loss", 0.02, 1, "flatten"),
        ("weekly_loss", "loss", 0.05, 5, "flatten"),
        ("drawdown", "drawdown", 0.1, 0, "flatten"),
        ("a", "loss", 0.02, 1, "halt_trading"),
    ]
    assert rules_of(SafetySettings()) == ()
    twice = {"daily_loss": 0.02, "circuit_breakers": [{"name": "daily_loss", "type": "loss", "threshold": 0.1}]}
    with pytest.raises(ValidationError, match="two circuit breakers are called 'daily_loss'"):
        SafetySettings.model_validate(twice)
    windows = {"": 1, "3": 3, "3d": 3, "3 d": 3, "2w": 10}
    assert {w: sessions_of(rule(window=w)) for w in windows} == windows
    # What a run keeps of its limits is read back as it was.
    assert SafetySettings.model_validate(limits.model_dump(mode="json")) == limits
