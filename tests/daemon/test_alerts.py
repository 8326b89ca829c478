"""Alerts of a real daemon over a real channel: what it tells, when it was killed, what its commands and pages say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sigc.daemon.reconcile_loop import AFTER_CLOSE
from sigc.errors import SigcError
from sigc.rpc.messages.alerts import AlertReply, AlertsReply, AlertStatusReply, AlertTestReply
from sigc.store.ledger import books, orders
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.records import Nav
from tests.alerts.servers import Hook, hook
from tests.daemon.daemons import DAYS, Daemon, Site
from tests.daemon.hand_daemon import turn
from tests.daemon.test_tending import BOOK, at, close_of, hand_daemon, session_of
from tests.daemon.test_tls import certificate


@pytest.fixture
def told() -> Iterator[Hook]:
    with hook() as server:
        yield server


def configured(site: Site, told: Hook, **alerts: Any) -> None:
    channel = {"type": "webhook", "url": told.url, "per_minute": 100, "timeout_seconds": 1}
    site.settings["alerts"] = {"channels": {"ops": channel}, **alerts}
    site.write()


def rules(told: Hook) -> list[str]:
    return [said["rule"] for said in told.taken if said["kind"] == "raise"]


def until_told(site: Site, told: Hook, rule: str) -> dict[str, Any]:
    site.until(lambda: rule in rules(told), rule)
    return next(said for said in told.taken if said["rule"] == rule)


def test_from_a_run_that_fails_to_the_alert_that_is_resolved(site: Site, told: Hook) -> None:
    configured(site, told)
    with Daemon(site):
        assert site.run("momentum", date=DAYS[0]).outcome == "done"
        (site.folder / "prices.parquet").rename(site.folder / "gone")
        run = site.run("momentum", date=DAYS[1])
        assert run.outcome == "failed"
        alert = until_told(site, told, "run_failed")
        assert (alert["severity"], alert["run"], alert["strategy"]) == ("critical", run.id, "momentum")
        assert "prices.parquet" in alert["text"]
        assert f"sigc runs show {run.id}" in alert["text"]
        with site.client() as client:
            listed = client.get("alerts/list", reply=AlertsReply).alerts
            (line,) = (one for one in listed if one.rule == "run_failed")
            assert (line.state, line.run) == ("open", run.id)
            status = client.get("alerts/status", reply=AlertStatusReply)
            assert [channel.name for channel in status.channels] == ["ops"]
            assert status.open["critical"] >= len(listed)
            with pytest.raises(SigcError, match="no alert 77"):
                client.post("alerts/ack", {"id": 77})
        done = site.sigc("alerts", "ack", str(line.id), "--reason", "looking", "--config", str(site.config))
        assert done.returncode == 0, done.stderr
        assert f"alert {line.id} is acknowledged by main" in done.stdout
        with site.client() as client:
            over = client.post("alerts/resolve", {"id": line.id, "reason": "data are back"}, reply=AlertReply)
            assert (over.is_changed, over.alert.state, over.alert.reason) == (True, "resolved", "data are back")

        def resolved(rule: str) -> list[dict[str, Any]]:
            return [said for said in told.taken if said["kind"] == "resolve" and said["rule"] == rule]

        site.until(lambda: bool(resolved("run_failed")), "the resolution is told")
        (told_of,) = resolved("run_failed")
        assert "data are back" in told_of["text"]
        assert told_of["about"] == alert["about"]

        def numbers() -> str:
            return site.page("metrics", "/metrics")[1].decode()

        site.until(lambda: f'sigc_alerts_sent_total{{channel="ops"}} {len(told.taken)}.0' in numbers(), "it is counted")
        site.until(lambda: 'sigc_alerts_undelivered{channel="ops"} 0.0' in numbers(), "nothing waits")
        assert 'sigc_alerts_open{severity="info"} 0.0' in numbers()
    read = site.sigc("alerts", "list", "--all", "--json", "--config", str(site.config))
    assert read.returncode == 0, read.stderr
    assert "no daemon answers: reading the ledger" in read.stderr
    states = {one["rule"]: one["state"] for one in json.loads(read.stdout)["alerts"]}
    assert states["run_failed"] == "resolved"
    shown = site.sigc("alerts", "status", "--config", str(site.config)).stdout
    assert "open alerts:" in shown
    assert "webhook" in shown


def test_a_daemon_that_was_killed_says_so_and_one_that_was_stopped_does_not(site: Site, told: Hook) -> None:
    configured(site, told)
    with Daemon(site) as running:
        running.kill()
    with Daemon(site) as running:
        alert = until_told(site, told, "daemon_recovered")
        assert alert["severity"] == "critical"
        with site.client() as client:
            client.post("stop", {})
        assert running.end()[0] == 0
    with Daemon(site), site.client() as client:
        raised = client.get("alerts/list", {"with_resolved": True}, reply=AlertsReply).alerts
        assert [line.rule for line in raised] == ["daemon_recovered"]


def test_a_job_that_is_not_done_by_its_deadline_is_told_while_it_runs(site: Site, told: Hook) -> None:
    site.settings["schedule"]["jobs"] = [site.script("slow", "/bin/sleep", "4", deadline_s=1)]
    configured(site, told)
    with Daemon(site):
        assert site.sigc("schedule", "run", "slow").returncode == 0
        alert = until_told(site, told, "did_not_run")
        assert (alert["severity"], alert["title"]) == ("warning", "slow: did not run (the deadline passed)")
        assert "sigc schedule history slow" in alert["text"]


def test_channels_are_tested_and_secrets_stay_so(site: Site, told: Hook) -> None:
    configured(site, told)
    site.settings["alerts"]["channels"]["dead"] = {"type": "slack", "url": "http://127.0.0.1:9/hunter22hunter22"}
    site.write()
    with Daemon(site):
        with site.client() as client:
            found = client.post("alerts/test", {}, reply=AlertTestReply).found
            assert found["ops"] == "ok"
            assert "refused" in found["dead"]
            with pytest.raises(SigcError, match="no channel 'opps'"):
                client.post("alerts/test", {"channel": "opps"})
        assert told.taken[0]["kind"] == "test"
        assert site.sigc("alerts", "test", "ops", "--config", str(site.config)).returncode == 0
        assert site.sigc("alerts", "test", "--config", str(site.config)).returncode == 1
    assert "hunter22" not in (site.folder / "daemon.log").read_text()


def test_a_condition_is_raised_and_ends_by_itself(site: Site, told: Hook) -> None:
    configured(site, told, rules=[{"name": "up", "when": "uptime_hours >= 0 and open_alerts < 5", "severity": "info"}])
    with Daemon(site) as running:
        alert = until_told(site, told, "condition")
        assert (alert["severity"], alert["title"]) == ("info", "daemon: up")
        assert "uptime_hours = " in alert["text"]
        site.settings["alerts"]["rules"][0]["when"] = "uptime_hours < 0"
        site.write()
        with site.client() as client:
            client.post("reload", {})
        site.until(lambda: told.taken[-1]["kind"] == "resolve", "it is over")
        assert running.process.poll() is None


def test_halts_and_books_without_a_strategy_are_told(site: Site, told: Hook) -> None:
    configured(site, told, disabled=["run_refused"])
    with Daemon(site):
        assert site.run("momentum", date=DAYS[0]).outcome == "done"
        with site.client() as client:
            client.post("safety/halt", {"reason": "odd prices"})
            assert "odd prices" in until_told(site, told, "halted")["text"]
            site.run("momentum", date=DAYS[1])
            client.post("safety/resume", {})
        site.settings["strategies"] = []
        site.write()
        with site.client() as client:
            client.post("reload", {})
        assert until_told(site, told, "book_without_owner")["strategy"] == "momentum"
        with site.client() as client:
            raised = {
                line.rule for line in client.get("alerts/list", {"with_resolved": True}, reply=AlertsReply).alerts
            }
    assert "run_refused" in raised  # listed, and told to nobody
    assert "run_refused" not in rules(told)


def test_a_channel_that_takes_nothing_degrades_health(site: Site, told: Hook) -> None:
    configured(site, told, undelivered_minutes=0.01)
    site.settings["daemon"]["health"]["interval_seconds"] = 0.5
    told.answers.extend([500] * 1000)
    site.write()
    with Daemon(site):
        with site.client() as client:
            client.post("safety/halt", {"reason": "enough"})

        def check() -> str:
            _, page = site.page("health", "/health")
            return str(json.loads(page)["checks"].get("alerts", ""))

        site.until(lambda: check().startswith("ops: "), "health says so")
        assert "answered 500" in check()
        told.answers.clear()
        site.until(lambda: check() == "ok", "health is well again")
        assert rules(told)[0] == "halted"


def test_each_check_that_turns_bad_is_told_by_itself_and_a_certificate_before_its_end(site: Site, told: Hook) -> None:
    """What runs out in two weeks does not hide the disk that is full today."""
    cert, key = certificate(site.folder, days=9)
    site.settings["daemon"]["dashboard"] = {"enabled": True, "port": 0, "tls": {"cert": str(cert), "key": str(key)}}
    site.settings["daemon"]["health"] = {"interval_seconds": 1}
    configured(site, told)

    def resolved() -> list[str]:
        return [said["title"] for said in told.taken if said["kind"] == "resolve"]

    with Daemon(site):
        alert = until_told(site, told, "runs_out")
        assert (alert["severity"], alert["title"]) == ("warning", "the certificate of the page runs out in 8 days")
        assert str(cert) in alert["text"]
        site.settings["daemon"]["health"]["min_free_mb"] = 10**9
        site.write()
        assert site.sigc("reload").returncode == 0
        assert until_told(site, told, "health_degraded")["title"] == "health is degraded: disk"
        certificate(site.folder, days=90)  # its file is renewed; the page serves the old one up to the restart
        assert resolved() == []
    with Daemon(site):
        site.until(lambda: alert["title"] in resolved(), "the renewed one is served")
        assert "health is degraded: disk" not in resolved()
        assert rules(told)[:2] == ["runs_out", "health_degraded"]


def test_signs_of_life_stop_with_the_daemon(site: Site, told: Hook) -> None:
    site.settings["alerts"] = {"heartbeat": {"url": f"{told.url}/ping/hunter22", "every_seconds": 1}}
    site.write()
    told.answers.append(500)
    with Daemon(site) as running:
        site.until(lambda: len(told.got) >= 3, "three signs of life, the first of them refused")
        running.kill()
        count = len(told.got)
    assert {path for path, _, _ in told.got} == {"/ping/hunter22"}
    assert len(told.got) == count
    text = (site.folder / "daemon.log").read_text()
    assert "can't send the heartbeat" in text
    assert "hunter22" not in text


def test_a_ledger_that_breaks_is_told_past_the_outbox(site: Site, told: Hook) -> None:
    configured(site, told)
    with Daemon(site):
        assert site.run("momentum", date=DAYS[0]).outcome == "done"
        for name in ("ledger.sqlite", "ledger.sqlite-wal"):
            path = site.folder / "work" / name
            path.write_bytes(b"x" * path.stat().st_size)
        site.until(lambda: any("ledger is damaged" in said["title"] for said in told.taken), "it is told")
        said = told.taken[-1]
        assert (said["severity"], said["rule"]) == ("critical", "ledger_damaged")
        assert "E310" in said["text"]
        assert "sigc audit verify" in said["text"]


def test_a_book_that_is_not_kept_is_told_until_it_is(site: Site, told: Hook) -> None:
    """A file that is gone after the close: an alert, which ends by itself when the file is back."""
    configured(site, told)
    gone, file = site.folder / "gone", site.folder / "prices.parquet"
    with hand_daemon(site, at(DAYS[0], 12)) as clock:
        run = site.run()
        assert run.outcome == "done"
        file.rename(gone)
        now = close_of(session_of(site, run.id)) + AFTER_CLOSE + timedelta(seconds=1)
        turn(clock, now)
        alert = until_told(site, told, "book_not_kept")
        assert (alert["severity"], alert["strategy"]) == ("critical", "momentum")
        assert "prices.parquet" in alert["text"]
        gone.rename(file)
        turn(clock, now + timedelta(minutes=16))
        site.until(
            lambda: any(s["kind"] == "resolve" and s["about"] == alert["about"] for s in told.taken), "it is kept"
        )


def test_a_fire_that_waits_for_data_is_told(site: Site, told: Hook) -> None:
    """Data that end in January and a job of February that wants fresh ones."""
    site.settings["schedule"]["jobs"] = [
        {
            "name": "early",
            "kind": "compute",
            "strategy": "momentum",
            "trigger": "0 12 * * *",
            "conditions": ["data_fresh"],
        }
    ]
    configured(site, told, late_data_minutes=10)
    noon = at("2018-02-14", 17)  # in New York
    with hand_daemon(site, noon - timedelta(seconds=1)) as clock:
        turn(clock, noon + timedelta(minutes=5))
        site.until(lambda: site.sigc("schedule", "list").stdout.find("waiting") > 0, "it waits")
        assert "data_late" not in rules(told)
        turn(clock, noon + timedelta(minutes=11))
        alert = until_told(site, told, "data_late")
        assert (alert["severity"], alert["title"]) == ("critical", "early: data are late")
        first, *_, last = alert["text"].splitlines()
        assert "The fire of 2018-02-14 12:00:00 EST has waited for fresh data for 11 min: " in first
        assert first.endswith(": the newest row of 'prices' is of 2018-01-11, the row of 2018-02-13 is awaited.")
        assert "Look further: sigc schedule history early" in alert["text"]
        assert last == "Rule: data_late. Runbook: sigc runbook data_late"


def test_a_day_is_summed_up_once_over_restarts_and_late_at_most_half_a_day(site: Site, told: Hook) -> None:
    """Two runs of which one fails, the close, the summary at 17:30 in New York; then starts, the day after, and later."""

    def summaries() -> list[dict[str, Any]]:
        return [said for said in told.taken if said["rule"] == "daily_summary"]

    configured(site, told, summary="17:30")
    with hand_daemon(site, at(DAYS[0], 12)) as clock:
        run = site.run()
        assert run.outcome == "done"
        session = session_of(site, run.id)
        due = at(session, 22, 30)  # 17:30 in New York
        turn(clock, close_of(session) + AFTER_CLOSE)

        def nav() -> Nav | None:
            with connect_reader(site.folder / "work" / FILE) as connection:
                return books.last_nav(connection, BOOK)

        site.until(lambda: nav() is not None, "the book is valued")
        seen = len(summaries())
        turn(clock, due)
        site.until(lambda: len(summaries()) > seen, "the day is summed up")
        said = summaries()[-1]
    last = nav()
    assert last is not None
    assert (said["kind"], said["severity"]) == ("raise", "info")
    assert said["title"].startswith(f"summary of {date.fromisoformat(session):%a} {session}: 1 done")
    with connect_reader(site.folder / "work" / FILE) as connection:
        filled = len(orders.of_run(connection, run.id))
    assert f"- momentum: done; {filled} orders: {filled} filled ({run.id})" in said["text"]
    gain = last.nav - Decimal(1_000_000)
    assert f"NAV {last.nav:,.2f} at the close of {session}, day's P&L {gain:+,.2f}" in said["text"]
    assert "momentum prices: " in said["text"]
    told.taken.clear()
    with hand_daemon(site, due + timedelta(hours=2)) as clock:
        site.until(lambda: "sigc_alerts_sent_total" in site.page("metrics", "/metrics")[1].decode(), "it is alive")
        turn(clock, due + timedelta(days=1, minutes=5))
        site.until(lambda: len(summaries()) == 1, "the next day's, though the first was told by another process")
    with hand_daemon(site, due + timedelta(days=2, hours=11)):  # it was missed: told late
        site.until(lambda: len(summaries()) == 2, "the one that was missed")
    with hand_daemon(site, due + timedelta(days=3, hours=13)) as clock:  # too late to be of use
        turn(clock, due + timedelta(days=4))
        site.until(lambda: len(summaries()) == 3, "the day after it")
    days = [said["title"].split()[3].rstrip(":") for said in summaries()]
    first = date.fromisoformat(session)
    assert days == [str(first + timedelta(days=n)) for n in (1, 2, 4)]
