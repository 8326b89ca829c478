"""A broker behind a pool: so many requests at once, of all threads; who waits too long has sent nothing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.config import BrokerSettings, PaperSettings
from sigc.config_daemon import ConnectionSettings
from sigc.store.records import Side
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.pooled import PooledBroker
from sigc_pipelines.brokers.protocol import NotSentError, OrderRequest, UnreachableError, simulation
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


def test_every_broker_is_opened_behind_the_pool_of_the_settings(tmp_path: Path) -> None:
    ways = ConnectionSettings(broker_pool_size=3, timeout_seconds=7)
    broker = open_broker(BrokerSettings(), tmp_path, CLOCK, durable=False, connections=ways)
    assert isinstance(broker, PooledBroker)
    assert simulation(broker) is broker
    assert (broker._most, broker._timeout_s) == (3, 7)
    close_broker(broker)
    own = open_broker(BrokerSettings(timeout_s=2), tmp_path, CLOCK, durable=False, connections=ways)
    assert isinstance(own, PooledBroker)
    assert own._timeout_s == 2
    close_broker(own)
