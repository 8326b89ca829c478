"""The verbs of books: rename an asset or a strategy; move shares and money; close one; compare with the broker, and
adopt what it holds.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial

from sigc.daemon import four_eyes
from sigc.daemon.controller import Controller
from sigc.daemon.ordering import refusal
from sigc.daemon.runner import Adopting
from sigc.daemon.verbs.control import who_of
from sigc.rpc.messages.books import (
    AdoptRequest,
    BookMovedReply,
    CloseBookRequest,
    MoveCashRequest,
    MoveSharesRequest,
    ReconcileReply,
    ReconcileRequest,
    RenameReply,
    RenameRequest,
    RenameStrategyReply,
    RenameStrategyRequest,
    WriteOffRequest,
    told,
    told_adjustment,
)
from sigc.rpc.messages.kill import KillReply
from sigc.rpc.verb import Role, VerbCall, verb
from sigc.store.history import history
from sigc.store.ledger.book_moves import BookMove, CashMoved, SharesMoved, WriteOff
from sigc.store.ledger.book_names import named
from sigc.store.ledger.book_rename import rename_strategy
from sigc.store.ledger.records import UNASSIGNED, BookKey

MoveRequest = MoveSharesRequest | MoveCashRequest | WriteOffRequest


@verb("book/rename-asset", "POST", Role.TRADE)
async def book_rename_asset(call: VerbCall[Controller], request: RenameRequest) -> RenameReply:
    """Rename an asset in every book that holds it, and in a paper broker's book; nothing is traded."""
    if not request.reason:
        raise refusal("a renaming needs a reason", "give one by --reason '...'")
    look = partial(history.book_of, strategy=request.strategy, portfolio=request.portfolio)
    book = await call.daemon.books.read(look)
    if book is None:
        raise refusal(f"there is no book of '{request.strategy}'", "`sigc positions` shows those there are")
    rename = call.daemon.in_force.runner.rename_asset
    found = await asyncio.to_thread(rename, book.key, request.old, request.new, who_of(call), request.reason)
    return RenameReply(tuple(told(entry) for entry in found))


@verb("book/rename", "POST", Role.TRADE)
async def book_rename(call: VerbCall[Controller], request: RenameStrategyRequest) -> RenameStrategyReply:
    """Let the books of a strategy go on under its new name; nothing is traded."""
    if not request.reason:
        raise refusal("a renaming needs a reason", "give one by --reason '...'")
    rename = partial(rename_strategy, old=request.old, new=request.new, who=who_of(call), reason=request.reason)
    keys = await call.daemon.books.write(rename)
    call.daemon.changed.set()
    return RenameStrategyReply(tuple(key.portfolio for key in keys))


@verb("book/transfer", "POST", Role.TRADE)
async def book_transfer(call: VerbCall[Controller], request: MoveSharesRequest) -> BookMovedReply:
    """Move shares of a book to another at their cost, or for cash; nothing is traded."""
    return await _asked_or_moved(call, request)


@verb("book/deposit", "POST", Role.TRADE)
async def book_deposit(call: VerbCall[Controller], request: MoveCashRequest) -> BookMovedReply:
    """Put cash into a book, and into a paper broker's account."""
    return await _asked_or_moved(call, request)


@verb("book/withdraw", "POST", Role.TRADE)
async def book_withdraw(call: VerbCall[Controller], request: MoveCashRequest) -> BookMovedReply:
    """Take cash out of a book, and out of a paper broker's account."""
    return await _asked_or_moved(call, request)


@verb("book/write-off", "POST", Role.TRADE)
async def book_write_off(call: VerbCall[Controller], request: WriteOffRequest) -> BookMovedReply:
    """Take a worthless position out of a book, and out of a paper broker's account."""
    return await _asked_or_moved(call, request)


@verb("book/close", "POST", Role.TRADE, timeout_s=60.0)
async def book_close(call: VerbCall[Controller], request: CloseBookRequest) -> KillReply:
    """Cancel the open orders of a book, and close its positions by orders that only reduce; nothing is halted."""
    if not request.reason:
        raise refusal("closing a book needs a reason", "give one by --reason '...'")
    if call.daemon.configured.loaded.config.safety.four_eyes:
        raise await four_eyes.ask(call, request, f"closing the book {request.book}", request.reason)
    return await close(call.daemon, request, who_of(call))


async def close(daemon: Controller, request: CloseBookRequest, who: str) -> KillReply:
    """Close a book by a person, or by two. Raise SigcError."""
    key = await daemon.books.read(partial(named, text=request.book))
    with daemon.using() as used:
        reply = await asyncio.to_thread(used.runner.close_book, key, who, request.reason)
    daemon.changed.set()
    return reply


async def _asked_or_moved(call: VerbCall[Controller], request: MoveRequest) -> BookMovedReply:
    if not request.reason:
        raise refusal("a change of a book needs a reason", "give one by --reason '...'")
    what = await _change_of(call.daemon, call.verb, request)
    if call.daemon.configured.loaded.config.safety.four_eyes:
        raise await four_eyes.ask(call, request, f"{call.verb.replace('/', ' ')}: {what}", request.reason)
    return await move(call.daemon, call.verb, request, who_of(call))


async def move(daemon: Controller, verb: str, request: MoveRequest, who: str) -> BookMovedReply:
    """Move shares or money by a person, or by two. Raise SigcError."""
    what = await _change_of(daemon, verb, request)
    with daemon.using() as used:
        entries = await asyncio.to_thread(used.runner.move_books, what, who, request.reason)
    daemon.changed.set()
    return BookMovedReply(tuple(map(told_adjustment, entries)))


async def _change_of(daemon: Controller, verb: str, request: MoveRequest) -> BookMove:
    async def book(text: str) -> BookKey:
        return await daemon.books.read(partial(named, text=text))

    match request:
        case MoveSharesRequest():
            quantity = None if request.quantity == "all" else Decimal(request.quantity)
            source, to = await book(request.source), await book(request.to)
            return SharesMoved(source, to, request.asset, quantity, request.is_paid)
        case MoveCashRequest():
            sign = -1 if verb == "book/withdraw" else 1
            return CashMoved(await book(request.book), sign * Decimal(request.amount))
        case WriteOffRequest():
            return WriteOff(await book(request.book), request.asset)


@verb("book/reconcile", "POST", Role.OPERATE)
async def book_reconcile(call: VerbCall[Controller], request: ReconcileRequest) -> ReconcileReply:  # noqa: ARG001
    """Take in what the broker tells, and return what differs from the ledger then, with likely causes."""
    return await asyncio.to_thread(call.daemon.in_force.runner.reconcile)


@verb("book/adopt", "POST", Role.TRADE)
async def book_adopt(call: VerbCall[Controller], request: AdoptRequest) -> ReconcileReply:
    """Take what the broker holds into the ledger by adjusting entries; nothing is traded."""
    if not request.reason:
        raise refusal("adopting differences needs a reason", "give one by --reason '...'")
    if call.daemon.configured.loaded.config.safety.four_eyes:
        raise await four_eyes.ask(call, request, "adopting what the broker holds", request.reason)
    return await adopt(call.daemon, request, who_of(call))


async def adopt(daemon: Controller, request: AdoptRequest, who: str) -> ReconcileReply:
    """Adopt by a person, or by two. Raise SigcError."""
    book = None
    if (request.strategy, request.portfolio) in (
        (UNASSIGNED.strategy, ""),
        (UNASSIGNED.strategy, UNASSIGNED.portfolio),
    ):
        book = UNASSIGNED
    elif request.strategy:
        look = partial(history.book_of, strategy=request.strategy, portfolio=request.portfolio)
        found = await daemon.books.read(look)
        if found is None:
            raise refusal(f"there is no book of '{request.strategy}'", "`sigc positions` shows those there are")
        book = found.key
    adopting = Adopting(who, request.reason, book)
    done = await asyncio.to_thread(daemon.in_force.runner.reconcile, adopting)
    daemon.changed.set()
    return done
