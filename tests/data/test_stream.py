"""Large wide parquet: the same blocks as read whole, in little memory, whatever its row groups."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import load
from sigc.data.sources.connections import Connections
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError
from tests.data.test_sources import _days as days
from tests.data.test_sources import source, within
from tests.world import NAMES, write_wide


def minutes(rows: int) -> Any:
    """Of a day that begins two minutes before midnight, so that few rows are before the first cut."""
    return (np.datetime64("2023-01-01T23:58", "m") + np.arange(rows) * np.timedelta64(7, "m")).astype("datetime64[ms]")


@pytest.mark.parametrize("group", [1, 100, 256, 900])
@pytest.mark.parametrize("dates", [days(900).astype("datetime64[D]"), minutes(900)], ids=["daily", "minutes"])
def test_large_files_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int, dates: Any) -> None:
    """Large for what they may take: what streams is not refused, and comes to the same blocks, however it lies."""
    monkeypatch.setattr("sigc.data.formats.stream._SLAB_BYTES", 8 * 900 * 5)
    values = np.random.default_rng(1).normal(size=(900, 13))
    values[values > 2] = np.nan
    values[:500, 3] = np.nan
    columns = {f"{name} {i}": values[:, i] for i, name in enumerate("zkaymblnxcodw")}
    pq.write_table(pa.table({"date": dates} | columns), tmp_path / "p.parquet", row_group_size=group)
    whole = source(tmp_path, "p.parquet")
    assert len(whole.blocks) > 1
    streamed = within(tmp_path, "p.parquet", 8 * 900)
    assert [(b.start, b.stop, b.key) for b in streamed.blocks] == [(b.start, b.stop, b.key) for b in whole.blocks]
    assert (streamed.names, streamed.digests, streamed.findings) == (whole.names, whole.digests, whole.findings)


@pytest.mark.parametrize("group", [100, 900])
def test_what_is_wrong_in_a_large_file_has_its_row(tmp_path: Path, group: int) -> None:
    values = np.ones((900, 13))
    values[700, 4] = np.inf
    columns = {n: values[:, i] for i, n in enumerate(NAMES)}
    pq.write_table(pa.table({"date": days(900)} | columns), tmp_path / "p.parquet", row_group_size=group)
    with pytest.raises(SigcError, match=f"row 702, column '{NAMES[4]}': the value is infinite"):
        within(tmp_path, "p.parquet", 8 * 900)


def test_no_room_for_a_scratch_file(tmp_path: Path) -> None:
    write_wide(tmp_path / "p.parquet", days(9000), np.ones((9000, 13)))
    ways = Connections(memory_bytes=8 * 900, scratch=str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        with pytest.raises(SigcError, match=f"{tmp_path} does not take a scratch file") as no:
            load([SourceSpec("p", "p.parquet", base=str(tmp_path))], MemoryStore(), DataSettings(), connections=ways)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert no.value.diagnostics[0].code == "E300"


CONVERTS = """import sys
from sigc.cache.parquet import ParquetStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import load
from sigc.data.sources.spec import SourceSpec
from sigc.data.sources.connections import Connections
from pathlib import Path
folder = Path(sys.argv[1])
spec = SourceSpec("p", sys.argv[2], base=str(folder))
store = ParquetStore(folder / ("cache-" + sys.argv[2]), memory_bytes=0)
load([spec], store, DataSettings(), connections=Connections(memory_bytes=1 << 20, scratch=str(folder)))
print(next(l.split()[1] for l in open("/proc/self/status") if l.startswith("VmHWM")))
"""


def test_memory_is_bounded_by_the_block(tmp_path: Path) -> None:
    """Eight times the history, 112 MB more, takes about as much as once: what the allocator keeps apart, a block each."""
    assets, peaks = 2000, []
    for rows in (1000, 8000):
        values = np.random.default_rng(1).normal(size=(rows, assets))
        write_wide(tmp_path / f"{rows}.parquet", days(rows), values, tuple(f"A{i}" for i in range(assets)))
        command = [sys.executable, "-W", "ignore", "-c", CONVERTS, str(tmp_path), f"{rows}.parquet"]
        environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
        told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        peaks.append(int(told.stdout) >> 10)
    assert peaks[1] - peaks[0] < 30
