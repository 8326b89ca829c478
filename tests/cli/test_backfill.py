"""The sessions that `sigc backfill` lists, beside a ledger made by hand: those without a run that ended well."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigc.clock import HandClock
from sigc.store.ledger import runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Outcome, Run, RunKey, RunKind
from sigc_cli.main import cli

SESSIONS = [f"2016-01-{day:02}" for day in (4, 5, 6, 7, 8, 11, 12, 13, 14, 15)]  # two business weeks
TRADED = {"done", "unchanged", "partial"}  # as docs/operations.md has it
CONFIG = """schedule: {{calendar: weekdays, timezone: America/New_York}}
daemon: {{work_dir: {work}}}
cluster: {{type: none}}
strategies: [{{name: scripted, file: scripted.sig}}]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration and room for ledgers, entered."""
    (tmp_path / "scripted.sig").write_text("signal a:\n  emit 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(work: Path, history: list[tuple[str, RunKind, Outcome]]) -> None:
    """A ledger with these runs, in this order."""
    work.mkdir(mode=0o700)
    at = datetime(2016, 2, 1, tzinfo=UTC)
    with Ledger.open(work, HandClock(at), durable=False) as ledger:
        for number, (session, kind, outcome) in enumerate(history):
            key = RunKey("scripted", "main", session, kind, "")
            run = Run(f"r{number}", key, session, number, at, "ann", "", "paper", at + timedelta(days=1))
            with ledger.transaction("run-open") as tx:
                runs.open_run(tx, run, {})
            if outcome is not Outcome.OPEN:
                with ledger.transaction("run-close") as tx:
                    runs.close_run(tx, run, at, outcome, "so it ended")


def listed(place: Path, work: Path) -> dict[str, str]:
    """Each session that is listed, with why."""
    (place / "sigc.yaml").write_text(CONFIG.format(work=work))
    words = ["backfill", SESSIONS[0], SESSIONS[-1], "--dry-run", "--json", "--work-dir", str(work)]
    done = CliRunner().invoke(cli, words, standalone_mode=False, catch_exceptions=False)
    return {gap["session"]: gap["why"] for gap in json.loads(done.stdout)}


def test_one_session_of_each_outcome(place: Path) -> None:
    """The tenth session has a dry run alone, and no session is missing from both lists."""
    outcomes = [outcome for outcome in Outcome if outcome is not Outcome.OPEN]
    history = [(day, RunKind.TRADE, outcome) for day, outcome in zip(SESSIONS, outcomes, strict=False)]
    written(place / "work", [*history, (SESSIONS[-1], RunKind.DRY, Outcome.DONE)])
    found = listed(place, place / "work")
    assert [day for day in SESSIONS if day not in found] == [day for day, _, o in history if str(o) in TRADED]
    for day, _, outcome in history:
        if str(outcome) not in TRADED:
            assert found[day].startswith(f"ran: {outcome}"), found[day]
    assert found[SESSIONS[-1]].startswith("did not run (1 dry).")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(SESSIONS), st.sampled_from(list(RunKind)), st.sampled_from(list(Outcome))),
        max_size=15,
    ),
)
def test_those_without_a_run_that_ended_well(place: Path, history: list[tuple[str, RunKind, Outcome]]) -> None:
    work = place / f"work{len(list(place.iterdir()))}"
    history = sorted(history, key=lambda one: one[0])
    written(work, history)
    well = {session for session, kind, outcome in history if kind == "trade" and str(outcome) in TRADED}
    assert set(listed(place, work)) == set(SESSIONS) - well
