"""Runs that wait for the open: by the states of their orders; and a thread that was given up, which reaches nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import orders, runs
from sigc.store.ledger.fenced import Fence, FencedLedger, GivenUpError
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.records import Intent, Run, RunKey, Side
from sigc.store.ledger.waiting import waiting_of
from sigc.store.ledger.waiting_orders import WaitingOrders

OPEN = datetime(2024, 1, 3, 14, 30, tzinfo=UTC)
NOW, SECOND, HOUR = OPEN - timedelta(hours=1), timedelta(seconds=1), timedelta(hours=1)


def planned(tx: Transaction, *states: str | tuple[str, datetime], id: str = "one", opens: Any = OPEN) -> None:
    """A run with orders in these states, each with the instant before which it does not leave, where it has one."""
    run = Run(id, RunKey(id, "main", "2024-01-03"), "2024-01-02", 0, NOW, "ann")
    runs.open_run(tx, run, {})
    if opens is not None:
        tx.audit(AuditEvent("run.decided", {"opens": opens.isoformat()}, id))
    told = [one if isinstance(one, tuple) else (one, None) for one in states]
    orders.plan(
        tx,
        [
            Intent(f"{id}-{place}", id, run.key, place, f"A{place}", Side.BUY, Decimal(1), Decimal(9), not_before=due)
            for place, (_, due) in enumerate(told)
        ],
    )
    for place, (state, _) in enumerate(told):
        tx.connection.execute("UPDATE intents SET state = ? WHERE client_order_id = ?", (state, f"{id}-{place}"))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([("planned", OPEN), ("planned", OPEN)], WaitingOrders(2, 0, OPEN)),
        (["acknowledged", "acknowledged", "acknowledged"], WaitingOrders(0, 3, OPEN)),
        (["acknowledged", ("planned", OPEN + HOUR)], WaitingOrders(1, 1, OPEN + HOUR)),
        ([("planned", OPEN + 2 * HOUR), ("planned", OPEN + HOUR)], WaitingOrders(2, 0, OPEN + HOUR)),
        ([("acknowledged", OPEN - HOUR), ("planned", OPEN)], WaitingOrders(1, 1, OPEN)),  # what has left has no time
        ([("planned", OPEN), "denied", "cancelled", "rejected", "expired"], WaitingOrders(1, 0, OPEN)),
        ([("planned", OPEN - SECOND), ("planned", OPEN)], None),  # a slice leaves before the open
        ([("planned", OPEN), "planned"], None),  # one is about to be sent
        (["planned"], None),
        *(([("planned", OPEN), "acknowledged", state], None) for state in ("sending", "unknown", "filled")),
        ([("planned", OPEN), "partially_filled"], None),
        (["denied", "cancelled"], None),
        ([], None),
    ],
)
def test_which_orders_wait_for_the_open(tmp_path: Path, states: list[Any], expected: WaitingOrders | None) -> None:
    with Ledger.open(tmp_path, HandClock(NOW), durable=False) as ledger, ledger.transaction("plan") as tx:
        planned(tx, *states)
        planned(tx, "filled", id="other")
        found = waiting_of(tx.connection, ["one", "one", "other", "unknown"], NOW)
        assert found == ({} if expected is None else {"one": expected})


def test_a_run_waits_until_the_open_and_not_where_part_of_an_order_is_filled(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, HandClock(NOW), durable=False) as ledger, ledger.transaction("plan") as tx:
        planned(tx, "acknowledged")
        planned(tx, "acknowledged", id="old", opens=None)  # of an older sigc: nobody knows its open
        for now, waits in ((OPEN - SECOND, True), (OPEN, False), (OPEN + SECOND, False)):
            assert set(waiting_of(tx.connection, ["one", "old"], now)) == ({"one"} if waits else set())
        # Cancelled after a quarter of a share: something of the run has traded.
        tx.connection.execute("UPDATE intents SET filled = '0.25' WHERE run = 'one'")
        assert waiting_of(tx.connection, ["one"], NOW) == {}


def _transaction(ledger: Ledger) -> None:
    with ledger.transaction("plan"):
        pass


def _reading(ledger: Ledger) -> None:
    with ledger.reading():
        pass


@pytest.mark.parametrize("reach", [_transaction, _reading, lambda ledger: ledger.reader().close()])
def test_behind_a_closed_fence_nothing_of_the_ledger_is_reached(
    tmp_path: Path, reach: Callable[[Ledger], None]
) -> None:
    with Ledger.open(tmp_path, HandClock(NOW), durable=False) as ledger:
        fence, other = Fence(), Fence()
        fenced, free = FencedLedger(ledger, fence), FencedLedger(ledger, other)
        assert (fenced.path, fenced.id, fenced.clock.now()) == (ledger.path, ledger.id, NOW)
        reach(fenced)
        fence.close(ledger)
        fence.close(ledger)
        with pytest.raises(GivenUpError):
            reach(fenced)
        for still in (free, ledger):  # another thread, and the ledger itself
            reach(still)
        free.close()
        reach(ledger)


def test_what_a_thread_writes_as_it_is_given_up_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, HandClock(NOW), durable=False) as ledger:
        fence = Fence()
        fenced = FencedLedger(ledger, fence)
        with fenced.transaction("plan") as tx:
            planned(tx, "planned")
        fence.close(ledger)
        with pytest.raises(GivenUpError), fenced.transaction("plan") as tx:
            planned(tx, "planned", id="two")
        with ledger.reading() as connection:
            assert connection.execute("SELECT run FROM intents").fetchall() == [("one",)]
