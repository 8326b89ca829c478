"""A ledger with every kind of record that a replay reads, written in a moment by the store's own functions.

Of the strategy `old`, renamed to `momentum` since, beside `two`, which keeps its name:

    s1  sell 10 B, limit 99.50   filled at 101               s5  rejected
    s2  buy 20 A                 8 filled at 100, still open  s6  denied
    s3  buy 5 A                  2 filled at 50, cancelled   s7  denied by the halt
    s4  unknown, absent, sent again, expired, and at the broker after all
    s8  buy 4 C                  filled, and 1 beyond

C is renamed to E, A split two for one; of D, which `two` holds, one dividend was paid and another is owed. A trade by phone was adopted; a
fill of another program, interest and a borrow fee were told. A halt and a pause hold the strategy; a halt was lifted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from sigc.store.ledger import adjustments, books, control, halting, orders, runs
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.book_rename import rename_strategy
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import (
    BookKey,
    Charge,
    Fill,
    Intent,
    IntentState,
    Nav,
    OrderType,
    Outcome,
    Run,
    RunKey,
    Side,
)
from tests.store.actions_desk import Desk, action

OLD, TWO, KEY = BookKey("old", "main"), BookKey("two", "main"), BookKey("momentum", "main")
AT = datetime(2016, 1, 4, 15, tzinfo=UTC)
D = Decimal
_ORDERS = (("B", Side.SELL, 10), *(("A", Side.BUY, n) for n in (20, 5, 7, 7, 7, 7)), ("C", Side.BUY, 4))


def write(work_dir: Path) -> None:
    """The whole ledger, into a folder."""
    with Desk(work_dir, OLD, TWO) as desk:
        with desk.ledger.transaction("intents") as tx:
            _trade(tx)
        desk.fill("D", 100, 0, TWO)
        desk.lists(action("rename", "C", 2, into="E"), action("split", "A", 3, ratio=Fraction(2)), key=OLD)
        desk.lists(action("dividend", "D", 1, cash=0.25), action("dividend", "D", 2, cash=0.5, pay=9), key=TWO)
        desk.book(3)
        with desk.ledger.transaction("adopt") as tx:
            _adopt(tx)
        with desk.ledger.transaction("control") as tx:
            _decide(tx)
            _reschedule(tx)


def _trade(tx: Transaction) -> None:
    run = Run("r", RunKey("old", "main", "2016-01-04"), "2016-01-01", 0, AT, "ann")
    runs.open_run(tx, run, {})
    runs.close_run(tx, run, AT, Outcome.DONE, "")
    made = [
        Intent(f"s{place}", run.id, run.key, place, asset, side, D(quantity), D(50))
        for place, (asset, side, quantity) in enumerate(_ORDERS, 1)
    ]
    made[0] = replace(made[0], reference=D(100), order_type=OrderType.LIMIT, limit=D("99.50"))
    orders.plan(tx, made)
    one, two, three, four, five, six, _, eight = made
    for intent in (one, two, three, eight):
        orders.sending(tx, intent, AT)
        orders.acknowledged(tx, intent, f"b{intent.place}")
    books.take_in(tx, (_fill(two, 1, 8, "100", "0.25"), _fill(one, 2, 10, "101", "1.5")), (), "")
    orders.moved(tx, three, IntentState.CANCELLED, "by hand")
    books.take_in(tx, (_fill(three, 3, 2, "50"), _fill(eight, 4, 4, "20"), _fill(eight, 5, 1, "21")), (), "")
    for state in (IntentState.UNKNOWN, IntentState.PLANNED, IntentState.EXPIRED):
        orders.sending(tx, four, AT)
        orders.moved(tx, four, state)
        if state is IntentState.UNKNOWN:
            orders.moved(tx, four, IntentState.PLANNED)
    orders.arrived(tx, four, "b4")
    orders.sending(tx, five, AT)
    orders.moved(tx, five, IntentState.REJECTED, "no")
    orders.moved(tx, six, IntentState.DENIED, "too large")


def _fill(intent: Intent, number: int, quantity: int, price: str, commission: str = "0") -> Fill:
    when = AT + timedelta(minutes=number)
    asset, side = intent.asset, intent.side
    return Fill(f"x{number}", intent.client_order_id, asset, side, D(quantity), D(price), D(commission), when)


def _adopt(tx: Transaction) -> None:
    entry = Adjustment(OLD, "A", D(5), D(-250), GapCause.TRADE, D(50), "2016-01-06", AT, "ann", "by phone")
    adjustments.adjust(tx, [entry])
    foreign = Fill("y1", "theirs", "A", Side.BUY, D(1), D(9), D(0), AT)
    interest, borrow = Charge("i1", "interest", "", D("1.25"), AT), Charge("c1", "borrow", "B", D("-0.75"), AT)
    books.take_in(tx, (foreign,), (interest, borrow), "")
    for book in (OLD, TWO):
        for session in ("2016-01-05", "2016-01-06"):
            books.put_nav(tx, Nav(book, session, D(1_000_100), D(999_000), D(1_500), D(1_100), D(50)))


def _decide(tx: Transaction) -> None:
    control.put(tx, control.PAUSED, "old", "by hand", "bob", "lunch")
    halting.halt_by_hand(tx, "two", "ann", "a mistake")
    control.drop(tx, control.HALTED, "two", "ann", "none")
    rename_strategy(tx, "old", "momentum", "ann", "")
    halting.halt_by_hand(tx, "momentum", "ann", "odd prices")


def _reschedule(tx: Transaction) -> None:
    """A planned order of `two` is given another time."""
    run = Run("t", RunKey("two", "main", "2016-01-07"), "2016-01-06", 0, AT, "ann")
    runs.open_run(tx, run, {})
    runs.close_run(tx, run, AT, Outcome.DONE, "")
    later = Intent("t1", run.id, run.key, 1, "D", Side.SELL, D(1), D(20), not_before=AT)
    orders.plan(tx, [later])
    orders.rescheduled(tx, later, AT + timedelta(hours=1))
