"""One book closed by a person: exactly its positions, after its own open orders; other books and halts as they were."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from sigc.errors import SigcError
from sigc.store.ledger import books, control, halting
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import UNASSIGNED, ZERO, BookKey, IntentState
from sigc_pipelines.live.roll_forward import keep
from sigc_pipelines.stopping.close_book import close_book
from tests.trading.script import D1, D2, D3, D4, Scene, free, scene, written

KEY = BookKey("scripted", "main")


def held(desk: Scene) -> dict[str, Decimal]:
    keep(desk.trading, desk.floor.feed(), KEY)
    return desk.held()


def halts(desk: Scene) -> tuple[str, ...]:
    with desk.trading.ledger.reading() as connection:
        return tuple(one.scope for one in control.every(connection, control.HALTED))


def test_a_book_without_an_owner_is_closed_after_its_open_orders_and_nothing_is_halted(tmp_path: Path) -> None:
    """Of a million at 100: 2,000 of A, -1,000 of B; on the third day half of A is for sale and 3,000 of C are wanted."""
    floor = written(tmp_path, {"A": [0.2, 0.2, 0.1], "B": -0.1, "C": [0.0, 0.0, 0.3]}, config=free())
    for day in (D1, D2):
        with scene(floor, day) as desk:
            desk.run(day)
    with scene(floor, D3) as desk:
        desk.run(D3)
        reply = close_book(desk.trading, KEY, {"another"}, "ann", "its strategy is gone")
        assert {(o.side, o.asset, o.quantity, o.state) for o in reply.cancelled} == {
            ("sell", "A", "1000", "cancelled"),
            ("buy", "C", "3000", "cancelled"),
        }
        assert [(o.side, o.asset, o.quantity, o.state) for o in reply.closing] == [
            ("sell", "A", "2000", "acknowledged"),
            ("buy", "B", "1000", "acknowledged"),
        ]
        assert (reply.is_done, reply.kept, halts(desk)) == (True, (), ())
        (decided,) = [r for r in desk.audit("run.decided") if r["payload"].get("closes")]
        assert (decided["who"], decided["payload"]["reason"]) == ("ann", "its strategy is gone")
    with scene(floor, D4) as desk:
        assert (held(desk), desk.paper.positions()) == ({}, {})
        again = close_book(desk.trading, KEY, (), "ann", "once more")
        assert (again.closing, again.cancelled, again.is_done) == ((), (), True)


def test_a_book_that_its_strategy_would_fill_again_is_left_alone(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.2}, config=free())
    for day in (D1, D2):
        with scene(floor, day) as desk:
            desk.run(day)
    with scene(floor, D2) as desk:
        with pytest.raises(
            SigcError, match="'scripted' trades scripted/main, and would open its positions again"
        ) as no:
            close_book(desk.trading, KEY, {"scripted"}, "ann", "x")
        assert no.value.diagnostics[0].code == "E804"
        assert "sigc kill --flatten scripted" in no.value.diagnostics[0].hint
        assert (desk.paper.positions(), set(desk.states().values())) == ({"A": Decimal(2000)}, {IntentState.FILLED})
        with desk.trading.ledger.transaction("control") as tx:
            halting.halt_by_hand(tx, "scripted", "ann", "enough")
        assert [o.quantity for o in close_book(desk.trading, KEY, {"scripted"}, "ann", "x").closing] == ["2000"]
        assert halts(desk) == ("scripted",)  # as it was


def test_open_orders_of_another_portfolio_go_on(tmp_path: Path) -> None:
    """A book beside it, of the same strategy, holds nothing and has nothing open: the order in `main` stays."""
    floor = written(tmp_path, {"A": 0.2}, config=free())
    other = BookKey("scripted", "other")

    def opened(tx: Transaction) -> None:
        books.open_book(tx, other, ZERO, tx.at, D1)

    with scene(floor, D1) as desk:
        desk.run(D1)
        with desk.trading.ledger.transaction("control") as tx:
            opened(tx)
        reply = close_book(desk.trading, other, (), "ann", "x")
        assert (reply.cancelled, reply.closing, reply.is_done) == ((), (), True)
        assert desk.states() == {"A": IntentState.ACKNOWLEDGED}


def test_a_book_that_is_not_there_is_named(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.2}, config=free())
    with scene(floor, D1) as desk, pytest.raises(SigcError, match="no book unassigned/") as no:
        close_book(desk.trading, UNASSIGNED, (), "ann", "x")
    assert no.value.diagnostics[0].code == "E312"
