"""Processor time of a session: 3,000 assets and about 800 orders, at session 3 and at session 250 of one ledger.

The real thing, driven session after session in one process by a hand-turned clock: files, strategy, stages, ledger, paper
broker, pages of the runs, mirror and anchors. Each session opens the ledger anew, recovers, and trades; those that are
measured prove the ledger first, and wait for the disk at every commit, as a daemon does. Only processor time is counted
(user and system): a slow disk does not tell. A part's time is without that of the parts within it:

    load         data up to the day               sending    orders judged, marked, sent, acknowledged
    compute      weights, and their records       settle     fills and ended orders taken in
    validate     checks of data and book          valuing    closes, actions, differences, NAV
    sizing       orders written down              paper      the paper broker's own close of a session
    files        account and page of each run     audit      mirror and anchors
    metrics      the daemon's figures of the book
    proof        the ledger replayed at the start: of all fills there are, and not counted as the session's
    other        opening, recovery, the verdict
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from sigc.cache.parquet import ParquetStore
from sigc.calendar.calendar import open_calendar
from sigc.calendar.sessions import Calendar
from sigc.clock import HandClock
from sigc.config.settings import Config
from sigc.data.dates.exchange import Exchanges
from sigc.engine.core.drive import Executor
from sigc.engine.executors.local import LocalExecutor
from sigc.lang.check import check_file
from sigc.metrics import DaemonMetrics
from sigc.panel import Panel
from sigc.plan.lower import lower
from sigc.plan.strategy import Strategy
from sigc.store.ledger import proof
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, RunKind
from sigc_cli.datafile import write_file
from sigc_cli.synthetic_universe import business_days
from sigc_cli.text.run_view import render
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.compute import Workspace
from sigc_pipelines.live import apply_fills, publish, recover, roll_forward, run
from sigc_pipelines.live.send_orders import Execution
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Request, Trading
from sigc_pipelines.records import artifacts
from sigc_pipelines.service import metrics_feed
from sigc_pipelines.target_feeds import FreshFeed

ASSETS, EARLY, LATE = 3_000, 3, int(os.environ.get("SIGC_BENCH_SESSIONS", "250"))
MOST_S = 3.0  # of processor time a session
_WARM, _START = 22, "2020-01-06"  # rows of history before the first session that is traded
# One fourteenth at each end of yesterday's moves: nearly all of it is another one's today.
_STRATEGY = """data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
  sectors: load sector from "sectors.csv"
signal reversal:
  emit zscore(-ret(prices, 1))
portfolio main:
  weights = reversal.long_short(top=0.07, bottom=0.07)
"""
_SETTINGS: dict[str, Any] = {
    "schedule": {"calendar": "weekdays"},
    "broker": {"paper": {"slippage_bps": 2.0, "commission_per_share": 0.005, "borrow_bps": 50.0, "leverage": 1000.0}},
    "execution": {"capital": 50_000_000.0, "sizing": "capital"},
    "safety": {"max_turnover": 1000.0, "max_gross": 1000.0, "max_gross_in_flight": 1000.0},
}
_PARTS: tuple[tuple[str, object, str], ...] = (
    ("load", run, "load"),
    ("compute", run, "look"),
    ("compute", run, "compute"),
    ("validate", run, "validate"),
    ("sizing", run, "execute"),
    ("sending", Execution, "run"),
    ("settle", apply_fills, "settle"),
    ("valuing", roll_forward, "followed"),
    ("paper", PaperBroker, "mark"),
    ("files", artifacts, "write_account"),
    ("files", artifacts, "refresh"),
    ("audit", publish, "publish"),
    ("metrics", metrics_feed, "tell_book"),
    ("proof", proof, "prove"),
)


@dataclass(slots=True)
class Meter:
    """Processor seconds by part; one part at a time, in whichever thread."""

    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    stack: list[str] = field(default_factory=lambda: ["other"])
    since: float = field(default_factory=time.process_time)

    def turn(self) -> None:
        """Count what was spent since the last turn for the part that is under way."""
        now = time.process_time()
        self.spent[self.stack[-1]] += now - self.since
        self.since = now

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, as a part."""

        def measured(*given: Any, **more: Any) -> Any:
            self.turn()
            self.stack.append(part)
            try:
                return function(*given, **more)
            finally:
                self.turn()
                self.stack.pop()

        return measured


@contextmanager
def metered() -> Iterator[Meter]:
    """A meter of all parts, under every name by which a module of ours calls them."""
    meter = Meter()
    with ExitStack() as stack:
        for part, home, name in _PARTS:
            function = getattr(home, name)
            measured = meter.timed(part, function)
            homes = [home]
            if not isinstance(home, type):
                modules = [m for n, m in sys.modules.items() if n.startswith(("sigc", "sigc_pipelines"))]
                homes += [m for m in modules if m is not home and getattr(m, name, None) is function]
            for where in homes:
                stack.enter_context(patch.object(where, name, measured))
        meter.turn()
        meter.spent.clear()
        yield meter
        meter.turn()


@dataclass(frozen=True, slots=True)
class Site:
    """A folder with data, a strategy and a ledger."""

    folder: Path
    strategy: Strategy
    config: Config
    calendar: Calendar
    days: tuple[str, ...]
    metrics: DaemonMetrics

    def session(self, number: int, *, is_measured: bool = True) -> tuple[int, dict[str, float]]:
        """Trade the session of that number, from 1. Orders, and processor seconds by part."""
        day = self.days[number - 1]
        clock = HandClock(instant_of(self.calendar, day))
        work, store = self.folder / "work", ParquetStore(self.folder / "cache")
        executor = LocalExecutor(store, 1)

        def engine(_: int) -> AbstractContextManager[Executor]:
            return nullcontext(executor)

        space = Workspace(store, engine, exchanges=Exchanges("weekdays", is_declared=True))
        with metered() as meter:
            paper = PaperBroker(work / "paper.sqlite", self.config.broker.paper, clock, durable=is_measured)
            with Ledger.open(work, clock, durable=is_measured) as ledger:
                trading = Trading(ledger, paper, clock, self.calendar, self.config, render)
                if is_measured:
                    with ledger.transaction("control") as tx:
                        found = proof.prove(tx)
                    assert not found.faults, found.faults
                recover.recover(trading)
                asked = Request(f"run-{day}", self.strategy.name, "main", RunKind.TRADE, "bench")
                ended = run.carry_out(trading, asked, FreshFeed(self.strategy, space, self.config.execution.capital))
                metrics_feed.tell_book(self.metrics, ledger, BookKey(self.strategy.name, "main"))
            paper.close()
        executor.close()
        assert ended.run.outcome.is_success, (ended.run.message, ended.problems)
        return len(ended.orders), dict(meter.spent)


def site(folder: Path, assets: int, sessions: int) -> Site:
    """A random walk of so many assets, long enough for so many sessions."""
    random = np.random.default_rng(3)
    dates = business_days(_START, _WARM + sessions)
    names = tuple(f"A{i:05d}" for i in range(assets))
    shape = (len(dates), assets)
    prices = np.round(60 * np.exp(random.normal(0, 0.012, shape).cumsum(axis=0)), 2)
    write_file(Panel(dates, names, prices), folder / "prices.parquet", "wide")
    write_file(
        Panel(dates, names, np.exp(random.normal(14, 0.3, shape)).round().astype(np.float64)),
        folder / "volume.parquet",
        "wide",
    )
    lines = [f"{name},S{i % 11}" for i, name in enumerate(names)]
    (folder / "sectors.csv").write_text("\n".join(["ticker,sector", *lines]) + "\n", encoding="utf-8")
    (folder / "reversal.sig").write_text(_STRATEGY, encoding="utf-8")
    (folder / "work").mkdir(mode=0o700)
    return Site(
        folder,
        lower(check_file(folder / "reversal.sig")),
        Config.model_validate(_SETTINGS),
        open_calendar("weekdays", None, today=datetime.now(UTC).date()),
        tuple(str(d.astype("datetime64[D]")) for d in dates[_WARM:]),
        DaemonMetrics(),
    )


def main() -> dict[str, float]:
    """Processor seconds of a session and of its parts: medians of the three around each of the two. Raises above MOST_S."""
    measured: dict[int, tuple[int, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="sigc-bench-") as folder:
        place = site(Path(folder), ASSETS, LATE + 1)
        for number in range(1, LATE + 2):
            is_measured = min(abs(number - EARLY), abs(number - LATE)) <= 1
            measured[number] = place.session(number, is_measured=is_measured)
            if os.environ.get("SIGC_BENCH_TOLD"):
                spent = measured[number][1]
                told = ", ".join(f"{part} {s:.2f}" for part, s in sorted(spent.items()))
                print(number, measured[number][0], f"{sum(spent.values()):.2f} s: {told}", flush=True)
    figures: dict[str, float] = {}
    late: list[str] = []
    for middle in (EARLY, LATE):
        three = [measured[number] for number in (middle - 1, middle, middle + 1)]
        name = f"session {middle}"
        figures[f"{name}: orders"] = statistics.median(count for count, _ in three)
        session = statistics.median(sum(spent.values()) - spent["proof"] for _, spent in three)
        figures[f"{name}: CPU, s (at most {MOST_S})"] = session
        for part in dict.fromkeys([part for part, *_ in _PARTS] + ["other"]):
            figures[f"{name}: {part}, CPU s"] = statistics.median(spent.get(part, 0.0) for _, spent in three)
        late += [f"{name} took {session:.2f} s of processor time"] if session > MOST_S else []
    if late:
        raise SystemExit(f"a session may take {MOST_S} s: {'; '.join(late)}: {figures}")
    return figures
