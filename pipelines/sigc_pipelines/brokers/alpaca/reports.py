"""Fills and charges after a cursor, and the cursor to go on from.

The broker's own order of activities is by time, and one may be shown later than younger ones (a fee is dated by its
day, and posted after it). So a cursor does not stand at the newest activity: it stands `_FILLS_SETTLE` (fills) or
`_CHARGES_SETTLE` (money) before, and holds the ids behind that place which were reported.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from sigc.store.ledger.records import Fill
from sigc_pipelines.brokers.alpaca import listing
from sigc_pipelines.brokers.alpaca.answers import CHARGES, charge_of, day_of, fill_of, instant, text
from sigc_pipelines.brokers.alpaca.client import AlpacaClient
from sigc_pipelines.brokers.protocol import Activities, UnreachableError

_FILLS_SETTLE = timedelta(hours=1)
_CHARGES_SETTLE = timedelta(days=10)
_ORDER_LIVES = timedelta(days=7)  # how long before its fill an order was sent, at most, where many are looked up
_FEW = 3  # orders that are looked up one by one
_ID = 12  # characters of an id that tell it from the others of some days


@dataclass(frozen=True, slots=True)
class ReportCursor:
    """A place in the activities. fill: id of the last fill that has no missing one before it; day: charges are read
    from it on; seen: ends of the ids behind these places that were reported.
    """

    fill: str = ""
    day: str = ""
    seen: frozenset[str] = frozenset()

    @staticmethod
    def of(said: str) -> ReportCursor:
        """Return the cursor of a text; '' is the beginning. Raises UnreachableError for the text of another broker."""
        if not said:
            return ReportCursor()
        try:
            fill, day, *seen = json.loads(said)
            return ReportCursor(str(fill), str(day), frozenset(map(str, seen)))
        except (ValueError, TypeError) as wrong:
            raise UnreachableError(f"the ledger's place in the activities is not of Alpaca: {said[:40]!r}") from wrong

    def __str__(self) -> str:
        return json.dumps([self.fill, self.day, *sorted(self.seen)])


class Reports:
    """Reader of activities. Remembers the client order ids of orders, which fills don't name."""

    def __init__(self, client: AlpacaClient) -> None:
        self._client = client
        self._ids: dict[str, str] = {}

    def know(self, order: Any) -> None:
        """Remember an order's two ids."""
        self._ids[text(order, "id")] = text(order, "client_order_id")

    def after(self, said: str, now: datetime) -> Activities:
        """Return what came after a cursor. Raises UnreachableError."""
        cursor = ReportCursor.of(said)
        params = {"page_token": cursor.fill} if cursor.fill else {}
        fills = list(listing.activities(self._client, "/v2/account/activities/FILL", params))
        params = {"activity_types": ",".join(CHARGES)} | ({"after": cursor.day} if cursor.day else {})
        money = list(listing.activities(self._client, "/v2/account/activities", params))
        new_fills = [each for each in fills if _end(each) not in cursor.seen]
        new_money = [each for each in money if _end(each) not in cursor.seen]
        self._look_up(new_fills, now)
        charges = (charge_of(each) for each in new_money)
        return Activities(
            fills=_by_time([fill_of(each, self._ids[text(each, "order_id")]) for each in new_fills]),
            charges=tuple(each for each in charges if each is not None),
            cursor=str(_moved(cursor, fills, money, now)),
        )

    def _look_up(self, fills: Sequence[Any], now: datetime) -> None:
        """Learn the client order ids of these fills' orders."""
        missing = self._missing(fills)
        if len(missing) > _FEW:
            first = min(instant(text(each, "transaction_time")) for each in fills)
            for order in listing.orders(self._client, "all", first - _ORDER_LIVES):
                self.know(order)
        for id in self._missing(fills):
            order = self._client.find(f"/v2/orders/{id}")
            if order is not None:
                self.know(order)
            elif any(text(each, "order_id") == id and not _is_settled(each, now) for each in fills):
                raise UnreachableError(f"the broker tells a fill of the order {id}, and has no such order yet")
            else:
                self._ids[id] = id  # a trade without an order, such as a transfer: nobody's of ours

    def _missing(self, fills: Sequence[Any]) -> list[str]:
        return sorted({text(each, "order_id") for each in fills} - self._ids.keys())


def _moved(cursor: ReportCursor, fills: Sequence[Any], money: Sequence[Any], now: datetime) -> ReportCursor:
    """Return the cursor behind these activities, oldest first."""
    settled = list(takewhile(lambda each: _is_settled(each, now), fills))
    since = (now - _CHARGES_SETTLE).astimezone(UTC).date()
    recent = [each for each in money if day_of(text(each, "date")).date() >= since]
    seen = frozenset(_end(each) for each in [*fills[len(settled) :], *recent])
    day = max(cursor.day, since.isoformat() if money or cursor.day else "")
    moved = replace(cursor, day=day, seen=seen)
    return replace(moved, fill=text(settled[-1], "id")) if settled else moved


def _is_settled(fill: Any, now: datetime) -> bool:
    """Return True if no older fill can be missing any more."""
    return instant(text(fill, "transaction_time")) <= now - _FILLS_SETTLE


def _end(activity: Any) -> str:
    """Return the end of an activity's id: all but the last characters are its time."""
    return text(activity, "id")[-_ID:]


def _by_time(fills: list[Fill]) -> tuple[Fill, ...]:
    return tuple(sorted(fills, key=lambda fill: fill.at))
