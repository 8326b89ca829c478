"""What actions do to prices: steps and units by hand, levels against plain Python, in parts as at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.actions import Action, ActionKind, in_order
from sigc.data.actions.adjust import AdjustStep, PriorState, acting, forward, in_units_of, levels_of, steps_of
from sigc.panel import Floats

NAN = float("nan")
MON, TUE, WED, THU, FRI = (date(2024, 3, day) for day in range(4, 9))
DAYS = np.array([MON, TUE, TUE, WED, FRI], "datetime64[D]")  # two bars on Tuesday, none on Thursday
NAMES = ("A", "B", "S")
VALUES = np.array([[100, NAN, NAN], [50, 0, NAN], [51, -1, NAN], [NAN, 4, NAN], [25, 5, 8]])


def split(day: date, ratio: str, asset: str = "A") -> Action:
    return Action(day, asset, ActionKind.SPLIT, Fraction(ratio))


def dividend(day: date, cash: float, asset: str = "A") -> Action:
    return Action(day, asset, ActionKind.DIVIDEND, cash=cash)


def spinoff(day: date, ratio: str, into: str, cash: float = 0.0) -> Action:
    return Action(day, "A", ActionKind.SPINOFF, Fraction(ratio), cash, into)


STEPS: list[tuple[str, list[Action], list[AdjustStep]]] = [
    ("on the first bar of its day", [split(TUE, "2")], [AdjustStep(1, 0, 2.0, 0.0, 50.0)]),
    ("where the price is back", [dividend(WED, 0.5)], [AdjustStep(4, 0, 1.0, 0.5, 25.0)]),
    (
        "together: cash before a split is less a share",
        [dividend(WED, 1), split(FRI, "2")],
        [AdjustStep(4, 0, 2, 0.5, 25)],
    ),
    ("together: cash after a split", [split(WED, "2"), dividend(FRI, 1)], [AdjustStep(4, 0, 2, 1, 25)]),
    ("two splits", [split(WED, "2"), split(FRI, "3")], [AdjustStep(4, 0, 6, 0, 25)]),
    ("shares of another", [spinoff(FRI, "1/4", "S", 0.1)], [AdjustStep(4, 0, 1.0, 2.1, 25.0)]),
    ("shares of one without a price", [spinoff(TUE, "1/4", "S", 0.1)], [AdjustStep(1, 0, 1.0, 0.1, 50.0)]),
    ("shares of one that is not here", [spinoff(FRI, "1/4", "Z", 0.1)], [AdjustStep(4, 0, 1.0, 0.1, 25.0)]),
    ("before the first row", [split(date(2024, 1, 1), "2", "B")], [AdjustStep(3, 1, 2.0, 0.0, 4.0)]),
    (
        "in order of rows",
        [split(FRI, "2"), split(TUE, "3", "B")],
        [AdjustStep(3, 1, 3, 0, 4), AdjustStep(4, 0, 2, 0, 25)],
    ),
]


@pytest.mark.parametrize("unit", [1.0, 1 / 128])
@pytest.mark.parametrize(("actions", "steps"), [s[1:] for s in STEPS], ids=[s[0] for s in STEPS])
def test_where_an_action_takes_effect_and_what_it_does(
    actions: list[Action], steps: list[AdjustStep], unit: float
) -> None:
    """In dollars, and in a currency of which 128 are one."""
    made = in_order(replace(a, cash=a.cash * unit) for a in actions)
    expected = tuple(replace(s, cash=s.cash * unit, close=s.close * unit) for s in steps)
    assert steps_of(VALUES * unit, NAMES, DAYS, made) == (expected, ())


def test_actions_that_find_no_price_wait() -> None:
    late, other = split(FRI + timedelta(days=1), "2"), split(TUE, "2", "Z")
    steps, left = steps_of(VALUES, NAMES, DAYS, (other, split(TUE, "2"), late))
    assert (len(steps), left) == (1, (other, late))
    assert AdjustStep(0, 0, 2.0, 0.5, 25.0).total == 2.04


def test_only_what_a_holder_is_given_acts() -> None:
    kinds = {a.kind for a in acting(Action(TUE, "A", kind) for kind in ActionKind)}
    assert kinds == {ActionKind.SPLIT, ActionKind.DIVIDEND, ActionKind.SPINOFF}


def plain(values: Floats, days: list[date], actions: tuple[Action, ...]) -> Floats:
    """Levels, asset by asset and row by row."""
    out = values.copy()
    for column, name in enumerate("AB"):
        factor, due = 1.0, [a for a in actions if a.asset == name and a.ex_date > days[0]]
        for row, day in enumerate(days):
            price = float(values[row, column])
            if not price > 0.0:
                out[row, column] *= factor
                continue
            shares, cash = 1.0, 0.0
            while due and due[0].ex_date <= day:
                action = due.pop(0)
                ratio = float(action.ratio) if action.kind is ActionKind.SPLIT else 1.0
                shares, cash = shares * ratio, cash / ratio + action.cash
            factor *= shares * (price + cash) / price
            out[row, column] = price * factor
    return out


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30))
def test_levels_of_windows_are_those_of_all_rows(seed: int, first: int, second: int) -> None:
    random = np.random.default_rng(seed)
    days = [MON + timedelta(days=i) for i in range(30)]
    values = random.uniform(10, 20, (30, 2))
    values[random.random(values.shape) < 0.3] = NAN
    made = [
        split(days[at], str(ratio), asset) if ratio else dividend(days[at], 0.5, asset)
        for at, ratio, asset in zip(
            random.integers(0, 30, 8).tolist(),
            random.integers(0, 4, 8).tolist(),
            random.choice(["A", "B"], 8),
            strict=True,
        )
    ]
    actions, stamps = in_order({a.key: a for a in made}.values()), np.array(days, "datetime64[ns]")
    whole = levels_of(values, ("A", "B"), stamps, actions)
    assert np.allclose(whole.levels, plain(values, days, actions), equal_nan=True, rtol=1e-12)
    since, scales, parts = None, np.ones(2), []
    for rows in np.split(np.arange(30), sorted({first, second})):
        if len(rows):
            made_of = levels_of(values[rows], ("A", "B"), stamps[rows], actions, since)
            parts.append(made_of.levels * scales)
            scales, since = scales * made_of.scales, PriorState(days[rows[-1]], made_of.waiting)
    assert np.allclose(np.vstack(parts), whole.levels, equal_nan=True, rtol=1e-12)
    assert np.allclose(scales, whole.scales)
    assert since is not None
    assert since.waiting == whole.waiting


def test_levels_of_what_nothing_acts_on_are_the_prices() -> None:
    acts = (split(TUE, "2"),)
    assert forward(VALUES, NAMES, DAYS, ()) is VALUES
    assert forward(VALUES, NAMES, DAYS, (split(MON, "2"), split(FRI + timedelta(days=9), "2"))) is VALUES
    before = PriorState(WED, acts)
    nothing = levels_of(VALUES[:0], NAMES, DAYS[:0], acts, before)
    assert (len(nothing.levels), nothing.waiting, nothing.scales.tolist()) == (0, acts, [1.0] * 3)
    assert levels_of(VALUES, NAMES, DAYS, (), before).waiting == acts
    # What waited, and what acts on the first row after a day, do so there.
    assert levels_of(VALUES[4:], NAMES, DAYS[4:], acts, before).levels.tolist() == [[50.0, 5.0, 8.0]]
    assert levels_of(VALUES[1:], NAMES, DAYS[1:], acts, PriorState(MON)).levels[:2, 0].tolist() == [100.0, 102.0]


UNITS = [
    ("a split", [split(TUE, "2")], [[50, NAN], [50, 0], [51, -1], [NAN, 4], [25, 5]], [2, 1, 1, 1, 1]),
    ("cash", [dividend(WED, 0.5)], [[99.5, NAN], [49.5, 0], [50.5, -1], [NAN, 4], [25, 5]], [1] * 5),
    ("both", [split(TUE, "2"), dividend(TUE, 1)], [[49, NAN], [50, 0], [51, -1], [NAN, 4], [25, 5]], [2, 1, 1, 1, 1]),
    ("cash that leaves nothing", [dividend(FRI, 51)], [[49, NAN], [NAN, 0], [NAN, -1], [NAN, 4], [25, 5]], [1] * 5),
    ("shares of another", [spinoff(FRI, "1/4", "S", 1)], [[97, NAN], [47, 0], [48, -1], [NAN, 4], [25, 5]], [1] * 5),
    (
        "a later day",
        [split(FRI + timedelta(days=2), "2")],
        [[50, NAN], [25, 0], [25.5, -1], [NAN, 4], [12.5, 5]],
        [2] * 5,
    ),
]


@pytest.mark.parametrize("unit", [1.0, 1 / 128])
@pytest.mark.parametrize(("actions", "prices", "shares"), [u[1:] for u in UNITS], ids=[u[0] for u in UNITS])
def test_prices_and_counts_in_the_units_of_a_later_day(
    actions: list[Action], prices: list[list[float]], shares: list[float], unit: float
) -> None:
    monday = FRI + timedelta(days=3)
    given_to = in_order((split(MON, "7"), split(TUE, "7", "Z"), split(monday + timedelta(days=1), "7"), *actions))
    given_to = tuple(replace(a, cash=a.cash * unit) for a in given_to)
    values = VALUES * unit
    found = in_units_of(monday, values, NAMES, DAYS, given_to)
    assert np.array_equal(found[:, :2], np.array(prices, float) * unit, equal_nan=True)
    assert np.array_equal(values, VALUES * unit, equal_nan=True)
    counts = in_units_of(monday, np.full((5, 3), 10.0), NAMES, DAYS, given_to, are_shares=True)
    assert counts[:, 0].tolist() == [10.0 * s for s in shares]
    assert in_units_of(monday, VALUES, NAMES, DAYS, ()) is VALUES
    assert in_units_of(monday, VALUES, NAMES, DAYS, (split(TUE, "7", "Z"),)) is VALUES
    assert in_units_of(monday, VALUES[:0], NAMES, DAYS[:0], given_to).shape == (0, 3)
