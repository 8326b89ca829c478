"""What signals do not see before it is confirmed: in parts as at once, over splits, whatever columns come and go."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sigc.actions import Action, ActionKind, in_order
from sigc.data.anomalies import JumpLimits, accept
from sigc.data.masks import AcceptedMask
from sigc.panel import Dates, Floats, Panel
from sigc.source_words import Frequency
from tests.data.test_adjust import plain
from tests.data.ways import spec_of

ROWS, FIRST = 30, date(2024, 3, 4)
DAYS = [FIRST + timedelta(days=i) for i in range(ROWS)]
DATES: Dates = np.array(DAYS, "datetime64[ns]")
SPEC = spec_of("p.csv", mask_anomalies=True)
HALF = JumpLimits(0.5, 0.5)


def mask(*acts: Action) -> AcceptedMask:
    return AcceptedMask(SPEC, Frequency("sessions"), acts)


def prices(seed: int) -> Floats:
    random = np.random.default_rng(seed)
    values: Floats = 50.0 * np.exp(random.normal(0, 0.05, (ROWS, 2)).cumsum(axis=0))
    values[random.random(values.shape) < 0.1] *= 2.7
    values[random.random(values.shape) < 0.15] = np.nan
    return values


@given(st.integers(0, 10_000), st.integers(0, ROWS), st.integers(0, ROWS))
def test_in_parts_as_at_once_over_corporate_actions(seed: int, first: int, second: int) -> None:
    random, values, acts = np.random.default_rng(seed), prices(seed), []
    for row in random.integers(1, ROWS, 3).tolist():
        ratio, column = int(random.integers(2, 5)), int(random.integers(0, 2))
        values[row:, column] /= ratio
        acts.append(Action(DAYS[row], "AB"[column], ActionKind.SPLIT, Fraction(ratio)))
    ordered = in_order({a.key: a for a in acts}.values())
    masked, jumps, _ = accept(plain(values, DAYS, ordered), HALF)
    expected = np.where(np.isnan(masked), np.nan, values)
    of, panel, found = mask(*ordered), Panel(DATES, ("A", "B"), values), []
    cuts = sorted((first, second))
    for low, stop in zip((0, *cuts), (*cuts, ROWS), strict=True):
        found.append(of.panel(panel.rows(low, stop)).values)
        other = of.copy()  # goes on by itself, and leaves this one as it is
        other.panel(panel.rows(stop, ROWS))
    assert np.array_equal(np.vstack(found), expected, equal_nan=True)
    told = of.findings()
    assert (len(told) == 1) is bool(jumps)
    assert not jumps or f"'prices': {len(jumps)} price" in told[0].message


def test_a_copy_goes_on_where_it_was_taken() -> None:
    values, halved = np.full((6, 1), 100.0), Action(DAYS[4], "A", ActionKind.SPLIT, Fraction(2))
    values[2], values[4:] = 900.0, 50.0
    values[5] = 60.0
    panel = Panel(DATES[:6], ("A",), values)
    early = Action(DAYS[1], "A", ActionKind.SPLIT, Fraction(2))
    of = mask(early, halved)
    assert of.panel(panel.rows(0, 1)).values.tolist() == [[100.0]]
    copy = of.copy()
    for one in (of, copy):  # 100 after a split of 2:1 is a gain of 100 %, and so is held
        assert np.isnan(one.panel(panel.rows(1, 3)).values).all()
        assert one.panel(panel.rows(3, 4)).values.tolist() != [[0.0]]
    assert [len(one.findings()) for one in (of, copy, copy.copy())] == [1, 1, 0]
    assert of.findings() == copy.findings()


def test_columns_come_and_go() -> None:
    """A column is compared with what it was when it was last there."""
    of = mask()
    first = of.panel(Panel(DATES[:2], ("A", "B"), np.array([[10.0, 10.0], [10.0, 90.0]])))
    second = of.panel(Panel(DATES[2:3], ("C",), np.array([[2.0]])))
    third = of.panel(Panel(DATES[3:4], ("B", "C", "A"), np.array([[91.0, 5.6, 11.0]])))
    assert first.values.tolist()[0] == [10.0, 10.0]
    assert np.isnan(first.values[1]).tolist() == [False, True]
    assert second.values.tolist() == [[2.0]]  # of which nothing is known
    assert np.isnan(third.values).tolist() == [[False, True, False]]  # 91 confirms 90, and 5.6 is too far from 2
    assert "B 2024-03-05 (+800.0%), C 2024-03-07 (+180.0%)" in of.findings()[0].message


def test_what_looks_like_a_split_is_held_from_part_to_part() -> None:
    of, values = mask(), np.array([[100.0], [25.0], [25.5], [26.0], [99.0], [98.0]])
    panel, found = Panel(DATES[:6], ("A",), values), []
    for row in range(6):
        found.append(bool(np.isnan(of.panel(panel.rows(row, row + 1)).values[0, 0])))
    assert found == [False, True, True, True, False, False]


def test_who_does_not_ask_and_categories_are_left_as_they_are() -> None:
    jump = Panel(DATES[:2], ("A",), np.array([[1.0], [9.0]]))
    assert AcceptedMask(spec_of("p.csv"), Frequency("sessions")).panel(jump) is jump
    named = Panel(DATES[:2], ("A",), np.array([[0.0], [1.0]]), ("x", "y"))
    assert mask().panel(named) is named
    calm = Panel(DATES[:2], ("A",), np.array([[1.0], [1.2]]))
    assert mask().panel(calm) is calm
    assert [p is calm for p in mask().panels([calm])] == [True]
    assert mask().findings() == ()
    weekly = AcceptedMask(SPEC, Frequency("weeks"))
    assert not np.isnan(weekly.panel(Panel(DATES[:2], ("A",), np.array([[10.0], [24.0]]))).values).any()
