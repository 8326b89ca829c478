"""Factors of closes that are stored in blocks: as plain Python makes them of all rows, each block read once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest

from sigc.actions import Action, ActionKind, in_order
from sigc.data.actions.factor_names import SHARES, SPLIT, TOTAL
from sigc.data.actions.factors import _events, _splits, _totals, convert_factor
from sigc.data.events import RawEvents
from tests.data.test_adjust import plain
from tests.data.test_judged import DATES, FIRST, NAMES, ROWS, World, day, split
from tests.data.ways import spec_of

SPEC = spec_of("p.csv", "prices:total")
DAYS = [FIRST + timedelta(days=i) for i in range(ROWS)]
GAP = slice(47, 54)  # of A: over the end of the first block


def dividend(row: int, cash: float, asset: str = "A") -> Action:
    return Action(day(row), asset, ActionKind.DIVIDEND, cash=cash)


ACTS = in_order(
    [
        split(20, "2"),
        dividend(48, 0.5),
        split(49, "3"),
        split(60, "1/4", "B"),
        dividend(60, 1.0, "B"),
        dividend(110, 2.0),
    ]
)


def closes() -> World:
    values = 100 * np.exp(np.random.default_rng(8).normal(0, 0.01, (ROWS, 2)).cumsum(axis=0))
    values[GAP, 0] = np.nan
    return World(values)


def on(raw: RawEvents, asset: str, at: date) -> float:
    """The factor of an asset on a day."""
    own = raw.asset == raw.names.index(asset)
    born = raw.born[own].astype("datetime64[ns]")
    known = raw.values[own][born <= np.datetime64(at)]
    return float(known[-1]) if len(known) else 1.0


def test_the_product_of_steps_is_the_level_over_the_price() -> None:
    """An action in a gap over the end of a block takes effect in the next one."""
    world = closes()
    parts = _totals(world, DATES.astype("datetime64[D]"), ACTS, world.store, world.at)
    raw = _events([p.turns() for p in parts], inverse=False)
    levels = plain(world.values, DAYS, ACTS)
    for column, name in enumerate(NAMES):
        for row in np.flatnonzero(~np.isnan(world.values[:, column])).tolist():
            expected = levels[row, column] / world.values[row, column]
            assert on(raw, name, DAYS[row]) == pytest.approx(expected, rel=1e-12)
    assert raw.by_label
    assert world.read == [0, 50, 100]
    again = _totals(world, DATES.astype("datetime64[D]"), ACTS, world.store, world.at)
    assert [p.key for p in again] == [p.key for p in parts]
    assert _events([p.turns() for p in again], inverse=False).values.tolist() == raw.values.tolist()
    assert world.read == [0, 50, 100]


def test_a_block_without_actions_is_not_read() -> None:
    world = closes()
    convert_factor(SPEC, TOTAL, world, ACTS[-1:], world.store, world.at)
    assert world.read == [100]
    convert_factor(SPEC, SPLIT, world, ACTS, world.store, world.at)
    assert world.read == [100]


@pytest.mark.parametrize("inverse", [False, True])
def test_splits_alone_take_no_prices(inverse: bool) -> None:
    twice = (*ACTS, Action(day(20), "A", ActionKind.SPLIT, Fraction(5), id="b"))
    raw = _events([p.turns() for p in _splits(in_order(twice))], inverse=inverse)
    found = [on(raw, "A", day(row)) for row in (19, 20, 48, 49, 149)] + [on(raw, "B", day(row)) for row in (59, 60)]
    factors = [1.0, 10.0, 10.0, 30.0, 30.0, 1.0, 0.25]
    assert found == pytest.approx([1.0 / f if inverse else f for f in factors])
    assert _splits(ACTS)[0].key == _splits([a for a in ACTS if a.kind is ActionKind.SPLIT])[0].key


def test_without_closes_or_steps_there_is_no_factor() -> None:
    world = closes()
    calm = convert_factor(SPEC, TOTAL, world, (split(0, "2"), split(5, "2", "Z")), world.store, world.at)
    nothing = World(np.zeros((0, 2)))
    for made in (calm, convert_factor(SPEC, SHARES, nothing, ACTS, nothing.store, nothing.at)):
        assert (len(made.dates), made.names, made.digests, made.blocks, made.labels, made.findings) == (
            0,
            (),
            b"",
            (),
            (),
            (),
        )
        assert (made.category, made.static) == (False, False)
        assert made.events is not None
        assert (made.events.by_label, len(made.events.newest)) == (True, 0)


def test_of_bars_the_days_are_those_of_their_sessions() -> None:
    """Bars from the evening before on: an action acts on the session that they are of."""
    world = closes()
    evening = replace(world, sessions=DATES + np.timedelta64(1, "D"))
    made = convert_factor(SPEC, SPLIT, evening, (split(1, "2"),), evening.store, evening.at)
    assert made.names == ()  # it acts on the first session, before which there is no price
    assert convert_factor(SPEC, SPLIT, evening, (split(2, "2"),), evening.store, evening.at).names == ("A",)
    assert convert_factor(SPEC, SPLIT, world, (split(1, "2"),), world.store, world.at).names == ("A",)
