"""A day appended to years: the same bytes as fresh, whatever is noted of the years, and no more files opened for more."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sigc.blocks.block import MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.engine.core.gather import gather, source_panel
from sigc.engine.core.task import RunReport
from sigc.panel import Panel
from sigc_cli.synthetic_universe import business_days
from sigc_pipelines.compute import compute, load
from tests.world import NAMES, Floats, workspace, write_strategy, write_wide

STRATEGY = """data:
  prices: load parquet from "prices"
signal mixed:
  emit rank(ret(prices, 60)) + zscore(lag(ema(prices, 12), 3) - ema(ema(prices, 26), 5)) + rank(rsi(prices, 14))
"""
DAYS = business_days("2014-01-02", 1400)
LAST = len(DAYS) - 1


def values() -> Floats:
    random = np.random.default_rng(7)
    close: Floats = np.round(60 * np.exp(random.normal(0, 0.015, (len(DAYS), len(NAMES))).cumsum(axis=0)), 2)
    return close


def write(folder: Path, rows: int, close: Floats | None = None, first: int = 2014) -> None:
    """The first `rows` days as a folder of one file a year, those that are the same untouched."""
    close = values() if close is None else close
    (folder / "prices").mkdir(exist_ok=True)
    years = DAYS[:rows].astype("datetime64[Y]").astype(int) + 1970
    for year in range(first, years[-1] + 1):
        at = np.flatnonzero(years == year)
        path = folder / "prices" / f"{year}.parquet"
        before = path.read_bytes() if path.exists() else b""
        fresh = folder / "fresh"
        write_wide(fresh, DAYS[at], close[at])
        if fresh.read_bytes() != before:
            fresh.rename(path)


def today(folder: Path, store: MemoryStore | ParquetStore, until: str = "") -> tuple[list[Panel], RunReport]:
    """The last row of the signal, and of the prices, computed as a daily run does."""
    space = workspace(store)
    loaded = load(write_strategy(folder, STRATEGY), space, until)
    stop = len(loaded.grid.dates)
    done = compute(loaded, loaded.strategy.roots, space, stop - 1, stop)
    prices = source_panel(loaded.grid, store, "prices", 0, stop)
    return [gather(done, "mixed", stop - 1, stop), prices], done.report


def assert_fresh(folder: Path, store: ParquetStore, until: str = "") -> RunReport:
    found, report = today(folder, store, until)
    right, _ = today(folder, MemoryStore(), until)
    assert all(a.equals(b) for a, b in zip(found, right, strict=True))
    return report


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    """A world whose cache has seen two daily runs, and a third day."""
    for rows in (LAST - 2, LAST - 1):
        write(tmp_path, rows)
        today(tmp_path, ParquetStore(tmp_path / "cache"))
    assert list((tmp_path / "cache" / "notes").glob("chain-*"))
    write(tmp_path, LAST)
    return tmp_path


def test_days_over_a_new_year(tmp_path: Path) -> None:
    new_year = int(np.searchsorted(DAYS, np.datetime64("2018-01-01")))
    for rows in range(new_year - 2, new_year + 6):
        write(tmp_path, rows)
        assert_fresh(tmp_path, ParquetStore(tmp_path / "cache"))


class Opening(ParquetStore):
    """Counts the files of facts and notes it was asked for."""

    opened = 0

    def facts(self, key: str) -> object:  # type: ignore[override]
        self.opened += 1
        return super().facts(key)

    def noted(self, name: str) -> str | None:
        self.opened += 1
        return super().noted(name)


def test_no_more_is_opened_for_more_years(tmp_path: Path) -> None:
    opened = []
    for first in (2017, 2014):
        folder = tmp_path / str(first)
        folder.mkdir()
        for rows in (LAST - 2, LAST - 1, LAST):
            write(folder, rows, first=first)
            store = Opening(folder / "cache")
            assert_fresh(folder, store)
        opened.append(store.opened)
    assert opened[0] == opened[1]


@pytest.mark.parametrize("row", [0, 3, 400, 900, LAST - 1])
def test_a_past_day_is_revised(grown: Path, row: int) -> None:
    close = values()
    close[row, 5] *= 1.5
    write(grown, LAST, close)
    assert_fresh(grown, ParquetStore(grown / "cache"))
    write(grown, LAST)
    assert_fresh(grown, ParquetStore(grown / "cache"))


def test_another_beginning(grown: Path) -> None:
    (grown / "prices" / "2014.parquet").unlink()
    assert_fresh(grown, ParquetStore(grown / "cache"))
    write(grown, LAST)
    assert_fresh(grown, ParquetStore(grown / "cache"))


def test_runs_as_of_earlier_days(grown: Path) -> None:
    for until in ("2018-12-28", "2017-03-01", "2015-01-05", "2019-01-02", ""):
        assert_fresh(grown, ParquetStore(grown / "cache"), until)


@pytest.mark.parametrize("how", ["deleted", "damaged"])
def test_any_one_file_is_lost(grown: Path, how: str) -> None:
    """Damaged: one after the other cut, flipped in the middle, flipped at the start."""
    right, _ = today(grown, MemoryStore())
    whole = grown / "cache"
    names = [p.relative_to(whole) for p in sorted([*whole.glob("blocks/*/*"), *whole.glob("notes/*")]) if p.is_file()]
    assert len(names) > 60
    for number, name in enumerate(names):
        cache = grown / "lossy"
        shutil.copytree(whole, cache)
        raw = (cache / name).read_bytes()
        (cache / name).unlink()
        if how == "damaged":
            middle = len(raw) // 2
            (cache / name).write_bytes((raw[:middle], _flipped(raw, middle), _flipped(raw, 0))[number % 3])
        found, _ = today(grown, ParquetStore(cache))
        assert all(a.equals(b) for a, b in zip(found, right, strict=True)), name
        shutil.rmtree(cache)


def _flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 0x40]) + raw[at + 1 :]


def test_all_blocks_are_lost_and_the_notes_are_not(grown: Path) -> None:
    for path in (grown / "cache").glob("blocks/*/*"):
        path.unlink()
    report = assert_fresh(grown, ParquetStore(grown / "cache"))
    assert any("missing" in text for text in report.incidents)


def test_two_processes_at_once(grown: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sigc.cache.parquet import ParquetStore\n"
        "from tests.engine.test_past import assert_fresh\n"
        "assert_fresh(Path(sys.argv[1]), ParquetStore(Path(sys.argv[1], 'cache')))"
    )
    for path in (grown / "cache" / "notes").glob("chain-*"):
        path.unlink()
    command = [sys.executable, "-c", script, str(grown)]
    running = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert_fresh(grown, ParquetStore(grown / "cache"))
