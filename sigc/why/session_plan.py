"""The plan of a strategy for a session, from configuration and calendar, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A trading job of the strategy.

    trigger: as it is written, '' for one that only follows others. fires: planned instants in the session's window,
    ascending; of a job without a trigger those of the jobs it depends on. next: its first fire after now.
    is_enabled: by the configuration.
    """

    name: str
    trigger: str
    depends_on: tuple[str, ...] = ()
    fires: tuple[datetime, ...] = ()
    next: datetime | None = None
    is_enabled: bool = True
    waits_for_data: bool = False
    grace_s: float = 60.0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """A strategy and a session, as configured now.

    A run that begins in [start, end) trades for the session; both are None outside the calendar.
    session: ISO date; as_of: of the session before it, '' if unknown. is_session: the exchange trades that day;
    next_session: the first one after it. known: names of all configured strategies. file, portfolio: of this one, '' if
    it is not configured. meant: the strategy of the job of this name, if no strategy has it. trouble: why the daemon
    can't write its ledger now, '' if it can.
    """

    strategy: str
    session: str
    now: datetime
    zone: str
    calendar: str = ""
    as_of: str = ""
    start: datetime | None = None
    end: datetime | None = None
    is_session: bool = True
    next_session: str = ""
    known: tuple[str, ...] = ()
    is_configured: bool = False
    is_enabled: bool = True
    file: str = ""
    portfolio: str = ""
    jobs: tuple[PlannedJob, ...] = ()
    trouble: str = ""
    meant: str = ""
