"""The verbs of safety: halt and resume trading, accept a price, show what is halted or paused.

A halt is a decision in the ledger: from the moment it is written no order of the strategy (or of any) is sent, not even
by runs under way. A halt set by a rule (an order without a known outcome) ends with its cause and can't be resumed by
hand.
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
_RULE = "sigc"  # the author of a halt set by a rule


@verb("safety/status", "GET", Role.READ)
async def safety_status(call: VerbCall[Controller], request: Nothing) -> SafetyReply:  # noqa: ARG001
    """Return the halts and pauses in force: by whom, since when and why."""
    names = (control.HALTED, control.PAUSED)
    found = await call.daemon.books.read(lambda c: [one for name in names for one in control.every(c, name)])
    return SafetyReply(tuple(StopDecision(d.name, d.scope, d.who, d.reason or d.value, d.at) for d in found))


@verb("safety/halt", "POST", Role.OPERATE, is_urgent=True)
async def safety_halt(call: VerbCall[Controller], request: HoldRequest) -> HaltReply:
    """Stop sending orders of one strategy or of all; open orders stay at the broker."""
    daemon, scope = call.daemon, request.strategy or ""
    known = [strategy.name for strategy in daemon.configured.strategies]
    if scope and scope not in known:
        raise refusal(f"there is no strategy '{scope}'", instead_of(scope, known, daemon.configured.jobs))

    def decide(tx: Transaction) -> bool:
        before = control.get(tx.connection, control.HALTED, scope)
        if before is not None and before.who != _RULE:
            return False
        # It replaces a rule's halt: a person's decision must outlast the rule's cause.
        control.put(tx, control.HALTED, scope, _BY_PERSON, who_of(call), request.reason)
        return True

    is_changed = await daemon.books.write(decide)
    return await _decided(daemon, is_changed)


@verb("safety/resume", "POST", Role.TRADE)
async def safety_resume(call: VerbCall[Controller], request: HoldRequest) -> HaltReply:
    """End a halt."""
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
        raise refusal(f"invalid date '{request.day}'", "expected e.g. 2024-01-15") from None
    if not request.reason:
        raise refusal("accepting a price needs a reason", "say why")
    who = who_of(call)
    await call.daemon.books.write(lambda tx: control.accept_price(tx, request.asset, day, who, request.reason))
    is_known = await call.daemon.books.read(lambda connection: books.has_traded(connection, request.asset))
    return AcceptReply(request.asset, day, is_known)


async def _decided(daemon: Controller, is_changed: bool) -> HaltReply:
    await daemon.read_decisions()
    daemon.changed.set()
    return HaltReply(is_changed, tuple(sorted(daemon.decided.halted)))
