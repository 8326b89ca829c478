"""Asking the records: filters mean what they say and never more; queries; a day's account."""

from __future__ import annotations

import string
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.clock import HandClock
from sigc.errors import SigcError, render
from sigc.store.audit.chain import AuditEvent
from sigc.store.history.filter import SOURCE, compile_filter
from sigc.store.history.query import AuditQuery, query, span_of_time
from sigc.store.history.report import report
from sigc.store.ledger.ledger import Ledger
from tests.store.chains import START, reading, write

RECORD: dict[str, Any] = {
    "slippage_bps": "5.50",
    "quantity": 100,
    "exposure": 0.1,
    "side": "buy",
    "asset": "BRK/B",
    "done": True,
    "nothing": None,
    "empty": "",
    "fill": {"price": "10.25", "at": "2024-01-02T10:00:00+00:00"},
    "quoted": 'a "b" \\ c',
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("slippage_bps > 5", True),
        ("slippage_bps > 5.5", False),
        ("slippage_bps >= 5.5 AND slippage_bps <= 5.5", True),
        ("slippage_bps = 5.5", True),
        ("slippage_bps == '5.50'", True),
        ("slippage_bps = '5.5'", False),  # a text is a text
        ("5 < slippage_bps", True),
        ("quantity = 100.0", True),
        ("quantity != 100", False),
        ("quantity <> 99", True),
        ("quantity > -1 and quantity > -1.5e2", True),
        ("exposure = 0.1", True),
        ("exposure < .2", True),
        ("side = 'buy'", True),
        ('side = "sell"', False),
        ("side > 'a' and side < 'c'", True),
        ("side > 5", False),
        ("side = 5", False),
        ("side != 5", True),
        ("done", True),
        ("done = true", True),
        ("done = 1", False),
        ("not done", False),
        ("nothing = null and missing = null and done != null", True),
        ("nothing > 0 or missing > 0 or missing < 0 or missing = 0 or missing != 0", False),
        ("not (missing > 0)", True),
        ("empty or missing or nothing", False),
        ("fill.price > 10 and fill.at >= '2024-01-02'", True),
        ("fill.none.deeper = null", True),
        ("side = 'sell' or side = 'buy' and quantity > 1000", False),
        ("(side = 'sell' or side = 'buy') and quantity > 10", True),
        ("not side = 'sell' and not not done", True),
        ("quoted = 'a \"b\" \\\\ c'", True),
        ("TRUE", True),
        ("0", False),
        ("asset = 'BRK/B'", True),
    ],
)
def test_what_filters_mean(text: str, expected: bool) -> None:
    assert compile_filter(text)(RECORD) is expected


@pytest.mark.parametrize(
    ("text", "column", "length"),
    [
        ("", 1, 1),
        ("slippage_bps >", 15, 1),
        ("slippage_bps > 5 and", 21, 1),
        ("(side = 'buy'", 14, 1),
        ("side = 'buy')", 13, 1),
        ("side = 'buy", 8, 1),
        ("side ~ 'buy'", 6, 1),
        ("a = 1 b = 2", 7, 1),
        ("1 < x < 3", 7, 1),
        ("and", 1, 3),
        ("not", 4, 1),
        ("x = -y", 6, 1),
        ("x = 5abc", 5, 1),
        ("system('x')", 7, 1),
        ("x = [1]", 5, 1),
    ],
)
def test_what_is_no_filter_is_shown_where(text: str, column: int, length: int) -> None:
    with pytest.raises(SigcError) as told:
        compile_filter(text)
    (found,) = told.value.diagnostics
    assert found.code == "E001"
    assert found.span is not None
    assert (found.span.column, found.span.length) == (column, length)
    if text:
        assert render(found, {SOURCE: text}).splitlines()[2].endswith(" " * (column - 1) + "^" * length)


def test_deep_and_long_filters_are_refused() -> None:
    assert compile_filter("(" * 40 + "done" + ")" * 40)(RECORD)
    for text in ("(" * 5_000 + "done" + ")" * 5_000, "not " * 2_000 + "done", "x" * 20_000):
        with pytest.raises(SigcError):
            compile_filter(text)


@given(st.text(alphabet=string.printable, max_size=60))
def test_any_text_is_a_filter_or_told(text: str) -> None:
    try:
        test = compile_filter(text)
    except SigcError as error:
        found = error.diagnostics[0]
        assert found.span is not None
        assert 1 <= found.span.column <= len(text) + 1
    else:
        assert test(RECORD) in (True, False)


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(string.printable, max_size=5),
    st.lists(st.integers(), max_size=2),
)


@given(st.dictionaries(st.sampled_from(["a", "b"]), _VALUES), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
def test_any_values_are_compared_without_failing(record: dict[str, Any], sign: str) -> None:
    for text in (f"a {sign} b", f"a {sign} 5", f"a {sign} 'x'", f"a {sign} null", f"a {sign} true"):
        result = compile_filter(text)(record)
        assert result in (True, False)
    if "a" in record and "b" in record:
        assert compile_filter("a = b")(record) != compile_filter("a != b")(record)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty records, a minute apart from 14:31 UTC."""
    return write(tmp_path_factory.mktemp("asked"), 60)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (AuditQuery(), range(1, 61)),
        (AuditQuery(types=("order",)), [n for n in range(1, 61) if n % 5 in (1, 2, 3)]),
        (AuditQuery(types=("order.sent",)), range(1, 61, 5)),
        (AuditQuery(types=("user", "*.denied")), [n for n in range(1, 61) if n % 5 in (3, 4)]),
        (AuditQuery(types=("ord",)), []),
        (AuditQuery(strategy="value"), range(1, 61, 2)),
        (AuditQuery(asset="BRK/B"), range(1, 61, 3)),
        (AuditQuery(asset="Ünïcode \u2028"), range(2, 61, 3)),
        (AuditQuery(asset="T7"), [7]),
        (AuditQuery(asset="MSFT", types=("user",)), range(4, 61, 5)),
        (AuditQuery(asset="quoted"), []),
        (AuditQuery(run="run-2"), range(10, 15)),
        (AuditQuery(who="ann"), range(4, 61, 5)),
        (AuditQuery(after=START + timedelta(minutes=58)), [58, 59, 60]),
        (AuditQuery(before=START + timedelta(minutes=3)), [1, 2]),
        (AuditQuery(after=datetime(2024, 1, 2, 10, 28, tzinfo=ZoneInfo("America/New_York"))), [58, 59, 60]),
        (AuditQuery(expression="slippage_bps > 14.5"), [59, 60]),
        (AuditQuery(expression="number = 7 or seq = 8 or event = 'x'"), [7, 8]),
        (AuditQuery(most=2), [59, 60]),
        (AuditQuery(types=("user",), most=1), [59]),
    ],
)
def test_queries(ledger: Path, what: AuditQuery, expected: Any) -> None:
    with reading(ledger) as connection:
        found = list(query(connection, what))
    assert [e.seq for e in found] == list(expected)
    for entry in found[:1]:
        assert entry.payload["number"] == entry.seq
        assert entry.at.tzinfo is not None


def test_instants_with_fractions_sort_among_those_without(tmp_path: Path) -> None:
    clock = HandClock(START)
    with Ledger.open(tmp_path, clock, durable=False) as opened:
        for micros in (0, 1, 500_000, 999_999, 1_000_000):
            clock.turn(START + timedelta(microseconds=micros))
            with opened.transaction("control") as tx:
                tx.audit(AuditEvent("tick", {"micros": micros}))
        with opened.reading() as connection:
            for cut in (0, 1, 2, 500_000, 1_000_000):
                at = START + timedelta(microseconds=cut)
                later = [e.payload["micros"] for e in query(connection, AuditQuery(after=at))]
                earlier = [e.payload["micros"] for e in query(connection, AuditQuery(before=at))]
                assert earlier + later == [0, 1, 500_000, 999_999, 1_000_000]
                assert all(m >= cut for m in later)


def test_lengths_of_time() -> None:
    assert span_of_time("24h") == timedelta(days=1)
    assert span_of_time("90s") == timedelta(seconds=90)
    assert span_of_time("2w") == timedelta(days=14)
    for wrong in ("", "24", "h", "-1h", "1y", "1h30m", "9" * 30 + "d"):
        with pytest.raises(SigcError):
            span_of_time(wrong)


def test_a_days_account(tmp_path: Path) -> None:
    path = write(tmp_path, 60, every=timedelta(hours=1))
    with Ledger.open(tmp_path, HandClock(START), durable=False) as opened, opened.transaction("control") as tx:
        for number, hour in enumerate((3, 14, 20, 30)):
            started = (datetime(2024, 1, 3, tzinfo=UTC) + timedelta(hours=hour)).isoformat()
            tx.connection.execute(
                "INSERT INTO runs (id, strategy, portfolio, session, kind, slot, revision, as_of, started, who, reason, "
                "broker, outcome) VALUES (?, 'momentum', 'main', '2024-01-03', 'dry', '', ?, '2024-01-02', ?, 'ann', '', "
                "'paper', 'done')",
                (f"run-{number}", number, started),
            )
            tx.connection.execute(
                "INSERT INTO intents (client_order_id, run, place, asset, side, quantity, reference, order_type, "
                "time_in_force, parent, slice, state) VALUES (?, ?, 0, 'A', 'buy', '1', '1', 'market', 'day', '', 0, ?)",
                (f"order-{number}", f"run-{number}", "filled" if number else "denied"),
            )
            tx.connection.execute(
                "INSERT INTO fills (execution_id, client_order_id, asset, side, quantity, price, commission, at) "
                "VALUES (?, ?, 'A', ?, '10', '1.10', '0.05', ?)",
                (f"fill-{number}", f"order-{number}", "sell" if number == 2 else "buy", started),
            )
    zone = ZoneInfo("America/New_York")
    with reading(path) as connection:
        found = report(connection, date(2024, 1, 3), zone)
        utc = report(connection, date(2024, 1, 3))
        empty = report(connection, date(2023, 1, 3))
    # New York's day is from 05:00 to 05:00 UTC: records 15 (05:30) to 38 (04:30).
    assert (found.records, found.first, found.last) == (24, 15, 38)
    assert (utc.first, utc.last) == (10, 33)
    assert (
        found.events
        == {"order.denied": 5, "order.filled": 5, "order.sent": 4, "run.opened": 5, "user.paused": 5} | found.events
    )
    assert sum(found.events.values()) == 24
    assert [r.id for r in found.runs] == ["run-1", "run-2"]
    assert found.orders == {"filled": 2}
    assert (found.traded.fills, found.traded.bought, found.traded.sold) == (2, Decimal("11.00"), Decimal("11.00"))
    assert found.traded.commission == Decimal("0.10")
    assert [r.seq for r in found.refusals] == [18, 23, 28, 33, 38]
    assert found.deeds == {"ann": {"user.paused": 4}}
    assert (empty.records, empty.runs, empty.orders, empty.traded.fills) == (0, (), {}, 0)
