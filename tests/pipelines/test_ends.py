"""Ends that corporate actions declare: a holding leaves at what is paid for it, or goes on under another name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest

from sigc.actions import Action, ActionKind
from sigc.panel import Floats
from sigc_pipelines.backtest.account_findings import findings_of
from sigc_pipelines.backtest.accounts import Adjust, BacktestAccounts, keep_book
from sigc_pipelines.backtest.ended_assets import cut, ends_of, within
from sigc_pipelines.prices.quotes import Quotes

DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(5)]
DATES = np.array(DAYS, dtype="datetime64[D]")
NAN = float("nan")
PRICES = {"OLD": (10.0, 11.0, NAN, NAN, NAN), "NEW": (NAN, NAN, 12.0, 15.0, 15.0), "C": (20.0, 20.0, 22.0, 22.0, 22.0)}


def book(
    actions: Sequence[Action],
    weights: Mapping[str, float],
    prices: Mapping[str, Sequence[float]] = PRICES,
    *,
    drift: bool = False,
    adjust: Adjust | None = None,
) -> tuple[BacktestAccounts, Floats]:
    """A book that is wanted on the first row and kept, and what it is worth after each row."""
    names = tuple(prices)
    values = np.array([prices[n] for n in names]).T
    wanted = np.full(values.shape, NAN)
    wanted[0] = [weights.get(n, 0.0) for n in names]
    ends = ends_of(actions, names, DATES, values, values)
    quotes = Quotes(cut(values, ends), cut(values, ends), None, ends=ends)
    made = keep_book(wanted, quotes, due=np.arange(5) == 0, drift=drift, adjust=adjust)
    worth: Floats = np.cumprod(1 + made.gross).astype(np.float64)
    return made, worth


@pytest.mark.parametrize("drift", [True, False])
@pytest.mark.parametrize("paid", [16.5, 5.5, 0.0])
def test_a_delisted_share_leaves_at_its_value(drift: bool, paid: float) -> None:
    """All of the book in a share bought at 10 that is at 11, when so much is paid for it."""
    found, worth = book([Action(DAYS[2], "OLD", ActionKind.DELIST, value=paid)], {"OLD": 1.0}, drift=drift)
    assert found.gross[2] == pytest.approx(paid / 11.0 - 1.0)
    assert found.held[2:].tolist() == [[0.0] * 3] * 3
    assert found.gross[3:].tolist() == [0.0, 0.0]
    assert [(e.row, e.is_declared) for e in found.events] == [(2, True)]
    assert worth[-1] == pytest.approx(paid / 10.0)


@pytest.mark.parametrize("drift", [True, False])
@pytest.mark.parametrize("is_constrained", [True, False])
def test_a_new_name_is_the_same_holding(drift: bool, is_constrained: bool) -> None:
    rename = Action(DAYS[2], "OLD", ActionKind.RENAME, into="NEW")
    keep: Adjust | None = (lambda _, wanted, *__: wanted) if is_constrained else None
    found, worth = book([rename], {"OLD": 1.0}, drift=drift, adjust=keep)
    assert found.gross.tolist() == pytest.approx([0.0, 0.1, 12 / 11 - 1, 0.25, 0.0])
    assert worth[-1] == pytest.approx(1.5)
    assert found.held[:, :2].tolist() == [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    assert found.turnover.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert not found.events


def test_a_name_that_trades_again_days_later_goes_on_there() -> None:
    late = dict(PRICES, NEW=(NAN, NAN, NAN, 15.0, 16.5))
    found, worth = book([Action(DAYS[2], "OLD", ActionKind.RENAME, into="NEW")], {"OLD": 1.0}, late)
    assert found.gross.tolist() == pytest.approx([0.0, 0.1, 0.0, 15 / 11 - 1, 0.1])
    assert worth[-1] == pytest.approx(1.65)


def test_prices_after_the_end_are_nobodys() -> None:
    """A vendor that goes on with the last price of a share that is gone: nothing is bought of it."""
    stale = dict(PRICES, OLD=(10.0, 11.0, 11.0, 11.0, 11.0))
    actions = [Action(DAYS[2], "OLD", ActionKind.DELIST, value=11.0)]
    values = np.array([stale[n] for n in stale]).T
    ends = ends_of(actions, tuple(stale), DATES, values, values)
    quotes = Quotes(cut(values, ends), cut(values, ends), None, ends=ends)
    found = keep_book(np.tile([0.5, 0.0, 0.5], (5, 1)), quotes)
    assert not found.held[2:, 0].any()


def test_an_end_before_the_rows_leaves_no_price() -> None:
    ended = [Action(DAYS[0] - timedelta(days=9), "OLD", ActionKind.DELIST, value=1.0)]
    found, worth = book(ended, {"OLD": 0.5, "C": 0.5})
    assert not found.held[:, 0].any()
    assert worth[-1] == pytest.approx(1.05)


def test_the_findings_tell_the_two_kinds_of_end_apart() -> None:
    found, _ = book([Action(DAYS[2], "OLD", ActionKind.DELIST, value=5.5)], {"OLD": 1.0})
    (told,) = findings_of(found, tuple(PRICES), DATES)
    assert "left at the value of their corporate action: OLD 2024-01-03 (100.00% of the book)" in told.message


X, Y, Z = "X", "Y", "Z"
CLOSES = np.array([[NAN, 10, 40], [NAN, 11, NAN], [NAN, 12, NAN], [5, NAN, NAN], [6, NAN, NAN]])
TOTALS = CLOSES * np.array([[1.0, 2.0, 1.0], [1.0, 2.0, 1.0], [1.0, 3.0, 1.0], [1.0, 3.0, 1.0], [1.0, 3.0, 1.0]])
D, M, R = ActionKind.DELIST, ActionKind.MERGE, ActionKind.RENAME
Wanted = tuple[list[int], list[float], list[int]]


def of_y(row: int, value: float, into: int = -1) -> Wanted:
    """The end of Y alone."""
    return [-1, row, -1], [NAN, value, NAN], [-1, into, -1]


# Y was last at 12, which is 36 on its total-return level; X is at 5 and 6 on the last two rows.
MADE: list[tuple[str, list[Action], Wanted | None]] = [
    ("at a value", [Action(DAYS[3], Y, D, value=4.0)], of_y(3, 12.0)),
    ("for nothing said", [Action(DAYS[3], Y, D)], of_y(3, 36.0)),
    ("for a return", [Action(DAYS[3], Y, D, total_return=-0.25)], of_y(3, 27.0)),
    ("for shares and cash", [Action(DAYS[2], Y, M, Fraction(1, 2), 1.0, X)], of_y(3, 10.5)),
    ("for shares of nobody", [Action(DAYS[3], Y, M, Fraction(1, 2), 3.0, "W")], of_y(3, 9.0)),
    ("another name, days later", [Action(DAYS[2], Y, R, into=X)], of_y(3, 15.0, 0)),
    ("another name, unknown", [Action(DAYS[3], Y, R, into="W")], of_y(3, 36.0)),
    ("another name, that never trades", [Action(DAYS[1], Y, R, into=Z)], None),
    ("the first of two", [Action(DAYS[4], Y, R, into=X), Action(DAYS[3], Y, D, value=4.0)], of_y(3, 12.0)),
    ("on the first row", [Action(DAYS[0], Y, D, value=4.0), Action(DAYS[3], Y, D, value=4.0)], of_y(0, NAN)),
    ("on the last row", [Action(DAYS[4], Y, D, value=4.0)], of_y(4, 12.0)),
    ("after the rows", [Action(DAYS[4] + timedelta(days=1), Y, D, value=4.0)], None),
    ("no ends of these", [Action(DAYS[3], Y, ActionKind.DIVIDEND, cash=1.0), Action(DAYS[3], "W", D)], None),
]


@pytest.mark.parametrize(("actions", "wanted"), [m[1:] for m in MADE], ids=[m[0] for m in MADE])
def test_the_row_the_level_and_the_heir_of_an_end(actions: list[Action], wanted: Wanted | None) -> None:
    made = ends_of(actions, (X, Y, Z), DATES, CLOSES, TOTALS)
    assert (made is None) is (wanted is None)
    if made is None or wanted is None:
        return
    assert (made[0].tolist(), made[2].tolist()) == (wanted[0], wanted[2])
    assert made[1] == pytest.approx(np.array(wanted[1]), nan_ok=True)


@pytest.mark.parametrize(
    ("low", "high", "rows"),
    [(2, 4, [-1, 0, -1, -1]), (1, 5, [-1, 1, -1, 3]), (0, 2, [0, -1, -1, -1]), (3, 4, None), (5, 9, None)],
)
def test_ends_of_some_rows_count_from_the_first_of_these(low: int, high: int, rows: list[int] | None) -> None:
    ends = np.array([0, 2, -1, 4]), np.array([3.0, 3.0, 3.0, 3.0]), np.array([3, -1, -1, 1])
    found = within(ends, low, high)
    assert (found and found[0].tolist()) == rows
    assert found is None or (found[1] is ends[1] and found[2] is ends[2])
