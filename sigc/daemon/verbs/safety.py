"""The verbs of safety: halt and resume trading, cancel and flatten, accept a price, show what is halted or paused.

A halt is a decision in the ledger: from the moment it is written no order of the strategy (or of any) is sent, not even
by runs under way; their planned orders end with it. A halt set by a rule (an order without a known outcome) ends with
its cause and can't be resumed by hand.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import date

from sigc.daemon import four_eyes
from sigc.daemon.configured.configured import instead_of
from sigc.daemon.controller import Controller
from sigc.daemon.kill_file_halts import lift, stops_of
from sigc.daemon.ordering import refusal
from sigc.daemon.verbs.control import who_of
from sigc.errors import SigcError
from sigc.host import kill_file
from sigc.rpc.messages.kill import KillReply
from sigc.rpc.messages.page import AcceptReply, AcceptRequest, HaltReply, SafetyReply
from sigc.rpc.messages.requests import HoldRequest
from sigc.rpc.verb import Nothing, Role, VerbCall, verb
from sigc.store.ledger import books, breakers, control, halting

log = logging.getLogger("sigc.daemon")


@verb("safety/status", "GET", Role.READ)
async def safety_status(call: VerbCall[Controller], request: Nothing) -> SafetyReply:  # noqa: ARG001
    """Return the halts and pauses in force, those of the kill file too: by whom, since when and why."""
    work_dir = call.daemon.start.places.work_dir
    found = await call.daemon.books.read(breakers.stops)
    return SafetyReply(stops_of(found, await asyncio.to_thread(kill_file.halts_of, work_dir)))


@verb("safety/halt", "POST", Role.OPERATE, is_urgent=True)
async def safety_halt(call: VerbCall[Controller], request: HoldRequest) -> HaltReply:
    """Stop sending orders of one strategy or of all; open orders stay at the broker."""
    return await _halted(call, request)


@verb("safety/cancel", "POST", Role.OPERATE, is_urgent=True, timeout_s=60.0)
async def safety_cancel(call: VerbCall[Controller], request: HoldRequest) -> KillReply:
    """Halt one strategy or all, and cancel the open orders at the broker."""
    return await _killed(call, request, is_flatten=False)


@verb("safety/flatten", "POST", Role.TRADE, is_urgent=True, timeout_s=60.0)
async def safety_flatten(call: VerbCall[Controller], request: HoldRequest) -> KillReply:
    """Halt one strategy or all, cancel the open orders at the broker, and close the positions."""
    if not call.daemon.configured.loaded.config.safety.four_eyes:
        return await _killed(call, request, is_flatten=True)
    await _killed(call, request, is_flatten=False)  # to stop and to cancel, one is enough
    whose = f"of {request.strategy}" if request.strategy else "of all"
    raise await four_eyes.ask(call, request, f"closing the positions {whose} (halted and cancelled)", request.reason)


async def _killed(call: VerbCall[Controller], request: HoldRequest, *, is_flatten: bool) -> KillReply:
    await _halted(call, request)
    daemon, scope = call.daemon, request.strategy or ""
    with daemon.using() as used:
        reply = await asyncio.to_thread(used.runner.kill, scope, who_of(call), request.reason, is_flatten)
    daemon.changed.set()
    return reply


async def _halted(call: VerbCall[Controller], request: HoldRequest) -> HaltReply:
    daemon, scope = call.daemon, request.strategy or ""
    known = [strategy.name for strategy in daemon.configured.strategies]
    if scope and scope not in known and not await _has_book(daemon, scope):
        raise refusal(f"there is no strategy '{scope}'", instead_of(scope, known, daemon.configured.jobs))
    who, reason = who_of(call), request.reason
    try:
        is_changed = await daemon.books.write(lambda tx: halting.halt_by_hand(tx, scope, who, reason))
    except SigcError as broken:
        # A full disk must not keep anybody from halting: whoever sends orders reads the file too.
        log.error("the halt can't be written to the ledger: %s", broken)
        halt = kill_file.FileHalt(scope, who, reason, daemon.clock.now().isoformat())
        await asyncio.to_thread(kill_file.add_halt, daemon.start.places.work_dir, halt)
        return HaltReply(True, tuple(sorted({*daemon.decided.halted, scope})))
    return await _decided(daemon, is_changed)


@verb("safety/resume", "POST", Role.TRADE)
async def safety_resume(call: VerbCall[Controller], request: HoldRequest) -> HaltReply:
    """End a halt, in the ledger and in the kill file."""
    daemon, scope = call.daemon, request.strategy or ""
    who, work_dir = who_of(call), daemon.start.places.work_dir
    lifted = await daemon.books.write(lambda tx: lift(tx, work_dir, scope, who, request.reason))
    return await _decided(daemon, lifted.seen())


@verb("data/accept", "POST", Role.TRADE)
async def data_accept(call: VerbCall[Controller], request: AcceptRequest) -> AcceptReply:
    """Accept the price of an asset on a day, though it jumps or looks like a split: runs trade on it from then."""
    try:
        day = str(date.fromisoformat(request.day))
    except ValueError:
        raise refusal(f"invalid date '{request.day}'", "expected e.g. 2024-01-15") from None
    if not request.reason:
        raise refusal("accepting a price needs a reason", "say why")
    who = who_of(call)
    await call.daemon.books.write(lambda tx: control.accept_price(tx, request.asset, day, who, request.reason))
    is_known = await call.daemon.books.read(lambda connection: books.has_traded(connection, request.asset))
    return AcceptReply(request.asset, day, is_known)


async def _has_book(daemon: Controller, strategy: str) -> bool:
    """Return True if a strategy that is no longer configured has a book, whose orders may be open."""
    return any(book.key.strategy == strategy for book in await daemon.books.read(books.books))


async def _decided(daemon: Controller, is_changed: bool) -> HaltReply:
    await daemon.read_decisions()
    daemon.changed.set()
    return HaltReply(is_changed, tuple(sorted(daemon.decided.halted)))
