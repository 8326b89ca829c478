"""Each default rule raised by a real run, a real daemon's event, or recovery: paper broker, its faults, real SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.alerts.rules import RULES
from sigc.daemon import ledger_alert
from sigc.daemon.alerting import refused
from sigc.daemon.watch import outside
from sigc.errors import SigcError
from sigc.lang.codes import CODES
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import control, jobs, meta, orders, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import IntentState, Outcome, Run, RunKey
from sigc.store.outbox import alert_query as looking
from sigc.store.outbox.alert_query import Alert
from sigc_pipelines.brokers.faulty import Fault
from sigc_pipelines.live.apply_fills import cancel, settle
from tests.daemon.processes import ROOT
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, Column, KilledError, Scene, before_cut_off, free, scene, written


def alerts(ledger: Ledger, rules: Iterable[str] = ()) -> list[Alert]:
    """Alerts of some rules (of all), oldest first."""
    with ledger.reading() as connection:
        found = looking.listed(connection, 1000, with_resolved=True)[::-1]
    return [alert for alert in found if not rules or alert.rule in rules]


def names(desk: Scene) -> list[tuple[str, str]]:
    return [(alert.rule, alert.run) for alert in alerts(desk.trading.ledger)]


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, dict.fromkeys("ABCDE", 0.1))


def test_a_good_day_is_silent(floor: Floor) -> None:
    for day in (D1, D2):
        with scene(floor, day) as desk:
            assert desk.run(f"run-{day}").run.outcome.is_success
            assert names(desk) == []


def test_all_orders_denied_is_told(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1, "B": 0.1}, config=free(safety={"max_order_value": 1.0}))
    with scene(floor, D1) as desk:
        assert desk.run("one").run.outcome is Outcome.NOTHING_TRADED
        (alert,) = alerts(desk.trading.ledger)
        assert (alert.rule, alert.severity, alert.run) == ("traded_nothing", "critical", "one")
        assert alert.title == "scripted: nothing was traded, none of 2 orders was placed"
        assert "2 orders, 2 denied" in alert.text
        why = "- A, B: the order's value is 100000.0; the limit is 1.0 (safety.max_order_value)"
        assert why in alert.text.splitlines()
        assert "Look further: sigc runs show one" in alert.text


def test_a_halt_in_the_middle_is_told_with_what_it_left(floor: Floor) -> None:
    def halt(number: int, _: object) -> None:
        if number == 2:
            with desk.trading.ledger.transaction("control") as tx:
                control.put(tx, control.HALTED, "scripted", "by hand", "ann", "enough")

    with scene(floor, D1) as desk:
        desk.broker.hook = halt
        desk.run("one")
        halted, part = alerts(desk.trading.ledger)
        assert (halted.rule, halted.severity, halted.state) == ("halted", "critical", "open")
        assert "by ann: enough" in halted.text
        assert (part.rule, part.severity) == ("traded_part", "warning")
        assert "3 of 5 orders" in part.title
        assert "halted by ann: enough" in part.text
        with pytest.raises(SigcError):
            desk.run("two")
        assert names(desk)[-1] == ("run_refused", "")
        assert "halted" in alerts(desk.trading.ledger)[-1].text
        with desk.trading.ledger.transaction("control") as tx:
            control.drop(tx, control.HALTED, "scripted", "ann", "again")
        assert [(a.state, a.reason) for a in alerts(desk.trading.ledger, ["halted"])] == [
            ("resolved", "resumed by ann: again")
        ]
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, control.HALTED, "scripted", "by hand", "bob", "not yet")
        assert [a.state for a in alerts(desk.trading.ledger, ["halted"])] == ["resolved", "open"]


def test_an_order_without_an_outcome_is_told_and_resolved_by_recovery(floor: Floor) -> None:
    with scene(floor, D1, at=before_cut_off(floor, D1, 5.0)) as desk:
        desk.broker.fail_next(Fault.UNKNOWN)
        desk.broker.hook = lambda *_: setattr(desk.broker, "is_silent", True)
        assert desk.run("one").run.outcome is Outcome.UNRESOLVED
        (alert,) = alerts(desk.trading.ledger, ["order_unresolved"])
        assert (alert.severity, alert.state, alert.key) == ("critical", "open", "scripted")
        assert "sigc runs show one" in alert.text
        assert not alerts(desk.trading.ledger, ["halted"])  # one cause, one alert
    with scene(floor, D1, at=before_cut_off(floor, D1, -60.0)) as desk:
        assert [a.state for a in alerts(desk.trading.ledger, ["order_unresolved"])] == ["resolved"]


def test_a_run_that_is_killed_is_told_by_recovery(floor: Floor) -> None:
    with suppress(KilledError), scene(floor, D1) as desk:
        with desk.trading.ledger.transaction("run-open") as tx:
            key = RunKey("scripted", "main", D2)
            runs.open_run(tx, Run("cut", key, D1, 0, desk.clock.now(), "tester"), {})
        raise KilledError
    with scene(floor, D1) as desk:
        (alert,) = alerts(desk.trading.ledger)
        assert (alert.rule, alert.run, alert.severity) == ("run_interrupted", "cut", "critical")
        assert "the process ended before anything was decided" in alert.text
    with scene(floor, D1) as desk:
        assert len(alerts(desk.trading.ledger)) == 1  # once, however often it recovers


def test_stale_data_are_told_as_late_data(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1, "B": 0.1}, days=3, config=free(safety={"on_stale_data": "halt"}))
    with scene(floor, "2016-01-20") as desk:
        assert desk.run("one").run.outcome is Outcome.REFUSED
        (alert,) = alerts(desk.trading.ledger)
        assert (alert.rule, alert.severity, alert.run) == ("data_late", "critical", "one")
        assert "the newest row of " in alert.text


def test_a_limit_that_refuses_is_told_with_its_numbers(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.9, "B": 0.1}, config=free(safety={"max_position": 0.5}))
    with scene(floor, D1) as desk:
        assert desk.run("one").run.outcome is Outcome.REFUSED
        (alert,) = alerts(desk.trading.ledger)
        assert (alert.rule, alert.severity) == ("run_refused", "critical")
        assert "A" in alert.text
        assert "0.5" in alert.text


def test_a_broken_strategy_is_told_with_its_error(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1})
    (tmp_path / "prices.parquet").unlink()
    with scene(floor, D1) as desk:
        assert desk.run("one").run.outcome is Outcome.FAILED
        (alert,) = alerts(desk.trading.ledger)
        assert (alert.rule, alert.severity) == ("run_failed", "critical")
        assert "prices.parquet" in alert.text
        assert "sigc runs show one" in alert.text


def test_a_trade_by_hand_at_the_broker_is_told_as_a_difference(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
    with scene(floor, D2) as desk:
        desk.paper.deposit("by hand", Decimal(5))
        assert desk.run("two").run.outcome is Outcome.FAILED
        (alert,) = alerts(desk.trading.ledger)
        assert (alert.rule, alert.severity, alert.run) == ("reconciliation", "critical", "two")
        assert "ledger and broker differ: (cash)" in alert.text


def test_orders_that_expire_at_the_broker_are_told_once(tmp_path: Path) -> None:
    """A market of which a tenth may be taken: day orders end with their session, filled in part."""
    volumes: dict[str, Column] = {"A": 900.0, "B": [900.0 + day for day in range(9)]}
    config = free({"max_volume_pct": 0.1}, safety={"max_adv_pct": 0.0, "max_repeated_pct": 1.0})
    floor = written(tmp_path, {"A": 0.2, "B": 0.2}, volumes=volumes, config=config)
    with scene(floor, D1) as desk:
        desk.run("one")
        assert not alerts(desk.trading.ledger)
    for day in (D2, D3):
        with scene(floor, day) as desk:
            desk.run(day)
            found = [alert for alert in alerts(desk.trading.ledger, ["filled_less"]) if alert.run == "one"]
            assert set(desk.states("one").values()) == {"expired"}
            assert [(alert.severity, alert.repeats) for alert in found] == [("critical", 0)]
            assert found[0].title.startswith("scripted: 2 of 2 orders ended before they were filled; ")
            assert "2 orders, 2 expired." in found[0].text  # not the first that ended, and not in the middle of it
            filled = sum((intent.filled for intent in desk.intents("one").values()), Decimal(0))
            assert f"Filled: {filled:,f} of" in found[0].text
            day_ended = "- A: the day ended (2016-01-05): orders get at most max_volume_pct 0.1 of the volume 900\n"
            assert day_ended in found[0].text


def test_orders_that_end_one_by_one_are_told_when_the_last_has_ended(floor: Floor) -> None:
    """One is cancelled at the broker, then the others are filled, one in each sweep: the last fill tells."""
    with scene(floor, D1) as desk:
        desk.run("one")
        ledger, working = desk.trading.ledger, list(desk.intents("one").values())
        desk.paper.cancel(working[0].client_order_id)
        settle(ledger, desk.paper)
        assert desk.states("one")["A"] is IntentState.CANCELLED
        for number, intent in enumerate(working[1:]):
            assert alerts(ledger) == []
            with ledger.transaction("fills") as tx:
                orders.filled(tx, intent, intent.quantity)
                tx.audit(AuditEvent("fill", {"asset": intent.asset}, "one", "scripted"))
            assert bool(alerts(ledger)) == (number == 3)
        (alert,) = alerts(ledger)
        assert (alert.severity, alert.title) == (
            "warning",  # 80 % of the value was filled
            "scripted: 1 of 5 orders ended before they were filled; 80.0% of the value was",
        )
        assert "5 orders, 1 cancelled, 4 filled." in alert.text
        assert "- A: the broker reports it as cancelled without a reason\n" in alert.text


def test_who_cancelled_a_run_is_in_its_orders(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
        cancel(desk.trading.ledger, desk.paper, desk.record("one"), "ann", "not today")
        assert {i.message for i in desk.intents("one").values()} == {"cancelled by ann: not today"}
        (alert,) = alerts(desk.trading.ledger)
        assert (alert.rule, alert.severity) == ("filled_less", "critical")
        assert "- A, B, C and 2 more: cancelled by ann: not today\n" in alert.text


def test_what_a_daemon_records_by_itself_is_told(tmp_path: Path, floor: Floor) -> None:
    """Events as the daemon writes them; that it does write them is shown in tests/daemon."""
    with scene(floor, D1) as desk:
        ledger = desk.trading.ledger
        with ledger.transaction("control") as tx:
            at = desk.clock.now()
            jobs.did_not_run(tx, "rebalance", at, "deadline", "scripted", is_trading=True)
            jobs.did_not_run(tx, "rebalance", at, "deadline", "scripted", is_trading=True)
            jobs.did_not_run(tx, "report", at, "deadline", "", is_trading=False)
            tx.audit(AuditEvent("job.waits", {"job": "rebalance", "planned": at, "minutes": 15}))
            tx.audit(AuditEvent("cluster.lost", {"why": "no route"}))
            tx.audit(AuditEvent("cluster.found", {}))
            tx.audit(AuditEvent("health.degraded", {"checks": {"disk": "3 MB are free"}}))
            tx.audit(AuditEvent("health.degraded", {"checks": {"calendar": "the sessions end; look"}}))
            tx.audit(AuditEvent("book.not_kept", {"why": "E602: ledger and broker differ: A"}, strategy="scripted"))
            tx.audit(AuditEvent("book.not_kept", {"why": "E812: the cash is 5"}, strategy="scripted"))
            tx.audit(AuditEvent("book.not_kept", {"why": "E601: silent"}, strategy="scripted"))
            tx.audit(AuditEvent("book.unowned", {"positions": 3}, strategy="gone"))
            tx.audit(
                AuditEvent("condition.met", {"name": "loss", "when": "nav < 5", "severity": "critical"}, strategy="s")
            )
            meta.begin(tx, "")
            meta.begin(tx, "2016-01-04")
            meta.ended(tx)
            meta.begin(tx, "")
        found = {alert.rule: alert for alert in alerts(ledger)}
        assert {name: str(alert.severity) for name, alert in found.items()} == {
            "did_not_run": "warning",
            "data_late": "critical",
            "cluster_lost": "critical",
            "health_degraded": "warning",
            "runs_out": "warning",
            "books_differ": "critical",
            "ledger_damaged": "critical",
            "book_not_kept": "critical",
            "book_without_owner": "warning",
            "condition": "critical",
            "daemon_recovered": "critical",
        }
        first, second = alerts(ledger, ["did_not_run"])
        assert (first.severity, first.repeats, second.severity) == ("critical", 1, "warning")
        assert found["cluster_lost"].state == "resolved"
        assert (found["runs_out"].key, found["runs_out"].title) == ("calendar", "the sessions end")
        with ledger.transaction("control") as tx:
            tx.audit(AuditEvent("health.healthy", {"checks": {"disk": "ok"}}))
        health = {alert.key: str(alert.state) for alert in alerts(ledger, ["health_degraded", "runs_out"])}
        assert health == {"disk": "resolved", "calendar": "open"}
        about_books = ("book_not_kept", "books_differ", "ledger_damaged")
        with ledger.transaction("control") as tx:
            tx.audit(AuditEvent("book.kept", {}, strategy="scripted"))
        assert {alert.state for alert in alerts(ledger, about_books)} == {"resolved"}
        with ledger.transaction("control") as tx:
            tx.audit(AuditEvent("book.not_kept", {"why": "E601: silent again"}, strategy="scripted"))
        assert [alert.state for alert in alerts(ledger, ["book_not_kept"])] == ["resolved", "open"]
        assert found["daemon_recovered"].key
        assert first.text.endswith(
            "Look further: sigc why scripted\nRule: did_not_run. Runbook: sigc runbook did_not_run"
        )
        assert "Look further: sigc schedule history report" in second.text


def test_an_alert_and_its_event_are_written_together_or_not_at_all(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        with suppress(ZeroDivisionError), desk.trading.ledger.transaction("control") as tx:
            tx.audit(AuditEvent("cluster.lost", {"why": "gone"}))
            raise ZeroDivisionError
        assert alerts(desk.trading.ledger) == []
        with desk.trading.ledger.transaction("control") as tx:
            tx.audit(AuditEvent("cluster.lost", {"why": "gone"}))
            seq = tx.records[-1].seq
        assert [alert.seq for alert in alerts(desk.trading.ledger)] == [seq]


def test_secrets_are_in_no_alert(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        ledger = desk.trading.ledger
        ledger.hide = lambda text: text.replace("hunter22", "[secret]")
        with ledger.transaction("control") as tx:
            tx.audit(AuditEvent("cluster.lost", {"why": "login with hunter22 failed"}))
        (alert,) = alerts(ledger)
        assert "hunter22" not in alert.text
        assert "[secret]" in alert.text


def test_a_rule_that_breaks_is_told_and_stops_nothing(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        with desk.trading.ledger.transaction("control") as tx:
            tx.audit(AuditEvent("alert", {"assets": 5}, strategy="scripted"))  # a number is no list
        (alert,) = alerts(desk.trading.ledger)
        assert alert.title == "alert rule order_unresolved failed"


def test_every_rule_has_a_text() -> None:
    assert all(rule.summary.endswith(".") for rule in RULES.values())


def test_every_rule_has_its_place_in_the_runbook() -> None:
    """What the last line of an alert names is there, once, before a heading; and nothing else is but error codes."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    headings = set(re.findall(r"^### ([a-z_]+)$", text, re.MULTILINE))
    lines = re.findall(r'^((?:<a id="\w+"></a>)+)\n\n### ', text, re.MULTILINE)
    anchors = [name for line in lines for name in re.findall(r'"(\w+)"', line)]
    assert text.count("<a id=") == len(anchors) == len(set(anchors))
    wanted = {*RULES, refused.RULE, ledger_alert.RULE, *(f"watch_{name}" for name in outside.CONDITIONS)}
    anchors = [name for name in anchors if name not in CODES]
    assert headings | set(anchors) == wanted
    assert not headings & set(anchors)
