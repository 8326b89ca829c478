"""The daemon's presence: whether it ran at an instant and could write its ledger, from its own records."""

from __future__ import annotations

from datetime import datetime, timedelta

from sigc.why.session_facts import SessionFacts
from sigc.why.words import when

JUST_NOW = timedelta(seconds=90)  # a fire younger than this may not be recorded yet


def down_at(facts: SessionFacts, at: datetime) -> str:
    """Return why no daemon ran at an instant; '' if one did, or nothing is known."""
    zone = facts.plan.zone
    before = [life for life in facts.lives if life.at <= at]
    after = next((life for life in facts.lives if life.at > at and life.is_start), None)
    back = (
        f", it was started again {when(after.at, zone)}" if after is not None else ", and it has not been started again"
    )
    if before and not before[-1].is_start:
        return f"the daemon was stopped {when(before[-1].at, zone)}{back}"
    # A crash leaves no record of a stop: the next start records when the daemon was last alive.
    seen = after.alive if after is not None else facts.alive
    if seen is not None and seen < at:
        return f"the daemon was not running: it was last seen {when(seen, zone)}{back}"
    if not before and after is not None:
        return f"no daemon was running{back.replace(' again', '')}"
    return ""


def unwritable_at(facts: SessionFacts, at: datetime) -> str:
    """Return until when and why the ledger could not be written at an instant; '' if it could."""
    zone, found = facts.plan.zone, [one for one in facts.unwritable if one.since <= at + JUST_NOW and at < one.until]
    return f"the ledger could not be written until {when(found[0].until, zone)}: {found[0].why}" if found else ""
