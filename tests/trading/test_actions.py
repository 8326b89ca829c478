"""Corporate actions at a paper broker and in the ledger: both the same after every session, and nothing won or lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from sigc.actions import Action, ActionKind
from sigc.calendar.sessions import Session
from sigc.clock import HandClock
from sigc.config.settings import PaperSettings
from sigc.failpoint import arm
from sigc.lang.semantics.rebalance import Rebalance
from sigc.store.ledger import action_booking as booking
from sigc.store.ledger import action_rows, books, orders, price_marks, proof, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Intent, Nav, Outcome, Run, RunKey, Side
from sigc_pipelines.backtest.backtest import pick
from sigc_pipelines.backtest.replay import replay
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import OrderRequest, OrderStatus
from sigc_pipelines.compute import load
from sigc_pipelines.live.apply_fills import settle
from sigc_pipelines.live.due_actions import scheduled
from sigc_pipelines.live.valuing import follow, standing
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.prices.units import owed_at, restated_positions, restated_price
from sigc_pipelines.reconcile.differences import differences
from tests.trading.floor import weekdays
from tests.trading.script import DAYS as SCRIPT
from tests.trading.script import written

ONE, TWO = BookKey("one", "main"), BookKey("two", "main")
CALENDAR = weekdays()
DAYS = CALENDAR.sessions(date(2016, 1, 4), date(2016, 1, 22))
CAPITAL = Decimal(1_000_000)
FREE = {
    "slippage_bps": 0,
    "commission_bps": 0,
    "commission_per_share": 0,
    "min_commission": 0,
    "borrow_bps": 0,
    "leverage": 10,
}
NAMES = ("A", "B", "C", "D")
RATIOS = (Fraction(2), Fraction(1, 2), Fraction(4), Fraction(1, 4))


class Market:
    """A market in which nothing is won or lost: prices move by corporate actions alone."""

    def __init__(
        self, folder: Path, actions: Sequence[Action], *, is_flat: bool = False, borrow_bps: float = 0.0
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = HandClock(DAYS[0].open)
        self.stack = ExitStack()
        self.ledger = self.stack.enter_context(Ledger.open(folder, self.clock, durable=False))
        self.broker = PaperBroker(
            folder / "paper.sqlite",
            PaperSettings.model_validate({**FREE, "borrow_bps": borrow_bps}),
            self.clock,
            durable=False,
        )
        self.stack.callback(self.broker.close)
        self.actions = actions
        self.listed: list[Action] = list(actions)
        self.number = 0
        self.closes = _prices(() if is_flat else actions, 64.0)
        with self.ledger.transaction("control") as tx:
            for key in (ONE, TWO):
                books.open_book(tx, key, CAPITAL, DAYS[0].open, "2015-12-31")
        for key in (ONE, TWO):
            self.broker.deposit(key.strategy, CAPITAL)

    def __enter__(self) -> Market:
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def order(self, key: BookKey, asset: str, quantity: int) -> str:
        """Sent now, for the next session."""
        self.number += 1
        id, side = f"o{self.number}", Side.BUY if quantity > 0 else Side.SELL
        size, now = Decimal(abs(quantity)), self.clock.now()
        run = Run(f"r{id}", RunKey(key.strategy, key.portfolio, str(now.date()), slot=id), str(now.date()), 0, now, "")
        intent = Intent(id, run.id, run.key, 0, asset, side, size, Decimal(50))
        with self.ledger.transaction("intents") as tx:
            runs.open_run(tx, run, {})
            runs.close_run(tx, run, now, Outcome.DONE, "")
            orders.plan(tx, [intent])
            orders.sending(tx, intent, now)
        sent = self.broker.submit(OrderRequest(id, asset, side, size))
        with self.ledger.transaction("acknowledge") as tx:
            orders.acknowledged(tx, intent, sent.broker_order_id)
        return id

    def since(self, day: str) -> Closes:
        at = int(np.searchsorted(self.closes.dates, np.datetime64(day, "D")))
        return Closes(self.closes.dates[at:], NAMES, self.closes.prices[at:], None)

    def follow(self, session: Session, *keys: BookKey) -> None:
        """A minute after that close; ledger and broker must agree whenever they are compared."""
        self.clock.turn(max(self.clock.now(), session.close + timedelta(minutes=1)))
        for key in keys or (ONE, TWO):
            follow(
                *(self.ledger, self.broker, CALENDAR, key, session, self.since, self.agree),
                self.listed,
            )

    def agree(self) -> None:
        settle(self.ledger, self.broker)
        assert differences(self.ledger, self.broker) == ()
        with self.ledger.reading() as connection:
            assert proof.faults(connection) == ()

    def navs(self, key: BookKey) -> tuple[Nav, ...]:
        with self.ledger.reading() as connection:
            return books.navs(connection, key)

    def has(self, key: BookKey) -> tuple[Any, ...]:
        """What is held, cash, receivables."""
        with self.ledger.reading() as connection:
            book = books.book(connection, key)
            assert book is not None
            return books.quantities(connection, key), book.cash, book.receivables


def _prices(actions: Iterable[Action], first: float) -> Closes:
    """Prices as traded over `DAYS`: what is worth 64.00 on the first day is worth that on the last."""
    rows, now = [], dict.fromkeys(NAMES, Fraction(first))
    for session in DAYS:
        for kind in (ActionKind.SPLIT, ActionKind.DIVIDEND, ActionKind.SPINOFF):
            for one in actions:
                if one.kind is kind and _session(one) == session:
                    now[one.asset] = now[one.asset] / one.ratio if kind is ActionKind.SPLIT else now[one.asset]
                    now[one.asset] -= Fraction(one.cash) if kind is not ActionKind.SPLIT else 0
        rows.append([float(now[name]) for name in NAMES])
    return Closes(np.array([s.day for s in DAYS], dtype="datetime64[D]"), NAMES, np.array(rows), None)


def _session(one: Action) -> Session:
    return CALENDAR.session_on(one.ex_date) or CALENDAR.after(one.ex_date)


def at(place: int) -> date:
    return DAYS[place].day


def split(asset: str, ratio: int | Fraction, place: int) -> Action:
    return Action(at(place), asset, ActionKind.SPLIT, Fraction(ratio))


def dividend(asset: str, cash: float, place: int, pay: int | None = None) -> Action:
    return Action(at(place), asset, ActionKind.DIVIDEND, cash=cash, pay_date=None if pay is None else at(pay))


def history(dice: Random) -> list[Action]:
    """Some actions of three assets; D has none."""
    found = {}
    for _ in range(dice.randint(2, 7)):
        asset, place = dice.choice("ABC"), dice.randint(1, len(DAYS) - 2)
        if dice.random() < 0.5:
            one = split(asset, dice.choice(RATIOS), place)
        else:
            pay = dice.choice([None, dice.randint(place, len(DAYS) - 1)])
            one = dividend(asset, dice.choice([0.5, 0.25, 1.0]), place, pay)
        found[one.key] = one
    return list(found.values())


def traded(market: Market, seed: int, known: Any = None, gap: float = 0.0) -> None:
    """Random orders of two books over all days. known: of actions and a day, which are listed; gap: days not looked at."""
    dice, pauses = Random(seed), Random(seed + 1)
    held = dict.fromkeys(((key, name) for key in (ONE, TWO) for name in NAMES), 0)
    for number, session in enumerate(DAYS):
        if known is not None:
            market.listed = known(market.actions, number)
        if number in (0, len(DAYS) - 1) or pauses.random() >= gap:
            market.follow(session)
        market.clock.turn(max(market.clock.now(), session.close + timedelta(minutes=1)))
        for key, name in held:
            if dice.random() < 0.3:
                market.order(key, name, dice.choice([-1, 1]) * dice.randint(1, 99))


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_won_or_lost(tmp_path: Path, seed: int) -> None:
    """By any split or dividend, at any close, valued each day or days later at once; and both sides agree."""
    dice = Random(seed)
    with Market(tmp_path, history(dice)) as market:
        traded(market, seed, gap=dice.choice([0.0, 0.5, 1.0]))
        for key in (ONE, TWO):
            navs = market.navs(key)
            assert len(navs) == len(DAYS)
            assert max(abs(nav.nav - CAPITAL) for nav in navs) <= Decimal("0.05")  # cents of fractions
        account = market.broker.account()
        both = sum(nav.nav - nav.receivables for nav in (market.navs(ONE)[-1], market.navs(TWO)[-1]))
        assert abs(account.equity - both) <= Decimal("0.02")


@pytest.mark.parametrize("seed", range(6))
def test_late_lists_come_to_the_same(tmp_path: Path, seed: int) -> None:
    """Days late, gone in between, looked at rarely: positions, cash and what is owed are those of a book in time."""
    actions = history(Random(seed))
    dice = Random(seed + 100)

    def known(all: Sequence[Action], day: int) -> list[Action]:
        return list(all) if day == len(DAYS) - 1 else [a for a in all if dice.random() < 0.5]

    with Market(tmp_path / "early", actions) as early, Market(tmp_path / "late", actions) as late:
        traded(early, seed)
        traded(late, seed, known, gap=0.4)
        for key in (ONE, TWO):
            assert early.has(key) == late.has(key)


def anything(dice: Random) -> list[Action]:
    """Actions of every kind, one of a key; an asset gets one name at a time."""
    found: dict[object, Action] = {}
    for _ in range(dice.randint(3, 9)):
        asset, into = dice.sample("ABCD", 2)
        place = dice.randint(1, len(DAYS) - 2)
        pay = dice.choice([None, at(dice.randint(place, len(DAYS) - 1))])
        ratio = dice.choice((Fraction(2), Fraction(1, 3), Fraction(3, 7)))
        kind = dice.choice(list(ActionKind))
        match kind:
            case ActionKind.DELIST:
                value, total = dice.choice([(3.33, None), (None, -0.3)])
                one = Action(at(place), asset, kind, value=value, total_return=total, pay_date=pay)
            case ActionKind.SPLIT | ActionKind.RENAME:
                one = Action(at(place), asset, kind, ratio if kind is ActionKind.SPLIT else Fraction(1), into=into)
            case _:
                one = Action(at(place), asset, kind, ratio, 0.37, into, pay_date=pay)
        if kind in (ActionKind.SPLIT, ActionKind.DIVIDEND):
            one = replace(one, into="")
        found[(kind, place, asset) if kind is ActionKind.RENAME else one.key] = one
    return list(found.values())


@pytest.mark.parametrize("seed", range(20))
def test_both_agree_whatever_happens(tmp_path: Path, seed: int) -> None:
    """Every kind of action, late and in time, longs and shorts that pay to borrow: to the share and to the cent."""
    dice = Random(1000 + seed)

    def known(all: Sequence[Action], day: int) -> list[Action]:
        return [a for a in all if day == len(DAYS) - 1 or dice.random() < 0.8]

    with Market(tmp_path, anything(dice), is_flat=True, borrow_bps=300) as market:
        traded(market, seed, known, gap=dice.choice([0.0, 0.4]))
        assert differences(market.ledger, market.broker) == ()


class DeadError(BaseException):
    """Stands for a process that ends there."""


def caught_up(folder: Path, dies_at: int) -> tuple[object, int]:
    """Two weeks looked at at once, interrupted at the n-th point that is passed; what is booked, and points passed."""
    actions = [dividend("A", 0.5, 2, 6), split("A", 4, 3), split("B", Fraction(1, 4), 5), dividend("B", 1.0, 5, 8)]
    with Market(folder, actions) as market:
        market.follow(DAYS[0])
        market.order(ONE, "A", 101)
        market.order(TWO, "B", -33)
        passed = 0

        def pass_by(point: str) -> None:
            nonlocal passed
            passed += point.startswith("act")
            if passed == dies_at:
                arm(None)
                raise DeadError

        arm(pass_by)
        try:
            with suppress(DeadError):
                market.follow(DAYS[9])
        finally:
            arm(None)
        market.follow(DAYS[9])
        charges = [(c.kind, c.asset, c.amount) for c in market.broker.activities("").charges]
        with market.ledger.reading() as connection:
            entries = [
                [(e.number, e.key, e.step, e.amounts) for e in action_rows.entries_of_book(connection, key)]
                for key in (ONE, TWO)
            ]
        return (sorted(charges), entries, market.has(ONE), market.has(TWO), market.navs(ONE), market.navs(TWO)), passed


def test_a_catching_up_that_is_interrupted_ends_as_calm(tmp_path: Path) -> None:
    """At each point: no payment is taken back and made again."""
    calm, points = caught_up(tmp_path / "calm", 0)
    assert points > 10
    for number in range(1, points + 1):
        found, _ = caught_up(tmp_path / str(number), number)
        assert found == calm, number


def test_a_renaming_that_died_halfway_is_gone_on_with(tmp_path: Path) -> None:
    """It was written down, and neither broker nor ledger had moved anything."""
    with Market(tmp_path, ()) as market:
        market.follow(DAYS[0])
        market.order(ONE, "A", 100)
        market.order(TWO, "A", 10)
        market.follow(DAYS[1])
        with market.ledger.transaction("actions") as tx:
            booking.plan_rename(tx, ONE, "A", "Z", "ann", "so")
        assert market.has(ONE)[0] == {"A": 100}
        market.follow(DAYS[2])
        assert (market.has(ONE)[0], market.has(TWO)[0]) == ({"Z": 100}, {"Z": 10})
        assert market.broker.positions() == {"Z": 110}


def test_a_split_between_two_sessions(tmp_path: Path) -> None:
    """An order sent for the ex-date is in its units; what is held before it is multiplied."""
    with Market(tmp_path, [split("A", 4, 3), dividend("A", 0.5, 3, 5)]) as market:
        market.follow(DAYS[0])
        market.order(ONE, "A", 100)
        market.follow(DAYS[2])
        market.order(ONE, "A", 40)
        market.follow(DAYS[3])
        assert market.has(ONE) == ({"A": 440}, CAPITAL - 6400 - 40 * Decimal("15.5"), 200)
        assert market.broker.positions() == {"A": 440}
        assert market.broker.account().cash == 2 * CAPITAL - 6400 - 620
        assert [nav.receivables for nav in market.navs(ONE)] == [0, 0, 0, 200]
        market.follow(DAYS[5])
        assert market.has(ONE)[2] == 0
        assert market.broker.account().cash == 2 * CAPITAL - 6400 - 620 + 200
        charge = market.broker.activities("").charges
        assert [f"{c.kind} {c.asset} {c.amount}" for c in charge] == ["action dividend A 200.00"]


def test_days_without_data_and_an_ex_date_on_a_weekend(tmp_path: Path) -> None:
    """It acts on the next session, though the data lack the asset there: its last price is restated."""
    saturday = DAYS[4].day + timedelta(days=1)
    with Market(tmp_path, [Action(saturday, "A", ActionKind.SPLIT, Fraction(2))]) as market:
        market.closes.prices[5:, 0] = np.nan
        market.follow(DAYS[0])
        market.order(ONE, "A", 100)
        market.follow(DAYS[4])
        market.follow(DAYS[8], ONE)
        assert market.has(ONE)[0] == {"A": 200}
        assert [nav.nav for nav in market.navs(ONE)] == [CAPITAL] * 9
        with market.ledger.reading() as connection:
            assert price_marks.last_prices(connection, ONE) == {}  # no run was decided here


def test_a_halted_asset_is_worth_its_last_close(tmp_path: Path) -> None:
    """Not what it cost, nor what the newest run was judged by: 80 from the third close on, none from the sixth, over a
    split; each session is valued by a process that reads the closes of that session alone."""
    with Market(tmp_path, [split("A", 2, 6)]) as market:
        market.closes.prices[2:, 0] = 80.0
        market.closes.prices[5:9, 0] = np.nan
        market.closes.prices[9:, 0] = 41.0
        market.follow(DAYS[0])
        market.order(ONE, "A", 100)
        for session in DAYS[1:10]:
            market.follow(session, ONE)
        assert [nav.nav - CAPITAL for nav in market.navs(ONE)] == [0, 0, *[1_600] * 7, 1_800]


def test_old_orders_in_units_that_are_no_more_expire(tmp_path: Path) -> None:
    """Sent before the close before, and not met by its mark, as the asset was not in the data then."""
    with Market(tmp_path, [split("A", 2, 3)]) as market:
        market.follow(DAYS[0])
        market.broker.mark("2016-01-04", DAYS[0].close, {"Z": Decimal(10)}, {})
        market.clock.turn(DAYS[0].close + timedelta(minutes=1))
        market.order(ONE, "A", 100)
        market.follow(DAYS[1])
        stale = market.broker.submit(OrderRequest("by hand", "A", Side.BUY, Decimal(5)))
        assert stale.status is OrderStatus.NEW
        market.closes.prices[2, 0] = np.nan
        market.broker.act(str(DAYS[3].day), DAYS[3].close, ())
        dues = [due for one in market.actions if (due := scheduled(one, CALENDAR)) is not None]
        market.broker.act(str(DAYS[3].day), DAYS[3].close, dues)
        found = market.broker.order("by hand")
        assert found is not None
        assert found.status is OrderStatus.EXPIRED
        assert market.broker.positions() == {"A": 200}


def test_books_that_hold_against_each_other(tmp_path: Path) -> None:
    """101 and -101 are nothing to the broker: what one book gets the other pays."""
    with Market(tmp_path, [split("A", Fraction(1, 2), 3), dividend("A", 0.5, 4)]) as market:
        market.follow(DAYS[0])
        market.order(ONE, "A", 101)
        market.order(TWO, "A", -101)
        market.follow(DAYS[4])
        (one, cash_one, _), (two, cash_two, _) = market.has(ONE), market.has(TWO)
        assert one["A"] + two["A"] == 0
        assert cash_one + cash_two == 2 * CAPITAL
        assert market.broker.positions() == {}


def test_the_standing_of_a_book_counts_what_is_owed(tmp_path: Path) -> None:
    with Market(tmp_path, [dividend("A", 1.0, 2, 6)]) as market:
        market.follow(DAYS[0])
        market.order(ONE, "A", 100)
        market.follow(DAYS[2])
        with market.ledger.reading() as connection:
            now = standing(connection, ONE, {"A": Decimal(63)})
        assert now.worth == CAPITAL


# Before the ledger has it.


def test_positions_in_the_units_of_the_session_to_trade() -> None:
    """As of 2014-06-06: 100 AAPL at 645.57 are 700 at 92.22 for 2014-06-09."""
    seven = Action(date(2014, 6, 9), "AAPL", ActionKind.SPLIT, Fraction(7))
    held = {"AAPL": Decimal(100), "MSFT": Decimal(-5)}
    assert restated_positions(held, [seven], "2014-06-09") == {"AAPL": 700, "MSFT": -5}
    assert restated_positions(held, [seven], "2014-06-06") == held
    price = restated_price(Decimal("645.57"), [seven], "2014-06-09")
    assert round(price, 2) == Decimal("92.22")
    assert abs(700 * price - 100 * Decimal("645.57")) < Decimal("1e-20")
    paid = Action(date(2014, 6, 9), "AAPL", ActionKind.DIVIDEND, cash=0.5)
    assert restated_price(Decimal("645.57"), [paid, seven], "2014-06-09") == price - Decimal("0.5")
    assert owed_at(held, [paid, seven], "2014-06-09") == 350
    assert owed_at(held, [paid, seven], "2014-06-06") == 0


def test_positions_that_become_others() -> None:
    day = date(2024, 5, 6)
    actions = [
        Action(day, "A", ActionKind.RENAME, into="AA"),
        Action(day, "B", ActionKind.DELIST, total_return=-0.5),
        Action(day, "C", ActionKind.MERGE, Fraction(3, 2), 1.0, "D"),
    ]
    held = {name: Decimal(11) for name in "ABC"}
    assert restated_positions(held, actions, "2024-05-06", {"B": Decimal(8)}) == {"AA": 11, "D": 16}
    assert restated_positions(held, actions, "2024-05-06") == {"AA": 11, "B": 11, "D": 16}
    assert (
        owed_at(held, actions, "2024-05-06", {"B": Decimal(8), "C": Decimal(4)}) == 44 + 11 + 1
    )  # half of (4 - 1) / 1.5


def test_a_replay_over_a_split_and_a_dividend(tmp_path: Path) -> None:
    """By orders, prices as traded: what is held follows the split, and nothing is won or lost but the dividend's price."""
    day = date.fromisoformat
    here = written(tmp_path, {"A": 0.5, "B": 0.25}, {"A": [64.0] * 4 + [16.0] * 6, "B": [64.0] * 5 + [63.0] * 5})
    space = replace(here.space, max_return=100.0)
    loaded = load(here.strategy, space)
    actions = (
        Action(day(SCRIPT[4]), "A", ActionKind.SPLIT, Fraction(4)),
        Action(day(SCRIPT[5]), "B", ActionKind.DIVIDEND, cash=1.0, pay_date=day(SCRIPT[7])),
    )
    loaded = replace(loaded, catalog=replace(loaded.catalog, actions=actions))
    portfolio = pick(loaded)
    once = {"rebalance": Rebalance(rows=1_000)}
    told = replay(loaded, space, portfolio, here.config, here.calendar, capital=1e6, overrides=once)
    rows = [str(d) for d in told.result.dates.astype("datetime64[D]")]
    first = rows.index(SCRIPT[2])
    assert np.abs(told.result.returns[first:]).max() < 1e-9
    held = told.result.weights.values[first:]
    assert np.abs(held[:, 0] - 0.5).max() < 1e-4
    assert held[0, 1] == pytest.approx(0.25, abs=1e-4)
    assert held[-1, 1] == pytest.approx(0.25 * 63 / 64, abs=1e-4)


def test_the_broker_values_what_it_holds_in_the_units_of_the_session(tmp_path: Path) -> None:
    """Before the session's mark: by a split nothing is won, a dividend leaves the price, a new name keeps it."""
    renamed = Action(at(4), "A", ActionKind.RENAME, into="Z")
    actions = [split("A", 4, 2), dividend("A", 0.5, 2, 3), renamed]
    with Market(tmp_path, actions) as market:
        market.follow(DAYS[0])
        market.order(ONE, "A", 100)
        market.follow(DAYS[1])
        dues = [due for one in actions if (due := scheduled(one, CALENDAR)) is not None]
        equity = market.broker.account().equity
        for _ in range(2):
            market.broker.act(str(at(2)), DAYS[2].close, dues[:2])
            assert equity - market.broker.account().equity == 200  # owed, and not cash yet: 400 x 0.50
        market.broker.mark(str(at(2)), DAYS[2].close, {"A": Decimal("15.5")}, {})
        assert equity - market.broker.account().equity == 200
        market.broker.act(str(at(4)), DAYS[4].close, dues)
        assert market.broker.positions() == {"Z": 400}
        assert market.broker.account().equity == equity


def test_what_is_known_late_does_not_touch_a_price_of_after(tmp_path: Path) -> None:
    with Market(tmp_path, [split("A", 4, 2)]) as market:
        market.listed = []
        market.follow(DAYS[0])
        market.order(ONE, "A", 100)
        market.follow(DAYS[2])
        wrong = market.broker.account().equity
        dues = [due for one in market.actions if (due := scheduled(one, CALENDAR)) is not None]
        market.broker.act(str(at(2)), DAYS[2].close, dues)
        assert market.broker.account().equity - wrong == 300 * 16


def test_an_order_that_expires_gives_its_buying_power_back(tmp_path: Path) -> None:
    with Market(tmp_path, [split("A", 2, 3)]) as market:
        market.follow(DAYS[1])
        power = market.broker.account().buying_power
        market.broker.submit(OrderRequest("by hand", "A", Side.BUY, Decimal(1000)))
        market.broker.submit(OrderRequest("of B", "B", Side.BUY, Decimal(10)))
        dues = [due for one in market.actions if (due := scheduled(one, CALENDAR)) is not None]
        market.broker.act(str(at(3)), DAYS[3].close, dues)
        assert power - market.broker.account().buying_power == 640  # of B alone
