"""Unknown is not zero: a source that is late, empty or half missing sells nothing, live or in the backtest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sigc.blocks.block import MemoryStore
from sigc.config.settings import Config
from sigc.panel import Floats
from sigc.store.ledger.records import Outcome
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.backtest.backtest import backtest, pick
from sigc_pipelines.compute import load
from sigc_pipelines.live.trading import Ended
from tests.trading.floor import Floor, weekdays
from tests.world import WEEKDAYS, workspace, write_strategy, write_wide

ROWS, NAMES = 40, tuple(f"N{i:02d}" for i in range(12))
DAYS = tuple(str(d.astype("datetime64[D]")) for d in business_days("2016-01-04", ROWS))
LAST = ROWS - 1
TEXT = """data:
  prices: load parquet from "prices.parquet"
  volume: load parquet from "volume.parquet"
  score: load parquet from "score.parquet"
  market: load parquet from "market.parquet"
  sectors: load sector from "sectors.csv"
signal s:
  emit (WHAT).neutralize(by=sectors)
portfolio main:
  weights = s.scale()
  backtest rebal=1 benchmark=market
"""
ALL = "score + volume * 0 + market * 0 + prices * 0"
Panels = dict[str, Floats]


def panels() -> Panels:
    random = np.random.default_rng(3)
    close = np.round(50 * np.exp(random.normal(0, 0.01, (ROWS, 12)).cumsum(axis=0)), 2)
    return {
        "prices": close,
        "volume": np.round(np.exp(random.normal(13, 0.2, close.shape))),
        "score": random.normal(0, 1, close.shape),
        "market": 100 * np.exp(random.normal(0, 0.01, (ROWS, 1)).cumsum(axis=0)),
    }


def write(folder: Path, of: Panels, rows: dict[str, int] | None = None, sectors: int = 12) -> None:
    """The files of the world; rows: how many of a source there are; sectors: how many assets have one."""
    dates = business_days("2016-01-04", ROWS)
    for name, values in of.items():
        stop = (rows or {}).get(name, ROWS)
        write_wide(folder / f"{name}.parquet", dates[:stop], values[:stop], NAMES if values.shape[1] > 1 else ("IDX",))
    lines = [f"{n},{'XYZ'[i % 3]}" for i, n in enumerate(NAMES[:sectors])]
    (folder / "sectors.csv").write_text("\n".join(["ticker,sector", *lines]) + "\n")


def floor(folder: Path, what: str = ALL, **safety: object) -> Floor:
    strategy = write_strategy(folder, TEXT.replace("WHAT", what), "book")
    config = Config.model_validate({"schedule": {"calendar": "weekdays"}, "safety": safety})
    return Floor(strategy, workspace(MemoryStore(), exchanges=WEEKDAYS), folder / "work", config, weekdays())


def late(folder: Path, source: str) -> None:
    write(folder, panels(), {source: LAST})


def empty(folder: Path, source: str) -> None:
    broken = panels()
    broken[source][LAST] = np.nan
    write(folder, broken)


def half(folder: Path, source: str) -> None:
    broken = panels()
    if source == "sectors":
        write(folder, broken, sectors=6)
        return
    broken[source][LAST, ::2] = np.nan
    write(folder, broken)


def columns(folder: Path, source: str) -> None:
    """Half of the assets are not in the file any more, in no row of it."""
    write(folder, panels())
    values = panels()[source][:, ::2]
    write_wide(folder / f"{source}.parquet", business_days("2016-01-04", ROWS), values, NAMES[::2])


def gone(folder: Path, source: str) -> None:
    broken = panels()
    if source == "sectors":
        write(folder, broken, sectors=1)
        return
    broken[source][LAST - 2 :] = np.nan
    write(folder, broken)


CASES = [
    *((source, harm) for source in ("prices", "volume", "score") for harm in (late, empty, half, gone)),
    *((source, columns) for source in ("prices", "volume", "score")),
    *(("market", harm) for harm in (late, empty, gone)),
    *(("sectors", harm) for harm in (half, gone)),
]


def _is_of_a_row(case: tuple[str, Callable[[Path, str], None]]) -> bool:
    """Whether a backtest over the same files can know of it: not where the whole file is another."""
    return case[0] != "sectors" and case[1] is not columns


IDS = [f"{source}-{harm.__name__}" for source, harm in CASES]


def after_a_good_day(folder: Path, source: str, harm: Callable[[Path, str], None], what: str = ALL) -> Ended:
    """A run on the day before the last, on whole data; then one on the last, on harmed ones."""
    here = floor(folder, what)
    write(folder, panels())
    before = here.day(DAYS[LAST - 4] if harm is gone else DAYS[LAST - 1])
    assert before.run.outcome is Outcome.DONE, before.run.message
    harm(folder, source)
    return here.day(DAYS[LAST])


@pytest.mark.parametrize(("source", "harm"), CASES, ids=IDS)
def test_a_run_refuses_and_names_the_source(source: str, harm: Callable[[Path, str], None], tmp_path: Path) -> None:
    ended = after_a_good_day(tmp_path, source, harm)
    assert ended.run.outcome is Outcome.REFUSED, ended.run.message
    assert ended.orders == ()
    told = " ".join(d.message for d in ended.problems)
    assert f"'{source}'" in told or (source, harm) == ("prices", late), told


@pytest.mark.parametrize(
    ("source", "harm"),
    [c for c in CASES if _is_of_a_row(c)],
    ids=[i for c, i in zip(CASES, IDS, strict=True) if _is_of_a_row(c)],
)
def test_the_backtest_keeps_its_book(source: str, harm: Callable[[Path, str], None], tmp_path: Path) -> None:
    here = floor(tmp_path)
    harm(tmp_path, source)
    loaded = load(here.strategy, here.space)
    result = backtest(loaded, here.space, pick(loaded))
    held = result.weights.values
    good = LAST - 3 if harm is gone else LAST - 1
    assert np.abs(held[good]).sum() == pytest.approx(1.0)
    assert np.array_equal(held[-1], held[good])
    if (source, harm) != ("prices", late):  # such a panel simply ends a row before
        told = " ".join(f.message for f in result.findings)
        assert f"the book is kept on {3 if harm is gone else 1} rows" in told
        assert f"'{source}' on" in told


@pytest.mark.parametrize("harm", [late, empty])
def test_a_source_that_no_weight_reads_is_told_of(harm: Callable[[Path, str], None], tmp_path: Path) -> None:
    ended = after_a_good_day(tmp_path, "market", harm, "score + prices * 0")
    assert ended.run.outcome is Outcome.DONE
    found = [f for s in ended.stages for f in s.findings if f.check == "unread"]
    assert "'market', the newest values of" in found[0].message


@pytest.mark.parametrize("policy", ["hold", "alert"])
def test_what_a_run_does_then_is_a_policy(policy: str, tmp_path: Path) -> None:
    here = floor(tmp_path, on_stale_data=policy)
    write(tmp_path, panels())
    here.day(DAYS[LAST - 1])
    half(tmp_path, "score")
    ended = here.day(DAYS[LAST])
    assert ended.run.outcome is (Outcome.UNCHANGED if policy == "hold" else Outcome.DONE)


@pytest.mark.parametrize(("drop", "is_refused"), [(0.49, True), (0.51, False)])
def test_the_largest_drop_is_a_setting(drop: float, is_refused: bool, tmp_path: Path) -> None:
    here = floor(tmp_path, max_coverage_drop=drop, max_universe_change=1.0)
    here = replace(here, space=replace(here.space, max_coverage_drop=drop))
    half(tmp_path, "score")
    ended = here.day(DAYS[LAST])
    assert (ended.run.outcome is Outcome.REFUSED) is is_refused, ended.run.message
    loaded = load(here.strategy, here.space)
    told = " ".join(f.message for f in backtest(loaded, here.space, pick(loaded)).findings)
    assert ("the book is kept" in told) is is_refused


def test_infinite_weights_end_in_a_refusal_and_nothing_is_written(tmp_path: Path) -> None:
    here = floor(tmp_path, "score / (score * 0)")
    write(tmp_path, panels())
    here = replace(
        here,
        strategy=write_strategy(
            tmp_path,
            TEXT.replace("(WHAT).neutralize(by=sectors)", "exp(score * 0 + 1e6)").replace("s.scale()", "s"),
            "book",
        ),
    )
    ended = here.day(DAYS[LAST])
    assert ended.run.outcome is Outcome.REFUSED
    assert "weights are infinite: N00" in ended.run.message
    assert not list((here.work_dir / "runs").glob("*/weights.json"))
