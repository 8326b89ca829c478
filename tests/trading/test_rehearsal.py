"""A dry run says what a run would do: on the same state its orders and denials are those of the run right after it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.store.ledger import books, control, orders
from sigc.store.ledger.records import BookKey, Intent, IntentState, Outcome, RunKind
from sigc_pipelines.live.trading import Ended
from tests.trading.script import D1, D2, D3, Scene, free, scene, written

KEY = BookKey("scripted", "main")


def said(ended: Ended) -> list[tuple[str, str, Decimal, bool, str]]:
    """Asset, side, quantity, whether it would leave, and why not."""
    return [
        (
            i.asset,
            str(i.side),
            i.quantity,
            i.state is not IntentState.DENIED,
            i.message * (i.state is IntentState.DENIED),
        )
        for i in ended.orders
    ]


def kept(desk: Scene) -> tuple[Any, ...]:
    """All that a dry run must not change: orders, positions, cash, the broker's book."""
    with desk.trading.ledger.reading() as connection:
        book = books.book(connection, KEY)
        flying: tuple[Intent, ...] = orders.recent(connection, 1000)
        return flying, books.positions(connection), book, desk.paper.account(), tuple(desk.booked())


def compared(desk: Scene, **how: Any) -> Ended:
    """A dry run, then a run: the same orders, the same denials. Return the dry run."""
    before = kept(desk)
    dry = desk.run("dry", kind=RunKind.DRY)
    assert kept(desk) == before
    real = desk.run("real", **how)
    assert said(dry) == said(real)
    assert dry.run.outcome is real.run.outcome
    return dry


@pytest.mark.parametrize(
    ("safety", "outcome", "denied"),
    [
        ({}, Outcome.DONE, ""),
        ({"max_order_value": 250_000.0}, Outcome.PARTIAL, "B"),
        ({"max_orders_per_run": 1}, Outcome.PARTIAL, "AB"),
        ({"restricted": ["A", "B", "C"]}, Outcome.NOTHING_TRADED, "ABC"),
        ({"account": {"max_gross": 0.35}}, Outcome.PARTIAL, "AB"),
    ],
)
def test_a_fresh_book(tmp_path: Path, safety: dict[str, Any], outcome: Outcome, denied: str) -> None:
    """Of a million at 100: 1,000 of A, 3,000 of B, 2,000 of C."""
    floor = written(tmp_path, {"A": 0.1, "B": 0.3, "C": 0.2}, config=free(safety=safety))
    with scene(floor, D1) as desk:
        dry = compared(desk)
        assert dry.run.outcome is outcome
        assert "".join(i.asset for i in dry.orders if i.state is IntentState.DENIED) == denied
        assert dry.run.message.startswith(f"{3 - len(denied)} orders would go out")
        assert (f"{len(denied)} would be denied: {denied[:1]}: " in dry.run.message) is bool(denied)


@pytest.mark.parametrize(
    "safety",
    [
        {},
        {"max_gross_in_flight": 1.05},  # 1.0 is held after the fills; both sides of the turn in flight would be 2.0
        {"min_cash_in_flight": 0.0},
        {"max_order_value": 350_000.0},
        {"max_turnover": 0.5},
        {"account": {"max_gross": 1.05}},
    ],
)
def test_orders_of_the_session_before_count_as_filled(tmp_path: Path, safety: dict[str, Any]) -> None:
    """4,000 of A and 6,000 of B were ordered; they are filled at the close that this run is as of."""
    floor = written(tmp_path, {"A": [0.4, 0.6], "B": [0.6, 0.2]}, config=free(safety=safety))
    with scene(floor, D1) as desk:
        desk.run("first")
    with scene(floor, D2) as desk:
        dry = compared(desk)
        if not safety:
            assert [(i.asset, str(i.side), i.quantity) for i in dry.orders] == [
                ("B", "sell", Decimal(4000)),
                ("A", "buy", Decimal(2000)),
            ]


def test_an_order_that_is_on_its_way_for_the_session_is_not_ordered_again(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.4}, config=free(safety={"max_gross_in_flight": 0.5}))
    with scene(floor, D1) as desk:
        desk.run("first")
        dry = desk.run("dry", kind=RunKind.DRY)
        assert (dry.orders, dry.run.message) == ((), "0 orders would go out")


def test_a_split_between_is_in_the_orders_and_in_their_limits(tmp_path: Path) -> None:
    """A thousand at 100 were ordered; after 4:1 it is 4,000 at 25, and half of it is sold: 2,000 for 50,000."""
    floor = written(
        tmp_path,
        {"A": [0.1, 0.05]},
        prices={"A": [100.0, 100.0, 25.0]},
        actions=f"date,ticker,kind,ratio\n{D3},A,split,4\n",
        config=free(safety={"max_order_value": 100_000.0, "max_order_shares": 2000.0}),
    )
    with scene(floor, D1) as desk:
        desk.run("first")
    with scene(floor, D2) as desk:
        (sale,) = compared(desk).orders
        assert (sale.side, sale.quantity, sale.state) == ("sell", Decimal(2000), IntentState.PLANNED)


@pytest.mark.parametrize("name", [control.HALTED, control.PAUSED])
def test_what_would_keep_a_run_from_trading_is_told(tmp_path: Path, name: str) -> None:
    floor = written(tmp_path, {"A": 0.1}, config=free())
    with scene(floor, D1) as desk:
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, name, "", "by hand", "ann", "lunch")
        dry = desk.run("dry", kind=RunKind.DRY)
        assert dry.run.message == f"1 orders would go out; a run would be refused: everything is {name} by ann: lunch"
        assert (dry.run.outcome, [i.state for i in dry.orders]) == (Outcome.DONE, [IntentState.PLANNED])


def test_at_a_broker_that_trades_its_word_counts(tmp_path: Path) -> None:
    """Of 4,000 the broker has filled 2,500, the rest has ended; neither is in the ledger yet."""
    floor = written(tmp_path, {"A": 0.4}, config=free(paper={"max_volume_pct": 1.0}))
    real = {"simulated": False}
    with scene(floor, D1, can=real) as desk:
        before_it = floor.calendar.before_or_on(date.fromisoformat(D1))
        desk.paper.deposit("wire", Decimal(1_000_000))
        desk.paper.mark(D1, before_it.close, {"A": Decimal(100)}, {"A": Decimal(1_000_000)})
        desk.run("first")
        session = floor.calendar.before_or_on(date.fromisoformat(D2))
        desk.clock.turn(session.close)
        desk.paper.mark(D2, session.close, {"A": Decimal(100)}, {"A": Decimal(2500)})
    with scene(floor, D2, can=real, is_recovering=False) as desk:
        desk.broker.is_silent = True
        silent = desk.run("unanswered", kind=RunKind.DRY)
        assert "the broker does not say what it holds, so a trade would fail" in silent.run.message
        desk.broker.is_silent = False
        before = kept(desk)
        dry = desk.run("dry", kind=RunKind.DRY)
        assert kept(desk) == before
        assert [(i.asset, str(i.side), i.quantity) for i in dry.orders] == [("A", "buy", Decimal(1500))]
        (ordered,) = desk.run("real").orders
        assert ordered.quantity == 1500
