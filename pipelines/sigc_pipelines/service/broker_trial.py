"""A trial of the way to the broker: one lot is bought and sold again, through the ledger, in the book `check`.

    refused   at a simulation; while halted or paused; while the market is closed; in an account that is in use
    bought    one lot, at most at the limit; what is not filled in time is cancelled
    sold      by the orders that close a book: the next trial, or `sigc book close check`, ends one that died

Every order is written down before it is sent, as those of a run are. The caller holds the lock of the work dir.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_UP, Decimal

import numpy as np

from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import book_moves, books, orders, price_marks, runs
from sigc.store.ledger.book_moves import BookMover, CashMoved
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import (
    ZERO,
    BookKey,
    Intent,
    OrderType,
    Run,
    RunKey,
    RunKind,
    Side,
    TimeInForce,
)
from sigc.words import local_time
from sigc_pipelines.brokers.pooled import PooledBroker
from sigc_pipelines.brokers.protocol import Healthy, UnreachableError, simulation
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.finish import finish_and_close
from sigc_pipelines.live.judging import BY_BOUNDS, bounds_record
from sigc_pipelines.live.open_run import stop_in_force
from sigc_pipelines.live.roll_forward import refuse_foreign
from sigc_pipelines.live.session import Moment, moment
from sigc_pipelines.live.sizing import Order, client_order_id, lot_of
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.live.tripping import refusal
from sigc_pipelines.records.artifacts import write_weights
from sigc_pipelines.stopping.cancel_open import cancel_open, open_orders
from sigc_pipelines.stopping.closing_out import close_out, closing_limits
from sigc_pipelines.stopping.live_start import halt_before_live

BOOK = BookKey("check", "main")
_FILLED_WITHIN_S = 30.0
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class TrialOrder:
    """An order of a trial as it ended. price: mean of its fills, None without one."""

    side: str
    asset: str
    quantity: Decimal
    state: str
    message: str
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class BrokerTrial:
    """The orders of a trial, what the book `check` holds after it, and its cost in money (its gain, if negative)."""

    orders: tuple[TrialOrder, ...]
    left: dict[str, Decimal]
    cost: Decimal

    @property
    def is_done(self) -> bool:
        """Return True if one lot was bought and sold, and nothing is left."""
        return {one.side for one in self.orders if one.state == "filled"} == {"buy", "sell"} and not self.left


def try_orders(trading: Trading, asset: str, limit: Decimal, who: str, reason: str) -> BrokerTrial:
    """Buy one lot of an asset, at most at `limit`, and sell it again at the market.

    A position that an earlier trial left is sold first. Raise SigcError with nothing sent: E402 at a simulation, E802
    while it is halted or paused, E806 while the market is closed, E602 in an account in use, E601 without an answer.
    """
    execution = trading.config.execution.model_copy(update={"fill_wait_s": _FILLED_WITHIN_S})
    trading = replace(trading, config=trading.config.model_copy(update={"execution": execution}))
    at = moment(trading.calendar, trading.clock.now(), execution.cut_off)
    try:
        _refuse(trading, at)
        settle(trading.ledger, trading.broker)
        sent = [*_closed(trading, at, who, reason)]
        sent += _bought(trading, at, asset, limit, who, reason)
        sent += _closed(trading, at, who, reason)
    except UnreachableError as silent:
        hint = "run it again: it begins by selling what is left"
        raise SigcError(Diagnostic("E601", str(silent), hint=hint)) from silent
    ids = [one.client_order_id for one in sent]
    with trading.ledger.reading() as connection:
        now = [one for one in (orders.get(connection, id) for id in ids) if one is not None]
        fills = [fill for id in dict.fromkeys(i.run for i in now) for fill in books.fills_of(connection, id)]
        left = books.quantities(connection, BOOK)
    told = []
    for one in now:
        own = [fill for fill in fills if fill.client_order_id == one.client_order_id]
        paid, size = sum((f.price * f.quantity for f in own), ZERO), sum((f.quantity for f in own), ZERO)
        price = paid / size if size else None
        told.append(TrialOrder(str(one.side), one.asset, one.quantity, str(one.state), one.message, price))
    return BrokerTrial(tuple(told), left, -sum((fill.cash for fill in fills), ZERO))


def rows_of(trial: BrokerTrial) -> Iterator[tuple[str, str]]:
    """Yield a trial as names and texts, for people."""
    for one in trial.orders:
        price = "" if one.price is None else f" at {one.price.normalize():f}"
        yield one.side, f"{one.quantity} {one.asset}: {one.state}{price}" + (f", {one.message}" if one.message else "")
    yield "cost", f"{trial.cost:f}, charges that the broker books later not counted"
    for asset, quantity in trial.left.items():
        yield "LEFT", f"{quantity} {asset} in the book check: run it again, or `sigc book close check --reason '...'`"


def plain_of(trial: BrokerTrial) -> dict[str, object]:
    """Return a trial as plain data; money and quantities are text."""
    told = [
        {
            "side": one.side,
            "asset": one.asset,
            "quantity": str(one.quantity),
            "state": one.state,
            "message": one.message,
            "price": None if one.price is None else f"{one.price:f}",
        }
        for one in trial.orders
    ]
    left = {asset: str(quantity) for asset, quantity in trial.left.items()}
    return {"orders": told, "left": left, "cost": f"{trial.cost:f}", "is_done": trial.is_done}


def _refuse(trading: Trading, at: Moment) -> None:
    broker, now = trading.broker, trading.clock.now()
    if simulation(broker) is not None:
        message = (
            f"'{broker.capabilities().name}' is a simulation, which fills orders from data: there is no way to try"
        )
        raise SigcError(Diagnostic("E402", message, hint="set broker.type to the broker that is to be tried"))
    halt_before_live(trading.ledger, broker)
    with trading.ledger.reading() as connection:
        stop = stop_in_force(connection, trading.ledger, BOOK.strategy)
        stop = stop or refusal(connection, trading, BOOK.strategy)
    if stop is not None:
        raise SigcError(stop)
    health = broker.health() if isinstance(broker, PooledBroker | Healthy) else None
    is_open = at.session.open <= now < at.cut_off if health is None else health.is_open
    if not is_open:
        opens = at.session.open if health is None else health.next_open
        message = f"the market is closed until {local_time(opens, trading.ledger.zone)}: nothing would be filled"
        raise SigcError(Diagnostic("E806", message, hint="try it while the market is open"))
    refuse_foreign(trading)


def _closed(trading: Trading, at: Moment, who: str, reason: str) -> tuple[Intent, ...]:
    """Sell what the book holds. Return the orders."""
    found = close_out(trading, BOOK, at, trading.broker.positions(), who, reason).orders
    _take_back(trading, who, reason)
    return found


def _take_back(trading: Trading, who: str, reason: str) -> None:
    """Cancel what was not filled in time."""
    flying = open_orders(trading.ledger, BOOK.strategy)
    if flying:
        cancel_open(trading, flying, BOOK.strategy, who, reason)


def _bought(trading: Trading, at: Moment, asset: str, limit: Decimal, who: str, reason: str) -> tuple[Intent, ...]:
    """Buy one lot. Return the order."""
    run = _written(trading, at, asset, limit, who, reason)
    ended = finish_and_close(trading, run, f"a trial of the broker by {who}")
    _take_back(trading, who, reason)
    return ended


def _written(trading: Trading, at: Moment, asset: str, limit: Decimal, who: str, reason: str) -> Run:
    """Write the run and its order down, in one transaction."""
    settings, can, now = trading.config, trading.broker.capabilities(), trading.clock.now()
    order = Order(asset, Side.BUY, lot_of(settings.execution, can.quantity_step), limit)
    money = order.value.quantize(_CENT, ROUND_UP)
    limits = closing_limits(settings.safety).model_copy(update={"account": settings.safety.account})
    key = RunKey(BOOK.strategy, BOOK.portfolio, str(at.session.day), RunKind.TRADE)
    with trading.ledger.transaction("intents") as tx:
        book = books.open_book(tx, BOOK, money, now, str(at.as_of.day))
        if book.cash < money:
            by = BookMover(who, reason, str(at.as_of.day), at.as_of.close, _after(trading))
            book_moves.move(tx, by, CashMoved(BOOK, (money - book.cash).quantize(_CENT, ROUND_UP)))
        latest = runs.latest_revision(tx.connection, key)
        run = Run(
            id=f"{BOOK.strategy}-{secrets.token_hex(4)}",
            key=key,
            as_of=str(at.as_of.day),
            revision=0 if latest is None else latest + 1,
            started=now,
            who=who,
            reason=reason,
            broker=can.name,
            cut_off=at.cut_off,
        )
        intent = Intent(
            client_order_id=client_order_id(trading.ledger.id, run, order),
            run=run.id,
            key=key,
            place=0,
            asset=asset,
            side=Side.BUY,
            quantity=order.quantity,
            reference=limit,
            order_type=OrderType.LIMIT,
            limit=limit,
            time_in_force=TimeInForce.DAY,
        )
        runs.open_run(tx, run, limits.model_dump(mode="json"))
        price_marks.put_marks(tx, run.id, {asset: Mark(limit)})
        runs.mark_decided(tx, run)
        orders.plan(tx, (intent,))
        said: dict[str, object] = {"by": who, "reason": reason, "orders": 1, "wanted": 1, "gross": 1.0, "net": 1.0}
        tx.audit(runs.event("run.decided", run, said | bounds_record({}, BY_BOUNDS)))
    one, none = np.ones(1), np.zeros(1)
    write_weights(trading.ledger.directory, run.id, (asset,), one, one, none)
    return run


def _after(trading: Trading) -> Callable[[str], str]:
    return lambda day: str(trading.calendar.after(date.fromisoformat(day)).day)
