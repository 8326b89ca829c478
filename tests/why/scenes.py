"""The plan of a session of the scripted market, and its answer from the ledger of a scene."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from sigc.daemon.configured.due_sessions import window_of
from sigc.schedule.triggers import parse_relative
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.why.assets import AssetAnswer
from sigc.why.chain import Explanation
from sigc.why.explain import why, why_asset
from sigc.why.session_plan import PlannedJob, SessionPlan
from tests.trading.floor import weekdays

NEW_YORK = "America/New_York"


def plan(session: str, now: datetime, *jobs: PlannedJob, strategy: str = "scripted") -> SessionPlan:
    """A strategy that is configured, and a session of weekdays."""
    calendar, day = weekdays(), date.fromisoformat(session)
    window = window_of(calendar, parse_relative("close-5m"), day)
    assert window is not None
    return SessionPlan(
        strategy,
        session,
        now,
        NEW_YORK,
        "weekdays",
        str(calendar.before_or_on(date.fromordinal(day.toordinal() - 1)).day),
        *window,
        is_session=calendar.session_on(day) is not None,
        next_session=str(calendar.after(day).day),
        known=(strategy,),
        is_configured=True,
        file=f"{strategy}.sig",
        portfolio="main",
        jobs=jobs,
    )


def answer(work_dir: Path, found: SessionPlan) -> Explanation:
    """From the ledger of a work dir."""
    connection = connect_reader(work_dir / FILE)
    try:
        return why(connection, work_dir, found)
    finally:
        connection.close()


def asset_answer(work_dir: Path, found: SessionPlan, asset: str) -> AssetAnswer:
    """Of an asset."""
    connection = connect_reader(work_dir / FILE)
    try:
        return why_asset(connection, work_dir, found, asset)
    finally:
        connection.close()
