"""Books changed by a person: shares to another book, money in and out, a worthless position written off.

Each is one transaction of adjusting entries (`adjustments.py`). Raise SigcError: E312 for a book that is not there,
E804 while a run of a concerned book is under way or an order in the asset is open, or for more than the book has.

Shares that move keep their average cost, and count as a flow at their last accepted price, so that neither book shows
a return. They count from the same session in both books, and corporate actions of that session find them there. Cash
is a flow too, and changes the capital that sizes go by. A write-off is a loss of the cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import action_rows, books, orders, price_marks, runs
from sigc.store.ledger.accounts import position
from sigc.store.ledger.adjustments import Adjustment, GapCause, adjust
from sigc.store.ledger.book_names import name_of
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.price_marks import Priced
from sigc.store.ledger.records import UNASSIGNED, ZERO, BookKey

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class SharesMoved:
    """Shares of a long or short position of `source` go to another book. quantity: positive; None: all of them.

    is_paid: cash moves the other way, at the last accepted price, which is then the cost in the new book.
    """

    source: BookKey
    to: BookKey
    asset: str
    quantity: Decimal | None = None
    is_paid: bool = False

    def __str__(self) -> str:
        quantity = "all" if self.quantity is None else f"{self.quantity:f}"
        return f"{quantity} {self.asset} of {_name(self.source)} to {_name(self.to)}{' for cash' * self.is_paid}"


@dataclass(frozen=True, slots=True)
class CashMoved:
    """Cash that comes into a book and into the account, or (negative) leaves both. In whole cents."""

    book: BookKey
    amount: Decimal

    def __str__(self) -> str:
        return f"{self.amount:f} {'into' if self.amount > 0 else 'out of'} {_name(self.book)}"


@dataclass(frozen=True, slots=True)
class WriteOff:
    """A worthless position of a book, which leaves at a price of 0."""

    book: BookKey
    asset: str

    def __str__(self) -> str:
        return f"{self.asset} of {_name(self.book)}"


def _name(book: BookKey) -> str:
    return f"{book.strategy}/{book.portfolio}"


BookMove = SharesMoved | CashMoved | WriteOff


@dataclass(frozen=True, slots=True)
class BookMover:
    """The person who changes a book, why, and when.

    as_of: the last complete session, and `since` its close. session_after: the session after an ISO date.
    """

    who: str
    reason: str
    as_of: str
    since: datetime
    session_after: Callable[[str], str]


def move(tx: Transaction, by: BookMover, what: BookMove) -> tuple[Adjustment, ...]:
    """Carry out a change. Return its entries."""
    match what:
        case SharesMoved():
            entries = _shares(tx, by, what)
        case CashMoved():
            entries = _cash(tx, by, what)
        case WriteOff():
            entries = _written_off(tx, by, what)
    return adjust(tx, entries)


def _cash(tx: Transaction, by: BookMover, what: CashMoved) -> tuple[Adjustment, ...]:
    key, amount = what.book, what.amount
    book = _known(tx, key)
    _refuse_busy(tx, (key,))
    if not amount or amount % _CENT:
        raise _refusal(f"{_plain(abs(amount))} is no amount of money", "give it in whole cents")
    if amount < -book.cash and amount < 0:
        raise _refusal(
            f"{name_of(key)} has {_plain(book.cash)} of cash: {_plain(-amount)} can't be withdrawn",
            "sell first, or withdraw less",
        )
    cause = GapCause.DEPOSIT if amount > 0 else GapCause.WITHDRAWAL
    session = _session(tx, by, (key,))
    return (Adjustment(key, "", ZERO, amount, cause, None, session, by.since, by.who, by.reason),)


def _written_off(tx: Transaction, by: BookMover, what: WriteOff) -> tuple[Adjustment, ...]:
    key, asset = what.book, what.asset
    _known(tx, key)
    _refuse_busy(tx, (key,), asset)
    held, _ = position(tx, key, asset)
    if not held:
        raise _refusal(f"{name_of(key)} does not hold {asset}", "`sigc positions` shows what it holds")
    cause, session = GapCause.WRITE_OFF, _session(tx, by, (key,))
    return (Adjustment(key, asset, -held, ZERO, cause, ZERO, session, by.since, by.who, by.reason),)


def _shares(tx: Transaction, by: BookMover, what: SharesMoved) -> tuple[Adjustment, ...]:
    source, to, asset = what.source, what.to, what.asset
    _known(tx, source)
    if to == UNASSIGNED:
        books.open_book(tx, UNASSIGNED, ZERO, tx.at, by.as_of)
    _known(tx, to)
    if source == to:
        raise _refusal(f"both books are {name_of(source)}", "name another one")
    _refuse_busy(tx, (source, to), asset)
    held, average = position(tx, source, asset)
    size = abs(held) if what.quantity is None else what.quantity
    if not ZERO < size <= abs(held):
        wanted = "nothing" if what.quantity is None else _plain(size)
        raise _refusal(
            f"{name_of(source)} holds {_plain(held)} of {asset}: {wanted} can't move", "`sigc positions` shows it"
        )
    change = size if held > 0 else -size
    known = _last_price(tx, source, asset)
    worth = None if known is None else known.price
    if what.is_paid and worth is None:
        raise _refusal(f"{asset} has no accepted price", "move it without --value")
    cash = change * worth if what.is_paid and worth is not None else ZERO
    session = _session(tx, by, (source, to))
    if known is not None:
        _keep_price(tx, to, asset, known)
    _keep_watermark(tx, source, to, asset)
    price = worth if what.is_paid else average
    return tuple(
        Adjustment(
            *(key, asset, sign * change, -sign * cash, GapCause.TRANSFER, price, session, by.since, by.who, by.reason),
            worth=worth,
        )
        for key, sign in ((source, -1), (to, 1))
    )


def _known(tx: Transaction, key: BookKey) -> books.Book:
    found = books.book(tx.connection, key)
    if found is None:
        hint = "`sigc book list` shows those there are"
        raise SigcError(Diagnostic("E312", f"there is no book {name_of(key)}", hint=hint))
    return found


def _refusal(message: str, hint: str) -> SigcError:
    return SigcError(Diagnostic("E804", message, hint=hint))


def _refuse_busy(tx: Transaction, keys: tuple[BookKey, ...], asset: str = "") -> None:
    """Raise E804 while a run of one of the books is under way, or an order in the asset is open in any book."""
    names = {(key.strategy, key.portfolio) for key in keys}
    going = [run.id for run in runs.left_open(tx.connection) if (run.key.strategy, run.key.portfolio) in names]
    if going:
        raise _refusal(f"the run {going[0]} is under way", "wait for its end, or cancel it")
    waiting = orders.in_flight_of(tx.connection, asset) if asset else ()
    if waiting:
        raise _refusal(f"the order {waiting[0].client_order_id} in {asset} is open", "wait for its end, or cancel it")


def _session(tx: Transaction, by: BookMover, keys: tuple[BookKey, ...]) -> str:
    """Return the first session of which none of the books has a NAV."""
    navs = (books.last_nav(tx.connection, key) for key in keys)
    return max(by.as_of if nav is None else by.session_after(nav.session) for nav in navs)


def _last_price(tx: Transaction, key: BookKey, asset: str) -> Priced | None:
    """Return the price of a position in the book's newest NAV, in the units of the positions."""
    found, nav = price_marks.prices_of(tx.connection, key).get(asset), books.last_nav(tx.connection, key)
    if found is None or nav is None:
        return found
    due = action_rows.between(tx.connection, nav.session, action_rows.progress(tx.connection)[0])
    return Priced(action_rows.restated({asset: found.price}, due).get(asset, found.price), found.day)


def _keep_price(tx: Transaction, key: BookKey, asset: str, known: Priced) -> None:
    """Let a book that does not load the asset's data value it at the price it came with."""
    prices = price_marks.prices_of(tx.connection, key)
    if asset not in prices:
        price_marks.put_prices(tx, key, {**prices, asset: known})


def _keep_watermark(tx: Transaction, source: BookKey, to: BookKey, asset: str) -> None:
    """Let corporate actions that shares adopted from the broker have in them leave them alone in the new book too."""
    known = action_rows.watermarks(tx.connection)
    session = known.get((source, asset), "")
    if session > known.get((to, asset), "") and not position(tx, to, asset)[0]:
        action_rows.put_watermark(tx, to, asset, session, "moved")


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
