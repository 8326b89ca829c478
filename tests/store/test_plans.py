"""No statement of a daemon or a run reads a table that grows from end to end, whatever is in the ledger.

SQLite plans without statistics here (nothing runs ANALYZE), so a plan follows from the schema and the text alone, and a
small ledger shows that of a large one.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sigc.actions import Action, ActionKind
from sigc.config.breaker_settings import BreakerSettings
from sigc.config.settings import AuditSettings
from sigc.daemon.missed_reasons import detail_of
from sigc.errors import SigcError
from sigc.schedule.job import Fire, Job
from sigc.schedule.misfire import Reason
from sigc.schedule.state import DidNotRun, JobState
from sigc.store.audit.anchor import Anchor
from sigc.store.audit.chain import AuditEvent, ledger_id
from sigc.store.audit.mirror import mirror
from sigc.store.audit.verify import _has_runs, verify
from sigc.store.history import history, holding, recent
from sigc.store.history import statement as book_statement
from sigc.store.history.history import FillsWanted, OrdersWanted, RunsWanted, TradesWanted
from sigc.store.history.query import AuditEntry, AuditQuery, query
from sigc.store.history.recent import RecordsWanted
from sigc.store.history.report import report
from sigc.store.ledger import action_booking as booking
from sigc.store.ledger import (
    action_rows,
    adjustments,
    book_counts,
    books,
    breakers,
    control,
    jobs,
    meta,
    orders,
    proof,
    runs,
)
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.book_rename import rename_strategy
from sigc.store.ledger.connection import connect_reader, connect_writer
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Charge, Fill, Outcome, Side
from sigc.store.ledger.schema import MIGRATIONS
from sigc.store.ledger.waiting import waiting_of
from sigc.store.outbox import alert_query as looking
from sigc.store.outbox import deliveries
from sigc_cli.text.ledger_view import records_of
from sigc_pipelines.brokers.faulty import Fault
from sigc_pipelines.brokers.protocol import OrderRequest
from sigc_pipelines.live.apply_fills import cancel
from sigc_pipelines.reconcile.differences import BrokerDifference
from sigc_pipelines.reconcile.evidence import gathered
from tests.store.actions_desk import KEY, OTHER, Desk, dividend, split
from tests.store.ledgers import Size, fill
from tests.store.statements import Made, Site, Statement, fragments, record, sites
from tests.store.test_history import PAGES
from tests.trading.script import D1, D2, D3, D4, D5, Scene, before_cut_off, free, scene, written
from tests.trading.test_actions import DAYS, ONE, Market
from tests.trading.test_actions import at as at_day

BOOK = BookKey("scripted", "main")
AT = datetime(2016, 1, 6, tzinfo=UTC)
LEDGER, PAPER = 0x51C1ED6E, 0x51C9A9E2

# Tables of the ledger and of the paper broker's book that have more rows the longer they are used.
GROWING = {
    LEDGER: {
        *("runs", "stages", "marks", "intents", "fills", "charges", "charge_shares", "nav", "audit"),
        *("run_orders", "run_totals", "misses", "actions", "action_entries", "adjustments"),
        *("alerts", "deliveries"),
    },
    PAPER: {"orders", "fills", "charges", "deposits", "acted"},
}
# Tables that do not, and why.
SMALL = {
    LEDGER: {
        "meta": "a fixed set of names, and one a book",
        "books": "one row a portfolio",
        "book_counts": "one row a portfolio and end of orders",
        "positions": "what is held now; a position of zero is deleted",
        "control": "decisions in force; one taken back is deleted",
        "job_states": "one row a job",
        "action_lists": "one row an asset and book that traded it",
        "action_watermarks": "one row a book, and one an asset that was adopted",
    },
    PAPER: {"account": "one row", "holdings": "one row an asset"},
}
# Partial indices of what is under way: read from end to end they are as long as that.
SHORT = {
    "intents_in_flight": "orders that may still be filled",
    "runs_open": "runs without a verdict",
    "run_orders_open": "orders of runs without a verdict",
    "orders_open": "open orders of the paper broker",
    "actions_due": "actions that are to be looked at",
    "alerts_open": "alerts that are not resolved",
    "alerts_unrouted": "alerts whose deliveries are not written yet",
    "deliveries_due": "deliveries that are not sent yet",
}
# Statements that may read a growing table from end to end: the function that makes them, their text, and why.
SCANS = (
    ("head", r"FROM audit ORDER BY seq DESC LIMIT 1$", "the newest record alone"),
    (
        "_read",
        r"FROM intents i CROSS JOIN runs r ON r.id = i.run ORDER BY i.number DESC LIMIT \?$",
        "the newest, to a limit",
    ),
    ("_many", r"FROM run_orders WHERE 1 ORDER BY number DESC LIMIT \?$", "the newest, to a limit"),
    ("recent", r"FROM runs WHERE 1 ORDER BY number DESC LIMIT \?$", "the newest, to a limit"),
    ("_page", r"FROM fills f LEFT JOIN .* WHERE 1 ORDER BY f.number DESC LIMIT \?$", "the newest, to a limit"),
    ("_page", r"WHERE r.traded = 1 ORDER BY r.number DESC, i.place DESC LIMIT \?$", "the newest, to a limit"),
    (
        "_page",
        r"WHERE r.traded = 1 AND i.state = \? ORDER BY .* LIMIT \?$",
        "filled orders: most are, so a page is near",
    ),
    ("_runs", r"FROM run_orders o WHERE 1 ORDER BY o.asked DESC, o.id DESC LIMIT \?$", "the newest, to a limit"),
    ("_runs", r"FROM runs o WHERE NOT EXISTS \([^)]*\) ORDER BY o.started DESC, o.id DESC LIMIT \?$", "to a limit"),
    ("_entries", r"FROM audit ORDER BY seq$", "`audit query` without conditions is an export of all records"),
    (
        "_entries",
        r"FROM audit WHERE instr\(record, \?\) ORDER BY seq$",
        "`audit query --asset` looks into every record",
    ),
    ("_rows", r"FROM audit ORDER BY seq$", "`audit verify` checks the whole chain"),
    ("replay", r"FROM audit ORDER BY seq$", "`audit verify` replays the whole chain"),
    ("_book_charges", r"ORDER BY c.at, c.id$", "`sigc statement`: a book of record is of all charges of the book"),
    *(
        (name, rf"FROM {table}", "`audit verify` compares each row with its record")
        for name, table in (
            ("_of_orders", "intents ORDER BY number$"),
            ("_of_fills", "fills ORDER BY number$"),
            ("_of_navs", "nav$"),
            ("_of_entries", "(action_entries|adjustments) ORDER BY number$"),
            ("_of_charges", "charge_shares ORDER BY id$"),
        )
    ),
    ("charges_by_day", r"ORDER BY c.at$", "the account of a whole replay, whose ledger is its own"),
    ("is_any_decided", r"LIMIT 1$", "the first alone"),
    ("_has_runs", r"LIMIT 1$", "the first alone"),
    ("rename_strategy", r"^UPDATE", "once in the life of a strategy, by hand"),
    ("_through", r"FROM acted ORDER BY number DESC LIMIT 1$", "the newest alone"),
    ("listed", r"FROM alerts a WHERE 1 ORDER BY a.id DESC LIMIT \?$", "the newest, to a limit"),
)
# Columns of which one value has more rows the longer a ledger is used: by them alone an index finds a part of all.
BROAD = frozenset({"strategy", "portfolio", "state", "kind", "outcome", "event", "job", "traded"})
# Statements that read all that such a search finds (none to a limit, or the greatest alone), and why.
WHOLE = (
    ("_session_fills", r"", "`sigc statement`: a book of record is of all fills of the book"),
    ("_book_charges", r"", "the same, of all charges"),
    ("replay", r"event IN", "all decisions, fills and entries there ever were: once, at a start"),
    ("_fills", r"r.portfolio = \? ORDER BY \+f.number$", "the account of a whole replay"),
    ("charges_by_day", r"ORDER BY c.at$", "the account of a whole replay"),
    ("rename_strategy", r"^UPDATE", "once in the life of a strategy, by hand"),
    ("foreign_fills", r"", "fills of orders that sigc did not send: looked at when ledger and broker differ"),
    ("counts", r"", "the account of a whole replay, whose ledger is its own"),
    ("track", r"FROM nav ", "the page's curve: one row a session, kept until a session is added"),
    ("_totals", r"FROM runs r JOIN run_totals", "the same, one row a run"),
    ("_entries", r"WHERE strategy = \? AND strategy <> '' ORDER BY \+seq$", "`audit query --strategy`: an export"),
    ("_many", r"outcome = 'open' ORDER BY number$", "orders of runs without a verdict"),
    ("left_open", r"outcome = 'open' ORDER BY number$", "runs without a verdict"),
    (
        "_many",
        r"kind = 'trade' AND outcome IN .* EXISTS",
        "one row a run, looked at when the daemon starts and after runs",
    ),
)
# Calls whose statements are none of a daemon or a run in use.
ONCE = {
    "_migrate": "once a version",
    "_create": "once, for a new file",
    "_raise_version": "once, for a file of the version before",
}


def session(folder: Path, patch: pytest.MonkeyPatch) -> Made:
    """A few days of trading with what may go wrong in them, every verb that writes, every way to look back."""
    made = record(patch)
    floor = written(
        folder, {"A": [0.1, 0.1, -0.1], "B": [-0.1, -0.1, 0.1], "C": [0.05, 0.0]}, config=free({"borrow_bps": 50})
    )
    with scene(floor, D1, at=before_cut_off(floor, D1, 1.0)) as desk:
        desk.broker.fail_next(Fault.LATE)
        desk.run("late", slot="1")
        desk.clock.sleep(30.0)
    with scene(floor, D1, at=before_cut_off(floor, D1, -60.0)):
        pass  # what is late is found
    for day in (D2, D3, D4):
        with scene(floor, day) as desk:
            ended = desk.run(f"run-{day}", slot="2")
    with scene(floor, D5) as desk:
        halted = desk.run("last")
        cancel(desk.trading.ledger, desk.broker, ended.run, "ann", "changed my mind")
        foreign = Fill("x1", "theirs", "A", Side.BUY, Decimal(1), Decimal(9), Decimal(0), AT)
        with desk.trading.ledger.transaction("fills") as tx:
            books.take_in(tx, (foreign,), (), books.cursor(tx.connection))
        with pytest.raises(SigcError):
            desk.run("last")
        for _ in range(2):
            desk.paper.deposit("more", Decimal(5))
        with pytest.raises(SigcError), desk.trading.ledger.transaction("run-open") as tx:
            runs.open_run(tx, halted.run, {})
        verbs(desk.trading.ledger)
        adopted(desk)
        with desk.trading.ledger.transaction("control") as tx:
            proof.prove(tx)
        with desk.trading.ledger.reading() as connection:
            proof.faults(connection)
            assert book_statement.statement(connection, BOOK, D1, D5)
            mirror(connection, folder / "mirror", AuditSettings(), AT)
            mirror(connection, folder / "mirror", AuditSettings(), AT)
    assert halted.run.outcome.is_success
    with closing(connect_reader(floor.work_dir / "ledger.sqlite")) as connection:
        looks(connection, ended.run.id)
    corporate_actions(folder)
    with closing(connect_writer(folder / "large.sqlite", "OFF")) as connection:
        fill(connection, Size())
        for turn, _ in PAGES.values():
            turn(connection, turn(connection, "")[1])
    return made


def corporate_actions(folder: Path) -> None:
    """Listed, by two books; booked by ledger and paper broker; corrected by a late fill; gone; by hand; looked at."""
    short, day = ActionKind.DIVIDEND, at_day
    acted = [
        Action(day(2), "A", ActionKind.SPLIT, Fraction(3, 2)),
        Action(day(2), "A", short, cash=0.5, pay_date=day(4)),
    ]
    with Market(folder / "market", [*acted, Action(day(3), "A", ActionKind.RENAME, into="B")]) as market:
        market.follow(DAYS[0])
        market.order(ONE, "A", 11)
        for session in DAYS[1:5]:
            market.follow(session)
    with Desk(folder / "desk", KEY, OTHER) as desk:
        desk.fill("A", 100, 0)
        desk.fill("A", 5, 0, OTHER)
        coming = dividend("A", 0.5, 6)
        desk.lists(split("A", 2, 1), coming)
        desk.lists(split("A", 3, 1), key=OTHER)
        desk.book(2)
        desk.lists()
        desk.fill("A", -100, 0)
        desk.lists(split("A", 2, 1), coming, key=OTHER)
        desk.fill("C", 1, 0)
        desk.wants({"C": 0.1})
        charge = Charge("1", "dividend", "A", Decimal(50), AT)
        with desk.ledger.transaction("control") as tx:
            books.take_in(tx, (), (charge,), "c")
            action_rows.put_watermark(tx, KEY, "C", "2015-01-01", "adopted")
            due = booking.plan_rename(tx, KEY, "C", "CC", "ann", "")
            booking.book(tx, due.session, desk.step)
        with desk.ledger.reading() as connection:
            action_rows.entries_of_book(connection, OTHER, "2016-01-01", 5)
            assert runs.pending(connection, KEY.strategy, KEY.portfolio) == {"CC": 0.1}
            proof.faults(connection)


def adopted(desk: Scene) -> None:
    """A trade past us is found and adopted; a split is; a fill comes for which an entry stood."""
    desk.paper.submit(OrderRequest("mine", "A", Side.BUY, Decimal(10)))
    desk.run("adopting", slot="9", accepts_differences=True, who="ann", reason="mine")
    trading = desk.trading
    with trading.ledger.transaction("adopt") as tx:
        at = desk.clock.now()
        entry = Adjustment(
            BOOK, "A", Decimal(1), Decimal(-9), GapCause.FILL_MISSING, Decimal(9), D5, at, "ann", "", "o1"
        )
        adjustments.put_watermarks(tx, adjustments.adjust(tx, [entry]), {"A": D5})
        adjustments.take_back(tx, BOOK, Fill("e1", "o1", "A", Side.BUY, Decimal(1), Decimal(9), Decimal(0), at))
        booking.book_split(tx, "A", Fraction(2), (D5, at, D5), Decimal(1))
        assert action_rows.by_hand(tx.connection, D4, D5)
    with trading.ledger.transaction("control") as tx:
        rule = BreakerSettings(name="big", type="loss", threshold=0.02)
        breakers.reset(tx, breakers.trip(tx, rule, BOOK, 0.03, D5, "lost"), D5, "ann", "seen")
        for old, new in ((BOOK.strategy, "another"), ("another", BOOK.strategy)):
            rename_strategy(tx, old, new, "ann", "")
    assert gathered(trading.ledger, trading.broker, [BrokerDifference("A", Decimal(1), Decimal(2))]).trades


def verbs(ledger: Ledger) -> None:
    """What is asked of a daemon, by hand or by its schedule."""
    order = jobs.OrderedRun("o1", *("scripted", "trade", "main", "", "", "", "job"), AT, "ann", "", AT)
    with ledger.transaction("control") as tx:
        jobs.ask(tx, order)
        jobs.save_state(tx, "job", {"fires": 1})
        jobs.miss(tx, "job", AT, "the daemon was down")
        control.put(tx, control.PAUSED, "scripted", "by hand", "ann", "wait")
        control.every(tx.connection, control.PAUSED)
        control.drop(tx, control.PAUSED, "scripted", "ann")
        orders.rescheduled(tx, orders.recent(tx.connection, 1)[0], AT)
        assert orders.newest(tx.connection)
        orders.sent_since(tx.connection, AT, 5)
        orders.in_flight_of(tx.connection, "A")
        jobs.left_open(tx.connection)
        jobs.end(tx, order, Outcome.DONE, "", "", "", False)
    alerting(ledger)


def alerting(ledger: Ledger) -> None:
    """Alerts raised again and resolved by themselves, routed, sent, refused, acknowledged, resolved by hand."""
    with ledger.transaction("control") as tx:
        for _ in range(2):
            tx.audit(AuditEvent("cluster.lost", {"why": "gone"}))
            tx.audit(AuditEvent("health.degraded", {"checks": {"disk": "full"}}))
        tx.audit(AuditEvent("condition.met", {"name": "loss"}, strategy="scripted"))
        tx.audit(AuditEvent("cluster.found", {}))
        tx.audit(AuditEvent("order.expired", {"was": "acknowledged"}, run=f"run-{D2}", strategy="scripted"))
        jobs.did_not_run(tx, "job", AT, "deadline", "scripted", is_trading=True)
        assert deliveries.has_unrouted(tx.connection)
        deliveries.route(tx, lambda _: ("ops", "mail"))
        found = [one.id for one in deliveries.due(tx.connection, "ops", 100)]
        assert deliveries.due(tx.connection, "ops", 9, only_critical=True)
        deliveries.sending(tx, found)
        deliveries.sent(tx, found[:2])
        deliveries.failed(tx, found[2:], "503", AT)
        deliveries.failed(tx, found[3:], "400", None)
        assert len(deliveries.times_sent(tx.connection, "ops", AT)) == 1
        assert deliveries.load_of(tx.connection, "ops").undelivered == 1
        looking.acknowledge(tx, 1, "ann")
        looking.resolve(tx, 1, "ann", "seen")
        looking.listed(tx.connection, 5)
        looking.listed(tx.connection, 5, with_resolved=True)
        assert looking.is_raised(tx.connection, "cluster_lost", "")
        assert sum(looking.count_open(tx.connection).values())
        meta.begin(tx, AT.isoformat())
        meta.ended(tx)


def looks(connection: sqlite3.Connection, run: str) -> None:
    """Every way to look back."""
    for strategy, only_open in (("", False), ("scripted", False), ("scripted", True)):
        orders.recent(connection, 10, strategy, is_open=only_open)
        runs.recent(connection, 10, strategy, strategy and "main")
        jobs.recent(connection, 10, strategy, strategy and "job")
    orders.in_flight(connection)
    orders.in_flight(connection, BOOK)
    assert orders.in_flight_of(connection, "NOPE") == ()
    assert not orders.has_open_sales(connection)
    assert books.quantity_of_all(connection, "NOPE") == 0
    orders.counts(connection, BOOK)
    orders.states_of(connection, run)
    orders.filled_of(connection, [run])
    waiting_of(connection, [run], AT)
    runs.opens_of(connection, run)
    books.fills_of(connection, run)
    books.count_fills(connection, run)
    books.newest_fill(connection)
    assert book_counts.fills(connection, BOOK)
    assert book_counts.ended(connection, BOOK)
    assert books.highest_nav(connection, BOOK)
    assert runs.past_turnovers(connection, "scripted", "main")
    assert books.has_traded(connection, "A")
    assert not books.has_traded(connection, "NOPE")
    books.fills_of_book(connection, BOOK)
    books.fills_of_book(connection, BOOK, AT)
    books.charged(connection, BOOK)
    books.charges_by_day(connection, BOOK)
    books.navs(connection, BOOK)
    books.declared_until(connection, BOOK)
    assert runs.find(connection, run).id == run
    assert runs.find(connection, "las").id == "last"
    for beginning, why in (("la", "several runs begin"), ("lasting", "no run"), ("", "no run")):
        with pytest.raises(SigcError, match=why):
            runs.find(connection, beginning)
    runs.is_of_the_past(connection, run)
    runs.is_decided(connection, run)
    runs.decided_before(connection, "scripted", "main", D3)
    assert runs.pending(connection, "scripted", "main") == {}
    for found in (
        *(jobs.find(connection, "o1"), jobs.last_of(connection, "scripted")),
        jobs.last_of_job(connection, "job"),
    ):
        assert found is not None
    jobs.of_fires(connection, "job")
    jobs.misses(connection, "job")
    for reason in (Reason.LATE, Reason.DEPENDENCY):
        detail_of(connection, JobState(Job("job", depends_on=("job",))), DidNotRun(Fire(AT, AT, "job"), reason), AT)
    jobs.states(connection)
    jobs.unlike_their_runs(connection, "scripted")
    (book,) = books.books(connection)
    holding.holdings(connection, BOOK, {"A": 0.1}, 5, holding.sized_by(connection, book, "nav"))
    history.track(connection, book)
    history.track_mark(connection, BOOK)
    history.totals_of(connection, run)
    history.open_orders(connection)
    history.trades_page(connection, TradesWanted("scripted"))
    history.runs_page(connection, RunsWanted("scripted", "trade", "done"))
    history.orders_page(connection, OrdersWanted("scripted", "filled", run))
    history.fills_page(connection, FillsWanted("scripted", run))
    recent.records_page(connection, RecordsWanted("order", "scripted", run))
    asked: dict[str, Any] = {
        "run": run,
        "strategy": "scripted",
        "after": AT,
        "before": AT + timedelta(days=9),
        "asset": "A",
    }
    whole = list(query(connection, AuditQuery()))
    assert (
        len(list(query(connection, AuditQuery(**asked))))
        < len(list(query(connection, AuditQuery(asset="A"))))
        < len(whole)
    )
    meant: dict[AuditQuery, Callable[[AuditEntry], bool]] = {
        AuditQuery(run=run): lambda e: e.run == run,
        AuditQuery(strategy="scripted"): lambda e: e.strategy == "scripted",
        AuditQuery(after=AT): lambda e: e.at >= AT,
        AuditQuery(before=AT): lambda e: e.at < AT,
    }
    for what, is_meant in meant.items():
        assert list(query(connection, what)) == [e for e in whole if is_meant(e)]
    report(connection, date(2016, 1, 6))
    records_of(connection, run)
    jobs.asked_between(connection, "scripted", AT, AT + timedelta(days=9))
    jobs.misses_between(connection, "job", AT, AT + timedelta(days=9))
    jobs.of_job_since(connection, "job", AT)
    assert runs.of_session(connection, "scripted", D2)
    assert runs.last_session_of(connection, "scripted")
    assert runs.last_session_of(connection, "scripted", with_dry=True)
    verify(connection, [Anchor("", "another ledger", 1, "")])
    _has_runs(connection)
    ledger_id(connection)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with pytest.MonkeyPatch.context() as patch:
        yield session(tmp_path_factory.mktemp("plans"), patch)


def test_every_statement_is_looked_at(made: Made) -> None:
    """By the calls that make them, and by the pieces that they are put together of."""
    assert not [str(site) for site in sorted(sites() - made.sites) if site.function not in ONCE]
    texts = [statement.text for statement in made.plans]
    assert not [f"{site} {text}" for text, site in fragments().items() if not any(text in t for t in texts)]


def test_every_table_is_declared(made: Made, tmp_path: Path) -> None:
    """A new table is said to grow or not."""
    with closing(connect_writer(tmp_path / "ledger.sqlite", "OFF")) as connection:
        tables = {n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == GROWING[LEDGER] | set(SMALL[LEDGER])
    assert {s.application for s in made.plans} == {0, LEDGER, PAPER}


def test_no_statement_scans_what_grows(made: Made) -> None:
    bad = [(str(s.site), s.text, step) for s, step in scans(made) if not reason(s)]
    assert not bad


def test_what_reads_all_of_a_book_is_named(made: Made) -> None:
    """A search by the strategy alone is no scan, and reads as much."""
    bad = [(str(s.site), s.text, step) for s, step in searches(made) if not reason(s, WHOLE)]
    assert not bad


def test_no_exception_is_stale(made: Made) -> None:
    met = {reason(s) for s, _ in scans(made)} | {reason(s, WHOLE) for s, _ in (*searches(made), *scans(made))}
    assert not [text for name, text, _ in (*SCANS, *WHOLE) if (name, text) not in met]


def scans(made: Made) -> Iterator[tuple[Statement, str]]:
    """Steps that read a growing table, or an index of it that grows, from end to end."""
    for statement, steps in sorted(made.plans.items()):
        if statement.site.function in ONCE:
            continue
        names = tables_of(statement)
        for step in steps:
            found = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
            if found and names.get(found[1]) in GROWING.get(statement.application, ()) and found[2] not in SHORT:
                yield statement, step


def searches(made: Made) -> Iterator[tuple[Statement, str]]:
    """Steps that find a growing part of a growing table, in statements that read all of it."""
    for statement, steps in sorted(made.plans.items()):
        if statement.site.function in ONCE or re.search(r"LIMIT|max\(|min\(", statement.text):
            continue
        names = tables_of(statement)
        for step in steps:
            found = re.match(r"SEARCH (\w+) USING (?:COVERING )?(?:INDEX|PRIMARY KEY) ?(\w*) ?\((.*)\)", step)
            if not found or names.get(found[1]) not in GROWING.get(statement.application, ()) or found[2] in SHORT:
                continue
            if set(re.findall(r"(\w+)[=<>]", found[3])) <= BROAD:
                yield statement, step


def tables_of(statement: Statement) -> dict[str, str]:
    """Tables by the names that a statement gives them, which its plan tells."""
    tables = GROWING.get(statement.application, set()) | set(SMALL.get(statement.application, ()))
    pairs = re.findall(
        r"(?:FROM|JOIN|INTO|UPDATE) (\w+)(?: (?!ON|USING|WHERE|SET|ORDER|GROUP)(?:AS )?(\w+))?", statement.text
    )
    return {name: table for table, alias in pairs if table in tables for name in (table, alias)}


def reason(statement: Statement, named: Sequence[tuple[str, str, str]] = SCANS) -> tuple[str, str] | None:
    """The exception that a statement is, if it is one."""
    for name, text, _ in named:
        if statement.site.function == name and re.search(text, statement.text):
            return name, text
    return None


def test_what_triggers_do_is_looked_up(tmp_path: Path) -> None:
    """A plan does not tell it: their statements are planned with a value for each of the new row's columns."""
    with closing(connect_writer(tmp_path / "ledger.sqlite", "OFF")) as connection:
        triggers = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
        bodies = [text for sql in triggers for text in sql.partition("BEGIN\n")[2].rpartition("END")[0].split(";")]
        texts = [re.sub(r"(NEW|OLD)[.][a-z_]+", "1", body) for body in bodies if body.strip()]
        steps = [row[3] for text in texts for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")]
    assert len(texts) == len(triggers) == 6
    assert not [step for step in steps if step.startswith("SCAN")]


def test_the_recorder_tells_a_scan(tmp_path: Path) -> None:
    """The query that made this test: its words are not those of its partial index."""
    with closing(connect_writer(tmp_path / "ledger.sqlite", "OFF")) as connection:
        text = "SELECT count(*) FROM intents WHERE state IN ('cancelled', 'expired', 'rejected')"
        steps = tuple(r[3] for r in connection.execute(f"EXPLAIN QUERY PLAN {text}"))
    made = Made({Statement(Site("orders.py", "count", 1), text, LEDGER): steps})
    assert [step for _, step in scans(made)] == ["SCAN intents"]


def test_a_ledger_of_an_earlier_version_gets_the_indices(tmp_path: Path) -> None:
    """And keeps its rows: what is found by them is what was found by reading all."""
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    with closing(connect_writer(old, "OFF", MIGRATIONS[:4])) as connection:
        fill(connection, Size())
        rows = connection.execute("SELECT * FROM intents ORDER BY number").fetchall()
    text = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    with closing(connect_writer(old, "OFF")) as migrated, closing(connect_writer(new, "OFF")) as fresh:
        assert migrated.execute(text).fetchall() == fresh.execute(text).fetchall()
        assert migrated.execute("SELECT * FROM intents ORDER BY number").fetchall() == rows
        assert migrated.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert old.with_name("old.sqlite.v4").exists()


def test_what_is_found_by_an_index_is_what_is_there(tmp_path: Path) -> None:
    """Against the same question asked of all rows."""
    with closing(connect_writer(tmp_path / "ledger.sqlite", "OFF")) as connection:
        fill(connection, Size(orders=200))

        def ids(text: str, *values: object) -> list[str]:
            return [row[0] for row in connection.execute(text, values)]

        every = [i.client_order_id for i in orders.recent(connection, 10_000)]
        assert every == ids("SELECT client_order_id FROM intents ORDER BY number DESC")
        own = [i.client_order_id for i in orders.recent(connection, 10_000, "s1")]
        assert own == [id for id in every if id.startswith("s1-")]
        assert [i.client_order_id for i in orders.recent(connection, 7, "s1")] == own[:7]
        assert [r.id for r in runs.recent(connection, 9, "s1", "main")] == ids(
            "SELECT id FROM runs WHERE +strategy = 's1' AND +portfolio = 'main' ORDER BY number DESC LIMIT 9"
        )
        assert [r.id for r in jobs.recent(connection, 9, "s1")] == ids(
            "SELECT id FROM run_orders WHERE +strategy = 's1' ORDER BY number DESC LIMIT 9"
        )
        middle = datetime(2014, 1, 20, tzinfo=UTC)
        key = BookKey("s1", "main")
        after = books.fills_of_book(connection, key, middle)
        assert after == tuple(f for f in books.fills_of_book(connection, key) if f.at > middle)
        assert len(own) > 7 < len(after)
