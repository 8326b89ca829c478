"""The messages about books: corporate actions, renamed assets, differences to the broker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from sigc.rpc.messages.history import Portfolio
from sigc.rpc.messages.requests import Text
from sigc.rpc.schema import Match, Name
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.adjustments import Adjustment

Asset = Annotated[str, Match(r"[^\x00-\x1f]{1,200}")]

BookName = Annotated[str, Match(r"[a-z][a-z0-9_-]{0,62}(/[A-Za-z0-9_-]{1,64})?")]
Quantity = Annotated[str, Match(r"\d{1,15}(\.\d{1,10})?")]


@dataclass(frozen=True, slots=True)
class BookedAction:
    """An entry of a corporate action. change: shares of `asset`; into_change: of `into`; cash, receivable: money.

    Numbers are decimals as text. step: its effect, or the payment of what it owed; corrects: an earlier entry's number.
    """

    number: int
    strategy: str
    portfolio: str
    asset: str
    kind: str
    ex_date: str
    id: str
    step: str
    into: str
    change: str
    into_change: str
    fraction: str
    cash: str
    receivable: str
    session: str
    pay_session: str
    at: datetime
    reason: str
    corrects: int | None = None


@dataclass(frozen=True, slots=True)
class RenameRequest:
    """A renamed asset. portfolio: '' for the strategy's only one."""

    strategy: Name
    old: Asset
    new: Asset
    reason: Text
    portfolio: Portfolio = ""


@dataclass(frozen=True, slots=True)
class RenameReply:
    """The entries made, book by book."""

    entries: tuple[BookedAction, ...]


@dataclass(frozen=True, slots=True)
class RenameStrategyRequest:
    """A strategy whose name has changed in the configuration: its books go on under the new one."""

    old: Name
    new: Name
    reason: Text


@dataclass(frozen=True, slots=True)
class RenameStrategyReply:
    """The portfolios whose books have the new name."""

    portfolios: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MoveSharesRequest:
    """Shares that go from one book to another, each STRATEGY or STRATEGY/PORTFOLIO.

    quantity: positive, a decimal as text; all: all of them. is_paid: cash moves the other way.
    """

    source: BookName
    to: BookName
    asset: Asset
    reason: Text
    quantity: Quantity | Literal["all"] = "all"
    is_paid: bool = False


@dataclass(frozen=True, slots=True)
class MoveCashRequest:
    """Cash that comes into a book or leaves it, STRATEGY or STRATEGY/PORTFOLIO. amount: positive, a decimal as text."""

    book: BookName
    amount: Quantity
    reason: Text


@dataclass(frozen=True, slots=True)
class WriteOffRequest:
    """A worthless position of a book, STRATEGY or STRATEGY/PORTFOLIO."""

    book: BookName
    asset: Asset
    reason: Text


@dataclass(frozen=True, slots=True)
class CloseBookRequest:
    """A book whose positions are closed by orders, STRATEGY or STRATEGY/PORTFOLIO."""

    book: BookName
    reason: Text


@dataclass(frozen=True, slots=True)
class ReconcileRequest:
    """Ask how ledger and broker differ."""


@dataclass(frozen=True, slots=True)
class AdoptRequest:
    """Take what the broker holds into the ledger. strategy, portfolio: the owner of what differs, '' for not said."""

    reason: Text
    strategy: Name | Literal[""] = ""
    portfolio: Portfolio = ""


@dataclass(frozen=True, slots=True)
class DifferenceTold:
    """A difference between ledger and broker, and its likely cause.

    subject: an asset, `(cash)`, or the id of an order, whose amount is what is open of it. Amounts are decimals as
    text.
    """

    subject: str
    ledger: str
    broker: str
    cause: str
    text: str


@dataclass(frozen=True, slots=True)
class AdjustmentTold:
    """An adjusting entry. asset: '' for cash alone; change: of shares; cash: of the book's money."""

    number: int
    strategy: str
    portfolio: str
    asset: str
    change: str
    cash: str
    cause: str
    session: str
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class BookMovedReply:
    """The entries of a change that a person made."""

    entries: tuple[AdjustmentTold, ...]


@dataclass(frozen=True, slots=True)
class ReconcileReply:
    """Ledger and broker compared. adopted: the entries made; left: what differs still."""

    differences: tuple[DifferenceTold, ...]
    adopted: tuple[AdjustmentTold, ...] = ()
    left: tuple[DifferenceTold, ...] = ()


def _amount(number: Decimal) -> str:
    return f"{number.normalize():f}"


def told_adjustment(entry: Adjustment) -> AdjustmentTold:
    """Return an adjusting entry as it goes over the wire."""
    book = entry.book
    return AdjustmentTold(
        *(entry.number, book.strategy, book.portfolio, entry.asset, _amount(entry.change), _amount(entry.cash)),
        *(entry.cause, entry.session, entry.who, entry.reason),
    )


def told(entry: ActionEntry) -> BookedAction:
    """Return an entry as it goes over the wire."""
    amounts = entry.amounts
    return BookedAction(
        entry.number,
        entry.book.strategy,
        entry.book.portfolio,
        entry.asset,
        entry.kind,
        entry.ex_date,
        entry.id,
        entry.step,
        entry.into,
        str(amounts.change),
        str(amounts.into_change),
        str(amounts.fraction),
        str(amounts.cash),
        str(amounts.receivable),
        entry.session,
        entry.pay_session,
        entry.at,
        entry.reason,
        entry.corrects,
    )
