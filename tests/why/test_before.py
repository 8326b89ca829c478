"""Links before a run, by what a real ledger has of misses, orders that ended early, jobs under way, lives of the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.schedule.job import Fire, Job, JobKind
from sigc.schedule.misfire import Reason
from sigc.schedule.record import saved
from sigc.schedule.state import JobState, Pending, Retrying, Running, Waiting
from sigc.store.ledger import jobs, meta
from sigc.store.ledger.jobs import OrderedRun
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.records import Outcome
from sigc.why.chain import _BY_REASON, _LATE
from sigc.why.session_plan import PlannedJob
from tests.why.scenes import answer, plan

SESSION = "2016-01-05"
AT = datetime(2016, 1, 5, 14, tzinfo=UTC)  # nine in New York
NOW = AT + timedelta(hours=1)
JOB = PlannedJob("job", "0 9 * * 1-5", fires=(AT,))
DUE = "job job was due 2016-01-05 09:00:00 EST"
ORDER = OrderedRun(
    *("r1", "scripted", "trade", "main", "/s/scripted.sig", "", "", "job"), AT, "job job", "", AT + timedelta(seconds=1)
)
Write = Callable[[Transaction], object]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "work").mkdir(mode=0o700)
    with Ledger.open(tmp_path / "work", HandClock(NOW), durable=False) as opened:
        yield opened


def said(ledger: Ledger, *writes: Write, job: PlannedJob = JOB, now: datetime = NOW) -> tuple[str, str, str]:
    """The link, how it stands, the verdict: after some writes."""
    for write in writes:
        with ledger.transaction("control") as tx:
            write(tx)
    found = answer(ledger.directory, plan(SESSION, now, job))
    assert not found.ran
    return found.stopped_by, found.state, found.verdict


def missed(reason: str) -> Write:
    return lambda tx: jobs.miss(tx, "job", AT, reason, "scripted")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_of_a_miss_is_a_link(ledger: Ledger, reason: Reason) -> None:
    assert (str(reason) in _BY_REASON) != (str(reason) in _LATE)
    link, state, verdict = said(ledger, missed(str(reason)))
    assert link == _BY_REASON.get(str(reason), "daemon")
    assert state == "stopped"
    assert verdict.startswith(f"did not run. {link}: {DUE}: ")


def test_the_turn(ledger: Ledger) -> None:
    expected = f"did not run. turn: {DUE}: an earlier run was going on"
    assert said(ledger, missed(str(Reason.OVERLAP))) == ("turn", "stopped", expected)
    page = (Path(__file__).parent.parent.parent / "docs" / "why.md").read_text()
    assert "`did not run. turn: job momentum was due 2017-03-01 09:00:00 EST: an earlier run was going on`" in page


@pytest.mark.parametrize(
    ("outcome", "message", "expected"),
    [
        (Outcome.CANCELLED, "cancelled", ("turn", "stopped", "the run r1 was cancelled before it began")),
        (Outcome.INTERRUPTED, "cut off", ("daemon", "stopped", "the run r1 was cut off before it began: cut off")),
        (Outcome.FAILED, "E002: unknown\nsecond line", ("compile", "stopped", "E002: unknown")),
        (Outcome.FAILED, "E310: the ledger is damaged", ("daemon", "stopped", "E310: the ledger is damaged")),
        (Outcome.REFUSED, "scripted is paused since then", ("pause", "stopped", "scripted is paused since then")),
        (Outcome.DONE, "odd", ("turn", "stopped", "the run r1 ended done: odd")),
    ],
)
def test_orders_that_ended_before_their_run(
    ledger: Ledger, outcome: Outcome, message: str, expected: tuple[str, str, str]
) -> None:
    end = (outcome, message, "", "", True)
    link, state, verdict = said(ledger, lambda tx: jobs.ask(tx, ORDER), lambda tx: jobs.end(tx, ORDER, *end))
    assert (link, state, verdict) == (*expected[:2], f"did not run. {expected[0]}: {expected[2]}")


def test_an_order_that_has_not_begun_and_one_of_another_session(ledger: Ledger) -> None:
    other = replace(ORDER, id="r0", asked=AT - timedelta(days=3))
    link, state, verdict = said(ledger, lambda tx: jobs.ask(tx, other), lambda tx: jobs.ask(tx, ORDER))
    assert (link, state) == ("turn", "waiting")
    assert verdict == "has not run yet. turn: the run r1 was asked for, and has not begun"


def test_the_newest_evidence_is_the_verdict(ledger: Ledger) -> None:
    """Missed for a pause, then run by hand with a file that does not compile."""
    end = (Outcome.FAILED, "E002: unknown", "", "", True)
    later = replace(ORDER, job="", fire=None, who="ann")

    def ends(tx: Transaction) -> None:
        jobs.end(tx, later, *end)

    with ledger.transaction("control") as tx:
        jobs.miss(tx, "job", AT, "paused", "scripted")
    assert isinstance(ledger.clock, HandClock)
    ledger.clock.sleep(60)
    assert said(ledger, lambda tx: jobs.ask(tx, later), ends)[0] == "compile"


def state_of(phase: object, job: Job) -> Write:
    state = replace(JobState(job), phase=phase)  # type: ignore[arg-type]
    return lambda tx: jobs.save_state(tx, "job", {"state": saved(state), "handled": AT.isoformat(), "trigger": ""})


def test_a_job_that_waits_is_tried_again_or_runs(ledger: Ledger) -> None:
    own = Job("job", JobKind.EXECUTE, strategy="scripted")
    fire = Fire(AT, AT, "job")
    pending = Pending(fire)
    waits = replace(JOB, waits_for_data=True)
    found = said(ledger, state_of(Waiting(pending), own), job=waits)
    assert found == ("data", "waiting", f"has not run yet. data: {DUE}: it waits for fresh data (rows of 2016-01-04)")
    link, state, verdict = said(ledger, state_of(Retrying(pending, 2, NOW), own))
    assert (link, state) == ("turn", "waiting")
    assert verdict.endswith("its run failed, and is tried again 2016-01-05 10:00:00 EST")
    needs = Pending(fire, (("fetch", AT),))
    link, state, verdict = said(ledger, state_of(Waiting(needs), own), job=replace(JOB, depends_on=("fetch",)))
    assert (link, state) == ("dependency", "waiting")
    assert verdict.endswith(f"{DUE}: it waits for fetch: fetch has not run")
    assert said(ledger, state_of(Waiting(pending), own))[0] == "turn"
    assert said(ledger, state_of(Running(pending, 1, "r1"), own))[0] == "daemon"  # whose run is not in this ledger
    other = Pending(Fire(AT - timedelta(days=7), AT, "job"))
    assert said(ledger, state_of(Waiting(other), own))[0] == "daemon"  # a fire of another session


@pytest.mark.parametrize(
    "record", [{}, {"state": None}, {"state": {"phase": {"name": "waiting"}}}, {"state": {"phase": 3}}]
)
def test_a_state_that_is_not_as_written_tells_nothing(ledger: Ledger, record: dict[str, object]) -> None:
    assert said(ledger, lambda tx: jobs.save_state(tx, "job", record))[0] == "daemon"


def test_lives_of_the_daemon(ledger: Ledger) -> None:
    """None ever; one that began after; one that was stopped before; one that was there and left no trace; just now."""
    assert said(ledger)[2] == f"did not run. daemon: {DUE}: no daemon has served this ledger"
    assert said(ledger, now=AT + timedelta(seconds=5))[1] == "waiting"
    early = said(ledger, now=AT - timedelta(hours=1))
    assert early == ("schedule", "waiting", "has not run yet. schedule: job job is due 2016-01-05 09:00:00 EST")
    back = "it was started 2016-01-05 10:00:00 EST"
    assert (
        said(ledger, lambda tx: meta.begin(tx, ""))[2] == f"did not run. daemon: {DUE}: no daemon was running, {back}"
    )


def test_a_daemon_that_was_seen_last_before_the_fire(ledger: Ledger) -> None:
    seen = (AT - timedelta(hours=2)).isoformat()
    text = f"{DUE}: the daemon was not running: it was last seen 2016-01-05 07:00:00 EST"
    found = said(ledger, lambda tx: meta.begin(tx, seen))[2]
    assert found == f"did not run. daemon: {text}, it was started again 2016-01-05 10:00:00 EST"


def test_a_daemon_that_is_down_and_has_left_its_file(ledger: Ledger) -> None:
    (ledger.directory / "alive").write_text((AT - timedelta(hours=2)).isoformat() + "\n")
    text = f"{DUE}: the daemon was not running: it was last seen 2016-01-05 07:00:00 EST"
    assert said(ledger)[2] == f"did not run. daemon: {text}, and it has not been started again"


def test_a_daemon_that_was_there_says_nothing_of_the_fire(ledger: Ledger) -> None:
    assert isinstance(ledger.clock, HandClock)
    (ledger.directory / "alive").write_text(NOW.isoformat())
    link, _, verdict = said(ledger)
    assert link == "daemon"
    assert verdict.endswith("nothing is recorded of it: the schedule may have been changed since")


def test_jobs_that_are_off_follow_nothing_or_have_no_fire(ledger: Ledger) -> None:
    off = said(ledger, job=replace(JOB, is_enabled=False))
    assert off[2] == "did not run. schedule: job job is disabled in the configuration (enabled: false)"
    none = said(ledger, job=replace(JOB, fires=(), next=NOW))
    text = "nothing was due for this session: job job (0 9 * * 1-5); next 2016-01-05 10:00:00 EST"
    assert none[2] == f"did not run. schedule: {text}"
    follows = replace(JOB, trigger="", depends_on=("fetch",))
    link, _, verdict = said(ledger, job=follows)
    assert (link, verdict) == (
        "dependency",
        "did not run. dependency: it follows fetch, which did not finish: fetch has not run",
    )
