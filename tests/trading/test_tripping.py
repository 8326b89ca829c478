"""Which closes a breaker is judged at, whom it holds back, and what is told: on a ledger alone, by worked numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.errors import Severity
from sigc.store.ledger import books, breakers
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, BookKey, Nav
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.live.tripping import doubts, judge_breakers, refusal
from tests.trading.floor import weekdays
from tests.trading.script import free

CALENDAR = weekdays()
BEGUN = CALENDAR.before_or_on(date(2016, 1, 4)).open
ONE, TWO = BookKey("one", "main"), BookKey("two", "main")
DAILY = {"daily_loss": 0.05}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path, HandClock(BEGUN), durable=False) as opened:
        yield opened


def worth(ledger: Ledger, key: BookKey, **navs: str) -> None:
    """Give a book of a hundred its worth at closes; nothing is judged."""
    with ledger.transaction("fills") as tx:
        books.open_book(tx, key, Decimal(100), tx.at)
        for session, nav in navs.items():
            books.put_nav(tx, Nav(key, session, Decimal(nav), Decimal(nav), ZERO, ZERO))


def judged(ledger: Ledger, key: BookKey, limits: Mapping[str, Any], *sessions: str) -> list[tuple[str, str, float]]:
    """What trips when a book is judged at new closes: whose breaker, at which close, by how much."""
    with ledger.transaction("fills") as tx:
        found = judge_breakers(tx, free(safety=limits).safety, key, sessions)
    return [(one.strategy or "all", one.session, one.value) for one in found]


def rule(action: str, threshold: float = 0.05) -> dict[str, Any]:
    return {"circuit_breakers": [{"name": "big", "type": "loss", "threshold": threshold, "action": action}]}


def trading_of(ledger: Ledger, **safety: Any) -> Trading:
    config = free(safety=safety)
    paper = PaperBroker(ledger.directory / "paper.sqlite", config.broker.paper, ledger.clock, durable=False)
    paper.close()
    return Trading(ledger, paper, ledger.clock, CALENDAR, config)


def why_refused(ledger: Ledger, strategy: str, **safety: Any) -> str:
    with ledger.reading() as connection:
        found = refusal(connection, trading_of(ledger, **safety), strategy)
    assert found is None or found.code == "E802"
    return "" if found is None else found.message


def told(ledger: Ledger, key: BookKey, **safety: Any) -> list[str]:
    with ledger.reading() as connection:
        found = doubts(connection, trading_of(ledger, **safety), key)
    assert {(f.check, f.severity) for f in found} <= {("breaker", Severity.WARNING)}
    return [f.message for f in found]


def test_without_a_breaker_nothing_is_lost_enough(ledger: Ledger) -> None:
    worth(ledger, ONE, d1="100", d2="1")
    assert judged(ledger, ONE, {}, "d2") == []
    assert (why_refused(ledger, "one"), told(ledger, ONE)) == ("", [])


def test_new_closes_are_judged_in_order_and_no_others(ledger: Ledger) -> None:
    """A tenth is lost at d2, and a tenth of that at d4: the first that is new trips it."""
    worth(ledger, ONE, d1="100", d2="90", d3="90", d4="81", d5="81")
    assert judged(ledger, ONE, DAILY, "d3", "d5") == []
    assert judged(ledger, ONE, DAILY, "d3", "d4", "d5") == [("one", "d4", 0.1)]
    with ledger.transaction("control") as tx:
        (one,) = breakers.tripped(tx.connection)
        breakers.reset(tx, one, "", "ann", "it was the day before that")
    assert judged(ledger, ONE, DAILY, "d2", "d3", "d4") == [("one", "d2", 0.1)]


def test_before_a_run_the_newest_close_alone_is_judged(ledger: Ledger) -> None:
    worth(ledger, ONE, d1="100", d2="90", d3="90")
    assert judged(ledger, ONE, DAILY) == []
    worth(ledger, ONE, d4="81")
    assert judged(ledger, ONE, DAILY) == [("one", "d4", 0.1)]


def test_what_has_tripped_stays_and_is_not_tripped_again(ledger: Ledger) -> None:
    worth(ledger, ONE, d1="100", d2="90")
    assert judged(ledger, ONE, DAILY, "d2") == [("one", "d2", 0.1)]
    worth(ledger, ONE, d3="45")
    assert judged(ledger, ONE, DAILY, "d3") == []
    with ledger.reading() as connection:
        assert [o.session for o in breakers.tripped(connection)] == ["d2"]


def test_what_is_over_by_itself_trips_again_at_a_later_close(ledger: Ledger) -> None:
    """Never twice at one close: a run that is asked for again would be paused for another half hour."""
    limits = rule("pause_30min")
    worth(ledger, ONE, d1="100", d2="90")
    assert judged(ledger, ONE, limits, "d2") == [("one", "d2", 0.1)]
    assert judged(ledger, ONE, limits, "d2") == judged(ledger, ONE, limits) == []
    worth(ledger, ONE, d3="45")
    assert judged(ledger, ONE, limits, "d3") == [("one", "d3", 0.5)]


def test_a_close_of_all_books_is_judged_by_the_worth_that_completes_it(ledger: Ledger) -> None:
    """Two is late at d3, so that all books have closes of d2 and d3 at once: 200, then 180, then 200 again."""
    worth(ledger, TWO, d1="100")
    worth(ledger, ONE, d1="100", d2="80")
    assert judged(ledger, ONE, DAILY, "d2") == [("one", "d2", 0.2)]
    worth(ledger, ONE, d3="100")
    assert judged(ledger, ONE, DAILY, "d3") == [("all", "d2", 0.1)]
    with ledger.reading() as connection:
        said = {one.strategy: one.text for one in breakers.tripped(connection)}
    assert said["one"].startswith("the book lost 20 % over the session to the close of d2")
    assert said[""].startswith("all books lost 10 % over the session to the close of d2")


def test_a_breaker_does_not_judge_what_all_books_lost_long_before_it_was_written(ledger: Ledger) -> None:
    for key in (ONE, TWO):
        worth(ledger, key, d1="100", d2="80", d3="80", d4="80", d5="80")
    assert judged(ledger, ONE, DAILY, "d5") == []


@pytest.mark.parametrize(
    ("action", "whose", "one", "two"),
    [
        ("halt_trading", ONE, True, False),
        ("halt_trading", None, True, True),
        ("flatten", ONE, True, False),
        ("pause_30min", ONE, True, False),
        ("pause_30min", None, True, True),
        ("reduce_exposure", ONE, False, False),
        ("alert_only", None, False, False),
    ],
)
def test_a_breaker_refuses_runs_of_whom_it_holds_back(
    ledger: Ledger, action: str, whose: BookKey | None, one: bool, two: bool
) -> None:
    (made,) = free(safety=rule(action)).safety.circuit_breakers
    with ledger.transaction("control") as tx:
        breakers.trip(tx, made, whose, 0.07, "d2", "too much was lost")
    assert (bool(why_refused(ledger, "one")), bool(why_refused(ledger, "two"))) == (one, two)
    if one:
        until = f"{BEGUN + timedelta(minutes=30):%Y-%m-%d %H:%M:%S} UTC"
        begins = f"no run begins until {until}: " if action == "pause_30min" else ""
        assert why_refused(ledger, "one") == f"{begins}the breaker big has tripped: too much was lost"
    is_told = f"the breaker big has tripped ({action}): too much was lost"
    assert told(ledger, ONE) == [is_told]
    assert told(ledger, TWO) == ([is_told] if whose is None else [])


def test_a_breaker_that_can_not_be_evaluated_is_told_once(ledger: Ledger) -> None:
    """Nobody knows what it is worth; once it has tripped, that it has."""
    worth(ledger, ONE, d1="100", d2="NaN")
    worth(ledger, TWO, d1="100", d2="100")
    unknown = "can't be evaluated: the worth at the close of d2 is not known"
    assert told(ledger, TWO, **DAILY) == [f"the breaker daily_loss of all books {unknown}"]
    assert told(ledger, ONE, **DAILY) == [
        f"the breaker daily_loss of one {unknown}",
        f"the breaker daily_loss of all books {unknown}",
    ]
    (made,) = free(safety=rule("alert_only")).safety.circuit_breakers
    with ledger.transaction("control") as tx:
        breakers.trip(tx, made, ONE, 0.07, "d1", "too much was lost")
    assert told(ledger, ONE, **rule("alert_only")) == [
        "the breaker big has tripped (alert_only): too much was lost",
        f"the breaker big of all books {unknown}",
    ]
