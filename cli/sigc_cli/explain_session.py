"""Answers of `sigc why`, from a daemon that answers, else from the ledger; both by `sigc.why`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from sigc_cli.daemon_or_ledger import Target, from_daemon, ledger_of

if TYPE_CHECKING:
    import sqlite3

    from sigc.config.check import LoadedConfig
    from sigc.rpc.client import Client
    from sigc.why.assets import AssetAnswer
    from sigc.why.chain import Explanation
    from sigc.why.session_plan import SessionPlan


@dataclass(frozen=True, slots=True)
class Question:
    """A question: a strategy, an asset ('' for none), the session by its date or by a run."""

    strategy: str
    asset: str = ""
    day: date | None = None
    run: str = ""


def ask(question: Question, target: Target, work_dir: Path | None) -> Explanation | AssetAnswer:
    """Return the answer. Raises E310 without a ledger, E901 for an unknown run."""
    found = from_daemon(target, work_dir, lambda client: _asked(client, question))
    return _here(question, target, work_dir) if found is None else found


def text(found: Explanation | AssetAnswer) -> tuple[str, ...]:
    """Return an answer as lines."""
    from sigc.why.assets import AssetAnswer
    from sigc.why.text import asset_lines, lines

    return asset_lines(found) if isinstance(found, AssetAnswer) else lines(found)


def _asked(client: Client, question: Question) -> Explanation | AssetAnswer:
    from sigc.why.assets import AssetAnswer
    from sigc.why.chain import Explanation

    fields: dict[str, object] = {"strategy": question.strategy, "run": question.run}
    if question.day is not None:
        fields["date"] = question.day.isoformat()
    if question.asset:
        return client.get("why/asset", {**fields, "asset": question.asset}, reply=AssetAnswer)
    return client.get("why", fields, reply=Explanation)


def _here(question: Question, target: Target, work_dir: Path | None) -> Explanation | AssetAnswer:
    from sigc.why.explain import why, why_asset

    with ledger_of(target, work_dir) as (connection, place, loaded):
        plan = _plan(connection, place, loaded, question)
        if question.asset:
            return why_asset(connection, place, plan, question.asset)
        return why(connection, place, plan)


def _plan(connection: sqlite3.Connection, place: Path, loaded: LoadedConfig, question: Question) -> SessionPlan:
    from sigc.clock import SystemClock
    from sigc.daemon.configured.calendars import open_calendars
    from sigc.daemon.configured.configured import configured
    from sigc.daemon.configured.due_sessions import plan_of, session_wanted

    found, now = configured(loaded), SystemClock().now()
    calendars = open_calendars(found, place, now)
    wanted, last = session_wanted(connection, found, calendars, question.strategy, question.run)
    return plan_of(found, calendars, question.strategy, now, question.day or wanted, last)
