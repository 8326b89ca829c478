"""What an alert adds to the reason of a fire that did not run, by what the ledger knows: real SQLite, real records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.daemon.missed_reasons import detail_of
from sigc.schedule.job import Condition, Fire, Job
from sigc.schedule.misfire import Reason
from sigc.schedule.state import DidNotRun, JobState, Pending, Phase, Retrying, Running, Waiting
from sigc.store.ledger import jobs, meta
from sigc.store.ledger.jobs import OrderedRun
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Outcome

PLANNED = datetime(2024, 1, 3, 14, tzinfo=UTC)  # 9 in New York
FIRE = Fire(PLANNED, PLANNED, "trade")
NOW = PLANNED + timedelta(hours=3)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path, HandClock(PLANNED - timedelta(hours=1)), durable=False) as opened:
        yield opened


def detail(
    ledger: Ledger,
    reason: Reason,
    phase: Phase | None = None,
    waits: bool = False,
    deadline_s: float | None = None,
) -> str:
    conditions = frozenset({Condition.DATA_FRESH}) if waits else frozenset[Condition]()
    job = Job("trade", depends_on=("fetch", "clean"), conditions=conditions, deadline_s=deadline_s)
    with ledger.reading() as connection:
        return detail_of(connection, JobState(job, phase=phase), DidNotRun(FIRE, reason), NOW)


def start(ledger: Ledger, after: timedelta, alive: str = "") -> None:
    assert isinstance(ledger.clock, HandClock)
    ledger.clock.turn(PLANNED + after)
    with ledger.transaction("control") as tx:
        meta.begin(tx, alive)


def ran(ledger: Ledger, job: str, outcome: Outcome, message: str = "") -> None:
    asked = PLANNED - timedelta(minutes=30)
    order = OrderedRun(f"{job}-1", "", "script", "", "", "", "", job, asked, "sigc", "", asked)
    with ledger.transaction("control") as tx:
        jobs.ask(tx, order)
        jobs.end(tx, order, outcome, message, "", "", before=True)


@pytest.mark.parametrize("reason", [Reason.LATE, Reason.TOO_OLD, Reason.NEWER])
def test_a_missed_fire_says_whether_a_daemon_was_there(ledger: Ledger, reason: Reason) -> None:
    held_up = "the daemon ran, and came to it 3 h late: it was held up, the machine slept, or its clock was set"
    assert detail(ledger, reason) == held_up  # nothing is known of a start
    start(ledger, -timedelta(minutes=30))
    assert detail(ledger, reason) == held_up
    start(ledger, timedelta(hours=2))
    gone = "no daemon was running at the time: it was started 2024-01-03 11:00:00 EST"
    assert detail(ledger, reason) == gone
    start(ledger, timedelta(hours=2, minutes=1), (PLANNED - timedelta(minutes=5)).isoformat())
    assert detail(ledger, reason) == (
        "no daemon was running at the time: it was started 2024-01-03 11:01:00 EST; "
        "the one before was last alive 2024-01-03 08:55:00 EST"
    )


def test_a_dependency_is_named_with_its_run(ledger: Ledger) -> None:
    assert detail(ledger, Reason.DEPENDENCY) == "fetch has not run; clean has not run"
    ran(ledger, "fetch", Outcome.FAILED, "exit code 3")
    ran(ledger, "clean", Outcome.DONE)
    failed = "fetch failed 2024-01-03 08:00:00 EST: exit code 3 (sigc runs show fetch-1)"
    assert detail(ledger, Reason.DEPENDENCY) == failed
    with ledger.transaction("control") as tx:
        jobs.miss(tx, "clean", PLANNED - timedelta(minutes=10), "paused")
    assert detail(ledger, Reason.DEPENDENCY) == f"{failed}; clean did not run (paused), planned 2024-01-03 08:50:00 EST"


def test_a_deadline_says_what_was_waited_for(ledger: Ledger) -> None:
    pending = Pending(FIRE)
    assert detail(ledger, Reason.DEADLINE, Running(pending, 1, "r7")) == "its run r7 goes on"
    assert detail(ledger, Reason.DEADLINE, Waiting(pending), waits=True) == "it waited for fresh data in vain"
    assert detail(ledger, Reason.DEADLINE, Waiting(pending)) == ""
    assert detail(ledger, Reason.DEADLINE, Retrying(pending, 2, NOW)) == ""
    needs = Waiting(Pending(FIRE, (("fetch", PLANNED),)))
    assert detail(ledger, Reason.DEADLINE, needs, waits=True) == "it waited for fetch: fetch has not run"
    told = "it was 2024-01-03 10:00:00 EST; it waited for fresh data in vain"
    assert detail(ledger, Reason.DEADLINE, Waiting(pending), waits=True, deadline_s=3600.0) == told


def test_other_reasons_say_all_themselves(ledger: Ledger) -> None:
    for reason in (Reason.PAUSED, Reason.DISABLED, Reason.OVERLAP, Reason.MARKET_CLOSED, Reason.REFUSED):
        assert detail(ledger, reason) == ""
