"""The ledger proves itself: its tables must hold what the records of their changes in the audit chain come to.

    prove(tx)           at a start: a halt that vanished from its table is a halt again; books that are not what the
                        chain comes to halt everything
    accept(tx, ...)     a person who lifts that halt has seen what it names: the same does not halt again; what differs
                        beyond that halts anew
    faults(connection)  all that differs, for `sigc audit verify`: decisions, books, positions, orders, fills, NAVs,
                        entries of actions and adjustments, shares of charges

Whoever changes a table and not the chain is found here; whoever changes both, by the chain's digests
(`../audit/verify.py`). The chain is replayed by `replay.py`.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from sigc.errors import Diagnostic, SigcError
from sigc.store.ledger import books, breakers, control, halting
from sigc.store.ledger.control import Control
from sigc.store.ledger.ledger import Transaction
from sigc.store.ledger.records import ZERO, BookKey
from sigc.store.ledger.replay import OF_BOOKS, OF_CONTROL, RENAMED, Replayed, replay

_NOT_WHOLE = (
    "ledger"  # the value of the halt of a ledger that is not what its chain comes to, before its faults' digest
)
_BESIDE = " (beside the halt by "  # in the reason of that halt: the one that it replaced
_PROVER = "ledger proof"
_ACCEPTED = "fault"  # the name of decisions: a person has seen the fault of that scope, and trades on
_SHOWN = 5
_MONEY = ("nav", "cash", "gross", "net", "receivables")
_ENTRY = ("asset", "change", "into_change", "cash", "receivable")
_ADJUSTMENT = ("asset", "change", "cash")
_FILL = ("client_order_id", "asset", "side", "quantity", "price", "commission")


@dataclass(frozen=True, slots=True, order=True)
class LedgerFault:
    """A value that is not what the chain comes to. gap: by how much an amount differs, '' for what is no amount."""

    what: str
    text: str
    gap: str = ""

    @property
    def key(self) -> str:
        """Return what stays the same of it while trading goes on."""
        return f"{self.what} {self.gap}".rstrip()

    def __str__(self) -> str:
        return f"{self.what}: {self.text}"


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of a start. put_back: halts and pauses that had vanished; faults: new ones, which halt everything."""

    put_back: tuple[Control, ...] = ()
    faults: tuple[LedgerFault, ...] = ()


def prove(tx: Transaction) -> Proof:
    """Put vanished stops and tripped breakers back; halt everything if the books are not what the chain comes to.

    Reads the whole file, and the records of all fills and entries. Raise SigcError E310 for a file that is damaged.
    """
    (damage,) = tx.connection.execute("PRAGMA quick_check(1)").fetchone()
    if damage != "ok":
        hint = "nothing was written; restore a copy of the work dir"
        raise SigcError(Diagnostic("E310", f"the ledger's file is damaged: {damage}", hint=hint))
    gone = _vanished_stops(tx.connection)
    for stop in gone:
        why = f"{stop.reason} (it had vanished from the ledger)".lstrip()
        control.put(tx, stop.name, stop.scope, stop.value, stop.who, why)
    new = faults(tx.connection, is_whole=False)
    if new:
        _halt_for(tx, new)
    return Proof(gone, new)


def is_of_proof(held: Control) -> bool:
    """Return True for the halt that a proof has set."""
    return held.value.partition(" ")[0] == _NOT_WHOLE


def accept(tx: Transaction, held: Control, who: str, reason: str) -> bool:
    """Record that a person has seen what a halt names, and lets trading go on with it.

    Return False, with nothing accepted and the halt naming what differs now, if that is not the same any more.
    """
    found = faults(tx.connection, is_whole=False)
    if found and held.value != _value_of(found):
        _halt_for(tx, found)
        return False
    for fault in found:
        control.put(tx, _ACCEPTED, fault.key, fault.text, who, reason)
    return True


def _halt_for(tx: Transaction, found: tuple[LedgerFault, ...]) -> None:
    """Halt everything and name what differs, and the halt that this one stands for from now on, if there is one."""
    held = control.get(tx.connection, control.HALTED, "")
    value, beside = _value_of(found), ""
    if held is not None:
        if held.value == value:
            return
        _, mark, rest = held.reason.partition(_BESIDE)
        beside = mark + rest if is_of_proof(held) else f"{_BESIDE}{held.who}: {held.reason or held.value})"
    halting.halt(tx, "", value, _PROVER, f"the ledger is not what its audit comes to: {shown(found)}{beside}")


def _value_of(found: tuple[LedgerFault, ...]) -> str:
    keys = "\n".join(sorted(fault.key for fault in found))
    return f"{_NOT_WHOLE} {hashlib.sha256(keys.encode()).hexdigest()[:16]}"


def accepted(connection: sqlite3.Connection) -> tuple[Control, ...]:
    """Return the faults that a person has accepted: the scope says of what and by how much."""
    return control.every(connection, _ACCEPTED)


def shown(found: tuple[LedgerFault, ...]) -> str:
    """Return the first faults in words."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(map(str, found[:_SHOWN])) + more


def faults(connection: sqlite3.Connection, *, is_whole: bool = True) -> tuple[LedgerFault, ...]:
    """Return each value that is not what the chain comes to, and that nobody accepted. Read in one transaction.

    is_whole: False leaves out what no run is sized by: single orders, fills, entries, and NAVs.
    """
    is_ours = not connection.in_transaction
    if is_ours:
        connection.execute("BEGIN")
    try:
        found = replay(connection, None if is_whole else (*OF_CONTROL, *OF_BOOKS))
        told = [*_of_control(connection, found), *_of_books(connection, found)]
        if is_whole:
            for part in (_of_orders, _of_fills, _of_navs, _of_entries, _of_charges):
                told += part(connection, found)
        known = {one.scope for one in accepted(connection)}
        return tuple(fault for fault in told if fault.key not in known)
    finally:
        if is_ours:
            connection.execute("COMMIT")


def _vanished_stops(connection: sqlite3.Connection) -> tuple[Control, ...]:
    """Return the halts, pauses and tripped breakers that no record lifts and that are not in force any more."""
    found = replay(connection, (*OF_CONTROL, RENAMED)).control
    return tuple(
        Control(name, scope, value, who, reason, datetime.min.replace(tzinfo=UTC))
        for (name, scope), (value, who, reason) in sorted(found.items())
        if name in (control.HALTED, control.PAUSED, breakers.BREAKER) and control.get(connection, name, scope) is None
    )


def _decision(name: str, scope: str) -> str:
    return f"{name} {scope or '(everything)'}"


def _of_control(connection: sqlite3.Connection, found: Replayed) -> Iterator[LedgerFault]:
    kept = {(n, s): (v, w) for n, s, v, w in connection.execute("SELECT name, scope, value, who FROM control")}
    for name, scope in sorted({*kept, *found.control}):
        what = _decision(name, scope)
        if (name, scope) not in kept:
            _, who, reason = found.control[name, scope]
            yield LedgerFault(
                what, f"set by {who or 'sigc'}{f': {reason}' if reason else ''}, and never lifted: it is gone"
            )
        elif (name, scope) not in found.control:
            yield LedgerFault(what, "it is in force, and no record says who set it")
        elif kept[name, scope] != found.control[name, scope][:2]:
            value, who = kept[name, scope]
            was, by, _ = found.control[name, scope]
            yield LedgerFault(what, f"it says '{value}' by {who or 'sigc'}, its record '{was}' by {by or 'sigc'}")


def _of_books(connection: sqlite3.Connection, found: Replayed) -> Iterator[LedgerFault]:
    known = {book.key: book for book in books.books(connection)}
    for key in sorted({*known, *found.capital}):
        name = f"{key.strategy}/{key.portfolio}"
        if key not in known or key not in found.capital:
            yield LedgerFault(f"book {name}", "it is gone" if key not in known else "no record says that it was opened")
            continue
        book = known[key]
        amounts = (
            ("capital", book.capital, found.capital[key]),
            ("cash", book.cash, found.cash[key]),
            ("receivables", book.receivables, found.owed.get(key, ZERO)),
        )
        for what, kept, told in amounts:
            if kept != told:
                yield _amount(f"{what} of {name}", kept, told)
    held = {(p.book, p.asset): p.quantity for p in books.positions(connection)}
    for key, asset in sorted({*held, *found.held}):
        kept, told = held.get((key, asset), ZERO), found.held.get((key, asset), ZERO)
        if kept != told:
            yield _amount(f"{asset} in {key.strategy}/{key.portfolio}", kept, told)


def _of_orders(connection: sqlite3.Connection, found: Replayed) -> Iterator[LedgerFault]:
    left = dict(found.orders)
    columns = "client_order_id, asset, side, quantity, reference, limit_price, order_type, state, filled"
    for id, asset, side, quantity, reference, limit, kind, state, filled in connection.execute(
        f"SELECT {columns} FROM intents ORDER BY number"  # noqa: S608
    ):
        order = left.pop(id, None)
        if order is None:
            yield LedgerFault(f"order {id}", "no record says that it was planned")
            continue
        told = order.told
        pairs = (
            ("asset", asset, told["asset"]),
            ("side", side, told["side"]),
            ("quantity", quantity, told["quantity"]),
            ("reference", reference, told["reference"]),
            ("limit", limit, told["limit"]),
            ("type", kind, told["type"]),
            ("state", state, order.state),
        )
        yield from _differing(f"order {id}", pairs)
        if Decimal(filled) != order.filled:
            yield LedgerFault(f"order {id}", f"filled {filled}, the records come to {_plain(order.filled)}")
    for id in sorted(left):
        yield LedgerFault(f"order {id}", "it was planned, and is gone")


def _of_fills(connection: sqlite3.Connection, found: Replayed) -> Iterator[LedgerFault]:
    left = dict(found.fills)
    query = f"SELECT execution_id, at, {', '.join(_FILL)} FROM fills ORDER BY number"  # noqa: S608
    for id, at, *values in connection.execute(query):
        told = left.pop(id, None)
        if told is None:
            yield LedgerFault(f"fill {id}", "no record of it")
            continue
        yield from _differing(f"fill {id}", [(n, v, told[n]) for n, v in zip(_FILL, values, strict=True)])
        if datetime.fromisoformat(at) != datetime.fromisoformat(told["at"]):
            yield LedgerFault(f"fill {id}", f"at {at}, its record says {told['at']}")
    for id in sorted(left):
        yield LedgerFault(f"fill {id}", "it was booked, and is gone")


def _of_entries(connection: sqlite3.Connection, found: Replayed) -> Iterator[LedgerFault]:
    for table, names, told in (
        ("action_entries", _ENTRY, found.actions),
        ("adjustments", _ADJUSTMENT, found.adjustments),
    ):
        left = dict(told)
        for number, *values in connection.execute(f"SELECT number, {', '.join(names)} FROM {table} ORDER BY number"):  # noqa: S608
            what, said = f"{table} {number}", left.pop(number, None)
            if said is None:
                yield LedgerFault(what, "no record of it")
            else:
                yield from _differing(what, [(n, v, said[n]) for n, v in zip(names, values, strict=True)])
        for number in sorted(left):
            yield LedgerFault(f"{table} {number}", "it was booked, and is gone")


def _of_charges(connection: sqlite3.Connection, found: Replayed) -> Iterator[LedgerFault]:
    left = dict(found.shares)
    for id, strategy, portfolio, amount in connection.execute(
        "SELECT id, strategy, portfolio, amount FROM charge_shares ORDER BY id"
    ):
        key = BookKey(strategy, portfolio)
        yield from _differing(f"charge {id}", [(f"of {strategy}/{portfolio}", amount, left.pop((id, key), "nothing"))])
    for id, key in sorted(left):
        yield LedgerFault(f"charge {id}", f"of {key.strategy}/{key.portfolio}: it was booked, and is gone")


def _of_navs(connection: sqlite3.Connection, found: Replayed) -> Iterator[LedgerFault]:
    left = dict(found.navs)
    for strategy, portfolio, session, *values in connection.execute(
        "SELECT strategy, portfolio, session, nav, cash, gross, net, receivables FROM nav"
    ):
        key = BookKey(strategy, portfolio)
        what, told = f"NAV of {strategy}/{portfolio} at {session}", left.pop((key, session), None)
        if told is None:
            yield LedgerFault(what, "no record of it")
            continue
        for name, value in zip(_MONEY, values, strict=True):
            if Decimal(value) != Decimal(told.get(name, "0")):
                yield LedgerFault(what, f"{name} is {value}, its record says {told.get(name, '0')}")
    for key, session in sorted(left):
        yield LedgerFault(f"NAV of {key.strategy}/{key.portfolio} at {session}", "it was told, and is gone")


def _amount(what: str, kept: Decimal, told: Decimal) -> LedgerFault:
    return LedgerFault(what, f"{_plain(kept)}, the records come to {_plain(told)}", f"{kept - told:+f}")


def _differing(what: str, pairs: Iterable[tuple[str, object, object]]) -> Iterator[LedgerFault]:
    for name, kept, told in pairs:
        if kept != told:
            yield LedgerFault(what, f"{name} is {kept}, its record says {told}")


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
