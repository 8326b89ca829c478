"""What one action does to one holder: figures computed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import pytest

from sigc.store.ledger.action_effects import (
    Amounts,
    DueAction,
    Effect,
    Key,
    Move,
    effects,
    exact,
    in_cents,
    in_steps,
    shown,
    steps,
)
from sigc.store.ledger.records import BookKey
from tests.store.actions_desk import KEY, NOON, OTHER, SESSIONS, action, close, dividend, due, split

D = Decimal


def found(
    base: Mapping[str, str], *dues: DueAction, marks: Mapping[tuple[BookKey, str], str] | None = None, step: str = "1"
) -> list[Effect]:
    """The effects on one holder of these quantities, in order of the actions' keys."""
    held = {asset: {KEY: D(quantity)} for asset, quantity in base.items()}
    return [effect for _, effect in sorted(effects(dues, held, (), D(step), marks).items(), key=lambda pair: pair[0])]


def one(quantity: str, of: DueAction) -> Effect:
    (effect,) = found({"A": quantity}, of)
    return effect


def test_amounts_add_up_by_part() -> None:
    one, other = Amounts(D(1), D(2), D(3), D(4), D(5)), Amounts(D(10), D(20), D(30), D(40), D(50))
    assert one + other == Amounts(D(11), D(22), D(33), D(44), D(55))
    assert other - one == Amounts(D(9), D(18), D(27), D(36), D(45))


def test_amounts_say_something_where_shares_or_money_do() -> None:
    assert not Amounts()
    assert not Amounts(fraction=D(1))
    said = (Amounts(change=D(1)), Amounts(into_change=D(1)), Amounts(cash=D(1)), Amounts(receivable=D(1)))
    assert all(said)


def test_what_is_owed_is_paid_when_its_session_begins() -> None:
    effect = Effect(D(-1), D(2), D("0.5"), D(3), D(7))
    pays_later = due(dividend("A", 1.0, 2, pay=4))
    owing = {"effect": Amounts(D(-1), D(2), D(3), D(7), D("0.5"))}
    assert steps(pays_later, effect, str(SESSIONS[3])) == owing
    assert steps(pays_later, effect, str(SESSIONS[4])) == {**owing, "payment": Amounts(cash=D(7), receivable=D(-7))}
    at_once = due(dividend("A", 1.0, 2))
    assert steps(at_once, effect, str(SESSIONS[4])) == {"effect": Amounts(D(-1), D(2), D(10), D(0), D("0.5"))}
    assert steps(at_once, Effect(), str(SESSIONS[4])) == {}


def test_sessions_up_to_a_mark_are_left_out() -> None:
    """The later of the marks of the whole book and of the asset counts, its own session included."""
    of = (due(dividend("A", 1.0, 2)), due(dividend("A", 2.0, 3)), due(dividend("A", 3.0, 4)))
    assert [e.owed for e in found({"A": "1"}, *of)] == [1, 2, 3]
    for marks in ({"": 3, "A": 2}, {"": 2, "A": 3}, {"A": 3}, {"": 3}, {"": 3, "B": 9}):
        named = {(KEY, asset): str(SESSIONS[at]) for asset, at in marks.items()}
        assert [e.owed for e in found({"A": "1"}, *of, marks=named)] == [3], marks
    assert [e.owed for e in found({"A": "1"}, *of, marks={(OTHER, ""): str(SESSIONS[9])})] == [1, 2, 3]


def test_a_fill_at_the_close_is_held_by_then() -> None:
    """10 of before, 1 at the close before the action, 100 of a minute of the next session that only the later sees."""
    moves = [Move(KEY, "A", close(2) + NOON, D(100)), Move(KEY, "A", close(1), D(1))]
    of = (due(dividend("A", 1.0, 2)), due(dividend("A", 1.0, 3)))
    assert [e.owed for e in effects(of, {"A": {KEY: D(10)}}, moves, D(1)).values()] == [11, 111]


def test_actions_of_the_old_name_come_first_then_the_name_changes_then_those_of_the_new_one() -> None:
    """5 of A get 1.00 each and are halved; with 30 that had the name B before the 2 do 3:1 as B: its own 30 are C."""
    of = (
        due(action("rename", "A", 1, into="B")),
        due(action("rename", "B", 1, into="C")),
        due(split("A", Fraction(1, 2), 1)),
        due(dividend("A", 1.0, 1)),
        due(dividend("C", 0.5, 1)),
    )
    dividend_of_a, renamed, halved, other, dividend_of_c = found({"A": "5", "B": "30"}, *of)
    assert halved == Effect(D(-3), fraction=D("0.5"), lieu=D(10))  # of 20, as a share was 10 before
    assert dividend_of_a == Effect(owed=D(2))  # per new share
    assert renamed == Effect(D(-2), D(2))
    assert other == Effect(D(-30), D(30))
    assert dividend_of_c == Effect(owed=D(15))


def test_shares_that_are_delivered_come_after_all_actions_of_the_session() -> None:
    of = (due(action("spinoff", "A", 1, into="B")), due(dividend("B", 1.0, 1)), due(dividend("B", 1.0, 2)))
    assert found({"A": "7"}, *of) == [Effect(into_change=D(7)), Effect(owed=D(7))]


@pytest.mark.parametrize(
    ("quantity", "of", "effect"),
    [
        ("101", due(split("A", Fraction(1, 2), 1)), Effect(D(-51), D(0), D("0.5"), D(10))),
        ("-101", due(split("A", Fraction(1, 2), 1)), Effect(D(51), D(0), D("-0.5"), D(-10))),
        ("101", due(split("A", Fraction(1, 2), 1), None), Effect(D(-51), D(0), D("0.5"))),
        ("10", due(split("A", Fraction(1, 3), 1), "7"), Effect(D(-7), D(0), D("0.3333333333"), D(7))),
        ("8", due(dividend("A", 0.1, 1)), Effect(owed=D("0.8"))),
        ("3", due(action("spinoff", "A", 1, into="B", ratio=Fraction(1, 2), cash=0.25)),
            Effect(D(0), D(1), D("0.5"), D(5), D("0.75"))),
        ("3", due(action("spinoff", "A", 1, into="B", ratio=Fraction(1, 2)), None),
            Effect(D(0), D(1), D("0.5"))),
        ("3", due(action("spinoff", "A", 1, ratio=Fraction(1, 2), cash=0.25)), Effect(owed=D("0.75"))),
        ("3", due(action("merge", "A", 1, into="B", ratio=Fraction(3, 2), cash=1.0)),
            Effect(D(-3), D(4), D("0.5"), D(3), D(3))),  # half a share of B at (10 - 1) / 1.5
        ("3", due(action("merge", "A", 1, into="B", ratio=Fraction(3, 2), cash=1.0), None),
            Effect(D(-3), D(4), D("0.5"), D(0), D(3))),
        ("3", due(action("merge", "A", 1, into="B", ratio=Fraction(0), cash=4.5)), Effect(D(-3), owed=D("13.5"))),
        ("3", due(action("delist", "A", 1, value=2.5)), Effect(D(-3), owed=D("7.5"))),
        ("3", due(action("delist", "A", 1, value=0.0)), Effect(D(-3))),
        ("3", due(action("delist", "A", 1, value=1.0, total_return=-0.9)), Effect(D(-3), owed=D(3))),
        ("3", due(action("delist", "A", 1, total_return=-0.35)), Effect(D(-3), owed=D("19.5"))),
        ("3", due(action("delist", "A", 1, total_return=0.0)), Effect(D(-3), owed=D(30))),
        ("3", due(action("delist", "A", 1, total_return=0.5), "0"), Effect(D(-3))),
    ],
)  # fmt: skip
def test_what_an_action_does(quantity: str, of: DueAction, effect: Effect) -> None:
    """At 10 a share where no other price is told."""
    assert one(quantity, of) == effect


@pytest.mark.parametrize(
    "of",
    [
        due(dividend("A", 0.0, 1)),
        due(split("A", 1, 1)),
        due(action("delist", "A", 1)),
        due(action("delist", "A", 1, total_return=-0.5), None),
        due(dividend("B", 1.0, 1)),
    ],
)
def test_an_action_that_does_nothing_is_not_told(of: DueAction) -> None:
    assert found({"A": "3", "B": "0"}, of) == []


def test_a_position_that_ended_is_gone_for_the_actions_after_it() -> None:
    of = (due(action("delist", "A", 1, value=2.0)), due(dividend("A", 1.0, 1)), due(dividend("A", 1.0, 2)))
    assert [e.owed for e in found({"A": "3"}, *of)] == [6, 3]  # the dividend of the same day comes before the end


def test_steps_of_holders_add_up_to_those_of_the_sum() -> None:
    """In tenths: 0.25 and 0.38 are 0.6 of the sum, the spare tenth goes to the largest remainder; of equal ones first."""
    third = BookKey("zwo", "main")

    def of(step: str, *wanted: str) -> list[Fraction]:
        keys = (KEY, OTHER, third)[: len(wanted)]
        return list(in_steps({k: Fraction(w) for k, w in zip(keys, wanted, strict=True)}, Fraction(step)).values())

    assert of("1/10", "0.25", "0.38") == [Fraction(2, 10), Fraction(4, 10)]
    assert of("1/10", "0.38", "0.25") == [Fraction(4, 10), Fraction(2, 10)]
    assert of("2", "3", "3") == [4, 2]
    assert of("1", "1/3", "1/3", "1/3") == [1, 0, 0]
    assert of("1", "3/2", "9/5", "17/10") == [1, 2, 2]
    assert of("1", "-3/2", "-3/2") == [-1, -2]
    assert of("1", "-3/2") == [-1]  # toward zero
    assert of("4", "5", "5", "5") == [4, 4, 4]
    assert of("4", "7", "6", "5") == [8, 4, 4]
    assert of("1", "10.1", "0.9") == [10, 1]


def test_cents_of_holders_add_up_to_those_of_the_sum() -> None:
    """The last that has an amount bears what rounding leaves, more or less."""
    third = BookKey("zwo", "main")
    thirds = in_cents({KEY: Fraction(1, 3), OTHER: Fraction(1, 3), third: Fraction(0)})
    assert thirds == {KEY: D("0.33"), OTHER: D("0.34"), third: D(0)}
    assert in_cents({OTHER: Fraction(2, 3), KEY: Fraction(2, 3)}) == {OTHER: D("0.66"), KEY: D("0.67")}
    assert in_cents({KEY: Fraction(1, 200), OTHER: Fraction(3, 200)}) == {KEY: D("0.00"), OTHER: D("0.02")}
    assert in_cents({}) == {}
    assert str(thirds[third]) == "0"
    assert str(thirds[KEY]) == "0.33"


def test_numbers_are_exact_where_they_can_be() -> None:
    assert str(exact(Fraction(-30))) == "-30"
    assert str(exact(Fraction(10001, 1000))) == "10.001"
    assert str(exact(Fraction(1, 2**40))) == "9.094947017729282379150390625E-13"
    assert str(exact(10**30 + Fraction(1, 8))) == f"{10**30}.125"  # more digits than a decimal has by itself
    assert str(shown(Fraction(2, 3))) == "0.6666666667"
    assert str(shown(Fraction(1, 2))) == "0.5"
    assert str(shown(Fraction(0))) == "0"


def test_effects_are_by_action_and_holder() -> None:
    got: dict[tuple[Key, BookKey], Effect] = effects(
        [due(dividend("A", 1.0, 1))], {"A": {OTHER: D(2), KEY: D(1)}}, (), D(1)
    )
    key = ("A", "dividend", str(SESSIONS[1]), "")
    assert got == {(key, KEY): Effect(owed=D(1)), (key, OTHER): Effect(owed=D(2))}
