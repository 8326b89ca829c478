"""The messages about books: entries of corporate actions, and renaming an asset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from sigc.rpc.messages.history import Portfolio
from sigc.rpc.messages.requests import Text
from sigc.rpc.schema import Match, Name
from sigc.store.ledger.action_rows import ActionEntry

Asset = Annotated[str, Match(r"[^\x00-\x1f]{1,200}")]


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
