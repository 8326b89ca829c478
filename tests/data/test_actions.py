"""Actions as values: their order, a digest of all they say, restated prices; and the first bar of an ex-date."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np

from sigc.actions import Action, ActionKind, between, digest_of, in_order, restated_price
from sigc.blocks.block import MemoryStore
from sigc.data.actions.adjust import in_units_of
from sigc.engine.core.gather import gather
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
