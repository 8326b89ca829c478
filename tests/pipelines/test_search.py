"""A search that follows its books while they are computed finds the bits of one that stores all weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sigc.blocks.block import MemoryStore
from sigc.lang.check import CheckedFile, check_file
from sigc.plan.lower import Lowering, lower
from sigc_pipelines.backtest.trials import Search, combinations, field, search
from sigc_pipelines.compute import load
from tests.world import workspace, write_world

SIGNALS = (
    "where(rolling_mean(prices, fast) > rolling_mean(prices, slow), 1, -1)",
    "zscore(rolling_mean(prices, fast) - rolling_sum(prices, slow))",
    "rolling_mean(prices, fast) / rolling_mean(volume, slow)",
    "rank(ret(prices, fast)) - demean(ret(prices, slow))",
    "ema(prices, fast) - rolling_mean(ret(prices, 2), slow)",
    "lag(prices, fast) / slow",
    "where(prices > fast, slow, -1)",
)
WEIGHTS = (
    "scale(s)",
    "s",
    "prices",
    "s.long_short(top=0.3, bottom=0.2)",
    "demean(s) / 5",
    "lag(scale(s), 3)",
    "ema(s, fast)",
)
TEXT = """data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
params:
  fast: [2, 5, 9]
  slow: [7, 20]
signal s:
  emit {signal}
portfolio main:
  weights = {weights}
  costs = {costs}
  backtest {schedule}
"""
COSTS = ("tc.bps(5) + slippage.bps(2)", "tc.bps(5) + borrow.rate(0.01)")
SCHEDULES = ("rebal=1", "rebal=1 from 2015-06-03 to 2017-02-28", "rebal=5")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    write_world(folder)
    return folder


def checked(world: Path, text: Mapping[str, str]) -> CheckedFile:
    path = world / "s.sig"
    path.write_text(TEXT.format(**text), encoding="utf-8")
    found = check_file(path)
    assert found.ok, found.diagnostics
    return found


def searched(of: CheckedFile, *, passing: bool, threads: int = 1, rule: str = "auto") -> Search:
    space = workspace(MemoryStore(), threads=threads, rule=rule)
    space = replace(space, passing=threads if passing else 0)
    return search(field(Lowering(of).strategy, load(lower(of), space), space, "main"))


@settings(max_examples=25)
@given(
    signal=st.sampled_from(SIGNALS),
    weights=st.sampled_from(WEIGHTS),
    costs=st.sampled_from(COSTS),
    schedule=st.sampled_from(SCHEDULES),
    threads=st.integers(1, 3),
    rule=st.sampled_from(["auto", "year", "97", "250"]),
)
@example(SIGNALS[0], WEIGHTS[0], COSTS[0], SCHEDULES[1], 2, "97")
@example(SIGNALS[2], WEIGHTS[1], COSTS[0], SCHEDULES[0], 2, "250")
@example(SIGNALS[3], WEIGHTS[3], COSTS[0], SCHEDULES[0], 1, "auto")
@example(SIGNALS[3], "prices", COSTS[0], SCHEDULES[0], 2, "97")
def test_followed_as_stored(
    world: Path, signal: str, weights: str, costs: str, schedule: str, threads: int, rule: str
) -> None:
    of = checked(world, {"signal": signal, "weights": weights, "costs": costs, "schedule": schedule})
    stored = searched(of, passing=False)
    followed = searched(of, passing=True, threads=threads, rule=rule)
    assert len({tuple(one.params.items()) for one in stored.scored}) == len(stored.scored) == 6
    for one, other in zip(stored.scored, followed.scored, strict=True):
        assert one.params == other.params
        assert one.returns.tobytes() == other.returns.tobytes()
        assert repr(one.metrics) == repr(other.metrics)
    assert repr(stored.deflated) == repr(followed.deflated)


def test_no_weight_is_stored(world: Path) -> None:
    of = checked(world, {"signal": SIGNALS[0], "weights": WEIGHTS[0], "costs": COSTS[0], "schedule": SCHEDULES[0]})
    store = MemoryStore()
    space = replace(workspace(store), passing=1)
    trials = field(Lowering(of).strategy, load(lower(of), space), space, "main")
    before = len(store._panels)
    found = search(trials)
    assert len(store._panels) == before
    assert found.report.blocks_computed > 0
    assert trials.wanted(0).shape == (790, 13)  # who asks for weights gets them


def test_a_lowering_gives_what_lowering_anew_gives(world: Path) -> None:
    of = checked(world, {"signal": SIGNALS[1], "weights": WEIGHTS[-1], "costs": COSTS[1], "schedule": SCHEDULES[0]})
    lowering = Lowering(of)
    for params in [*combinations(lower(of)), *combinations(lower(of))]:
        assert lowering.strategy(params) == lower(of, params)
