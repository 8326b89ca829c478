"""When corporate actions are told to a simulated broker, and with which prices: by hand, on three weeks of sessions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from sigc.actions import Action
from sigc.calendar.sessions import Calendar, Session
from sigc.store.ledger import action_rows
from sigc.store.ledger.action_effects import DueAction
from sigc_pipelines.brokers.protocol import Broker, Capabilities
from sigc_pipelines.live import due_actions as acting
from sigc_pipelines.live.due_actions import DueActions, SessionPrices, scheduled
from sigc_pipelines.prices.closes import Closes
from tests.store.actions_desk import KEY, SESSIONS, Desk, action, close, dividend, due, split

D = Decimal
DAYS = [str(day) for day in SESSIONS]  # 2016-01-04, a Monday, to the 8th, 11th to 15th, ...
CALENDAR = Calendar(
    "tiny",
    "UTC",
    tuple(Session(day, close(at) - timedelta(hours=7), close(at)) for at, day in enumerate(SESSIONS)),
    SESSIONS[0],
    SESSIONS[-1] + timedelta(days=30),
)


@dataclass
class Recorder:
    """A broker that keeps what it is told. simulated: whether it wants to be told."""

    simulated: bool = True
    acted: list[tuple[str, datetime, list[str]]] = field(default_factory=list)
    announced: list[list[str]] = field(default_factory=list)

    def capabilities(self) -> Capabilities:
        return Capabilities("recorder", is_live=False, simulated=self.simulated)

    def act(self, session: str, at: datetime, dues: Sequence[DueAction]) -> None:
        self.acted.append((session, at, said(dues)))

    def announce(self, dues: Sequence[DueAction]) -> None:
        self.announced.append(said(dues))

    def mark(self, *_: object) -> None:
        raise AssertionError

    def deposit(self, *_: object) -> None:
        raise AssertionError

    def write_off(self, *_: object) -> None:
        raise AssertionError


def said(dues: Sequence[DueAction]) -> list[str]:
    return [f"{d.action.asset} {d.action.kind} {DAYS.index(d.session)}" for d in dues]


def acts(desk: Desk, as_of: int, broker: Recorder | None = None) -> DueActions:
    return DueActions(desk.ledger, cast("Broker", broker or Recorder()), CALENDAR.table[as_of])


def no_closes(since: str) -> Closes:
    raise AssertionError(since)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as opened:
        yield opened


# Days.


def day_of(text: str, pay: str | None = None) -> DueAction | None:
    found = date.fromisoformat(text)
    paid = None if pay is None else date.fromisoformat(pay)
    return scheduled(Action(found, "A", dividend("A", 1.0, 1).kind, cash=1.0, pay_date=paid), CALENDAR)


@pytest.mark.parametrize(
    ("ex", "pay", "session", "before", "paid"),
    [
        ("2016-01-05", None, "2016-01-05", 0, "2016-01-05"),
        ("2016-01-05", "2016-01-08", "2016-01-05", 0, "2016-01-08"),
        ("2016-01-05", "2016-01-09", "2016-01-05", 0, "2016-01-11"),  # a Saturday
        ("2016-01-05", "2016-01-04", "2016-01-05", 0, "2016-01-05"),
        ("2016-01-09", None, "2016-01-11", 4, "2016-01-11"),
        ("2016-01-09", "2016-01-10", "2016-01-11", 4, "2016-01-11"),
        ("2016-01-11", "2016-01-19", "2016-01-11", 4, "2016-01-19"),  # the last session that is known
        ("2016-01-11", "2016-01-23", "2016-01-11", 4, "2016-01-23"),  # beyond it: as it is said
        ("2016-01-19", None, "2016-01-19", 10, "2016-01-19"),
    ],
)
def test_an_action_acts_at_its_session_and_is_paid_at_one(
    ex: str, pay: str | None, session: str, before: int, paid: str
) -> None:
    found = day_of(ex, pay)
    assert found is not None
    assert (found.session, found.before, found.pay_session, found.price) == (session, close(before), paid, None)


@pytest.mark.parametrize("ex", ["2016-01-01", "2016-01-04", "2016-01-20"])
def test_an_action_without_a_session_before_it_or_at_it_has_no_place(ex: str) -> None:
    assert day_of(ex) is None
    friday, monday = CALENDAR.table[9:11]
    short = Calendar("short", "UTC", (*CALENDAR.table[:9], friday, monday), SESSIONS[0], monday.day)
    found = scheduled(Action(SESSIONS[1], "A", split("A", 2, 1).kind, pay_date=date(2016, 1, 16)), short)
    assert found is not None
    assert found.pay_session == str(monday.day)
    assert scheduled(split("A", 2, 1), Calendar("none", "UTC", (), SESSIONS[0], SESSIONS[-1])) is None


def test_a_listing_is_made_once_of_each_list_and_calendar() -> None:
    listed = (split("A", 2, 1),)
    first = acting._listing(listed, CALENDAR)
    assert acting._listing(listed, CALENDAR) is first
    assert acting._listing((split("A", 2, 1),), CALENDAR) is not first
    again = acting._listing(listed, CALENDAR)
    assert acting._listing(listed, Calendar("none", "UTC", (), SESSIONS[0], SESSIONS[-1])) is not again


# Prices.


def closes(rows: dict[int, tuple[float, ...]], names: tuple[str, ...] = ("A", "B")) -> Closes:
    """Prices by the place of their session; 0 for none."""
    dates = np.array([SESSIONS[at] for at in rows], "datetime64[D]")
    prices = np.array(list(rows.values()))
    return Closes(dates, names, np.where(prices == 0.0, np.nan, prices), None)


def test_an_action_gets_the_close_before_of_its_asset_or_of_what_is_spun_off(desk: Desk) -> None:
    """Of the fourth session: the close of the third, else the last before it; to six digits."""
    for asset in ("A", "C", "E"):
        desk.fill(asset, 100, 0)
    listed = (
        split("A", 2, 3),
        dividend("A", 0.5, 3),  # needs none
        action("rename", "A", 4, into="Z"),
        action("spinoff", "C", 3, into="B", ratio=Fraction(1, 8)),
        action("merge", "E", 6, into="X", cash=1.0),  # has no price
    )
    asked: list[str] = []

    def closes_since(since: str) -> Closes:
        asked.append(since)
        return closes({0: (7.0, 8.0), 1: (9.0, 5.1234564), 2: (10.0, 0.0), 3: (99.0, 99.0)})

    assert not acts(desk, 6).is_due
    one = acts(desk, 6)
    one.listed(KEY, listed, CALENDAR, closes_since)
    assert one.is_due
    assert asked == ["2015-12-07"]  # thirty days before the earliest close that is asked for
    found = {d.action.key: d.price for of in one.components for d in of.dues}
    assert sorted((k[0], k[1], p) for k, p in found.items() if p is not None) == [
        ("A", "split", D(10)),
        ("C", "spinoff", D("5.123456")),
    ]
    assert len(found) == 5
    again = acts(desk, 6)
    again.listed(KEY, listed, CALENDAR, closes_since)
    assert asked[1:] == ["2015-12-12"]  # for E's alone
    assert {d.action.key: d.price for of in again.components for d in of.dues} == found


def test_no_price_is_asked_for_where_none_is_needed(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    one = acts(desk, 3)
    one.listed(KEY, (dividend("A", 0.5, 2), split("A", 2, 4)), CALENDAR, no_closes)
    assert [said(of.dues) for of in one.components] == [["A dividend 2"]]


# What the broker is told.


def test_a_broker_is_told_at_each_session_at_which_something_new_acts(desk: Desk) -> None:
    """A dividend of the second session paid at the fourth, one of the fifth: told of at these three, and no more."""
    desk.fill("A", 100, 0)
    broker = Recorder()
    one = acts(desk, 6, broker)
    one.listed(KEY, (dividend("A", 0.5, 1, pay=3), dividend("A", 0.5, 4)), CALENDAR, no_closes)
    for at in (0, 1, 2, 3, 4, 4, 5):
        one.before(CALENDAR.table[at])
    first, both = ["A dividend 1"], ["A dividend 1", "A dividend 4"]
    assert broker.acted == [(DAYS[1], close(1), first), (DAYS[3], close(3), first), (DAYS[4], close(4), both)]
    one.before(CALENDAR.table[2])  # going back says nothing, and what was said stays said
    one.before(CALENDAR.table[4])
    assert len(broker.acted) == 3


def test_who_trades_is_not_told(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    broker = Recorder(simulated=False)
    one = acts(desk, 3, broker)
    one.before(CALENDAR.table[1])
    one.listed(KEY, (dividend("A", 0.5, 1), dividend("A", 0.5, 4)), CALENDAR, no_closes)
    one.before(CALENDAR.table[1])
    one.announced((dividend("A", 0.5, 4),), CALENDAR)
    one.booked()
    assert (broker.acted, broker.announced) == ([], [])
    assert [e.reason for e in desk.entries()] == ["new"]


def test_orders_are_told_what_acts_at_the_next_session(desk: Desk) -> None:
    """As of Friday: what is on Saturday to Monday, and no later."""
    broker = Recorder()
    days = (SESSIONS[4], date(2016, 1, 9), SESSIONS[5], SESSIONS[6])
    listed = [Action(day, name, split("A", 2, 1).kind, Fraction(2)) for day, name in zip(days, "ABCD", strict=True)]
    acts(desk, 4, broker).announced(listed, CALENDAR)
    assert broker.announced == [["B split 5", "C split 5"]]
    acts(desk, 3, broker).announced(listed[1:], CALENDAR)
    assert len(broker.announced) == 1


def test_what_is_booked_is_told_before(desk: Desk) -> None:
    desk.fill("A", 100, 0)
    broker = Recorder()
    nothing = acts(desk, 3, broker)
    nothing.booked()
    one = acts(desk, 3, broker)
    one.listed(KEY, (dividend("A", 0.5, 1), dividend("A", 0.25, 5)), CALENDAR, no_closes)
    one.booked()
    assert broker.acted == [(DAYS[3], close(3), ["A dividend 1"])]
    assert [(e.session, e.amounts.cash) for e in desk.entries()] == [(DAYS[1], D(50))]
    desk.book(6)
    late = acts(desk, 4, broker)  # of another book, and behind: the ledger's own progress counts
    late.listed(KEY, (dividend("A", 1.0, 1), dividend("A", 0.25, 5)), CALENDAR, no_closes)
    late.booked()
    assert broker.acted[1:] == [(DAYS[6], close(4), ["A dividend 1", "A dividend 5"])]
    with desk.ledger.reading() as connection:
        assert action_rows.progress(connection)[0] == DAYS[6]
    assert desk.state().cash == 1_000_000 - 1000 + 125


# Prices session by session.


def test_prices_go_on_in_the_units_of_each_session() -> None:
    """B does not trade for two sessions after it was split 2:1, D never does."""
    known = closes({0: (10.0, 20.0), 1: (11.0, 0.0), 2: (0.0, 0.0), 3: (0.5, 12.0), 4: (13.0, 0.0)})
    newest = SessionPrices({"C": D(5), "D": D(4)})
    assert newest.at(DAYS[0], known, ()) == {"A": 10, "B": 20, "C": 5, "D": 4}
    split_b, paid = due(split("B", 2, 1)), due(dividend("D", 0.5, 1))
    assert newest.at(DAYS[1], known, (split_b, paid)) == {"A": 11, "B": 10, "C": 5, "D": D("3.5")}
    assert newest.at(DAYS[2], known, ()) == {"A": 11, "B": 10, "C": 5, "D": D("3.5")}
    renamed = due(action("rename", "C", 3, into="E"))
    third = {"A": D("0.5"), "B": D(12), "C": D(5), "D": D("3.5"), "E": D(5)}
    assert newest.at(DAYS[3], known, (renamed,)) == third
    assert newest.at(DAYS[4], known, ()) == {**third, "A": D(13)}
    assert newest.prices == {**third, "A": D(13)}


def test_a_price_of_the_session_itself_is_in_its_units() -> None:
    known = closes({0: (10.0, 20.0), 1: (5.5, 0.0)})
    newest = SessionPrices({})
    newest.at(DAYS[0], known, ())
    assert newest.at(DAYS[1], known, (due(split("A", 2, 1)), due(split("X", 2, 1)))) == {"A": D("5.5"), "B": D(20)}
