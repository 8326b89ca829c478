"""A small order management system, as a desk may have it: takes orders from one folder, answers in another.

    python oms.py --outbox /srv/desk/outbox --inbox /srv/desk/inbox --prices prices.csv

It keeps its book in the files that it has written (acks.csv, fills.csv), so it may be stopped, killed and started again
at any moment. Prices are a csv of asset,price, read anew each round; every order is filled at once, at that price.

What any such program has to do, and this one does:

    take an id once; leave an order's file where it is until the order has ended
    write rows whole: a line counts when its newline is there, a snapshot when it has been renamed into place
    give every execution an id of its own, and keep that id
    write positions and account again and again: what is too old counts as no answer
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

ACKS = ("client_order_id", "status", "order_id", "message", "time")
FILLS = ("execution_id", "client_order_id", "asset", "side", "quantity", "price", "commission", "time")
LEVERAGE = 2
ZERO = Decimal(0)


@dataclass
class DeskOrder:
    """An order. sign: 1 to buy, -1 to sell; state: '', accepted, or the word that ended it."""

    id: str
    asset: str
    sign: int
    quantity: Decimal
    limit: Decimal | None
    is_immediate: bool
    state: str = ""
    filled: Decimal = ZERO

    @property
    def left(self) -> Decimal:
        """Return the quantity that may still be filled."""
        return self.quantity - self.filled if self.state in ("", "accepted") else ZERO


class OrderDesk:
    """The book of one account. now: the time; commission: money for each fill; step: smallest quantity."""

    def __init__(
        self,
        outbox: Path,
        inbox: Path,
        prices: Mapping[str, Decimal],
        cash: Decimal,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        commission: Decimal = ZERO,
        step: Decimal = Decimal(1),
        shorting: bool = True,
    ) -> None:
        self.outbox, self.inbox, self.prices, self.now = outbox, inbox, dict(prices), now
        self.commission, self.step, self.shorting = commission, step, shorting
        self.cash, self.fills = cash, 0
        self.positions: dict[str, Decimal] = {}
        self.orders: dict[str, DeskOrder] = {}
        for name in ("acks", "fills"):
            self._repair(name)
        for row in self._written("acks"):
            self._order(row["client_order_id"]).state = row["status"]
        for row in self._written("fills"):
            self._book(row)

    # A round

    def take(self) -> None:
        """Answer new orders, then cancels."""
        for order in self._asked("order"):
            if not order.state:
                why = self._refusal(order)
                self._ack(order, "rejected" if why else "accepted", why)
        for order in self._asked("cancel"):
            if order.left:
                self._ack(order, "cancelled", "cancelled as asked")

    def trade(self, volumes: Mapping[str, Decimal] | None = None) -> None:
        """Fill what is open at the prices; where an asset has a volume, by a share of it for each order."""
        is_open = [order for order in self.orders.values() if order.left]
        wanted: dict[str, Decimal] = {}
        for order in is_open:
            wanted[order.asset] = wanted.get(order.asset, ZERO) + order.left
        for order in sorted(is_open, key=lambda order: order.id):
            price, quantity = self.prices.get(order.asset), order.left
            if price is not None and (order.limit is None or (order.limit - price) * order.sign >= 0):
                volume = (volumes or {}).get(order.asset, wanted[order.asset])
                if volume < wanted[order.asset]:
                    quantity = volume * quantity / wanted[order.asset] // self.step * self.step
                if quantity:
                    self._fill(order, quantity, price)
            if order.left and order.is_immediate:
                self._ack(order, "expired", "not filled at once")

    def end_day(self) -> None:
        """End every order that is open."""
        for order in self.orders.values():
            if order.left:
                self._ack(order, "expired", "the day ended")

    def tell(self) -> None:
        """Write what is held, and the money: snapshots, each renamed into place."""
        at = self.now().isoformat()
        held = [{"time": at, "asset": a, "quantity": str(q)} for a, q in sorted(self.positions.items()) if q]
        self._replace("positions", ("time", "asset", "quantity"), held or [{"time": at, "asset": "", "quantity": "0"}])
        money = {"cash": self.cash, "equity": self._equity(), "buying_power": self._power()}
        row = {"time": at} | {name: f"{amount:f}" for name, amount in money.items()}
        self._replace("account", tuple(row), [row])

    # The book

    def _asked(self, what: str) -> Iterator[DeskOrder]:
        for path in sorted(self.outbox.glob(f"{what}-*")):
            if path.suffix != ".part":
                yield self._order(self._read(path)[0]["client_order_id"])

    def _order(self, id: str) -> DeskOrder:
        if id not in self.orders:
            row = self._read(self._file_of(id))[0]
            self.orders[id] = DeskOrder(
                id=id,
                asset=row["asset"],
                sign=1 if row["side"] == "buy" else -1,
                quantity=Decimal(row["quantity"]),
                limit=Decimal(row["limit"]) if row["limit"] else None,
                is_immediate=row["time_in_force"] == "ioc",
            )
        return self.orders[id]

    def _refusal(self, order: DeskOrder) -> str:
        """Return why an order is not taken, '' if it is."""
        if order.asset not in self.prices:
            return f"no such asset: {order.asset}"
        working = [o for o in self.orders.values() if o.asset == order.asset and o.state == "accepted"]
        held = self.positions.get(order.asset, ZERO)
        after = held + sum((o.sign * o.left for o in working), ZERO) + order.sign * order.quantity
        if order.sign < 0 and not self.shorting and after < 0:
            return f"{order.quantity} {order.asset} can't be sold: {held} are held"
        needed, power = order.quantity * self.prices[order.asset], self._power()
        is_less = not working and abs(after) < abs(held)
        return "" if is_less or needed <= power else f"it needs {needed} of buying power, and {power} is left"

    def _equity(self) -> Decimal:
        return self.cash + sum((q * self.prices[a] for a, q in self.positions.items()), ZERO)

    def _power(self) -> Decimal:
        used = sum((abs(q) * self.prices[a] for a, q in self.positions.items()), ZERO)
        used += sum((o.left * self.prices[o.asset] for o in self.orders.values() if o.state == "accepted"), ZERO)
        return max(LEVERAGE * self._equity() - used, ZERO)

    def _ack(self, order: DeskOrder, state: str, message: str) -> None:
        order.state = state
        values = (order.id, state, f"desk-{order.id}", message, self.now().isoformat())
        self._append("acks", ACKS, dict(zip(ACKS, values, strict=True)))

    def _fill(self, order: DeskOrder, quantity: Decimal, price: Decimal) -> None:
        side = "buy" if order.sign > 0 else "sell"
        values = (f"desk-{self.fills + 1}", order.id, order.asset, side, str(quantity), str(price))
        row = dict(zip(FILLS, (*values, str(self.commission), self.now().isoformat()), strict=True))
        self._append("fills", FILLS, row)  # written first: what a crash forgets, the next start reads
        self._book(row)

    def _book(self, row: Mapping[str, str]) -> None:
        sign, quantity = 1 if row["side"] == "buy" else -1, Decimal(row["quantity"])
        self._order(row["client_order_id"]).filled += quantity
        self.positions[row["asset"]] = self.positions.get(row["asset"], ZERO) + sign * quantity
        self.cash -= sign * quantity * Decimal(row["price"]) + Decimal(row["commission"])
        self.fills += 1

    # Files

    def _file_of(self, id: str) -> Path:
        return self.outbox / f"order-{id}.csv"

    def _read(self, path: Path) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(path.read_text())))

    def _line(self, values: tuple[str, ...]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(values)
        return text.getvalue()

    def _written(self, name: str) -> list[dict[str, str]]:
        path = self.inbox / f"{name}.csv"
        return self._read(path) if path.exists() else []

    def _append(self, name: str, columns: tuple[str, ...], row: Mapping[str, str]) -> None:
        path = self.inbox / f"{name}.csv"
        head = "" if path.exists() and path.stat().st_size else self._line(columns)
        with path.open("a") as file:
            file.write(head + self._line(tuple(row[column] for column in columns)))
            file.flush()
            os.fsync(file.fileno())

    def _repair(self, name: str) -> None:
        """Cut off a last line that a crash left unfinished."""
        path = self.inbox / f"{name}.csv"
        if path.exists():
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)

    def _replace(self, name: str, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
        part = self.inbox / f"{name}.csv.part"
        part.write_text("".join(map(self._line, [columns, *(tuple(row[c] for c in columns) for row in rows)])))
        part.replace(self.inbox / f"{name}.csv")


def prices_of(path: Path) -> dict[str, Decimal]:
    """Read a csv of asset,price."""
    with path.open(newline="") as file:
        return {row["asset"]: Decimal(row["price"]) for row in csv.DictReader(file)}


def main() -> None:
    """Go round until it is stopped."""
    parser = argparse.ArgumentParser(description="Take orders from a folder and fill them, for practice.")
    parser.add_argument("--outbox", type=Path, required=True)
    parser.add_argument("--inbox", type=Path, required=True)
    parser.add_argument("--prices", type=Path, required=True, help="csv of asset,price")
    parser.add_argument("--cash", type=Decimal, default=Decimal(1_000_000))
    parser.add_argument("--commission", type=Decimal, default=ZERO, help="money for each fill")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two rounds")
    given = parser.parse_args()
    desk = OrderDesk(given.outbox, given.inbox, prices_of(given.prices), given.cash, commission=given.commission)
    while True:
        desk.prices |= prices_of(given.prices)
        desk.take()
        desk.trade()
        desk.tell()
        time.sleep(given.every)


if __name__ == "__main__":
    main()
