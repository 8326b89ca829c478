"""A job that is run by hand in a real daemon: what its dry run leaves alone, what is said of jobs that it depends on,
and of names that are those of a strategy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from sigc_cli.daemon_call import _status
from tests.daemon.daemons import DAYS, Site
from tests.daemon.test_tending import at, hand_daemon

NINE = "0 9 * * 1-5"
EVENING = at(DAYS[0], 0) + timedelta(hours=15)  # ten in New York


def ended(site: Site, run: str) -> str:
    with site.client() as client:
        return _status(list(client.events("runs/events", {"id": run}))[-1]).outcome


def of_trade(site: Site) -> Mapping[str, Any]:
    """The job as the schedule lists it, but for its next fire."""
    found = json.loads(site.sigc("schedule", "list", "--json").stdout)["jobs"]
    (job,) = (job for job in found if job["name"] == "trade")
    return dict(job)


@pytest.fixture
def fetched(site: Site) -> Site:
    """A job that trades momentum after one that fails, and one that follows the trade."""
    site.settings["strategies"][0].pop("schedule", None)
    site.settings["schedule"]["jobs"] = [
        site.script("fetch", "/bin/sh", "-c", "exit 3") | {"trigger": NINE},
        {
            "name": "trade",
            "kind": "rebalance",
            "strategy": "momentum",
            "depends_on": ["fetch"],
            "trigger": "5 9 * * 1-5",
        },
        {"name": "then", "kind": "script", "depends_on": ["trade"], "command": ["/bin/true"]},
    ]
    site.write()
    return site


def test_a_job_by_hand(fetched: Site) -> None:
    site = fetched
    with hand_daemon(site, EVENING):
        failed = json.loads(site.sigc("schedule", "run", "fetch", "--json").stdout)["run"]
        assert ended(site, failed) == "failed"

        # A dry run: begun with a warning, told as what it is, counted on by nobody.
        before = of_trade(site)
        assert before["last_status"] == ""
        begun = site.sigc("schedule", "run", "trade", "--dry-run")
        assert begun.returncode == 0, begun.stderr
        run = begun.stdout.split()[1]
        assert begun.stdout == f"run {run} has begun\n"
        what = "warning: job 'trade' runs although a job it depends on did not finish: 'fetch'"
        assert begun.stderr == f"{what} (due 2017-03-01 09:00:00 EST, its last run {failed} failed)\n"
        assert ended(site, run) == "done"
        assert of_trade(site) == before
        history = site.sigc("schedule", "history", "trade").stdout
        assert "dry run: success" in history
        assert site.sigc("schedule", "history", "then").stdout == "then has not fired yet\n"
        no_dry = site.sigc("schedule", "run", "fetch", "--dry-run")
        assert (no_dry.returncode, "job 'fetch' (script) has no strategy" in no_dry.stderr) == (11, True)
        status = json.loads(site.sigc("status", "--json").stdout)["strategies"][0]
        assert (status["status"], status["run"]) == ("never run", "")

        # A real one is one.
        begun = site.sigc("schedule", "run", "trade")
        assert what in begun.stderr
        assert ended(site, begun.stdout.split()[1]) == "done"
        assert of_trade(site)["last_status"] == "success"
        site.until(lambda: "success" in site.sigc("schedule", "history", "then").stdout, "the job that follows ran")

        # Names of strategies where jobs are meant, and the other way round.
        for words in (("schedule", "run", "momentum"), ("schedule", "history", "momentum")):
            wrong = site.sigc(*words)
            assert wrong.returncode == 11
            assert "strategy 'momentum' is traded by the job 'trade'" in wrong.stderr
        assert "there are: fetch, then, trade" in site.sigc("schedule", "run", "x").stderr
        named: tuple[tuple[str, ...], ...] = (("pause", "trade", "--reason", "x"), ("run", "trade", "--dry-run"))
        for line in named:
            wrong = site.sigc(*line)
            assert (wrong.returncode, "'trade' is a job, of the strategy 'momentum'" in wrong.stderr) == (11, True), (
                words
            )
        why = site.sigc("why", "trade").stdout.splitlines()
        assert why[0].endswith(": 'trade' is a job, of the strategy 'momentum'")
        assert why[-1] == "Look further: sigc why momentum"
    alone = site.sigc("schedule", "history", "momentum")
    assert "strategy 'momentum' is traded by the job 'trade'" in alone.stderr
