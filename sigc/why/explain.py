"""The way from a plan to an answer, over one connection: called by the command, the verb and the page."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sigc.why.assets import AssetAnswer, files_of, judge_asset, told_run
from sigc.why.chain import Explanation, judge
from sigc.why.session_facts import gather
from sigc.why.session_plan import SessionPlan


def why(connection: sqlite3.Connection, work_dir: Path, plan: SessionPlan) -> Explanation:
    """Return whether a strategy ran for a session, and what became of it or stopped it."""
    return judge(gather(connection, work_dir, plan))


def why_asset(connection: sqlite3.Connection, work_dir: Path, plan: SessionPlan, asset: str) -> AssetAnswer:
    """Return what became of an asset in a session."""
    facts = gather(connection, work_dir, plan)
    one = told_run(facts)
    return judge_asset(facts, None if one is None else files_of(work_dir, one.run.id), asset)
