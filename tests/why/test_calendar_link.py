"""Errors of a calendar, as a run meets them, stop the chain at the calendar: by the texts that `sigc.calendar` gives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from sigc.calendar import calendar
from sigc.calendar.calendar import open_calendar
from sigc.errors import Severity, SigcError
from sigc.store.ledger.records import Finding, RunStage, StageName
from sigc.why import cases
from sigc.why.run_links import _of_stage


def stopped_by(cause: Callable[[], object]) -> tuple[str, str]:
    """The link and the reason of a run whose stage load met that error."""
    with pytest.raises(SigcError) as failure:
        cause()
    found = tuple(Finding(d.code, Severity.ERROR, d.message) for d in failure.value.diagnostics)
    stage = RunStage("r1", StageName.LOAD, datetime(2024, 1, 2, tzinfo=UTC), 0.1, "failed", found)
    return _of_stage(stage, "failed")


def test_a_calendar_that_does_not_cover_the_session() -> None:
    plain = open_calendar("weekdays", None, today=date(2024, 1, 2))
    link, text = stopped_by(lambda: plain.before_or_on(date(1980, 1, 1)))
    assert link == cases.CALENDAR
    assert text.startswith("calendar 'weekdays' covers ")


def test_a_calendar_that_can_not_be_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar, "_CHILD_TIMEOUT_S", 0.001)  # the real child, given no time
    link, text = stopped_by(lambda: open_calendar("nyse", None))
    assert link == cases.CALENDAR
    assert text.startswith("calendar 'nyse' can't be computed: ")
