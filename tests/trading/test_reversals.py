"""Orders that would cross zero, in two parts: against a replay, one fill after the other, that knows nothing of them.

And the gate that holds a part, or a buy, until fills have made room for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.clock import HandClock
from sigc.config.settings import ExecutionSettings
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, BookKey, Fill, Intent, IntentState, Run, RunKey, Side
from sigc_pipelines.brokers.protocol import Account, Activities, Capabilities, UnreachableError
from sigc_pipelines.live.reversals import FillGate, account_positions, split_reversals
from sigc_pipelines.live.send_orders import Desk
from sigc_pipelines.live.sizing import Order, write_down

D = Decimal
NOW = datetime(2024, 1, 2, 15, tzinfo=UTC)
KEY = RunKey("s", "main", "2024-01-02")
RUN = Run("r", KEY, "2023-12-29", 0, NOW, "ann", cut_off=NOW + timedelta(hours=5))


def parts(
    orders: Sequence[Order], held: Mapping[str, Decimal], lot: str = "1", slices: int = 0, short_lot: int = 1
) -> tuple[tuple[Intent, ...], tuple[Intent, ...]]:
    """The intents as they are written down, and in parts."""
    settings = ExecutionSettings(style="twap", slices=slices) if slices else ExecutionSettings()
    whole = write_down(orders, RUN, "ledger", settings, D(lot), NOW)
    return whole, split_reversals(whole, RUN, "ledger", held, D(short_lot))


def order(asset: str, change: Decimal | int | str) -> Order:
    return Order(asset, Side.BUY if D(change) > 0 else Side.SELL, abs(D(change)), D(10))


def test_two_equal_parts_are_two_orders() -> None:
    """Sixty are sold to close, sixty to open: all that tells them apart is the number of the part."""
    (whole,), (close, opening) = parts([order("A", -120)], {"A": D(60)})
    assert (close.quantity, opening.quantity) == (D(60), D(60))
    assert (close.slice, opening.slice) == (1, 2)
    assert close.parent == opening.parent == whole.client_order_id
    assert len({whole.client_order_id, close.client_order_id, opening.client_order_id}) == 3


def test_what_does_not_cross_zero_is_as_it_was() -> None:
    for held in ({}, {"A": D(5)}, {"A": D(-12)}, {"B": D(-3)}):
        whole, same = parts([order("A", 12), order("B", 4 if "B" not in held else 3)], held)
        assert same == whole


def test_a_short_part_is_whole_and_may_be_none() -> None:
    _, made = parts([order("A", "-5.5"), order("B", "-3.2")], {"A": D("2.25"), "B": D(3)}, lot="0.05")
    assert [(i.asset, i.quantity) for i in made] == [("A", D("2.25")), ("A", D(3)), ("B", D(3))]
    _, made = parts([order("A", -28)], {"A": D(1)}, short_lot=10)
    assert [i.quantity for i in made] == [D(1), D(20)]


def test_a_fraction_of_a_share_that_is_added_to_is_not_closed() -> None:
    whole, same = parts([order("A", 10)], {"A": D("0.5")})
    assert same == whole


@given(
    held=st.integers(-300, 300),
    change=st.integers(-400, 400).filter(bool),
    slices=st.sampled_from([0, 1, 3, 7]),
    beside=st.integers(-50, 50).filter(bool),
)
def test_no_part_crosses_zero_and_all_add_up(held: int, change: int, slices: int, beside: int) -> None:
    whole, made = parts([order("A", change), order("B", beside)], {"A": D(held), "B": D(0)}, slices=slices)
    mine = sorted((i for i in made if i.asset == "A"), key=lambda i: i.slice)
    position = D(held)
    for one in mine:
        after = position + one.side.sign * one.quantity
        assert position * after >= 0, "an order turns long into short"
        position = after
    assert position == held + change
    assert len(mine) - len([i for i in whole if i.asset == "A"]) in (0, 1)
    assert [i.place for i in made] == list(range(len(made)))
    assert len({i.client_order_id for i in made}) == len(made)
    due = [i.not_before for i in mine if i.not_before is not None]
    assert due == sorted(due)
    if len(mine) > 1:
        assert {i.parent for i in mine} == {mine[0].parent}
        assert [i.slice for i in mine] == list(range(1, len(mine) + 1))
    assert [i for i in made if i.asset == "B"] == [
        i for i in made if i.asset == "B" and i.client_order_id in {w.client_order_id for w in whole}
    ]


BOTH = Capabilities("b", False, crosses_zero=False, frees_on_fill=True)
S = IntentState


@dataclass
class Teller:
    """A broker that tells its buying power, and each fill once; None: it does not answer."""

    power: Decimal | None = ZERO
    fills: list[Fill] = field(default_factory=list)
    can: Capabilities = BOTH
    seen: list[str] = field(default_factory=list)

    def capabilities(self) -> Capabilities:
        return self.can

    def account(self) -> Account:
        if self.power is None:
            raise UnreachableError("silent")
        return Account(D(0), D(0), self.power)

    def activities(self, cursor: str) -> Activities:
        self.seen.append("looked")
        if self.power is None:
            raise UnreachableError("silent")
        found, self.fills = tuple(self.fills), []
        return Activities(found, (), cursor)

    def orders(self, since: datetime) -> tuple[()]:  # noqa: ARG002
        return ()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path, HandClock(NOW), durable=False) as opened:
        with opened.transaction("plan") as tx:
            books.open_book(tx, BookKey("s", "main"), D(100_000), NOW)
            runs.open_run(tx, RUN, {})
        yield opened


def noted(
    ledger: Ledger, id: str, change: int, state: IntentState, asset: str = "A", parent: str = "", slice: int = 0
) -> Intent:
    """An order in the ledger, as it stands there."""
    side = Side.BUY if change > 0 else Side.SELL
    with ledger.reading() as connection:
        place = len(orders.of_run(connection, "r"))
    one = Intent(id, "r", KEY, place, asset, side, D(abs(change)), D(100), parent=parent, slice=slice)
    with ledger.transaction("plan") as tx:
        orders.plan(tx, [one])
        if state is not S.PLANNED:
            orders.sending(tx, one, NOW)
            orders.acknowledged(tx, replace(one, state=S.SENDING), id)
    return one


def filled(id: str, change: int, asset: str = "A", quantity: int = 0) -> Fill:
    side = Side.BUY if change > 0 else Side.SELL
    return Fill(f"e{id}", id, asset, side, D(quantity or abs(change)), D(100), ZERO, NOW)


def hold(ledger: Ledger, change: int, asset: str = "A") -> None:
    """Have the book hold so much, by an order that is over."""
    if change:
        noted(ledger, f"held {asset}", change, S.ACKNOWLEDGED, asset)
        with ledger.transaction("fills") as tx:
            books.take_in(tx, (filled(f"held {asset}", change, asset),), (), "")


def gate(ledger: Ledger, broker: Teller) -> FillGate:
    desk = Desk(ledger, broker, ledger.clock, ExecutionSettings(lookup_backoff_s=0.5))  # type: ignore[arg-type]
    return FillGate(desk, lambda: broker.seen.append("written"))


Other = tuple[int, IntentState, str, int]  # change, state, parent, slice
PLANNED, OPEN = S.PLANNED, S.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("held", "others", "change", "part", "why"),
    [
        (60, [], -60, ("", 0), ""),
        (60, [], -61, ("", 0), "60 A are to be closed first"),
        (-60, [], 60, ("", 0), ""),
        (-60, [], 61, ("", 0), "60 A are to be closed first"),
        (60, [(-1, OPEN, "", 0)], -60, ("", 0), "60 A are to be closed first"),
        (60, [(-1, OPEN, "", 0)], -59, ("", 0), ""),
        (60, [(-1, PLANNED, "", 0)], -60, ("", 0), ""),
        (0, [], 10, ("", 0), ""),
        (1, [], 10, ("", 0), ""),
        (0, [(-5, OPEN, "", 0)], 10, ("", 0), "an opposite order in A is open"),
        (0, [(-5, OPEN, "", 0), (5, OPEN, "", 0)], 10, ("", 0), "an opposite order in A is open"),
        (0, [(-5, PLANNED, "", 0)], 10, ("", 0), ""),
        # Of two parts that turn it round, the first goes first, whatever their sizes.
        (1000, [(-500, PLANNED, "p", 2)], -1000, ("p", 1), ""),
        (1000, [(-1000, PLANNED, "p", 1)], -500, ("p", 2), "the part before it comes first"),
        (1000, [(-1000, PLANNED, "p", 1), (-9, PLANNED, "p", 3)], -500, ("p", 2), "the part before it comes first"),
        # Slices of a mere reduction wait for nothing; nor does one for the parts of another order.
        (1000, [(-300, PLANNED, "p", 1)], -300, ("p", 2), ""),
        (1000, [(-400, PLANNED, "p", 1)], -600, ("p", 2), ""),
        (1000, [(-900, PLANNED, "q", 1)], -500, ("p", 2), ""),
        (1000, [(-900, PLANNED, "", 1)], -500, ("", 2), ""),
    ],
)
def test_no_order_crosses_zero_meets_an_opposite_one_or_overtakes_the_part_before_it(
    ledger: Ledger, held: int, others: list[Other], change: int, part: tuple[str, int], why: str
) -> None:
    hold(ledger, held)
    for number, (quantity, state, parent, slice) in enumerate(others):
        noted(ledger, f"other {number}", quantity, state, parent=parent, slice=slice)
    mine = noted(ledger, "mine", change, S.PLANNED, parent=part[0], slice=part[1])
    alone = replace(BOTH, frees_on_fill=False)
    assert gate(ledger, Teller(can=alone)).why_held(mine) == why
    assert gate(ledger, Teller(can=replace(alone, crosses_zero=True))).why_held(mine) == ""


@pytest.mark.parametrize(
    ("held", "limit", "power", "why"),
    [
        (0, None, "1050", ""),  # ten at 100, and five per cent that a market order reserves
        (0, None, "1049.99", "1050.00 of buying power are needed"),
        (0, "110", "1155", ""),
        (0, "110", "1154.99", "1155.00 of buying power are needed"),
        (0, "90", "1049.99", "1050.00 of buying power are needed"),
        (0, None, None, "the broker does not tell the buying power"),
        (-10, None, "0", ""),  # closes a short position: nothing of it is held back for cash
    ],
)
def test_a_buy_waits_while_sales_are_open_that_pay_for_it(
    ledger: Ledger, held: int, limit: str | None, power: str | None, why: str
) -> None:
    hold(ledger, held)
    hold(ledger, 50, "B")
    mine = replace(noted(ledger, "mine", 10, S.PLANNED), limit=None if limit is None else D(limit))
    broker = Teller(None if power is None else D(power))
    assert gate(ledger, broker).why_held(mine) == ""  # no sale is open
    noted(ledger, "sale", -50, S.ACKNOWLEDGED, "B")
    assert gate(ledger, broker).why_held(mine).startswith(why)
    assert bool(gate(ledger, broker).why_held(mine)) is bool(why)
    assert gate(ledger, replace(broker, can=replace(BOTH, crosses_zero=True))).why_held(mine).startswith(why)
    assert gate(ledger, replace(broker, can=replace(BOTH, frees_on_fill=False))).why_held(mine) == ""


def test_the_book_is_looked_at_ever_more_rarely_until_something_is_filled(ledger: Ledger) -> None:
    hold(ledger, 60)
    noted(ledger, "first", -60, S.ACKNOWLEDGED, parent="p", slice=1)
    free = noted(ledger, "other", 5, S.PLANNED, "B")
    mine, broker = noted(ledger, "mine", -40, S.PLANNED, parent="p", slice=2), Teller(D(600))
    held, clock = gate(ledger, broker), ledger.clock
    assert held.held_until(free) is None
    assert broker.seen == []  # what is free needs no look
    waits = []
    for looks in range(1, 10):
        until = held.held_until(mine)
        assert until is not None
        assert held.held_until(mine) == until, "not looked at before its time"
        assert broker.seen == ["written", "looked"] * looks  # answers are written down before fills of them
        waits.append((until - clock.now()).total_seconds())
        clock.sleep(waits[-1])
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    broker.fills.append(filled("first", -60, quantity=20))
    assert held.held_until(mine) == clock.now() + timedelta(seconds=0.5)
    clock.sleep(0.5)
    broker.power = None  # no answer is no fill
    assert held.held_until(mine) == clock.now() + timedelta(seconds=1)
    clock.sleep(1.0)
    broker.power = D(600)
    broker.fills.append(replace(filled("first", -60, quantity=40), execution_id="e2"))
    assert held.held_until(mine) is None


def test_the_account_holds_what_all_books_hold(ledger: Ledger) -> None:
    hold(ledger, 60)
    run = Run("r2", RunKey("t", "main", "2024-01-02"), "2023-12-29", 0, NOW, "ann")
    theirs = Intent("theirs", "r2", run.key, 0, "A", Side.SELL, D(25), D(100))
    with ledger.transaction("plan") as tx:
        books.open_book(tx, BookKey("t", "main"), D(100_000), NOW)
        runs.open_run(tx, run, {})
        orders.plan(tx, [theirs])
        books.take_in(tx, (filled("theirs", -25),), (), "")
    with ledger.reading() as connection:
        assert account_positions(connection) == {"A": 35}
