"""The verbs `why`: explain a strategy's session or one asset in it. `sigc.why` judges; the plan is made here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Annotated

from sigc.calendar.sessions import Calendar
from sigc.daemon.configured.due_sessions import plan_of, session_wanted
from sigc.daemon.controller import Controller
from sigc.rpc.messages.history import AnyRun
from sigc.rpc.schema import Match, Name
from sigc.rpc.verb import Role, VerbCall, verb
from sigc.why.assets import AssetAnswer
from sigc.why.chain import Explanation
from sigc.why.explain import why as say_why
from sigc.why.explain import why_asset as say_why_asset
from sigc.why.session_plan import SessionPlan

Calendars = Mapping[str, Calendar]


@dataclass(frozen=True, slots=True)
class WhyRequest:
    """A strategy and a session. date: of the session; None: that of `run`, else the last one that was due."""

    strategy: Name
    date: date | None = None
    run: AnyRun = ""


@dataclass(frozen=True, slots=True)
class WhyAssetRequest:
    """An asset of a strategy in a session."""

    strategy: Name
    asset: Annotated[str, Match(r"[^\x00-\x1f]{1,64}")]
    date: date | None = None
    run: AnyRun = ""


@verb("why", "GET", Role.READ)
async def why(call: VerbCall[Controller], request: WhyRequest) -> Explanation:
    """Explain why a strategy ran or did not run for a session, and what became of its orders."""
    plan = await _plan(call.daemon, request.strategy, request.date, request.run)
    return await call.daemon.books.read(partial(say_why, work_dir=call.daemon.start.places.work_dir, plan=plan))


@verb("why/asset", "GET", Role.READ)
async def why_asset(call: VerbCall[Controller], request: WhyAssetRequest) -> AssetAnswer:
    """Explain what became of an asset in a session: signal, rank, wanted, constrained, held, sized, denied, filled."""
    plan = await _plan(call.daemon, request.strategy, request.date, request.run)
    work_dir, asset = call.daemon.start.places.work_dir, request.asset
    return await call.daemon.books.read(partial(say_why_asset, work_dir=work_dir, plan=plan, asset=asset))


async def _plan(daemon: Controller, strategy: str, day: date | None, run: str) -> SessionPlan:
    configured, calendars, now = daemon.configured, daemon.calendars, daemon.clock.now()
    look = partial(session_wanted, configured=configured, calendars=calendars, strategy=strategy, run=run)
    wanted, last = await daemon.books.read(look)
    plan = await asyncio.to_thread(plan_of, configured, calendars, strategy, now, day or wanted, last)
    return replace(plan, trouble=daemon.doors.secrets.hide(daemon.books.trouble))
