"""The rehearsal of a trade called directly: what is copied, what a trade would meet there, and how its orders are judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.errors import Diagnostic, SigcError
from sigc.host import kill_file
from sigc.host.kill_file import FileHalt
from sigc.store.ledger import books, control, orders, price_marks, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import (
    ZERO,
    BookKey,
    Fill,
    Intent,
    IntentState,
    Outcome,
    Run,
    RunKey,
    RunKind,
    Side,
)
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.open_run import open_run
from sigc_pipelines.live.rehearsal import Rehearsal
from sigc_pipelines.live.session import moment
from sigc_pipelines.live.trading import Request, Trading
from tests.trading.script import D1, D2, D3, D4
from tests.trading.test_close_out_by_hand import CALENDAR, KEY, Desk, opened

D = Decimal
S = IntentState
MARKS = {"A": Mark(D(100), "X"), "B": Mark(D(50), "X"), "C": Mark(D(100), "X")}
NO_BOUNDS = {"bounds": {}, "off": ["max_order_pct", "max_adv_pct"]}
UNKNOWN = "the fills since are not known, so the orders are not judged by the limits of orders: "
PAST = "its session is past: the orders are not judged by the limits of orders"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The evening of D2, with a book of a million; the largest order that passes is of 100,000."""
    with opened(tmp_path, safety={"max_order_value": 100_000.0}) as found:
        yield found


@pytest.fixture
def rehearsal(desk: Desk) -> Iterator[Rehearsal]:  # the copies go before what they are copied from
    """A rehearsal whose copies are thrown away at the end."""
    made = Rehearsal()
    yield made
    made.close()


def nothing(_: Trading) -> None:
    pass


def begins(
    rehearsal: Rehearsal, desk: Desk, strategy: str = "scripted", take_in: Callable[[Trading], None] = nothing
) -> Run:
    """A dry run is opened, and its rehearsal begins."""
    at = moment(CALENDAR, desk.trading.clock.now(), "close-5m")
    request = Request("dry", strategy, "main", RunKind.DRY, "ann")
    run = open_run(desk.trading, request, at)
    rehearsal.begin(desk.trading, request, run, at, take_in)
    return run


def copied(rehearsal: Rehearsal) -> Trading:
    assert rehearsal.trading is not None
    return rehearsal.trading


def decided(desk: Desk, id: str, session: str, *, revision: int = 0, filled: int = 0) -> None:
    """A trade of the book for a session; with one order that was filled so many days after now, if any."""
    run = Run(id, RunKey("scripted", "main", session), D1, revision, desk.begun, "ann")
    with desk.trading.ledger.transaction("plan") as tx:
        runs.open_run(tx, run, {})
        runs.mark_decided(tx, run)
        if filled:
            orders.plan(tx, [Intent(id, id, run.key, 0, "A", Side.BUY, D(1), D(100))])
            then = desk.trading.clock.now() + timedelta(days=filled)
            books.take_in(tx, (Fill(id, id, "A", Side.BUY, D(1), D(100), ZERO, then),), (), "")
        runs.close_run(tx, run, desk.begun, Outcome.DONE, "")


def order(run: Run, place: int, asset: str, quantity: int, **how: Any) -> Intent:
    """A purchase at the asset's price."""
    price = MARKS[asset].price
    assert price is not None
    return replace(Intent(f"o{place}", run.id, run.key, place, asset, Side.BUY, D(quantity), price), **how)


def written(ledger: Ledger) -> tuple[object, ...]:
    with ledger.reading() as connection:
        return connection.execute("SELECT max(seq) FROM audit").fetchone(), books.books(connection)


def test_copies_are_private_whole_and_thrown_away(rehearsal: Rehearsal, desk: Desk) -> None:
    taken: list[Trading] = []
    kill_file.add_halt(desk.trading.ledger.directory, FileHalt("another", "bob", "smoke", "2016-01-05T12:00:00+00:00"))
    run = begins(rehearsal, desk, take_in=taken.append)
    before = written(desk.trading.ledger)
    copies = copied(rehearsal)
    assert taken == [copies]
    assert (rehearsal.unknown, rehearsal.refused) == ("", "")
    folder = copies.ledger.directory
    assert folder != desk.trading.ledger.directory
    assert (folder.stat().st_mode & 0o777, copies.ledger.path.stat().st_mode & 0o777) == (0o700, 0o600)
    assert (folder / kill_file.FILE).read_bytes() == (desk.trading.ledger.directory / kill_file.FILE).read_bytes()
    assert (copies.ledger.id, copies.ledger.hide) == (desk.trading.ledger.id, desk.trading.ledger.hide)
    assert (copies.render, copies.has_files) == (None, False)
    with copies.ledger.reading() as connection:
        trade = runs.find(connection, "dry-rehearsed")
        assert [b.key for b in books.books(connection)] == [KEY]
    assert (trade.key, trade.revision, trade.outcome) == (replace(run.key, kind=RunKind.TRADE), 0, Outcome.OPEN)
    copied_broker = copies.broker
    copied_broker.account()
    rehearsal.close()
    rehearsal.close()
    assert (rehearsal.trading, folder.exists()) == (None, False)
    with pytest.raises(UnreachableError, match="closed database"):
        copied_broker.account()
    with pytest.raises(SigcError, match="closed database"), copies.ledger.transaction("control"):
        pass
    desk.broker.account()  # the real one is as it was
    assert written(desk.trading.ledger) == before


def test_a_broker_that_trades_is_read_and_not_copied(rehearsal: Rehearsal, desk: Desk) -> None:
    desk.broker.can = {"simulated": False}
    begins(rehearsal, desk)
    assert copied(rehearsal).broker is desk.broker
    rehearsal.close()
    desk.broker.account()


def test_a_simulation_that_can_not_be_copied_judges_nothing(rehearsal: Rehearsal, desk: Desk) -> None:
    class Other:
        def __getattr__(self, name: str) -> Any:
            if name == "copied":
                raise AttributeError(name)
            return getattr(desk.broker, name)

    at = moment(CALENDAR, desk.trading.clock.now(), "close-5m")
    request = Request("dry", "scripted", "main", RunKind.DRY, "ann")
    run = open_run(desk.trading, request, at)
    rehearsal.begin(replace(desk.trading, broker=Other()), request, run, at, nothing)
    assert (rehearsal.unknown, rehearsal.trading) == (f"{UNKNOWN}the book of paper can't be copied", None)


@pytest.mark.parametrize(
    ("session", "filled", "unknown"),
    [("", 0, ""), (D2, 0, ""), (D3, 0, ""), (D4, 0, PAST), (D2, 2, PAST)],  # two days on is after the close of D3
)
def test_a_session_of_the_past_is_not_judged(
    rehearsal: Rehearsal, desk: Desk, session: str, filled: int, unknown: str
) -> None:
    if session:
        decided(desk, "before", session, filled=filled)
    run = begins(rehearsal, desk)
    assert rehearsal.unknown == unknown
    assert (rehearsal.trading is None) is bool(unknown)
    intents = [order(run, 0, "A", 2_000)]
    assert (rehearsal.judged(intents, MARKS, NO_BOUNDS) == (tuple(intents), ())) is bool(unknown)


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (UnreachableError("no answer"), "no answer"),
        (SigcError(Diagnostic("E310", "the ledger is gone"), Diagnostic("E500", "x")), "the ledger is gone"),
        (SigcError(Diagnostic("E601", "it is silent"), Diagnostic("E500", "x")), "it is silent"),
    ],
)
def test_what_can_not_be_taken_in_is_told_and_nothing_is_judged(
    rehearsal: Rehearsal, desk: Desk, failure: Exception, why: str
) -> None:
    def fails(_: Trading) -> None:
        raise failure

    run = begins(rehearsal, desk, take_in=fails)
    assert (rehearsal.unknown, rehearsal.trading, rehearsal.refused) == (UNKNOWN + why, None, "")
    intents = (order(run, 0, "A", 2_000),)
    assert rehearsal.judged(intents, MARKS, NO_BOUNDS) == (intents, ())


def test_errors_of_the_data_are_raised(rehearsal: Rehearsal, desk: Desk) -> None:
    def fails(_: Trading) -> None:
        raise SigcError(Diagnostic("E500", "prices are missing"), Diagnostic("E601", "x"))

    with pytest.raises(SigcError, match="prices are missing"):
        begins(rehearsal, desk, take_in=fails)


def test_an_account_that_does_not_answer_is_unknown_and_no_refusal(rehearsal: Rehearsal, desk: Desk) -> None:
    """A trade of a new book asks for the account's equity."""
    desk.broker.can = {"simulated": False}

    def silent() -> None:
        raise UnreachableError("no answer")

    desk.broker.account = silent  # type: ignore[assignment,method-assign]
    begins(rehearsal, desk, "other")
    assert (rehearsal.unknown, rehearsal.refused, rehearsal.trading) == (f"{UNKNOWN}no answer", "", None)


@pytest.mark.parametrize(("revisions", "next_one"), [(0, 0), (1, 1), (3, 3)])
def test_a_trade_that_would_be_refused_is_opened_all_the_same(
    rehearsal: Rehearsal, desk: Desk, revisions: int, next_one: int
) -> None:
    for revision in range(revisions):
        decided(desk, f"r{revision}", D3, revision=revision)
    with desk.trading.ledger.transaction("control") as tx:
        control.put(tx, control.HALTED, "scripted", "by hand", "ann", "enough")
    run = begins(rehearsal, desk)
    since = f"{desk.trading.clock.now():%Y-%m-%d %H:%M:%S} UTC"
    assert rehearsal.refused == f"scripted is halted since {since} by ann: enough"
    with copied(rehearsal).ledger.reading() as connection:
        trade = runs.find(connection, "dry-rehearsed")
        assert runs.limits_of(connection, trade.id)["max_order_value"] == 100_000.0
        (book,) = books.books(connection)
    assert (trade.revision, trade.key) == (next_one, replace(run.key, kind=RunKind.TRADE))
    assert (book.key, book.capital) == (KEY, D(1_000_000))
    ended, findings = rehearsal.judged([order(run, 0, "A", 1_000)], MARKS, NO_BOUNDS)
    assert ([i.state for i in ended], findings) == ([S.PLANNED], ())  # the halt is told apart


def test_a_refused_trade_of_a_new_book_has_its_capital_in_the_copy_alone(rehearsal: Rehearsal, desk: Desk) -> None:
    kill_file.add_halt(desk.trading.ledger.directory, FileHalt("", "bob", "smoke", "2016-01-05T12:00:00+00:00"))
    run = begins(rehearsal, desk, "other")
    assert rehearsal.refused == "everything is halted since 2016-01-05 12:00:00 UTC by bob: smoke"
    with copied(rehearsal).ledger.reading() as connection:
        book = books.book(connection, BookKey("other", "main"))
    assert book is not None
    assert (book.capital, book.opened) == (D(1_000_000), run.started)
    with desk.trading.ledger.reading() as connection:
        assert books.book(connection, BookKey("other", "main")) is None


def states(rehearsal: Rehearsal) -> Mapping[str, tuple[IntentState, str, str]]:
    with copied(rehearsal).ledger.reading() as connection:
        found = orders.of_run(connection, "dry-rehearsed")
    return {i.client_order_id: (i.state, i.parent, i.message) for i in found}


def test_orders_are_planned_judged_and_sent_in_the_copy_under_ids_of_their_own(
    rehearsal: Rehearsal, desk: Desk
) -> None:
    """Of B a quarter of a million, 5,000 at 50, is beyond the limit of an order; the parts of A are not."""
    run = begins(rehearsal, desk)
    before = written(desk.trading.ledger)
    parts = [order(run, n, "A", 500, parent="p", slice=n + 1) for n in range(2)]
    intents = [*parts, order(run, 2, "B", 5_000), order(run, 3, "C", 1)]
    ended, findings = rehearsal.judged(intents, MARKS, NO_BOUNDS)
    found = "the order's value is 250000; the limit is 100000.0"
    why = f"{found} (safety.max_order_value)"
    assert ended == (*parts, replace(intents[2], state=S.DENIED, message=why), intents[3])
    assert [(f.check, f.assets, f.message) for f in findings] == [("order_value", ("B",), found)]
    assert states(rehearsal) == {
        "o0-rehearsed": (S.SENDING, "p-rehearsed", ""),
        "o1-rehearsed": (S.SENDING, "p-rehearsed", ""),
        "o2-rehearsed": (S.DENIED, "", why),
        "o3-rehearsed": (S.SENDING, "", ""),
    }
    with copied(rehearsal).ledger.reading() as connection:
        assert runs.is_decided(connection, "dry-rehearsed")
        assert runs.decision_of(connection, "dry-rehearsed") == NO_BOUNDS
        assert price_marks.marks_of(connection, "dry-rehearsed") == MARKS
    assert written(desk.trading.ledger) == before


def test_an_order_that_would_wait_for_another_of_the_account_is_not_denied(rehearsal: Rehearsal, desk: Desk) -> None:
    """Another book sells A: opposite orders are never open together, so the trade's purchase would wait."""
    run = Run("sale", RunKey("two", "main", D3), D2, 0, desk.trading.clock.now(), "ann")
    with desk.trading.ledger.transaction("plan") as tx:
        books.open_book(tx, BookKey("two", "main"), D(1_000), desk.begun, D1)
        runs.open_run(tx, run, {})
        runs.mark_decided(tx, run)
        sale = Intent("sale", run.id, run.key, 0, "A", Side.SELL, D(5), D(100))
        orders.plan(tx, [sale])
        orders.sending(tx, sale, desk.begun)
        orders.acknowledged(tx, sale, "b-sale")
    dry = begins(rehearsal, desk)
    intents = (order(dry, 0, "A", 10), order(dry, 1, "B", 10))
    assert rehearsal.judged(intents, MARKS, NO_BOUNDS) == (intents, ())
    assert [state for state, _, _ in states(rehearsal).values()] == [S.SENDING, S.SENDING]


def test_an_order_with_two_faults_has_both_in_its_message(rehearsal: Rehearsal, desk: Desk) -> None:
    """2,000 of A at 100, where a tenth of 1,000,000 traded, 1,000 shares, are a limit too."""
    run = begins(rehearsal, desk)
    bounds = {"bounds": {"A": ["0", "1", None, "1000000"]}, "off": ["max_order_pct"]}
    with copied(rehearsal).ledger.transaction("control") as tx:
        limits = runs.limits_of(tx.connection, "dry-rehearsed") | {"max_adv_pct": 0.1}
        tx.connection.execute("UPDATE runs SET limits = ? WHERE id = 'dry-rehearsed'", (json.dumps(limits),))
    ended, findings = rehearsal.judged([order(run, 0, "A", 2_000)], MARKS, bounds)
    assert [f.check for f in findings] == ["order_value", "adv_pct"]
    assert ended[0].message == (
        "the order's value is 200000; the limit is 100000.0 (safety.max_order_value); "
        "the order's value against the mean volume is 200000; the limit is 100000.0 (safety.max_adv_pct)"
    )
