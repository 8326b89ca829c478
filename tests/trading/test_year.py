"""A year of real prices, day by day, through the paper broker: money reconciles to the cent."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.calendar.calendar import open_calendar
from sigc.config.settings import DataSettings
from sigc.store.ledger import books
from sigc.store.ledger.records import BookKey, Outcome
from sigc_pipelines.reconcile.differences import differences
from tests.trading.floor import Floor, settings
from tests.world import workspace, write_strategy

TEXT = """data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
  sectors: load sector from "sectors.csv"
signal reversal:
  emit zscore(ret(prices, 5)).neutralize(by=sectors)
portfolio main:
  weights = reversal.long_short(top=0.03, bottom=0.03)
"""
CENT = Decimal("0.01")


@pytest.fixture
def here(sp500: Path, tmp_path: Path) -> Floor:
    for name in ("prices.parquet", "volume.parquet", "sectors.csv"):
        (tmp_path / name).symlink_to(sp500 / name)
    space = replace(workspace(MemoryStore()), data=DataSettings(roots=(str(sp500),)))
    calendar = open_calendar("nyse", tmp_path / "calendars", today=date(2019, 1, 1))
    config = settings(
        broker={
            "paper": {"slippage_bps": 2.0, "commission_per_share": 0.005, "borrow_bps": 75.0, "max_volume_pct": 0.001}
        }
    )
    return Floor(write_strategy(tmp_path, TEXT, "reversal"), space, tmp_path / "work", config, calendar)


def test_nav_positions_and_cash_are_those_of_the_fills(here: Floor, sp500: Path) -> None:
    days = here.days("2017-01-03", "2017-12-29")
    done = Counter(here.day(day).run.outcome for day in days)
    assert len(days) == 251
    # On the others an order or two is larger than a tenth of the mean volume, and is denied.
    assert done == {Outcome.DONE: 175, Outcome.PARTIAL: 76}
    key = BookKey("reversal", "main")
    with here.open("2017-12-29") as trading:
        assert differences(trading.ledger, trading.broker) == ()
        with trading.ledger.reading() as connection:
            fills = connection.execute("SELECT at, asset, side, quantity, price, commission FROM fills").fetchall()
            charges = connection.execute("SELECT at, amount FROM charges").fetchall()
            book = books.book(connection, key)
            held = books.quantities(connection, key)
            navs = books.navs(connection, key)
            states = dict(connection.execute("SELECT state, count(*) FROM intents GROUP BY state").fetchall())
    assert book is not None
    assert len(fills) > 2_000
    assert charges
    assert states["expired"] > 0  # orders larger than a thousandth of a session's volume: partial fills
    frame = pd.read_parquet(sp500 / "prices.parquet").set_index("date").ffill().loc["2017"]
    prices: dict[str, dict[str, float]] = {str(day)[:10]: dict(row) for day, row in frame.iterrows()}
    cash = Decimal(1_000_000)
    quantity: defaultdict[str, Decimal] = defaultdict(Decimal)
    flows = sorted(
        [(at[:10], a, Decimal(q) * (1 if s == "buy" else -1), Decimal(p), Decimal(c)) for at, a, s, q, p, c in fills]
        + [(at[:10], "", Decimal(0), Decimal(0), -Decimal(amount)) for at, amount in charges]
    )
    for nav in navs:
        while flows and flows[0][0] <= nav.session:
            _, asset, change, price, cost = flows.pop(0)
            cash -= change * price + cost
            if asset:
                quantity[asset] += change
        worth = cash
        for asset, held_then in quantity.items():
            if held_then:
                worth += held_then * Decimal(repr(float(prices[nav.session][asset])))
        assert nav.nav == worth.quantize(CENT, ROUND_HALF_EVEN), nav.session
        assert nav.cash == cash.quantize(CENT, ROUND_HALF_EVEN), nav.session
    assert len(navs) == 251
    # What was filled at the last day's close is in; what was ordered then is not filled yet.
    assert not flows
    assert book.cash == cash
    assert held == {a: q for a, q in quantity.items() if q}
