"""An order is looked up by two reads, and an answer is kept as what the broker says: on a ledger and a broker alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.store.ledger import orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Intent, IntentState, Run, RunKey, Side
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import BrokerOrder, OrderStatus
from sigc_pipelines.live.order_answers import look_up, record_answer, request_of
from sigc_pipelines.live.session import instant_of
from tests.trading.floor import weekdays
from tests.trading.script import D1, free

BEGUN = instant_of(weekdays(), D1)
RUN = Run("run", RunKey("one", "main", "2016-01-05"), D1, 0, BEGUN, "ann")
ORDER = Intent("o", "run", RUN.key, 0, "A", Side.BUY, Decimal(10), Decimal(100))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PaperBroker]:
    paper = PaperBroker(tmp_path / "paper.sqlite", free().broker.paper, HandClock(BEGUN), durable=False)
    paper.deposit("capital", Decimal(10_000))
    paper.mark(D1, BEGUN, {"A": Decimal(100)}, {"A": Decimal(10**6)})
    yield paper
    paper.close()


def kept(folder: Path, answer: BrokerOrder) -> tuple[IntentState, str, str, int]:
    """What the ledger has of an order that was sent, after that answer: and how many answers were of another order."""
    with Ledger.open(folder / "ledger", HandClock(BEGUN), durable=False) as ledger:
        with ledger.transaction("intents") as tx:
            runs.open_run(tx, RUN, {})
            orders.plan(tx, [ORDER])
            orders.sending(tx, ORDER, BEGUN)
            record_answer(tx, ORDER, answer)
        with ledger.reading() as connection:
            (one,) = orders.of_run(connection, "run")
            other = connection.execute("SELECT count(*) FROM audit WHERE event = 'order.mismatch'").fetchone()[0]
    return one.state, one.broker_order_id, one.message, int(other)


def test_an_order_that_its_id_finds_is_not_looked_for_in_a_list(
    broker: PaperBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = broker.submit(request_of(ORDER))
    monkeypatch.setattr(broker, "orders", lambda _since: ())
    assert look_up(broker, ORDER, BEGUN) == taken


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_list_from_before_it_was_sent_shows_what_its_id_does_not(
    broker: PaperBroker, monkeypatch: pytest.MonkeyPatch, *, is_sent: bool
) -> None:
    """It is not open any more, so that only a list that begins early has it: the broker's clock may be behind ours."""
    broker.submit(replace(request_of(ORDER), client_order_id="another"))
    broker.submit(request_of(ORDER))
    broker.cancel("o")
    monkeypatch.setattr(broker, "order", lambda _id: None)
    at = BEGUN + timedelta(minutes=50)
    found = look_up(broker, replace(ORDER, sent_at=at if is_sent else None), at)
    assert found is not None
    assert (found.request.client_order_id, found.status) == ("o", OrderStatus.CANCELLED)
    assert look_up(broker, replace(ORDER, client_order_id="never sent"), at) is None


def test_what_the_broker_has_is_acknowledged_whatever_its_limit(tmp_path: Path) -> None:
    request = request_of(ORDER)
    for n, limit in enumerate((None, Decimal(101))):
        answer = BrokerOrder(replace(request, limit=limit), "b-7", OrderStatus.NEW)
        assert kept(tmp_path / str(n), answer) == (IntentState.ACKNOWLEDGED, "b-7", "", 0)


def test_what_the_broker_refused_is_rejected_for_its_reason(tmp_path: Path) -> None:
    answer = BrokerOrder(request_of(ORDER), "b-7", OrderStatus.REJECTED, message="no shares to borrow")
    assert kept(tmp_path, answer) == (IntentState.REJECTED, "", "no shares to borrow", 0)


def test_another_order_under_its_id_is_told(tmp_path: Path) -> None:
    answer = BrokerOrder(replace(request_of(ORDER), quantity=Decimal(7)), "b-7", OrderStatus.NEW)
    assert kept(tmp_path, answer) == (IntentState.ACKNOWLEDGED, "b-7", "", 1)
