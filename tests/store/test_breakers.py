"""Breakers and decisions in a ledger: what each holds back and until when, what a reset forgets, and what is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.config.breaker_settings import BreakerSettings
from sigc.config.settings import SafetySettings
from sigc.errors import SigcError
from sigc.store.history import breaker_standing
from sigc.store.history.breaker_standing import chosen, standing, told
from sigc.store.history.breaker_values import BreakerState
from sigc.store.ledger import books, breakers, control, halting, orders, runs
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.records import ZERO, BookKey, Intent, IntentState, Nav, Run, RunKey, Side

S = BreakerState
AT = datetime(2024, 1, 2, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ONE, TWO = BookKey("one", "main"), BookKey("two", "main")
ACTIONS = ("halt_trading", "flatten", "reduce_exposure", "pause_30min", "alert_only")


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Transaction]:
    with Ledger.open(tmp_path, HandClock(AT), durable=False) as opened, opened.transaction("control") as made:
        yield made


def rule(action: str = "halt_trading", name: str = "big", type: str = "loss", threshold: float = 0.02) -> Any:
    said = {"name": name, "type": type, "threshold": threshold, "action": action}
    return BreakerSettings.model_validate(said)


def trip(tx: Transaction, action: str, book: BookKey | None, name: str = "big") -> breakers.TrippedBreaker:
    return breakers.trip(tx, rule(action, name), book, 0.03, "2024-01-02", "it lost 3 %")


def waiting_order(tx: Transaction, strategy: str) -> None:
    """An order that has not been sent."""
    run = Run(strategy, RunKey(strategy, "main", "2024-01-03"), "2024-01-02", 0, AT, "ann")
    runs.open_run(tx, run, {})
    orders.plan(tx, [Intent(f"{strategy}-1", strategy, run.key, 0, "A", Side.BUY, Decimal(1), Decimal(100))])


def is_denied(tx: Transaction, strategy: str) -> bool:
    found = orders.get(tx.connection, f"{strategy}-1")
    assert found is not None
    return found.state is IntentState.DENIED


def last(tx: Transaction) -> dict[str, Any]:
    (record,) = tx.connection.execute("SELECT record FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return dict(json.loads(record))


@pytest.mark.parametrize("book", [ONE, None])
@pytest.mark.parametrize("action", ACTIONS)
def test_what_each_action_holds_back_of_one_book_and_of_all(tx: Transaction, action: str, book: BookKey | None) -> None:
    """One breaker trips: orders of `one` that wait, its halt, its pause, its reductions; the same of `two`."""
    for strategy in ("one", "two"):
        waiting_order(tx, strategy)
    made = trip(tx, action, book)
    assert breakers.tripped(tx.connection) == (made,)  # read back as it was, with its end
    stops = action in ("halt_trading", "flatten")
    assert made.until == (AT + timedelta(minutes=30) if action == "pause_30min" else None)
    assert made.is_renewed is (action in ("pause_30min", "alert_only"))
    for strategy in ("one", "two"):
        concerns = book is None or strategy == "one"
        halt = breakers.halt_of(tx.connection, strategy)
        assert is_denied(tx, strategy) is (stops and concerns)
        assert (halt is not None) is (stops and concerns)
        assert (breakers.reduces_only(tx.connection, strategy) == made) is (action == "reduce_exposure" and concerns)
        assert (breakers.pause_of(tx.connection, strategy, AT) == made) is (action == "pause_30min" and concerns)
    if stops:
        (halt,) = breakers.halts(tx.connection)
        assert (halt.scope, halt.by) == ("" if book is None else "one", "by the breaker big: it lost 3 %")
    else:
        assert breakers.halts(tx.connection) == ()


def test_a_pause_lasts_half_an_hour_and_the_longest_is_told(tmp_path: Path) -> None:
    clock = HandClock(AT)
    with Ledger.open(tmp_path, clock, durable=False) as ledger:
        with ledger.transaction("control") as tx:
            trip(tx, "pause_30min", ONE, "first")
        clock.turn(AT + timedelta(minutes=10))
        with ledger.transaction("control") as tx:
            trip(tx, "pause_30min", None, "a_later_one")
        with ledger.reading() as connection:
            for minutes, name in ((0, "a_later_one"), (29, "a_later_one"), (39, "a_later_one")):
                found = breakers.pause_of(connection, "one", AT + timedelta(minutes=minutes))
                assert found is not None
                assert found.name == name
            end = AT + timedelta(minutes=40)
            assert breakers.pause_of(connection, "one", end - SECOND) is not None
            assert breakers.pause_of(connection, "one", end) is None
            assert len(breakers.tripped(connection)) == 2  # they stay in the list


def test_a_persons_halt_is_told_before_a_breakers_and_pauses_come_last(tx: Transaction) -> None:
    trip(tx, "flatten", ONE)
    control.put(tx, control.PAUSED, "one", "by hand", "bob", "lunch")
    halting.halt(tx, "one", "by hand", "ann", "enough")
    halt = breakers.halt_of(tx.connection, "one")
    assert halt is not None
    assert halt.by == "by ann: enough"
    assert [one.by for one in breakers.stops(tx.connection)] == [
        "by ann: enough",
        "by the breaker big: it lost 3 %",
        "by bob: lunch",
    ]


def test_a_reset_is_of_one_breaker_and_remembers_its_close(tx: Transaction) -> None:
    mine, all_of, other = trip(tx, "flatten", ONE), trip(tx, "flatten", None), trip(tx, "flatten", TWO, "other")
    breakers.reset(tx, mine, "2024-01-02", "ann", "looked at it")
    assert {(one.name, one.book) for one in breakers.tripped(tx.connection)} == {
        (one.name, one.book) for one in (all_of, other)
    }
    assert breakers.reset_at(tx.connection, "big", ONE) == "2024-01-02"
    assert breakers.reset_at(tx.connection, "big", None) == ""
    assert breakers.reset_at(tx.connection, "big", TWO) == ""
    assert last(tx)["who"] == "ann"


def test_a_new_name_takes_along_what_was_tripped_and_reset_and_nothing_else(tx: Transaction) -> None:
    for book, name in ((ONE, "big"), (TWO, "big"), (None, "big"), (ONE, "small")):
        trip(tx, "flatten", book, name)
    breakers.reset(tx, breakers.tripped(tx.connection)[-1], "d1", "ann", "seen")
    breakers.rename(tx, "one", "new")
    new = BookKey("new", "main")
    assert {(one.name, one.book) for one in breakers.tripped(tx.connection)} == {
        ("big", new),
        ("big", TWO),
        ("big", None),
    }
    assert breakers.reset_at(tx.connection, "small", new) == "d1"
    # A decision of another kind has the strategy for its scope; a job of the same name as a breaker is none.
    assert breakers.renamed(control.PAUSED, "two", "one", "new") == "two"
    assert breakers.renamed(control.PAUSED, "one", "one", "new") == "new"


# Decisions.


def test_a_decision_is_replaced_and_withdrawn_and_the_audit_has_what_it_was(tx: Transaction) -> None:
    assert control.get(tx.connection, control.PAUSED, "one") is None
    assert control.drop(tx, control.PAUSED, "one") is False
    control.put(tx, control.PAUSED, "one", "by hand", "ann", "lunch")
    assert (last(tx)["event"], last(tx)["who"], last(tx)["payload"]["was"]) == ("control.set", "ann", None)
    control.put(tx, control.PAUSED, "one", "by rule", "", "")
    assert (last(tx)["payload"]["value"], last(tx)["payload"]["was"]) == ("by rule", "by hand")
    control.put(tx, control.PAUSED, "two", "by hand", "bob", "dinner")
    one, two = control.every(tx.connection, control.PAUSED)
    assert (one.scope, one.value, one.by, one.at) == ("one", "by rule", "by sigc", AT)
    assert (two.scope, two.by) == ("two", "by bob: dinner")
    assert control.drop(tx, control.PAUSED, "one", "cid", "go") is True
    assert (last(tx)["event"], last(tx)["who"], last(tx)["payload"]["was"]) == ("control.dropped", "cid", "by rule")
    assert control.every(tx.connection, control.PAUSED) == (two,)


def test_a_decision_for_all_applies_to_each_and_a_forced_run_passes_the_pause_before_it(tx: Transaction) -> None:
    control.put(tx, control.PAUSED, "one", "by hand", "ann", "lunch")
    assert control.holds(tx.connection, control.PAUSED, "two") is None
    assert control.holds(tx.connection, control.HALTED, "one") is None
    control.put(tx, control.PAUSED, "", "by hand", "bob", "all of them")
    for strategy in ("one", "two"):
        held = control.holds(tx.connection, control.PAUSED, strategy)
        assert held is not None
        assert held.who == "bob"
        assert control.pause_of(tx.connection, strategy, AT - SECOND) is not None
        assert control.pause_of(tx.connection, strategy, AT) is None  # it began while that pause held


def test_a_price_that_a_person_accepted_is_of_one_day_and_one_asset(tx: Transaction) -> None:
    control.accept_price(tx, "BRK B", "2024-01-02", "ann", "a real jump")
    control.accept_price(tx, "A", "2024-01-03", "ann", "so it is")
    assert control.accepted_by_hand(tx.connection) == {("BRK B", "2024-01-02"), ("A", "2024-01-03")}


# As they stand.


def valued(tx: Transaction, key: BookKey, *navs: str) -> None:
    books.open_book(tx, key, Decimal(100), AT)
    for number, nav in enumerate(navs, 1):
        books.put_nav(tx, Nav(key, f"d{number}", Decimal(nav), Decimal(nav), ZERO, ZERO))


LIMITS = SafetySettings.model_validate({"daily_loss": 0.05, "drawdown": 0.2})


def test_every_breaker_stands_for_each_book_and_for_all_of_them(tx: Transaction) -> None:
    """One is down from 100 to 90, two up to 110: all together lost nothing."""
    valued(tx, ONE, "100", "90")
    alone = standing(tx.connection, LIMITS)
    assert [(one.name, one.of, one.found.state, one.found.value) for one in alone] == [
        ("daily_loss", "one", S.REACHED, 0.1),
        ("drawdown", "one", S.FINE, 0.1),
    ]  # of one book alone, all together are that book
    valued(tx, TWO, "100", "110")
    found = {(one.name, one.of): one.found for one in standing(tx.connection, LIMITS)}
    assert {key: value.value for key, value in found.items()} == {
        ("daily_loss", "one"): 0.1,
        ("daily_loss", "two"): -0.1,
        ("daily_loss", "all books"): 0.0,
        ("drawdown", "one"): 0.1,
        ("drawdown", "two"): 0.0,
        ("drawdown", "all books"): 0.0,
    }
    mine = standing(tx.connection, LIMITS, ONE)
    assert {(one.name, one.of) for one in mine} == {
        (name, of) for name in ("daily_loss", "drawdown") for of in ("one", "all books")
    }


def test_what_tripped_and_is_not_configured_any_more_is_listed_until_it_is_reset(tx: Transaction) -> None:
    valued(tx, ONE, "100", "90")
    valued(tx, TWO, "100", "110")
    gone = {book: trip(tx, "flatten", book, "gone") for book in (ONE, TWO, None)}
    kept = trip(tx, "flatten", ONE, "daily_loss")
    found = standing(tx.connection, LIMITS, ONE)
    assert [(one.name, one.of) for one in found if one.tripped] == [
        ("daily_loss", "one"),
        ("gone", "all books"),
        ("gone", "one"),
    ]
    of_two = [one for one in standing(tx.connection, LIMITS) if one.book == TWO and one.tripped]
    assert [(one.name, one.rule, one.tripped) for one in of_two] == [("gone", None, gone[TWO])]
    assert (of_two[0].found.state, of_two[0].found.session, of_two[0].found.value) == (S.REACHED, "2024-01-02", 0.03)
    # A book that is gone: its breaker is still configured, and is told with its rule.
    lost = breakers.trip(tx, rule(name="daily_loss"), BookKey("lost", "main"), 0.03, "d1", "it lost 3 %")
    (one,) = [one for one in standing(tx.connection, LIMITS) if one.tripped == lost]
    assert one.rule is not None
    assert one.rule.name == "daily_loss"
    assert standing(tx.connection, SafetySettings())[0].tripped is not None
    assert {one.tripped for one in standing(tx.connection, LIMITS) if one.name == "daily_loss"} >= {kept, None}


def test_a_reset_counts_from_the_newest_close_of_its_book(tx: Transaction) -> None:
    valued(tx, ONE, "100", "90")
    valued(tx, TWO, "100", "110", "110")
    for book in (ONE, TWO, None):
        trip(tx, "flatten", book, "drawdown")
    lost = trip(tx, "flatten", BookKey("lost", "main"), "drawdown")
    one = breaker_standing.reset(tx, LIMITS, "drawdown", "one", "ann", "seen")
    assert [found.book for found in one] == [ONE]
    assert breakers.reset_at(tx.connection, "drawdown", ONE) == "d2"
    assert len(breakers.tripped(tx.connection)) == 3
    rest = breaker_standing.reset(tx, LIMITS, "drawdown", "", "ann", "seen")
    assert {found.book for found in rest} == {TWO, None, lost.book}
    assert breakers.reset_at(tx.connection, "drawdown", TWO) == "d3"
    assert breakers.reset_at(tx.connection, "drawdown", lost.book) == "2024-01-02"  # without a close: its own
    assert breakers.tripped(tx.connection) == ()
    assert breaker_standing.reset(tx, LIMITS, "drawdown", "", "ann", "again") == ()
    after = {one.of: one.found.state for one in standing(tx.connection, LIMITS) if one.name == "drawdown"}
    assert after["one"] is S.SHORT


@pytest.mark.parametrize(
    ("name", "strategy", "said", "hint"),
    [
        ("daily_los", "", "there is no breaker 'daily_los'", "daily_loss"),
        ("zzz", "", "there is no breaker 'zzz'", "there are: daily_loss, drawdown"),
        ("drawdown", "onee", "there is no book of the strategy 'onee'", "one"),
        ("drawdown", "zzzzzz", "there is no book of the strategy 'zzzzzz'", "there are: one, two"),
    ],
)
def test_a_name_that_is_none_is_told_what_there_is(
    tx: Transaction, name: str, strategy: str, said: str, hint: str
) -> None:
    valued(tx, ONE, "100")
    valued(tx, TWO, "100")
    with pytest.raises(SigcError, match=said) as no:
        chosen(tx.connection, LIMITS, name, strategy)
    assert no.value.diagnostics[0].code == "E901"
    assert hint in no.value.diagnostics[0].hint


def test_breakers_where_there_are_none_and_where_no_book_is_open(tx: Transaction) -> None:
    with pytest.raises(SigcError) as no:
        chosen(tx.connection, SafetySettings(), "drawdown")
    assert "none is configured" in no.value.diagnostics[0].hint
    with pytest.raises(SigcError) as no:
        chosen(tx.connection, LIMITS, "drawdown", "one")
    assert no.value.diagnostics[0].hint == "no book is open yet"
    assert chosen(tx.connection, LIMITS, "drawdown") == ()


def test_why_a_breaker_is_in_doubt(tx: Transaction) -> None:
    valued(tx, ONE, "100", "NaN")
    (one,) = [one for one in standing(tx.connection, LIMITS) if one.name == "daily_loss"]
    assert one.doubt == "the worth at the close of d2 is not known"


def test_a_book_that_is_behind_is_named(tx: Transaction) -> None:
    valued(tx, ONE, "100", "99")
    valued(tx, TWO, "100", "100", "100", "100")
    late = [one for one in standing(tx.connection, LIMITS) if one.name == "daily_loss" and one.book is None]
    assert [one.doubt for one in late] == ["without one/main since d2"]
    assert [one.doubt for one in standing(tx.connection, LIMITS, TWO) if one.book == TWO] == ["", ""]


@pytest.mark.parametrize(
    ("type", "window", "value", "text"),
    [
        ("loss", "", 0.0312, "{} lost 3.12 % over the session to the close of d9; the threshold is 2 %"),
        ("loss", "1w", 0.02, "{} lost 2 % over 5 sessions to the close of d9; the threshold is 2 %"),
        ("drawdown", "", 0.123456789, "{} {is} 12.3457 % below the highest close at that of d9; the threshold is 2 %"),
        (
            "drawdown",
            "20d",
            0.2,
            "{} {is} 20 % below the highest close of 20 sessions at that of d9; the threshold is 2 %",
        ),
        ("streak", "", 5.0, "{} lost in 5 sessions in a row, to that of d9; the threshold is 3"),
        (
            *("volatility", "20d", 0.4),
            "{} {has} a volatility of 40 % a year over 20 sessions to the close of d9; the threshold is 2 %",
        ),
    ],
)
def test_a_reached_breaker_in_words(type: str, window: str, value: float, text: str) -> None:
    threshold = 3.0 if type == "streak" else 0.02
    one = BreakerSettings.model_validate({"name": "a", "type": type, "threshold": threshold, "window": window})
    said = told(one, value, "d9", is_all=False)
    assert said == text.replace("{is}", "is").replace("{has}", "has").format("the book")
    said = told(one, value, "d9", is_all=True)
    assert said == text.replace("{is}", "are").replace("{has}", "have").format("all books")
