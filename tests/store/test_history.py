"""Looking back: pages show every row once, whatever is added; numbers are recomputed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.daemon.book_history import BookHistory, nav_reply
from sigc.rpc.messages.history import NavRequest
from sigc.rpc.schema import to_json
from sigc.store.history import history, holding, recent
from sigc.store.history.history import FillsWanted, OrdersWanted, RunsWanted
from sigc.store.history.recent import RecordsWanted
from sigc.store.ledger import adjustments, books, price_marks, schema
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.connection import connect_writer
from sigc.store.ledger.records import BookKey
from tests.store.ledgers import LARGE, STATES, Size, fill
from tests.trading.script import D1, D2, D3, D4, free, written

R = TypeVar("R")
BOOK = BookKey("s0", "main")
floats = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A small history, and a connection that may add to it."""
    with closing(connect_writer(tmp_path / "ledger.sqlite", "OFF")) as connection:
        fill(connection, Size())
        yield connection


# Pages.

Turn = Callable[[sqlite3.Connection, str], tuple[list[str], str]]


def of_runs(**wanted: str) -> Turn:
    def turn(connection: sqlite3.Connection, before: str) -> tuple[list[str], str]:
        page = history.runs_page(connection, RunsWanted(**wanted, before=before, most=7))
        return [run.id for run in page], history.run_cursor(page[-1]) if len(page) == 7 else ""

    return turn


def of_orders(**wanted: str) -> Turn:
    def turn(connection: sqlite3.Connection, before: str) -> tuple[list[str], str]:
        page, cursor = history.orders_page(connection, OrdersWanted(**wanted, before=before, most=7))
        return [order.client_order_id for order in page], cursor

    return turn


def of_fills(**wanted: str) -> Turn:
    def turn(connection: sqlite3.Connection, before: str) -> tuple[list[str], str]:
        page, cursor = history.fills_page(connection, FillsWanted(**wanted, before=before, most=7))
        return [one.execution_id for one in page], cursor

    return turn


def of_records(**wanted: str) -> Turn:
    def turn(connection: sqlite3.Connection, before: str) -> tuple[list[str], str]:
        asked = RecordsWanted(**wanted, before=int(before or 0), most=7)
        page = recent.records_page(connection, asked)
        return [str(record.seq) for record in page], str(page[-1].seq) if len(page) == 7 else ""

    return turn


RUNS = (
    "WITH every AS (SELECT id, strategy, kind, outcome FROM run_orders UNION SELECT id, strategy, kind, outcome FROM runs)"
    " SELECT id FROM every WHERE "
)
ORDERS = "SELECT client_order_id FROM intents JOIN runs ON runs.id = run WHERE "
FILLS = "SELECT execution_id FROM fills JOIN intents USING (client_order_id) JOIN runs ON runs.id = run WHERE "
PAGES: dict[str, tuple[Turn, str]] = {
    "runs": (of_runs(), f"{RUNS} 1"),
    "runs of a strategy": (of_runs(strategy="s1"), f"{RUNS} strategy = 's1'"),
    "runs of a kind": (of_runs(kind="trade"), f"{RUNS} kind = 'trade'"),
    "failed runs": (of_runs(outcome="failed"), f"{RUNS} outcome = 'failed'"),
    "orders": (of_orders(), f"{ORDERS} 1"),
    "orders of a strategy": (of_orders(strategy="s1"), f"{ORDERS} strategy = 's1'"),
    "orders of a run": (of_orders(run="s0-2014-01-03"), f"{ORDERS} run = 's0-2014-01-03'"),
    "filled orders": (of_orders(state="filled"), f"{ORDERS} state = 'filled'"),
    "rejected orders": (of_orders(state="rejected"), f"{ORDERS} state = 'rejected'"),
    "open orders": (of_orders(state="open"), f"{ORDERS} state = 'acknowledged'"),
    "open orders of a strategy": (
        of_orders(state="open", strategy="s0"),
        f"{ORDERS} state = 'acknowledged' AND strategy = 's0'",
    ),
    "fills": (of_fills(), "SELECT execution_id FROM fills"),
    "fills of a strategy": (of_fills(strategy="s0"), f"{FILLS} strategy = 's0'"),
    "fills of a run": (of_fills(run="s1-2014-01-06"), f"{FILLS} run = 's1-2014-01-06'"),
    "records": (of_records(), "SELECT seq FROM audit"),
    "records of orders": (of_records(event="order"), "SELECT seq FROM audit WHERE event LIKE 'order.%'"),
    "records of an event": (of_records(event="fill"), "SELECT seq FROM audit WHERE event = 'fill'"),
    "records of a strategy": (of_records(strategy="s1"), "SELECT seq FROM audit WHERE strategy = 's1'"),
    "records of a run": (of_records(run="s0-2014-01-06"), "SELECT seq FROM audit WHERE run = 's0-2014-01-06'"),
    "some records of a run": (
        of_records(run="s0-2014-01-06", event="order"),
        "SELECT seq FROM audit WHERE run = 's0-2014-01-06' AND event LIKE 'order.%'",
    ),
    "some records of a strategy": (
        of_records(strategy="s0", event="order.sending"),
        "SELECT seq FROM audit WHERE strategy = 's0' AND event = 'order.sending'",
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_show_every_row_once_while_rows_are_added(name: str, ledger: sqlite3.Connection) -> None:
    turn, everything = PAGES[name]
    there = {str(row[0]) for row in ledger.execute(everything)}
    assert there
    seen: list[str] = []
    before, pages = "", 0
    while True:
        page, before = turn(ledger, before)
        seen += page
        _add(ledger, pages)
        pages += 1
        if not before:
            break
    assert sorted(seen) == sorted(there)
    first, _ = turn(ledger, "")
    assert pages == 1 or first != seen[:7] or "of a run" in name  # what was added is there for who looks anew


def _add(connection: sqlite3.Connection, number: int) -> None:
    """A later session of both strategies."""
    later = {"session": f"2030-01-{number % 28 + 1:02d}", "number": number}
    for strategy in ("s0", "s1"):
        run = f"{strategy}-later-{number}"
        at = f"2030-01-01T00:{number // 60:02d}:{number % 60:02d}+00:00"
        for outcome, id in (("failed", f"{run}-failed"), ("done", run)):
            connection.execute(
                "INSERT INTO runs (id, strategy, portfolio, session, kind, slot, revision, as_of, started, who, reason,"
                " broker, outcome, traded) VALUES (?, ?, 'main', ?, 'trade', ?, 0, '', ?, '', '', '', ?, 1)",
                (id, strategy, later["session"], id, at, outcome),
            )
        for place, state in enumerate(sorted(set(STATES))):
            order = f"{run}-{place}"
            connection.execute(
                "INSERT INTO intents (client_order_id, run, place, asset, side, quantity, reference, order_type,"
                " time_in_force, parent, slice, state) VALUES (?, ?, ?, 'A', 'buy', '1', '1', 'market', 'day', '', 0, ?)",
                (order, run, place, state),
            )
            connection.execute(
                "INSERT INTO fills (execution_id, client_order_id, asset, side, quantity, price, commission, at)"
                " VALUES (?, ?, 'A', 'buy', '1', '1', '0', ?)",
                (f"{order}-f", order, at),
            )
        for event in ("order.sending", "fill"):
            connection.execute(
                "INSERT INTO audit (at, event, run, strategy, record, digest, signature) VALUES (?, ?, ?, ?, '{}', '', '')",
                (at, event, run, strategy),
            )


def test_pages_are_ordered(ledger: sqlite3.Connection) -> None:
    runs = history.runs_page(ledger, RunsWanted(most=500))
    assert [r.at for r in runs] == sorted((r.at for r in runs), reverse=True)
    records = recent.records_page(ledger, RecordsWanted(event="order", most=500))
    assert [r.seq for r in records] == sorted((r.seq for r in records), reverse=True)
    orders, _ = history.orders_page(ledger, OrdersWanted(strategy="s0", most=500))
    assert [o.session for o in orders] == sorted((o.session for o in orders), reverse=True)


def test_a_cursor_of_another_list_is_refused(ledger: sqlite3.Connection) -> None:
    _, cursor = history.orders_page(ledger, OrdersWanted(most=5))
    with pytest.raises(history.CursorError):
        history.orders_page(ledger, OrdersWanted(state="open", before=cursor))


# Sums.


def test_totals_are_what_orders_and_fills_add_up_to(ledger: sqlite3.Connection) -> None:
    for (run,) in ledger.execute("SELECT id FROM runs").fetchall():
        intents = ledger.execute("SELECT client_order_id, quantity, reference FROM intents WHERE run = ?", (run,))
        ordered = {id: (float(quantity), float(price)) for id, quantity, price in intents}
        value = sum(quantity * price for quantity, price in ordered.values())
        worse = referenced = traded = fees = 0.0
        count = 0
        for id, side, quantity, price, fee in ledger.execute(
            "SELECT client_order_id, side, quantity, price, commission FROM fills"
        ):
            if id in ordered:
                sign = 1 if side == "buy" else -1
                worse += sign * float(quantity) * (float(price) - ordered[id][1])
                referenced += float(quantity) * ordered[id][1]
                traded += float(quantity) * float(price)
                fees += float(fee)
                count += 1
        found = history.totals_of(ledger, run)
        assert (found.orders, found.fills) == (len(ordered), count)
        assert found.ordered == pytest.approx(value)
        assert (found.traded, found.commission, found.slippage) == pytest.approx((traded, fees, worse))
        assert found.slippage_bps == pytest.approx(1e4 * worse / referenced if referenced else 0.0)


def test_a_ledger_of_an_earlier_version_gets_the_same_totals(tmp_path: Path, ledger: sqlite3.Connection) -> None:
    """Rows that were written before the totals were kept are counted when the ledger is brought up to date."""
    old = tmp_path / "old.sqlite"
    with closing(connect_writer(old, "OFF", schema.MIGRATIONS[:3])) as connection:
        fill(connection, Size())
    with closing(connect_writer(old, "OFF")) as connection:
        text = "SELECT * FROM run_totals ORDER BY run"
        now, then = ledger.execute(text).fetchall(), connection.execute(text).fetchall()
    assert len(now) == len(then) > 0
    for one, two in zip(now, then, strict=True):
        assert one[:1] == two[:1]
        assert one[1:] == pytest.approx(two[1:])


def test_a_track_is_that_of_the_ledger(ledger: sqlite3.Connection) -> None:
    book = history.book_of(ledger, "s0")
    assert book is not None
    assert history.book_of(ledger, "nobody") is None
    track = history.track(ledger, book)
    navs = books.navs(ledger, BOOK)
    assert [(d.session, d.nav) for d in track.days] == [(n.session, float(n.nav)) for n in navs]
    ordered = ledger.execute(
        "SELECT sum(quantity * reference) FROM intents JOIN runs ON runs.id = run WHERE strategy = 's0' AND session = ?",
        (navs[5].session,),
    ).fetchone()[0]
    assert track.days[5].turnover == pytest.approx(ordered / float(navs[4].nav), abs=1e-6)
    assert history.summed(track.totals.values()).orders == sum(t.orders for t in track.totals.values())


def test_a_track_that_is_kept_is_made_anew_when_something_changes(ledger: sqlite3.Connection) -> None:
    tracks = BookHistory()
    asked = NavRequest("s0", points=2000)
    changes = (
        "INSERT INTO nav (strategy, portfolio, session, nav, cash, gross, net)"
        " SELECT strategy, portfolio, '2031-01-02', nav, cash, gross, net FROM nav LIMIT 1",
        "INSERT INTO intents (client_order_id, run, place, asset, side, quantity, reference, order_type, time_in_force,"
        " parent, slice, state) SELECT 'new', run, 9999, asset, side, '7', '3', order_type, time_in_force, '', 0, state"
        " FROM intents ORDER BY number LIMIT 1",
        "INSERT INTO fills (execution_id, client_order_id, asset, side, quantity, price, commission, at)"
        " VALUES ('new', 'new', 'A', 'buy', '7', '4', '1', '2031-01-02T00:00:00+00:00')",
    )
    before = nav_reply(ledger, asked, tracks)
    assert nav_reply(ledger, asked, tracks) == before
    for change in changes:
        ledger.execute(change)
        found = nav_reply(ledger, asked, tracks)
        assert found == nav_reply(ledger, asked) != before
        before = found


def test_positions_are_valued_and_held_against_their_targets(ledger: sqlite3.Connection) -> None:
    marks = price_marks.last_prices(ledger, BOOK)
    nav = books.last_nav(ledger, BOOK)
    assert nav is not None
    held, total = holding.holdings(ledger, BOOK, {"A0001": 0.5, "NEW": 0.25, "NOT": 0.0}, 100, float(nav.nav))
    positions = {p.asset: p for p in books.positions(ledger, BOOK)}
    assert total == len(held) == len(positions) + 1
    by_asset = {h.asset: h for h in held}
    for asset, position in positions.items():
        found = by_asset[asset]
        if asset in marks:
            value = float(position.quantity * marks[asset])
            assert found.value == pytest.approx(value, abs=0.01)
            assert found.weight == pytest.approx(value / float(nav.nav), abs=1e-8)
            assert found.unrealised == pytest.approx(
                value - float(position.quantity * position.average_price), abs=0.01
            )
        else:
            assert (found.price, found.value, found.weight) == (None, None, None)
    assert by_asset["NEW"].drift == -0.25
    assert by_asset["A0001"].target == 0.5
    few, same = holding.holdings(ledger, BOOK, {}, 3, 1.0)
    assert (len(few), same) == (3, total - 1)
    sizes = [abs(h.value or 0.0) for h in holding.holdings(ledger, BOOK, {}, 100, 1.0)[0] if h.price is not None]
    assert sizes == sorted(sizes, reverse=True)


def test_open_orders_are_counted(ledger: sqlite3.Connection) -> None:
    found = history.open_orders(ledger)
    count = ledger.execute("SELECT count(*) FROM intents WHERE state = 'acknowledged'").fetchone()[0]
    assert sum(n for own in found.values() for n in own.values()) == count
    assert {state for own in found.values() for state in own} == {"acknowledged"}


# Cost.


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Ten years of two strategies with 100,000 orders, and books of 5,000 positions."""
    with closing(connect_writer(tmp_path_factory.mktemp("large") / "ledger.sqlite", "OFF")) as connection:
        fill(connection, LARGE)
        yield connection


LOOKS: dict[str, Callable[[sqlite3.Connection], object]] = {
    "track": lambda c: nav_reply(c, NavRequest("s0", points=2000)),
    "positions": lambda c: holding.holdings(c, BOOK, {f"A{n:04d}": 0.0002 for n in range(5000)}, 500, 1e6),
    "count of open orders": history.open_orders,
    "trades": lambda c: history.trades_page(c, history.TradesWanted("s0")),
    "500 runs": lambda c: history.runs_page(c, RunsWanted(most=500)),
    "500 orders": lambda c: history.orders_page(c, OrdersWanted(strategy="s1", most=500)),
    "500 fills": lambda c: history.fills_page(c, FillsWanted(strategy="s1", most=500)),
    "200 records": lambda c: recent.records_page(c, RecordsWanted(event="order", strategy="s1", most=200)),
    **{name: lambda c, turn=turn: turn(c, "") for name, (turn, _) in PAGES.items()},  # type: ignore[misc]
}


@pytest.mark.soak
@pytest.mark.parametrize("name", LOOKS)
def test_a_look_back_is_quick_on_ten_years(name: str, large: sqlite3.Connection) -> None:
    look, times = LOOKS[name], []
    for _ in range(7):
        begun = time.thread_time()
        look(large)
        times.append(time.thread_time() - begun)
    size = len(to_json(look(large)))
    print(f"{name}: {1000 * min(times):.2f} ms, {size:,} bytes")
    assert min(times) < 0.05
    assert size < 1_000_000


@pytest.mark.parametrize("name", PAGES)
def test_a_page_never_sorts_what_it_does_not_show(name: str, ledger: sqlite3.Connection) -> None:
    """Its rows come in the order of an index: the cost of a page does not grow with what lies behind it."""
    statements: list[str] = []
    ledger.set_trace_callback(statements.append)
    PAGES[name][0](ledger, "")
    ledger.set_trace_callback(None)
    for text in statements:
        steps = [row[3] for row in ledger.execute(f"EXPLAIN QUERY PLAN {text}")]
        assert not [step for step in steps if "TEMP B-TREE" in step], (text, steps)
        scans = [step for step in steps if step.startswith("SCAN") and "INDEX" not in step and "CONSTANT" not in step]
        assert all(s.split()[1] in ("i", "r", "f", "audit", "e") for s in scans), (text, steps)  # by number, to a limit


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_any_history_gives_any_page(seed: int) -> None:
    """Of every random history each page walks through all of it."""
    draw = Random(seed)
    name = draw.choice(list(PAGES))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in schema.MIGRATIONS:
            connection.executescript(script)
        fill(connection, replace(Size(sessions=6, orders=60, positions=3), seed=seed))
        turn, everything = PAGES[name]
        seen, before = turn(connection, "")
        while before:
            page, before = turn(connection, before)
            seen += page
        assert sorted(seen) == sorted(str(row[0]) for row in connection.execute(everything))


def test_a_transfer_that_was_adopted_is_no_return(tmp_path: Path) -> None:
    """Half a million by wire into a book of a million whose prices stand still: its curve stays where it was."""
    floor = written(tmp_path, {"A": 0.1}, name="scripted", config=free())
    key = BookKey("scripted", "main")
    for day in (D1, D2):
        floor.day(day, day)
    with floor.open(D2) as trading, trading.ledger.transaction("adopt") as tx:
        at = trading.clock.now()
        wire = Adjustment(key, "", Decimal(0), Decimal(500_000), GapCause.TRANSFER, None, D3, at, "ann", "by wire")
        adjustments.adjust(tx, [wire])
        trading.broker.deposit("wire", Decimal(500_000))  # type: ignore[attr-defined]
    floor.day(D3, D3)
    floor.day(D4, D4)
    with floor.open(D4) as trading, trading.ledger.reading() as connection:
        book = books.book(connection, key)
        assert book is not None
        found = history.track(connection, book)
    assert [round(day.nav) for day in found.days][-1] == 1_500_000
    assert {(day.daily, day.drawdown) for day in found.days} == {(0.0, 0.0)}
