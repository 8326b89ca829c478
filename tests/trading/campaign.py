"""A crash campaign: processes that trade day after day at a bad broker, and are killed again and again.

The parent holds data and weights; each child is forked from it, opens ledger and broker, recovers, and runs the days
until it is killed: at a fail point that the seed draws, or by SIGKILL from outside at a time that it draws. At the end a
last process takes everything in without faults, and the whole history is compared with that of a calm one:

    the same orders, each once, in the broker's book and in the ledger; the same fills, cash, receivables and NAV; the
    same effects of corporate actions, each once

Time goes on over restarts, `PACE` times as fast as the machine's.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

from sigc.errors import SigcError
from sigc.store.ledger import action_rows, books, orders, proof, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Intent, IntentState, Outcome, Side
from sigc_pipelines.brokers.faulty import Faults, FaultyBroker
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.live.recover import recover
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.reconcile.differences import settled_differences
from sigc_pipelines.target_feeds import ReplayFeed
from tests.killing import Kill, Tally, child
from tests.trading.floor import Floor

PACE = 60.0
BAD = Faults(unknown=0.2, lost=0.05, late=0.03, throttled=0.05, refused=0.03, unreachable=0.1, late_s=4.0, lag_s=2.0)
_PATIENCE_S = 120.0
_MOST_KILLS = 30  # of one day


class Paced:
    """A clock that began at an instant of the market, and goes faster than the machine's."""

    def __init__(self, began: datetime, real: float) -> None:
        self._began, self._real = began, real

    def now(self) -> datetime:
        """The instant it has come to."""
        return self._began + timedelta(seconds=(time.time() - self._real) * PACE)

    def sleep(self, seconds: float) -> None:
        """Wait so many of its own seconds."""
        if seconds > 0:
            time.sleep(seconds / PACE)


class Campaign:
    """One history of days at a bad broker, in a folder of its own."""

    def __init__(self, floor: Floor, feed: ReplayFeed, folder: Path, seed: int, faults: Faults = BAD) -> None:
        self.floor, self.feed, self.folder, self.seed, self.faults = floor, feed, folder, seed, faults
        self.random = random.Random(seed)
        folder.mkdir(parents=True, exist_ok=True)

    def day(self, day: str, kills: Iterator[Kill], tally: Tally) -> None:
        """Trade one day, however many processes it takes."""
        real = time.time()
        until = time.monotonic() + _PATIENCE_S
        for tries in count():
            # Kills come by the clock too: a machine that is slow enough would not get through a day between two of them.
            kill = next(kills, None) if tries < _MOST_KILLS else None
            ended = child(lambda: self._trade(day, real), kill, tally)
            if ended == 0:
                tally.days += 1
                return
            if ended != -signal.SIGKILL and ended != 75:
                raise AssertionError(f"seed {self.seed}, {day}, {kill}: a process ended with {ended}")
            tally.kills += ended == -signal.SIGKILL
            assert time.monotonic() < until, f"seed {self.seed}: {day} does not end"

    @contextmanager
    def open(self, day: str, real: float, faults: Faults) -> Iterator[Trading]:
        """Ledger and bad broker, as a process that has just begun has them."""
        clock = Paced(instant_of(self.floor.calendar, day), real)
        paper = PaperBroker(self.folder / "paper.sqlite", self.floor.config.broker.paper, clock, durable=False)
        broker = FaultyBroker(paper, faults, clock, seed=self.seed, memory=self.folder / "faulty.sqlite")
        with Ledger.open(self.folder, clock, durable=False) as ledger:
            yield Trading(ledger, broker, clock, self.floor.calendar, self.floor.config)
        broker.close()
        paper.close()

    def _trade(self, day: str, real: float) -> int:
        """In the child: recover, then run as of the day, unless that is done. 75: try again."""
        with self.open(day, real, self.faults) as trading:
            recover(trading)
            id = f"{day}-{os.getpid()}-{time.monotonic_ns()}"
            try:
                ended = carry_out(trading, self.floor.asked(id, "campaign"), self.feed)
            except SigcError as error:
                return 0 if error.diagnostics[0].code == "E800" else 75
            if ended.run.outcome is Outcome.DONE:
                return 0
            if any(d.code not in ("E601", "E602", "E802") for d in ended.problems):
                raise AssertionError(f"{day}: {ended.run.outcome}, {ended.problems}")
            return 75

    def settled(self, day: str) -> None:
        """A last process, at a broker that has recovered: everything is taken in."""
        with self.open(day, time.time() - 3600.0 / PACE, Faults()) as trading:
            recover(trading)
            differing = settled_differences(trading.ledger, trading.broker, trading.clock, 10.0)
            assert differing == (), f"seed {self.seed}: {differing}"


Named = dict[tuple[str, str, Side, Decimal, Decimal], Intent]


def history(floor: Floor, folder: Path) -> tuple[Named, list[object]]:
    """All orders of a ledger by what they are, and NAV, cash and positions."""
    clock = Paced(instant_of(floor.calendar, "2016-01-04"), time.time())
    with Ledger.open(folder, clock, durable=False) as ledger, ledger.reading() as connection:
        found = orders.recent(connection, 1_000_000)
        key = BookKey(floor.strategy.name, "main")
        book = books.book(connection, key)
        money: list[object] = [None if book is None else (book.cash, book.receivables)]
        money += [books.quantities(connection, key)]
        money += [(n.session, n.nav, n.cash, n.receivables) for n in books.navs(connection, key)]
        money += booked(connection, key)
        assert not proof.faults(connection)
        assert not runs.left_open(connection)
    named = {(i.key.session, i.asset, i.side, i.quantity, i.reference): i for i in found}
    assert len(named) == len(found), "an order was written down twice"
    return named, money


def booked(connection: sqlite3.Connection, key: BookKey) -> Sequence[object]:
    """What corporate actions did to a book: each once, and nothing was corrected."""
    found = action_rows.entries_of_book(connection, key)[::-1]
    assert all(entry.corrects is None for entry in found)
    return sorted((e.session, e.key, e.step, str(e.amounts)) for e in found)


def verify(campaign: Campaign, calm: Path) -> int:
    """The history of the campaign is that of the calm one; how many orders there were."""
    floor, seed = campaign.floor, campaign.seed
    ours, money = history(floor, campaign.folder)
    right, right_money = history(floor, calm)
    lost, extra = right.keys() - ours.keys(), ours.keys() - right.keys()
    assert not lost, f"seed {seed}: lost {sorted(map(str, lost))[:5]}"
    assert not extra, f"seed {seed}: extra {sorted(map(str, extra))[:5]}"
    for name, intent in ours.items():
        calmly = right[name]
        assert (intent.state, intent.filled) == (calmly.state, calmly.filled), f"seed {seed}: {intent}"
        assert intent.state not in (IntentState.UNKNOWN, IntentState.SENDING), f"seed {seed}: {intent}"
    assert money == right_money, f"seed {seed}: cash, positions or NAV differ"
    clock = Paced(instant_of(floor.calendar, "2016-01-04"), time.time())
    paper = PaperBroker(campaign.folder / "paper.sqlite", floor.config.broker.paper, clock, durable=False)
    try:
        there = {o.request.client_order_id: o for o in paper.orders(instant_of(floor.calendar, "2016-01-04"))}
    finally:
        paper.close()
    sent = {i.client_order_id: i for i in ours.values()}
    assert there.keys() == sent.keys(), f"seed {seed}: book and ledger hold other orders"
    for id, order in there.items():
        wrong = (order.request.quantity, order.filled) != (sent[id].quantity, sent[id].filled)
        assert not wrong, f"seed {seed}: {order} is not {sent[id]}"
    return len(ours)


def calm_history(floor: Floor, feed: ReplayFeed, folder: Path, days: list[str]) -> None:
    """The same days at a good broker, without a crash."""
    calm = Campaign(floor, feed, folder, 0, Faults())
    for day in days:
        with calm.open(day, time.time(), Faults()) as trading:
            assert carry_out(trading, floor.asked(day, "calm"), feed).run.outcome is Outcome.DONE
    calm.settled(days[-1])
