"""What the configuration and the calendar say of a strategy and a session, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A trading job of the strategy.

    trigger: as people write it, '' for one that only follows others. fires: planned instants in the session's window,
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

    A run that begins in [start, end) trades for the session; both are none where the calendar does not reach.
    session: ISO date; as_of: of the session before it, '' where that is not known. is_session: whether the exchange
    trades that day; next_session: the first one after it. known: names of all configured strategies. file, portfolio:
    of this one, '' where it is not configured. meant: that of the job of this name, where no strategy is called so.
    trouble: why the daemon can't write its ledger now, '' where it can.
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
