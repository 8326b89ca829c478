"""The verbs about whether anything may be traded: halt and resume, and what holds now.

A halt is a decision in the ledger: from the moment it is written no order of the strategy (or of any) is sent, by runs
under way too. One that a rule has set (an order without a known outcome) ends with its cause, and is not taken back
by hand.
"""

from __future__ import annotations

from datetime import date

from sigc.daemon.configured.configured import instead_of
from sigc.daemon.controller import Controller
from sigc.daemon.ordering import refusal
from sigc.daemon.verbs.control import who_of
from sigc.rpc.messages.page import AcceptReply, AcceptRequest, HaltReply, SafetyReply, StopDecision
from sigc.rpc.messages.requests import HoldRequest
from sigc.rpc.verb import Nothing, Role, VerbCall, verb
from sigc.store.ledger import books, control
from sigc.store.ledger.ledger import Transaction

_BY_PERSON = "by hand"
_RULE = "sigc"  # who sets a halt that no person asked for


@verb("safety/status", "GET", Role.READ)
async def safety_status(call: VerbCall[Controller], request: Nothing) -> SafetyReply:  # noqa: ARG001
    """What holds: halts and pauses, by whom, since when and why."""
    names = (control.HALTED, control.PAUSED)
    found = await call.daemon.books.read(lambda c: [one for name in names for one in control.every(c, name)])
    return SafetyReply(tuple(StopDecision(d.name, d.scope, d.who, d.reason or d.value, d.at) for d in found))


@verb("safety/halt", "POST", Role.OPERATE, is_urgent=True)
async def safety_halt(call: VerbCall[Controller], request: HoldRequest) -> HaltReply:
    """Send no order any more, of one strategy or of any; what is at the broker stays there."""
    daemon, scope = call.daemon, request.strategy or ""
    known = [strategy.name for strategy in daemon.configured.strategies]
    if scope and scope not in known:
        raise refusal(f"there is no strategy '{scope}'", instead_of(scope, known, daemon.configured.jobs))

    def decide(tx: Transaction) -> bool:
        before = control.get(tx.connection, control.HALTED, scope)
        if before is not None and before.who != _RULE:
            return False
        # Over a rule's: what a person wants holds when its cause is gone too.
        control.put(tx, control.HALTED, scope, _BY_PERSON, who_of(call), request.reason)
        return True

    is_changed = await daemon.books.write(decide)
    return await _decided(daemon, is_changed)


@verb("safety/resume", "POST", Role.TRADE)
async def safety_resume(call: VerbCall[Controller], request: HoldRequest) -> HaltReply:
    """Take a halt back."""
    daemon, scope = call.daemon, request.strategy or ""

    def decide(tx: Transaction) -> bool:
        held = control.get(tx.connection, control.HALTED, scope)
        if held is not None and held.who == _RULE:
            raise refusal(f"'{scope}' was halted by a rule: {held.reason}", "it ends by itself, with its cause")
        return control.drop(tx, control.HALTED, scope, who_of(call), request.reason)

    return await _decided(daemon, await daemon.books.write(decide))


@verb("data/accept", "POST", Role.TRADE)
async def data_accept(call: VerbCall[Controller], request: AcceptRequest) -> AcceptReply:
    """Accept the price of an asset on a day, though it jumps or looks like a split: runs trade on it from then."""
    try:
        day = str(date.fromisoformat(request.day))
    except ValueError:
        raise refusal(f"'{request.day}' is no date", "such as 2024-01-15") from None
    if not request.reason:
        raise refusal("a price is accepted with a reason", "say why")
    who = who_of(call)
    await call.daemon.books.write(lambda tx: control.accept_price(tx, request.asset, day, who, request.reason))
    is_known = await call.daemon.books.read(lambda connection: books.has_traded(connection, request.asset))
    return AcceptReply(request.asset, day, is_known)


async def _decided(daemon: Controller, is_changed: bool) -> HaltReply:
    await daemon.read_decisions()
    daemon.changed.set()
    return HaltReply(is_changed, tuple(sorted(daemon.decided.halted)))
