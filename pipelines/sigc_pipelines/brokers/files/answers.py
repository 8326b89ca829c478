"""Meaning of the rows of the inbox: the state of an order, fills, charges, positions, the account. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from sigc.store.ledger.records import ZERO, Charge, Fill
from sigc_pipelines.brokers.files.columns import ACKS, CHARGES, FILLS, FolderRow
from sigc_pipelines.brokers.files.inbox import FolderFile
from sigc_pipelines.brokers.files.outbox import SentOrder
from sigc_pipelines.brokers.protocol import Account, BrokerOrder, OrderStatus, UnreachableError

_AHEAD_S = 60.0  # by which the other side's clock may be ahead of ours
Keyed = TypeVar("Keyed", Fill, Charge)
Told = TypeVar("Told")
Known = TypeVar("Known", "Ack", Fill, Charge)


class AckStatus(StrEnum):
    """An answer to an order. All but `accepted` end it."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Ack:
    """An answer to an order, and when it was given. order_id: the other side's, '' where it tells none."""

    client_order_id: str
    status: AckStatus
    order_id: str
    message: str
    at: datetime


def facts_of(files: Sequence[FolderFile], kind: type[Known]) -> list[tuple[str, Known]]:
    """Return the facts of a kind in these files, each with its place."""
    return [(at, fact) for file in files for at, fact in file.facts if isinstance(fact, kind)]


def acks_of(files: Sequence[FolderFile]) -> dict[str, list[Ack]]:
    """Return the answers by client order id, oldest first."""
    found: dict[str, list[Ack]] = {}
    for _, ack in facts_of(files, Ack):
        found.setdefault(ack.client_order_id, []).append(ack)
    return {id: sorted(acks, key=lambda ack: ack.at) for id, acks in found.items()}


def ack_of(row: FolderRow) -> Ack:
    """Return an answer to an order."""
    said = row.name("status")
    try:
        status = AckStatus(said.lower())
    except ValueError:
        row.malformed("status", f"is none of {', '.join(AckStatus)}: {said!r}")
    return Ack(row.name("client_order_id"), status, row.text("order_id"), row.text("message"), row.instant("time"))


def order_of(sent: SentOrder, acks: Sequence[Ack], filled: Decimal) -> BrokerOrder:
    """Return an order as it stands. An order ends once: what is said of it after its end changes nothing."""
    request = sent.request
    end = next((ack for ack in acks if ack.status is not AckStatus.ACCEPTED), None)
    if filled >= request.quantity:
        end, status = None, OrderStatus.FILLED
    elif end is not None:
        status = OrderStatus(end.status)
    else:
        status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.NEW
    return BrokerOrder(
        request=request,
        broker_order_id=next((ack.order_id for ack in acks if ack.order_id), request.client_order_id),
        status=status,
        filled=filled,
        submitted=sent.submitted,
        message="" if end is None else end.message,
    )


def fill_of(row: FolderRow) -> Fill:
    """Return a fill. One without a client order id is a trade by hand, and stands under its own id."""
    id = row.name("execution_id")
    fill = Fill(
        execution_id=id,
        client_order_id=row.text("client_order_id") or id,
        asset=row.name("asset"),
        side=row.side("side"),
        quantity=row.number("quantity"),
        price=row.number("price"),
        commission=row.number("commission"),
        at=row.instant("time"),
    )
    for column, number in (("quantity", fill.quantity), ("price", fill.price)):
        if number <= ZERO:
            row.malformed(column, f"is not positive: {number}")
    if fill.commission < ZERO:
        row.malformed("commission", f"is negative: {fill.commission}; tell money that comes back in a file charges*")
    return fill


def charge_of(row: FolderRow) -> Charge:
    """Return a charge."""
    id, kind, asset = row.name("charge_id"), row.name("kind"), row.text("asset")
    return Charge(id, kind, asset, row.number("amount"), row.instant("time"))


def fills_of(files: Sequence[FolderFile]) -> dict[str, Fill]:
    """Return the fills by execution id. Raises UnreachableError for two different ones under one id."""
    return _once([(fill.execution_id, at, fill) for at, fill in facts_of(files, Fill)])


def charges_of(files: Sequence[FolderFile]) -> dict[str, Charge]:
    """Return the charges by id. Raises UnreachableError for two different ones under one id."""
    return _once([(charge.id, at, charge) for at, charge in facts_of(files, Charge)])


def _once(found: Sequence[tuple[str, str, Keyed]]) -> dict[str, Keyed]:
    values: dict[str, tuple[str, Keyed]] = {}
    for id, at, value in found:
        before, known = values.setdefault(id, (at, value))
        if known != value:
            raise UnreachableError(f"{at}: {id} is told otherwise than in {before}; which of them is right?")
    return {id: value for id, (_, value) in values.items()}


def positions_of(files: Sequence[FolderFile], folder: str, now: datetime, max_age_s: float) -> dict[str, Decimal]:
    """Return the positions of the newest snapshot by asset, without zeros. Raises UnreachableError.

    A file is a snapshot, and none while a line of it is unfinished. A row without an asset says that nothing is held.
    """
    told = [_positions(file) for file in files if file.is_whole and file.rows]
    held = _newest(told, f"{folder} has no snapshot of positions (positions*)", now, max_age_s)
    return {asset: quantity for asset, quantity in sorted(held.items()) if quantity}


def _positions(file: FolderFile) -> tuple[datetime, str, dict[str, Decimal]]:
    held: dict[str, Decimal] = {}
    first = file.rows[0]
    for row in file.rows:
        asset, at = row.text("asset"), row.instant("time")
        if at != first.instant("time"):
            row.malformed("time", "is not that of the lines before: a file is one snapshot, renamed into place")
        if not asset and row.text("quantity") and row.number("quantity"):
            row.malformed("asset", "is empty")
        if asset in held:
            row.malformed("asset", f"{asset!r} is there twice")
        held[asset] = row.number("quantity") if asset else ZERO
    return first.instant("time"), first.at, held


def account_of(files: Sequence[FolderFile], folder: str, now: datetime, max_age_s: float) -> Account:
    """Return the newest snapshot of the money. Raises UnreachableError."""
    told = [
        (row.instant("time"), row.at, Account(*(row.number(name) for name in ("cash", "equity", "buying_power"))))
        for row in _rows(files)
    ]
    return _newest(told, f"{folder} has no snapshot of the money (account*)", now, max_age_s)


def _newest(told: Sequence[tuple[datetime, str, Told]], missing: str, now: datetime, max_age_s: float) -> Told:
    """Return the newest of (time, place, value). Raises UnreachableError: none, old, ahead of us, two that differ."""
    if not told:
        raise UnreachableError(missing)
    at, place, value = max(told, key=lambda each: each[0])
    for other in told:
        if other[0] == at and other[2] != value:
            raise UnreachableError(f"{other[1]}: it differs from {place}, of the same time; which of them is right?")
    age = (now - at).total_seconds()
    if age > max_age_s:
        raise UnreachableError(
            f"{place}: the snapshot is of {at:%Y-%m-%d %H:%M:%S} UTC, {age:.0f} s ago, and broker.files.max_age_s is"
            f" {max_age_s:g}: does the order management system still write?"
        )
    if age < -_AHEAD_S:
        raise UnreachableError(
            f"{place}: the snapshot is of {at:%Y-%m-%d %H:%M:%S} UTC, {-age:.0f} s ahead of this clock: set one of the"
            " two clocks right"
        )
    return value


def _rows(files: Sequence[FolderFile]) -> list[FolderRow]:
    return [row for file in files for row in file.rows]


MEANING: Mapping[str, Callable[[FolderRow], object]] = {ACKS: ack_of, FILLS: fill_of, CHARGES: charge_of}
