"""Whole runs at Alpaca's twin: what is wanted is bought, sold, turned round; ledger and broker agree to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.store.ledger.records import IntentState, Outcome, Side
from sigc_pipelines.brokers.faulty import Fault
from sigc_pipelines.reconcile.differences import differences, settled_differences
from tests.trading.script import D1, D2, D3, before_cut_off, free, written
from tests.trading.twin_floor import Street, street

D = Decimal
S = IntentState
BEGIN = datetime(2016, 1, 1, tzinfo=UTC)


@pytest.fixture
def alpaca() -> Iterator[Street]:
    """Market orders are filled two seconds after they came."""
    with street(BEGIN, dict.fromkeys("ABC", D(100)), fills_after_s=2.0, is_open=True) as made:
        yield made


def test_it_buys_and_sells_and_turns_round(alpaca: Street, tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": [0.1, 0.0, 0.0], "B": [0.1, -0.06, -0.06], "C": [-0.05, 0.05, 0.05]})
    with alpaca.open(floor, D1) as desk:
        ended = desk.run("one")
        assert ended.run.outcome is Outcome.DONE, ended.run.message
        assert desk.held() == {"A": D(1000), "B": D(1000), "C": D(-500)} == desk.broker.positions()
    with alpaca.open(floor, D2) as desk:
        ended = desk.run("two")
        assert ended.run.outcome is Outcome.DONE, ended.run.message
        found = [(i.asset, i.side, i.quantity, i.slice) for i in desk.orders("two")]
        assert found == [
            ("A", Side.SELL, D(1000), 0),
            ("B", Side.SELL, D(1000), 1),
            ("B", Side.SELL, D(600), 2),
            ("C", Side.BUY, D(500), 1),
            ("C", Side.BUY, D(500), 2),
        ]
        parents = {i.asset: i.parent for i in desk.orders("two")}
        assert parents["A"] == ""
        assert parents["B"] != parents["C"]
        assert len({i.client_order_id for i in desk.orders("two")} | set(parents.values())) == 5 + 3
        assert desk.held() == {"B": D(-600), "C": D(500)} == desk.broker.positions()
        assert desk.broker.account().cash == 1_000_000 + D(60_000) - D(50_000)
    with alpaca.open(floor, D3) as desk:
        assert settled_differences(desk.trading.ledger, desk.broker, desk.trading.clock, 10.0) == ()
        assert desk.run("three").run.outcome is Outcome.UNCHANGED
    refused = [o for o in alpaca.account.orders.values() if o.status != "filled"]
    assert refused == [], "the twin took every order that it was sent"
    assert alpaca.server.seen.count(("POST", "/v2/orders")) == 8


def test_the_second_part_waits_for_the_first_and_ends_with_the_day(alpaca: Street, tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": [0.1, -0.05]})
    with alpaca.open(floor, D1) as desk:
        desk.run("one")
    alpaca.account.fills_after_s = None  # nothing is filled any more
    with alpaca.open(floor, D2, before_cut_off(floor, D2, 600.0)) as desk:
        ended = desk.run("two")
        first, second = desk.orders("two")
        assert (first.state, second.state) == (S.ACKNOWLEDGED, S.EXPIRED)
        assert "cut-off" in second.message
        assert ended.run.outcome is Outcome.PARTIAL
        assert differences(desk.trading.ledger, desk.broker) == ()
    assert len(alpaca.account.orders) == 2, "the second part was never sent"


def test_buys_wait_for_sales_where_cash_binds(tmp_path: Path) -> None:
    """1.9 times a million is held in A, and as much is wanted of B: there is no power for both."""
    leverage = {"max_gross": 3.0, "max_position": 3.0, "max_turnover": 10.0, "max_net": 3.0, "max_change": 10.0}
    leverage |= {"min_cash": -3.0, "min_cash_in_flight": -3.0, "max_gross_in_flight": 6.0, "max_net_in_flight": 6.0}
    config = free(safety=leverage | {"max_order_value": 1e9})
    floor = written(tmp_path, {"A": [1.9, 0.0], "B": [0.0, 1.9]}, config=config)
    with street(BEGIN, dict.fromkeys("AB", D(100)), fills_after_s=2.0, is_open=True) as alpaca:
        with alpaca.open(floor, D1) as desk:
            assert desk.run("one").run.outcome is Outcome.DONE
            assert desk.broker.account().buying_power == 100_000
        alpaca.account.fills_after_s = 600.0
        with alpaca.open(floor, D2) as desk:
            ended = desk.run("two")
            assert ended.run.outcome is Outcome.DONE, ended.run.message
            sold, bought = desk.orders("two")
            assert sold.sent_at is not None
            assert bought.sent_at is not None
            assert (bought.sent_at - sold.sent_at).total_seconds() >= 600
        assert alpaca.server.seen.count(("POST", "/v2/orders")) == 3, "no order was refused for want of cash"


def test_short_positions_are_of_whole_shares(alpaca: Street, tmp_path: Path) -> None:
    """A third of ten thousand at 100 is 33.33 shares long, 33 short; from the one to the other both orders are exact."""
    config = free(execution={"capital": 10_000.0})
    floor = written(tmp_path, {"A": [0.3333, -0.3333], "B": [-0.3333, 0.3333]}, config=config)
    with alpaca.open(floor, D1, quantity_step="0.01") as desk:
        assert desk.run("one").run.outcome is Outcome.DONE
        assert desk.broker.positions() == {"A": D("33.33"), "B": D(-33)}
    with alpaca.open(floor, D2, quantity_step="0.01") as desk:
        ended = desk.run("two")
        assert ended.run.outcome is Outcome.DONE, ended.run.message
        assert desk.broker.positions() == {"A": D(-33), "B": D("33.33")} == desk.held()


def test_the_second_part_does_not_overtake_the_first_that_is_sent_again(alpaca: Street, tmp_path: Path) -> None:
    """The first part, of 1,000, is lost on the way; the second, of 500, would fit into what is held."""
    floor = written(tmp_path, {"A": [0.1, -0.05]})
    with alpaca.open(floor, D1) as desk:
        desk.run("one")
    alpaca.server.planned.append(Fault.LOST)
    with alpaca.open(floor, D2) as desk:
        ended = desk.run("two")
        assert ended.run.outcome is Outcome.DONE, ended.run.message
        first, second = desk.orders("two")
        assert (first.attempts, second.attempts) == (2, 1)
        assert desk.broker.positions() == {"A": D(-500)}
    assert [o.qty for o in alpaca.account.orders.values()] == [1000, 1000, 500]


class Hasty(HandClock):
    """A clock that goes on by a fifth of a second whenever it is read, as on a busy machine."""

    def now(self) -> datetime:
        self.sleep(0.2)
        return super().now()


def test_an_order_that_is_held_does_not_slip_out_when_its_next_look_is_due(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": [0.1, -0.12], "B": [-0.1, 0.12]})
    with street(BEGIN, dict.fromkeys("AB", D(100)), fills_after_s=1.0, is_open=True) as alpaca:
        alpaca.clock = Hasty(BEGIN)
        alpaca.account.now = alpaca.clock.now
        with alpaca.open(floor, D1) as desk:
            assert desk.run("one").run.outcome is Outcome.DONE
        alpaca.account.fills_after_s = 60.0
        with alpaca.open(floor, D2) as desk:
            ended = desk.run("two")
            assert ended.run.outcome is Outcome.DONE, ended.run.message
            assert desk.broker.positions() == {"A": D(-1200), "B": D(1200)}
        assert alpaca.server.seen.count(("POST", "/v2/orders")) == 6, "nothing was refused"
