"""The paper broker: the embedded default, an order book of its own that fills at the prices it is told.

    submit      checks an order against the account and puts it into the book, once per client order id
    mark        the close of a session: fills what was open before it, within volume; what is left expires
    act         corporate actions of a session, before its close (`paper_actions.py`)
    cash        is always deposits + fills + charges, to the last digit

Time comes from the clock alone: equal histories give equal books. What may be ordered is bounded by the worst of the
ways in which open orders may be filled (`PaperHolding.bound`), so an order that only reduces a position is never
refused for want of buying power.

Read next: `paper_match.py` (what an order gets at which price, pure), `paper_rows.py`, `paper_file.py` (the disk).
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
    """A broker of no one's money, as many of them on one file as you like.

    durable: whether an answer survives a power cut (a kill it always does). timeout_s: how long to wait while another
    process writes. Raises SigcError E310 when the file can't be used. Not to be carried over a fork: open it after.
    """

    def __init__(
        self, path: Path, settings: PaperSettings, clock: Clock, *, durable: bool = True, timeout_s: float = 30.0
    ) -> None:
        self._clock = clock
        self._terms = Terms.of(settings)
        self._file = BookFile(path, clock.now(), durable=durable, timeout_s=timeout_s)

    def close(self) -> None:
        """Let the book go."""
        self._file.close()

    def capabilities(self) -> Capabilities:
        """Market and limit orders, for the day or at once, in the configured steps."""
        return Capabilities(
            "paper",
            is_live=False,
            quantity_step=self._terms.step,
            shorting=self._terms.shorting,
            simulated=True,
        )

    def account(self) -> Account:
        """Cash is exact; equity and buying power are at the last marks."""
        with self._file.reading() as book, localcontext(EXACT):
            money = rows.money(book)
            power = money.buying_power(self._terms.leverage)
            return Account(money.cash, money.cash + money.worth, max(power, ZERO))

    def positions(self) -> dict[str, Decimal]:
        """Quantity by asset, without zeros, sorted."""
        with self._file.reading() as book:
            return {asset: held.quantity for asset, held in rows.holdings(book).items() if held.quantity}

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Put an order into the book, or tell the one that has this id."""
        with self._file.writing() as book, localcontext(EXACT):
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
        """As it stands."""
        with self._file.reading() as book:
            return rows.find_order(book, client_order_id)

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        """Submitted at or after `since`, or open."""
        with self._file.reading() as book:
            return rows.orders_since(book, since)

    def cancel(self, client_order_id: str) -> None:
        """Take an open order from the book."""
        with self._changing() as book:
            found = rows.find_order(book, client_order_id)
            if found is None:
                raise RejectedError(f"there is no order {client_order_id}")
            if found.status.is_open:
                rows.close_orders(book, [replace(found, status=OrderStatus.CANCELLED)])
                before = rows.holding(book, found.request.asset)
                _put(book, before, before.opened(found.request.side, found.filled - found.request.quantity))

    def activities(self, cursor: str) -> Activities:
        """After a cursor of this book; a cursor of another book (the file was put away) is as none."""
        with self._file.reading() as book:
            return rows.activities(book, cursor)

    def mark(
        self, session: str, at: datetime, prices: Mapping[str, Decimal | None], volumes: Mapping[str, Decimal | None]
    ) -> None:
        """The close of a session, for the assets of `prices`. Raises UnreachableError; may be repeated.

        A short position is charged for the calendar days since its last session, at that session's price.
        """
        with self._changing() as book:
            held = rows.holdings(book)
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
        """Say which actions act at the next session. Raises UnreachableError."""
        with self._changing() as book:
            announce(book, dues)

    def deposit(self, id: str, amount: Decimal) -> None:
        """Put cash into the account. Raises RejectedError for no amount of money, or an id of another amount."""
        if not (amount.is_finite() and ZERO < amount <= LARGEST and amount % CENT == ZERO):
            raise RejectedError(f"{amount} is no amount of money to deposit")
        with self._changing() as book:
            found = book.execute("SELECT amount FROM deposits WHERE id = ?", (id,)).fetchone()
            if found is None:
                at = instant_text(self._clock.now())
                book.execute("INSERT INTO deposits VALUES (?, ?, ?)", (id, str(amount), at))
                money = rows.money(book)
                rows.put_money(book, replace(money, cash=money.cash + amount))
            elif Decimal(found[0]) != amount:
                raise RejectedError(f"deposit {id} was of {found[0]}, not of {amount}")

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A change that is the same made once or twice: whatever failed, ask again."""
        try:
            with self._file.writing() as book, localcontext(EXACT):
                yield book
        except (NotSentError, OutcomeUnknownError) as error:
            raise UnreachableError(str(error)) from error

    def _reserve(self, book: sqlite3.Connection, request: OrderRequest) -> None:
        """Count an order as open. Raises RejectedError when the account does not bear it."""
        asset = request.asset
        before = rows.holding(book, asset)
        if before.price is None:
            raise RejectedError(f"{asset} has no price")
        after = before.opened(request.side, request.quantity)
        if not self._terms.shorting and request.side is Side.SELL and after.sells > after.expected:
            raise RejectedError(f"{asset}: {after.sells} are to be sold, {after.expected} are held, shorting is off")
        added = after.bound - before.bound
        power = max(rows.money(book).buying_power(self._terms.leverage), ZERO)
        if added > power:
            raise RejectedError(f"{asset}: {added:.2f} of buying power are needed, {power:.2f} are left")
        _put(book, before, after)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a close did to an asset: its holding, orders, fills and charges after it."""

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
        """Charge for what was short, fill what was open; no order outlives the close it waited for."""
        charges = self._borrow(held)
        seen = known(price)
        price = None if seen is None else seen.quantize(TICK)
        price = None if price is None or price <= ZERO else price
        fills = self._fill(orders, price, known(volume)) if orders and price is not None else []
        got = {fill.client_order_id: fill.quantity for fill in fills}
        closed = [self._closed(order, got, price, known(volume), len(orders)) for order in orders]
        for order in orders:
            held = held.opened(order.request.side, order.filled - order.request.quantity)
        quantity = held.quantity + sum((fill.side.sign * fill.quantity for fill in fills), ZERO)
        last = held.price if price is None else price
        after = PaperHolding(held.asset, quantity, held.buys, held.sells, self.session, last)
        return _Outcome(after, closed, fills, charges)

    def _fill(self, orders: Sequence[BrokerOrder], price: Decimal, volume: Decimal | None) -> list[Fill]:
        """An order is filled once a session at most: that names the execution."""
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
    """An asset from now on, and the account with it."""
    money = rows.money(book)
    rows.put_holdings(book, [after])
    rows.put_money(book, replace(money, bound=money.bound + after.bound - before.bound))


def _check_form(request: OrderRequest, terms: Terms) -> None:
    """Raises RejectedError for what no account could ask for."""
    if not request.client_order_id or not request.asset:
        raise RejectedError("an order has a client order id and an asset")
    quantity, limit = request.quantity, request.limit
    if not (quantity.is_finite() and ZERO < quantity <= LARGEST and quantity % terms.step == ZERO):
        raise RejectedError(f"{request.asset}: a quantity of {quantity} is no positive multiple of {terms.step}")
    if (limit is not None) != (request.order_type is OrderType.LIMIT):
        raise RejectedError(f"{request.asset}: limit orders have a limit, and no others")
    if limit is not None and not (limit.is_finite() and ZERO < limit <= LARGEST):
        raise RejectedError(f"{request.asset}: a limit of {limit}")
