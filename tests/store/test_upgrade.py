"""A ledger and a paper broker's book of the version before corporate actions: kept as they are, and acted on from then."""

from __future__ import annotations

import gzip
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np

from sigc.actions import Action, ActionKind
from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.store.ledger import action_rows, adjustments, book_counts, books, proof
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.connection import connect_reader, connect_writer
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.valuing import follow
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.reconcile.differences import differences
from tests.trading.floor import weekdays

FIXTURES = Path(__file__).parent / "fixtures"
KEY = BookKey("scripted", "main")
LAST = "2016-01-06"
HELD = {"A": 1000, "B": -1000}


def unpacked(folder: Path) -> Path:
    """Both files as they were."""
    for name, version in (("ledger", 6), ("paper", 1)):
        raw = gzip.decompress((FIXTURES / f"{name}-v{version}.sqlite.gz").read_bytes())
        (folder / f"{name}.sqlite").write_bytes(raw)
    return folder / "ledger.sqlite"


def test_a_book_is_as_it_was_and_has_a_watermark(tmp_path: Path) -> None:
    """Its newest valued session: what was traded before was traded in whatever units the data had then."""
    path = unpacked(tmp_path)
    with closing(connect_writer(path, "OFF")) as connection:
        assert action_rows.watermarks(connection) == {(KEY, ""): LAST}
        assert proof.faults(connection) == ()
        assert books.quantities(connection, KEY) == HELD
        navs = books.navs(connection, KEY)
        assert [n.session for n in navs] == ["2016-01-04", "2016-01-05", LAST]
        assert {n.receivables for n in navs} == {0}
        assert {n.basis for n in navs} == {"declared"}
        assert books.declared_until(connection, KEY) == LAST
    assert path.with_name("ledger.sqlite.v6").exists()
    with closing(connect_reader(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_book_of_the_version_before_adjusting_entries(tmp_path: Path) -> None:
    """What it holds and is worth is what it was; a difference to the broker can be adopted from then."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(gzip.decompress((FIXTURES / "ledger-v8.sqlite.gz").read_bytes()))
    with closing(connect_reader_of(path)) as old:
        before = old.execute("SELECT asset, quantity, average_price FROM positions ORDER BY asset").fetchall()
        navs = old.execute("SELECT session, nav FROM nav ORDER BY session").fetchall()
    with closing(connect_writer(path, "OFF")) as connection:
        assert proof.faults(connection) == ()
        assert adjustments.of_book(connection, KEY) == ()
        after = connection.execute("SELECT asset, quantity, average_price FROM positions ORDER BY asset").fetchall()
        assert after == before == [(a, q, "100.0000000000") for a, q in (("A", "2000"), ("B", "-1000"), ("C", "500"))]
        assert connection.execute("SELECT session, nav FROM nav ORDER BY session").fetchall() == navs
    assert path.with_name("ledger.sqlite.v8").exists()
    at = datetime(2016, 1, 7, 12, tzinfo=UTC)
    with Ledger.open(tmp_path, HandClock(at), durable=False) as ledger, ledger.transaction("adopt") as tx:
        entry = Adjustment(KEY, "A", Decimal(-10), Decimal(1000), GapCause.TRADE, Decimal(100), LAST, at, "ann", "sold")
        adjustments.adjust(tx, [entry])
        assert books.quantities(tx.connection, KEY)["A"] == 1990
        assert proof.faults(tx.connection) == ()


def test_adjusting_entries_of_the_version_before_are_as_they_were(tmp_path: Path) -> None:
    """Shares sold by phone for 1,000, and 250 by wire: nothing is worth more than its price says."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(gzip.decompress((FIXTURES / "ledger-v9.sqlite.gz").read_bytes()))
    with closing(connect_writer(path, "OFF")) as connection:
        assert proof.faults(connection) == ()
        sold, wire = adjustments.of_book(connection, KEY)
        assert (sold.change, sold.cash, sold.price, sold.worth) == (Decimal(-10), Decimal(1000), Decimal(100), None)
        assert (wire.asset, wire.cash, wire.price, wire.worth) == ("", Decimal(250), None, None)
        assert books.quantities(connection, KEY) == {"A": 1990, "B": -1000, "C": 500}
    assert path.with_name("ledger.sqlite.v9").exists()


def test_orders_and_fills_of_the_version_before_are_counted(tmp_path: Path) -> None:
    """By their ends, as counted by hand over all of them."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(gzip.decompress((FIXTURES / "ledger-v10.sqlite.gz").read_bytes()))
    with closing(connect_reader_of(path)) as old:
        states = Counter(state for (state,) in old.execute("SELECT state FROM intents"))
        fills = old.execute("SELECT execution_id FROM fills").fetchall()
    with closing(connect_writer(path, "OFF")) as connection:
        assert proof.faults(connection) == ()
        ends = {state: count for state, count in states.items() if state in ("filled", "expired")}
        assert book_counts.ended(connection, KEY) == ends
        assert min(ends.values()) > 0 < len(fills)
        assert book_counts.fills(connection, KEY) == len(fills)
        assert books.highest_nav(connection, KEY) == max(nav.nav for nav in books.navs(connection, KEY))
    assert path.with_name("ledger.sqlite.v10").exists()


def connect_reader_of(path: Path) -> sqlite3.Connection:
    """A connection that upgrades nothing."""
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def test_earlier_actions_do_nothing_and_later_ones_act(tmp_path: Path) -> None:
    unpacked(tmp_path)
    calendar = weekdays()
    day = calendar.session_on(date(2016, 1, 8))
    assert day is not None
    actions = [
        Action(date(2016, 1, 6), "A", ActionKind.SPLIT, Fraction(7)),
        Action(date(2016, 1, 8), "A", ActionKind.SPLIT, Fraction(2)),
        Action(date(2016, 1, 8), "B", ActionKind.DIVIDEND, cash=0.5),
    ]
    days = np.array(["2016-01-07", "2016-01-08"], dtype="datetime64[D]")
    prices = Closes(days, ("A", "B", "C"), np.array([[100.0, 100.0, 100.0], [50.0, 99.5, 100.0]]), None)
    clock = HandClock(day.close + timedelta(minutes=1))
    broker = PaperBroker(tmp_path / "paper.sqlite", PaperSettings(borrow_bps=0), clock, durable=False)
    with closing(broker), Ledger.open(tmp_path, clock, durable=False) as ledger:
        with ledger.reading() as connection:
            before = books.book(connection, KEY)
        assert differences(ledger, broker) == ()
        follow(*(ledger, broker, calendar, KEY, day, lambda _: prices), lambda: settle(ledger, broker), actions)
        assert differences(ledger, broker) == ()
        with ledger.reading() as connection:
            now, held = books.book(connection, KEY), books.quantities(connection, KEY)
            kept = [k.due.session for k in action_rows.listed(connection, "A")]
        assert before is not None
        assert now is not None
    assert kept == ["2016-01-08"]
    assert held["A"] % 2 == 0
    assert held["B"] == broker_positions(tmp_path)["B"]
    assert now.cash - before.cash == held["B"] * Decimal("0.5") + _filled(tmp_path)


def broker_positions(folder: Path) -> dict[str, Decimal]:
    clock = HandClock(datetime(2016, 2, 1, tzinfo=UTC))
    with closing(PaperBroker(folder / "paper.sqlite", PaperSettings(), clock, durable=False)) as broker:
        return broker.positions()


def _filled(folder: Path) -> Decimal:
    """The cash of fills since: orders of the last run of the fixture, that were open when it was made."""
    with closing(connect_reader(folder / "ledger.sqlite")) as connection:
        after = datetime(2016, 1, 6, 22, tzinfo=UTC)
        return sum((f.cash for f in books.fills_of_book(connection, KEY, after)), Decimal(0))
