"""The block cache beside raw `numpy.load` of the same bytes: a block of 252 rows x 3,000 assets read from disk with its
checksum, read again in the same process, found by its facts alone; and the import of a wide parquet file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import median_s
from benchmarks.universe_data import prices
from sigc.blocks.block import BlockFacts
from sigc.cache.parquet import ParquetStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import load
from sigc.data.sources.spec import SourceSpec
from sigc.panel import Panel, canonical

ROWS, ASSETS, KEY = 252, 3000, "ab" * 20


def main() -> dict[str, float]:
    """Milliseconds, and ratios to numpy.load."""
    table = prices(ASSETS, 1260)
    panel = Panel(table.index.to_numpy()[:ROWS], tuple(table.columns), canonical(table.to_numpy()[:ROWS]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "raw.npy", panel.values)
        store = ParquetStore(folder / "cache")
        store.write(BlockFacts(KEY, "block", "2000", ROWS), panel)
        raw = median_s(lambda: np.load(folder / "raw.npy"), 41)
        cold = median_s(lambda: ParquetStore(folder / "cache").read(KEY), 41)
        warm = median_s(lambda: store.read(KEY), 41)
        hit = median_s(lambda: store.facts(KEY), 41)
        table.to_parquet(folder / "prices.parquet")
        spec = SourceSpec("prices", str(folder / "prices.parquet"), base=str(folder))
        settings, caches = DataSettings(directory=str(folder)), iter(range(1_000_000))
        first = median_s(lambda: load([spec], ParquetStore(folder / f"cache{next(caches)}"), settings), 3)
        again = median_s(lambda: load([spec], ParquetStore(folder / "cache0"), settings), 9)
    return {
        "numpy.load, ms": 1e3 * raw,
        "block from disk, checksum included, ms": 1e3 * cold,
        "block again in the same process, ms": 1e3 * warm,
        "facts of a stored block, ms": 1e3 * hit,
        "block from disk, ratio to numpy.load": cold / raw,
        "block again, ratio to numpy.load": warm / raw,
        "import of 1,260 x 3,000 from wide parquet, ms": 1e3 * first,
        "the same file again, ms": 1e3 * again,
    }
