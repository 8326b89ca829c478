"""Identical bytes, however the work is cut, spread, cached or grown: ten whole strategies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sigc.blocks.block import MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.engine.core.gather import gather
from sigc.engine.core.task import RunReport
from sigc.errors import SigcError
from sigc.panel import Panel
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.compute import Workspace, compute, load
from tests.world import STRATEGIES, strategy, workspace, write_strategy, write_wide, write_world

TEN = sorted(p.stem for p in STRATEGIES.glob("*.sig"))
ALL = [*TEN, "operators"]  # and one with a signal for every operator


def everything(folder: Path, name: str, space: Workspace, until: str = "") -> tuple[dict[str, Panel], RunReport]:
    """All roots of a strategy over all rows, and the report."""
    loaded = load(strategy(folder, name), space, until)
    roots = loaded.strategy.roots
    computed = compute(loaded, roots, space)
    return {n: gather(computed, n) for n in roots}, computed.report


def assert_same(a: dict[str, Panel], b: dict[str, Panel]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].equals(b[name]), name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder)
    return folder


@pytest.fixture(scope="module")
def whole(world: Path) -> dict[str, dict[str, Panel]]:
    """Every strategy computed as one block."""
    return {name: everything(world, name, workspace(MemoryStore(), rule="100000"))[0] for name in ALL}


def test_there_are_ten() -> None:
    assert len(TEN) == 10


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rule", ["year", "month", "37"])
def test_blocks_of_any_size(world: Path, whole: dict[str, dict[str, Panel]], name: str, rule: str) -> None:
    assert_same(everything(world, name, workspace(MemoryStore(), rule=rule))[0], whole[name])


@pytest.mark.parametrize("name", ALL)
def test_two_threads_small_slices_cold_and_warm(
    world: Path, whole: dict[str, dict[str, Panel]], name: str, tmp_path: Path
) -> None:
    small = workspace(ParquetStore(tmp_path), threads=2, memory_bytes=2_000_000)
    cold, report = everything(world, name, small)
    assert_same(cold, whole[name])
    assert report.blocks_cached == 0
    warm, report = everything(world, name, workspace(ParquetStore(tmp_path), threads=2))
    assert_same(warm, whole[name])
    assert report.blocks_computed == 0
    assert report.tasks == 0


@pytest.mark.parametrize("name", ALL)
def test_appended_day_by_day(world: Path, whole: dict[str, dict[str, Panel]], name: str) -> None:
    space = workspace(MemoryStore())
    dates = next(iter(whole[name].values())).dates
    for row in (770, 771, 772, 781, 782, 788, 789):
        found, _ = everything(world, name, space, until=str(dates[row].astype("datetime64[D]")))
    assert_same(found, whole[name])


def test_what_is_known_of_grown_blocks_is_what_is_known_of_fresh_ones(world: Path) -> None:
    """Rows of a stored prefix keep their digests: keys and facts are those of a cache that never grew."""
    grown, fresh = MemoryStore(), MemoryStore()
    for day in ("2017-12-20", "2017-12-21", ""):
        everything(world, "operators", workspace(grown), until=day)
    space = workspace(fresh)
    loaded = load(strategy(world, "operators"), space)
    keys = compute(loaded, loaded.strategy.roots, space).frontier.keys()
    known = [fresh.facts(key) for key in keys]
    assert any(facts is not None and facts.source == "carried" for facts in known)
    assert [grown.facts(key) for key in keys] == known


@pytest.mark.parametrize("name", ALL)
def test_the_past_does_not_know_the_future(world: Path, whole: dict[str, dict[str, Panel]], name: str) -> None:
    found, _ = everything(world, name, workspace(MemoryStore()), until="2016-07-29")
    for root, panel in found.items():
        known = whole[name][root].rows(0, len(panel.dates))
        assert panel.values.tobytes() == known.values.tobytes(), root


CARRIED = """data:
  prices: load parquet from "prices.parquet"
signal smooth:
  emit rank(rolling_mean(ema(prices, 10), 5)) + cumsum(ret(prices)).rsi(5) / 100
signal plain:
  emit zscore(ret(prices, 30))
"""


def run(folder: Path, store: MemoryStore | ParquetStore) -> tuple[dict[str, Panel], RunReport]:
    space = workspace(store)
    loaded = load(write_strategy(folder, CARRIED), space)
    computed = compute(loaded, loaded.strategy.roots, space)
    return {n: gather(computed, n) for n in loaded.strategy.roots}, computed.report


def test_an_appended_day_recomputes_one_block_per_node(tmp_path: Path) -> None:
    """On 25 years, carried operators included."""
    random = np.random.default_rng(3)
    dates = business_days("1999-01-04", 25 * 261)
    close = np.round(50 * np.exp(random.normal(0, 0.01, (len(dates), 6)).cumsum(axis=0)), 2)
    names = tuple("ABCDEF")
    write_wide(tmp_path / "prices.parquet", dates[:-1], close[:-1], names)
    store = ParquetStore(tmp_path / "cache")
    _, first = run(tmp_path, store)
    write_wide(tmp_path / "prices.parquet", dates, close, names)
    grown, report = run(tmp_path, store)
    assert set(report.joined.values()) == {1}
    assert report.joined.keys() == first.computed.keys()
    assert not report.computed
    assert report.rows == len(report.joined)  # one row a node
    assert_same(grown, run(tmp_path, MemoryStore())[0])


def test_a_restated_price_recomputes_what_its_halo_touches(tmp_path: Path) -> None:
    write_world(tmp_path, 1000)
    store = ParquetStore(tmp_path / "cache")
    _, first = run(tmp_path, store)
    write_world(tmp_path, 1000, changed=(300, 2))  # in 2016, more than 30 rows before 2017
    restated, report = run(tmp_path, store)
    assert report.computed["plain"] == 1
    assert report.cached["plain"] == first.computed["plain"] - 1
    assert report.computed["smooth.cumsum"] == 3  # its state differs from there on
    assert report.computed["smooth"] == 1  # but what reads it has the same bits again in 2017
    assert_same(restated, run(tmp_path, MemoryStore())[0])


def test_a_carried_chain_stops_where_its_state_is_equal_again(tmp_path: Path) -> None:
    text = 'data:\n  prices: load parquet from "prices.parquet"\nsignal peak:\n  emit cummax(prices)\n'
    write_world(tmp_path, 1000)
    dates = business_days("2015-01-02", 1000)
    close = np.tile(np.linspace(10, 90, 1000)[:, None], (1, 3))
    write_wide(tmp_path / "prices.parquet", dates, close, ("A", "B", "C"))
    store = MemoryStore()

    def go() -> RunReport:
        space = workspace(store)
        loaded = load(write_strategy(tmp_path, text), space)
        return compute(loaded, loaded.strategy.roots, space).report

    assert go().computed["peak"] == 4
    close[100, 0] -= 0.01  # below the running maximum of later rows
    write_wide(tmp_path / "prices.parquet", dates, close, ("A", "B", "C"))
    report = go()
    assert report.computed["peak"] == 1
    assert report.cached["peak"] == 3


def test_an_asset_that_is_missing_throughout_changes_no_bit(tmp_path: Path) -> None:
    write_world(tmp_path, 400)
    plain, _ = run(tmp_path, MemoryStore())
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "prices.parquet")
    pq.write_table(
        table.append_column("AAA", [[None] * len(table)]).append_column("T", [[None] * len(table)]),
        tmp_path / "prices.parquet",
    )
    wider, _ = run(tmp_path, MemoryStore())
    for name, panel in plain.items():
        kept = [wider[name].names.index(n) for n in panel.names]
        assert wider[name].values[:, kept].tobytes() == panel.values.tobytes(), name


def test_strategies_share_blocks(tmp_path: Path) -> None:
    write_world(tmp_path, 500)
    store = MemoryStore()
    space = workspace(store)
    head = 'data:\n  prices: load parquet from "prices.parquet"\n'
    one = write_strategy(tmp_path, head + "signal a:\n  emit zscore(ret(prices, 5))\n", "one")
    two = write_strategy(tmp_path, head + "fn r(n): ret(prices, n)\nsignal b:\n  emit r(5).zscore()\n", "two")
    compute(load(one, space), one.roots, space)
    assert compute(load(two, space), two.roots, space).report.blocks_computed == 0


def test_too_few_rows_and_kernel_errors_name_the_line(tmp_path: Path) -> None:
    write_world(tmp_path, 50)
    space = workspace(MemoryStore())
    head = 'data:\n  prices: load parquet from "prices.parquet"\n'
    short = write_strategy(tmp_path, head + "signal a:\n  emit ret(prices, 60)\n")
    with pytest.raises(SigcError, match="needs 61 rows of data, there are 50") as caught:
        compute(load(short, space), short.roots, space)
    assert caught.value.diagnostics[0].code == "E302"
    assert caught.value.diagnostics[0].span is not None
    assert caught.value.diagnostics[0].span.line == 4


def test_a_plan_that_cannot_fit_is_refused(tmp_path: Path) -> None:
    write_world(tmp_path, 200)
    space = workspace(MemoryStore(), memory_bytes=1000)
    with pytest.raises(SigcError, match="a worker may use"):
        everything(tmp_path, "momentum", space)


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    write_world(tmp_path, 100)
    space = workspace(MemoryStore())
    text = 'data:\n  prices: load parquet from "prices.parquet"\nsignal a:\n  emit prices / prices[NOPE]\n'
    with pytest.raises(SigcError, match="no asset 'NOPE'"):
        load(write_strategy(tmp_path, text), space)
