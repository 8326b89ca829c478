"""The verbs of four eyes: what waits for a second token, and its confirmation, which carries it out."""

from __future__ import annotations

import asyncio

from sigc.daemon import four_eyes
from sigc.daemon.controller import Controller
from sigc.daemon.four_eyes import AwaitedCall
from sigc.daemon.lifecycle.reload import reload
from sigc.daemon.verbs.book import MoveRequest, adopt, close, move
from sigc.daemon.verbs.breaker import reset
from sigc.daemon.verbs.control import RAISES, who_of
from sigc.rpc.messages.books import AdoptRequest, CloseBookRequest, MoveCashRequest, MoveSharesRequest, WriteOffRequest
from sigc.rpc.messages.breakers import (
    BreakerResetRequest,
    ConfirmReply,
    ConfirmRequest,
    PendingCall,
    PendingReply,
)
from sigc.rpc.messages.kill import KillReply
from sigc.rpc.messages.requests import HoldRequest
from sigc.rpc.schema import decode
from sigc.rpc.verb import Nothing, Role, VerbCall, verb
from sigc.words import counted

_MOVES: dict[str, type[MoveRequest]] = {
    "book/transfer": MoveSharesRequest,
    "book/deposit": MoveCashRequest,
    "book/withdraw": MoveCashRequest,
    "book/write-off": WriteOffRequest,
}


@verb("safety/pending", "GET", Role.READ)
async def safety_pending(call: VerbCall[Controller], request: Nothing) -> PendingReply:  # noqa: ARG001
    """Return the calls that wait for a second token."""
    found, now = await call.daemon.books.read(four_eyes.pending), call.daemon.clock.now()
    waiting = (one for one in found if one.until > now)
    return PendingReply(tuple(PendingCall(o.id, o.what, o.who, o.reason, o.at, o.until) for o in waiting))


@verb("safety/confirm", "POST", Role.TRADE, timeout_s=60.0)
async def safety_confirm(call: VerbCall[Controller], request: ConfirmRequest) -> ConfirmReply:
    """Confirm a call of another token, and carry it out as both."""
    who = who_of(call)
    found = await call.daemon.books.write(lambda tx: four_eyes.take(tx, request.id, call.token, who))
    done = await _carried_out(call.daemon, found, f"{found.who} with {who}")
    return ConfirmReply(found.verb, found.what, found.who, who, done)


async def _carried_out(daemon: Controller, found: AwaitedCall, who: str) -> str:
    match found.verb:
        case "safety/reset":
            reply = await reset(daemon, decode(BreakerResetRequest, found.fields), who)
            return f"{counted(len(reply.reset), 'breaker')} reset"
        case "book/adopt":
            adopted = await adopt(daemon, decode(AdoptRequest, found.fields), who)
            return counted(len(adopted.adopted), "entry", "entries") + " written"
        case "book/transfer" | "book/deposit" | "book/withdraw" | "book/write-off":
            moved = await move(daemon, found.verb, decode(_MOVES[found.verb], found.fields), who)
            return counted(len(moved.entries), "entry", "entries") + " written"
        case "safety/flatten":
            hold = decode(HoldRequest, found.fields)
            with daemon.using() as used:
                killed = await asyncio.to_thread(used.runner.kill, hold.strategy or "", who, hold.reason, True)
            daemon.changed.set()
            return _counts(killed)
        case "book/close":
            return _counts(await close(daemon, decode(CloseBookRequest, found.fields), who))
        case _:
            told = await reload(daemon, who, confirmed=found.what.removeprefix(RAISES))
            return counted(len(told.changes), "difference") + " in force"


def _counts(done: KillReply) -> str:
    counts = f"{counted(len(done.closing), 'closing order')}, {counted(len(done.kept), 'position')} kept"
    return f"{counts}, {len(done.left)} left open"
