"""An asset is renamed in a daemon that runs: in the ledger, at its paper broker, audited; refusals change nothing."""

from __future__ import annotations

import json
from contextlib import closing
from decimal import Decimal

import pytest

from sigc.clock import SystemClock
from sigc.config.settings import PaperSettings
from sigc.errors import SigcError
from sigc.rpc.messages.books import BookMovedReply, ReconcileReply, RenameReply
from sigc.rpc.messages.history import PositionsReply
from sigc.rpc.messages.requests import ReloadReply
from sigc_pipelines.brokers.paper import PaperBroker
from tests.daemon.daemons import DAYS, Daemon, Site


def test_an_asset_is_renamed_while_the_daemon_runs(site: Site) -> None:
    with Daemon(site), site.client() as client:
        ended = [site.run("momentum", date=day) for day in DAYS[:2]]
        assert {run.outcome for run in ended} == {"done"}
        held = client.get("positions/list", {"strategy": "momentum"}, reply=PositionsReply)
        one, other = (
            (p for p in held.positions if p.quantity and p is not None) if held.total == 2 else held.positions[:2]
        )
        fields = {"strategy": "momentum", "old": one.asset, "new": "NEW", "reason": "its file says so now"}
        with pytest.raises(SigcError, match="needs a reason"):
            client.post("book/rename-asset", fields | {"reason": ""})
        with pytest.raises(SigcError, match="no book of 'nobody'"):
            client.post("book/rename-asset", fields | {"strategy": "nobody"})
        with pytest.raises(SigcError, match="is held already|does not hold"):
            client.post("book/rename-asset", fields | {"new": other.asset})
        client.post("runs/cancel", {"id": ended[-1].id, "reason": "names first"})
        (entry,) = client.post("book/rename-asset", fields, reply=RenameReply).entries
        assert (entry.asset, entry.into, float(entry.into_change)) == (one.asset, "NEW", one.quantity)
        after = client.get("positions/list", {"strategy": "momentum"}, reply=PositionsReply)
        assert {p.asset for p in after.positions if p.quantity} == {
            "NEW" if p.asset == one.asset else p.asset for p in held.positions if p.quantity
        }
        done = site.sigc("book", "actions", "momentum", "--json", "--work-dir", str(site.folder / "work"))
        assert [e["reason"] for e in json.loads(done.stdout)] == ["by hand"]


def test_the_broker_is_compared_and_adopted_while_the_daemon_runs(site: Site) -> None:
    """By the daemon's own hand on the ledger: the command finds it, and nothing else may write."""
    with Daemon(site), site.client() as client:
        ended = site.run("momentum", date=DAYS[0])
        assert ended.outcome == "done"
        client.post("runs/cancel", {"id": ended.id, "reason": "no order is on its way: nothing is waited for"})
        assert client.post("book/reconcile", {}, reply=ReconcileReply) == ReconcileReply(())
        with closing(PaperBroker(site.folder / "work" / "paper.sqlite", PaperSettings(), SystemClock())) as paper:
            paper.deposit("by wire", Decimal(75))
        told = site.sigc("reconcile", "--json")
        assert told.returncode == 7
        (found,) = json.loads(told.stdout)["differences"]
        assert (found["subject"], found["cause"]) == ("(cash)", "transfer")
        with pytest.raises(SigcError, match="needs a reason"):
            client.post("book/adopt", {"reason": ""})
        with pytest.raises(SigcError, match="no book of 'nobody'"):
            client.post("book/adopt", {"reason": "x", "strategy": "nobody"})
        done = site.sigc("reconcile", "--adopt", "--reason", "a wire", "--book", "unassigned")
        assert done.returncode == 0, done.stderr
        assert "75" in done.stdout
        assert "unassigned/main" in done.stdout  # named before there was one
        assert done.stdout.rstrip().endswith("ledger and broker agree now")
        assert client.post("book/reconcile", {}, reply=ReconcileReply) == ReconcileReply(())


def test_shares_change_their_book_while_the_daemon_runs(site: Site) -> None:
    with Daemon(site), site.client() as client:
        ended = [site.run("momentum", date=day) for day in DAYS[:2]]
        assert {run.outcome for run in ended} == {"done"}
        client.post("runs/cancel", {"id": ended[-1].id, "reason": "no order is on its way"})
        held = client.get("positions/list", {"strategy": "momentum"}, reply=PositionsReply)
        one = next(p for p in held.positions if p.quantity)
        fields = {"source": "momentum", "to": "unassigned", "asset": one.asset, "reason": "not ours"}
        with pytest.raises(SigcError, match="needs a reason"):
            client.post("book/transfer", fields | {"reason": ""})
        with pytest.raises(SigcError, match="there is no book 'nobody'"):
            client.post("book/transfer", fields | {"to": "nobody"})
        with pytest.raises(SigcError, match="can't move"):
            client.post("book/transfer", fields | {"quantity": "99999999"})
        done = site.sigc("book", "transfer", "momentum", "unassigned", one.asset, "all", "--reason", "x", "--json")
        out, into = json.loads(done.stdout)["entries"]
        assert (out["strategy"], float(out["change"])) == ("momentum", -one.quantity)
        assert (into["strategy"], float(into["change"]), into["cause"]) == ("unassigned", one.quantity, "transfer")
        assert client.post("book/reconcile", {}, reply=ReconcileReply) == ReconcileReply(())
        back = client.post(
            "book/transfer",
            fields | {"source": "unassigned", "to": "momentum/main", "quantity": "1"},
            reply=BookMovedReply,
        )
        assert [abs(float(entry.change)) for entry in back.entries] == [1, 1]
        cash = {"book": "momentum", "amount": "1000.5", "reason": "more"}
        (entry,) = client.post("book/deposit", cash, reply=BookMovedReply).entries
        assert (entry.cash, entry.cause) == ("1000.5", "deposit")
        (entry,) = client.post("book/withdraw", cash, reply=BookMovedReply).entries
        assert (entry.cash, entry.cause) == ("-1000.5", "withdrawal")
        with pytest.raises(SigcError, match="needs a reason"):
            client.post("book/close", {"book": "momentum", "reason": ""})
        with pytest.raises(SigcError, match="'momentum' trades momentum/main, and would open its positions again"):
            client.post("book/close", {"book": "momentum", "reason": "x"})
        off = {"book": "unassigned", "asset": one.asset, "reason": "worthless"}
        (entry,) = client.post("book/write-off", off, reply=BookMovedReply).entries
        assert abs(float(entry.change)) == abs(one.quantity) - 1
        assert client.post("book/reconcile", {}, reply=ReconcileReply) == ReconcileReply(())


def test_a_reload_says_that_changed_capital_does_nothing(site: Site) -> None:
    """Of an open book: a deposit does it. A book that is not open yet will have it."""
    with Daemon(site), site.client() as client:
        assert client.post("reload", {}, reply=ReloadReply).findings == ()
        site.settings["strategies"][0]["capital"] = 1_200_000
        site.write()
        assert client.post("reload", {}, reply=ReloadReply).findings == ()
        assert site.run("momentum", date=DAYS[0]).outcome == "done"
        site.settings["strategies"][0]["capital"] = 1_450_000.5
        site.write()
        for is_plan in (True, False):
            (found,) = client.post("reload", {"is_plan": is_plan}, reply=ReloadReply).findings
            assert (found.code, found.severity) == ("W008", "warning")
            assert found.message == (
                "the capital of 'momentum' is 1,450,000.50 now, which does nothing: its book is open"
            )
            assert found.hint == "sigc book deposit momentum 250000.50 --reason '...'"
        assert client.post("reload", {}, reply=ReloadReply).findings == ()
