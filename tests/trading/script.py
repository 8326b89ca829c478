"""A scripted market: a strategy whose weights are read from a file, so that a test says what is wanted on which day.

    floor = written(folder, {"A": [0.1, 0.2], "B": -0.1}, prices={"A": 50.0})
    with scene(floor, D1) as desk:
        desk.broker.fail_next(Fault.LOST)
        ended = desk.run("one")

Weights, prices and volumes are a number for all days, or one for each; the last goes on to the end. `DAYS` are business
days; orders of a day are filled at the close of the next one, and trading costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.block import MemoryStore
from sigc.clock import HandClock
from sigc.config.settings import Config
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.records import BookKey, Intent, IntentState, Run
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.brokers.faulty import Fault, Faults, FaultyBroker
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import BrokerOrder, Capabilities, OrderRequest
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Ended, Trading
from tests.trading.floor import Floor, settings, weekdays
from tests.world import WEEKDAYS, workspace, write_strategy, write_wide

Column = float | Sequence[float]
_BEFORE = 3  # days of history before the first that is traded
DAYS = tuple(str(d.astype("datetime64[D]")) for d in business_days("2016-01-04", 40))
D1, D2, D3, D4, D5 = DAYS[:5]
TEXT = """data:
  prices: load parquet from "prices.parquet"{how}
  volume: load parquet from "volume.parquet"
  target: load parquet from "{target}.parquet"
  sectors: load sector from "sectors.csv"{more}
signal wanted:
  emit target
portfolio main:
  weights = wanted
"""
ACTIONS = '\n  corporate_actions: load csv from "actions.csv"'
_FREE = {
    "slippage_bps": 0.0,
    "commission_bps": 0.0,
    "commission_per_share": 0.0,
    "min_commission": 0.0,
    "borrow_bps": 0.0,
}


def free(paper: Mapping[str, Any] | None = None, **sections: Mapping[str, Any]) -> Config:
    """Settings under which trading costs nothing, with `sections` laid over them. paper: of the paper broker."""
    laid = {name: dict(section) for name, section in sections.items()}
    # Prices and volumes of a script do not move by themselves, and its volumes may be small.
    still = {"on_anomaly": "alert", "max_repeated_pct": 1.0, "max_adv_pct": 0.0}
    laid["safety"] = {"max_volume_ratio": 1e12, "max_return": 100.0} | still | laid.get("safety", {})
    return settings(broker={"paper": {**_FREE, **(paper or {})}}, **laid)


def written(
    folder: Path,
    weights: Mapping[str, Column],
    prices: Mapping[str, Column] | None = None,
    volumes: Mapping[str, Column] | None = None,
    *,
    config: Config | None = None,
    days: int = 10,
    name: str = "scripted",
    sectors: Mapping[str, str] | None = None,
    actions: str = "",
) -> Floor:
    """A floor on that market, in a folder. Prices are 100 where none are given, volumes about a million.

    actions: a file of corporate actions, as text; prices are as traded then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dates, names = business_days("2015-12-30", days + _BEFORE)[1:], tuple(sorted(weights))
    for file, columns, otherwise in (("prices", prices, 100.0), ("volume", volumes, 1e6), (name, weights, 0.0)):
        values = np.column_stack([_column((columns or {}).get(n, otherwise), days) for n in names])
        if file == "volume" and volumes is None:
            values += np.arange(len(values))[:, None]  # so that no row only repeats the one before
        write_wide(folder / f"{file}.parquet", dates, values, names)
    lines = [f"{n},{(sectors or {}).get(n, 'X')}" for n in names]
    (folder / "sectors.csv").write_text("\n".join(["ticker,sector", *lines]) + "\n")
    how, more = (" adjust=split_div", ACTIONS) if actions else ("", "")
    (folder / "actions.csv").write_text(actions)
    strategy = write_strategy(folder, TEXT.format(target=name, how=how, more=more), name)
    return Floor(strategy, workspace(MemoryStore(), exchanges=WEEKDAYS), folder / "work", config or free(), weekdays())


def _column(value: Column, days: int) -> NDArray[np.float64]:
    given = [float(value)] if isinstance(value, int | float) else [float(v) for v in value]
    return np.array([given[0]] * (_BEFORE - 1) + (given + [given[-1]] * days)[:days])


class KilledError(BaseException):
    """Stands for a process that ends there: nothing of ours catches it."""


class Hooked(FaultyBroker):
    """A faulty broker that does something of a test's own just before each submit (`hook`, by its number from 1)."""

    hook: Callable[[int, OrderRequest], None] = staticmethod(lambda _number, _request: None)
    submits = 0
    is_silent = False  # whether reads are not answered
    can: Mapping[str, Any] = {}  # capabilities that are laid over the paper broker's

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.calls: list[tuple[str, datetime]] = []  # each submit and read, and when

    def capabilities(self) -> Capabilities:
        """The paper broker's, but for `can`."""
        return replace(super().capabilities(), **self.can)

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """As the faulty broker, after the hook."""
        self.submits += 1
        self.calls.append(("submit", self._clock.now()))
        self.hook(self.submits, request)
        return super().submit(request)

    def _reach(self, operation: str, key: str = "") -> None:
        self.calls.append((operation, self._clock.now()))
        if self.is_silent:
            self.fail_next(Fault.UNREACHABLE)
        super()._reach(operation, key)


@dataclass(frozen=True, slots=True)
class Scene:
    """A process' worth of trading: opened, recovered, at an instant."""

    floor: Floor
    trading: Trading
    broker: Hooked
    paper: PaperBroker
    clock: HandClock

    def run(self, id: str, **how: Any) -> Ended:
        """One run."""
        return self.floor.run(self.trading, id, **how)

    def intents(self, run: str = "") -> dict[str, Intent]:
        """The orders of a run (of all), by asset; the newest where there are several."""
        with self.trading.ledger.reading() as connection:
            found = orders.recent(connection, 1_000_000)[::-1]
        return {i.asset: i for i in found if run in ("", i.run)}

    def states(self, run: str = "") -> dict[str, IntentState]:
        """Where they stand."""
        return {asset: i.state for asset, i in self.intents(run).items()}

    def booked(self) -> list[BrokerOrder]:
        """Every order in the broker's book."""
        return list(self.paper.orders(self.clock.now() - timedelta(days=3650)))

    def held(self, book: BookKey | None = None) -> dict[str, Decimal]:
        """What a book holds."""
        key = book or BookKey(self.floor.strategy.name, "main")
        with self.trading.ledger.reading() as connection:
            return books.quantities(connection, key)

    def record(self, id: str) -> Run:
        """A run as the ledger has it."""
        with self.trading.ledger.reading() as connection:
            return runs.find(connection, id)

    def audit(self, event: str) -> list[dict[str, Any]]:
        """The audit records of an event, in order."""
        with self.trading.ledger.reading() as connection:
            rows = connection.execute("SELECT record FROM audit WHERE event = ? ORDER BY seq", (event,)).fetchall()
        return [json.loads(record) for (record,) in rows]


def before_cut_off(floor: Floor, day: str, seconds: float) -> datetime:
    """An instant so long before the cut-off (five minutes before the close) of the session after a day."""
    session = floor.calendar.after(floor.calendar.before_or_on(_date(day)).day)
    return session.close - timedelta(minutes=5, seconds=seconds)


def _date(day: str) -> Any:
    return np.datetime64(day, "D").astype(object)


@contextmanager
def scene(
    floor: Floor,
    day: str,
    *,
    at: datetime | None = None,
    rates: Faults = Faults(late_s=20.0),  # noqa: B008
    hook: Callable[[int, OrderRequest], None] | None = None,
    is_silent: bool = False,
    is_recovering: bool = True,
    patience_s: float = 30.0,
    seed: int = 0,
    can: Mapping[str, Any] | None = None,
) -> Iterator[Scene]:
    """A process that begins a minute after the close of a day (or `at`), recovers (or not), and trades at a faulty broker.

    can: capabilities of the broker that differ from paper's.
    """
    clock = HandClock(at or instant_of(floor.calendar, day))
    floor.work_dir.mkdir(parents=True, exist_ok=True)
    paper = PaperBroker(
        floor.work_dir / "paper.sqlite", floor.config.broker.paper, clock, durable=False, timeout_s=patience_s
    )
    broker = Hooked(paper, rates, clock, seed=seed, memory=floor.work_dir / "faulty.sqlite")
    broker.is_silent, broker.can = is_silent, can or {}
    if hook is not None:
        broker.hook = hook
    try:
        with floor.open(day, broker, clock, is_recovering=is_recovering) as trading:
            yield Scene(floor, trading, broker, paper, clock)
    finally:
        broker.close()
        paper.close()
