"""A broker behind a pool: so many requests at once, of all threads; who waits too long has sent nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from sigc.actions import Action, ActionKind
from sigc.clock import HandClock
from sigc.config.daemon_settings import ConnectionSettings
from sigc.config.settings import BrokerSettings, PaperSettings
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.records import Side
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.pooled import PooledBroker
from sigc_pipelines.brokers.protocol import NotSentError, OrderRequest, OrderStatus, UnreachableError, simulation
from sigc_pipelines.brokers.registry import close_broker, open_broker

CLOCK = HandClock(datetime(2024, 1, 2, 15, tzinfo=UTC))
ORDER = OrderRequest("sigc-1", "A", Side.BUY, Decimal(1))


class Slow(PaperBroker):
    """Answers when it is let."""

    go = threading.Event()
    going = 0
    peak = 0
    turn = threading.Condition()

    def positions(self) -> dict[str, Decimal]:
        with self.turn:
            self.going += 1
            self.peak = max(self.peak, self.going)
            self.turn.notify_all()
        self.go.wait()
        with self.turn:
            self.going -= 1
        return super().positions()


def test_no_more_than_the_pool_and_the_rest_has_sent_nothing(tmp_path: Path) -> None:
    slow = Slow(tmp_path / "book", PaperSettings(), CLOCK, durable=False)
    pooled = PooledBroker(slow, 2, 0.1)
    patient = PooledBroker(slow, 2, 60.0)
    threads = [threading.Thread(target=pooled.positions) for _ in range(2)]
    for thread in threads:
        thread.start()
    with slow.turn:
        assert slow.turn.wait_for(lambda: slow.going == 2, 30)
    with pytest.raises(UnreachableError, match="2 requests to the broker were under way"):
        pooled.account()
    with pytest.raises(NotSentError):
        pooled.submit(ORDER)
    slow.go.set()
    for thread in threads:
        thread.join()
    assert pooled.order(ORDER.client_order_id) is None
    crowd = [threading.Thread(target=patient.positions) for _ in range(8)]
    slow.peak = 0
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert slow.peak <= 2
    pooled.close()


def test_behind_a_pool_a_broker_is_as_it_is(tmp_path: Path) -> None:
    """Whatever it is asked or told goes to it, and its answer comes back."""
    clock = HandClock(datetime(2024, 1, 2, 15, tzinfo=UTC))
    inner = PaperBroker(tmp_path / "book", PaperSettings(), clock, durable=False)
    pooled = PooledBroker(inner, 1, 5.0)
    assert pooled.capabilities() == inner.capabilities()
    pooled.deposit("start", Decimal(1_000))
    pooled.mark("2024-01-02", clock.now(), {"A": Decimal(50)}, {})
    assert pooled.account() == inner.account()
    assert pooled.account().cash == 1_000
    assert pooled.submit(ORDER) == pooled.order("sigc-1") == inner.order("sigc-1")
    gone = pooled.submit(replace(ORDER, client_order_id="sigc-2"))
    pooled.cancel("sigc-2")
    since = datetime(2000, 1, 1, tzinfo=UTC)
    assert [o.status for o in pooled.orders(since)] == [OrderStatus.NEW, OrderStatus.CANCELLED]
    assert gone.request.client_order_id == "sigc-2"
    session = clock.now() + timedelta(days=1)
    split = Action(date(2024, 1, 3), "A", ActionKind.SPLIT, Fraction(2))
    due = DueAction(split, "2024-01-03", clock.now(), "2024-01-03")
    power = inner.account().buying_power
    pooled.announce([due])
    assert inner.account().buying_power == power + 25  # an order of one share is in its units
    pooled.mark("2024-01-03", session, {"A": Decimal(25)}, {})
    assert pooled.positions() == inner.positions() == {"A": 1}
    later = DueAction(replace(split, ex_date=date(2024, 1, 4)), "2024-01-04", session, "2024-01-04")
    pooled.act("2024-01-04", session + timedelta(days=1), [later])
    assert pooled.positions() == {"A": 2}
    assert len(pooled.activities("").fills) == 1
    assert pooled.activities("") == inner.activities("")
    pooled.close()
    with pytest.raises(UnreachableError, match="closed"):
        pooled.account()


def test_a_broker_that_is_no_simulation_is_told_no_market(tmp_path: Path) -> None:
    """It may have nothing to close."""

    class Live:
        account = PaperBroker.account

    pooled = PooledBroker(Live(), 1, 5.0)  # type: ignore[arg-type]
    calls: tuple[Callable[[], None], ...] = (
        lambda: pooled.mark("2024-01-02", CLOCK.now(), {}, {}),
        lambda: pooled.act("2024-01-02", CLOCK.now(), ()),
        lambda: pooled.announce(()),
        lambda: pooled.deposit("start", Decimal(1)),
    )
    for told in calls:
        with pytest.raises(TypeError, match="Live is not a simulation"):
            told()
    pooled.close()
    close_broker(Live())  # type: ignore[arg-type]


def test_every_broker_is_opened_behind_the_pool_of_the_settings(tmp_path: Path) -> None:
    ways = ConnectionSettings(broker_pool_size=3, timeout_seconds=7)
    broker = open_broker(BrokerSettings(), tmp_path, CLOCK, durable=False, connections=ways)
    assert isinstance(broker, PooledBroker)
    assert simulation(broker) is broker
    assert (broker._most, broker._timeout_s) == (3, 7)
    close_broker(broker)
    with pytest.raises(UnreachableError, match="closed"):
        broker.account()
    own = open_broker(BrokerSettings(timeout_s=2), tmp_path, CLOCK, durable=False, connections=ways)
    assert isinstance(own, PooledBroker)
    assert own._timeout_s == 2
    close_broker(own)
