"""Kills at Alpaca's twin, over real sockets, while a third of all requests fail: no order is doubled, lost or wrong.

Processes of days of trading are killed at fail points and at any time; the twin lives on in the parent. The history is
that of calm days: the same orders and fills, each once, the same cash and positions, in the ledger and at the broker.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import numpy as np

from sigc.store.ledger.ledger import Ledger
from sigc_pipelines.brokers.alpaca.opening import open_alpaca
from sigc_pipelines.brokers.faulty import Faults
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Trading
from tests.brokers.alpaca_bench import settings
from tests.brokers.twin.book import TwinAccount
from tests.brokers.twin.server import TwinServer
from tests.killing import Kill, Tally, kills
from tests.trading.campaign import Campaign, Paced, history
from tests.trading.floor import Floor
from tests.trading.script import DAYS, free, written

SEED = int(os.environ.get("SIGC_SEED", "20240115"))
BAD = Faults(unknown=0.2, lost=0.05, late=0.05, throttled=0.05, unreachable=0.1, late_s=4.0)
NAMES, FIRST_DAYS = "ABCDEF", 24


class TwinCampaign(Campaign):
    """A campaign whose broker is the twin. The market is open; orders are filled a second after they came."""

    def __init__(self, floor: Floor, folder: Path, seed: int, faults: Faults) -> None:
        super().__init__(floor, floor.replayed(DAYS[0]), folder, seed, faults)
        self.prices = dict.fromkeys(NAMES, Decimal(100))
        began = Paced(instant_of(floor.calendar, DAYS[0]), time.time())
        self.account = TwinAccount(began.now, self.prices, parts=2, is_open=True, fills_after_s=1.0)
        self.account.lag_s = 2.0 if faults.unknown else 0.0
        self.server = TwinServer(self.account)
        self.server.faults = faults
        self.server.random.seed(seed)

    def trade_day(self, number: int, kills: Iterator[Kill], tally: Tally) -> None:
        """One day, however many processes it takes; at its end everything is filled."""
        day, real = DAYS[number], time.time()
        self.account.now = Paced(instant_of(self.floor.calendar, day), real).now
        self.account.prices |= {name: price_of(name, number) for name in NAMES}
        self.day(day, kills, tally)
        self.server.deliver()
        self.account.trade(dict(self.account.prices), {})

    @contextmanager
    def open(self, day: str, real: float, faults: Faults) -> Iterator[Trading]:  # noqa: ARG002
        """Ledger and broker, as a process has them that has just begun."""
        clock = Paced(instant_of(self.floor.calendar, day), real)
        broker = open_alpaca(settings(self.server.url), clock, timeout_s=5.0, connections=2)
        with Ledger.open(self.folder, clock, durable=False) as ledger:
            yield Trading(ledger, broker, clock, self.floor.calendar, self.floor.config)
        broker.close()

    def end(self, day: str) -> None:
        """A last process without faults takes everything in."""
        self.server.faults, self.account.lag_s = Faults(), 0.0
        real = time.time() - 3600.0 / 60.0
        self.account.now = Paced(instant_of(self.floor.calendar, day), real).now
        self.settled(day)
        self.server.hang_up()


def price_of(name: str, number: int) -> Decimal:
    """The close of an asset on a day, as the strategy's data have it."""
    return Decimal(100 + (7 * number + 3 * NAMES.index(name)) % 11)


def market(folder: Path) -> Floor:
    """Six assets that change every day, in half of all cases from long to short or back."""
    random = np.random.default_rng(SEED)
    weights = {name: [round(float(w), 4) for w in random.uniform(-0.12, 0.12, FIRST_DAYS)] for name in NAMES}
    prices = {name: [float(price_of(name, n)) for n in range(FIRST_DAYS)] for name in NAMES}
    return written(folder, weights, prices, config=free(safety={"max_turnover": 10.0}), days=FIRST_DAYS)


def test_forty_kills(tmp_path: Path) -> None:
    floor = market(tmp_path / "market")
    bad, tally = TwinCampaign(floor, tmp_path / "bad", SEED, BAD), Tally()
    waiting = kills(bad.random, 1_000, most_s=0.5)
    number = 0
    while tally.kills < 40 or number < 4:
        assert number < FIRST_DAYS, f"seed {SEED}: {tally.kills} kills only"
        bad.trade_day(number, waiting, tally)
        number += 1
    bad.end(DAYS[number - 1])
    calm = TwinCampaign(floor, tmp_path / "calm", SEED, Faults())
    for day in range(number):
        calm.trade_day(day, iter(()), Tally())
    calm.end(DAYS[number - 1])
    ours, money = history(floor, tmp_path / "bad")
    right, right_money = history(floor, tmp_path / "calm")
    for name in ours.keys() & right.keys():
        intent, calmly = ours[name], right[name]
        assert (intent.state, intent.filled) == (calmly.state, calmly.filled), f"seed {SEED}: {intent} not {calmly}"
    assert ours.keys() == right.keys()
    assert money == right_money, f"seed {SEED}: cash, positions or NAV differ"
    sent = {i.client_order_id: (i.side.value, i.quantity, i.filled) for i in ours.values()}
    assert {o.client_id: (o.side, o.qty, o.filled) for o in bad.account.orders.values()} == sent
    assert (bad.account.cash, bad.account.positions) == (calm.account.cash, calm.account.positions)
    assert len(bad.account.activities) == len(calm.account.activities)
    reversed_ = sum(i.slice == 2 for i in ours.values())
    print(f"seed {SEED}: {tally.kills} kills, {number} days, {len(ours)} orders, {reversed_} reversals, {tally.points}")
    assert tally.kills >= 40
    assert reversed_ >= 5
