"""Backtest, replay with orders, dry runs and paper runs want the same weights, bit for bit, and order the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sigc.store.ledger.records import Outcome, RunKind
from sigc_pipelines.backtest.backtest import backtest, pick
from sigc_pipelines.backtest.replay import replay
from sigc_pipelines.compute import load
from tests.trading.floor import all_orders, floor, ordered


def test_paper_runs_are_the_replay_are_the_backtest(tmp_path: Path) -> None:
    paper_runs(tmp_path, 120)


@pytest.mark.soak
def test_a_year_of_paper_runs_is_the_replay_is_the_backtest(tmp_path: Path) -> None:
    paper_runs(tmp_path, 283)


def paper_runs(tmp_path: Path, count: int) -> None:
    """Each paper run in a process' worth of its own, which reads no row after its date."""
    here = floor(tmp_path)
    loaded = load(here.strategy, here.space)
    portfolio = pick(loaded)
    simple = backtest(loaded, here.space, portfolio)
    again = replay(loaded, here.space, portfolio, here.config, here.calendar, capital=here.config.execution.capital)
    assert len(simple.dates) > 250
    assert again.result.wanted.equals(simple.wanted)
    days = [str(d) for d in simple.dates.astype("datetime64[D]")]
    replayed, navs = {e.run.as_of: e for e in again.runs}, []
    assert len(days) >= count
    for row, day in enumerate(days[:count]):
        ended = here.day(day)
        assert ended.sight is not None
        assert ended.sight.wanted.tobytes() == simple.wanted.values[row].tobytes()
        assert ordered(ended.orders) == ordered(replayed[day].orders), day
        assert ended.run.digests["weights"] == replayed[day].run.digests["weights"]
        assert (ended.run.outcome, ended.run.message) == (replayed[day].run.outcome, replayed[day].run.message)
        navs.append(ended.run.outcome is Outcome.DONE)
    assert sum(navs) > 0.88 * count
    assert sum(len(e.orders) for e in again.runs) > 1_000


def test_a_dry_run_shows_the_orders_that_a_paper_run_sends(tmp_path: Path) -> None:
    here = floor(tmp_path)
    for day in here.days("2016-03-01", "2016-03-10"):
        dry = here.day(day, f"dry-{day}", kind=RunKind.DRY)
        with here.open(day) as trading:
            before = len(all_orders(trading))
            real = here.run(trading, f"run-{day}")
            assert len(all_orders(trading)) == before + len(real.orders)
        planned = [row[:-1] for row in ordered(dry.orders)]
        assert planned == [row[:-1] for row in ordered(real.orders)]
        assert real.orders or day != "2016-03-01"


def test_what_the_simple_accounting_leaves_out_adds_up(tmp_path: Path) -> None:
    here = floor(tmp_path)
    loaded = load(here.strategy, here.space)
    again = replay(loaded, here.space, pick(loaded), here.config, here.calendar, capital=1_000_000.0)
    total = again.simple + sum(step.effect for step in again.steps)
    assert np.isclose(total, again.result.metrics.total_return, atol=1e-12)
    names = [step.name for step in again.steps]
    assert names[:2] == ["drift", "delay"]
    assert names[-7:] == ["sizing", "capital", "dividends", "shares", "costs", "orders", "rest"]
    assert set(names[2:-7]) <= {"ends", "missed"}
    assert abs(again.steps[-1].effect) < 1e-7
    costs = next(step.effect for step in again.steps if step.name == "costs")
    assert costs < -0.001  # commissions and borrow fees are charged


def test_the_same_inputs_give_the_same_run(tmp_path: Path) -> None:
    """Two work dirs, two processes' worth: equal weights, orders, digests and audit but for the ledger's own name."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, second = floor(tmp_path / "one"), floor(tmp_path / "two")
    for day in first.days("2016-03-01", "2016-03-04"):
        one, two = first.day(day), second.day(day)
        assert ordered(one.orders) == ordered(two.orders)
        assert one.run.digests == two.run.digests
