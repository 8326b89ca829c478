"""Kills of the process that sends, at two real folders and a desk that goes on: no order is doubled, lost or wrong.

The desk of the docs runs in a thread of the parent, under the campaign's clock, and fills each order at the day's
price. The history is that of calm days: the same orders and fills, each once, the same cash and positions, in the
ledger and in the desk's book; each order's file was written once and never changed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from sigc.config.broker_settings import FilesSettings
from sigc.store.ledger.ledger import Ledger
from sigc_pipelines.brokers.faulty import Faults
from sigc_pipelines.brokers.files.opening import open_files
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Trading
from tests.brokers.desk import FormDesk
from tests.killing import Kill, Tally, kills
from tests.trading.campaign import Campaign, Paced, history
from tests.trading.floor import Floor
from tests.trading.script import DAYS
from tests.trading.test_alpaca_kills import FIRST_DAYS, NAMES, SEED, market, price_of


class FolderCampaign(Campaign):
    """A campaign whose broker is a desk behind two folders."""

    def __init__(self, floor: Floor, folder: Path, seed: int) -> None:
        super().__init__(floor, floor.replayed(DAYS[0]), folder, seed, Faults())
        for name in ("outbox", "inbox"):
            (folder / name).mkdir()
        places = {name: str(folder / name) for name in ("outbox", "inbox")}
        self.settings = FilesSettings.model_validate({**places, "ack_wait_s": 5.0})
        self.clock = Paced(instant_of(floor.calendar, DAYS[0]), time.time())
        prices = {name: price_of(name, 0) for name in NAMES}
        self.desk = FormDesk(self.settings, prices, Decimal(1_000_000), now=lambda: self.clock.now())
        self.seen: dict[str, str] = {}
        self.turn, self.is_over = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        while not self.is_over.is_set():
            with self.turn:
                self.desk.take()
                self.desk.trade()
                self.desk.tell()
            self.is_over.wait(0.01)

    def trade_day(self, number: int, kills: Iterator[Kill], tally: Tally) -> None:
        """One day, however many processes it takes; files of the days before are as they were."""
        real = time.time()
        with self.turn:
            self.clock = Paced(instant_of(self.floor.calendar, DAYS[number]), real)
            self.desk.prices = {name: price_of(name, number) for name in NAMES}
            self.desk.tell()
        self.day(DAYS[number], kills, tally)
        files = {path.name: path.read_text() for path in (self.folder / "outbox").glob("*.csv")}
        assert files == files | self.seen, "a file was written again"
        self.seen = files

    @contextmanager
    def open(self, day: str, real: float, faults: Faults) -> Iterator[Trading]:  # noqa: ARG002
        """Ledger and broker, as a process has them that has just begun."""
        clock = Paced(instant_of(self.floor.calendar, day), real)
        with Ledger.open(self.folder, clock, durable=False) as ledger:
            yield Trading(ledger, open_files(self.settings, clock), clock, self.floor.calendar, self.floor.config)

    def end(self, day: str) -> None:
        """A last process takes everything in."""
        with self.turn:
            self.clock = Paced(instant_of(self.floor.calendar, day), time.time() - 60.0)
        self.settled(day)
        self.is_over.set()
        self.thread.join()


def test_forty_kills(tmp_path: Path) -> None:
    floor = market(tmp_path / "market")
    bad, tally = FolderCampaign(floor, tmp_path / "bad", SEED), Tally()
    waiting = kills(bad.random, 1_000, most_points=50, most_s=0.15)
    number = 0
    try:
        while tally.kills < 40 or number < 4:
            assert number < FIRST_DAYS, f"seed {SEED}: {tally.kills} kills only"
            bad.trade_day(number, waiting, tally)
            number += 1
        bad.end(DAYS[number - 1])
    finally:
        bad.is_over.set()
    calm = FolderCampaign(floor, tmp_path / "calm", SEED)
    try:
        for day in range(number):
            calm.trade_day(day, iter(()), Tally())
        calm.end(DAYS[number - 1])
    finally:
        calm.is_over.set()
    ours, money = history(floor, tmp_path / "bad")
    right, right_money = history(floor, tmp_path / "calm")
    assert ours.keys() == right.keys()
    for name, intent in ours.items():
        assert (intent.state, intent.filled) == (right[name].state, right[name].filled), f"seed {SEED}: {intent}"
    assert money == right_money, f"seed {SEED}: cash, positions or NAV differ"
    sent = {i.client_order_id: (i.asset, i.side.sign, i.quantity, i.filled) for i in ours.values()}
    assert {o.id: (o.asset, o.sign, o.quantity, o.filled) for o in bad.desk.orders.values()} == sent
    assert (bad.desk.cash, bad.desk.positions) == (calm.desk.cash, calm.desk.positions)
    assert bad.desk.fills == calm.desk.fills == len(sent)
    print(f"seed {SEED}, {os.getpid()}: {tally.kills} kills, {number} days, {len(ours)} orders, {tally.points}")
    assert tally.kills >= 40
