"""The calendars that jobs need, opened by name. Imports nothing heavy: read-only commands use it too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.calendar.calendar import open_calendar
from sigc.calendar.sessions import Calendar
from sigc.schedule.job import Condition

if TYPE_CHECKING:
    from sigc.daemon.configured.configured import Configured


def open_calendars(found: Configured, work_dir: Path, now: datetime) -> Mapping[str, Calendar]:
    """Return the calendars that the jobs need, by name. Raise E402. May compute one: call it in a thread."""
    settings = found.loaded.config.schedule
    needs = {job.calendar for job in found.jobs if job.needs_calendar or Condition.MARKET_OPEN in job.conditions}
    return {
        name: open_calendar(
            name,
            work_dir / "calendars",
            settings.overrides if name == settings.calendar else {},
            today=now.date(),
            zone=settings.timezone,
        )
        for name in sorted(needs | {settings.calendar})
    }
