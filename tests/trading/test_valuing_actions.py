"""What a book is worth over corporate actions, entries by hand and sessions without data: by worked numbers.

A thousand in cash; five A at 90 and ten B at 10 are bought at the close of the first session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sigc.actions import Action, ActionKind
from sigc.calendar.sessions import Session
from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.store.ledger import action_rows, adjustments, books, orders, price_marks, runs
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.price_marks import Mark, Priced
from sigc.store.ledger.records import ZERO, BookKey, Intent, Nav, Run, RunKey, Side
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import OrderRequest, OrderStatus, RejectedError
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.valuing import follow, newest_prices, standing
from sigc_pipelines.prices.closes import Closes
from tests.trading.floor import weekdays

KEY, OTHER = BookKey("one", "main"), BookKey("two", "main")
CALENDAR = weekdays()
D0, D1, D2, D3, D4 = CALENDAR.sessions(date(2016, 1, 4), date(2016, 1, 8))
DAYS = {"D1": D1, "D2": D2, "D3": D3, "D4": D4}
FREE: Mapping[str, object] = {"slippage_bps": 0, "commission_bps": 0, "commission_per_share": 0, "min_commission": 0}
NONE = None  # no price on that day


def act(session: Session, asset: str, kind: ActionKind, ratio: str = "1", cash: float = 0.0, **more: object) -> Action:
    return Action(session.day, asset, kind, Fraction(ratio), cash, **more)  # type: ignore[arg-type]


class Street:
    """A ledger with one book and a paper broker, both told of closes by session and asset."""

    def __init__(self, folder: Path, closes: Mapping[str, Sequence[float | None]], paper: Mapping[str, object]) -> None:
        self.clock = HandClock(D0.close + timedelta(minutes=1))
        self.ledger = Ledger.open(folder, self.clock, durable=False)
        self.broker = PaperBroker(
            folder / "paper.sqlite", PaperSettings.model_validate(paper), self.clock, durable=False
        )
        self.closes = closes
        self.actions: list[Action] = []
        self.told: list[tuple[str, ...]] = []
        self.broker.deposit("capital", Decimal(1_000))
        with self.ledger.transaction("control") as tx:
            books.open_book(tx, KEY, Decimal(1_000), D0.open)
            books.put_nav(tx, Nav(KEY, str(D0.day), Decimal(1_000), Decimal(1_000), ZERO, ZERO))
        self.broker.mark(str(D0.day), D0.close, {"A": Decimal(88), "B": Decimal(11)}, {"A": None, "B": None})
        self.order("a", "A", 5)
        self.order("b", "B", 10)

    def order(self, id: str, asset: str, quantity: int) -> None:
        run = Run(f"run-{id}", RunKey("one", "main", str(D1.day), slot=id), str(D0.day), 0, D0.close, "ann")
        side, size = Side.BUY if quantity > 0 else Side.SELL, Decimal(abs(quantity))
        intent = Intent(id, run.id, run.key, 0, asset, side, size, Decimal(50))
        with self.ledger.transaction("plan") as tx:
            runs.open_run(tx, run, {})
            orders.plan(tx, [intent])
            orders.sending(tx, intent, self.clock.now())
            known = orders.get(tx.connection, id)
            assert known is not None
            orders.acknowledged(tx, known, id)
        self.broker.submit(OrderRequest(id, asset, side, size))

    def since(self, day: str) -> Closes:
        """What a feed gives: rows from a day on."""
        names = tuple(sorted(self.closes))
        rows = [(str(d.day), n) for n, d in enumerate(DAYS.values()) if str(d.day) >= day]
        values = [[np.nan if (v := self.closes[name][n]) is None else v for name in names] for _day, n in rows]
        dates = np.array([d for d, _n in rows], dtype="datetime64[D]")
        return Closes(dates, names, np.array(values, float).reshape(-1, len(names)), None, ())

    def follow(self, session: Session) -> dict[str, Decimal]:
        """At a minute after that session's close."""
        self.clock.turn(session.close + timedelta(minutes=1))

        def valued(_tx: Transaction, sessions: tuple[str, ...]) -> None:
            self.told.append(sessions)

        return follow(
            *(self.ledger, self.broker, CALENDAR, KEY, session, self.since, lambda: settle(self.ledger, self.broker)),
            self.actions,
            valued,
        )

    def navs(self) -> dict[str, tuple[float, ...]]:
        """By session: NAV, cash, gross, net, receivables."""
        with self.ledger.reading() as connection:
            found = books.navs(connection, KEY, str(D0.day))
        names = {str(d.day): n for n, d in DAYS.items()}
        return {names[n.session]: tuple(map(float, (n.nav, n.cash, n.gross, n.net, n.receivables))) for n in found}

    def close(self) -> None:
        self.broker.close()
        self.ledger.close()


@pytest.fixture
def streets(tmp_path: Path) -> Iterator[list[Street]]:
    made: list[Street] = []
    yield made
    for one in made:
        one.close()


def street(
    streets: list[Street],
    folder: Path,
    actions: Sequence[Action] = (),
    paper: Mapping[str, object] = FREE,
    **closes: Sequence[float | None],
) -> Street:
    place = folder / str(len(streets))
    place.mkdir()
    made = Street(place, closes, paper)
    made.actions = [*actions]
    streets.append(made)
    return made


ACTS = (
    act(D2, "A", ActionKind.SPLIT, "3/2"),  # seven, and half a share of 60 in cash
    act(D2, "B", ActionKind.DIVIDEND, cash=1.0, pay_date=D3.day),
    act(D3, "B", ActionKind.SPINOFF, "1/2", into="S"),
)
WORTH = {
    "D1": (1000, 450, 550, 550, 0),
    "D2": (1000, 480, 510, 510, 10),  # 7 at 60, 10 at 9
    "D3": (1007, 490, 517, 517, 0),  # 7 at 61, 10 at 7, 5 of S at 4
    "D4": (1014, 490, 524, 524, 0),  # 7 at 62
}


@pytest.mark.parametrize("steps", [(D1, D2, D3, D4), (D4,), (D2, D4), (D1, D4)])
def test_each_close_has_the_actions_up_to_it_however_late_it_is_valued(
    streets: list[Street], tmp_path: Path, steps: Sequence[Session]
) -> None:
    closes: dict[str, Any] = {"A": (90.0, 60.0, 61.0, 62.0), "B": (10.0, 9.0, 7.0, 7.0), "S": (NONE, NONE, 4.0, 4.0)}
    at = street(streets, tmp_path, ACTS, **closes)
    for session in steps:
        newest = at.follow(session)
    assert at.navs() == WORTH
    assert newest == {"A": 62, "B": 7, "S": 4}
    assert at.broker.positions() == {"A": 7, "B": 10, "S": 5}
    assert at.broker.account().cash == 490
    assert [day for days in at.told for day in days] == [str(d.day) for d in DAYS.values()]
    assert len(at.told) == len(steps)


def test_an_order_for_the_day_of_a_split_is_in_its_units(streets: list[Street], tmp_path: Path) -> None:
    """Five are seven and a half; three more are bought at that close: not four and a half, nor before the split."""
    at = street(streets, tmp_path, ACTS[:1], A=(90.0, 60.0, 60.0, 60.0), B=(10.0,) * 4)
    at.follow(D1)
    at.order("c", "A", 3)
    at.follow(D2)
    assert at.broker.positions() == {"A": 10, "B": 10}
    with at.ledger.reading() as connection:
        assert books.quantities(connection, KEY) == {"A": 10, "B": 10}
    assert at.navs()["D2"] == (1000, 300, 700, 700, 0)


def test_what_a_split_brings_may_be_sold_from_the_evening_before_on(streets: list[Street], tmp_path: Path) -> None:
    """Five are seven and a half from the next close on: seven may be sold, and no eight, where nothing is sold short."""
    at = street(streets, tmp_path, ACTS[:1], {**FREE, "shorting": False}, A=(90.0, 60.0, 60.0, 60.0), B=(10.0,) * 4)
    at.follow(D1)
    with pytest.raises(RejectedError):
        at.broker.submit(OrderRequest("eight", "A", Side.SELL, Decimal(8)))
    assert at.broker.submit(OrderRequest("seven", "A", Side.SELL, Decimal(7))).status is OrderStatus.NEW


def test_a_price_that_orders_were_judged_by_is_restated_once(streets: list[Street], tmp_path: Path) -> None:
    """B was sold: 10 by the last decision, two for one on a session without data; it is 5 however often asked."""
    split = act(D3, "B", ActionKind.SPLIT, "2")
    at = street(streets, tmp_path, [split], A=(90.0, 90.0, NONE, 90.0), B=(10.0, 10.0, NONE, NONE))
    at.follow(D1)
    at.order("s", "B", -10)
    at.follow(D2)
    run = Run("judged", RunKey("one", "main", str(D3.day)), str(D2.day), 0, D2.close, "ann")
    with at.ledger.transaction("plan") as tx:
        assert books.quantities(tx.connection, KEY) == {"A": 5}
        runs.open_run(tx, run, {})
        runs.mark_decided(tx, run)
        price_marks.put_marks(tx, run.id, {"B": Mark(Decimal(10))})
    for session in (D3, D3, D4):
        assert at.follow(session) == {"A": 90, "B": 5}


def test_an_asset_has_its_old_name_at_closes_before_a_renaming(streets: list[Street], tmp_path: Path) -> None:
    named = act(D3, "B", ActionKind.RENAME, into="N")
    at = street(streets, tmp_path, [named], A=(90.0,) * 4, B=(10.0, 11.0, NONE, NONE), N=(NONE, NONE, 12.0, 13.0))
    at.follow(D4)
    assert {day: nav[0] for day, nav in at.navs().items()} == {"D1": 1000, "D2": 1010, "D3": 1020, "D4": 1030}


def test_a_split_on_a_session_without_data_acts_on_the_next_one(streets: list[Street], tmp_path: Path) -> None:
    """Five at 90 are twenty at 22.5 until A has a price again, which it has not on the day when others have."""
    split = act(D2, "A", ActionKind.SPLIT, "4")
    at = street(streets, tmp_path, [split], A=(90.0, NONE, NONE, 23.0), B=(10.0, NONE, 10.0, 10.0))
    at.follow(D1)
    assert newest_prices(at.ledger, CALENDAR, KEY, D3, at.since, [split]) == {"A": Decimal("22.5"), "B": 10}
    assert at.follow(D2) == {"A": Decimal("22.5"), "B": 10}  # not valued, and in its units
    assert at.follow(D3) == {"A": Decimal("22.5"), "B": 10}
    assert at.navs() == {"D1": (1000, 450, 550, 550, 0), "D3": (1000, 450, 550, 550, 0)}
    assert at.follow(D4)["A"] == 23
    assert at.navs()["D4"] == (1010, 450, 560, 560, 0)


def test_all_at_once_over_a_session_without_data(streets: list[Street], tmp_path: Path) -> None:
    split = act(D2, "A", ActionKind.SPLIT, "4")
    at = street(streets, tmp_path, [split], A=(90.0, NONE, NONE, 23.0), B=(10.0, NONE, 10.0, 10.0))
    at.follow(D4)
    assert at.navs() == {
        "D1": (1000, 450, 550, 550, 0),
        "D3": (1000, 450, 550, 550, 0),
        "D4": (1010, 450, 560, 560, 0),
    }


def test_a_look_ahead_restates_what_has_no_price_since(streets: list[Street], tmp_path: Path) -> None:
    acts = [act(D2, "A", ActionKind.SPLIT, "3"), act(D4, "A", ActionKind.SPLIT, "2")]
    at = street(streets, tmp_path, acts, A=(90.0, NONE, NONE, NONE), B=(10.0, 10.0, 10.0, 10.0))
    at.follow(D1)
    for session, price in ((D1, 90), (D2, 30), (D3, 30), (D4, 15)):
        assert newest_prices(at.ledger, CALENDAR, KEY, session, at.since, acts)["A"] == price
    assert newest_prices(at.ledger, CALENDAR, KEY, D3, at.since)["A"] == 90  # nothing is listed


def test_the_prices_of_the_newest_nav_are_kept_with_their_days(streets: list[Street], tmp_path: Path) -> None:
    at = street(streets, tmp_path, A=(90.0, 91.0, 0.0, NONE), B=(10.0, 9.0, 0.5, 8.5), Z=(1.0, 1.0, 1.0, 1.0))
    at.follow(D3)
    with at.ledger.reading() as connection:
        assert price_marks.prices_of(connection, KEY) == {
            "A": Priced(Decimal(91), str(D2.day)),
            "B": Priced(Decimal("0.5"), str(D3.day)),
        }
    late = street(streets, tmp_path, A=(90.0, 91.0, 0.0, NONE), B=(10.0, 9.0, 0.5, 8.5))
    late.follow(D4)  # all at once
    with late.ledger.reading() as connection:
        assert price_marks.prices_of(connection, KEY)["A"] == Priced(Decimal(91), str(D2.day))
    at.follow(D4)
    with at.ledger.reading() as connection:
        known = price_marks.prices_of(connection, KEY)
    assert (known["A"], known["B"]) == (Priced(Decimal(91), str(D2.day)), Priced(Decimal("8.5"), str(D4.day)))


def test_what_a_person_entered_later_is_not_in_an_earlier_close(streets: list[Street], tmp_path: Path) -> None:
    """On the third day two A and 30 of cash came to the book by hand."""
    at = street(streets, tmp_path, A=(90.0, 90.0, 90.0, 90.0), B=(10.0, 10.0, 10.0, 10.0))
    at.follow(D1)
    came = Adjustment(KEY, "A", Decimal(2), Decimal(30), GapCause.TRADE, Decimal(90), str(D3.day), D2.close, "ann", "x")
    with at.ledger.transaction("adopt") as tx:
        adjustments.adjust(tx, (came,))
    at.follow(D4)
    assert at.navs() == {
        "D1": (1000, 450, 550, 550, 0),
        "D2": (1000, 450, 550, 550, 0),
        "D3": (1210, 480, 730, 730, 0),
        "D4": (1210, 480, 730, 730, 0),
    }


def test_a_book_is_worth_what_it_is_owed_too_and_knows_its_own_adoptions(streets: list[Street], tmp_path: Path) -> None:
    at = street(streets, tmp_path, ACTS[1:2], A=(90.0,) * 4, B=(10.0, 9.0, 9.0, 9.0))
    at.follow(D2)
    with at.ledger.transaction("adopt") as tx:
        books.open_book(tx, OTHER, Decimal(0), D0.open)
        action_rows.put_watermark(tx, KEY, "A", str(D1.day), "x")
        action_rows.put_watermark(tx, OTHER, "B", str(D1.day), "x")
        action_rows.put_watermark(tx, KEY, "", str(D0.day), "x")
    with at.ledger.reading() as connection:
        now = standing(connection, KEY, {"A": Decimal(90), "B": Decimal(9)})
    assert [float(v) for v in (now.worth, now.book.cash, now.book.receivables)] == [1000, 450, 10]
    assert now.adopted == {"A": str(D1.day)}
