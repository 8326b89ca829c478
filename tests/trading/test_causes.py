"""What lies between the simple accounting and the orders, by worked numbers: a book of 1,000 in two assets.

A is 80, splits 4:1, and rises from 20 to 22; B is 50, pays 1, and rises from 49 to 53.9. Half of the book is wanted in
each: 6.25 and 10 shares, which are 6 and 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sigc.actions import Action, ActionKind
from sigc.blocks.block import MemoryStore
from sigc.calendar.calendar import open_calendar
from sigc.calendar.sessions import Calendar
from sigc.config.settings import Config
from sigc.store.ledger.records import Side
from sigc_pipelines.backtest.backtest import pick
from sigc_pipelines.backtest.replay import Replay, replay
from sigc_pipelines.compute import load
from sigc_pipelines.prices.closes import Closes
from tests.world import workspace, write_strategy, write_wide

DAYS = ("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08", "2024-03-11", "2024-03-12", "2024-03-13")
A = (80.0, 80.0, 80.0, 20.0, 22.0, 22.0, 22.0, 22.0)
B = (50.0, 50.0, 50.0, 50.0, 50.0, 49.0, 53.9, 53.9)
ACTIONS = """date,ticker,kind,value
2024-03-07,A,split,4
2024-03-11,B,dividend,1
"""
TEXT = """data:
  prices: load parquet from "prices.parquet"
  target: load parquet from "target.parquet"
  volume: load parquet from "volume.parquet"
  corporate_actions: load csv from "actions.csv"
signal wanted:
  emit target
portfolio main:
  weights = wanted
  backtest rebal={rebalance} from 2024-03-04
"""
FREE = {"slippage_bps": 0, "commission_bps": 0, "commission_per_share": 0, "min_commission": 0, "borrow_bps": 0}


def calendar() -> Calendar:
    return open_calendar("nyse", None, today=date(2026, 1, 2))


def replayed(
    folder: Path,
    *,
    a: tuple[float, ...] = A,
    volume: float = 1e6,
    wanted: Sequence[float] = (0.5,) * len(DAYS),
    rebalance: int = 100,
    safety: Mapping[str, object] | None = None,
    paper: Mapping[str, float] | None = None,
) -> Replay:
    """By orders. wanted: the weight of A by row, and of B on the first; a: prices of A."""
    dates = np.array(["2024-03-01", *DAYS], "datetime64[D]")
    target = np.array([(0.5, *wanted), (0.5,) * len(dates)]).T
    write_wide(folder / "prices.parquet", dates, np.array([(80.0, *a), (50.0, *B)]).T, ("A", "B"))
    write_wide(folder / "target.parquet", dates, target, ("A", "B"))
    steady = volume + np.arange(len(dates))[:, None] * np.ones(2)  # no row repeats the one before
    write_wide(folder / "volume.parquet", dates, steady, ("A", "B"))
    (folder / "actions.csv").write_text(ACTIONS)
    given = {
        "schedule": {"calendar": "nyse"},
        "broker": {"paper": FREE | dict(paper or {})},
        "safety": dict(safety or {}),
    }
    space = workspace(MemoryStore())
    loaded = load(write_strategy(folder, TEXT.format(rebalance=rebalance), "mine"), space)
    return replay(loaded, space, pick(loaded), Config.model_validate(given), calendar(), capital=1_000.0)


def effects(done: Replay) -> dict[str, float]:
    return {step.name: step.effect for step in done.steps}


def test_each_cause_by_hand(tmp_path: Path) -> None:
    """Simple: 1.05 x 1.05. Drifting: 550 + 550. Its fractions: 24 shares gain 48, not 50; the dividend: 1 on 10 gains
    nothing, where reinvested it gains 1."""
    done = replayed(tmp_path)
    assert done.simple == pytest.approx(0.1025)
    found = effects(done)
    assert list(found) == ["drift", "delay", "sizing", "capital", "dividends", "shares", "costs", "orders", "rest"]
    expected = {"drift": -0.0025, "dividends": -0.001, "shares": -0.002}
    assert found == pytest.approx({name: expected.get(name, 0.0) for name in found}, abs=1e-12)
    assert done.result.metrics.total_return == pytest.approx(0.097, abs=1e-12)
    assert [str(nav.nav) for nav in done.traded.navs][-1] == "1097.00"


def test_weights_go_on_over_a_split(tmp_path: Path) -> None:
    """6 x 80 of 1,000 is 24 x 20 of it; it was a quarter of that."""
    held = replayed(tmp_path).result.weights.values
    assert held[1:4].tolist() == [[0.48, 0.5]] * 3
    assert held[4:, 0] == pytest.approx([528 / 1048, 528 / 1048, 528 / 1097, 528 / 1097])
    assert held[4:, 1] == pytest.approx([500 / 1048, 490 / 1048, 539 / 1097, 539 / 1097])


def test_weights_of_a_split_without_a_price(tmp_path: Path) -> None:
    """The last price is worth what its shares are then: 24 at 20, from 6 at 80."""
    held = replayed(tmp_path, a=(80.0, 80.0, 80.0, np.nan, 22.0, 22.0, 22.0, 22.0)).result.weights.values
    assert held[3].tolist() == [0.48, 0.5]


def test_what_costs_take_is_told_with_slippage(tmp_path: Path) -> None:
    """Fills at 10 bps over the close: 0.98, beside commissions of 1.00 each. The book is worth that much less."""
    done = replayed(tmp_path, paper={"slippage_bps": 10.0, "min_commission": 1.0})
    assert effects(done)["costs"] == pytest.approx(-0.00298, abs=1e-9)
    assert done.result.costs.sum() == pytest.approx(0.00298)
    note = next(step.note for step in done.steps if step.name == "costs")
    assert note.startswith("slippage 0.98, commissions and fees 2.00")
    assert abs(effects(done)["rest"]) < 1e-12


def test_what_was_not_filled_is_a_cause(tmp_path: Path) -> None:
    """3 of 6 shares of A and 3 of 10 of B: 24 and 14.70 are gained, not 97."""
    done = replayed(tmp_path, volume=100.0, paper={"max_volume_pct": 0.03})
    found = effects(done)
    assert done.traded.held == {"A": 12, "B": 3}
    assert found["orders"] == pytest.approx((12 * 2 + 3 * 4.9 - 97) / 1000, abs=1e-9)
    assert abs(found["rest"]) < 1e-12


@pytest.mark.parametrize("paper", [{"shorting": False}, {"leverage": 1.0}])
def test_a_sale_on_the_eve_of_a_split(tmp_path: Path, paper: Mapping[str, float]) -> None:
    """All 24 shares, which are 6 until the session begins, are no short sale, and take no buying power."""
    safety = {"allow_short": False}
    done = replayed(tmp_path, wanted=(0.5, 0.5, *(0.0,) * 6), rebalance=2, safety=safety, paper=paper)
    found = [(str(f.at.date()), f.side, int(f.quantity), float(f.price)) for f in done.traded.fills if f.asset == "A"]
    assert found == [("2024-03-05", Side.BUY, 6, 80.0), ("2024-03-07", Side.SELL, 24, 20.0)]
    assert not {"denied", "rejected"} & done.traded.states.keys()


def test_marks_go_on_over_gaps_and_actions() -> None:
    """The newest price in the units of the row: over a split its part, over a dividend less the cash."""
    days = np.array(DAYS[:5], "datetime64[D]")
    prices = np.array([[np.nan, 8.0], [12.0, np.nan], [np.nan, np.nan], [np.nan, np.nan], [7.0, 9.0]])
    acts = (
        Action(date(2024, 3, 6), "A", ActionKind.SPLIT, Fraction(2)),
        Action(date(2024, 3, 7), "A", ActionKind.DIVIDEND, cash=0.5),
        Action(date(2024, 3, 8), "B", ActionKind.DIVIDEND, cash=0.5),
    )
    found = Closes(days, ("A", "B"), prices, None, acts).marks
    assert found[1:].tolist() == [[12.0, 8.0], [6.0, 8.0], [5.5, 8.0], [7.0, 9.0]]
    assert np.isnan(found[0, 0])
