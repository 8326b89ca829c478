"""Halt and resume: decisions in the ledger that hold from the moment they are written, over restarts, audited."""

from __future__ import annotations

import pytest

from sigc.clock import SystemClock
from sigc.errors import SigcError
from sigc.rpc.messages.page import AcceptReply, HaltReply, SafetyReply, WhoReply
from sigc.rpc.messages.status import StatusReply
from sigc.store.ledger import control
from sigc.store.ledger.ledger import Ledger
from tests.daemon.daemons import Daemon, Site


def test_what_is_halted_stays_halted_until_it_is_let_go(site: Site) -> None:
    with Daemon(site):
        with site.client() as client:
            fields = {"strategy": "momentum", "reason": "odd prices"}
            assert client.post("safety/halt", fields, reply=HaltReply) == HaltReply(True, ("momentum",))
            assert client.post("safety/halt", fields, reply=HaltReply) == HaltReply(False, ("momentum",))
        assert site.status().strategies[0].state == "halted"
        run = site.run("momentum", date="2017-03-01")
        assert run.outcome != "done"
        assert "halted" in run.message
    with Daemon(site), site.client() as client:
        (held,) = client.get("safety/status", reply=SafetyReply).decisions
        assert (held.kind, held.strategy, held.why) == ("halted", "momentum", "odd prices")
        assert held.who.startswith("main (")
        assert client.post("safety/resume", {"strategy": "momentum"}, reply=HaltReply) == HaltReply(True, ())
        assert site.run("momentum", date="2017-03-01").outcome == "done"


def test_everything_is_halted_by_one_word(site: Site) -> None:
    with Daemon(site), site.client() as client:
        client.post("safety/halt", {"reason": "enough"})
        status = site.status()
        assert status.is_halted
        assert {one.state for one in status.strategies} == {"halted"}
        assert site.run("momentum", date="2017-03-01").outcome != "done"
        client.post("safety/resume", {})
        assert not site.status().is_halted


def test_a_halt_that_a_rule_has_set_is_not_taken_back_by_hand(site: Site) -> None:
    with Ledger.open(site.folder / "work", SystemClock()) as ledger, ledger.transaction("control") as tx:
        control.put(tx, control.HALTED, "momentum", "by a rule", "sigc", "1 order without an outcome")
    with Daemon(site), site.client() as client:
        with pytest.raises(SigcError, match="halted by a rule"):
            client.post("safety/resume", {"strategy": "momentum"})
        client.post("safety/halt", {"strategy": "momentum", "reason": "and so say I"})
        (held,) = client.get("safety/status", reply=SafetyReply).decisions
        assert held.why == "and so say I"


def test_nobody_halts_what_is_not_there(site: Site) -> None:
    with Daemon(site), site.client() as client, pytest.raises(SigcError, match="no strategy 'momentun'"):
        client.post("safety/halt", {"strategy": "momentun"})


def test_a_token_is_told_who_it_is(site: Site) -> None:
    with Daemon(site), site.client() as client:
        assert client.get("whoami", reply=WhoReply) == WhoReply("main", "trade", "sigc")


def test_status_says_which_limits_are_off(site: Site) -> None:
    with Daemon(site), site.client() as client:
        details = client.get("status", {"is_detailed": True}, reply=StatusReply).detailed
    assert details is not None
    text = (site.folder / "momentum.sig").read_text()
    off = {} if "volume:" in text else {"momentum": "max_adv_pct is off: the strategy loads no source 'volume'"}
    assert details.limits_off == off


def test_a_price_is_accepted_by_whoever_may_trade(site: Site) -> None:
    with Daemon(site), site.client() as client:
        accepted = client.post(
            "data/accept", {"asset": "S001", "day": "2017-03-01", "reason": "seen"}, reply=AcceptReply
        )
        assert accepted == AcceptReply("S001", "2017-03-01", is_known=False)  # nothing was traded yet
        for wrong in ({"day": "soon", "reason": "seen"}, {"day": "2017-03-01", "reason": ""}):
            with pytest.raises(SigcError):
                client.post("data/accept", {"asset": "S001"} | wrong)
    with Ledger.open(site.folder / "work", SystemClock()) as ledger, ledger.reading() as connection:
        assert control.accepted_by_hand(connection) == {("S001", "2017-03-01")}
        (one,) = control.every(connection, control.ACCEPTED)
        assert one.who.startswith("main (")
