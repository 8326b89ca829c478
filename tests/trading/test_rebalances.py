"""The plain backtest, `--orders` and the daemon's scheduled runs rebalance a book on the same rows, whatever the rule.

The daemon's runner is the real one, with its ledger and paper broker, under a clock that is turned to after each close;
one fire is missed, and one asset has no price on one of the rows that are due.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.calendar.calendar import open_calendar
from sigc.calendar.sessions import Calendar
from sigc.clock import HandClock
from sigc.config.settings import Config
from sigc.daemon.runner import RunEnd, RunOrder, Services, StrategyEntry
from sigc.metrics import DaemonMetrics
from sigc.ops import jit
from sigc.store.ledger import books, orders
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Outcome
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc_cli.assembly.daemon import run_output
from sigc_pipelines.backtest.backtest import backtest, pick
from sigc_pipelines.backtest.replay import replay
from sigc_pipelines.compute import Loaded, Workspace, load
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.service.runner import DaemonRunner
from tests.world import workspace, write_strategy, write_wide

NAMES = ("A", "B", "C", "D")
RULES = ("21", "month_end", "week_start")
TEXT = """data:
  prices: load parquet from "prices.parquet"
  target: load parquet from "target.parquet"
signal wanted:
  emit target
portfolio main:
  weights = wanted
  backtest rebal={rule} from {first} to {last}
"""


@cache
def nyse() -> Calendar:
    return open_calendar("nyse", None, today=date(2026, 1, 2))


def rows(first: str, last: str) -> list[str]:
    found = nyse().sessions(date.fromisoformat(first), date.fromisoformat(last))
    return [str(s.day) for s in found]


def due_days(rule: str, days: list[str]) -> list[str]:
    """By pandas: each 21st, or the first or last session of each week or month, of sessions that go on beyond the days."""
    if rule.isdigit():
        return days[:: int(rule)]
    unit, _, side = rule.partition("_")
    longer = pd.Series(rows(days[0], str(date.fromisoformat(days[-1]) + timedelta(days=40))))
    groups = longer.groupby(pd.PeriodIndex(longer, freq={"month": "M", "week": "W-SUN"}[unit]))
    found = groups.first() if side == "start" else groups.last()
    return sorted({days[0], *(day for day in found if day <= days[-1])})


def settings() -> Config:
    free = {"slippage_bps": 0.0, "commission_bps": 0.0, "commission_per_share": 0.0, "min_commission": 0.0}
    given: dict[str, Any] = {
        "schedule": {"calendar": "nyse"},
        "safety": {"max_missing_pct": 0.5, "max_anomalies_pct": 0.5, "max_volume_ratio": 1e12},
        "broker": {"paper": {**free, "borrow_bps": 0.0}},
        "daemon": {"cache": {"enabled": False}},
    }
    return Config.model_validate(given)


def market(folder: Path, rule: str, days: list[str], halted: str) -> None:
    """Four assets, each wanted at another weight on every row, so that what is rebalanced trades."""
    random = np.random.default_rng(5)
    before = rows(str(date.fromisoformat(days[0]) - timedelta(days=15)), days[0])[:-1]
    dates = np.array([*before, *days], "datetime64[D]")
    prices = 100.0 * np.exp(random.normal(0.0, 0.01, (len(dates), 4)).cumsum(axis=0))
    prices[len(before) + days.index(halted), 1] = np.nan
    write_wide(folder / "prices.parquet", dates, prices, NAMES)
    write_wide(folder / "target.parquet", dates, random.uniform(0.05, 0.2, (len(dates), 4)), NAMES)
    write_strategy(folder, TEXT.format(rule=rule, first=days[0], last=days[-1]), "mine")


@pytest.fixture(autouse=True)
def compiled_kernels(tmp_path: Path, jit_directory: Path) -> Iterator[None]:
    """A runner keeps kernels under its own folder: that of all tests, so that none is compiled again."""
    (tmp_path / "scratch" / "cache").mkdir(parents=True, mode=0o700)
    (tmp_path / "scratch" / "cache" / "jit").symlink_to(jit_directory / "jit")
    yield
    jit.prepare(jit_directory)


@contextmanager
def daemon(folder: Path, clock: HandClock) -> Iterator[tuple[DaemonRunner, Ledger]]:
    entry = StrategyEntry("mine", folder / "mine.sig")
    with Ledger.open(folder / "work", clock, durable=False) as ledger:
        runner = DaemonRunner(
            settings(), (entry,), Services(ledger, DaemonMetrics(), clock, folder / "scratch"), run_output()
        )
        try:
            yield runner, ledger
        finally:
            runner.close()


class Unwatched:
    """Nobody follows the run."""

    def __init__(self) -> None:
        self.cancelled = Event()

    def stage(self, name: str) -> None:
        pass

    def progress(self, done: int, total: int, text: str = "") -> None:
        pass

    def waiting(self, why: str, until: datetime | None) -> None:
        pass

    def opening(self, orders: WaitingOrders | None) -> None:
        pass


def run(runner: DaemonRunner, folder: Path, id: str, **how: Any) -> RunEnd:
    order = RunOrder(id, "mine", folder / "mine.sig", kind="trade", is_scheduled=True, who="job mine")
    return runner.run(replace(order, **how), Unwatched())


def decided(ledger: Ledger) -> dict[str, str]:
    """By the as-of date of each run that traded, the rebalance row that it traded."""
    with ledger.reading() as connection:
        found = connection.execute("SELECT record FROM audit WHERE event = 'run.decided' ORDER BY seq").fetchall()
        as_of = dict(connection.execute("SELECT id, as_of FROM runs").fetchall())
    records = [json.loads(text) for (text,) in found]
    return {as_of[r["run"]]: r["payload"]["rebalance"] for r in records}


def simple(loaded: Loaded, space: Workspace) -> list[str]:
    """The dates on which the plain backtest trades."""
    result = backtest(loaded, space, pick(loaded))
    return [str(d) for d in result.dates[result.turnover > 0.0].astype("datetime64[D]")]


def same_rows(folder: Path, rule: str, first: str, last: str) -> None:
    days = rows(first, last)
    expected = due_days(rule, days)
    missed, halted = expected[1], expected[2]
    market(folder, rule, days, halted)
    strategy = write_strategy(folder, (folder / "mine.sig").read_text(), "mine")
    space = workspace(MemoryStore())
    loaded = load(strategy, space)
    back = days[days.index(halted) + 1]  # the halted asset's change is made there, and nothing else
    assert simple(loaded, space) == sorted({*expected, back})
    config = settings()
    again = replay(loaded, space, pick(loaded), config, nyse(), capital=config.execution.capital)
    turns = {e.run.as_of: e.turn.due for e in again.runs if e.turn is not None}
    assert [due for due in turns.values() if due] == expected
    assert [day for day, due in turns.items() if not due] == [back]
    assert {i.asset for e in again.runs if e.run.as_of == back for i in e.orders} == {NAMES[1]}
    assert {e.run.outcome for e in again.runs} == {Outcome.DONE}
    clock = HandClock(instant_of(nyse(), days[0]))
    outcomes = {}
    with daemon(folder, clock) as (runner, ledger):
        for day in days:
            clock.turn(instant_of(nyse(), day))
            if day != missed:
                outcomes[day] = run(runner, folder, f"r-{day}").outcome
        traded = decided(ledger)
        with ledger.reading() as connection:
            made_up = {i.asset for i in orders.of_run(connection, f"r-{back}")}
    assert traded.pop(back) == ""
    assert made_up == {NAMES[1]}
    assert list(traded.values()) == expected
    after = days[days.index(missed) + 1]
    assert traded == {after if day == missed else day: day for day in expected}
    assert {day for day, o in outcomes.items() if o is Outcome.DONE} == {*traded, back}
    assert {o for day, o in outcomes.items() if day not in (*traded, back)} <= {Outcome.UNCHANGED}


@pytest.mark.parametrize("rule", RULES)
def test_the_same_rows_in_backtest_orders_and_daemon(tmp_path: Path, rule: str) -> None:
    same_rows(tmp_path, rule, "2023-11-01", "2024-01-12")


@pytest.mark.soak
@pytest.mark.parametrize("rule", RULES)
def test_the_same_rows_over_two_years(tmp_path: Path, rule: str) -> None:
    same_rows(tmp_path, rule, "2022-01-03", "2023-12-29")


def test_as_of_the_last_session_of_a_month_that_is_no_business_day_later(tmp_path: Path) -> None:
    """29 March 2024 is Good Friday: `month_end` is as of the 28th, for the session of 1 April."""
    days = rows("2024-03-25", "2024-04-03")
    market(tmp_path, "month_end", days, days[-1])
    clock = HandClock(instant_of(nyse(), days[0]))
    with daemon(tmp_path, clock) as (runner, _):
        ends = {}
        for day in days:
            clock.turn(instant_of(nyse(), day))
            ends[day] = run(runner, tmp_path, f"r-{day}")
    assert [day for day, end in ends.items() if end.outcome is Outcome.DONE] == ["2024-03-25", "2024-03-28"]
    assert ends["2024-03-28"].session == "2024-04-01"
    assert ends["2024-03-26"].message == "no rebalance row (month_end); next rebalance as of 2024-03-28"
    assert ends["2024-03-26"].is_before_trading


def test_a_run_by_hand_trades_and_moves_nothing(tmp_path: Path) -> None:
    days = rows("2024-01-02", "2024-01-31")
    market(tmp_path, "5", days, days[-1])
    clock = HandClock(instant_of(nyse(), days[0]))
    with daemon(tmp_path, clock) as (runner, ledger):
        for number, day in enumerate(days[:13]):
            clock.turn(instant_of(nyse(), day))
            end = run(runner, tmp_path, f"r-{day}", is_scheduled=number != 7)
            if number == 7:
                assert end.outcome is Outcome.DONE
                assert end.message.endswith(f"; next rebalance as of {days[10]}, in 3 rows")
        traded = decided(ledger)
        with ledger.reading() as connection:
            book = books.book(connection, BookKey("mine", "main"))
    assert traded == {days[0]: days[0], days[5]: days[5], days[7]: "", days[10]: days[10]}
    assert book is not None
    assert book.anchor == days[0]


@pytest.mark.parametrize(
    ("safety", "outcome"),
    [({"max_gross": 0.01}, Outcome.REFUSED), ({"max_order_value": 1.0}, Outcome.NOTHING_TRADED)],
    ids=["refused", "every order denied"],
)
def test_a_rebalance_that_came_to_nothing_stays_due(tmp_path: Path, safety: dict[str, float], outcome: Outcome) -> None:
    days = rows("2024-01-02", "2024-01-12")
    market(tmp_path, "5", days, days[-1])
    clock = HandClock(instant_of(nyse(), days[0]))
    with daemon(tmp_path, clock) as (runner, ledger):
        strict = settings()
        tight = strict.model_copy(update={"safety": strict.safety.model_copy(update=safety)})
        other = DaemonRunner(tight, (StrategyEntry("mine", tmp_path / "mine.sig"),), runner._services, run_output())
        for number, day in enumerate(days):
            clock.turn(instant_of(nyse(), day))
            end = run(other if number == 5 else runner, tmp_path, f"r-{day}")
            if number == 5:
                assert end.outcome is outcome
        other.close()
        traded = decided(ledger)
    served = {as_of: due for as_of, due in traded.items() if as_of != days[5]}
    assert served == {days[0]: days[0], days[6]: days[5]}
