"""The accounts of a portfolio, called directly for any wanted weights: every figure by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.ops.loops import books
from sigc.panel import Floats
from sigc_pipelines.backtest.backtest import Accounts, backtest, pick
from sigc_pipelines.compute import Loaded, Workspace, load
from tests.world import WEEKDAYS, workspace, write_strategy

ROWS = 8
DAYS = pd.bdate_range("2024-01-02", periods=ROWS)  # a Tuesday
A = [100.0, 110.0, 99.0, 99.0, 108.9, 108.9, 98.01, 98.01]  # +10 %, -10 %, 0, +10 %, 0, -10 %, 0
B = [50.0, 50.0, 55.0, 49.5, 49.5, 49.5, 49.5, 49.5]  # 0, +10 %, -10 %, 0, ...
A_MOVES = np.array([0.0, 0.1, -0.1, 0.0, 0.1, 0.0, -0.1, 0.0])
B_MOVES = np.array([0.0, 0.0, 0.1, -0.1, 0.0, 0.0, 0.0, 0.0])
NAN = float("nan")
TEXT = """data:
  prices: load csv from "prices.csv"{ended}
  other: load csv from "other.csv"
{actions}params:
  n = 3
signal s:
  emit scale(prices / other)
portfolio main:
  weights = s
  costs = {costs}
  backtest rebal={rebal}{more}
"""


def made(
    folder: Path,
    *,
    prices: dict[str, list[float]] | None = None,
    other: pd.DatetimeIndex = DAYS,
    costs: str = "tc.bps(10)",
    rebal: str = "1",
    more: str = "",
    ended: str = "",
    actions: str = "",
) -> tuple[Loaded, Workspace]:
    """other: the rows that the signal's second source has."""
    frame = pd.DataFrame(prices or {"A": A, "B": B}, DAYS).rename_axis("date")
    frame.to_csv(folder / "prices.csv")
    pd.DataFrame(1.0, other, frame.columns).rename_axis("date").to_csv(folder / "other.csv")
    (folder / "actions.csv").write_text(actions)
    line = '  corporate_actions: load csv from "actions.csv"\n' if actions else ""
    text = TEXT.format(costs=costs, rebal=rebal, more=more, ended=ended, actions=line)
    space = workspace(MemoryStore(), exchanges=WEEKDAYS)
    return load(write_strategy(folder, text), space), space


def accounts(folder: Path, **how: Any) -> Accounts:
    loaded, space = made(folder, **how)
    return Accounts(loaded, space, pick(loaded), 1e6, 0, ROWS)


def weights(*rows: tuple[float, float]) -> Floats:
    return np.array(rows)


HALF, SWAP = (0.5, 0.5), (1.0, -1.0)
TURNS = weights(HALF, SWAP, HALF, SWAP, HALF, SWAP, HALF, SWAP)


def test_a_book_is_kept_on_rows_that_tell_nothing(tmp_path: Path) -> None:
    """The other source lacks the third row and the fifth: what is held after the rows before stays."""
    of = accounts(tmp_path, other=DAYS.delete([2, 4]))
    (told,) = of.findings
    assert told.message.startswith("the book is kept on 2 rows")
    expected = weights(HALF, SWAP, SWAP, SWAP, SWAP, SWAP, HALF, SWAP)
    assert of.book(TURNS)[0].held.tolist() == expected.tolist()
    assert of.held(TURNS, drift=False).held.tolist() == expected.tolist()
    earned = np.concatenate([[0.0], expected[:-1] @ [1, 0] * A_MOVES[1:] + expected[:-1] @ [0, 1] * B_MOVES[1:]])
    assert of.book(TURNS)[0].gross == pytest.approx(earned)
    assert of.books(0) is None  # its figures are not those of the weights as they are wanted
    whole = accounts(tmp_path)
    assert whole.book(TURNS)[0].held.tolist() == TURNS.tolist()
    assert whole.findings == ()
    assert whole.books(0) is not None


@pytest.mark.parametrize(
    ("how", "can"),
    [
        ({}, True),
        ({"costs": "tc.bps(10) + slippage.bps(1)"}, True),
        ({"costs": "tc.per_trade(5)"}, False),
        ({"costs": "tc.bps(10) + borrow.rate(0.1)"}, False),
        ({"rebal": "2"}, False),
        ({"more": " drift=true"}, False),
    ],
)
def test_figures_are_kept_where_turnover_says_what_is_paid(how: dict[str, str], can: bool, tmp_path: Path) -> None:
    assert (accounts(tmp_path, **how).books(0) is not None) is can


def test_a_book_that_was_followed_is_the_one_that_is_kept(tmp_path: Path) -> None:
    of = accounts(tmp_path)
    kept = of.books(0)
    assert kept is not None
    assert (kept.start, kept.stop, kept.names) == (0, ROWS, ("A", "B"))
    figures = np.empty((books.FIGURES, ROWS))
    books.followed(TURNS, kept.returns, np.zeros(2), figures)
    found = of.followed(figures, TURNS[-1:])
    assert found is not None
    book, costs = found
    assert book.held.shape == (ROWS, 0)  # the weights are nowhere
    moves = [TURNS[t - 1] @ (A_MOVES[t], B_MOVES[t]) for t in range(1, ROWS)]
    assert book.gross == pytest.approx([0.0, *moves])
    assert book.turnover.tolist() == [1.0] + [2.0] * 7
    assert costs == pytest.approx(0.001 * book.turnover)
    assert [e.tolist() for e in book.exposures] == [[1.0, 2.0] * 4, [1.0, 0.0] * 4]
    whole, paid = of.book(TURNS)
    assert (whole.gross.tobytes(), paid.tobytes()) == (book.gross.tobytes(), costs.tobytes())
    figures[books.UNPRICED, 3] = 1.0
    assert of.followed(figures, TURNS[-1:]) is None  # something held had no price: it is walked


ENDS = {"A": [*A[:3], NAN, NAN, NAN, NAN, NAN], "B": B}


def test_what_lacks_prices_ends_unless_it_is_kept(tmp_path: Path) -> None:
    """A has no price from the fourth row on, and is presumed ended after two such rows."""
    of = accounts(tmp_path, prices=ENDS, ended=" ended_after=2")
    half = weights(*[HALF] * ROWS)
    ended, kept = of.held(half, drift=False), of.held(half, drift=False, keeps_ended=True)
    (event,) = ended.events
    assert (event.is_end, event.row, event.column, event.share) == (True, 4, 0, 0.5)
    assert kept.events == ()
    assert ended.held[:, 0].tolist()[3:6] == [0.5, 0.0, 0.0]
    assert kept.held[:, 0].tolist() == [0.5] * ROWS
    late = of.held(half, drift=False, delay=1, keeps_ended=True)
    assert (len(late.gross), late.events) == (7, ())


def test_a_share_may_lack_prices_on_every_row_but_the_first_and_stay(tmp_path: Path) -> None:
    prices = {"A": [A[0], *[NAN] * 7], "B": B}
    of = accounts(tmp_path, prices=prices, ended=" ended_after=2")
    once = weights(HALF, *[(NAN, NAN)] * 7)
    assert of.held(once, drift=False, keeps_ended=True).held.tolist() == [[0.5, 0.5]] * ROWS


def test_rows_that_are_due_may_be_given(tmp_path: Path) -> None:
    of = accounts(tmp_path, rebal="3")
    by_rebalance, given = (
        of.held(TURNS, drift=False),
        of.held(TURNS, drift=False, delay=1, due=np.isin(np.arange(ROWS), [0, 5])),
    )
    assert by_rebalance.held.tolist() == weights(*[HALF] * 3, *[SWAP] * 3, *[HALF] * 2).tolist()
    assert given.held.tolist() == weights(*[HALF] * 5, *[SWAP] * 2).tolist()
    late = of.held(TURNS, drift=False, delay=1)
    assert late.held.tolist() == weights(*[HALF] * 3, *[SWAP] * 3, HALF).tolist()


STALE = "date,ticker,type,value\n2024-01-04,A,delist,121\n"


def test_prices_after_an_end_are_nobodys_in_any_window(tmp_path: Path) -> None:
    """A leaves on the third row at 121, 10 % above the row before; its prices go on, and earn nothing in any window."""
    of = accounts(tmp_path, actions=STALE)
    assert of.quotes.ends is not None
    wanted = weights(*[HALF] * (ROWS - 1), (0.0, 0.0))
    book, _ = of.book(wanted)
    assert book.gross[:3] == pytest.approx([0.0, 0.05, 0.5 * 0.1 + 0.5 * 0.1])
    later, _ = of.book(wanted, 3, ROWS)
    assert later.held[:, 0].tolist() == [0.0] * 5
    assert later.gross[0] == 0.0
    assert later.gross[1:] == pytest.approx(later.held[:-1, 1] * B_MOVES[4:])
    assert np.isnan(of.quotes.returns[3:, 0]).all()


def test_a_result_says_what_it_was_made_of(tmp_path: Path) -> None:
    loaded, space = made(tmp_path, costs="tc.per_trade(5)")
    found = backtest(loaded, space, pick(loaded))
    assert (found.params, found.left_out) == ({"n": 3.0}, 0)
    trades = (np.diff(found.weights.values, axis=0, prepend=0.0) != 0.0).sum(axis=1)
    assert found.costs == pytest.approx(trades * 5 / 1_000_000)  # a million, unless another capital is said
    half = backtest(loaded, space, pick(loaded), capital=5e5)
    assert half.costs == pytest.approx(trades * 5 / 5e5)
    of = Accounts(loaded, space, pick(loaded), 1e6, 0, ROWS)
    own = of.result(found.wanted, found.report, {"n": 5.0})
    assert own.params == {"n": 5.0}
    assert own.returns.tobytes() == found.returns.tobytes()
    assert replace(own.settings) == found.settings
