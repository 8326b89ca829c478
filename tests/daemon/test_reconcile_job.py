"""A job that compares ledger and broker: what it finds is told, halts, or is adopted where nobody has to judge it."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal

import pytest

from sigc.clock import SystemClock
from sigc.config.settings import PaperSettings
from sigc.rpc.client import Client
from sigc.rpc.messages.alerts import AlertsReply
from sigc.rpc.messages.requests import JobRunReply, RunStatus
from sigc_pipelines.brokers.paper import PaperBroker
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.daemon.processes import PATIENCE_S


def compared(client: Client) -> RunStatus:
    begun = client.post("schedule/run", {"job": "compare"}, reply=JobRunReply)
    assert list(client.events("runs/events", {"id": begun.run}))[-1]["state"] == "ended"
    return client.get("runs/show", {"id": begun.run}, reply=RunStatus)


@pytest.mark.parametrize("on_mismatch", ["alert", "halt", "adopt"])
def test_a_job_compares_ledger_and_broker(site: Site, on_mismatch: str) -> None:
    """Money that came past sigc is no fee: also `adopt` only tells it."""
    site.settings["schedule"]["jobs"] = [{"name": "compare", "kind": "reconcile", "trigger": "0 0 29 2 *"}]
    site.settings.setdefault("safety", {})["on_mismatch"] = on_mismatch
    site.write()
    with Daemon(site), site.client(PATIENCE_S) as client:
        ended = site.run("momentum", date=DAYS[0])
        client.post("runs/cancel", {"id": ended.id, "reason": "nothing is on its way"})
        calm = compared(client)
        assert (calm.outcome, calm.message) == ("done", "ledger and broker agree")
        with closing(PaperBroker(site.folder / "work" / "paper.sqlite", PaperSettings(), SystemClock())) as paper:
            paper.deposit("by wire", Decimal(75))
        found = compared(client)
        assert found.outcome == "refused"
        assert "ledger and broker differ: (cash)" in found.message
        assert ("halted  everything" in site.sigc("safety", "status").stdout) == (on_mismatch == "halt")
        told = client.get("alerts/list", {}, reply=AlertsReply)
        assert [(a.rule, a.severity) for a in told.alerts if a.run == found.id] == [("reconciliation", "critical")]
