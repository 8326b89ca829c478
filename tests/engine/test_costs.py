"""What operators cost is measured by runs, kept, and never believed blindly."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigc.blocks import MemoryStore
from sigc.cache.parquet import ParquetStore
from sigc.engine.costs import NOTE, UNKNOWN_NS, Costs
from sigc.ops.table import operators
from sigc.plan.expr import Expr, source

operators()
MEAN = Expr("rolling_mean", (source("prices"),), (("window", 20),), given=("x",))


def test_a_running_mean_of_what_was_measured(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    costs = Costs.of(store)
    assert costs.estimate([MEAN], 1000) == 1000 * UNKNOWN_NS
    for ns in (2.0, 4.0):
        costs.measure("rolling_mean", ns * 0.002, 1_000_000)
        costs.measure("rolling_mean", ns * 0.002, 3_000_000)
        costs.measure("rank", 1.0, 10)  # too few cells to tell
        costs.save(store)
    kept = Costs.of(ParquetStore(tmp_path))
    assert kept.known == {"rolling_mean": pytest.approx(0.7 * 2.0 + 0.3 * 4.0)}
    assert kept.estimate([MEAN, MEAN], 1000) == int(2000 * kept.known["rolling_mean"])


@pytest.mark.parametrize("text", ["", "[1]", '{"rank": "x"}', "{", '{"rank": -1}', '{"rank": 1e300}'])
def test_a_note_that_can_not_be_is_none(text: str) -> None:
    store = MemoryStore()
    store.note(NOTE, text)
    assert Costs.of(store).known == {}
