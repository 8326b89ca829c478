"""The verbs of books: rename an asset."""

from __future__ import annotations

import asyncio
from functools import partial

from sigc.daemon.controller import Controller
from sigc.daemon.ordering import refusal
from sigc.daemon.verbs.control import who_of
from sigc.rpc.messages.books import RenameReply, RenameRequest, told
from sigc.rpc.verb import Role, VerbCall, verb
from sigc.store.history import history


@verb("book/rename-asset", "POST", Role.TRADE, timeout_s=60.0)
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
