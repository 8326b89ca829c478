"""An account and a ledger side by side, written by hand: nothing trades, so each test says what both of them know.

    desk = Desk(folder, KEY, OTHER)     the ledger: two books of 1,000,000, fills and lists of actions
    Quiet(desk.clock)                   a broker that trades, and notes how it is asked
    Stage(desk.clock)                   a simulation, whose cash is compared too

`NOW` is noon of the third session, a Wednesday.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sigc.clock import HandClock
from sigc.store.ledger import orders, runs
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.records import BookKey, Intent, IntentState, Outcome, Run, RunKey, Side
from sigc_pipelines.brokers.protocol import Activities, BrokerOrder, Capabilities, OrderStatus, UnreachableError
from sigc_pipelines.live.order_answers import request_of
from tests.reconcile.street import Street
from tests.store.actions_desk import KEY, Desk

NOW = datetime(2016, 1, 6, 12, tzinfo=UTC)


class Quiet(Street):
    """A broker that trades. looks: seconds after `NOW` at which it was asked what it holds; asked_since: for orders.

    answers_at: it is silent before; takes_s: to say what it holds; cancels_after: seconds from a cancel until the order is cancelled.
    """

    def __init__(self, clock: HandClock, cash: int = 0, **held: int) -> None:
        super().__init__(cash)
        self.hand_clock = self.clock = clock
        self.held = {asset: Decimal(quantity) for asset, quantity in held.items()}
        self.looks: list[float] = []
        self.asked_since: list[datetime] = []
        self.answers_at: datetime | None = None
        self.takes_s = 0.0
        self.cancels_after: dict[str, float] = {}
        self.cancelled_at: dict[str, datetime] = {}

    def positions(self) -> dict[str, Decimal]:
        self.looks.append((self.now() - NOW).total_seconds())
        self.hand_clock.sleep(self.takes_s)
        if self.answers_at is not None and self.now() < self.answers_at:
            raise UnreachableError("no answer")
        return super().positions()

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        self.asked_since.append(since)
        return super().orders(since)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        ends = self.cancelled_at.get(client_order_id)
        if ends is not None and self.now() >= ends:
            self.book[client_order_id] = replace(self.book[client_order_id], status=OrderStatus.CANCELLED)
        return super().order(client_order_id)

    def cancel(self, client_order_id: str) -> None:
        wait = self.cancels_after.get(client_order_id)
        if wait is None:
            super().cancel(client_order_id)
        else:
            self.cancelled_at[client_order_id] = self.now() + timedelta(seconds=wait)

    def activities(self, cursor: str) -> Activities:
        """All fills each time."""
        return Activities(tuple(self.fills), (), cursor)


class Stage(Quiet):
    """A simulation."""

    def capabilities(self) -> Capabilities:
        return Capabilities("stage", is_live=False, simulated=True)

    def mark(
        self, session: str, at: datetime, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]
    ) -> None:
        raise NotImplementedError

    def act(self, session: str, at: datetime, dues: Sequence[DueAction]) -> None:
        raise NotImplementedError

    def announce(self, dues: Sequence[DueAction]) -> None:
        raise NotImplementedError

    def deposit(self, id: str, amount: Decimal) -> None:
        raise NotImplementedError

    def write_off(self, id: str, asset: str, change: Decimal) -> None:
        raise NotImplementedError


def ordered(
    desk: Desk, id: str, quantity: int = 10, *, sent: datetime = NOW, filled: int = 0, key: BookKey = KEY
) -> Intent:
    """A purchase of A that the broker has acknowledged, and of which the ledger knows so much filled."""
    run = Run(f"run {id}", RunKey(key.strategy, key.portfolio, "2016-01-06", slot=id), "", 0, NOW, "ann")
    intent = Intent(id, run.id, run.key, 0, "A", Side.BUY, Decimal(quantity), Decimal(10))
    with desk.ledger.transaction("intents") as tx:
        runs.open_run(tx, run, {})
        runs.close_run(tx, run, NOW, Outcome.DONE, "")
        orders.plan(tx, [intent])
        orders.sending(tx, intent, sent)
        orders.acknowledged(tx, intent, f"b-{id}")
        if filled:
            orders.filled(tx, intent, Decimal(filled))
        found = orders.get(tx.connection, id)
    assert found is not None
    assert found.state is (IntentState.PARTIALLY_FILLED if filled else IntentState.ACKNOWLEDGED)
    return found


def at_broker(street: Street, intent: Intent, filled: int, status: OrderStatus = OrderStatus.NEW) -> None:
    """The broker has that order, filled so far."""
    street.book[intent.client_order_id] = BrokerOrder(
        request_of(intent), f"b-{intent.client_order_id}", status, Decimal(filled), intent.sent_at
    )
