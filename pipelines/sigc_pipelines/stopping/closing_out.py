"""Closing out: orders that close the positions of halted books, through the ledger as every order is.

    quantity    the position less open sales of it, at most what the broker holds; never beyond zero, never a short
    slices      one parent an asset, in parts of at most `max_order_value` and `max_order_shares`
    max_adv_pct what is above it for one session is kept, and told: it is closed by the next call, in the next session

It reads the ledger alone: positions, and the prices and volumes of the book's last decisions. So it works when data do
not. A closing run is a trade of its own slot whose decision says `closes`: by this alone its orders pass a halt
(`passes_halt`) and are judged by `closing_limits`. A process that dies leaves it to recovery, which completes it.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal

import numpy as np

from sigc.config.settings import AccountSettings, SafetySettings
from sigc.store.ledger import action_rows, books, orders, price_marks, runs
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import (
    ZERO,
    BookKey,
    Intent,
    OrderType,
    Outcome,
    Run,
    RunKey,
    RunKind,
    Side,
    TimeInForce,
)
from sigc_pipelines.checks.case import exact
from sigc_pipelines.checks.exposure import Bound, Exposure, ExposureLine
from sigc_pipelines.live.finish import finish_and_close
from sigc_pipelines.live.judging import CLOSES, bounds_of, bounds_record, exposure
from sigc_pipelines.live.session import Moment
from sigc_pipelines.live.sizing import Order, client_order_id, limit_of, lot_of
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.records.artifacts import write_weights

SLOT = "flatten"
_KEPT = ("shown", "coverage")  # of the last decision: the next run compares its data with them
_CENT = Decimal("0.01")  # the reference of an order in an asset that never had a price
_MOST_TOLD = 5
_MOST_RUNS = 100  # runs of a book in which an asset's volume is looked for


@dataclass(frozen=True, slots=True)
class KeptQuantity:
    """A signed quantity that is not closed, and why."""

    asset: str
    quantity: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class ClosedBook:
    """The closing orders of a book, as they stand, and what they leave."""

    key: BookKey
    orders: tuple[Intent, ...]
    kept: tuple[KeptQuantity, ...]


def closing_limits(limits: SafetySettings) -> SafetySettings:
    """Return the limits of closing orders: those of one order bind; counts and exposures, which only fall, do not."""
    most = 1e12
    free = ("max_position", "max_change", "max_gross_in_flight", "max_net_in_flight", "max_turnover")
    update: dict[str, object] = dict.fromkeys(free, most)
    update |= {"min_cash": -most, "min_cash_in_flight": -most, "max_sector_in_flight": 0.0, "max_order_pct": 0.0}
    update |= {"max_orders_per_run": 10**9, "max_orders_per_session": 10**9, "allow_short": False}
    update |= {"account": AccountSettings()}
    return limits.model_copy(update=update)


def close_out(
    trading: Trading, key: BookKey, at: Moment, held: Mapping[str, Decimal], who: str, reason: str
) -> ClosedBook:
    """Close the positions of a book, and return once each order is at the broker or has ended.

    held: quantities that the broker has. Call it when no order of the book is open. Raises SigcError.
    """
    run, kept = _decided(trading, key, at, held, who, reason)
    if run is None:
        return ClosedBook(key, (), kept)
    return ClosedBook(key, finish_and_close(trading, run, f"positions are closed by {who}"), kept)


def _decided(
    trading: Trading, key: BookKey, at: Moment, theirs: Mapping[str, Decimal], who: str, reason: str
) -> tuple[Run | None, tuple[KeptQuantity, ...]]:
    """Write the closing run and its orders down, in one transaction; None if nothing can be closed."""
    now, session = trading.clock.now(), str(at.session.day)
    limits = closing_limits(trading.config.safety)
    with trading.ledger.transaction("intents") as tx:
        connection = tx.connection
        if not books.quantities(connection, key):
            return None, ()
        run_key = RunKey(key.strategy, key.portfolio, session, RunKind.TRADE, SLOT)
        latest = runs.latest_revision(connection, run_key)
        run = Run(
            id=f"{key.strategy}-{SLOT}-{secrets.token_hex(4)}",
            key=run_key,
            as_of=str(at.as_of.day),
            revision=0 if latest is None else latest + 1,
            started=now,
            who=who,
            reason=reason,
            broker=trading.broker.capabilities().name,
            cut_off=at.cut_off,
        )
        last = runs.last_decided(connection, key.strategy, key.portfolio)
        before, bounds = runs.decision_of(connection, last), _bounds(connection, key)
        runs.open_run(tx, run, limits.model_dump(mode="json"))
        price_marks.put_marks(tx, run.id, _marks(connection, key, last, session))
        book = exposure(connection, run, bounds)
        planned = _Closing(trading, run, book, bounds, limits)
        intents, kept = planned.orders(theirs, _restated(connection, run.as_of, session))
        if not intents:
            outcome = Outcome.NOTHING_TRADED if kept else Outcome.UNCHANGED
            runs.close_run(tx, run, now, outcome, "; ".join(f"{k.asset}: {k.why}" for k in kept[:_MOST_TOLD]))
            return None, kept
        runs.mark_decided(tx, run)
        orders.plan(tx, intents)
        said: dict[str, object] = {name: before[name] for name in _KEPT if name in before}
        said |= {CLOSES: True, "by": who, "reason": reason, "orders": len(intents)}
        said |= {"wanted": 0, "gross": 0.0, "net": 0.0}
        said |= {"kept": {k.asset: [str(k.quantity), k.why] for k in kept}}
        tx.audit(runs.event("run.decided", run, said | bounds_record(bounds, ())))
    _write_weights(trading, run, book)
    return run, kept


@dataclass(frozen=True, slots=True, eq=False)
class _Closing:
    """The values by which the orders of a closing run are sized."""

    trading: Trading
    run: Run
    book: Exposure
    bounds: Mapping[str, Bound]
    limits: SafetySettings

    def orders(
        self, theirs: Mapping[str, Decimal], restated: Collection[str]
    ) -> tuple[tuple[Intent, ...], tuple[KeptQuantity, ...]]:
        """Return the closing orders, sales first, and what they leave. theirs: quantities at the broker.

        restated: assets with a corporate action before the session; the broker's quantity is not in its units yet.
        """
        intents: list[Intent] = []
        kept: list[KeptQuantity] = []
        for asset, line in self.book.totals().lines.items():
            if not line.quantity:
                continue
            sign = 1 if line.quantity > 0 else -1
            wanted = abs(line.quantity) - (line.selling if sign > 0 else line.buying)
            most, why = wanted, ""
            at_broker = max(sign * theirs.get(asset, ZERO), ZERO)
            if asset not in restated and at_broker < most:
                most, why = at_broker, f"the broker holds {theirs.get(asset, ZERO)}: `sigc positions`"
            bound = self._by_volume(asset, line)
            if bound is not None and bound < most:
                most, why = bound, "it is beyond max_adv_pct of a session's volume: flatten again in the next session"
            parts = self._parts(asset, most)
            if not parts and most > 0:
                why = "one lot is beyond max_order_value or max_order_shares"
            side = Side.SELL if sign > 0 else Side.BUY
            intents += self._intents(asset, side, parts)
            left = wanted - sum(parts, ZERO)
            if left > 0:
                kept.append(KeptQuantity(asset, sign * left, why))
        intents.sort(key=lambda i: (max(i.slice, 1), i.side is Side.BUY, i.asset))
        return tuple(replace(i, place=place) for place, i in enumerate(intents)), tuple(kept)

    @property
    def _lot(self) -> Decimal:
        return lot_of(self.trading.config.execution, self.trading.broker.capabilities().quantity_step)

    def _price(self, asset: str) -> Decimal:
        price = self.book.line(asset).price
        return _CENT if price is None or price <= 0 else price

    def _dearest(self, asset: str) -> Decimal:
        bound = self.bounds.get(asset)
        return max(self._price(asset), ZERO if bound is None or bound.high is None else bound.high)

    def _by_volume(self, asset: str, line: ExposureLine) -> Decimal | None:
        """Return the quantity that max_adv_pct leaves for this session, in whole lots; None if it is off or unknown."""
        bound = self.bounds.get(asset)
        if not self.limits.max_adv_pct or bound is None or bound.volume is None:
            return None
        most = exact(self.limits.max_adv_pct) * bound.volume / self._dearest(asset)
        done = max(-line.changed if line.quantity > 0 else line.changed, ZERO)  # closed in this session already
        return max(_floor(most - done, self._lot), ZERO)

    def _parts(self, asset: str, quantity: Decimal) -> list[Decimal]:
        """Return the slices of a quantity: each within the limits of one order; none if a lot is beyond them."""
        lot, most = self._lot, quantity
        if self.limits.max_order_value:
            most = min(most, exact(self.limits.max_order_value) / self._dearest(asset))
        if self.limits.max_order_shares:
            most = min(most, exact(self.limits.max_order_shares))
        if quantity <= 0 or most <= 0:
            return []
        if most >= quantity:
            return [quantity]
        most = _floor(most, lot)
        if most <= 0:
            return []
        whole, rest = divmod(quantity, most)
        return [most] * int(whole) + ([rest] if rest else [])

    def _intents(self, asset: str, side: Side, parts: list[Decimal]) -> list[Intent]:
        whole = Order(asset, side, sum(parts, ZERO), self._price(asset))
        is_sliced = len(parts) > 1
        parent = client_order_id(self.trading.ledger.id, self.run, whole) if is_sliced else ""
        return [
            self._intent(replace(whole, quantity=part), parent, number if is_sliced else 0)
            for number, part in enumerate(parts, 1)
        ]

    def _intent(self, order: Order, parent: str, slice: int) -> Intent:
        # At the market where the broker takes such orders: to be out matters more than the price.
        is_market = OrderType.MARKET in self.trading.broker.capabilities().order_types
        return Intent(
            client_order_id=client_order_id(self.trading.ledger.id, self.run, order, slice),
            run=self.run.id,
            key=self.run.key,
            place=0,
            asset=order.asset,
            side=order.side,
            quantity=order.quantity,
            reference=order.reference,
            order_type=OrderType.MARKET if is_market else OrderType.LIMIT,
            limit=None if is_market else limit_of(order, self.trading.config.execution.limit_offset_bps),
            time_in_force=TimeInForce.DAY,
            parent=parent,
            slice=slice,
        )


def _marks(connection: sqlite3.Connection, key: BookKey, last: str, session: str) -> dict[str, Mark]:
    """Return the newest known prices, in the units of the session; an average price where there never was one."""
    prices = {p.asset: p.average_price for p in books.positions(connection, key)}
    prices |= {asset: one.price for asset, one in price_marks.prices_of(connection, key).items()}
    prices |= price_marks.last_prices(connection, key, session)
    sectors = {asset: mark.sector for asset, mark in price_marks.marks_of(connection, last).items()} if last else {}
    return {asset: Mark(price, sectors.get(asset, "")) for asset, price in prices.items()}


def _bounds(connection: sqlite3.Connection, key: BookKey) -> dict[str, Bound]:
    """Return the newest known volume of each asset, from the decisions that ordered it.

    An asset whose volume was never known is closed without that bound: getting out is always possible.
    """
    found: dict[str, Bound] = {}
    newest = ""  # the last decision: a run that was refused or sent nothing since takes none of its prices away
    for run in runs.recent(connection, _MOST_RUNS, key.strategy, key.portfolio):
        bounds = bounds_of(connection, run.id)[0]
        newest = newest or (run.id if bounds else "")
        for asset, bound in bounds.items():
            if bound.volume is not None:  # an older price is no measure of an order of today
                found.setdefault(asset, bound if run.id == newest else replace(bound, high=None))
    return found


def _restated(connection: sqlite3.Connection, as_of: str, session: str) -> frozenset[str]:
    booked, _ = action_rows.progress(connection)
    return frozenset(due.action.asset for due in action_rows.between(connection, max(booked, as_of), session))


def _write_weights(trading: Trading, run: Run, book: Exposure) -> None:
    """Write targets of zero beside the run, as every decision has its targets in a file."""
    lines = {a: line for a, line in book.totals().lines.items() if line.quantity}
    worth = float(book.nav) or 1.0
    held = np.array([float(line.quantity * (line.price or ZERO)) / worth for line in lines.values()])
    nothing = np.zeros(len(held))
    write_weights(trading.ledger.directory, run.id, tuple(lines), nothing, nothing, held)


def _floor(quantity: Decimal, lot: Decimal) -> Decimal:
    return (quantity / lot).to_integral_value(ROUND_DOWN) * lot
