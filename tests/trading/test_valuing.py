"""What a book is worth, by worked numbers: as of a close whatever came later, and over sessions that are valued at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from sigc.calendar.sessions import Session
from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.store.ledger import books, orders, price_marks, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, BookKey, Charge, Fill, Intent, Nav, Run, RunKey, Side
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import OrderRequest, UnreachableError
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.valuing import follow, nav_at, newest_prices, standing
from sigc_pipelines.prices.closes import Closes
from tests.trading.floor import weekdays

KEY = BookKey("one", "main")
CALENDAR = weekdays()
D1, D2, D3, D4 = CALENDAR.sessions(date(2016, 1, 4), date(2016, 1, 7))
HOUR = timedelta(hours=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A book of 1,000."""
    with Ledger.open(tmp_path, HandClock(D1.open), durable=False) as opened:
        with opened.transaction("control") as tx:
            books.open_book(tx, KEY, Decimal(1_000), D1.open)
        yield opened


def ordered(ledger: Ledger, id: str, asset: str, side: str, quantity: int) -> None:
    run = Run(f"run-{id}", RunKey("one", "main", str(D1.day), slot=id), str(D1.day), 0, D1.open, "ann")
    with ledger.transaction("plan") as tx:
        runs.open_run(tx, run, {})
        orders.plan(tx, [Intent(id, run.id, run.key, 0, asset, Side(side), Decimal(quantity), Decimal(50))])


def traded(
    ledger: Ledger, at: datetime, asset: str, side: str, quantity: int, price: str, commission: str = "0"
) -> None:
    """An order that is filled at once."""
    id = f"{asset}-{side}-{at.isoformat()}"
    ordered(ledger, id, asset, side, quantity)
    done = Fill(f"e-{id}", id, asset, Side(side), Decimal(quantity), Decimal(price), Decimal(commission), at)
    with ledger.transaction("fills") as tx:
        books.take_in(tx, (done,), (), "1")


def charged(ledger: Ledger, at: datetime, amount: str) -> None:
    with ledger.transaction("fills") as tx:
        books.take_in(tx, (), (Charge(at.isoformat(), "borrow", "", Decimal(amount), at),), "1")


def prices(**known: str) -> dict[str, Decimal]:
    return {asset: Decimal(price) for asset, price in known.items()}


def at_close(ledger: Ledger, session: Session, known: Mapping[str, Decimal]) -> tuple[Decimal, ...]:
    """NAV, cash, gross and net."""
    with ledger.reading() as connection:
        found = nav_at(connection, KEY, session, known)
    assert (found.book, found.session) == (KEY, str(session.day))
    return found.nav, found.cash, found.gross, found.net


def numbers(*values: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, values))


def test_a_close_is_valued_without_what_came_after_it(ledger: Ledger) -> None:
    traded(ledger, D1.close - HOUR, "A", "buy", 10, "50", "1")
    traded(ledger, D1.close, "C", "buy", 1, "7")  # the close's own auction
    traded(ledger, D2.close - HOUR, "A", "sell", 4, "60")
    traded(ledger, D2.close - HOUR, "C", "sell", 1, "9")  # held at the first close, and no more
    traded(ledger, D2.close - HOUR, "B", "sell", 5, "20")
    charged(ledger, D1.close, "-2")
    charged(ledger, D2.close, "-3")
    first, second = prices(A="55", B="21", C="8"), prices(A="58", B="22", C="10")
    # 1,000 - 501 - 7 - 2; 10 x 55 + 8
    assert at_close(ledger, D1, first) == numbers("1048", "490", "558", "558")
    # 490 + 240 + 9 + 100 - 3; 6 x 58 beside 5 x 22 short
    assert at_close(ledger, D2, second) == numbers("1074", "836", "458", "238")
    assert at_close(ledger, D3, second) == at_close(ledger, D2, second)


def test_a_short_position_that_was_bought_back_later(ledger: Ledger) -> None:
    traded(ledger, D1.close - HOUR, "A", "sell", 10, "50", "1")
    traded(ledger, D2.close - HOUR, "A", "buy", 13, "40", "1")
    assert at_close(ledger, D1, prices(A="45")) == numbers("1049", "1499", "450", "-450")
    assert at_close(ledger, D2, prices(A="41")) == numbers("1101", "978", "123", "123")


def test_a_position_without_a_price_counts_at_its_average(ledger: Ledger) -> None:
    traded(ledger, D1.close - HOUR, "A", "buy", 10, "50")
    traded(ledger, D1.close - HOUR, "B", "sell", 10, "20")
    assert at_close(ledger, D1, {}) == numbers("1000", "700", "700", "300")
    with ledger.reading() as connection:
        now = standing(connection, KEY, prices(B="25", Z="1"))
        assert (now.worth, now.book.cash) == numbers("950", "700")  # 700 + 500 - 250
        assert now.positions == {"A": 10, "B": -10}
        assert now.prices == {"A": 50, "B": 25, "Z": 1}
        with pytest.raises(KeyError, match="there is no book"):
            standing(connection, BookKey("other", "main"), {})


def test_cents_are_rounded_to_even(ledger: Ledger) -> None:
    traded(ledger, D1.close - HOUR, "A", "buy", 1, "0")
    assert at_close(ledger, D1, prices(A="0.125")) == numbers("1000.12", "1000", "0.12", "0.12")
    assert at_close(ledger, D1, prices(A="0.135")) == numbers("1000.14", "1000", "0.14", "0.14")


class Market:
    """Closes of A, None where there is none, and a paper broker that is told of them."""

    def __init__(self, folder: Path, ledger: Ledger, **known: float | None) -> None:
        free = {"slippage_bps": 0, "commission_bps": 0, "commission_per_share": 0, "min_commission": 0}
        assert isinstance(ledger.clock, HandClock)
        self.ledger, self.clock = ledger, ledger.clock
        self.broker = PaperBroker(
            folder / "paper.sqlite", PaperSettings.model_validate(free), ledger.clock, durable=False
        )
        self.broker.deposit("capital", Decimal(1_000))
        self.closes = known
        self.asked: list[str] = []

    def since(self, day: str) -> Closes:
        """What a feed gives: rows from a day on; a day whose close is None is there, without a price."""
        self.asked.append(day)
        rows = {str(d.day): self.closes[n] for n, d in _NAMED.items() if n in self.closes and str(d.day) >= day}
        values = np.array([[np.nan if v is None else v] for v in rows.values()]).reshape(-1, 1)
        return Closes(np.array(list(rows), dtype="datetime64[D]"), ("A",), values, None)

    def follow(self, session: Session) -> dict[str, Decimal]:
        """At a minute after that session's close."""
        self.clock.turn(session.close + timedelta(minutes=1))
        take_in = lambda: settle(self.ledger, self.broker)  # noqa: E731
        return follow(self.ledger, self.broker, CALENDAR, KEY, session, self.since, take_in)

    def navs(self) -> list[tuple[str, Decimal | int]]:
        with self.ledger.reading() as connection:
            return [(nav.session, nav.nav) for nav in books.navs(connection, KEY)]


_NAMED = {"D1": D1, "D2": D2, "D3": D3, "D4": D4}


@pytest.fixture
def market(tmp_path: Path, ledger: Ledger) -> Iterator[Market]:
    """Prices of four sessions; none on the third."""
    made = Market(tmp_path, ledger, D1=100.0, D2=101.0, D3=None, D4=103.0)
    yield made
    made.broker.close()


def test_several_sessions_are_valued_at_once_each_at_its_own_close(market: Market) -> None:
    assert market.follow(D1) == {"A": 100}
    assert market.navs() == [(str(D1.day), 1_000)]
    ordered(market.ledger, "x", "A", "buy", 2)
    with market.ledger.transaction("send") as tx:
        orders.sending(tx, orders.in_flight(tx.connection)[0], market.clock.now())
        orders.acknowledged(tx, orders.in_flight(tx.connection)[0], "b")
    market.broker.submit(OrderRequest("x", "A", Side.BUY, Decimal(2)))
    assert newest_prices(market.ledger, CALENDAR, KEY, D4, market.since) == {"A": 103}
    assert market.navs() == [(str(D1.day), 1_000)]  # looking changes nothing
    # Filled at the second's close of 101; the third has no data, and is passed over.
    assert market.follow(D4) == {"A": 103}
    assert market.navs() == [(str(D1.day), 1_000), (str(D2.day), 1_000), (str(D4.day), 1_004)]
    assert market.asked == [str(D1.day), str(D2.day), str(D2.day)]
    assert market.broker.account().equity == 1_004
    # Again: nothing new, and the same prices; as of an earlier session none of the later ones.
    assert market.follow(D4) == {"A": 103}
    assert len(market.navs()) == 3
    assert newest_prices(market.ledger, CALENDAR, KEY, D2, market.since) == {"A": 101}
    assert market.asked[3:] == [str(D4.day), str(D2.day)]


def test_a_session_is_left_until_it_has_data(market: Market) -> None:
    market.follow(D1)
    assert market.follow(D3) == {"A": 101}
    assert [day for day, _ in market.navs()] == [str(D1.day), str(D2.day)]
    market.closes["D3"] = 102.0
    assert market.follow(D3) == {"A": 102}
    assert [day for day, _ in market.navs()] == [str(D1.day), str(D2.day), str(D3.day)]


def test_a_price_that_was_known_before_is_the_newest(market: Market) -> None:
    """The newest run was judged by it, and none has come since."""
    market.follow(D2)
    ordered(market.ledger, "x", "A", "buy", 2)
    with market.ledger.transaction("plan") as tx:
        price_marks.put_marks(tx, "run-x", {"A": price_marks.Mark(Decimal(99)), "B": price_marks.Mark(Decimal(7))})
        runs.mark_decided(tx, runs.find(tx.connection, "run-x"))
    assert market.follow(D3) == {"A": 99, "B": 7}
    assert newest_prices(market.ledger, CALENDAR, KEY, D4, market.since) == {"A": 103, "B": 7}


def test_no_session_is_valued_on_fills_that_are_not_known(market: Market) -> None:
    def silent() -> None:
        raise UnreachableError("no answer")

    with pytest.raises(UnreachableError):
        follow(market.ledger, market.broker, CALENDAR, KEY, D1, market.since, silent)
    assert market.navs() == []
    assert market.follow(D1) == {"A": 100}
    assert market.navs() == [(str(D1.day), 1_000)]


def test_a_session_that_is_known_is_left_as_it_is(market: Market) -> None:
    with market.ledger.transaction("fills") as tx:
        books.put_nav(tx, Nav(KEY, str(D2.day), Decimal(5), Decimal(5), ZERO, ZERO))
    market.follow(D2)
    assert market.follow(D1) == {"A": 100}
    assert market.navs() == [(str(D2.day), 5)]
