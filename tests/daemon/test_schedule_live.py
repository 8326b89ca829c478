"""Jobs in a real daemon: fired on time, run by hand, switched off, missed; scripts that end with their run."""

from __future__ import annotations

import json
import os
from typing import Any

import psutil
import pytest

from sigc.rpc.messages.requests import HistoryReply, JobsReply, RunStatus
from sigc_cli.daemon_call import _status
from tests.daemon.daemons import Daemon, Gate, Site, in_moments
from tests.daemon.processes import gone


def ended(site: Site, run: str) -> RunStatus:
    with site.client() as client:
        return _status(list(client.events("runs/events", {"id": run}))[-1])


def test_a_job_fires_on_time(site: Site) -> None:
    gate = Gate.make(site.folder)
    with Daemon(site):
        # Counted from when it is ready: a start on a busy machine may take longer than the moments.
        job = {"name": "soon", "kind": "script", "trigger": in_moments(6), "calendar": "always", "zone": "UTC"}
        site.settings["schedule"]["jobs"] = [{**job, "command": list(gate.command)}]
        site.write()
        assert site.sigc("reload").returncode == 0
        planned = json.loads(site.sigc("schedule", "next", "-n", "1", "--json").stdout)["fires"][0]["planned"]
        gate.wait()
        with site.client() as client:
            (found,) = client.get("schedule/list", reply=JobsReply).jobs
            assert (found.phase, found.last_status) == ("running", "open")
            gate.open()
            assert ended(site, found.run).outcome == "done"
            (entry,) = client.get("schedule/history", {"job": "soon"}, reply=HistoryReply).entries
        assert entry.planned is not None
        assert entry.planned.isoformat() == planned
        assert 0 <= (entry.at - entry.planned).total_seconds() < 5
        assert entry.outcome == "success"
    records = [r for r in site.log() if r["run"] == entry.run]
    assert {r["text"] for r in records} == {"run begins", "run ended"}


def test_by_hand_with_overlap_and_switches(gated: tuple[Site, Gate]) -> None:
    site, gate = gated
    with Daemon(site):
        begun = json.loads(site.sigc("schedule", "run", "gate", "--json").stdout)["run"]
        gate.wait()
        again = site.sigc("schedule", "run", "gate")
        assert again.returncode == 11
        assert f"{begun} is under way" in again.stderr
        gate.open(3)
        failed = ended(site, begun)
        assert (failed.outcome, failed.message) == ("failed", "the script ended with code 3")
        assert site.sigc("schedule", "disable", "gate", "--reason", "broken").stdout == "job gate is disabled\n"
        assert site.sigc("schedule", "disable", "gate").stdout == "job gate was disabled already\n"
        assert "disabled" in site.sigc("schedule", "list").stdout
        assert "nothing is due" in site.sigc("schedule", "next").stdout
        assert "an earlier run was going on" in site.sigc("schedule", "history", "gate").stdout
    with Daemon(site):
        assert "disabled" in site.sigc("schedule", "list").stdout
        assert site.sigc("schedule", "enable", "gate").stdout == "job gate is enabled\n"
        unknown = site.sigc("schedule", "run", "gat")
        assert (unknown.returncode, "did you mean 'gate'?" in unknown.stderr) == (11, True)


def test_a_script_that_is_cancelled_ends_with_all_it_started(site: Site) -> None:
    begun = site.folder / "begun"
    os.mkfifo(begun)
    command = ["/bin/sh", "-c", f"sleep 1000 & echo $! > {begun}; wait"]
    site.settings["schedule"]["jobs"] = [site.script("long", *command), site.script("nope", "/nonexistent")]
    site.write()
    with Daemon(site) as daemon:
        run = json.loads(site.sigc("schedule", "run", "long", "--json").stdout)["run"]
        sleeper = int(begun.read_text())
        with site.client() as client:
            assert client.post("runs/cancel", {"id": run})["was_going"]
        assert ended(site, run).outcome == "cancelled"
        assert gone(sleeper)
        run = json.loads(site.sigc("schedule", "run", "nope", "--json").stdout)["run"]
        assert "can't be run" in ended(site, run).message
        assert daemon.descendants() == []


def test_a_script_dies_with_a_killed_daemon(gated: tuple[Site, Gate]) -> None:
    site, gate = gated
    with Daemon(site) as daemon:
        site.sigc("schedule", "run", "gate")
        script = gate.wait()
        assert psutil.pid_exists(script)
        daemon.kill()
        assert gone(script)
    with Daemon(site):
        found = json.loads(site.sigc("schedule", "history", "gate", "--json").stdout)["entries"]
        assert [entry["outcome"] for entry in found] == ["interrupted"]


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"name": "a", "kind": "compute", "trigger": "61 * * * *", "strategy": "momentum"}, "invalid cron expression"),
        ({"name": "a", "kind": "compute", "trigger": "0 9 * * *"}, "names no strategy"),
        ({"name": "a", "kind": "script", "trigger": "0 9 * * *"}, "needs 'command'"),
        (
            {"name": "a", "kind": "script", "trigger": "0 9 * * *", "command": ["x"], "calendar": "nis"},
            "unknown calendar",
        ),
    ],
)
def test_jobs_that_can_not_be(site: Site, job: dict[str, Any], said: str) -> None:
    site.settings["schedule"]["jobs"] = [job]
    site.write()
    refused = site.sigc("daemon", "--config", str(site.config))
    assert refused.returncode == 6
    assert said in refused.stderr
    assert site.left_behind() == []
