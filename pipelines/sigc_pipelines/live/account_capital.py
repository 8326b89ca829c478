"""The account's equity bounds what its books may be given: two books of the whole account would trade it twice."""

from __future__ import annotations

from decimal import Decimal

from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import books
from sigc.store.ledger.book_names import name_of
from sigc.store.ledger.records import ZERO, BookKey
from sigc.words import counted
from sigc_pipelines.brokers.protocol import UnreachableError, simulation
from sigc_pipelines.live.trading import Trading

_CENT = Decimal("0.01")


def refuse_beyond_equity(trading: Trading, key: BookKey, money: Decimal) -> None:
    """Refuse `money` for a book, its first capital or a deposit, that the account does not have beside the others.

    A book counts with its newest NAV, before the first with its capital. Of a simulation nothing is asked: it is given
    the money. Raise SigcError E804, or E601 if the broker does not answer.
    """
    if simulation(trading.broker) is not None:
        return
    with trading.ledger.reading() as connection:
        navs = [(book, books.last_nav(connection, book.key)) for book in books.books(connection)]
    worth = sum((book.capital if nav is None else nav.nav for book, nav in navs), ZERO)
    try:
        equity = trading.broker.account().equity
    except UnreachableError as silent:
        raise SigcError(Diagnostic("E601", str(silent), hint="nothing was changed")) from silent
    if worth + money > equity:
        others = f" and {counted(len(navs), 'other book')}, worth {_text(worth)}," if navs else ""
        message = f"{_text(money)} for {name_of(key)}{others} is more than the account's equity of {_text(equity)}"
        hint = "give less (capital, in the configuration), or take money out of a book: sigc book withdraw"
        raise SigcError(Diagnostic("E804", message, hint=hint))


def _text(amount: Decimal) -> str:
    return f"{amount.quantize(_CENT):,}"
