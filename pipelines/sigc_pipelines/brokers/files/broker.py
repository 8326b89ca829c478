"""Two folders as a `Broker`: the outbox is the book of orders, the inbox is what became of them.

An order is in the book as soon as its file is in the outbox. It is rejected, ended or filled by what the inbox says,
whenever that comes; `submit` waits a little for the first answer, so that a rejection is usually its own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sigc.clock import Clock
from sigc.store.ledger.records import ZERO, Fill, OrderType
from sigc_pipelines.brokers.files.answers import (
    MEANING,
    Ack,
    account_of,
    acks_of,
    charges_of,
    fills_of,
    order_of,
    positions_of,
)
from sigc_pipelines.brokers.files.columns import ACCOUNT, ACKS, CHARGES, FILLS, POSITIONS, FolderForm
from sigc_pipelines.brokers.files.cursor import FolderCursor
from sigc_pipelines.brokers.files.inbox import FolderInbox
from sigc_pipelines.brokers.files.outbox import ID, FolderOutbox, SentOrder
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

_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.02, 0.5  # waits between two looks for an answer
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class FolderPlaces:
    """The folders. taken: to which the other side moves orders that it has taken; None: it moves none."""

    outbox: Path
    inbox: Path
    taken: Path | None = None


@dataclass(frozen=True, slots=True)
class FolderTerms:
    """Terms of the other side. max_age_s: of snapshots; ack_wait_s: for the first answer to an order."""

    is_live: bool
    step: Decimal
    shorting: bool
    max_age_s: float
    ack_wait_s: float


@dataclass(frozen=True, slots=True)
class _Answers:
    """Answers of the inbox to orders."""

    acks: Mapping[str, list[Ack]]
    filled: Mapping[str, Decimal]  # by client order id

    def of(self, sent: SentOrder) -> BrokerOrder:
        id = sent.request.client_order_id
        return order_of(sent, self.acks.get(id, ()), self.filled.get(id, ZERO))

    def knows(self, client_order_id: str) -> bool:
        return client_order_id in self.acks or client_order_id in self.filled


class FolderBroker:
    """The broker of two folders. Safe to use from several threads."""

    def __init__(self, places: FolderPlaces, form: FolderForm, terms: FolderTerms, clock: Clock) -> None:
        self._places, self._terms, self._clock = places, terms, clock
        self._outbox = FolderOutbox(places.outbox, places.taken, form)
        self._inbox = FolderInbox(places.inbox, form, MEANING)
        self._lock = threading.Lock()  # of both readers' memories, and between the look for a file and its writing
        self._unanswered = ""  # the last order that was waited for in vain
        name = "files live" if terms.is_live else "files paper"
        self._can = Capabilities(name, is_live=terms.is_live, quantity_step=terms.step, shorting=terms.shorting)

    def capabilities(self) -> Capabilities:
        """Return the capabilities."""
        return self._can

    def account(self) -> Account:
        """Return the newest snapshot of the money. Raises UnreachableError for one that is missing or old."""
        with self._lock:
            return self._account()

    def positions(self) -> dict[str, Decimal]:
        """Return the newest snapshot of positions. Raises UnreachableError for one that is missing or old."""
        with self._lock:
            files = self._inbox.files(POSITIONS)
        return positions_of(files, str(self._places.inbox), self._clock.now(), self._terms.max_age_s)

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Write an order's file, once, and wait for its first answer; without one it is open."""
        wrong = _fault(request, self._can)
        if wrong:
            raise RejectedError(wrong)
        with self._lock:
            wait_s = self._terms.ack_wait_s
            sent = self._sent(request)
            if sent is None:
                wait_s = self._send(request)
            elif sent.request != request:
                raise RejectedError(f"client order id {request.client_order_id} is taken by a different order")
        return self._answer(request.client_order_id, wait_s)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order as it stands."""
        if not ID.fullmatch(client_order_id):
            return None
        with self._lock:
            sent = self._outbox.order(client_order_id)
            answers = self._answers()
        if sent is not None:
            return answers.of(sent)
        if answers.knows(client_order_id):
            raise UnreachableError(_gone(client_order_id, self._places))
        return None

    def orders(self, since: datetime) -> tuple[BrokerOrder, ...]:
        """Return the orders submitted since then, and every open one."""
        with self._lock:
            sent, answers = self._outbox.orders(), self._answers()
        found = [answers.of(each) for each in sent]
        return tuple(o for o, each in zip(found, sent, strict=True) if each.submitted >= since or o.status.is_open)

    def cancel(self, client_order_id: str) -> None:
        """Write a cancel's file, once, for an order that is not known to have ended.

        An inbox that can't be read does not keep a cancel back.
        """
        with self._lock:
            sent = self._outbox.order(client_order_id) if ID.fullmatch(client_order_id) else None
            if sent is None:
                raise RejectedError(f"there is no order {client_order_id}")
            with suppress(UnreachableError):
                if not self._answers().of(sent).status.is_open:
                    return
            if not self._outbox.is_cancelled(client_order_id):
                self._outbox.cancel(client_order_id, self._clock.now())

    def activities(self, cursor: str) -> Activities:
        """Return fills and charges after a cursor."""
        place = FolderCursor.of(cursor)
        with self._lock:
            files = self._inbox.files(FILLS, CHARGES)
            told = [row for file in files for row in file.rows[: place.rows_told(file)]]
            ids = {row.values[name] for row in told for name in ("execution_id", "charge_id") if name in row.values}
            fills, charges = fills_of(files), charges_of(files)
            new = [fill for id, fill in fills.items() if id not in ids]
            for fill in new:
                self._check(fill)
        paid = [charge for id, charge in charges.items() if id not in ids]
        return Activities(
            fills=tuple(sorted(new, key=lambda fill: (fill.at, fill.execution_id))),
            charges=tuple(sorted(paid, key=lambda charge: (charge.at, charge.id))),
            cursor=str(FolderCursor.after(files)),
        )

    def _sent(self, request: OrderRequest) -> SentOrder | None:
        """Return the order of a request's id. Raises NotSentError, or OutcomeUnknownError if it may be there."""
        try:
            sent = self._outbox.order(request.client_order_id)
        except UnreachableError as error:
            is_there = self._places.outbox.is_dir()
            failed = OutcomeUnknownError(str(error)) if is_there else NotSentError(str(error), _RETRY_S)
            raise failed from error
        return sent

    def _send(self, request: OrderRequest) -> float:
        """Write an order that is not in the outbox; return the time to wait for its answer (s).

        Nothing is sent blind: an inbox that can't be read, or is not written any more, keeps orders back.
        """
        try:
            answers = self._answers()
            self._account()
        except UnreachableError as error:
            raise NotSentError(f"nothing is sent while the inbox does not answer: {error}", _RETRY_S) from error
        if answers.knows(request.client_order_id):
            raise OutcomeUnknownError(_gone(request.client_order_id, self._places))
        self._outbox.send(request, self._clock.now())
        is_silent = bool(self._unanswered) and not answers.knows(self._unanswered)
        return 0.0 if is_silent else self._terms.ack_wait_s

    def _answer(self, client_order_id: str, wait_s: float) -> BrokerOrder:
        """Return an order that is in the outbox, after its first answer or `wait_s`.

        Raises RejectedError, and OutcomeUnknownError if the inbox can't be read.
        """
        until = self._clock.now() + timedelta(seconds=wait_s)
        look_s = _FIRST_LOOK_S
        while True:
            now = self._clock.now()
            with self._lock:
                try:
                    sent, answers = self._outbox.order(client_order_id), self._answers()
                except UnreachableError as error:
                    raise OutcomeUnknownError(f"{client_order_id} is in the outbox, and {error}") from error
            if sent is None:
                raise OutcomeUnknownError(_gone(client_order_id, self._places))
            order, is_answered = answers.of(sent), answers.knows(client_order_id)
            if order.status is OrderStatus.REJECTED:
                raise RejectedError(order.message or "the order management system rejected it without a reason")
            if is_answered or now >= until:
                self._unanswered = "" if is_answered else client_order_id
                return order
            self._clock.sleep(min(look_s, (until - now).total_seconds()))
            look_s = min(2 * look_s, _LONGEST_LOOK_S)

    def _account(self) -> Account:
        files = self._inbox.files(ACCOUNT)
        return account_of(files, str(self._places.inbox), self._clock.now(), self._terms.max_age_s)

    def _answers(self) -> _Answers:
        files = self._inbox.files(ACKS, FILLS)
        filled: dict[str, Decimal] = {}
        for fill in fills_of(files).values():
            filled[fill.client_order_id] = filled.get(fill.client_order_id, ZERO) + fill.quantity
        return _Answers(acks_of(files), filled)

    def _check(self, fill: Fill) -> None:
        """Raise UnreachableError for a fill that is not of the order that it names."""
        if not ID.fullmatch(fill.client_order_id):
            return
        sent = self._outbox.order(fill.client_order_id)
        if sent is not None and (sent.request.asset, sent.request.side) != (fill.asset, fill.side):
            order = f"{sent.request.side} {sent.request.asset}"
            text = f"the fill {fill.execution_id} is to {fill.side} {fill.asset}, and its order to {order}"
            raise UnreachableError(f"{self._places.inbox}: {text}")


def _gone(client_order_id: str, places: FolderPlaces) -> str:
    where = f"{places.outbox}" if places.taken is None else f"{places.outbox} and {places.taken}"
    return (
        f"{places.inbox} tells of the order {client_order_id}, and its file is not in {where}: bring it back, or name"
        " the folder to which orders are moved in broker.files.taken"
    )


def _fault(request: OrderRequest, can: Capabilities) -> str:
    """Return why no file may be written of an order, '' for a sound one."""
    quantity, limit = request.quantity, request.limit
    if not ID.fullmatch(request.client_order_id):
        return f"the client order id {request.client_order_id!r} can't be part of a file's name"
    if not request.asset.isprintable() or request.asset != request.asset.strip() or not request.asset:
        return f"the asset {request.asset!r} is no name"
    if not quantity.is_finite() or quantity <= ZERO or quantity >= 10**18:
        return f"the quantity {quantity} is none"
    if quantity % can.quantity_step:
        return f"the quantity {quantity} is no multiple of {can.quantity_step}"
    if (request.order_type is OrderType.LIMIT) != (limit is not None):
        return "a limit order has a limit price, and no other order has one"
    if limit is not None and not (limit.is_finite() and ZERO < limit < 10**18):
        return f"the limit {limit} is no price"
    return ""
