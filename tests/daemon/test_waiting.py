"""Orders that wait for the open in a daemon: told as waiting, holding no slot, over a kill and a stop."""

from __future__ import annotations

import json

import pytest

from sigc.errors import SigcError
from sigc.store.ledger.records import IntentState
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc_cli.daemon_call import _status
from tests.daemon.daemons import Site
from tests.daemon.test_completing import OPEN, all_orders, books, handed, in_the_book, is_done_to, set_clock

S = IntentState


def waiting_of(site: Site) -> dict[str, WaitingOrders | None]:
    return {one.name: one.waiting for one in site.status().strategies}


def test_runs_wait_for_the_open_without_a_slot_over_a_kill_and_a_stop(site: Site) -> None:
    names = books(site, 3)
    site.settings["daemon"]["max_runs"] = 1
    site.write()
    with handed(site, -30) as daemon, site.client() as client:
        first, second, third = (site.sigc("run", f"{name}.sig") for name in names)
        for ran in (first, second, third):  # each has the one slot in its turn
            assert ran.returncode == 0, ran.stderr
            assert "waiting: 48 orders leave at 2017-03-03 09:30:00 EST" in ran.stdout
        expected = WaitingOrders(48, 0, OPEN)
        assert waiting_of(site) == dict.fromkeys(names, expected)
        assert {one.status for one in site.status().strategies} == {"waiting"}
        assert f"Status: waiting, 48 orders leave at {OPEN:%Y-%m-%d} 09:30:00" in site.sigc("status").stdout
        listed = [_status(one) for one in client.get("history/runs", {"most": 10})["runs"]]
        assert [(one.state, one.waiting) for one in listed] == [("running", expected)] * 3
        detail = client.get("runs/detail", {"id": listed[0].id})
        assert detail["status"]["waiting"]["planned"] == 48
        assert "wait for the open" in client.get("runs/show", {"id": listed[0].id})["text"]
        with pytest.raises(SigcError, match="under way"):
            client.post("run", {"strategy": names[0]})
        assert client.post("run", {"strategy": names[0], "is_dry": True})["kind"] == "dry"
        daemon.kill()
    assert in_the_book(site) == []
    with handed(site, -20) as daemon, site.client() as client:
        assert waiting_of(site) == dict.fromkeys(names, expected)
        client.post("safety/halt", {"strategy": names[0], "reason": "enough"})
        site.until(lambda: waiting_of(site)[names[0]] is None, "the halt has ended that wait")
        assert site.sigc("stop", "--timeout", "60").returncode == 0  # at once: nothing is to be finished
        assert daemon.end()[0] == 0
    assert {i.state for i in all_orders(site) if i.key.strategy == names[0]} == {S.DENIED}
    assert {i.state for i in all_orders(site) if i.key.strategy != names[0]} == {S.PLANNED}
    with handed(site, -10) as daemon, site.client() as client:
        assert waiting_of(site) == {names[0]: None, names[1]: expected, names[2]: expected}
        set_clock(site, 0)
        site.until(lambda: is_done_to(site, 0), "the first slices are out")
        site.until(lambda: set(waiting_of(site).values()) == {None}, "nothing waits for the open")
        assert site.status().strategies[1].status == "running"
        assert len(in_the_book(site)) == 2 * 8
        daemon.kill()


def test_a_run_at_a_broker_that_queues_ends_and_is_told_as_waiting(site: Site) -> None:
    (name,) = books(site, 1)
    site.settings["execution"] = {"fill_wait_s": 0.0}
    site.write()
    with handed(site, -30) as daemon, site.client() as client:
        ran = site.sigc("run", name, "--wait", "--json")
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        assert (found["outcome"], found["waiting"]["sent"]) == ("done", 8)
        assert waiting_of(site) == {name: WaitingOrders(0, 8, OPEN)}
        said = f"Status: waiting, 8 orders are at the broker, and may be filled from {OPEN:%Y-%m-%d} 09:30:00"
        assert said in site.sigc("status").stdout
        set_clock(site, 1)
        client.post("resume")
        site.until(lambda: site.status().strategies[0].status == "success", "the session is open")
        assert waiting_of(site) == {name: None}
        daemon.kill()
