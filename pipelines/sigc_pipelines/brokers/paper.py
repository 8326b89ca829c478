"""The paper broker, embedded and default: its own order book, filled at the prices it is told.

    submit      check an order against the account and put it into the book, once per client order id
    mark        close a session: fill the orders that were open before it, within volume; the rest expires
    act         apply corporate actions of a session, before its close (`paper_actions.py`)

Cash is always deposits + fills + charges, to the last digit. Time comes from the clock only: equal histories give equal
books. The worst possible fills of open orders bound new orders (`PaperHolding.bound`), so an order that only reduces a
position is never rejected for lack of buying power.

Read next: `paper_match.py` (quantity and price of fills, pure), `paper_rows.py`, `paper_file.py` (the disk).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, localcontext
from pathlib import Path

from sigc.clock import Clock
from sigc.config.settings import PaperSettings
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.records import ZERO, Charge, Fill, OrderType, Side
from sigc_pipelines.brokers import paper_rows as rows
from sigc_pipelines.brokers.paper_actions import act, announce
from sigc_pipelines.brokers.paper_file import BookFile, instant_text
from sigc_pipelines.brokers.paper_match import CENT, EXACT, LARGEST, TICK, Terms, borrow_fee, known, match, why_short
from sigc_pipelines.brokers.paper_rows import PaperHolding
from sigc_pipelines.brokers.protocol import (
    Account,
    Activities,
    BrokerOrder,
    Capabilities,
    NotSentError,
    OrderRequest,
    OrderStatus,
    OutcomeUnknownError,
    RejectedError,
    UnreachableError,
)


class PaperBroker:
    """A broker with simulated money. Any number of instances may use one file.

    durable: answers survive a power cut (they always survive a kill). timeout_s: longest wait for another process that
    writes. Raises SigcError E310 when the file can't be used. Open it after a fork, not before.
    """

    def __init__(
        self, path: Path, settings: PaperSettings, clock: Clock, *, durable: bool = True, timeout_s: float = 30.0
    ) -> None:
        self._clock, self._settings = clock, settings
        self._terms = Terms.of(settings)
        self._file = BookFile(path, clock.now(), durable=durable, timeout_s=timeout_s)

    def close(self) -> None:
        """Close the book."""
        self._file.close()

    def capabilities(self) -> Capabilities:
        """Return the capabilities: market and limit orders, time in force day or immediate, in the configured steps."""
        return Capabilities(
            "paper",
            is_live=False,
            quantity_step=self._terms.step,
            shorting=self._terms.shorting,
            simulated=True,
        )

    def account(self) -> Account:
        """Return the account. Cash is exact; equity and buying power are at the last marks."""
        with self._file.reading() as book, localcontext(EXACT):
            money = rows.money(book)
            power = money.buying_power(self._terms.leverage)
            return Account(money.cash, money.cash + money.worth, max(power, ZERO))

    def positions(self) -> dict[str, Decimal]:
        """Return the quantity by asset, without zeros, sorted."""
        with self._file.reading() as book:
            return {asset: held.quantity for asset, held in rows.holdings(book).items() if held.quantity}

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Put an order into the book, or return the one that has this id. Raises RejectedError for another order of
        this id.
        """
        with self._file.writing() as book, localcontext(EXACT):
            # Look the id up before any check: a repeat is answered even if the account would not bear it now.
            found = rows.find_order(book, request.client_order_id)
            if found is None:
                _check_form(request, self._terms)
                self._reserve(book, request)
                rows.insert_order(book, request, self._clock.now())
                found = rows.find_order(book, request.client_order_id)
            if found is None or found.request != request:
                raise RejectedError(f"client order id {request.client_order_id} is taken by a different order")
            return found

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order as it stands, None without one."""
        with self._file.reading() as book:
            return rows.find_order(book, client_order_id)

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        """Return the orders submitted at or after `since`, and all open ones."""
        with self._file.reading() as book:
            return rows.orders_since(book, since)

    def cancel(self, client_order_id: str) -> None:
        """Cancel an open order. Raises RejectedError for an unknown id."""
        with self._changing() as book:
            found = rows.find_order(book, client_order_id)
            if found is None:
                raise RejectedError(f"there is no order {client_order_id}")
            if found.status.is_open:
                rows.close_orders(book, [replace(found, status=OrderStatus.CANCELLED)])
                before = rows.holding(book, found.request.asset)
                _put(book, before, before.opened(found.request.side, found.filled - found.request.quantity))

    def activities(self, cursor: str) -> Activities:
        """Return fills and charges after a cursor of this book; a cursor of another book (a replaced file) counts as
        ''.
        """
        with self._file.reading() as book:
            return rows.activities(book, cursor)

    def mark(
        self, session: str, at: datetime, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]
    ) -> None:
        """Close a session for the assets of `prices`. Idempotent. Raises UnreachableError.

        A short position is charged for the calendar days since its last session, at that session's price.
        """
        with self._changing() as book:
            held = rows.holdings(book)
            # A session is marked once per asset: a repeat, or an earlier session, finds nothing fresh.
            fresh = [asset for asset in sorted(prices) if held.get(asset, PaperHolding(asset)).session < session]
            orders = rows.open_orders(book, at, fresh)
            close = _Close(rows.book_name(book), session, at, self._terms)
            outcomes = [
                close.settle(held.get(asset, PaperHolding(asset)), orders[asset], prices[asset], volumes.get(asset))
                for asset in fresh
            ]
            fills = [fill for each in outcomes for fill in each.fills]
            charges = [charge for each in outcomes for charge in each.charges]
            rows.close_orders(book, [order for each in outcomes for order in each.orders])
            rows.insert_activities(book, fills, charges)
            cash = sum((fill.cash for fill in fills), ZERO) + sum((charge.amount for charge in charges), ZERO)
            rows.change_holdings(book, held, {each.held.asset: each.held for each in outcomes}, cash)

    def act(self, session: str, at: datetime, dues: Sequence[DueAction]) -> None:
        """Book what corporate actions should have done by a session, less what they did. Raises UnreachableError."""
        with self._changing() as book:
            act(book, session, at, dues, self._terms.step)

    def announce(self, dues: Sequence[DueAction]) -> None:
        """Announce the actions of the next session. Raises UnreachableError."""
        with self._changing() as book:
            announce(book, dues)

    def deposit(self, id: str, amount: Decimal) -> None:
        """Put cash into the account, or (negative) take it out. Raises RejectedError for an invalid amount, for more
        than its cash, or an id with another amount.
        """
        if not (amount.is_finite() and amount and abs(amount) <= LARGEST and amount % CENT == ZERO):
            raise RejectedError(f"invalid deposit {amount}: it must be an amount in whole cents")
        with self._changing() as book:
            if self._is_new(book, id, amount):
                money = rows.money(book)
                if amount < ZERO and -amount > money.cash:
                    raise RejectedError(f"{-amount} can't be withdrawn: the account has {money.cash} of cash")
                rows.put_money(book, replace(money, cash=money.cash + amount))

    def write_off(self, id: str, asset: str, change: Decimal) -> None:
        """Change a position by worthless shares, for no cash. A repeat of the id changes nothing."""
        with self._changing() as book:
            if self._is_new(book, id, ZERO):
                before = rows.holding(book, asset)
                _put(book, before, replace(before, quantity=before.quantity + change))

    def copied(self, directory: Path) -> PaperBroker:
        """Return a broker with a copy of the book, in a folder. Raises UnreachableError."""
        to = directory / self._file.path.name
        try:
            self._file.copy(to)
        except (sqlite3.Error, OSError) as error:
            raise UnreachableError(f"the paper broker's book can't be read: {error}") from error
        return PaperBroker(to, self._settings, self._clock, durable=False)

    def _is_new(self, book: sqlite3.Connection, id: str, amount: Decimal) -> bool:
        """Write an id down as done. Return False if it is. Raises RejectedError if it was for another amount."""
        found = book.execute("SELECT amount FROM deposits WHERE id = ?", (id,)).fetchone()
        if found is None:
            at = instant_text(self._clock.now())
            book.execute("INSERT INTO deposits VALUES (?, ?, ?)", (id, str(amount), at))
        elif Decimal(found[0]) != amount:
            raise RejectedError(f"deposit {id} already exists with the amount {found[0]}, not {amount}")
        return found is None

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction for an idempotent change: any failure is UnreachableError, and the caller may repeat
        it.
        """
        try:
            with self._file.writing() as book, localcontext(EXACT):
                yield book
        except (NotSentError, OutcomeUnknownError) as error:
            raise UnreachableError(str(error)) from error

    def _reserve(self, book: sqlite3.Connection, request: OrderRequest) -> None:
        """Count an order as open. Raises RejectedError when the buying power is too small."""
        asset = request.asset
        before = rows.holding(book, asset)
        if before.price is None:
            raise RejectedError(f"{asset} has no price")
        after = before.opened(request.side, request.quantity)
        # `expected` counts in the units of open orders: a split of the next session may be announced already.
        if not self._terms.shorting and request.side is Side.SELL and after.sells > after.expected:
            raise RejectedError(
                f"{asset}: open sells come to {after.sells}, {after.expected} are held, shorting is off"
            )
        # An order that does not raise the bound needs no power, even where the account is beyond its leverage.
        added = after.bound - before.bound
        power = max(rows.money(book).buying_power(self._terms.leverage), ZERO)
        if added > power:
            raise RejectedError(f"{asset}: the order needs {added:.2f} of buying power, {power:.2f} is left")
        _put(book, before, after)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Result of a close for an asset: its holding, orders, fills and charges."""

    held: PaperHolding
    orders: list[BrokerOrder]
    fills: list[Fill]
    charges: list[Charge]


@dataclass(frozen=True, slots=True)
class _Close:
    """The close of a session in a book."""

    book: str
    session: str
    at: datetime
    terms: Terms

    def settle(
        self, held: PaperHolding, orders: Sequence[BrokerOrder], price: Decimal | None, volume: Decimal | None
    ) -> _Outcome:
        """Charge short positions and fill open orders; no order outlives the close it waited for."""
        charges = self._borrow(held)  # on the position before this close's fills, at the last price
        seen = known(price)
        price = None if seen is None else seen.quantize(TICK)
        price = None if price is None or price <= ZERO else price
        fills = self._fill(orders, price, known(volume)) if orders and price is not None else []
        got = {fill.client_order_id: fill.quantity for fill in fills}
        closed = [self._closed(order, got, price, known(volume), len(orders)) for order in orders]
        for order in orders:  # all leave the book: filled, or expired with the day
            held = held.opened(order.request.side, order.filled - order.request.quantity)
        quantity = held.quantity + sum((fill.side.sign * fill.quantity for fill in fills), ZERO)
        last = held.price if price is None else price
        # `coming` returns to 1: a split of this session acted before its close.
        after = PaperHolding(held.asset, quantity, held.buys, held.sells, self.session, last)
        return _Outcome(after, closed, fills, charges)

    def _fill(self, orders: Sequence[BrokerOrder], price: Decimal, volume: Decimal | None) -> list[Fill]:
        """Return the fills of an asset's orders. An order has one fill a session at most, so the session names the
        execution.
        """
        wanted = {order.request: order.request.quantity - order.filled for order in orders}
        return [
            Fill(
                execution_id=f"{request.client_order_id}@{self.session}",
                client_order_id=request.client_order_id,
                asset=request.asset,
                side=request.side,
                quantity=got.quantity,
                price=got.price,
                commission=got.commission,
                at=self.at,
            )
            for request, got in match(wanted, price, volume, self.terms).items()
        ]

    def _closed(
        self,
        order: BrokerOrder,
        got: Mapping[str, Decimal],
        price: Decimal | None,
        volume: Decimal | None,
        number: int,
    ) -> BrokerOrder:
        """Return an order as its close leaves it. number: of the asset's orders, which share the volume."""
        request = order.request
        filled = order.filled + got.get(request.client_order_id, ZERO)
        if filled == request.quantity:
            return replace(order, filled=filled, status=OrderStatus.FILLED)
        why = why_short(request, price, volume, number, self.terms)
        message = f"the day ended ({self.session}): {why}"
        return replace(order, filled=filled, status=OrderStatus.EXPIRED, message=message)

    def _borrow(self, held: PaperHolding) -> list[Charge]:
        if held.quantity >= ZERO or not self.terms.borrow_rate:
            return []
        fee = borrow_fee(-held.worth, held.session, self.session, self.terms)
        id = f"{self.book}:borrow:{held.asset}:{self.session}"
        return [Charge(id, "borrow", held.asset, -fee, self.at)] if fee else []


def _put(book: sqlite3.Connection, before: PaperHolding, after: PaperHolding) -> None:
    """Store an asset's holding, and update the account by its change."""
    rows.change_holdings(book, {before.asset: before}, {after.asset: after}, ZERO)


def _check_form(request: OrderRequest, terms: Terms) -> None:
    """Raise RejectedError for a request that is invalid at any account."""
    if not request.client_order_id or not request.asset:
        raise RejectedError("an order needs a client order id and an asset")
    quantity, limit = request.quantity, request.limit
    if not (quantity.is_finite() and ZERO < quantity <= LARGEST and quantity % terms.step == ZERO):
        raise RejectedError(
            f"{request.asset}: invalid quantity {quantity}: it must be a positive multiple of {terms.step}"
        )
    if (limit is not None) != (request.order_type is OrderType.LIMIT):
        raise RejectedError(f"{request.asset}: a limit order needs a limit, and other orders must not have one")
    if limit is not None and not (limit.is_finite() and ZERO < limit <= LARGEST):
        raise RejectedError(f"{request.asset}: invalid limit {limit}: it must be above zero")
