"""The verbs of circuit breakers: each as it stands, a trial of one, the reset by a named person with a reason."""

from __future__ import annotations

import asyncio
from functools import partial

from sigc.daemon import breaker_view, four_eyes
from sigc.daemon.controller import Controller
from sigc.daemon.ordering import refusal
from sigc.daemon.verbs.control import who_of
from sigc.rpc.messages.breakers import (
    BreakerRequest,
    BreakerResetReply,
    BreakerResetRequest,
    BreakersReply,
    BreakerTrialReply,
)
from sigc.rpc.verb import Nothing, Role, VerbCall, verb
from sigc.store.history import breaker_standing


@verb("safety/breakers", "GET", Role.READ)
async def safety_breakers(call: VerbCall[Controller], request: Nothing) -> BreakersReply:  # noqa: ARG001
    """Return each circuit breaker with its value, its threshold and its state."""
    limits = call.daemon.configured.loaded.config.safety
    return BreakersReply(await call.daemon.books.read(partial(breaker_view.statuses, limits=limits)))


@verb("safety/test", "GET", Role.READ)
async def safety_test(call: VerbCall[Controller], request: BreakerRequest) -> BreakerTrialReply:
    """Trip a copy of a breaker and return what it would do. Nothing is changed."""
    daemon, limits = call.daemon, call.daemon.configured.loaded.config.safety
    trials = partial(breaker_view.trials, daemon.books.ledger, limits, request.breaker, request.strategy or "")
    return BreakerTrialReply(await asyncio.to_thread(trials))


@verb("safety/reset", "POST", Role.TRADE)
async def safety_reset(call: VerbCall[Controller], request: BreakerResetRequest) -> BreakerResetReply:
    """Reset a tripped breaker: what it held back may go on, and it is judged from the newest close on."""
    if not request.reason.strip():
        raise refusal("the reset of a breaker needs a reason", "say why")
    limits = call.daemon.configured.loaded.config.safety
    if limits.four_eyes:
        await call.daemon.books.read(
            partial(breaker_standing.chosen, limits=limits, name=request.breaker, strategy=request.strategy or "")
        )
        raise await four_eyes.ask(call, request, f"the reset of the breaker {request.breaker}", request.reason)
    return await reset(call.daemon, request, who_of(call))


async def reset(daemon: Controller, request: BreakerResetRequest, who: str) -> BreakerResetReply:
    """Reset a breaker by a person, or by two. Raise E901."""
    limits, strategy = daemon.configured.loaded.config.safety, request.strategy or ""
    found = await daemon.books.write(
        lambda tx: breaker_standing.reset(tx, limits, request.breaker, strategy, who, request.reason)
    )
    await daemon.read_decisions()
    daemon.changed.set()
    now = await daemon.books.read(partial(breaker_view.statuses, limits=limits))
    return BreakerResetReply(tuple(one.strategy for one in found), tuple(o for o in now if o.since is not None))
