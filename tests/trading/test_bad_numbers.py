"""A bad number does not trade: one close that is wrong, in books of 40 and 500 names, under the default limits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sigc.blocks.block import MemoryStore
from sigc.config.settings import Config
from sigc.panel import Floats
from sigc.store.ledger import control, runs
from sigc.store.ledger.records import Outcome
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.live.trading import Ended
from tests.trading.floor import Floor, weekdays
from tests.world import WEEKDAYS, workspace, write_strategy, write_wide

ROWS = 30
TEXT = """data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
signal size:
  emit fill_nan(prices * 0, 0) + 1
portfolio main:
  weights = size.scale()
"""
DAYS = tuple(str(d.astype("datetime64[D]")) for d in business_days("2016-01-04", ROWS))
BAD = 26  # the row of the wrong close


def config(**safety: Any) -> Config:
    """The defaults."""
    return Config.model_validate({"schedule": {"calendar": "weekdays"}, "safety": safety})


def market(folder: Path, assets: int, text: str = TEXT) -> tuple[Floor, Floats, Floats]:
    """A floor of so many assets that move a little, and its prices and volumes."""
    random = np.random.default_rng(assets)
    close = np.round(50 * np.exp(random.normal(0, 0.01, (ROWS, assets)).cumsum(axis=0)), 2)
    volume = np.round(np.exp(random.normal(13, 0.2, close.shape)))
    folder.mkdir(parents=True, exist_ok=True)
    strategy = write_strategy(folder, text, "book")
    floor = Floor(strategy, workspace(MemoryStore(), exchanges=WEEKDAYS), folder / "work", config(), weekdays())
    return floor, close, volume


def names(assets: int) -> tuple[str, ...]:
    return tuple(f"N{i:03d}" for i in range(assets))


def write(floor: Floor, close: Floats, volume: Floats, rows: int = ROWS) -> None:
    """The files, as they are after so many rows."""
    folder = floor.work_dir.parent
    dates = business_days("2016-01-04", rows)
    for name, values in (("prices", close), ("volume", volume)):
        write_wide(folder / f"{name}.parquet", dates, values[:rows], names(values.shape[1]))


def traded(floor: Floor, rows: Sequence[int]) -> list[Ended]:
    return [floor.day(DAYS[row]) for row in rows]


def checks(ended: Ended) -> set[str]:
    return {f.check for s in ended.stages for f in s.findings}


WRONG = {
    "a thousandth": lambda p: p * 0.001,
    "ten times": lambda p: p * 10,
    "a tenth": lambda p: p / 10,
    "negative": lambda p: -p,
    "zero": lambda p: p * 0,
    "three times and a bit": lambda p: p * 3.4,
}


@pytest.mark.parametrize(
    ("wrong", "assets"),
    [(w, 40) for w in (*WRONG, "repeated with its volume", "no volume")]
    + [(w, 500) for w in ("a thousandth", "ten times", "zero", "repeated with its volume")],
)
def test_one_wrong_close_trades_nothing(wrong: str, assets: int, tmp_path: Path) -> None:
    floor, close, volume = market(tmp_path, assets)
    seen, sold = close.copy(), volume.copy()
    if wrong in WRONG:
        seen[BAD, 0] = WRONG[wrong](close[BAD, 0])
    elif wrong == "no volume":
        sold[BAD, 0] = 0.0
    else:
        seen[BAD, 0], sold[BAD, 0] = seen[BAD - 1, 0], sold[BAD - 1, 0]
    write(floor, seen, sold)
    before = traded(floor, [BAD - 2, BAD - 1])
    assert all(e.run.outcome is Outcome.DONE for e in before), before[0].run.message
    bad, back = traded(floor, [BAD, BAD + 1])
    assert bad.run.outcome in (Outcome.DONE, Outcome.UNCHANGED), bad.run.message
    assert "N000" not in {o.asset for o in bad.orders}
    named = [f for s in bad.stages for f in s.findings if f.check in ("unaccepted", "missing")]
    assert named[0].assets == ("N000",)
    # The true price is back: the asset trades on, for no more than its drift from what is wanted.
    assert back.run.outcome in (Outcome.DONE, Outcome.UNCHANGED), back.run.message
    for order in back.orders:
        assert order.quantity * order.reference < 1_000_000 / assets * 0.2, order.asset
    with floor.open(DAYS[BAD + 2]) as trading, trading.ledger.reading() as connection:
        said = runs.decision_of(connection, f"run-{DAYS[BAD + 1]}")
        assert said["pending"] == {}


def test_a_real_rise_is_traded_once_it_is_confirmed(tmp_path: Path) -> None:
    floor, close, volume = market(tmp_path, 40)
    close[BAD:, 0] *= 2.5
    write(floor, close, volume)
    traded(floor, [BAD - 2, BAD - 1])
    jump, confirmed = traded(floor, [BAD, BAD + 1])
    assert "N000" not in {o.asset for o in jump.orders}
    (order,) = [o for o in confirmed.orders if o.asset == "N000"]
    assert (order.side, str(order.state)) == ("sell", "acknowledged")
    assert float(order.reference) == close[BAD + 1, 0]
    assert confirmed.target is not None
    assert float(order.quantity) == pytest.approx(25_000 / close[BAD - 2, 0] - 25_000 / close[BAD + 1, 0], abs=1.5)


@pytest.mark.parametrize("way", ["nobody", "a person", "before"])
def test_what_looks_like_a_split_is_held_until_a_person_accepts_it(way: str, tmp_path: Path) -> None:
    floor, close, volume = market(tmp_path, 40)
    close[BAD:, 0] /= 4.0
    if way == "before":
        close[BAD + 1 :, 0] *= 4.0  # it was a wrong price after all
    write(floor, close, volume)
    traded(floor, [BAD - 2, BAD - 1])
    (jump,) = traded(floor, [BAD])
    (found,) = [f for s in jump.stages for f in s.findings if f.check == "unaccepted"]
    assert "as of a split 4:1 that no action declares" in found.message
    if way == "a person":
        with floor.open(DAYS[BAD]) as trading, trading.ledger.transaction("control") as tx:
            control.accept_price(tx, "N000", DAYS[BAD], "ann", "the vendor says so")
    after = traded(floor, [BAD + 1, BAD + 2])
    sold = sum(o.quantity * o.reference for e in after for o in e.orders if o.asset == "N000")
    assert (sold > 10_000) is (way == "a person")  # three quarters of 25,000 are missing after the split
    assert sold == 0 or way != "nobody"
    assert all(("unaccepted" in checks(e)) is (way == "nobody") for e in after)


def test_a_decision_by_hand_is_in_the_audit(tmp_path: Path) -> None:
    floor, close, volume = market(tmp_path, 40)
    write(floor, close, volume)
    with floor.open(DAYS[BAD]) as trading:
        with trading.ledger.transaction("control") as tx:
            control.accept_price(tx, "N 0", DAYS[BAD], "ann", "checked")
        with trading.ledger.reading() as connection:
            assert control.accepted_by_hand(connection) == {("N 0", DAYS[BAD])}
            (record,) = connection.execute("SELECT record FROM audit WHERE event = 'control.set'").fetchone()
    said = json.loads(record)
    assert (said["who"], said["payload"]["reason"]) == ("ann", "checked")
