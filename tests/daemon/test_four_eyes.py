"""Four eyes in a real daemon: what one token asks for happens when another one confirms it, and is audited as both."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sigc.clock import SystemClock
from sigc.config.settings import Config, SafetySettings
from sigc.daemon.four_eyes import raised
from sigc.errors import SigcError
from sigc.rpc.client import Client, Target
from sigc.rpc.messages.breakers import ConfirmReply, PendingReply
from sigc.rpc.messages.requests import ReloadReply
from sigc.store.ledger import control
from sigc.store.ledger.ledger import Ledger
from tests.daemon.daemons import Daemon, Site
from tests.daemon.test_breakers import traded

SECOND = "y" * 20 + "second"


@pytest.fixture
def guarded(site: Site) -> Site:
    site.settings["daemon"]["rpc"]["tokens"] = [{"name": "bob", "role": "trade", "token": SECOND}]
    site.settings["safety"] = {**site.settings["safety"], "daily_loss": 0.02, "four_eyes": True}
    site.write()
    return site


def other(site: Site) -> Client:
    return Client(Target(site.address, SECOND), 60.0)


def asked(client: Client, verb: str, fields: dict[str, Any]) -> str:
    """The id under which a call waits."""
    with pytest.raises(SigcError, match="waits for a second person: nothing was changed") as no:
        client.post(verb, fields)
    return no.value.diagnostics[0].hint.rpartition(" ")[2]


def records(site: Site, event: str) -> list[dict[str, Any]]:
    with Ledger.open(site.folder / "work", SystemClock()) as ledger, ledger.reading() as connection:
        rows = connection.execute("SELECT record FROM audit WHERE event = ? ORDER BY seq", (event,)).fetchall()
    return [json.loads(record) for (record,) in rows]


def test_the_reset_of_a_breaker_needs_another_token(guarded: Site) -> None:
    traded(guarded, "96")
    with Daemon(guarded), guarded.client() as ann, other(guarded) as bob:
        id = asked(ann, "safety/reset", {"breaker": "daily_loss", "reason": "a bad quote"})
        assert guarded.status().breakers == ("daily_loss",)
        (waits,) = bob.get("safety/pending", reply=PendingReply).calls
        assert (waits.id, waits.what, waits.reason) == (id, "the reset of the breaker daily_loss", "a bad quote")
        assert waits.who.startswith("main (")
        assert (waits.until - waits.at).total_seconds() == 600
        with pytest.raises(SigcError, match="with the token 'main' itself"):
            ann.post("safety/confirm", {"id": id})
        with pytest.raises(SigcError, match="nothing waits for a confirmation as '000000'"):
            bob.post("safety/confirm", {"id": "000000"})
        done = bob.post("safety/confirm", {"id": id}, reply=ConfirmReply)
        assert (done.verb, done.done) == ("safety/reset", "1 breaker reset")
        assert guarded.status().breakers == ()
        with pytest.raises(SigcError, match="nothing waits"):  # once
            bob.post("safety/confirm", {"id": id})
        with pytest.raises(SigcError, match="no breaker 'daily_los'"):  # what can't be is not asked for
            ann.post("safety/reset", {"breaker": "daily_los", "reason": "x"})
        assert guarded.sigc("safety", "confirm").stdout == "nothing waits for a confirmation\n"
    who = [r["who"] for r in records(guarded, "control.dropped") if r["payload"]["name"] == "breaker"]
    assert len(who) == 1
    assert who[0].startswith("main (")
    assert " with bob (" in who[0]
    assert guarded.sigc("safety", "reset", "daily_loss", "--reason", "x").returncode == 11  # no daemon: no two tokens


def test_positions_are_closed_by_two_and_halted_by_one(guarded: Site) -> None:
    traded(guarded, "100")
    with Daemon(guarded), guarded.client() as ann, other(guarded) as bob:
        id = asked(ann, "safety/flatten", {"strategy": "momentum", "reason": "enough"})
        assert guarded.status().strategies[0].state == "halted"
        done = bob.post("safety/confirm", {"id": id}, reply=ConfirmReply)
        assert done.done == "0 closing orders, 0 positions kept, 0 left open"
        adopting = asked(ann, "book/adopt", {"reason": "by phone"})
        done = bob.post("safety/confirm", {"id": adopting}, reply=ConfirmReply)
        assert done.done == "0 entries written"
        paying = asked(ann, "book/withdraw", {"book": "momentum/main", "amount": "30", "reason": "fees of the desk"})
        (waits,) = bob.get("safety/pending", reply=PendingReply).calls
        assert waits.what == "book withdraw: -30 out of momentum/main"
        done = bob.post("safety/confirm", {"id": paying}, reply=ConfirmReply)
        assert (done.verb, done.done) == ("book/withdraw", "1 entry written")
        closing = asked(ann, "book/close", {"book": "momentum", "reason": "it is halted"})
        done = bob.post("safety/confirm", {"id": closing}, reply=ConfirmReply)
        assert (done.what, done.done) == (
            "closing the book momentum",
            "0 closing orders, 0 positions kept, 0 left open",
        )
        with pytest.raises(SigcError, match="two must want"):  # no way past it
            ann.post("run", {"strategy": "momentum", "accepts_differences": True, "reason": "mine"})


def test_a_reload_that_raises_limits_is_confirmed_for_that_very_text(guarded: Site) -> None:
    with Daemon(guarded), guarded.client() as ann, other(guarded) as bob:
        guarded.settings["safety"]["daily_loss"] = 0.01  # stricter: one is enough
        guarded.write()
        assert ann.post("reload", {}, reply=ReloadReply).is_applied
        guarded.settings["safety"]["daily_loss"] = 0.05
        guarded.write()
        first = asked(ann, "reload", {})
        guarded.settings["safety"]["daily_loss"] = 0.5
        guarded.write()
        with pytest.raises(SigcError, match="it raises|safety.daily_loss"):  # not what was asked for
            bob.post("safety/confirm", {"id": first})
        second = asked(ann, "reload", {})
        (waits,) = bob.get("safety/pending", reply=PendingReply).calls
        assert waits.what.startswith("a reload that raises safety.daily_loss (configuration ")
        assert bob.post("safety/confirm", {"id": second}, reply=ConfirmReply).done == "1 difference in force"
    reloads = [r["who"] for r in records(guarded, "config.reloaded")]
    assert len(reloads) == 2
    assert " with bob (" in reloads[1]


def test_a_second_token_must_be_there() -> None:
    with pytest.raises(ValueError, match="needs a second token of the role trade"):
        Config.model_validate({"safety": {"four_eyes": True}})


def test_nothing_is_adopted_without_a_second_person() -> None:
    with pytest.raises(ValueError, match="on_mismatch: adopt has no second person"):
        SafetySettings.model_validate({"four_eyes": True, "on_mismatch": "adopt"})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"max_position": 0.2}, {"max_position": 0.1}, []),
        ({"max_position": 0.1}, {"max_position": 0.2}, ["safety.max_position"]),
        ({"daily_loss": 0.02}, {"daily_loss": 0.0}, ["safety.daily_loss"]),  # off
        ({"daily_loss": 0.0}, {"daily_loss": 0.02}, []),
        ({"max_orders_per_run": 5}, {"max_orders_per_run": 0}, []),  # none at all
        ({"min_cash": 0.0}, {"min_cash": -1.0}, ["safety.min_cash"]),
        ({"min_cash": -1.0}, {"min_cash": 0.0}, []),
        ({"allow_short": False}, {"allow_short": True}, ["safety.allow_short"]),
        ({"allow_short": True}, {"allow_short": False}, []),
        ({"neutral": True}, {"neutral": False}, ["safety.neutral"]),
        ({"restricted": ["A"]}, {"restricted": ["A", "B"]}, []),
        ({"restricted": ["A", "B"]}, {"restricted": ["B"]}, ["safety.restricted"]),
        ({"on_data_error": "halt"}, {"on_data_error": "alert"}, ["safety.on_data_error"]),
        ({"account": {"max_gross": 1.0}}, {"account": {"max_gross": 2.0}}, ["safety.account.max_gross"]),
        ({"account": {"max_gross": 1.0}}, {"account": {"max_gross": 0.0}}, ["safety.account.max_gross"]),
    ],
)
def test_what_raises_a_limit(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    old, new = (Config.model_validate({"safety": said}) for said in (before, after))
    assert list(raised(old, new)) == expected


def test_breakers_that_change_and_tokens_are_raised_limits() -> None:
    one = {"name": "a", "type": "loss", "threshold": 0.1}

    def config(*breakers: dict[str, Any], **rpc: Any) -> Config:
        return Config.model_validate({"safety": {"circuit_breakers": breakers}, "daemon": {"rpc": rpc}})

    assert list(raised(config(one), config(one, {**one, "name": "b"}))) == []
    assert list(raised(config(one), config({**one, "threshold": 0.2}))) == ["safety.circuit_breakers"]
    assert list(raised(config(one), config())) == ["safety.circuit_breakers"]
    tokens = [{"name": "bob", "role": "trade", "token": SECOND}]
    assert list(raised(config(), config(tokens=tokens))) == ["daemon.rpc.tokens"]
    assert SafetySettings().four_eyes is False


def test_what_nobody_confirms_in_time_is_gone(guarded: Site) -> None:
    with Daemon(guarded), guarded.client() as ann:
        id = asked(ann, "book/adopt", {"reason": "by phone"})
    with Ledger.open(guarded.folder / "work", SystemClock()) as ledger, ledger.transaction("control") as tx:
        tx.connection.execute("UPDATE control SET at = '2020-01-01T00:00:00+00:00' WHERE name = 'pending'")
        assert control.get(tx.connection, "pending", id) is not None
    with Daemon(guarded), other(guarded) as bob, guarded.client() as ann:
        assert bob.get("safety/pending", reply=PendingReply).calls == ()
        with pytest.raises(SigcError, match="nothing waits"):
            bob.post("safety/confirm", {"id": id})
        asked(ann, "book/adopt", {"reason": "again"})
        assert len(bob.get("safety/pending", reply=PendingReply).calls) == 1
