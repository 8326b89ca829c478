"""How sources are reached: a bound on those that are read at once, and on the wait for each answer."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import load
from sigc.data.sources.connections import Connections, NoAnswerError, within
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError

WIDE = "date,B,A\n2020-01-01,1,10\n2020-01-02,,20\n"


class Silent(MemoryFileSystem):  # type: ignore[misc]
    """A filesystem behind a network that says nothing any more: asked for `info`, or in the middle of a file."""

    protocol = "abfs"
    released = threading.Event()
    tells = False

    def info(self, path: str, **how: Any) -> Any:  # noqa: ARG002
        if not type(self).tells:
            type(self).released.wait()
        return {"name": path, "size": 1 << 20, "type": "file", "ETag": "one"}

    def _open(self, path: str, mode: str = "rb", **how: Any) -> Any:  # noqa: ARG002
        return Stuck()


class Stuck(io.RawIOBase):
    """Half a file."""

    def __init__(self) -> None:
        self._given = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002
        if self._given:
            Silent.released.wait()
            return b""
        self._given = True
        return WIDE.encode()


@pytest.fixture
def silent() -> Iterator[type[Silent]]:
    known = fsspec.get_filesystem_class("memory")
    fsspec.register_implementation("abfs", Silent, clobber=True)
    Silent.released.clear()
    Silent.tells = False
    yield Silent
    Silent.released.set()
    fsspec.register_implementation("abfs", known, clobber=True)


def test_no_more_than_the_pool_are_read_at_once_and_results_keep_their_order() -> None:
    """Twelve remote steps in a pool of three: three meet, never four."""
    connections, lock, meeting = Connections(3), threading.Lock(), threading.Barrier(3, timeout=30)
    going, peak = 0, 0

    def step(number: int) -> int:
        nonlocal going, peak
        with lock:
            going += 1
            peak = max(peak, going)
        meeting.wait()
        with lock:
            going -= 1
        if number % 5 == 4:
            raise SigcError(Diagnostic("E200", str(number)))
        return number

    made = connections.gather([partial(step, n) for n in range(12)], are_remote=True)
    assert peak == 3
    assert [n if isinstance(n, int) else n.diagnostics[0].message for n in made] == [
        *(0, 1, 2, 3, "4"),
        *(5, 6, 7, 8, "9", 10, 11),
    ]


def test_two_loads_share_one_pool() -> None:
    connections, lock = Connections(2), threading.Lock()
    going, peak, all_here = 0, 0, threading.Barrier(2, timeout=30)

    def step() -> None:
        nonlocal going, peak
        with lock:
            going += 1
            peak = max(peak, going)
        all_here.wait()
        with lock:
            going -= 1

    loads = [
        threading.Thread(target=connections.gather, args=([step] * 4,), kwargs={"are_remote": True}) for _ in range(3)
    ]
    for thread in loads:
        thread.start()
    for thread in loads:
        thread.join()
    assert (peak, going) == (2, 0)


def test_a_source_that_does_not_answer_is_given_up(silent: type[Silent], tmp_path: Path) -> None:
    spec = SourceSpec("prices", "abfs://bucket/p.csv", base=str(tmp_path))
    with pytest.raises(SigcError, match=r"no answer within 0.1 s") as caught:
        load([spec], MemoryStore(), DataSettings(), connections=Connections(2, 0.1))
    assert caught.value.diagnostics[0].code == "E200"
    silent.tells = True
    with pytest.raises(SigcError, match=r"no answer within 0.1 s") as caught:
        load([spec], MemoryStore(), DataSettings(), connections=Connections(2, 0.1))
    assert caught.value.diagnostics[0].code == "E201"


def test_what_answers_in_time_is_the_same_with_and_without_a_limit(tmp_path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    days = np.arange("2001-01-01", "2009-01-01", dtype="datetime64[D]")
    columns = {f"A{i:03}": np.random.default_rng(i).random(len(days)) for i in range(100)}
    pq.write_table(pa.table({"date": days, **columns}), tmp_path / "p.parquet")
    with fsspec.open("memory://connections/p.parquet", "wb") as out:
        out.write((tmp_path / "p.parquet").read_bytes())
    spec = SourceSpec("prices", "memory://connections/p.parquet", base=str(tmp_path))
    found = [
        load([spec], MemoryStore(), DataSettings(), connections=Connections(10, limit_s)).sources["prices"].digests
        for limit_s in (0.0, 30.0)
    ]
    assert found[0] == found[1]


def test_within_gives_what_comes_and_what_goes_wrong() -> None:
    assert within(5.0, lambda: 7) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        within(5.0, lambda: int("x"))
    never = threading.Event()
    with pytest.raises(NoAnswerError):
        within(0.05, never.wait)
    never.set()
