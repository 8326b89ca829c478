"""What is accepted on the last rows is what a look at all rows accepts: over splits, held jumps, and other processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sigc.cache.parquet import ParquetStore
from sigc.panel import Floats
from sigc_pipelines.compute import Loaded, Workspace, load
from sigc_pipelines.prices import prior_acceptance as acceptance
from sigc_pipelines.prices.quotes import Accepted, accepted
from tests.world import WEEKDAYS, workspace, write_strategy

ROWS = 800
DAYS = pd.bdate_range("2020-01-01", periods=ROWS)
SPLITS = ((255, "A", 4.0), (256, "B", 0.1), (511, "C", 3.0), (600, "A", 2.0))
GAP = slice(508, 520)  # of C, in which its split falls, and a stride of rows ends
TEXT = """data:
  prices: load csv from "p.csv" adjust=split
  corporate_actions: load csv from "a.csv"
signal s:
  emit prices
"""


def closes() -> Floats:
    """As traded: A, B and C split, D falls to a tenth without an action and stays there, E jumps and is confirmed."""
    values: Floats = 100 * np.exp(np.random.default_rng(5).normal(0, 0.01, (ROWS, 5)).cumsum(axis=0))
    for row, name, ratio in SPLITS:
        values[row:, "ABCDE".index(name)] /= ratio
    values[100:, 3] *= 0.1 * values[99, 3] / values[100, 3]
    values[300:, 4] *= 2.6
    values[GAP, 2] = np.nan
    return np.round(values, 4)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    pd.DataFrame(closes(), DAYS, list("ABCDE")).rename_axis("date").to_csv(tmp_path / "p.csv")
    lines = [f"{DAYS[row]:%Y-%m-%d},{name},{ratio},0\n" for row, name, ratio in SPLITS]
    (tmp_path / "a.csv").write_text("date,ticker,split,dividend\n" + "".join(lines))
    return tmp_path


def opened(folder: Path, until: str = "") -> tuple[Loaded, Workspace]:
    space = workspace(ParquetStore(folder / "cache"), exchanges=WEEKDAYS)
    return load(write_strategy(folder, TEXT), space, until), space


def looked_at(folder: Path, start: int, stop: int = ROWS) -> Accepted:
    of, space = opened(folder)
    return accepted(of, space, "prices", start, stop)


def test_all_rows_accept_splits_and_hold_what_looks_like_one(world: Path) -> None:
    whole = looked_at(world, 0)
    expected = closes()
    expected[100:, 3] = np.nan  # 10:1 that nobody explains is held for ever
    expected[300, 4] = np.nan  # +160 % counts from the row that confirms it
    assert np.array_equal(whole.prices, expected, equal_nan=True)
    assert "701 prices jump by more than" in whole.findings[0].message
    assert "100 prices jump by more than" in looked_at(world, 700).findings[0].message  # those of the rows asked for


@pytest.mark.parametrize("start", [1, 256, 257, 512, 519, 521, 600, 700, 799])
@pytest.mark.parametrize("is_another_process", [True, False])
def test_the_last_rows_accept_what_all_rows_do(world: Path, start: int, is_another_process: bool) -> None:
    whole = looked_at(world, 0)
    acceptance._known.clear()
    looked_at(world, ROWS - 1)  # leaves notes in the store
    if is_another_process:
        acceptance._known.clear()
    found = looked_at(world, start)
    assert np.array_equal(found.prices, whole.prices[start:], equal_nan=True)
    for ratio in (found.levels / whole.levels[start:]).T:
        known = ratio[~np.isnan(ratio)]  # of levels that have a base of their own
        assert np.allclose(known, known[:1])


@pytest.mark.parametrize("is_another_process", [True, False])
def test_rows_are_walked_from_the_last_state_that_is_known(
    world: Path, is_another_process: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    acceptance._known.clear()
    looked_at(world, ROWS - 1)
    if is_another_process:
        acceptance._known.clear()
    walked: list[tuple[int, int]] = []
    plain = acceptance._walked

    def seen(*of: Any) -> acceptance.Before:
        walked.append(of[3])
        return plain(*of)

    monkeypatch.setattr(acceptance, "_walked", seen)
    looked_at(world, ROWS - 1)  # 64 rows before it are looked at besides
    # C's split waits for a price where the second stride ends: what waits is not noted, but remembered.
    assert walked == ([(256, 512), (512, 735)] if is_another_process else [(512, 735)])
    walked.clear()
    looked_at(world, 512 + 64)
    assert walked == []


def test_an_action_that_comes_late_is_told_apart(world: Path) -> None:
    """D's jump was held; with its action there it was none, although states were kept without it."""
    looked_at(world, 790)
    acceptance._known.clear()
    with (world / "a.csv").open("a") as file:
        file.write(f"{DAYS[100]:%Y-%m-%d},D,10,0\n")
    assert np.array_equal(looked_at(world, 790).prices[:, 3], closes()[790:, 3])


def test_a_damaged_note_is_made_again(world: Path) -> None:
    whole = looked_at(world, 0)
    acceptance._known.clear()
    looked_at(world, 790)
    notes = [p for p in (world / "cache").rglob("*accepted-*") if p.is_file()]
    assert notes
    for note in notes:
        note.write_bytes(note.read_bytes()[:-9])
    acceptance._known.clear()
    assert np.array_equal(looked_at(world, 790).prices, whole.prices[790:], equal_nan=True)
