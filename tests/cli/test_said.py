"""What commands say of what is not there: scripts that print nothing, fires that did not run, checks that are named."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from sigc.clock import HandClock
from sigc.daemon.status import missed_of
from sigc.rpc.messages.status import Details, StatusReply
from sigc.store.ledger import jobs
from sigc.store.ledger.jobs import OrderedRun
from sigc.store.ledger.ledger import Ledger
from sigc_cli.main import cli
from sigc_cli.text.check_text import checks_text
from sigc_cli.text.daemon_text import status_block
from sigc_cli.text.ordered_view import Ordered, text

ROOT = Path(__file__).parent.parent.parent
AT = datetime(2016, 1, 5, 14, tzinfo=UTC)  # nine in New York
ZONE = "America/New_York"


def test_a_script_that_printed_nothing() -> None:
    done = Ordered("r1", "", "script", "fetch", None, "job fetch", "", AT, AT, "failed", "why", "", "")
    assert text(done, ZONE, ("/bin/fetch", "a b")).splitlines()[3:] == [
        "the job's command is now: /bin/fetch 'a b'",
        "it printed nothing",
    ]
    going = replace(done, finished=None, outcome="open")
    assert "nothing" not in text(going, ZONE)


def test_fires_that_did_not_run(tmp_path: Path) -> None:
    """Until the job has run since; a dry run is none."""
    (tmp_path / "work").mkdir(mode=0o700)

    def ran(kind: str, after: timedelta) -> None:
        order = OrderedRun(f"{kind}{after}", "s", kind, "p", "", "", "", "trade", None, "ann", "", AT + after)
        with ledger.transaction("control") as tx:
            jobs.ask(tx, order)

    def told() -> tuple[str, ...]:
        with ledger.reading() as connection:
            return missed_of(connection, ("trade", "other"), ZONE)

    with Ledger.open(tmp_path / "work", HandClock(AT), durable=False) as ledger:
        assert told() == ()
        ran("trade", -timedelta(days=1))
        with ledger.transaction("control") as tx:
            jobs.miss(tx, "trade", AT, "paused", "s")
        expected = ("trade, due 2016-01-05 09:00:00 EST: paused",)
        assert told() == expected
        ran("dry", timedelta(hours=1))
        assert told() == expected
        ran("trade", timedelta(hours=2))
        assert told() == ()


def test_status_tells_of_open_alerts_and_missed_fires() -> None:
    """And the check of the channels is called after them: it is no word about the alerts."""
    details = Details(checks={"alerts": "ok"}, missed=("trade, due 2016-01-05 09:00:00 EST: paused",))
    quiet = StatusReply("d", "running", 1, "", "1", 1.0, 1, 1, 0.0, ZONE, True, False, "l")
    assert "lerts" not in status_block(quiet)
    block = status_block(replace(quiet, alerts={"warning": 1, "critical": 3}, detailed=details)).splitlines()
    assert "Alerts: 4 open (1 warning, 3 critical); sigc alerts list" in block
    assert block[block.index("Did not run:") + 1] == "  trade: due 2016-01-05 09:00:00 EST: paused"
    assert block[block.index("Checks:") + 1] == "  alert channels: ok"


def declared() -> set[str]:
    """The names of the functions with `@check` in the text of the checks."""
    found: set[str] = set()
    for path in (ROOT / "pipelines" / "sigc_pipelines" / "checks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                calls = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
                found |= {node.name for call in calls if isinstance(call, ast.Name) and call.id == "check"}
    return found


@pytest.mark.parametrize("name", sorted(declared()))
def test_every_check_can_be_looked_up(name: str) -> None:
    done = CliRunner().invoke(cli, ["explain", name], standalone_mode=False, catch_exceptions=False)
    assert f"{name}, a check of " in done.stdout
    assert checks_text()[name] in done.stdout


def test_the_limit_and_the_policy_of_a_check_are_told() -> None:
    told = checks_text()
    assert "safety.max_universe_change" in told["universe"]
    assert "safety.on_data_error" in told["universe"]
    assert "safety.on_stale_data" in told["fresh"]
    assert told["position"].count("limit: safety.max_position") == 2  # of weights and of orders
