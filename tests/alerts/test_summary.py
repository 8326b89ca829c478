"""When the daily summary is due, over a year with its clock changes, and its words, counted by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sigc.alerts.summary import BookDay, DayFacts, StrategyDay, instant, newest_time, text_of, title_of
from sigc.clock import HandClock
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger.ledger import Ledger
from sigc.store.outbox import alert_query as looking
from sigc.store.outbox import deliveries

ZONE = ZoneInfo("America/New_York")
NOON = datetime(2024, 1, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize("at", [time(17, 30), time(0, 0), time(2, 30), time(1, 30), time(23, 59)])
@pytest.mark.parametrize("zone", [ZONE, ZoneInfo("Asia/Kolkata"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")])
def test_every_date_of_a_year_is_due_once(at: time, zone: ZoneInfo) -> None:
    """Looked at each half hour: dates follow each other without a gap, and each is due at its own instant."""
    now, seen = datetime(2024, 1, 1, tzinfo=UTC), list[tuple[date, datetime]]()
    while now.year == 2024:
        found = newest_time(at, zone, now)
        assert found[1] <= now < instant(found[0] + timedelta(days=1), at, zone)
        if not seen or found != seen[-1]:
            seen.append(found)
        now += timedelta(minutes=30)
    days = [day for day, _ in seen]
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]
    assert len(days) in (366, 367)


def facts(**other: object) -> DayFacts:
    made: dict[str, object] = {"day": date(2024, 1, 3), "since": NOON - timedelta(days=1), "until": NOON, "zone": ZONE}
    return DayFacts(**(made | other))  # type: ignore[arg-type]


def test_a_summary_tells_of_runs_books_alerts_data_and_fires() -> None:
    told = facts(
        strategies=(
            StrategyDay("momentum", "nothing_traded", "run-1", 2, {"filled": 3, "denied": 1}),
            StrategyDay("value", missed=("Wed 09:30 (paused)",), state="paused"),
            StrategyDay("carry", "done", "run-2", 1),
        ),
        books=(
            BookDay("momentum", "2024-01-02", Decimal("1000250.50"), Decimal("1000000")),
            BookDay("ruined", "2024-01-02", Decimal("-5"), Decimal("0")),
        ),
        alerts={"critical": 1, "warning": 0},
        titles=("[critical] momentum: run failed",),
        ages={("momentum", "prices"): 61 * 3600.0, ("momentum", "volume"): 5 * 3600.0},
        fires=(("late", NOON + timedelta(hours=9)), ("early", NOON + timedelta(hours=2, minutes=30))),
    )
    assert title_of(told) == "summary of Wed 2024-01-03: 1 done, 1 not run, 1 nothing traded; 1 alert open"
    assert text_of(told).splitlines() == [
        "Trades since 2024-01-02 07:00 EST",
        "- momentum: nothing traded (2 runs); 4 orders: 3 filled, 1 denied (run-1)",
        "- value: not run; missed Wed 09:30 (paused); paused",
        "- carry: done (run-2)",
        "Books",
        "- momentum: NAV 1,000,250.50 at the close of 2024-01-02, day's P&L +250.50 (+0.03%)",
        "- ruined: NAV -5.00 at the close of 2024-01-02, day's P&L -5.00",
        "Open alerts: 1 critical",
        "- [critical] momentum: run failed",
        "Newest data",
        "- momentum prices: 2 days old",
        "- momentum volume: 5 h old",
        "Next fires",
        "- 2024-01-03 09:30 EST early",
        "- 2024-01-03 16:00 EST late",
    ]


def test_a_quiet_day_and_a_large_firm() -> None:
    assert title_of(facts()) == "summary of Wed 2024-01-03: no strategies; no alerts open"
    assert text_of(facts()) == ""
    many = text_of(facts(strategies=[StrategyDay(f"s{n}", "done") for n in range(100)])).splitlines()
    assert (len(many), many[-2], many[-1]) == (16, "- s13: done", "- and 86 more")


def test_a_summary_is_told_once_and_asks_for_nothing(tmp_path: Path) -> None:
    """It is in no list of open alerts, no resolution follows it, and the same day is not told again."""
    with Ledger.open(tmp_path, HandClock(NOON), durable=False) as ledger:
        for _ in range(2):
            with ledger.transaction("control") as tx:
                tx.audit(AuditEvent("daily.summary", {"day": "2024-01-03", "title": "summary", "text": "all is well"}))
                deliveries.route(tx, lambda _: ("ops",))
        with ledger.reading() as connection:
            assert looking.listed(connection) == ()
            assert not any(looking.count_open(connection).values())
            (alert,) = looking.listed(connection, with_resolved=True)
            assert (alert.severity, alert.is_notice, alert.repeats, alert.who) == ("info", True, 1, "")
            (delivery,) = deliveries.due(connection, "ops", 10)
            assert (delivery.kind, delivery.alert.text) == ("raise", "all is well\nLook further: sigc status")
            assert looking.is_raised(connection, "daily_summary", "2024-01-03")
            assert not looking.is_raised(connection, "daily_summary", "2024-01-04")
