"""Halts, late listings, ends and jumps in the accounts of a book, against a slow reference written from the rules."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sigc.ops.loops import accounts
from sigc_pipelines.backtest.accounts import AssetEvent, BacktestAccounts, keep_book, targets, until_ruin
from sigc_pipelines.portfolio.rebalance import every
from sigc_pipelines.prices.quotes import Quotes

Floats = NDArray[np.float64]
NAN = float("nan")
AFTER = 4
Rows = list[list[float]]


@dataclass
class Slow:
    """A book as dicts by asset: quantities are counted in units of `worth`, the equity of the book."""

    drift: bool
    delisting: float
    held: dict[int, float] = field(default_factory=dict)
    last: dict[int, float] = field(default_factory=dict)
    absent: dict[int, int] = field(default_factory=dict)
    gone: dict[int, tuple[float, float]] = field(
        default_factory=dict
    )  # weight at the last price, price it was booked at
    want: dict[int, float] = field(default_factory=dict)
    undone: set[int] = field(default_factory=set)
    scaled: set[int] = field(default_factory=set)
    kept: set[int] = field(default_factory=set)  # nothing was decided of them
    gross: float = 0.0
    net: float = 0.0
    overdue: bool = False  # a due row decided nothing: the next row that can, does

    def row(self, prices: list[float], wanted: list[float], due: bool) -> tuple[float, float]:
        """What a row earned and traded."""
        earned, freed = self.advance(prices)
        priced = [j for j, p in enumerate(prices) if p == p]
        defined = [j for j, w in enumerate(wanted) if w == w]
        due = due or self.overdue
        if due and defined and (not priced or set(priced) & set(defined)):
            self.overdue = False
            return earned, self.decide(wanted, priced, defined)
        self.overdue = due
        if self.undone & set(priced) or (freed and self.scaled & set(priced)):
            late = {j for j in self.scaled if j not in priced}
            self.undone, self.scaled = self.undone | late, self.scaled - late
            return earned, self.trade([j for j in priced if j in self.undone | self.scaled], priced)
        return earned, 0.0

    def advance(self, prices: list[float]) -> tuple[float, bool]:
        earned, moved, freed = 0.0, {}, set()
        for j, price in enumerate(prices):
            self.absent[j] = 0 if price == price else self.absent.get(j, 0) + 1
            if price == price:
                if j in self.gone:
                    weight, booked = self.gone.pop(j)
                    earned += weight * (price - booked) / self.last[j]
                moved[j] = price / self.last[j] - 1.0 if j in self.last else 0.0
                self.last[j] = price
            elif abs(self.held.get(j, 0.0)) > 1e-12 and self.absent[j] >= AFTER:
                moved[j] = self.delisting
                freed.add(j)
        earned += sum(w * moved.get(j, 0.0) for j, w in self.held.items())
        was = dict(self.held)
        if self.drift:
            self.held = {j: w * (1.0 + moved.get(j, 0.0)) / (1.0 + earned) for j, w in self.held.items()}
            self.gone = {j: (w / (1.0 + earned), b) for j, (w, b) in self.gone.items()}
        for j in freed:
            weight = was[j] / (1.0 + earned) if self.drift else was[j]
            self.gone[j] = (weight, self.last[j] * (1.0 + self.delisting))
            del self.held[j]
            self.want[j] = 0.0
            self.undone.discard(j)
            self.scaled.discard(j)
            self.kept.discard(j)
        return earned, bool(freed)

    def decide(self, wanted: list[float], priced: list[int], defined: list[int]) -> float:
        stands = [self.want[j] for j in self.undone if j not in defined and j not in priced]
        self.gross = sum(abs(wanted[j]) for j in defined) + sum(map(abs, stands))
        self.net = sum(wanted[j] for j in defined) + sum(stands)
        for j, w in enumerate(wanted):
            self.kept.discard(j)
            if j in priced:
                self.want[j] = w if w == w else 0.0
                self.undone.discard(j)
                self.scaled.discard(j)
            elif w == w:
                self.want[j] = w
                self.undone.add(j)
                self.scaled.discard(j)
            elif j not in self.undone:
                self.kept.add(j)
                self.want[j] = 0.0
                self.scaled.discard(j)
        return self.trade(priced, priced)

    def trade(self, which: list[int], priced: list[int]) -> float:
        to = self.targets(priced)
        turnover = 0.0
        for j in which:
            turnover += abs(to[j] - self.held.get(j, 0.0))
            self.held[j] = to[j]
            self.undone.discard(j)
            self.scaled.discard(j)
            if to[j] != self.want[j]:
                self.scaled.add(j)
        return turnover

    def targets(self, priced: list[int]) -> dict[int, float]:
        """Each side of what can be traded by one factor: net first, gross by equal parts, net again."""
        priced = [j for j in priced if j not in self.kept]
        stuck = [w for j, w in self.held.items() if j not in priced and j not in self.kept]
        longs = math.fsum(max(0.0, self.want.get(j, 0.0)) for j in priced)
        shorts = math.fsum(max(0.0, -self.want.get(j, 0.0)) for j in priced)
        long, short = longs, shorts
        for step in "net", "gross", "net":
            if step == "net":
                net = sum(stuck) + long - short
                if net > abs(self.net) + 1e-12:
                    long = max(0.0, long - net + abs(self.net))
                if net < -abs(self.net) - 1e-12:
                    short = max(0.0, short + net + abs(self.net))
            over = sum(map(abs, stuck)) + long + short - max(self.gross, sum(map(abs, stuck)))
            if step == "gross" and over > 1e-12:
                cut = min(over / 2, long, short)
                long, short = long - cut, short - cut
                if long > 0.0:
                    long = max(0.0, long - (over - 2 * cut))
                else:
                    short = max(0.0, short - (over - 2 * cut))
        return {
            j: w * (long / longs if w > 0.0 and longs else short / shorts if w < 0.0 and shorts else 1.0)
            for j, w in ((j, self.want.get(j, 0.0)) for j in priced)
        }


def world(seed: int, rows: int = 60, cols: int = 5) -> tuple[Floats, Floats]:
    """Prices with halts, late listings and ends, some of them for a while; weights of both signs, missing at times."""
    random = np.random.default_rng(seed)
    prices = 50.0 * np.exp(random.normal(0, 0.04, (rows, cols)).cumsum(axis=0))
    prices[: random.integers(0, 20), 0] = NAN
    for _ in range(6):
        at, column = random.integers(0, rows), random.integers(0, cols)
        prices[at : at + random.integers(1, 12), column] = NAN
    prices[random.integers(30, 60) :, 1] = NAN
    wanted = random.normal(0.1, 0.2, (rows, cols)).round(3)
    wanted[random.random((rows, cols)) < 0.1] = NAN
    wanted[random.random(rows) < 0.1] = NAN
    wanted[:3] = NAN
    if seed % 2:
        wanted[np.isnan(prices)] = NAN
    return prices, wanted


@settings(max_examples=150)
@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([1, 2, 7, 100]), st.sampled_from([0.0, -0.3, -1.0]))
def test_accounts_are_those_of_the_rules(seed: int, drift: bool, count: int, delisting: float) -> None:
    prices, wanted = world(seed)
    due = every(count, len(wanted))
    quotes = Quotes(prices, prices, None, AFTER, delisting)
    book = keep_book(wanted, quotes, due=due, drift=drift)
    slow = Slow(drift, delisting)
    for t in range(len(wanted)):
        earned, turnover = slow.row(prices[t].tolist(), wanted[t].tolist(), bool(due[t]))
        if earned <= -0.9:
            return  # near ruin, where weights lose their digits
        assert book.gross[t] == pytest.approx(earned, abs=1e-9)
        assert book.turnover[t] == pytest.approx(turnover, abs=1e-9)
        held = [slow.held.get(j, 0.0) for j in range(wanted.shape[1])]
        assert np.allclose(book.held[t], held, atol=1e-9)
    assert np.allclose(book.exposures[0], np.abs(book.held).sum(axis=1))
    with_limits = keep_book(
        wanted, quotes, due=due, drift=drift, adjust=lambda _, want, held, can: _kept(want, held, can)
    )
    for name in ("gross", "held", "turnover", "missing"):
        assert np.allclose(getattr(with_limits, name), getattr(book, name)), name
    assert (with_limits.events, with_limits.undecided) == (book.events, book.undecided)
    if book.moved is not None:
        assert np.allclose(with_limits.trades, book.trades)
        assert np.allclose(np.abs(book.trades).sum(axis=1), book.turnover)


def _kept(wanted: Floats, held: Floats, tradable: NDArray[np.bool_]) -> Floats:
    return np.where(tradable, wanted, held)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.booleans(), st.integers(5, 59))
def test_later_rows_change_no_earlier_one(seed: int, drift: bool, rows: int) -> None:
    prices, wanted = world(seed)
    whole = keep_book(wanted, Quotes(prices, prices, None, AFTER), due=every(7, 60), drift=drift)
    part = keep_book(wanted[:rows], Quotes(prices[:rows], prices[:rows], None, AFTER), due=every(7, rows), drift=drift)
    assert part.held.tobytes() == whole.held[:rows].tobytes()
    assert np.array_equal(part.gross, whole.gross[:rows])
    assert np.array_equal(part.turnover, whole.turnover[:rows])


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([1, 3]))
def test_a_plain_book_has_the_bits_of_a_walked_one(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    prices = 50.0 * np.exp(random.normal(0, 0.04, (30, 7)).cumsum(axis=0))
    wanted = random.normal(0, 0.2, prices.shape)
    wanted[random.random(wanted.shape) < 0.1] = NAN
    wanted[:4] = NAN
    due = every(count, 30)
    book = keep_book(wanted, Quotes.of(prices), due=due)
    held, _, figures, _, undecided = accounts.keep(wanted, prices, prices, due, False, 10, 0.0)
    assert book.moved is None  # the plain way was taken
    assert undecided == 0
    assert held.tobytes() == book.held.tobytes()
    assert np.allclose(book.gross, figures[accounts.GROSS])
    assert np.allclose(book.turnover, figures[accounts.TURNOVER])


@settings(max_examples=100)
@given(st.integers(0, 10_000))
def test_targets_beside_what_is_stuck(seed: int) -> None:
    random = np.random.default_rng(seed)
    wanted, held = random.normal(0, 0.2, (2, 6))
    priced = random.random(6) < 0.6
    found = targets(wanted, held, priced)
    stuck = np.where(priced, 0.0, held)
    assert np.array_equal(found[~priced], held[~priced])
    assert (found[priced] * wanted[priced] >= 0.0).all()
    assert (np.abs(found[priced]) <= np.abs(wanted[priced])).all()
    assert np.abs(found).sum() <= max(np.abs(wanted).sum(), np.abs(stuck).sum()) + 1e-9
    if np.abs(stuck).sum() < np.abs(wanted).sum() and abs(stuck.sum()) <= abs(wanted.sum()):
        assert abs(found.sum()) <= abs(wanted.sum()) + 1e-9
    order = random.permutation(6)
    assert np.allclose(targets(wanted[order], held[order], priced[order]), found[order])


def _column(values: list[float]) -> Floats:
    return np.array([[v, 100.0] for v in values])


def test_a_pending_change_is_made_where_the_price_is_back() -> None:
    prices = _column([100, NAN, NAN, 80, 80])
    wanted = np.array([[0.5, 0.5], [0.2, 0.5], [NAN, NAN], [NAN, NAN], [NAN, NAN]])
    book = keep_book(wanted, Quotes.of(prices), due=np.array([True, True, False, False, False]))
    assert book.held[:, 0].tolist() == [0.5, 0.5, 0.5, 0.2, 0.2]
    assert book.held[:, 1] == pytest.approx([0.5, 0.2, 0.2, 0.5, 0.5])  # 0.7 wanted, 0.5 of it is stuck
    assert book.gross == pytest.approx([0, 0, 0, -0.1, 0])
    assert book.turnover == pytest.approx([1.0, 0.3, 0.0, 0.6, 0.0])


def test_an_ended_asset_leaves_and_is_booked_when_it_is_back() -> None:
    prices = _column([100, NAN, NAN, NAN, 150, 150])
    wanted = np.tile([0.5, 0.5], (6, 1))
    quotes = Quotes(prices, prices, None, 2, -0.5)
    book = keep_book(wanted, quotes, due=every(100, 6))
    assert book.held[:, 0].tolist() == [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]
    assert book.gross == pytest.approx([0, 0, -0.25, 0, 0.5, 0])  # quantity x (150 - 50)
    assert [(e.is_end, e.row, e.column) for e in book.events] == [(True, 2, 0), (False, 4, 0)]
    assert [e.share for e in book.events] == pytest.approx([0.5, 0.5])
    assert book.turnover == pytest.approx([1.0, 0, 0, 0, 0, 0])  # nobody traded it


def test_a_row_without_weights_is_no_decision() -> None:
    prices = np.full((5, 2), 100.0)
    wanted = np.array([[NAN, NAN], [0.5, NAN], [NAN, NAN], [NAN, 0.3], [0.0, 0.0]])
    book = keep_book(wanted, Quotes.of(prices))
    assert book.held.tolist() == [[0, 0], [0.5, 0], [0.5, 0], [0, 0.3], [0, 0]]
    assert book.undecided == 1
    alone = keep_book(np.array([[0.5], [NAN], [0.5]]), Quotes.of(prices[:3, :1]))
    assert (alone.held.tolist(), alone.undecided) == ([[0.5]] * 3, 1)


@pytest.mark.parametrize(("price", "cost", "gross", "paid"), [(40, 0.01, -1, 0), (50, 0, -1, 0), (60, 0.3, -0.8, 0.2)])
def test_a_ruined_book_stops(price: float, cost: float, gross: float, paid: float) -> None:
    """Twice the book in a share that falls: by more than all, by just all, and the rest taken by costs."""
    prices = np.array([[100.0, 1.0], [price, NAN], [80.0, NAN], [160.0, NAN]])
    book = keep_book(np.tile([2.0, 0.0], (4, 1)), Quotes(prices, prices, None, 2))
    book = replace(
        book, missing=np.array([0, 1, 2, 3]), moved=book.trades, events=(AssetEvent(True, 1, 0, 1.0, False),) * 2
    )
    net = np.array([1.0, 1.0, 1.0, 1.0])
    book = replace(book, events=(*book.events, AssetEvent(True, 2, 0, 1.0, False)), exposures=(net * 3.0, net))
    stopped, costs = until_ruin(book, np.full(4, cost))
    assert stopped.ruined == 1
    assert stopped.gross == pytest.approx([0.0, gross, 0.0, 0.0])
    assert costs == pytest.approx([cost, paid, 0.0, 0.0])
    assert stopped.held.tolist() == stopped.trades.tolist() == [[2.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert [e.tolist() for e in stopped.exposures] == [[3.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
    assert stopped.turnover.tolist() == [2.0, 0.0, 0.0, 0.0]
    assert (stopped.missing.tolist(), len(stopped.events)) == ([0, 1, 0, 0], 2)
    whole: BacktestAccounts = replace(book, gross=np.zeros(4))
    assert until_ruin(whole, costs * 0.0)[0] is whole
    assert until_ruin(replace(book, moved=None), costs)[0].moved is None


def test_what_is_bought_last_needs_a_price_and_what_was_sold_needs_none() -> None:
    wanted = np.array([[0.5, 0.0], [0.5, 0.0], [0.0, 0.0], [0.0, 0.5]])
    plain = np.array([[100.0, 100.0], [100.0, 100.0], [100.0, NAN], [NAN, 100.0]])
    book = keep_book(wanted, Quotes.of(plain))
    assert book.held.tolist() == wanted.tolist()
    assert book.moved is None
    halted = np.array([[100.0, 100.0], [100.0, 100.0], [100.0, 100.0], [100.0, NAN]])
    assert keep_book(wanted, Quotes.of(halted)).held.tolist() == [[0.5, 0], [0.5, 0], [0, 0], [0, 0]]


def test_weights_that_are_not_defined_are_none_where_all_can_be_traded() -> None:
    assert targets(np.array([NAN, 0.5]), np.array([0.1, 0.1]), np.ones(2, bool)).tolist() == [0.0, 0.5]


H, N = 100.0, NAN
# Limits take half of what is wanted of B (the second asset), on the rows that are named.
LIMITED: list[tuple[str, tuple[int, ...], Rows, Rows, Rows]] = [
    (
        "what limits took is done with where nothing is stuck: not bought when an ended asset gives room",
        (0,),
        [[H, H, N], [N, H, N], [N, H, N], [N, H, N]],
        [[0.4, 0.4, N]],
        [[0.4, 0.2, 0], [0.4, 0.2, 0], [0, 0.2, 0], [0, 0.2, 0]],
    ),
    (
        "a purchase waits for a price: all is looked at again when it is there",
        (0,),
        [[H, H, N], [H, H, H], [H, H, H]],
        [[0.4, 0.4, 0.2]],
        [[0.4, 0.2, 0], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2]],
    ),
    (
        "what is held has no price: all is looked at again when it is back",
        (1,),
        [[H, H], [N, H], [H, H], [H, H]],
        [[0.4, 0.4], [0.4, 0.4]],
        [[0.4, 0.4], [0.4, 0.2], [0.4, 0.4], [0.4, 0.4]],
    ),
    (
        "what is held without a decision is back: what limits took waits still, for the end of the last",
        (1, 2),
        [[H, H, N, H], [N, H, N, H], [H, H, H, H], [H, H, H, N]],
        [[0.2, 0.2, N, 0.2], [N, 0.2, 0.1, 0.2]],
        [[0.2, 0.2, 0, 0.2], [0.2, 0.1, 0, 0.2], [0.2, 0.1, 0.1, 0.2], [0.2, 0.2, 0.1, 0]],
    ),
]


@pytest.mark.parametrize(("rows", "prices", "wanted", "held"), [c[1:] for c in LIMITED], ids=[c[0] for c in LIMITED])
def test_what_limits_took_by_hand(rows: tuple[int, ...], prices: Rows, wanted: Rows, held: Rows) -> None:
    cols, given = len(prices[0]), np.array(prices)
    ends = (np.array([-1] * (cols - 1) + [3]), np.full(cols, 100.0), np.full(cols, -1)) if cols == 4 else None
    asked = np.full(given.shape, NAN)
    asked[: len(wanted)] = wanted
    could: dict[int, list[bool]] = {}
    beside: dict[int, list[float]] = {}

    def half(row: int, want: Floats, before: Floats, can: NDArray[np.bool_]) -> Floats:
        could[row], beside[row] = can.tolist(), before.tolist()
        to = np.where(can, want, before)
        to[1] *= 0.5 if row in rows else 1.0
        return to

    raw = np.where(np.isnan(given), 100.0, given) if len(given) == 3 else given  # there, and not accepted
    quotes = Quotes(given, raw, None, 2 if rows == (0,) else 9, ends=ends)
    book = keep_book(asked, quotes, due=np.arange(len(given)) < len(wanted), adjust=half)
    assert book.held == pytest.approx(np.array(held))
    assert book.turnover[0] == pytest.approx(sum(held[0]))
    if cols == 4:  # what is not due may not be moved by limits either
        assert could == {0: [True, True, False, True], 1: [False, True, False, True], 2: [False, True, True, False], 3: [False, True, False, False]}  # fmt: skip
        assert beside[1] == [0.0, 0.2, 0.0, 0.2]  # of A nothing was decided: it takes no room


def test_a_book_opens_on_the_first_row_that_can_be_decided_and_once() -> None:
    prices, wanted = np.full((80, 2), 100.0), np.full((80, 2), 0.5)
    prices[1], wanted[:2], wanted[64:] = NAN, NAN, 0.7
    book = keep_book(wanted, Quotes.of(prices), due=np.arange(80) == 0)
    assert book.held.tolist() == [[0.0, 0.0]] * 2 + [[0.5, 0.5]] * 78
    assert (book.undecided, book.ruined, book.moved) == (0, -1, None)
