"""Ratios of corporate actions as vendors write them."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from sigc.actions import Action, ActionKind, parse_ratio, ratio_of


@pytest.mark.parametrize(
    ("value", "ratio"),
    [
        (4.0, Fraction(4)),
        (1.499999, Fraction(3, 2)),
        (3.000003, Fraction(3)),
        (7.000007, Fraction(7)),
        (0.333333, Fraction(1, 3)),
        (0.05, Fraction(1, 20)),
        (1.011, Fraction("1.011")),  # a spin-off written as a split is no fraction of small numbers
        (1.238, Fraction("1.238")),
    ],
)
def test_ratios_are_fractions_again(value: float, ratio: Fraction) -> None:
    assert ratio_of(value) == ratio


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("4:1", Fraction(4)),
        ("1:10", Fraction(1, 10)),
        ("3-for-2", Fraction(3, 2)),
        ("2 for 1", Fraction(2)),
        ("7/1", Fraction(7)),
        ("1.499999", Fraction(3, 2)),
    ],
)
def test_ratios_in_words(text: str, ratio: Fraction) -> None:
    assert parse_ratio(text) == ratio


@pytest.mark.parametrize("text", ["", "0", "-2", "4:0", "0:4", "nan", "inf", "four", "4:1:1"])
def test_what_is_no_ratio(text: str) -> None:
    with pytest.raises(ValueError, match="is not a ratio"):
        parse_ratio(text)


def test_a_corrected_amount_has_the_same_key() -> None:
    first = Action(date(2014, 6, 9), "AAPL", ActionKind.DIVIDEND, cash=0.47, id="7")
    second = Action(date(2014, 6, 9), "AAPL", ActionKind.DIVIDEND, cash=0.48, id="7")
    assert first.key == second.key == ("AAPL", "dividend", "2014-06-09", "7")
