"""The walks between the simple accounting and the orders, by hand: a book of 1,000 in A and B over four days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from sigc.actions import Action, ActionKind
from sigc.store.ledger.action_effects import Amounts, DueAction
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.records import ZERO, BookKey, Fill, Nav, Outcome, Run, RunKey, Side
from sigc_pipelines.backtest.causes import Cause, ReplayRows, ReplayTrades, decided, steps
from sigc_pipelines.live.trading import Ended

DAYS = ("2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05")
KEY = BookKey("one", "main")


def close(at: int) -> datetime:
    return datetime.fromisoformat(DAYS[at]).replace(hour=21, tzinfo=UTC)


def fill(asset: str, quantity: int, price: str, at: int, commission: str = "0") -> Fill:
    side = Side.BUY if quantity > 0 else Side.SELL
    name = f"{asset}{at}{quantity}"
    return Fill(name, name, asset, side, Decimal(abs(quantity)), Decimal(price), Decimal(commission), close(at))


def traded(
    *fills: Fill, entries: Sequence[ActionEntry] = (), dues: Sequence[DueAction] = (), **more: Any
) -> ReplayTrades:
    return ReplayTrades(fills, tuple(entries), more.pop("navs", ()), more.pop("charges", {}), tuple(dues), {}, **more)


def rows(of: ReplayTrades, marks: Sequence[Sequence[float]], *, priced: Any = None, lot: float = 1.0) -> ReplayRows:
    """marks: of A, and of B."""
    prices = np.array(marks).T
    flags = np.ones(prices.shape, bool) if priced is None else np.array(priced).T
    return ReplayRows(DAYS, ("A", "B"), prices, flags, of, 1_000.0, lot)


def ran(at: int, target: Sequence[float], prices: Sequence[float], **more: Any) -> Ended:
    """A run that wanted these weights. held: weights before; outcome, due: of the run."""
    run = Run(
        f"r{at}", RunKey("one", "main", DAYS[at]), DAYS[at], 0, close(at), "ann", outcome=more.get("outcome", "done")
    )
    sight = cast(Any, SimpleNamespace(prices=np.array(prices)))
    turn = cast(Any, SimpleNamespace(due=more["due"])) if "due" in more else None
    held = np.array(more.get("held", (0.0, 0.0)))
    return Ended(run, (), (), sight, np.array(target), (), turn, held)


def effects(found: Sequence[Cause]) -> dict[str, float]:
    return {step.name: round(step.effect, 12) for step in found}


def due(kind: str, asset: str, at: int, **said: Any) -> DueAction:
    action = Action(date.fromisoformat(DAYS[at]), asset, ActionKind(kind), **said)
    return DueAction(action, DAYS[at], close(at - 1), DAYS[at], Decimal(10))


def test_each_step_by_hand() -> None:
    """60 of A and 20 of B. On the third day A pays 0.50, and B spins off a quarter of A, whose close is 10.

    Reinvested: 30 in 3 of A, 50 in 2.5 of B. In cash and shares: 65 of A, 20 of B, 30. In lots of seven: 56 of A and 14
    of B, 28 and 35 in cash. Fees of 3, and 56 x 0.10 above the close. Of B 7 were bought, not 14.
    """
    dues = (due("dividend", "A", 2, cash=0.5), due("spinoff", "B", 2, into="A", ratio=Fraction(1, 4)))
    of = traded(
        *(fill("A", 56, "10.1", 0, "1"), fill("B", 7, "20", 0)),
        dues=dues,
        charges={DAYS[1]: Decimal(-2)},
        states={"filled": 2, "denied": 1_000},
    )
    at = rows(of, [(10, 10, 10, 12), (20, 20, 20, 18)], lot=7.0)
    found = steps(at, [ran(0, (0.6, 0.4), (10, 20))], 0.1, 0.1349, of_capital=False)
    assert effects(found) == {
        "sizing": 0.061,  # 63 x 12 + 22.5 x 18 = 1,161
        "dividends": 0.009,  # 65 x 12 + 20 x 18 + 30 = 1,170
        "shares": -0.023,  # 56 x 12 + 14 x 18 + 160 + 63 = 1,147
        "costs": -0.0086,
        "orders": -0.0035,  # 7 fewer fall from 20 to 18, and bring 17.50 less
        "rest": 0.0,
    }
    assert found[-1].note == "what none of these explains"
    assert found[-2].note == "1,000 denied, 2 filled"
    assert (at.value.tolist(), at.fees.tolist()) == ([705.6, 0, 0, 0], [1, 2, 0, 0])
    assert at.slippage.tolist() == pytest.approx([5.6, 0, 0, 0])


@pytest.mark.parametrize(("of_capital", "capital"), [(True, {"capital": 0.25}), (False, {})])
def test_weights_of_the_worth_or_of_the_capital(of_capital: bool, capital: dict[str, float]) -> None:
    """100 of A at 10; at 20 a half is 50 of the worth of 2,000, or 25 of the capital of 1,000. Then it is 10."""
    at = rows(traded(), [(10, 20, 20, 10), (1, 1, 1, 1)])
    ended = [ran(0, (1.0, 0.0), (10, 1)), ran(2, (0.5, 0.0), (20, 1), held=(1.0, 0.0))]
    found = effects(steps(at, ended, 0.0, 0.0, of_capital=of_capital))
    total = 0.5 + sum(capital.values())
    assert found == {"sizing": 0.5, **capital, "dividends": 0, "shares": 0, "costs": 0, "orders": -total, "rest": 0}


def test_quantities_are_of_the_prices_of_the_decision_and_of_the_worth_before_its_close() -> None:
    """Held since the first day: 50 of A. On the third the worth of the second counts: 500 + 50 x 12, of which a half at
    11 is 50: sold are none, though A is at 20."""
    at = rows(traded(), [(10, 12, 20, 20), (1, 1, 1, 1)])
    ended = [ran(0, (0.5, 0.0), (10, 1)), ran(2, (0.5, 0.0), (11, 1), held=(0.55, 0.0))]
    assert effects(steps(at, ended, 0.0, 1.0, of_capital=False))["sizing"] == 0.5


def test_an_asset_without_a_price_waits_for_one() -> None:
    """B has none on the first day: at 25 on the second, two fifths of 1,000 (the worth before that close) are 16."""
    flags = [(True, True, True, True), (False, True, True, True)]
    at = rows(traded(), [(10, 11, 11, 11), (20, 25, 25, 30)], priced=flags)
    found = steps(at, [ran(0, (0.6, 0.4), (10, 20))], 0.0, 0.0, of_capital=False)
    assert effects(found)["sizing"] == pytest.approx((60 + 16 * 5) / 1_000)
    none = steps(at, [ran(0, (0.6, 0.4), (10, np.nan))], 0.0, 0.0, of_capital=False)  # not decided, not waited for
    assert effects(none)["sizing"] == pytest.approx(0.06)


def test_cash_of_an_asset_without_a_price_waits_for_one() -> None:
    """60 of A are owed 30, and have no close from that day on: the cash counts, and is spent if a close comes."""
    of = traded(dues=(due("dividend", "A", 2, cash=0.5),))
    marks, decision = [(10, 10, 10, 10), (20, 20, 20, 18)], ran(0, (0.6, 0.4), (10, 20))
    flags = [(True, True, False, False), (True, True, True, True)]
    found = effects(steps(rows(of, marks, priced=flags), [decision], 0.0, 0.0, of_capital=False))
    assert found["sizing"] == -0.01  # 600 + 360 + 30
    back = [(True, True, False, True), flags[1]]
    later = rows(of, [(10, 10, 10, 8), marks[1]], priced=back)
    assert effects(steps(later, [decision], 0.0, 0.0, of_capital=False))["sizing"] == -0.13  # 63.75 x 8 + 360


def test_shares_of_an_asset_that_the_rows_do_not_have_are_nothing() -> None:
    of = traded(dues=(due("spinoff", "A", 2, into="N", ratio=Fraction(1, 4)),))
    at = rows(of, [(10, 10, 10, 12), (20, 20, 20, 18)])
    found = effects(steps(at, [ran(0, (0.6, 0.4), (10, 20))], 0.0, 0.0, of_capital=False))
    assert (found["sizing"], found["dividends"], found["shares"]) == (0.08, 0.0, 0.0)


def test_what_is_not_to_be_changed_stays() -> None:
    """A is held at 0.6 and wanted at 0.6: its shares are not touched, though 60 x 12 is more than that now."""
    at = rows(traded(), [(10, 12, 12, 12), (20, 20, 20, 20)])
    ended = [ran(0, (0.6, 0.0), (10, 20)), ran(2, (0.6, 0.28), (12, 20), held=(0.6, 0.0))]
    assert effects(steps(at, ended, 0.0, 0.0, of_capital=False))["sizing"] == 0.12


def test_a_book_that_lost_all_is_worth_nothing() -> None:
    at = rows(traded(), [(10, 0.001, 0.001, 10), (1, 1, 1, 1)])
    ended = [ran(0, (2.0, 0.0), (10, 1))]
    assert effects(steps(at, ended, 0.0, 0.0, of_capital=False))["sizing"] == -1.0


def test_a_lot_is_a_lot_but_for_rounding() -> None:
    """0.3 of 1,000 at 0.1 is 2999.9999999999995 in floats: 3,000."""
    at = rows(traded(), [(0.1, 0.1, 0.2, 0.2), (1, 1, 1, 1)])
    assert (0.1 + 0.2 - 2e-16) * 1_000.0 / 0.1 < 3_000
    found = effects(steps(at, [ran(0, (0.1 + 0.2 - 2e-16, 0.0), (0.1, 1))], 0.0, 0.0, of_capital=False))
    assert (found["sizing"], found["shares"]) == (0.3, 0.0)


def entry(kind: str, asset: str, at: str, step: str = "effect", **amounts: str) -> ActionEntry:
    made = Amounts(**{name: Decimal(x) for name, x in amounts.items()})
    into = "A" if "into_change" in amounts else ""
    return ActionEntry(KEY, asset, kind, at, "", step, into, made, at, at, close(0), "new")


def test_what_is_held_and_told_of_entries() -> None:
    """Of assets that the rows have, up to their last."""
    entries = (
        entry("split", "A", DAYS[1], change="10", cash="0.25"),
        entry("spinoff", "B", DAYS[2], into_change="5", cash="1"),
        entry("dividend", "X", DAYS[2], change="1", cash="2", receivable="3.5"),
        entry("dividend", "A", DAYS[3], step="payment", cash="3.5", receivable="-3.5"),
        entry("split", "A", "2024-01-08", change="99", cash="0.5"),
    )
    navs = [
        Nav(KEY, day, Decimal(1), Decimal(1), ZERO, ZERO, Decimal(owed)) for day, owed in zip(DAYS, "0350", strict=True)
    ]
    of = traded(fill("A", 10, "10", 0), fill("B", -4, "20", 2, "0.5"), entries=entries, navs=tuple(navs))
    at = rows(of, [(10, 10, 10, 10), (20, 20, 20, 20)])
    assert at.quantities.tolist() == [[10, 0], [20, 0], [25, -4], [25, -4]]
    assert at.filled.tolist() == [[10, 0], [0, 0], [0, -4], [0, 0]]
    notes = {step.name: step.note for step in steps(at, [], 0.0, 0.0, of_capital=True)}
    assert notes["dividends"].startswith("2 paid or owed 6.50 in cash")
    assert notes["dividends"].endswith("; 5.00 at most were owed at a close")
    assert notes["shares"] == "whole lots; fractions over 2 splits paid 0.75"
    assert notes["costs"].startswith("slippage 0.00, commissions and fees 0.50,")
    assert notes["orders"] == "no orders"
    assert notes["capital"].startswith("weights are shares of 1,000")
    assert [at.row(day) for day in ("2024-01-01", "2024-01-02", "2024-01-04", "2024-01-06")] == [0, 0, 2, 4]


@pytest.mark.parametrize("entries", [(), (entry("split", "A", DAYS[1], change="0"),)])
@pytest.mark.parametrize("fills", [(), (fill("A", 1, "10", 0),)])
def test_whether_anything_was_traded(entries: tuple[ActionEntry, ...], fills: tuple[Fill, ...]) -> None:
    at = rows(traded(*fills, entries=entries), [(10, 10, 10, 10), (20, 20, 20, 20)])
    rest = steps(at, [], 0.0, 0.25, of_capital=False)[-1]
    assert rest.effect == 0.25
    assert rest.note == ("what none of these explains" if entries or fills else "nothing was traded")
    assert "owed at a close" not in steps(at, [], 0.0, 0.0, of_capital=False)[1].note


def test_which_runs_decided() -> None:
    """A run that was refused, failed or cancelled decided nothing; one that had waited for a price is no rebalance."""
    made = [ran(0, (1.0, 0.0), (10, 1), outcome=outcome) for outcome in Outcome]
    undecided = {Outcome.REFUSED, Outcome.FAILED, Outcome.CANCELLED}
    assert [e.run.outcome for e in decided(made)] == [o for o in Outcome if o not in undecided]
    none = Ended(made[0].run, (), (), None, None, ())
    rebalance, late, plain = (ran(1, (1.0, 0.0), (10, 1), **d) for d in ({"due": True}, {"due": False}, {}))
    assert decided([none, rebalance, late, plain]) == [rebalance, late, plain]
    assert decided([none, rebalance, late, plain], wholly=True) == [rebalance, plain]
    for missing in (
        Ended(made[0].run, (), (), None, made[0].target, ()),
        Ended(made[0].run, (), (), made[0].sight, made[0].target, ()),
    ):
        at = rows(traded(), [(10, 10, 10, 10), (20, 20, 20, 20)])
        with pytest.raises(ValueError, match="the run r0 decided nothing"):
            steps(at, [missing], 0.0, 0.0, of_capital=False)
