"""Closing out called directly, on a ledger written row by row: what is recorded, and how orders are sized."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from sigc.actions import Action, ActionKind
from sigc.clock import HandClock
from sigc.config.settings import AccountSettings, SafetySettings
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import action_rows, books, orders, price_marks, runs
from sigc.store.ledger.action_effects import DueAction
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.price_marks import Mark, Priced
from sigc.store.ledger.records import (
    ZERO,
    BookKey,
    Fill,
    Intent,
    IntentState,
    OrderType,
    Outcome,
    Run,
    RunKey,
    Side,
    StageName,
    TimeInForce,
)
from sigc_pipelines.brokers.faulty import Faults
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.live.session import instant_of, moment
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.records.artifacts import folder_of, read_weights
from sigc_pipelines.stopping.closing_out import ClosedBook, close_out, closing_limits
from tests.trading.floor import weekdays
from tests.trading.script import D1, D2, D3, Hooked, free

KEY = BookKey("scripted", "main")
CALENDAR = weekdays()
MILLION = Decimal(1_000_000)
Volumes = Mapping[str, tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Desk:
    """A ledger with one book, after the close of D2, and a paper broker that takes orders for D3."""

    trading: Trading
    broker: Hooked
    begun: datetime

    def bought(self, run: str, session: str, held: Mapping[str, tuple[float, str]], slot: str = "") -> None:
        """A run whose orders were filled: signed quantities and prices, by asset."""
        one = Run(run, RunKey("scripted", "main", session, slot=slot), D1, 0, self.begun, "ann")
        filled = []
        with self.trading.ledger.transaction("plan") as tx:
            runs.open_run(tx, one, {})
            for place, (asset, (quantity, price)) in enumerate(held.items()):
                side = Side.BUY if quantity > 0 else Side.SELL
                intent = Intent(f"{run}-{asset}", run, one.key, place, asset, side, Decimal(abs(quantity)), Decimal(1))
                orders.plan(tx, [intent])
                filled.append(
                    Fill(
                        f"of-{run}-{asset}",
                        f"{run}-{asset}",
                        asset,
                        side,
                        intent.quantity,
                        Decimal(price),
                        ZERO,
                        self.begun,
                    )
                )
            books.take_in(tx, tuple(filled), (), "")
            runs.close_run(tx, one, self.begun, Outcome.DONE, "")

    def decided(self, run: str, marks: Mapping[str, str], bounds: Volumes = MappingProxyType({}), **said: Any) -> None:
        """Its decision: prices, and (higher price, mean value traded) of assets."""
        texts = {asset: ["0", "1", high, volume] for asset, (high, volume) in bounds.items()}
        with self.trading.ledger.transaction("decide") as tx:
            price_marks.put_marks(tx, run, {a: Mark(Decimal(p), f"of {a}") for a, p in marks.items()})
            found = runs.find(tx.connection, run)
            runs.mark_decided(tx, found)
            tx.audit(AuditEvent("run.decided", {"bounds": texts, "off": [], **said}, run, "scripted", "main"))

    def open_order(self, asset: str, quantity: int, session: str = D3) -> None:
        """An order that the broker may have."""
        one = Run(f"open-{asset}", RunKey("scripted", "main", session, slot=asset), D2, 0, self.begun, "ann")
        side = Side.BUY if quantity > 0 else Side.SELL
        with self.trading.ledger.transaction("plan") as tx:
            runs.open_run(tx, one, {})
            orders.plan(tx, [Intent(one.id, one.id, one.key, 0, asset, side, Decimal(abs(quantity)), Decimal(1))])

    def close(self, **theirs: int) -> ClosedBook:
        """Close the book out. theirs: what the broker holds."""
        at = moment(CALENDAR, self.trading.clock.now(), "close-5m")
        held = {asset: Decimal(quantity) for asset, quantity in theirs.items()}
        return close_out(self.trading, KEY, at, held, "bob", "enough")

    def closing_runs(self) -> list[Run]:
        """Closing runs, oldest first."""
        with self.trading.ledger.reading() as connection:
            return [run for run in runs.recent(connection)[::-1] if run.key.slot == "flatten"]

    def said(self, run: str) -> dict[str, Any]:
        """The decision of a run."""
        with self.trading.ledger.reading() as connection:
            return runs.decision_of(connection, run)

    def marks(self, run: str) -> dict[str, Mark]:
        """The prices of a run."""
        with self.trading.ledger.reading() as connection:
            return price_marks.marks_of(connection, run)


@contextmanager
def opened(
    folder: Path, *, capital: Decimal = MILLION, can: Mapping[str, Any] | None = None, **sections: Mapping[str, Any]
) -> Iterator[Desk]:
    clock, config = HandClock(instant_of(CALENDAR, D2)), free(**sections)
    paper = PaperBroker(folder / "paper.sqlite", config.broker.paper, clock, durable=False)
    paper.deposit("all", Decimal(10_000_000))
    paper.mark(D2, clock.now() - timedelta(minutes=1), dict.fromkeys("ABCDEF", Decimal(100)), {})
    broker = Hooked(paper, Faults(), clock, seed=0, memory=folder / "faulty.sqlite")
    broker.can = can or {}
    try:
        with Ledger.open(folder, clock, durable=False) as ledger:
            with ledger.transaction("control") as tx:
                books.open_book(tx, KEY, capital, clock.now() - timedelta(days=3), D1)
            yield Desk(Trading(ledger, broker, clock, CALENDAR, config), broker, clock.now() - timedelta(days=1))
    finally:
        broker.close()
        paper.close()


@contextmanager
def holding(
    folder: Path, held: Mapping[str, tuple[float, str]], bounds: Volumes = MappingProxyType({}), **how: Any
) -> Iterator[Desk]:
    """A book that holds quantities bought at these prices, which are those of its last decision."""
    with opened(folder, **how) as desk:
        desk.bought("one", D2, held)
        desk.decided("one", {a: price for a, (_, price) in held.items()}, bounds)
        yield desk


def fresh(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def sent(book: ClosedBook) -> list[tuple[str, str, int]]:
    return [(i.side.value, i.asset, int(i.quantity)) for i in book.orders]


def kept(book: ClosedBook) -> list[tuple[str, int, str]]:
    return [(k.asset, int(k.quantity), k.why) for k in book.kept]


def test_limits_of_closing_orders_are_those_of_one_order_alone() -> None:
    given = SafetySettings(
        max_order_value=70.0,
        max_order_shares=9.0,
        max_order_pct=0.2,
        max_adv_pct=0.1,
        max_orders_per_run=3,
        max_sector_in_flight=0.3,
        allow_short=True,
        restricted=["C"],
        account=AccountSettings(max_gross=2.0),
    )
    assert closing_limits(given).model_dump() == given.model_dump() | {
        "max_position": 1_000_000_000_000.0,
        "max_change": 1_000_000_000_000.0,
        "max_gross_in_flight": 1_000_000_000_000.0,
        "max_net_in_flight": 1_000_000_000_000.0,
        "max_turnover": 1_000_000_000_000.0,
        "min_cash": -1_000_000_000_000.0,
        "min_cash_in_flight": -1_000_000_000_000.0,
        "max_sector_in_flight": 0.0,
        "max_order_pct": 0.0,
        "max_orders_per_run": 1_000_000_000,
        "max_orders_per_session": 1_000_000_000,
        "allow_short": False,
        "account": AccountSettings().model_dump(),
    }


def test_a_closing_run_is_recorded_decided_and_ended(tmp_path: Path) -> None:
    with opened(tmp_path) as desk:
        desk.bought("one", D2, {"A": (2000, "100"), "B": (-1000, "50")})
        desk.decided("one", {"A": "100", "B": "50"}, {"A": ("110", "5000")}, shown={"A": 1}, other="x")
        desk.broker.hook = lambda _number, _request: desk.trading.clock.sleep(2.0)
        closed = desk.close(A=1500, B=-1000)
        assert (closed.key, sent(closed)) == (KEY, [("sell", "A", 1500), ("buy", "B", 1000)])
        assert kept(closed) == [("A", 500, "the broker holds 1500: `sigc positions`")]
        assert [i.state for i in closed.orders] == [IntentState.ACKNOWLEDGED] * 2
        assert [(i.place, i.slice, i.parent) for i in closed.orders] == [(0, 0, ""), (1, 0, "")]
        (run,) = desk.closing_runs()
        assert (run.as_of, run.key.session, run.revision, run.who, run.reason) == (D2, D3, 0, "bob", "enough")
        assert (run.outcome, run.finished) == (Outcome.DONE, desk.trading.clock.now())
        assert run.message == "positions are closed by bob: 2 orders: 2 acknowledged"
        with desk.trading.ledger.reading() as connection:
            (stage,) = runs.stages_of(connection, run.id)
            limits = runs.limits_of(connection, run.id)
            assert runs.last_decided(connection, "scripted", "main") == run.id
            assert runs.left_open(connection) == ()
        assert (stage.name, stage.outcome, stage.seconds) == (StageName.EXECUTE, "done", 4.0)
        assert (limits["allow_short"], limits["max_orders_per_run"]) == (False, 1_000_000_000)
        assert desk.said(run.id) == {
            "shown": {"A": 1},
            "closes": True,
            "by": "bob",
            "reason": "enough",
            "orders": 2,
            "wanted": 0,
            "gross": 0.0,
            "net": 0.0,
            "kept": {"A": ["500", "the broker holds 1500: `sigc positions`"]},
            "bounds": {"A": ["0", "1", "110", "5000"]},
            "off": [],
        }
        account = json.loads((folder_of(tmp_path, run.id) / "account.json").read_text(encoding="utf-8"))
        assert account["run"]["outcome"] == "done"
        assert read_weights(tmp_path, run.id) == {
            "A": {"wanted": 0.0, "target": 0.0, "held": 0.2},
            "B": {"wanted": 0.0, "target": 0.0, "held": -0.05},
        }


def test_a_second_closing_run_of_a_session_is_another_revision(tmp_path: Path) -> None:
    with holding(tmp_path, {"A": (300, "100"), "B": (300, "100")}) as desk:
        assert sent(desk.close(A=300)) == [("sell", "A", 300)]
        assert sent(desk.close(A=300, B=300)) == [("sell", "B", 300)]
        assert [run.revision for run in desk.closing_runs()] == [0, 1]


def test_nothing_is_recorded_of_a_book_without_positions(tmp_path: Path) -> None:
    with opened(tmp_path) as desk:
        assert desk.close() == ClosedBook(KEY, (), ())
        assert desk.closing_runs() == []


def test_a_run_that_closes_nothing_says_why(tmp_path: Path) -> None:
    """Six assets of which the broker has none: the first five are told. Then orders in flight leave nothing to do."""
    with holding(tmp_path, dict.fromkeys("ABCDEF", (10, "100"))) as desk:
        book = desk.close()
        assert (book.key, book.orders) == (KEY, ())
        assert kept(book) == [(a, 10, "the broker holds 0: `sigc positions`") for a in "ABCDEF"]
        (run,) = desk.closing_runs()
        assert (run.outcome, run.finished) == (Outcome.NOTHING_TRADED, desk.trading.clock.now())
        assert run.message == "; ".join(f"{a}: the broker holds 0: `sigc positions`" for a in "ABCDE")
        assert desk.said(run.id) == {}
        for asset in "ABCDEF":
            desk.open_order(asset, -10)
        assert desk.close() == ClosedBook(KEY, (), ())
        assert [(r.outcome, r.message, r.revision) for r in desk.closing_runs()][1:] == [(Outcome.UNCHANGED, "", 0)]


def test_open_orders_that_reduce_count_and_those_that_add_do_not(tmp_path: Path) -> None:
    with holding(tmp_path, {a: (100 if a < "C" else -100, "10") for a in "ABCD"}) as desk:
        desk.open_order("A", -30)
        desk.open_order("D", 40)
        desk.open_order("C", -30)
        desk.open_order("B", 40)
        with desk.trading.ledger.reading() as connection:
            before = {i.asset for i in orders.in_flight(connection)}
        assert before == set("ABCD")
        book = desk.close(A=100, B=100, C=-100, D=-100)
        assert sent(book) == [("sell", "A", 70), ("sell", "B", 100), ("buy", "C", 100), ("buy", "D", 60)]


@pytest.mark.parametrize(("quantity", "side"), [(1, "sell"), (-1, "buy")])
def test_one_share_is_closed(tmp_path: Path, quantity: int, side: str) -> None:
    with holding(tmp_path, {"A": (quantity, "0.5")}) as desk:
        book = desk.close(A=quantity)
        assert sent(book) == [(side, "A", 1)]
        assert (book.orders[0].reference, book.kept) == (Decimal("0.5"), ())


def test_one_share_that_is_not_at_the_broker_is_kept(tmp_path: Path) -> None:
    with holding(tmp_path, {"A": (3, "10"), "B": (-3, "10")}) as desk:
        book = desk.close(A=2, B=-2)
        assert sent(book) == [("sell", "A", 2), ("buy", "B", 2)]
        assert [(k.asset, int(k.quantity)) for k in book.kept] == [("A", 1), ("B", -1)]


def test_orders_are_at_the_market_where_that_is_taken_else_at_a_limit(tmp_path: Path) -> None:
    with holding(fresh(tmp_path, "market"), {"A": (10, "50")}) as desk:
        (order,) = desk.close(A=10).orders
        assert (order.order_type, order.limit, order.time_in_force) == (OrderType.MARKET, None, TimeInForce.DAY)
    can = {"order_types": frozenset({OrderType.LIMIT})}
    with holding(fresh(tmp_path, "limit"), {"A": (10, "50")}, can=can, execution={"limit_offset_bps": 10.0}) as desk:
        (order,) = desk.close(A=10).orders
        assert (order.order_type, order.limit) == (OrderType.LIMIT, Decimal("49.95"))


def test_slices_go_out_round_by_round_sales_first(tmp_path: Path) -> None:
    """At most 10,000 an order: of A at 100, lately 125, 80 shares; of B at 2,500 4; C fits exactly; D is one lot more."""
    held = {"A": (200, "100"), "B": (-8, "2500"), "C": (100, "100"), "D": (-1, "10001"), "E": (-1, "9")}
    with holding(tmp_path, held, {"A": ("125", "1"), "B": (None, "9")}, safety={"max_order_value": 10_000.0}) as desk:
        book = desk.close(A=200, B=-8, C=100, D=-1, E=-1)
        assert [(i.side.value, i.asset, int(i.quantity), i.slice, i.place) for i in book.orders] == [
            ("sell", "A", 80, 1, 0),
            ("sell", "C", 100, 0, 1),
            ("buy", "B", 4, 1, 2),
            ("buy", "E", 1, 0, 3),
            ("sell", "A", 80, 2, 4),
            ("buy", "B", 4, 2, 5),
            ("sell", "A", 40, 3, 6),
        ]
        assert kept(book) == [("D", -1, "one lot is beyond max_order_value or max_order_shares")]
        parents = {a: {i.parent for i in book.orders if i.asset == a} for a in "ABC"}
        assert parents["C"] == {""}
        assert [len(parents[a]) for a in "AB"] == [1, 1]
        assert "" not in parents["A"] | parents["B"]
        assert len({i.client_order_id for i in book.orders}) == 7


@pytest.mark.parametrize(("most", "parts"), [(10.0, [10]), (9.5, [9, 1]), (5.0, [5, 5]), (1.0, [1] * 10), (0.5, [])])
def test_slices_by_the_shares_of_an_order(tmp_path: Path, most: float, parts: list[int]) -> None:
    safety = {"max_order_shares": most, "max_order_value": 100_000.0}
    with holding(tmp_path, {"A": (10, "100")}, safety=safety) as desk:
        assert [int(i.quantity) for i in desk.close(A=10).orders] == parts


def test_a_part_of_a_share_is_closed_in_lots_of_the_broker(tmp_path: Path) -> None:
    """Lots of a quarter: 3 shares in parts of at most 1.3."""
    with holding(
        tmp_path, {"A": (3, "100")}, can={"quantity_step": Decimal("0.25")}, safety={"max_order_shares": 1.3}
    ) as desk:
        assert [i.quantity for i in desk.close(A=3).orders] == [Decimal("1.25"), Decimal("1.25"), Decimal("0.5")]


VOLUME = "it is beyond max_adv_pct of a session's volume: flatten again in the next session"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_session_s_volume_bounds_what_is_closed_in_it(tmp_path: Path, sign: int) -> None:
    """A tenth of 40,000 traded is 4,000: at 100, lately 125, 32 shares, of which 12 are closed already."""
    bounds: Volumes = {"A": ("125", "40000"), "B": (None, "10050"), "C": ("1", None), "D": ("1", "10000")}
    held = {a: (sign * n, "100") for a, n in {"A": 62, "B": 90, "C": 500, "D": 10}.items()}
    with opened(tmp_path, safety={"max_adv_pct": 0.1}) as desk:
        desk.bought("one", D2, held)
        desk.bought("two", D3, {"A": (-sign * 12, "100")}, slot="x")
        desk.decided("two", dict.fromkeys("ABCD", "100"), bounds)
        book = desk.close(A=50 * sign, B=90 * sign, C=500 * sign, D=10 * sign)
        assert [(i.asset, int(i.quantity)) for i in book.orders] == [("A", 20), ("B", 10), ("C", 500), ("D", 10)]
        assert kept(book) == [("A", 30 * sign, VOLUME), ("B", 80 * sign, VOLUME)]


def test_what_the_broker_lacks_is_told_where_the_volume_would_allow_no_more_either(tmp_path: Path) -> None:
    with holding(tmp_path, {"A": (20, "100")}, {"A": ("100", "10000")}, safety={"max_adv_pct": 0.1}) as desk:
        assert kept(desk.close(A=10)) == [("A", 10, "the broker holds 10: `sigc positions`")]


@pytest.mark.parametrize(("runs_since", "closed"), [(99, 10), (100, 90)])
def test_a_volume_is_looked_for_in_a_hundred_runs(tmp_path: Path, runs_since: int, closed: int) -> None:
    with holding(tmp_path, {"A": (90, "100")}, {"A": (None, "10000")}, safety={"max_adv_pct": 0.1}) as desk:
        with desk.trading.ledger.transaction("plan") as tx:
            for number in range(runs_since):
                one = Run(f"r{number}", RunKey("scripted", "main", D2, slot=str(number)), D1, 0, desk.begun, "ann")
                runs.open_run(tx, one, {})
                runs.close_run(tx, one, desk.begun, Outcome.REFUSED, "")
        assert sent(desk.close(A=90)) == [("sell", "A", closed)]


def test_a_part_of_a_lot_is_closed_with_the_rest(tmp_path: Path) -> None:
    """As a split may leave it: ten shares and a half, where lots are of one."""
    with holding(tmp_path, {"A": (10.5, "100")}) as desk:
        at = moment(CALENDAR, desk.trading.clock.now(), "close-5m")
        book = close_out(desk.trading, KEY, at, {"A": Decimal("10.5")}, "bob", "enough")
        assert ([i.quantity for i in book.orders], book.kept) == ([Decimal("10.5")], ())


def test_what_was_added_in_the_session_does_not_widen_the_bound_of_its_volume(tmp_path: Path) -> None:
    with holding(tmp_path, {"A": (50, "100")}, {"A": ("100", "40000")}, safety={"max_adv_pct": 0.1}) as desk:
        desk.bought("two", D3, {"A": (30, "100")}, slot="x")
        assert sent(desk.close(A=80)) == [("sell", "A", 40)]


def test_a_session_whose_volume_is_used_up_closes_no_more(tmp_path: Path) -> None:
    with holding(tmp_path, {"A": (51, "100")}, {"A": ("100", "40000")}, safety={"max_adv_pct": 0.1}) as desk:
        desk.bought("two", D3, {"A": (-50, "100")}, slot="x")
        assert kept(desk.close(A=1)) == [("A", 1, VOLUME)]


def test_the_newest_known_volume_is_used_and_an_older_price_is_not(tmp_path: Path) -> None:
    """B was ordered by the older decision only: its volume of then binds, 40 shares at 100 of today, not at 400."""
    with opened(tmp_path, safety={"max_adv_pct": 0.1}) as desk:
        desk.bought("one", D2, {"A": (90, "100"), "B": (90, "100")})
        desk.decided("one", {"A": "100", "B": "100"}, {"A": ("100", "80000"), "B": ("400", "40000")})
        desk.bought("two", D2, {"C": (1, "100")}, slot="x")
        desk.decided("two", {"A": "100", "B": "100", "C": "100"}, {"A": ("200", "40000"), "C": ("1", None)})
        book = desk.close(A=90, B=90, C=1)
        assert sent(book) == [("sell", "A", 20), ("sell", "B", 40), ("sell", "C", 1)]
        assert desk.said(desk.closing_runs()[0].id)["bounds"] == {
            "A": ["0", "1", "200", "40000"],
            "B": ["0", "1", None, "40000"],
        }


@pytest.mark.parametrize("is_decided", [False, True])
def test_a_run_that_was_refused_since_leaves_the_higher_price_of_the_last_decision(
    tmp_path: Path, *, is_decided: bool
) -> None:
    """10,000 an order are 50 shares at 200, the higher price; a decision since knows 125, which are 80."""
    bounds: Volumes = {"A": ("200", "80000")}
    with holding(tmp_path, {"A": (90, "100")}, bounds, safety={"max_order_value": 10_000.0}) as desk:
        later = Run("refused", RunKey("scripted", "main", D3, slot="x"), D2, 0, desk.begun, "ann")
        with desk.trading.ledger.transaction("plan") as tx:
            runs.open_run(tx, later, {})
            runs.close_run(tx, later, desk.begun, Outcome.REFUSED, "")
        if is_decided:
            desk.bought("two", D3, {"A": (1, "100")}, slot="y")
            desk.decided("two", {"A": "100"}, {"A": ("125", "80000")})
        parts = [int(i.quantity) for i in desk.close(A=91).orders]
        assert parts == ([80, 11] if is_decided else [50, 40])


def test_prices_are_those_of_the_last_decision_else_of_the_nav_else_what_was_paid(tmp_path: Path) -> None:
    with opened(tmp_path) as desk:
        desk.bought("one", D2, {"A": (10, "100"), "B": (10, "100"), "C": (10, "100"), "D": (10, "0")})
        with desk.trading.ledger.transaction("nav") as tx:
            price_marks.put_prices(tx, KEY, {"A": Priced(Decimal(7), D2), "B": Priced(Decimal(8), D2)})
        desk.decided("one", {"A": "9"})
        book = desk.close(A=10, B=10, C=10, D=10)
        assert [(i.asset, i.reference) for i in book.orders] == [
            ("A", Decimal(9)),
            ("B", Decimal(8)),
            ("C", Decimal(100)),
            ("D", Decimal("0.01")),  # never had one
        ]
        (run,) = desk.closing_runs()
        assert desk.marks(run.id) == {
            "A": Mark(Decimal(9), "of A"),
            "B": Mark(Decimal(8)),
            "C": Mark(Decimal(100)),
            "D": Mark(ZERO),
        }
        assert "D" not in read_weights(tmp_path, run.id)  # without a price it has no weight


def test_a_book_that_is_worth_nothing_tells_its_positions_in_money(tmp_path: Path) -> None:
    """2,000 bought at 100 with 100,000, now at 50."""
    with opened(tmp_path, capital=Decimal(100_000)) as desk:
        desk.bought("one", D2, {"A": (2000, "100")})
        desk.decided("one", {"A": "50"})
        assert sent(desk.close(A=2000)) == [("sell", "A", 2000)]
        assert read_weights(tmp_path, desk.closing_runs()[0].id)["A"]["held"] == 100_000.0


def test_a_book_without_a_decision_is_closed_at_what_was_paid(tmp_path: Path) -> None:
    with opened(tmp_path) as desk:
        desk.bought("one", D2, {"A": (10, "100")})
        assert [(i.asset, i.reference) for i in desk.close(A=10).orders] == [("A", Decimal(100))]


def test_a_split_before_the_session_is_in_its_units_whatever_the_broker_still_says(tmp_path: Path) -> None:
    """Three for one on the day of the session: the broker counts 10 yet. What is not split is bound by it as ever."""
    with holding(tmp_path, {"A": (10, "90"), "B": (10, "90")}) as desk:
        split = Action(date.fromisoformat(D3), "A", ActionKind.SPLIT, Fraction(3))
        past = Action(date.fromisoformat(D2), "B", ActionKind.SPLIT, Fraction(2))
        with desk.trading.ledger.transaction("actions") as tx:
            for one in (split, past):
                due = DueAction(one, str(one.ex_date), desk.begun, str(one.ex_date), Decimal(90))
                action_rows.put_action(tx, due, "")
            action_rows.put_progress(tx, D1, Decimal(1))
        book = desk.close(A=10, B=9)
        assert [(i.asset, int(i.quantity)) for i in book.orders] == [("A", 30), ("B", 9)]
        assert book.orders[0].reference == Decimal(30)
