"""What tells a run that other orders may have more room, or less, than it counted."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.store.ledger import books, orders
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, Fill, IntentState
from sigc.store.ledger.records import IntentState as S
from tests.trading.floor import NOON
from tests.trading.script import D1, scene, written

ENDS = (S.CANCELLED, S.EXPIRED, S.REJECTED)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger in which three orders are at the broker."""
    with scene(written(tmp_path, {"A": 0.1, "B": 0.1, "C": -0.1}), D1) as desk:
        desk.run("one")
        assert set(desk.states().values()) == {S.ACKNOWLEDGED}
    return tmp_path / "work"


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ENDS)
def test_each_order_that_ends_is_a_change(ledger: Path, first: IntentState, second: IntentState) -> None:
    """Whatever ended before it; an order that was given up and arrives is one, too."""
    with Ledger.open(ledger, HandClock(NOON), durable=False) as opened, opened.transaction("cancel") as tx:
        a, b, c = orders.in_flight(tx.connection)
        seen = [orders.changes(tx.connection)]
        orders.moved(tx, a, first)
        seen.append(orders.changes(tx.connection))
        orders.moved(tx, b, second)
        seen.append(orders.changes(tx.connection))
        orders.arrived(tx, orders.get(tx.connection, b.client_order_id) or b, "late")
        seen.append(orders.changes(tx.connection))
        fill = Fill("e1", c.client_order_id, c.asset, c.side, Decimal(1), Decimal(100), ZERO, NOON)
        books.take_in(tx, (fill,), (), "1")
        seen.append(orders.changes(tx.connection))
        books.take_in(tx, (fill,), (), "1")  # the same again
        assert orders.changes(tx.connection) == seen[-1]
    assert len(set(seen)) == 5
