"""The faulty broker: the same faults each time, over restarts too, in the shares that were asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.store.ledger.records import Side
from sigc_pipelines.brokers.faulty import OF_SUBMIT, Fault, Faults, FaultyBroker
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import (
    BrokerError,
    NotSentError,
    OrderRequest,
    OutcomeUnknownError,
    ThrottledError,
    UnreachableError,
    simulation,
)

START = datetime(2024, 1, 5, 15, tzinfo=UTC)
BAD = Faults(unknown=0.2, lost=0.1, late=0.1, throttled=0.1, refused=0.1, unreachable=0.3)


class Wire:
    """A funded paper broker, and faulty brokers in front of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = HandClock(START)
        self.paper = PaperBroker(directory / "paper.sqlite", PaperSettings(), self.clock, durable=False)
        self.paper.deposit("start", Decimal(1_000_000))
        self.close(-1)
        self.fronts: list[FaultyBroker] = []

    def close(self, day: int) -> None:
        at = (START + timedelta(days=day)).replace(hour=21)
        self.clock.turn(at)
        self.paper.mark(at.date().isoformat(), at, {"A": Decimal(10)}, {})

    def front(self, faults: Faults, seed: int = 0, memory: str | None = None) -> FaultyBroker:
        path = None if memory is None else self.directory / memory
        front = FaultyBroker(self.paper, faults, self.clock, seed=seed, memory=path)
        self.fronts.append(front)
        return front


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    wire = Wire(tmp_path)
    yield wire
    for front in wire.fronts:
        front.close()
    wire.paper.close()


def order(number: int) -> OrderRequest:
    return OrderRequest(f"order-{number}", "A", Side.BUY, Decimal(1))


def outcome(front: FaultyBroker, request: OrderRequest) -> str:
    """How a submit and a read after it went, and whether the order is in the book."""
    said = "answered"
    try:
        front.submit(request)
    except BrokerError as error:
        said = f"{type(error).__name__}: {error}"
    read = "read"
    try:
        front.order(request.client_order_id)
    except UnreachableError:
        read = "not read"
    taken = front.inner.order(request.client_order_id) is not None
    return f"{said}, {read}, {'taken' if taken else 'not taken'}"


def test_a_seed_fails_the_same_way(tmp_path: Path) -> None:
    told = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        (tmp_path / name).mkdir()
        wire = Wire(tmp_path / name)
        front = wire.front(BAD, seed)
        told.append([outcome(front, order(number % 40)) for number in range(80)])
        wire.paper.close()
    assert told[0] == told[1] != told[2]


def test_restarts_change_no_fault(tmp_path: Path) -> None:
    told = []
    for name, every in (("whole", 1000), ("restarted", 3)):
        (tmp_path / name).mkdir()
        wire = Wire(tmp_path / name)
        front = wire.front(BAD, memory="memory.jsonl")
        said = []
        for number in range(60):
            if number % every == 0:
                front.close()
                front = wire.front(BAD, memory="memory.jsonl")
            said.append(outcome(front, order(number % 20)))
        told.append(said)
        front.close()
        wire.paper.close()
    assert told[0] == told[1]


def test_faults_come_as_often_as_asked(wire: Wire) -> None:
    front = wire.front(BAD)
    counts = Counter(BAD.of_submit((number + 0.5) / 1000) for number in range(1000))
    assert [counts[fault] for fault in (*OF_SUBMIT, None)] == [200, 100, 100, 100, 100, 0, 400]
    kinds = Counter(outcome(front, order(number)).split(":")[0].split(",")[0] for number in range(400))
    assert 110 <= kinds["OutcomeUnknownError"] <= 210  # 160, and more than three deviations
    assert 20 <= kinds["ThrottledError"] <= 60
    assert 20 <= kinds["NotSentError"] <= 60
    assert 110 <= kinds["answered"] <= 210


def test_each_fault_does_what_it_says(wire: Wire) -> None:
    front = wire.front(Faults(late_s=5.0, retry_after_s=0.25))
    for number, (fault, error, is_taken) in enumerate(
        (
            (Fault.UNKNOWN, OutcomeUnknownError, True),
            (Fault.LOST, OutcomeUnknownError, False),
            (Fault.LATE, OutcomeUnknownError, False),
            (Fault.THROTTLED, ThrottledError, False),
            (Fault.REFUSED, NotSentError, False),
        )
    ):
        front.fail_next(fault)
        with pytest.raises(error) as told:
            front.submit(order(number))
        assert (wire.paper.order(f"order-{number}") is not None) == is_taken
        if isinstance(told.value, NotSentError):
            assert told.value.retry_after_s == 0.25


def test_a_late_order_arrives_even_after_a_kill(wire: Wire) -> None:
    front = wire.front(Faults(late_s=5.0), memory="memory.jsonl")
    late = replace(order(1), quantity=Decimal("7"))
    front.fail_next(Fault.LATE)
    with pytest.raises(OutcomeUnknownError):
        front.submit(late)
    with (wire.directory / "memory.jsonl").open("ab") as file:
        file.write(b'{"attempt":"sub')  # the line a kill cut off
    front = wire.front(Faults(late_s=5.0), memory="memory.jsonl")
    wire.clock.sleep(4.9)
    assert front.order("order-1") is None
    wire.clock.sleep(0.2)
    found = front.order("order-1")
    assert found is not None
    assert found.request == late


def test_a_rejection_without_an_answer_is_one(wire: Wire) -> None:
    front = wire.front(Faults())
    front.fail_next(Fault.UNKNOWN)
    with pytest.raises(OutcomeUnknownError):
        front.submit(replace(order(1), quantity=Decimal("0.5")))
    assert wire.paper.order("order-1") is None


def test_lags_are_within_bounds_and_end(wire: Wire) -> None:
    front = wire.front(Faults(lag_s=2.0))
    for number in range(50):
        front.submit(order(number))
    seen = []
    for _ in range(9):
        seen.append({found.request.client_order_id for found in front.orders(START)})
        wire.clock.sleep(0.25)
    assert all(earlier <= later for earlier, later in pairwise(seen))
    assert len(seen[0]) < len(seen[4]) < len(seen[8]) == 50


def test_a_cursor_waits_for_what_is_late(wire: Wire) -> None:
    front = wire.front(Faults(lag_s=2.0))
    for number in range(20):
        front.submit(order(number))
    wire.close(0)
    first = front.activities("")
    assert len(first.fills) < 20
    assert first.cursor == ""
    wire.clock.sleep(2.0)
    assert len(front.activities(first.cursor).fills) == 20


def test_a_simulation_behind_a_wire_is_one(wire: Wire) -> None:
    front = wire.front(Faults(throttled=1.0, unreachable=1.0))
    market = simulation(front)
    assert market is front
    market.deposit("more", Decimal(5))
    market.mark("2024-01-08", START + timedelta(days=3), {"B": Decimal(3)}, {})
    assert wire.paper.account().cash == 1_000_005
