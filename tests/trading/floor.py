"""A trading floor for tests: a small universe on business days, the real stages, ledger and paper broker in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sigc.blocks.block import BlockStore, MemoryStore
from sigc.calendar.calendar import open_calendar
from sigc.calendar.sessions import Calendar
from sigc.clock import Clock, HandClock
from sigc.config.settings import Config
from sigc.plan.strategy import Strategy
from sigc.store.ledger import orders
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Intent, RunKind
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import Broker
from sigc_pipelines.compute import Workspace, load
from sigc_pipelines.live.recover import recover
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Ended, Request, Trading
from sigc_pipelines.prices.closes import closes
from sigc_pipelines.target_feeds import FreshFeed, ReplayFeed
from sigc_pipelines.targets import look
from tests.world import WEEKDAYS, workspace, write_strategy, write_world

TEXT = """data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
  sectors: load sector from "sectors.csv"
signal momentum:
  emit zscore(ret(prices, 20)).neutralize(by=sectors)
portfolio main:
  weights = momentum.long_short(top=0.3, bottom=0.3)
  backtest rebal=1 from 2016-01-04 to 2017-01-31
"""
# The universe is small and odd: some asset is always missing somewhere.
SAFETY: Mapping[str, Any] = {"max_anomalies_pct": 0.5, "max_missing_pct": 0.5}
PAPER: Mapping[str, Any] = {
    "slippage_bps": 3.0,
    "commission_per_share": 0.005,
    "min_commission": 1.0,
    "borrow_bps": 50.0,
}


def settings(**sections: Mapping[str, Any]) -> Config:
    """A configuration for the small universe; `sections` are laid over it."""
    given: dict[str, Any] = {
        "schedule": {"calendar": "weekdays"},
        "safety": dict(SAFETY),
        "broker": {"paper": dict(PAPER)},
        "execution": {"lookup_grace_s": 2.0, "lookup_backoff_s": 0.1},
    }
    for name, section in sections.items():
        given[name] = {**given.get(name, {}), **section}
    return Config.model_validate(given)


def weekdays() -> Calendar:
    """The calendar of the small universe."""
    return open_calendar("weekdays", None, today=date(2019, 1, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """A strategy on its data, and where it is traded."""

    strategy: Strategy
    space: Workspace
    work_dir: Path
    config: Config
    calendar: Calendar

    @contextmanager
    def open(
        self, day: str, broker: Broker | None = None, clock: Clock | None = None, *, is_recovering: bool = True
    ) -> Iterator[Trading]:
        """The ledger and broker as a process has them that begins just after the close of a day."""
        clock = clock or HandClock(instant_of(self.calendar, day))
        paper = (
            None
            if broker is not None
            else PaperBroker(self.work_dir / "paper.sqlite", self.config.broker.paper, clock, durable=False)
        )
        try:
            with Ledger.open(self.work_dir, clock, durable=False) as ledger:
                trading = Trading(ledger, broker or paper, clock, self.calendar, self.config)  # type: ignore[arg-type]
                if is_recovering:
                    recover(trading)
                yield trading
        finally:
            if paper is not None:
                paper.close()

    def feed(self) -> FreshFeed:
        """Data and weights, computed afresh."""
        return FreshFeed(self.strategy, self.space, self.config.execution.capital)

    def run(self, trading: Trading, id: str, **how: Any) -> Ended:
        """One run."""
        asked = replace(self.asked(id), digests={"strategy": "s"})
        return carry_out(trading, replace(asked, **how), self.feed())

    def asked(self, id: str, who: str = "tester") -> Request:
        """A trade, asked for."""
        return Request(id, self.strategy.name, "main", RunKind.TRADE, who)

    def replayed(self, first: str) -> ReplayFeed:
        """Data and weights of all days from one on, computed now."""
        loaded = load(self.strategy, self.space)
        dates = [str(d) for d in loaded.grid.dates.astype("datetime64[D]")]
        outlook = look(loaded, self.space, "main", dates.index(first), len(dates))
        return ReplayFeed(outlook, closes(loaded, self.space, first))

    def day(self, day: str, id: str = "", **how: Any) -> Ended:
        """A process that begins, runs as of a day, and ends."""
        with self.open(day) as trading:
            return self.run(trading, id or f"run-{day}", **how)

    def days(self, first: str, last: str) -> list[str]:
        """The sessions between two days."""
        found = self.calendar.sessions(date.fromisoformat(first), date.fromisoformat(last))
        return [str(s.day) for s in found]


def floor(folder: Path, text: str = TEXT, config: Config | None = None, store: BlockStore | None = None) -> Floor:
    """A floor in a fresh folder."""
    write_world(folder)
    work_dir = folder / "work"
    return Floor(
        strategy=write_strategy(folder, text, "momentum"),
        space=workspace(store or MemoryStore(), exchanges=WEEKDAYS),
        work_dir=work_dir,
        config=config or settings(),
        calendar=weekdays(),
    )


def ordered(intents: tuple[Intent, ...]) -> list[tuple[object, ...]]:
    """What orders are, without the names that a ledger gives them."""
    return [
        (i.key.session, i.place, i.asset, i.side, i.quantity, i.reference, i.order_type, i.limit, i.slice, i.state)
        for i in intents
    ]


def all_orders(trading: Trading) -> tuple[Intent, ...]:
    """Every order of a ledger, oldest first."""
    with trading.ledger.reading() as connection:
        return orders.recent(connection, 1_000_000)[::-1]


NOON = datetime(2016, 3, 1, 12, tzinfo=UTC)
