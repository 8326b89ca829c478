"""A dry run changes nothing of what is said of the real ones, and says itself what would keep a trade from going on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.daemon.configured.configured import configured
from sigc.daemon.configured.due_sessions import plan_of, session_wanted
from sigc.errors import Severity
from sigc.store.ledger import jobs, runs
from sigc.store.ledger.jobs import OrderedRun
from sigc.store.ledger.records import Outcome, RunKey, RunKind
from sigc.why.text import asset_lines, lines
from sigc_cli.local_schedule import LocalSchedule, history, listed
from sigc_pipelines.assembly.parts import Choices, configuration
from sigc_pipelines.reconcile.differences import glance
from tests.trading.floor import weekdays
from tests.trading.script import D1, D2, D3, Scene, scene, written
from tests.why.scenes import answer, asset_answer, plan

CONFIG = """schedule:
  calendar: weekdays
  timezone: America/New_York
  jobs: [{name: trade, kind: execute, strategy: scripted, trigger: "0 9 * * 1-5"}]
cluster: {type: none}
strategies: [{name: scripted, file: scripted.sig}]
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Scene]:
    """After the first day's run, on the second day."""
    floor = written(tmp_path, dict.fromkeys("ABC", 0.1))
    with scene(floor, D1) as first:
        first.run("one")
    with scene(floor, D2) as second:
        yield second


def ordered(desk: Scene, id: str, kind: str, outcome: Outcome) -> None:
    """What the schedule leaves of a run of the job `trade`."""
    at = desk.clock.now()
    order = OrderedRun(id, "scripted", kind, "main", "scripted.sig", "", "", "trade", at, "ann", "", at)
    with desk.trading.ledger.transaction("control") as tx:
        jobs.ask(tx, order)
        jobs.end(tx, order, outcome, "so it ended", "", "", True)


def schedule(desk: Scene, tmp_path: Path) -> tuple[object, list[tuple[str, str, str]]]:
    """The job as `schedule list` has it; run, kind and outcome of each line of its history."""
    (tmp_path / "sigc.yaml").write_text(CONFIG)
    found = configured(configuration(Choices(config=tmp_path / "sigc.yaml")))
    with desk.trading.ledger.reading() as connection:
        here = LocalSchedule(found, {"weekdays": weekdays(), "nyse": weekdays()}, connection, desk.clock.now())
        (job,) = (one for one in listed(here).jobs if one.name == "trade")
        return job, [(e.run, e.kind, e.outcome) for e in history(here, "trade", 10).entries]


def test_the_schedule_tells_of_the_real_run(desk: Scene, tmp_path: Path) -> None:
    ordered(desk, "real", "trade", Outcome.FAILED)
    before, lines = schedule(desk, tmp_path)
    assert lines == [("real", "trade", "failed")]
    ordered(desk, "dry", "dry", Outcome.DONE)
    after, lines = schedule(desk, tmp_path)
    assert after == before
    assert sorted(lines) == [("dry", "dry", "success"), ("real", "trade", "failed")]
    with desk.trading.ledger.reading() as connection:
        last = jobs.last_of(connection, "scripted")  # what `sigc status` shows after a start
        needed = jobs.of_job_since(connection, "trade", datetime(2016, 1, 1, tzinfo=UTC))  # what another job needs
    assert last is not None
    with desk.trading.ledger.transaction("control") as tx:  # it came to a session, and left no run: a scratch account
        scratch = OrderedRun(
            "scratch", "scripted", "trade", "main", "", "2016-01-04", "", "", None, "ann", "", last.asked
        )
        jobs.ask(tx, scratch)
        jobs.end(tx, scratch, Outcome.DONE, "3 orders", D2, D1, False)
        assert jobs.last_of(tx.connection, "scripted") == last
    assert (last.id, [one.id for one in needed]) == ("real", ["real"])


def test_why_stays_at_the_last_session_that_was_due(desk: Scene, tmp_path: Path) -> None:
    """A dry run of the evening is for the session after: the night's trade is in sight all the same."""
    (tmp_path / "sigc.yaml").write_text(CONFIG)
    found = configured(configuration(Choices(config=tmp_path / "sigc.yaml")))
    calendars = {"weekdays": weekdays(), "nyse": weekdays()}

    def session() -> str:
        with desk.trading.ledger.reading() as connection:
            wanted, last = session_wanted(connection, found, calendars, "scripted", "")
            assert wanted is None
            return plan_of(found, calendars, "scripted", desk.clock.now(), None, last).session

    assert desk.clock.now().date() == date.fromisoformat(D2)  # after its close: what is run now is for the third day
    before = session()
    assert before == D2
    desk.run("dry", kind=RunKind.DRY)
    assert desk.record("dry").key.session == D3
    assert session() == before
    with desk.trading.ledger.reading() as connection:
        assert runs.last_session_of(connection, "scripted") == D2
        assert runs.last_session_of(connection, "scripted", with_dry=True) == D3
    desk.run("two")
    assert session() == D3  # a trade does


def test_an_asset_of_a_dry_run_is_told_as_that(desk: Scene) -> None:
    desk.run("dry", kind=RunKind.DRY)
    work, about = desk.floor.work_dir, plan(D3, desk.clock.now())
    found = asset_answer(work, about, "A")
    assert (found.is_dry, found.run) == (True, "dry")
    line = "  by the dry run dry, which traded nothing: no run has traded this session"
    assert asset_lines(found)[1] == line
    desk.run("two")
    real = asset_answer(work, about, "A")
    assert (real.is_dry, real.run, asset_lines(real)[1]) == (False, "two", "  by the run two")


def whole(text: str) -> str:
    """Amounts without digits that say nothing."""
    return re.sub(r"\.0+\b", "", text)


def told(desk: Scene, id: str) -> tuple[str, list[str]]:
    """The message of a dry run, and its warnings about the broker."""
    ended = desk.run(id, kind=RunKind.DRY)
    warned = [f for stage in ended.stages for f in stage.findings if f.check in ("E601", "E602")]
    assert all(f.severity is Severity.WARNING for f in warned)
    return ended.run.message, [f.message for f in warned]


def test_a_dry_run_says_that_ledger_and_broker_differ(desk: Scene) -> None:
    assert told(desk, "before") == ("0 orders would go out", [])  # orders are on their way, and that is no difference
    desk.run("two")
    again = f"a run now would be refused: scripted (main) was traded for the session {D3} already"
    assert told(desk, "same") == (f"0 orders would go out; {again}", [])
    desk.paper.deposit("gift", Decimal(5))
    # A tenth of a million in each of three assets, paid for: 700,000 are left of it.
    differ = "ledger and broker differ: (cash): ledger 700000, broker 700005, so a trade would fail (E602)"
    message, warned = told(desk, "after")
    assert whole(message) == f"0 orders would go out; {again}; {differ}"
    assert [whole(text) for text in warned] == [differ]
    ended = desk.run("three", is_forced=True, reason="as the dry run said")
    assert (ended.run.outcome, ended.problems[0].code) == (Outcome.FAILED, "E602")


def test_a_dry_run_says_that_the_broker_does_not_answer(desk: Scene) -> None:
    desk.run("two")
    desk.broker.is_silent = True
    message, (warned,) = told(desk, "dry")
    assert warned.startswith("the broker does not say what it holds, so a trade would fail: ")
    assert message.endswith(warned)


def test_a_dry_run_of_a_past_session_says_nothing_of_today(desk: Scene) -> None:
    desk.run("two")
    desk.paper.deposit("gift", Decimal(5))
    for session, count in ((D1, 0), (D2, 0), (D3, 1)):
        key = RunKey("scripted", "main", session, RunKind.DRY, "")
        assert len(glance(desk.trading.ledger, desk.broker, key)) == count


def test_data_are_told_without_a_run(desk: Scene) -> None:
    """By the newest run of the session or before it that read any; of an earlier session never by a later one."""
    work = desk.floor.work_dir
    late = answer(work, plan(D3, desk.clock.now()))
    assert (late.ran, late.data_from) == (False, f"trade one for the session {D2}")
    assert {line.name: line.newest for line in late.data if line.newest} == dict.fromkeys(
        ("prices", "target", "volume"), D1
    )
    assert f"Data, as the trade one for the session {D2} had them:" in lines(late)
    desk.run("dry", kind=RunKind.DRY)
    assert answer(work, plan(D3, desk.clock.now())).data_from == f"dry dry for the session {D3}"
    assert answer(work, plan(D1, desk.clock.now())).data == ()
    real = answer(work, plan(D2, desk.clock.now()))
    assert (real.ran, real.data_from) == (True, "")
    assert "Data:" in lines(real)


def test_why_marks_what_a_stage_got_to(desk: Scene) -> None:
    """A run that failed while it loaded: nothing was computed, checked, decided or judged by a limit."""
    desk.paper.deposit("gift", Decimal(5))
    desk.run("two")
    found = answer(desk.floor.work_dir, plan(D3, desk.clock.now()))
    states = {link.name: link.state for link in found.links}
    assert (found.stopped_by, states["data"], states["broker"]) == ("broker", "ok", "stopped")
    for name in ("compute", "rebalance", "check", "decision", "limits", "fills"):
        assert states[name] == "-", name
