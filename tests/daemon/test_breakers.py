"""Circuit breakers in a real daemon: shown, tried, held over a restart, reset by a person; and without a daemon."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest

from sigc.clock import SystemClock
from sigc.config.breaker_settings import BreakerSettings
from sigc.config.settings import SafetySettings
from sigc.errors import SigcError
from sigc.rpc.messages.breakers import BreakerResetReply, BreakersReply, BreakerTrialReply
from sigc.rpc.messages.page import HaltReply, SafetyReply
from sigc.store.ledger import books, breakers, control, orders
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, BookKey, Intent, IntentState, Nav
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.live.tripping import judge_breakers
from tests.daemon.daemons import Daemon, Site

KEY = BookKey("momentum", "main")
# The last two sessions with prices: a daemon finds no later one to value.
SESSIONS = [str(day)[:10] for day in business_days("2015-01-02", 790)[-2:]]
LIMITS: dict[str, Any] = {
    "daily_loss": 0.02,
    "circuit_breakers": [
        {"name": "streak", "type": "streak", "threshold": 2, "action": "pause_30min"},
        {"name": "rough", "type": "volatility", "threshold": 0.5, "window": "5d", "action": "alert_only"},
    ],
}


@pytest.fixture
def limited(site: Site) -> Site:
    """A site whose book has lost 3 % by its second close, and 1 % by its first."""
    site.settings["safety"] = {**site.settings["safety"], **LIMITS}
    site.write()
    return site


def traded(site: Site, *navs: str) -> None:
    """Value the book, as a daemon does, while none runs."""
    limits = SafetySettings.model_validate(site.settings["safety"])
    with Ledger.open(site.folder / "work", SystemClock()) as ledger:
        for session, nav in zip(SESSIONS[-len(navs) :], navs, strict=True):
            with ledger.transaction("fills") as tx:
                books.open_book(tx, KEY, Decimal(100), tx.at)
                books.put_nav(tx, Nav(KEY, session, Decimal(nav), Decimal(nav), ZERO, ZERO))
                judge_breakers(tx, limits, KEY, [session])


def rows(site: Site) -> dict[str, str]:
    with contextlib.closing(connect_reader(site.folder / "work" / FILE)) as connection:
        return {one.name: one.who for one in control.every(connection, control.HALTED)} | {
            one.name: one.action for one in breakers.tripped(connection)
        }


def records(site: Site) -> int:
    """How many audit records speak of decisions or orders."""
    with contextlib.closing(connect_reader(site.folder / "work" / FILE)) as connection:
        count = "SELECT count(*) FROM audit WHERE event LIKE 'control%' OR event LIKE 'order%'"
        return int(connection.execute(count).fetchone()[0])


def test_a_tripped_breaker_is_told_everywhere_and_reset_by_a_person(limited: Site) -> None:
    traded(limited, "99", "96.03")
    for _ in range(2):  # and after a restart
        with Daemon(limited), limited.client() as client:
            status = limited.status()
            assert (status.breakers, status.strategies[0].state) == (("daily_loss", "streak"), "halted")
            told = {one.name: one for one in client.get("safety/breakers", reply=BreakersReply).breakers}
            assert told["daily_loss"].state == "tripped"
            assert told["daily_loss"].value == pytest.approx(0.03)
            assert (told["streak"].state, told["streak"].value, told["streak"].action) == (
                "tripped",
                2.0,
                "pause_30min",
            )
            assert (told["rough"].state, told["rough"].value) == ("too little history", None)
            (held,) = client.get("safety/status", reply=SafetyReply).decisions
            assert (held.kind, held.who) == ("halted", "the breaker daily_loss")
            run = limited.run("momentum", date="2017-03-01", is_forced=True, reason="but I must")
            assert run.outcome != "done"
            assert "the breaker daily_loss has tripped: the book lost 3 %" in run.message
            code, health = limited.page("health", "/health")
            checks = json.loads(health)["checks"]["breakers"]
            assert code == 200
            assert checks.startswith("daily_loss of momentum has tripped (halt_trading)")
            metrics = limited.page("metrics", "/metrics")[1].decode()
            assert 'sigc_breaker_tripped{breaker="daily_loss",strategy="momentum"} 1.0' in metrics
            assert 'sigc_breaker_tripped{breaker="rough",strategy="momentum"} 0.0' in metrics
            assert 'sigc_breaker_value{breaker="streak",strategy="momentum"} 2.0' in metrics
            # Lifting halts does not lift it.
            resumed = client.post("safety/resume", {"strategy": "momentum", "reason": "go"}, reply=HaltReply)
            assert resumed == HaltReply(False, ("momentum",))
    with Daemon(limited), limited.client() as client:
        for wrong, said in (
            ({"breaker": "daily_los", "reason": "x"}, "no breaker 'daily_los'"),
            ({"breaker": "daily_loss", "reason": " "}, "needs a reason"),
            ({"breaker": "daily_loss", "reason": "x", "strategy": "momentun"}, "no book of the strategy 'momentun'"),
        ):
            with pytest.raises(SigcError, match=said):
                client.post("safety/reset", wrong)
        fields = {"breaker": "daily_loss", "reason": "a bad quote"}
        reply = client.post("safety/reset", fields, reply=BreakerResetReply)
        assert (reply.reset, [one.name for one in reply.left]) == (("momentum",), ["streak"])
        assert client.post("safety/reset", fields, reply=BreakerResetReply).reset == ()
        client.post("safety/reset", {"breaker": "streak", "reason": "so it was"})
        assert limited.status().breakers == ()
        assert limited.status().strategies[0].state == "active"
    with Ledger.open(limited.folder / "work", SystemClock()) as ledger, ledger.reading() as connection:
        found = connection.execute("SELECT record FROM audit WHERE event = 'control.dropped' ORDER BY seq").fetchall()
        kept = [json.loads(record) for (record,) in found]
        assert [(one["payload"]["scope"], one["payload"]["reason"]) for one in kept] == [
            ("daily_loss momentum/main", "a bad quote"),
            ("streak momentum/main", "so it was"),
        ]
        assert all(one["who"].startswith("main (") for one in kept)


def test_a_trial_shows_what_would_happen_and_changes_nothing(limited: Site) -> None:
    traded(limited, "99", "99.5")
    with Daemon(limited), limited.client() as client:
        before = records(limited)
        (trial,) = client.get("safety/test", {"breaker": "daily_loss"}, reply=BreakerTrialReply).trials
        assert (trial.now.state, trial.now.session) == ("fine", SESSIONS[-1])
        assert trial.effects == (
            "nothing more of momentum is sent, until `sigc safety reset daily_loss --reason '...'`",
            "0 orders that wait are denied",
            "the alert breaker_tripped is raised",
        )
        (pause,) = client.get("safety/test", {"breaker": "streak"}, reply=BreakerTrialReply).trials
        assert pause.effects[0].startswith("no run of momentum begins until ")
        with pytest.raises(SigcError, match="no breaker 'streek'"):
            client.get("safety/test", {"breaker": "streek"})
        assert rows(limited) == {}
        assert records(limited) == before
        assert limited.status().breakers == ()


def test_the_command_line_with_and_without_a_daemon(limited: Site) -> None:
    traded(limited, "99", "96.03")
    with Daemon(limited):
        alive = limited.sigc("safety", "status")
        shown = limited.sigc("status")
        unknown = limited.sigc("safety", "reset", "dayly_loss", "--reason", "x")
        trial = limited.sigc("safety", "test", "rough")
    assert "Circuit breakers: daily_loss, streak tripped; sigc safety status" in shown.stdout
    assert unknown.returncode == 11
    assert "there is no breaker 'dayly_loss'" in unknown.stderr
    assert "did you mean 'daily_loss'?" in unknown.stderr
    assert "nothing is held back" in trial.stdout
    assert trial.stdout.endswith("nothing was changed\n")
    absent = limited.sigc("safety", "status")
    for said in (alive.stdout, absent.stdout):
        assert "halted  strategy momentum" in said
        assert f"by the breaker daily_loss: the book lost 3 % over the session to the close of {SESSIONS[-1]}" in said
        assert "3.00 %" in said
        assert "a tripped breaker holds until: sigc safety reset BREAKER --reason" in said
    resumed = limited.sigc("safety", "resume", "momentum", "--reason", "go")
    assert "strategy momentum was not halted" in resumed.stdout
    assert "daily_loss" in resumed.stdout
    assert limited.sigc("safety", "reset", "daily_loss").returncode == 2  # a reason is asked for
    wrong = limited.sigc("safety", "reset", "streek", "--reason", "x")
    assert "did you mean 'streak'?" in wrong.stderr
    done = limited.sigc("safety", "reset", "daily_loss", "momentum", "--reason", "a bad quote")
    assert done.returncode == 0
    assert "the breaker daily_loss of momentum is reset" in done.stdout
    assert "still tripped:" in done.stdout
    again = limited.sigc("safety", "reset", "daily_loss", "--reason", "twice")
    assert "was not tripped" in again.stdout
    found = json.loads(limited.sigc("safety", "status", "--json").stdout)
    assert (found["stops"], [one["name"] for one in found["breakers"] if one["since"]]) == ([], ["streak"])
    assert rows(limited) == {"streak": "pause_30min"}


def test_positions_are_closed_after_a_kill_between_the_trip_and_the_closing(limited: Site) -> None:
    """kill -9 right after the transaction in which it tripped: the next start closes what is held, once."""
    rule = BreakerSettings(name="last", type="drawdown", threshold=0.1, action="flatten")
    with Daemon(limited) as daemon:
        for day in ("2017-03-01", "2017-03-02"):
            assert limited.run("momentum", date=day).outcome == "done"
        daemon.kill()
    with Ledger.open(limited.folder / "work", SystemClock()) as ledger, ledger.transaction("fills") as tx:
        held = books.quantities(tx.connection, KEY)
        breakers.trip(tx, rule, KEY, 0.11, "2017-03-02", "the book is 11 % below")
    assert held
    with Daemon(limited):
        limited.until(lambda: bool(closing(limited)), "the positions are closed")
        limited.until(lambda: all(i.state is IntentState.ACKNOWLEDGED for i in closing(limited)), "they are sent")
        assert {i.asset: -i.side.sign * i.quantity for i in closing(limited)} == held
        assert limited.status().strategies[0].state == "halted"
    before = closing(limited)
    with Daemon(limited):
        limited.status()
    assert closing(limited) == before


def closing(site: Site) -> list[Intent]:
    with contextlib.closing(connect_reader(site.folder / "work" / FILE)) as connection:
        found = [i for i in orders.recent(connection, 1_000) if i.key.slot == "flatten"]
        return sorted(found, key=lambda i: i.client_order_id)
