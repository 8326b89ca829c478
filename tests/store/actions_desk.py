"""A ledger at which corporate actions and fills arrive in any order, and what they should come to, computed anew.

desk = Desk(folder)                     a book of 1,000,000, opened long before the sessions of `SESSIONS`
desk.fill("A", 100, SESSIONS[0])        at noon of a session, or another instant
desk.lists(split("A", 3, 2), ...)       the actions file as it is now
desk.book(5)                            all sessions up to the fifth have begun
brute(...)                              the same from nothing, in fractions, by a program of its own
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

from sigc.actions import Action, ActionKind
from sigc.clock import HandClock
from sigc.store.ledger import action_booking as booking
from sigc.store.ledger import action_lists, action_rows, books, orders, proof, runs
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.action_lists import Listing
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Fill, Intent, Nav, Outcome, Run, RunKey, Side

KEY = BookKey("one", "main")
OTHER = BookKey("two", "main")
SESSIONS = tuple(date(2016, 1, 4) + timedelta(days=d) for d in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 14, 15))
CAPITAL = Decimal(1_000_000)
NOON = timedelta(hours=-9)  # after a close at 21:00


def close(at: int) -> datetime:
    """The close of a session by its place."""
    day = SESSIONS[at]
    return datetime(day.year, day.month, day.day, 21, tzinfo=UTC)


def action(kind: str, asset: str, at: int, *, pay: int | None = None, **more: Any) -> Action:
    """An action on the session at a place, paid on another."""
    paid = None if pay is None else SESSIONS[pay]
    return Action(SESSIONS[at], asset, ActionKind(kind), pay_date=paid, **more)


def due(one: Action, price: str | None = "10") -> DueAction:
    """With its place among the sessions."""
    at = next(i for i, day in enumerate(SESSIONS) if day >= one.ex_date)
    paid = one.pay_date or one.ex_date
    pay = next(i for i, day in enumerate(SESSIONS) if day >= paid)
    known = None if price is None else Decimal(price)
    return DueAction(one, str(SESSIONS[at]), close(at - 1), str(SESSIONS[max(at, pay)]), known)


@dataclass(frozen=True, slots=True)
class State:
    """What a book has. held: without zeros."""

    held: dict[str, Fraction]
    cash: Fraction
    owed: Fraction


class Desk:
    """A ledger in a folder, with its books open."""

    def __init__(self, folder: Path, *keys: BookKey, step: str = "1") -> None:
        self.clock = HandClock(datetime(2015, 12, 1, 12, tzinfo=UTC))
        self.ledger = Ledger.open(folder, self.clock, durable=False)
        self.step = Decimal(step)
        self.number = 0
        with self.ledger.transaction("control") as tx:
            for key in keys or (KEY,):
                books.open_book(tx, key, CAPITAL, self.clock.now())

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ledger.close()

    def fill(self, asset: str, quantity: int | str, at: int | datetime, key: BookKey = KEY, price: str = "10") -> None:
        """A fill becomes known. at: its instant, or the session at whose noon it was made."""
        self.number += 1
        id = f"o{self.number}"
        when = close(at) + NOON if isinstance(at, int) else at
        size = Decimal(quantity)
        side = Side.BUY if size > 0 else Side.SELL
        run = Run(f"r-{id}", RunKey(key.strategy, key.portfolio, str(when.date()), slot=id), "", 0, when, "ann")
        done = Fill(f"e-{id}", id, asset, side, abs(size), Decimal(price), Decimal(0), when)
        with self.ledger.transaction("intents") as tx:
            runs.open_run(tx, run, {})
            runs.close_run(tx, run, when, Outcome.DONE, "")
            orders.plan(tx, [Intent(id, run.id, run.key, 0, asset, side, abs(size), Decimal(price))])
            books.take_in(tx, (done,), (), id)

    def lists(self, *actions: Action, key: BookKey = KEY, price: str | None = "10") -> None:
        """The file of a book's strategy says this now."""
        with self.ledger.transaction("actions") as tx:
            listing = Listing(actions, lambda one: due(one, price))
            action_lists.take(tx, key, action_lists.changed(tx.connection, key, listing))

    def wants(self, pending: dict[str, float], key: BookKey = KEY) -> None:
        """A run decided, and these weights wait for a price."""
        self.number += 1
        now = self.clock.now()
        run = Run(
            f"d{self.number}", RunKey(key.strategy, key.portfolio, str(now.date())), str(now.date()), 0, now, "ann"
        )
        with self.ledger.transaction("intents") as tx:
            runs.open_run(tx, run, {})
            runs.mark_decided(tx, run)
            tx.audit(runs.event("run.decided", run, {"pending": pending}))
            runs.close_run(tx, run, now, Outcome.DONE, "")

    def book(self, through: int) -> tuple[ActionEntry, ...]:
        """Sessions up to that place have begun."""
        with self.ledger.transaction("actions") as tx:
            return booking.book(tx, str(SESSIONS[through]), self.step)

    def values(self, through: int, key: BookKey = KEY) -> None:
        """The NAV of a session is told, whatever it is."""
        with self.ledger.transaction("fills") as tx:
            books.put_nav(tx, Nav(key, str(SESSIONS[through]), CAPITAL, CAPITAL, Decimal(0), Decimal(0)))

    def state(self, key: BookKey = KEY) -> State:
        """As the ledger has it, proven by the records of its changes."""
        with self.ledger.reading() as connection:
            assert proof.faults(connection) == ()
            book = books.book(connection, key)
            assert book is not None
            held = {a: Fraction(q) for a, q in books.quantities(connection, key).items()}
            return State(held, Fraction(book.cash), Fraction(book.receivables))

    def entries(self, key: BookKey = KEY) -> list[ActionEntry]:
        """Oldest first."""
        with self.ledger.reading() as connection:
            return sorted(action_rows.entries_of_book(connection, key), key=lambda e: e.number)

    def events(self, prefix: str) -> list[str]:
        """The audit events of that kind."""
        with self.ledger.reading() as connection:
            rows = connection.execute("SELECT event FROM audit WHERE event LIKE ? ORDER BY seq", (f"{prefix}%",))
            return [event for (event,) in rows]


def cents(amount: Fraction) -> Fraction:
    """Money in cents by decimal arithmetic, halves to even."""
    decimal = Decimal(amount.numerator) / Decimal(amount.denominator)
    return Fraction(decimal.quantize(Decimal("0.01"), ROUND_HALF_EVEN))


_ORDER = ["split", "dividend", "spinoff", "merge", "delist"]


def brute(
    fills: Iterable[tuple[str, int, datetime]], actions: Sequence[Action], through: int, price: int = 10
) -> State:
    """A book of `CAPITAL` that knew everything in time, whole shares, fills at 10; nothing of sigc's in it."""
    held: dict[str, Fraction] = defaultdict(Fraction)
    cash, owed, left = Fraction(CAPITAL), Fraction(0), sorted(fills, key=lambda f: f[2])

    def trade(until: datetime | None) -> None:
        nonlocal cash
        while left and (until is None or left[0][2] <= until):
            asset, quantity, _ = left.pop(0)
            held[asset] += quantity
            cash -= quantity * 10

    def pay(one: Action, amount: Fraction) -> None:
        nonlocal cash, owed
        amount = cents(amount)
        paid = max(one.pay_date or one.ex_date, one.ex_date)
        if paid <= SESSIONS[through]:
            cash += amount
        else:
            owed += amount

    def whole(number: Fraction) -> Fraction:
        return Fraction(int(number))  # toward zero

    def act(one: Action, later: list[tuple[str, Fraction]]) -> None:
        nonlocal cash
        had = held[one.asset]
        if one.kind == "split":
            held[one.asset] = whole(had * one.ratio)
            cash += cents((had * one.ratio - held[one.asset]) * price / one.ratio)
        elif one.kind == "dividend":
            pay(one, had * Fraction(str(one.cash)))
        elif one.kind == "delist":
            worth = Fraction(str(one.value)) if one.value is not None else price * (1 + Fraction(str(one.total_return)))
            held[one.asset] = Fraction(0)
            pay(one, had * worth)
        else:
            came = had * one.ratio if one.into else Fraction(0)
            later.append((one.into, whole(came)))
            each = Fraction(price)
            if one.kind == "merge":
                held[one.asset] = Fraction(0)
                each = (price - Fraction(str(one.cash))) / one.ratio
            cash += cents((came - whole(came)) * each)
            pay(one, had * Fraction(str(one.cash)))

    for at in range(1, through + 1):
        trade(close(at - 1))
        first = SESSIONS[at - 1] + timedelta(days=1)
        today = [one for one in actions if first <= one.ex_date <= SESSIONS[at]]
        renamed = {one.asset: one.into for one in today if one.kind == "rename"}
        others = sorted((one for one in today if one.kind != "rename"), key=lambda one: _ORDER.index(one.kind))
        later: list[tuple[str, Fraction]] = []
        for one in others:
            if one.asset in renamed:
                act(one, later)
        old = {name: held.pop(name, Fraction(0)) for name in renamed}
        for name, quantity in old.items():
            held[renamed[name]] += quantity
        for one in others:
            if one.asset not in renamed:
                act(one, later)
        for name, quantity in later:
            held[name] += quantity
    trade(None)
    return State({a: q for a, q in held.items() if q}, cash, owed)


def split(asset: str, ratio: int | Fraction, at: int, **more: Any) -> Action:
    return action("split", asset, at, ratio=Fraction(ratio), **more)


def dividend(asset: str, cash: float, at: int, **more: Any) -> Action:
    return action("dividend", asset, at, cash=cash, **more)


def arrivals(folder: Path) -> dict[str, list[str]]:
    """What is booked of 100 shares of A, 2:1 on the second session, told in seven ways; in words."""
    found: dict[str, list[str]] = {}

    def told(name: str, *lists: tuple[int, tuple[Action, ...]]) -> None:
        with Desk(folder / name.replace(" ", "-")) as desk:
            desk.fill("A", 100, 0)
            for through, actions in lists:
                desk.lists(*actions)
                desk.book(through)
                desk.values(through)
            desk.state()
            found[name] = [
                f"{e.asset} {e.kind} {e.ex_date}: {e.amounts.change:+} {e.into} {e.reason}".replace("  ", " ")
                + (f" of {e.corrects}" if e.corrects else "")
                for e in desk.entries()
            ]

    one = split("A", 2, 1)
    told("today", (1, (one,)))
    told("three days late", (1, ()), (4, (one,)))
    told("years late", (1, ()), (len(SESSIONS) - 2, (one,)))
    told("twice", (1, (one,)), (2, (one, one)))
    told("corrected", (1, (one,)), (3, (split("A", 3, 1),)))
    told(
        "renamed",
        (2, (action("rename", "A", 1, into="B"),)),
        (4, (action("rename", "A", 1, into="B"), split("B", 2, 3))),
    )
    told(
        "late before a rename",
        (4, (action("rename", "A", 3, into="B"),)),
        (5, (action("rename", "A", 3, into="B"), one)),
    )
    return found


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        for name, lines in arrivals(Path(place)).items():
            print(f"{name}:", *lines, sep="\n    ")
