"""Renaming of a strategy in the ledger: its books, its runs and what is kept by its name go on under the new one.

The audit keeps the old name, with one record of the change. A simulated broker knows a deposit by the name under which
the book was opened (`books.funded`), which stays: capital is not deposited twice.
"""

from __future__ import annotations

from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import books, breakers, price_marks, runs
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import BookKey, RunKind

_TABLES = (
    *("books", "positions", "nav", "charge_shares", "action_entries", "action_lists", "action_watermarks"),
    *("adjustments", "runs", "run_orders", "book_counts"),
)


def rename_strategy(tx: Transaction, old: str, new: str, who: str, reason: str) -> tuple[BookKey, ...]:
    """Rename all books of a strategy. Return their new keys.

    Raise SigcError E312 without a book of `old`, E804 if `new` has one already, or a run of either is under way.
    """
    names = [book.key.strategy for book in books.books(tx.connection)]
    if old not in names or old == new:
        hint = did_you_mean(old, names) or "`sigc positions` shows those there are"
        raise SigcError(Diagnostic("E312", f"there is no book of '{old}'", hint=hint))
    if new in names:
        raise SigcError(Diagnostic("E804", f"'{new}' has a book already: two books can't become one"))
    going = [
        r.id for r in runs.left_open(tx.connection) if r.key.kind is RunKind.TRADE and r.key.strategy in (old, new)
    ]
    if going:
        raise SigcError(Diagnostic("E804", f"the run {going[0]} is under way", hint="wait for its end"))
    keys = tuple(book.key for book in books.books(tx.connection) if book.key.strategy == old)
    for table in _TABLES:
        tx.connection.execute(f"UPDATE {table} SET strategy = ? WHERE strategy = ?", (new, old))  # noqa: S608
    tx.connection.execute("UPDATE control SET scope = ? WHERE scope = ?", (new, old))
    breakers.rename(tx, old, new)
    renamed = tuple(BookKey(new, key.portfolio) for key in keys)
    for before, after in zip(keys, renamed, strict=True):
        price_marks.move_prices(tx, before, after)
    tx.audit(AuditEvent("book.renamed", {"old": old, "new": new, "reason": reason}, strategy=new, who=who))
    return renamed
