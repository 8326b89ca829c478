"""The verbs of books: rename an asset or a strategy; compare with the broker, and adopt what it holds."""

from __future__ import annotations

import asyncio
from functools import partial

from sigc.daemon.controller import Controller
from sigc.daemon.ordering import refusal
from sigc.daemon.runner import Adopting
from sigc.daemon.verbs.control import who_of
from sigc.rpc.messages.books import (
    AdoptRequest,
    ReconcileReply,
    ReconcileRequest,
    RenameReply,
    RenameRequest,
    RenameStrategyReply,
    RenameStrategyRequest,
    told,
)
from sigc.rpc.verb import Role, VerbCall, verb
from sigc.store.history import history
from sigc.store.ledger.book_rename import rename_strategy
from sigc.store.ledger.records import UNASSIGNED


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


@verb("book/reconcile", "POST", Role.OPERATE)
async def book_reconcile(call: VerbCall[Controller], request: ReconcileRequest) -> ReconcileReply:  # noqa: ARG001
    """Take in what the broker tells, and return what differs from the ledger then, with likely causes."""
    return await asyncio.to_thread(call.daemon.in_force.runner.reconcile)


@verb("book/adopt", "POST", Role.TRADE)
async def book_adopt(call: VerbCall[Controller], request: AdoptRequest) -> ReconcileReply:
    """Take what the broker holds into the ledger by adjusting entries; nothing is traded."""
    if not request.reason:
        raise refusal("adopting differences needs a reason", "give one by --reason '...'")
    book = None
    if (request.strategy, request.portfolio) in (
        (UNASSIGNED.strategy, ""),
        (UNASSIGNED.strategy, UNASSIGNED.portfolio),
    ):
        book = UNASSIGNED
    elif request.strategy:
        look = partial(history.book_of, strategy=request.strategy, portfolio=request.portfolio)
        found = await call.daemon.books.read(look)
        if found is None:
            raise refusal(f"there is no book of '{request.strategy}'", "`sigc positions` shows those there are")
        book = found.key
    adopting = Adopting(who_of(call), request.reason, book)
    done = await asyncio.to_thread(call.daemon.in_force.runner.reconcile, adopting)
    call.daemon.changed.set()
    return done
