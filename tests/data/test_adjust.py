"""Steps, levels and units by hand: what a share is worth over its actions, and what a price says of a later day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sigc.actions import Action, ActionKind, between, digest_of, in_order, restated_price
from sigc.blocks import MemoryStore
from sigc.data.adjust import Since, forward, in_units_of, levels_of, steps_of
from sigc.engine.gather import gather
from sigc_pipelines.compute import compute, load
from tests.world import workspace, write_strategy

NAN = float("nan")
DAYS = np.arange("2024-01-01", "2024-01-06", dtype="datetime64[D]")
NAMES = ("A", "B")


def on(day: int, kind: ActionKind, asset: str = "A", **said: object) -> Action:
    return Action(date(2024, 1, day), asset, kind, **said)  # type: ignore[arg-type]


def split(day: int, ratio: int, asset: str = "A") -> Action:
    return on(day, ActionKind.SPLIT, asset, ratio=Fraction(ratio))


def paid(day: int, cash: float, asset: str = "A") -> Action:
    return on(day, ActionKind.DIVIDEND, asset, cash=cash)


def column(values: list[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([values, [10.0] * len(values)]).T


def test_a_split_comes_before_the_dividend_of_its_day() -> None:
    """100 closes at 51 after 2:1 and 1.00 a new share: 2 x 52 of what was 100."""
    assert [a.kind for a in in_order([paid(2, 1.0), split(2, 2)])] == [ActionKind.SPLIT, ActionKind.DIVIDEND]
    levels = forward(column([100, 51, 51, 51, 51]), NAMES, DAYS, in_order([paid(2, 1.0), split(2, 2)]))
    assert levels[:, 0].tolist() == [100.0, 104.0, 104.0, 104.0, 104.0]
    assert levels[:, 1].tolist() == [10.0] * 5


def test_actions_in_a_gap_take_effect_together() -> None:
    """A dividend of 2 before a split 4:1 is 0.50 of a new share when the price is back at 25."""
    values = column([100, NAN, NAN, 25, 25])
    (step,), left = steps_of(values, NAMES, DAYS, (paid(2, 2.0), split(3, 4)))
    assert (step.row, step.split, step.cash, left) == (3, 4.0, 0.5, ())
    assert step.total == pytest.approx(4 * 25.5 / 25)


def test_what_finds_no_price_waits_for_the_window_after() -> None:
    acts = (split(4, 4),)
    first = levels_of(column([100, 100, 100, NAN, NAN]), NAMES, DAYS, acts)
    assert first.waiting == acts
    later = DAYS + 5
    second = levels_of(column([25, 25, 25, 25, 25]), NAMES, later, acts, Since(date(2024, 1, 5), first.waiting))
    assert second.levels[:, 0].tolist() == [100.0] * 5
    assert second.scales.tolist() == [4.0, 1.0]
    alone = levels_of(column([25, 25, 25, 25, 25]), NAMES, later, acts)
    assert alone.levels[:, 0].tolist() == [25.0] * 5  # of what was before nothing is known


def test_a_spin_off_pays_the_first_close_of_what_it_delivers() -> None:
    """One B at 8 for every four A: 2 a share."""
    values = np.array([[40.0, NAN], [38.0, 8.0], [38.0, 9.0], [38.0, 9.0], [38.0, 9.0]])
    spun = on(2, ActionKind.SPINOFF, ratio=Fraction(1, 4), into="B")
    assert forward(values, NAMES, DAYS, (spun,))[1, 0] == pytest.approx(40.0)
    bare = on(2, ActionKind.SPINOFF, cash=2.0, ratio=Fraction(0))
    assert forward(values, NAMES, DAYS, (bare,))[1, 0] == pytest.approx(40.0)


def test_prices_and_counts_in_the_units_of_a_later_day() -> None:
    acts = in_order([split(3, 4), paid(5, 1.0), split(9, 2)])
    prices = column([100, 104, 26, 26, 25])
    assert in_units_of(date(2024, 1, 5), prices, NAMES, DAYS, acts)[:, 0].tolist() == [24.0, 25.0, 25.0, 25.0, 25.0]
    assert in_units_of(date(2024, 1, 9), prices, NAMES, DAYS, acts)[:, 0].tolist() == [12.0, 12.5, 12.5, 12.5, 12.5]
    shares = in_units_of(date(2024, 1, 9), prices, NAMES, DAYS, acts, are_shares=True)[:, 0]
    assert shares.tolist() == [800.0, 832.0, 52.0, 52.0, 50.0]
    assert in_units_of(date(2024, 1, 2), prices, NAMES, DAYS, acts) is prices


def test_cash_that_leaves_nothing_leaves_no_price() -> None:
    found = in_units_of(date(2024, 1, 2), column([5, 1, 1, 1, 1]), NAMES, DAYS, (paid(2, 6.0),))
    assert np.isnan(found[0, 0])
    assert restated_price(Decimal(5), [paid(2, 6.0)], date(2024, 1, 1), date(2024, 1, 2)) == 5


def test_actions_between_two_days_are_those_after_the_first() -> None:
    acts = in_order([split(1, 2), split(2, 2), split(3, 2), split(4, 2)])
    assert between(acts, date(2024, 1, 1), date(2024, 1, 3)) == acts[1:3]
    assert between((), date(2024, 1, 1), date(2024, 1, 3)) == ()


def test_a_digest_tells_every_word_apart() -> None:
    one = on(2, ActionKind.MERGE, ratio=Fraction(1, 2), cash=1.0, into="B", pay_date=date(2024, 1, 9), id="x")
    others = [
        on(3, ActionKind.MERGE, ratio=Fraction(1, 2), cash=1.0, into="B", pay_date=date(2024, 1, 9), id="x"),
        on(2, ActionKind.SPINOFF, ratio=Fraction(1, 2), cash=1.0, into="B", pay_date=date(2024, 1, 9), id="x"),
        on(2, ActionKind.MERGE, "C", ratio=Fraction(1, 2), cash=1.0, into="B", pay_date=date(2024, 1, 9), id="x"),
        on(2, ActionKind.MERGE, ratio=Fraction(1, 3), cash=1.0, into="B", pay_date=date(2024, 1, 9), id="x"),
        on(2, ActionKind.MERGE, ratio=Fraction(1, 2), cash=1.1, into="B", pay_date=date(2024, 1, 9), id="x"),
        on(2, ActionKind.MERGE, ratio=Fraction(1, 2), cash=1.0, into="D", pay_date=date(2024, 1, 9), id="x"),
        on(2, ActionKind.MERGE, ratio=Fraction(1, 2), cash=1.0, into="B", id="x"),
        on(2, ActionKind.MERGE, ratio=Fraction(1, 2), cash=1.0, into="B", pay_date=date(2024, 1, 9)),
        on(2, ActionKind.DELIST, value=1.0),
        on(2, ActionKind.DELIST, total_return=1.0),
        on(2, ActionKind.DELIST),
    ]
    digests = [digest_of([a]) for a in (one, *others)] + [digest_of([]), digest_of([one, one])]
    assert len(set(digests)) == len(digests)
    assert digest_of([one]) == digest_of(iter([one]))


def test_a_split_acts_at_the_first_bar_of_its_session(tmp_path: Path) -> None:
    stamps = [f"2024-01-0{day} {hour}:30" for day in (3, 4, 5) for hour in (10, 12, 14)]
    closes = [100, 101, 102, 25, 25, 25, 26, 26, 26]
    rows = [f"{stamp},{close}\n" for stamp, close in zip(stamps, closes, strict=True)]
    (tmp_path / "p.csv").write_text("date,A\n" + "".join(rows))
    (tmp_path / "a.csv").write_text("date,ticker,split\n2024-01-04,A,4\n")
    text = """data:
  prices: load csv from "p.csv" adjust=split zone="America/New_York" calendar=XNYS
  corporate_actions: load csv from "a.csv"
signal seen:
  emit prices
"""
    space = workspace(MemoryStore())
    loaded = load(write_strategy(tmp_path, text), space)
    found = gather(compute(loaded, loaded.strategy.roots, space), "seen").values[:, 0]
    assert found.tolist() == [100, 101, 102, 100, 100, 100, 104, 104, 104]
