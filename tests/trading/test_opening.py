"""What keeps a run from being opened, in words, and what one writes down: on a ledger, a broker and a calendar alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.errors import SigcError
from sigc.host import kill_file
from sigc.host.kill_file import FileHalt
from sigc.store.ledger import books, breakers, control, orders, runs
from sigc.store.ledger.book_moves import CashMoved
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import (
    UNASSIGNED,
    ZERO,
    BookKey,
    Fill,
    Intent,
    IntentState,
    Nav,
    Outcome,
    Run,
    RunKey,
    RunKind,
    Side,
)
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import Account, UnreachableError
from sigc_pipelines.live.account_capital import refuse_beyond_equity
from sigc_pipelines.live.move_books import move_books
from sigc_pipelines.live.open_run import open_run
from sigc_pipelines.live.session import instant_of, moment
from sigc_pipelines.live.trading import Request, Trading
from tests.trading.floor import weekdays
from tests.trading.script import D1, D2, D3, D4, free

CALENDAR = weekdays()
KEY = BookKey("one", "main")
D = Decimal


@pytest.fixture
def trading(tmp_path: Path) -> Iterator[Trading]:
    """The evening of D1: a run is as of it, for D2."""
    config, clock = free(), HandClock(instant_of(CALENDAR, D1))
    paper = PaperBroker(tmp_path / "paper.sqlite", config.broker.paper, clock, durable=False)
    with Ledger.open(tmp_path, clock, durable=False) as ledger:
        yield Trading(ledger, paper, clock, CALENDAR, config)
    paper.close()


def at(trading: Trading, day: str) -> Trading:
    """The same on the evening of another day."""
    return replace(trading, clock=HandClock(instant_of(CALENDAR, day)))


def opened(trading: Trading, id: str, strategy: str = "one", **how: Any) -> Run:
    asked: dict[str, Any] = {"kind": RunKind.TRADE, "who": "ann"} | how
    then = moment(CALENDAR, trading.clock.now(), trading.config.execution.cut_off)
    return open_run(trading, Request(id, strategy, "main", **asked), then)


def refused(trading: Trading, id: str, strategy: str = "one", **how: Any) -> tuple[str, str]:
    with pytest.raises(SigcError) as no:
        opened(trading, id, strategy, **how)
    return no.value.diagnostics[0].code, no.value.diagnostics[0].message


def ended(trading: Trading, run: Run, outcome: Outcome, *intents: Intent, is_decided: bool = True) -> None:
    with trading.ledger.transaction("intents") as tx:
        if is_decided:
            runs.mark_decided(tx, run)
            orders.plan(tx, intents)
        runs.close_run(tx, run, trading.clock.now(), outcome, "")


def held(trading: Trading, key: BookKey, asset: str = "A") -> None:
    """A book has ten shares, bought just now."""
    now = trading.clock.now()
    session = str(moment(CALENDAR, now, "close-5m").session.day)
    with trading.ledger.transaction("fills") as tx:
        books.open_book(tx, key, D(1_000), now)
        of = Run(f"of {key.strategy}", RunKey(key.strategy, key.portfolio, session, slot="before"), D1, 0, now, "ann")
        runs.open_run(tx, of, {})
        orders.plan(tx, [Intent("o", of.id, of.key, 0, asset, Side.BUY, D(10), D(100))])
        books.take_in(tx, (Fill("e", "o", asset, Side.BUY, D(10), D(100), ZERO, now),), (), "1")
        runs.close_run(tx, of, now, Outcome.DONE, "")


def refusals(trading: Trading) -> list[dict[str, Any]]:
    with trading.ledger.reading() as connection:
        rows = connection.execute("SELECT record FROM audit WHERE event = 'run.refused' ORDER BY seq").fetchall()
    return [json.loads(record) for (record,) in rows]


def test_a_first_trade_opens_its_book_and_a_dry_run_none(trading: Trading) -> None:
    for kind in (RunKind.DRY, RunKind.TRADE):
        run = opened(trading, str(kind), kind=kind, reason="to see", slot="s", digests={"strategy": "text"})
        with trading.ledger.reading() as connection:
            assert runs.find(connection, str(kind)) == run
            book = books.book(connection, KEY)
        assert (run.key.strategy, run.key.session, run.key.kind, run.as_of) == ("one", D2, kind, D1)
        assert (run.revision, run.who, run.reason, run.digests) == (0, "ann", "to see", {"strategy": "text"})
        assert run.cut_off is not None
        assert (run.started, run.broker) == (trading.clock.now(), "paper")
        assert (book is None) is (kind is RunKind.DRY)
    assert book is not None
    assert (book.capital, book.opened) == (D(1_000_000), run.started)


@pytest.mark.parametrize(
    ("scope", "reason", "says"),
    [
        ("", "enough", "everything is halted since 2016-01-04 12:00:00 UTC by ann: enough"),
        ("one", "enough", "one is halted since 2016-01-04 12:00:00 UTC by ann: enough"),
        ("one", "", "one is halted since 2016-01-04 12:00:00 UTC by ann: kill file"),
        ("two", "enough", ""),
    ],
)
def test_a_kill_file_refuses_before_the_ledger_has_it(trading: Trading, scope: str, reason: str, says: str) -> None:
    kill_file.add_halt(trading.ledger.directory, FileHalt(scope, "ann", reason, "2016-01-04T12:00:00+00:00"))
    if says:
        assert refused(trading, "run", is_forced=True) == ("E802", says)
    else:
        assert opened(trading, "run").revision == 0
    assert opened(trading, "dry", kind=RunKind.DRY).key.kind is RunKind.DRY


@pytest.mark.parametrize("is_forced", [False, True])
@pytest.mark.parametrize("name", [control.HALTED, control.PAUSED])
@pytest.mark.parametrize("scope", ["", "one", "two"])
def test_a_halt_holds_always_and_a_pause_whom_nobody_forces(
    trading: Trading, name: str, scope: str, *, is_forced: bool
) -> None:
    with trading.ledger.transaction("control") as tx:
        control.put(tx, name, scope, "by hand", "ann", "")
    since = f"{trading.clock.now():%Y-%m-%d %H:%M:%S} UTC"
    if scope == "two" or (name == control.PAUSED and is_forced):
        assert opened(trading, "run", is_forced=is_forced).id == "run"
        return
    says = f"{scope or 'everything'} is {name} since {since} by ann: by hand"
    assert refused(trading, "run", is_forced=is_forced) == ("E802", says)
    (said,) = refusals(trading)
    assert (said["who"], said["strategy"], said["portfolio"]) == ("ann", "one", "main")
    asked = {"id": "run", "session": D2, "slot": "", "reason": ""}
    assert said["payload"] == asked | {"code": "E802", "message": says}
    with trading.ledger.reading() as connection:
        assert runs.left_open(connection) == ()


def test_a_trade_judges_its_breakers_and_what_trips_stays(trading: Trading) -> None:
    """A tenth was lost before the breaker was written; a dry run looks at it and trips nothing."""
    with trading.ledger.transaction("fills") as tx:
        books.open_book(tx, KEY, D(100), tx.at)
        for session, nav in (("2015-12-31", "100"), (D1, "90")):
            books.put_nav(tx, Nav(KEY, session, D(nav), D(nav), ZERO, ZERO))
    strict = replace(trading, config=free(safety={"daily_loss": 0.05}))
    opened(strict, "dry", kind=RunKind.DRY)
    with trading.ledger.reading() as connection:
        assert breakers.tripped(connection) == ()
    code, why = refused(strict, "run", is_forced=True)
    assert code == "E802"
    assert why.startswith("the breaker daily_loss has tripped: the book lost 10 %")
    with trading.ledger.reading() as connection:
        assert [one.session for one in breakers.tripped(connection)] == [D1]
        assert [r.id for r in runs.left_open(connection)] == ["dry"]
    assert opened(strict, "two", "two").id == "two"


@pytest.mark.parametrize(
    ("owner", "how", "is_open"),
    [
        ("old", {"configured": frozenset({"one"})}, False),
        ("old", {"configured": frozenset({"one"}), "is_forced": True}, True),
        ("old", {"configured": frozenset({"one", "old"})}, True),
        ("old", {}, True),  # nobody knows what is configured
        (UNASSIGNED.strategy, {"configured": frozenset({"two"})}, True),
    ],
)
def test_a_book_of_nobody_is_not_bought_again(
    trading: Trading, owner: str, how: dict[str, Any], *, is_open: bool
) -> None:
    held(trading, BookKey(owner, "main"))
    if is_open:
        assert opened(trading, "run", **how).id == "run"
        return
    assert refused(trading, "run", **how) == (
        "E804",
        "one would open a book beside that of 'old', which has 1 position and no strategy any more",
    )
    with trading.ledger.reading() as connection:
        assert books.book(connection, KEY) is None


def test_who_has_a_book_already_and_an_empty_book_keep_nobody(trading: Trading) -> None:
    with trading.ledger.transaction("fills") as tx:
        books.open_book(tx, BookKey("empty", "main"), D(1_000), tx.at)
    configured = frozenset({"one"})
    ended(trading, opened(trading, "first", configured=configured), Outcome.DONE)
    held(trading, BookKey("old", "main"))
    assert opened(trading, "again", configured=configured, is_forced=True).revision == 1
    assert opened(trading, "slot", configured=configured, slot="noon").revision == 0


def test_on_paper_time_goes_forward_for_every_strategy(trading: Trading) -> None:
    """The account's newest fill is of after D3; another strategy would trade for D2."""
    held(at(trading, D3), KEY)
    code, why = refused(trading, "run", "two", is_forced=True)
    assert (code, why[:35]) == ("E800", "time goes forward in an account: it")
    assert why.endswith(f"and the session {D2} is before it")
    assert opened(trading, "dry", "two", kind=RunKind.DRY).as_of == D1
    assert opened(at(trading, D3), "next", "two").as_of == D3
    can = replace(trading.broker.capabilities(), simulated=False)
    trading.broker.capabilities = lambda: can  # type: ignore[method-assign]
    trading.broker.account = lambda: Account(D(10**9), D(10**9), D(10**9))  # type: ignore[method-assign]
    assert opened(trading, "live", "three").as_of == D1


def test_books_are_not_given_more_than_the_account_has(trading: Trading) -> None:
    """Of 2,100,000: a book of a million, one that came to 1,050,000, and no third one; 50,000 are left to put in."""
    can = replace(trading.broker.capabilities(), simulated=False)
    trading.broker.capabilities = lambda: can  # type: ignore[method-assign]
    had = [D("999_999.99")]
    trading.broker.account = lambda: Account(D(0), had[0], D(0))  # type: ignore[method-assign]
    says = "1,000,000.00 for one/main is more than the account's equity of 999,999.99"
    assert refused(trading, "few") == ("E804", says)
    had[0] = D(1_000_000)
    first = opened(trading, "enough")
    ended(trading, first, Outcome.UNCHANGED)
    assert opened(trading, "dry", "two", kind=RunKind.DRY).as_of == D1  # nothing is given to a dry run
    says = "1,000,000.00 for two/main and 1 other book, worth 1,000,000.00, is more than the account's equity of "
    assert refused(trading, "twice", "two") == ("E804", f"{says}1,000,000.00")
    had[0] = D(2_100_000)
    ended(trading, opened(trading, "second", "two"), Outcome.UNCHANGED)
    two = BookKey("two", "main")
    with trading.ledger.transaction("x") as tx:
        books.put_nav(tx, Nav(two, D1, D(1_050_000), D(1_050_000), D(0), D(0)))
    refuse_beyond_equity(trading, two, D(50_000))
    with pytest.raises(SigcError, match=r"50,000.01 for two/main and 2 other books, worth 2,050,000.00"):
        move_books(trading, CashMoved(two, D("50_000.01")), "ann", "more")

    def silent() -> Account:
        raise UnreachableError("no answer")

    trading.broker.account = silent  # type: ignore[method-assign]
    assert refused(trading, "unknown", "three") == ("E601", "no answer")
    assert opened(trading, "on", "two", is_forced=True).revision == 1  # a book that is open needs no answer


def test_a_session_is_numbered_by_what_was_sent_for_it(trading: Trading) -> None:
    """Interrupted: as if it had never been. Decided, and nothing left: the next number. Traded: by force alone."""
    first = opened(trading, "first")
    assert first.revision == 0
    ended(trading, first, Outcome.INTERRUPTED, is_decided=False)
    second = opened(trading, "second")
    assert second.revision == 0
    order = Intent("o", second.id, second.key, 0, "A", Side.BUY, D(1), D(100))
    ended(trading, second, Outcome.NOTHING_TRADED, order)
    with trading.ledger.transaction("x") as tx:
        orders.moved(tx, order, IntentState.DENIED, "no")
    third = opened(trading, "third")
    assert third.revision == 1
    ended(trading, third, Outcome.UNCHANGED)
    assert refused(trading, "fourth") == ("E800", f"one (main) was traded for the session {D2} already")
    assert opened(trading, "fifth", is_forced=True).revision == 2
    assert opened(trading, "dry", kind=RunKind.DRY).revision == 0


def test_no_session_before_the_last_one_is_traded_even_by_force(trading: Trading) -> None:
    ended(trading, opened(at(trading, D3), "first"), Outcome.UNCHANGED)
    says = f"one (main) has traded for the session {D4} already; {D2} is past"
    assert refused(trading, "back", is_forced=True) == ("E800", says)
    assert opened(at(trading, D4), "on").revision == 0
