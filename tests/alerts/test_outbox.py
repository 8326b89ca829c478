"""The outbox by itself, over a real ledger: what is known of a run, what is written of an alert, how a delivery goes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.alerts.declare import EventRun, OrderCounts
from sigc.alerts.urgency import Urgency
from sigc.clock import HandClock
from sigc.errors import Severity
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import jobs, meta, orders, runs
from sigc.store.ledger.jobs import OrderedRun
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Finding, Intent, Run, RunKey, RunStage, Side, StageName
from sigc.store.outbox import alert_query as looking
from sigc.store.outbox import deliveries
from sigc.store.outbox import raise_alerts as raising
from sigc.store.outbox.deliveries import Delivery

AT = datetime(2024, 1, 2, 21, tzinfo=UTC)
KEY = RunKey("one", "main", "2024-01-03")
RUN = Run("r1", KEY, "2024-01-02", 0, AT, "ann")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as opened:
        yield opened


def say(ledger: Ledger, *events: AuditEvent) -> list[looking.Alert]:
    """Record events; all alerts, oldest first."""
    with ledger.transaction("control") as tx:
        for event in events:
            tx.audit(event)
        return list(looking.listed(tx.connection, 5_000, with_resolved=True)[::-1])


def met(name: str, severity: str = "warning", **more: Any) -> AuditEvent:
    return AuditEvent("condition.met", {"name": name, "when": "nav < 1", "severity": severity, **more})


def facts(ledger: Ledger, run: str = "r1") -> EventRun:
    with ledger.reading() as connection:
        return raising.run_facts(connection, run)


def test_what_is_known_of_a_run(ledger: Ledger) -> None:
    assert facts(ledger) == EventRun()
    with ledger.transaction("control") as tx:
        of = OrderedRun("r1", "one", "compute", "main", "one.sig", "", "", "nightly", None, "ann", "", AT)
        jobs.ask(tx, of)
    assert facts(ledger) == EventRun("compute", "", "nightly")
    made = [
        ("planned", "", "it waits"),
        ("denied", "", "too large"),
        ("denied", "", "too large"),
        ("rejected", "b3", "unknown asset"),
        ("expired", "", ""),
        ("cancelled", "b5", "by ann"),
        ("filled", "b6", "done"),
    ]
    sizes = [(700, 4), (1, 1), (1, 1), (100, 2), (1, 1), (100, 10), (100, 5)]
    intents = [
        Intent(f"i{n}", "r1", KEY, n, "QABDEFG"[n], Side.BUY, Decimal(size), Decimal(price))
        for n, (size, price) in enumerate(sizes)
    ]
    errors = (Finding("E600", Severity.ERROR, "refused"), Finding("fresh", Severity.WARNING, "a day old"))
    with ledger.transaction("control") as tx:
        runs.open_run(tx, RUN, {})
        orders.plan(tx, intents)
        for number, row in enumerate(made):
            tx.connection.execute(
                "UPDATE intents SET state = ?, broker_order_id = ?, message = ? WHERE place = ?", (*row, number)
            )
        tx.connection.execute("UPDATE intents SET filled = '100' WHERE place = 6")
        runs.add_stage(tx, RUN, RunStage("r1", StageName.LOAD, AT, 0.1, "failed", errors))
    found = facts(ledger)
    assert found == EventRun(
        *("trade", "2024-01-03", "nightly", "open"),
        {"planned": 1, "denied": 2, "rejected": 1, "expired": 1, "cancelled": 1, "filled": 1},
        3,  # two were denied, and one expired that no broker ever had
        {"too large": ["A", "B"]},
        # Of four at the broker (one may still be sent) 100 shares of 1,000 are filled, 500 of 4,500 in money.
        OrderCounts(
            1, 2, Decimal(1000), Decimal(100), Decimal(4500), Decimal(500), {"unknown asset": ["D"], "by ann": ["F"]}
        ),
        (("E600", "refused"),),
    )
    assert found.wanted == 7


def test_titles_and_texts_are_cut(ledger: Ledger) -> None:
    (alert,) = say(ledger, met("x" * 300, values="y" * 5_000))
    assert (len(alert.title), len(alert.text)) == (200, 4_000)
    assert alert.text.endswith("yyy\nRule: condition. Runbook: sigc runbook condition")
    with ledger.transaction("control") as tx:
        looking.resolve(tx, 1, "ann", "z" * 5_000)
        assert len(looking.find(tx.connection, 1).reason) == 4_000


def test_the_same_happening_again_only_counts(ledger: Ledger) -> None:
    first = say(ledger, met("a"), met("b"))
    ledger.clock.sleep(5.0)
    once, twice = say(ledger, met("b"), met("b"))
    assert (once, twice.repeats, twice.latest) == (first[0], 2, AT + timedelta(seconds=5))
    assert [a.state for a in say(ledger, AuditEvent("condition.over", {"name": "b"}), met("b"))] == [
        "open",
        "resolved",
        "open",
    ]


def test_what_happened_once_is_told_once_for_ever(ledger: Ledger) -> None:
    missed = AuditEvent("job.did_not_run", {"job": "j", "planned": AT, "reason": "deadline"})
    say(ledger, missed)
    with ledger.transaction("control") as tx:
        looking.resolve(tx, 1, "ann", "seen")
    (alert,) = say(ledger, missed)
    assert (alert.state, alert.repeats, alert.severity) == ("resolved", 1, Urgency.WARNING)


def test_a_crash_names_what_was_open_and_the_last_sign_of_life(ledger: Ledger) -> None:
    of = OrderedRun("r7", "one", "trade", "main", "one.sig", "", "", "nightly", None, "ann", "", AT)
    with ledger.transaction("control") as tx:
        meta.begin(tx, "", "America/New_York")
        jobs.ask(tx, of)
        runs.open_run(tx, RUN, {})
    assert isinstance(ledger.clock, HandClock)
    ledger.clock.turn(AT + timedelta(days=4))
    with ledger.transaction("control") as tx:
        assert meta.begin(tx, (AT - timedelta(seconds=9)).isoformat(), "America/New_York")
    (alert,) = say(ledger)
    assert alert.text.startswith(
        "It was last alive at 2024-01-02 16:00:00 EST and is back since 2024-01-06 16:00:00 EST, gone for 4 days.\n"
        "Runs that were open: r1, r7; each gets its verdict now."
    )


def test_a_notice_is_over_from_the_beginning(ledger: Ledger) -> None:
    (alert,) = say(ledger, AuditEvent("daily.summary", {"day": "2024-01-02", "title": "all is well", "text": "-"}))
    assert (alert.state, alert.changed, alert.is_notice, alert.severity) == ("resolved", None, True, Urgency.INFO)
    with ledger.transaction("control") as tx:
        assert deliveries.route(tx, lambda _: ("ops",)) == 1
        assert [d.kind for d in deliveries.due(tx.connection, "ops", 9)] == ["raise"]


def test_a_rule_that_breaks_is_logged(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "sigc.alerts"):
        (alert,) = say(ledger, AuditEvent("alert", {"assets": 5}, strategy="one"))
    assert alert.text.startswith("The rule failed on alert of one: TypeError: ")
    assert [r.message for r in caplog.records] == ["an alert rule failed"]


# Deliveries.


def due(ledger: Ledger, most: int = 9_999, channel: str = "ops", **more: bool) -> tuple[Delivery, ...]:
    with ledger.reading() as connection:
        return deliveries.due(connection, channel, most, **more)


def routed(ledger: Ledger, *severities: str) -> tuple[int, ...]:
    """Alerts that wait for the channel `ops`; the ids of their deliveries."""
    say(ledger, *(met(f"c{n}", severity) for n, severity in enumerate(severities)))
    with ledger.transaction("control") as tx:
        assert deliveries.route(tx, lambda _: ("ops",)) == len(severities)
    return tuple(d.id for d in due(ledger))


def test_a_thousand_alerts_are_routed_at_once(ledger: Ledger) -> None:
    say(ledger, *(met(f"c{n}") for n in range(1_003)))
    with ledger.transaction("control") as tx:
        assert deliveries.has_unrouted(tx.connection)
        assert [deliveries.route(tx, lambda a: ("ops", "log")[: a.id % 3]) for _ in range(3)] == [1_000, 3, 0]
        assert not deliveries.has_unrouted(tx.connection)
    assert [len(due(ledger, channel=name)) for name in ("ops", "log", "none")] == [335 + 334, 334, 0]


def test_a_resolution_follows_where_the_alert_went(ledger: Ledger) -> None:
    routed(ledger, "warning", "warning")
    with ledger.transaction("control") as tx:
        looking.resolve(tx, 2, "ann", "over")
        assert deliveries.route(tx, lambda _: ("ops",)) == 1
        assert deliveries.route(tx, lambda _: ("ops",)) == 0
    assert [(d.alert.id, d.kind) for d in due(ledger)] == [(1, "raise"), (2, "raise"), (2, "resolve")]


def test_the_oldest_come_first_and_critical_ones_alone_where_asked(ledger: Ledger) -> None:
    first, second, _ = routed(ledger, "warning", "critical", "info")
    assert [d.id for d in due(ledger, 2)] == [first, second]
    assert [d.id for d in due(ledger, only_critical=True)] == [second]


def test_a_try_that_fails_is_counted_and_waits(ledger: Ledger) -> None:
    first, second = routed(ledger, "warning", "warning")
    with ledger.transaction("control") as tx:
        deliveries.sending(tx, [first])
        deliveries.sending(tx, [first, second])
        deliveries.failed(tx, [first], "e" * 600, AT + timedelta(seconds=4))
    found = due(ledger)
    assert [(d.state, d.attempts, d.error, d.next_attempt, d.since) for d in found] == [
        ("pending", 2, "e" * 500, AT + timedelta(seconds=4), AT),
        ("sending", 1, "", None, AT),
    ]
    with ledger.transaction("control") as tx:
        load = deliveries.load_of(tx.connection, "ops")
        assert load == deliveries.ChannelLoad("ops", 2, AT, "e" * 500)
        deliveries.failed(tx, [first, second], "never", None)
        assert deliveries.load_of(tx.connection, "ops") == deliveries.ChannelLoad("ops", 0, None, "")
        states = tx.connection.execute("SELECT state, error, next_attempt FROM deliveries").fetchall()
    assert states == [("given_up", "never", "")] * 2
    assert due(ledger) == ()


def test_one_message_is_counted_once_of_however_many_it_tells(ledger: Ledger) -> None:
    ids = routed(ledger, *["warning"] * 5)
    with ledger.transaction("control") as tx:
        deliveries.sending(tx, ids)
        deliveries.sent(tx, ids[:1])
    ledger.clock.sleep(5.0)
    with ledger.transaction("control") as tx:
        deliveries.sent(tx, ids[1:])
        digests = [d for (d,) in tx.connection.execute("SELECT digest FROM deliveries ORDER BY id")]
        assert digests == [None, None, ids[1], ids[1], ids[1]]
        times = [deliveries.times_sent(tx.connection, "ops", AT + timedelta(seconds=s)) for s in (-1, 0, 5)]
        assert times == [(AT, AT + timedelta(seconds=5)), (AT + timedelta(seconds=5),), ()]
        assert deliveries.times_sent(tx.connection, "log", AT - timedelta(days=1)) == ()
    assert due(ledger) == ()
