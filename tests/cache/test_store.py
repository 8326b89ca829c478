"""The contract of block stores, and what the parquet cache promises beyond it. Real files, real kills."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sigc.blocks.block import BlockFacts, BlockStore, CarryState, MemoryStore, digest
from sigc.cache import files, upkeep
from sigc.cache.counts import CacheCounts, add_counts, counts, set_bytes
from sigc.cache.parquet import ParquetStore
from sigc.errors import SigcError
from sigc.panel import Panel, canonical

DAYS = np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
Make = Callable[[], BlockStore]


def some(seed: int = 0, rows: int = 20, assets: int = 4) -> Panel:
    values = np.random.default_rng(seed).normal(size=(rows, assets))
    values[values > 1] = np.nan
    return Panel(DAYS[:rows], tuple(f"A{i}" for i in range(assets)), canonical(values))


def facts(key: str, panel: Panel, name: str = "prices", label: str = "2020", source: str = "signal") -> BlockFacts:
    return BlockFacts(key, name, label, len(panel.dates), source=source)


@pytest.fixture(params=["memory", "parquet", "parquet without memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A way to open the same store again."""
    if request.param == "memory":
        store = MemoryStore()
        return lambda: store
    held = 0 if "without" in request.param else 1 << 20
    return lambda: ParquetStore(tmp_path, memory_bytes=held)


def test_what_is_written_is_read(make: Make) -> None:
    panel, key = some(), digest("a")
    carry = CarryState(("A0", "A3"), np.array([[1.0, np.nan], [3.0, 4.0]]))
    told = BlockFacts(key, "momentum", "2020", 20, b"x" * 320, "state", "carried")
    make().write(told, panel, carry)
    store = make()
    assert store.facts(key) == told
    found = store.read(key)
    assert found is not None
    assert found.equals(panel)
    after = store.read_carry(key)
    assert after is not None
    assert after.names == carry.names
    assert after.values.tobytes() == carry.values.tobytes()


def test_absent_is_none(make: Make) -> None:
    store = make()
    assert store.facts(digest("no")) is None
    assert store.read(digest("no")) is None
    assert store.read_carry(digest("no")) is None
    assert store.noted("no") is None


def test_notes_are_replaced(make: Make) -> None:
    make().note("tip", "one")
    make().note("tip", "two")
    assert make().noted("tip") == "two"


@settings(max_examples=30)
@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(0, 6), st.integers(0, 5)), elements=st.floats(allow_nan=True, width=64)
    ),
    st.booleans(),
)
def test_round_trip_is_bit_exact(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, labelled: bool) -> None:
    names = tuple(f"N{i}é" for i in range(values.shape[1]))
    panel = Panel(DAYS[: len(values)], names, canonical(values), ("x", "y") if labelled else None)
    folder = tmp_path_factory.mktemp("round")
    ParquetStore(folder).write(facts(digest("r"), panel), panel)
    found = ParquetStore(folder).read(digest("r"))
    assert found is not None
    assert found.equals(panel)


@pytest.mark.parametrize("region", range(0, 100, 4))
def test_a_flipped_byte_anywhere_is_never_served(tmp_path: Path, region: int) -> None:
    panel, key = some(rows=40), digest("flip")
    ParquetStore(tmp_path).write(facts(key, panel), panel)
    path = next(tmp_path.glob("blocks/*/*.parquet"))
    raw = bytearray(path.read_bytes())
    raw[len(raw) * region // 100] ^= 0x01
    path.write_bytes(bytes(raw))
    store = ParquetStore(tmp_path)
    found = store.read(key)
    assert found is None or found.equals(panel)  # some bytes of the format mean nothing
    if found is None:
        assert store.incidents()
        assert store.facts(key) is None
        assert not list(tmp_path.glob(f"blocks/*/{key}*"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_truncated_entries_are_dropped(tmp_path: Path, share: float, suffix: str) -> None:
    panel, key = some(), digest("cut")
    ParquetStore(tmp_path).write(facts(key, panel), panel)
    path = next(tmp_path.glob(f"blocks/*/*{suffix}"))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    store = ParquetStore(tmp_path)
    assert store.facts(key) is None or store.read(key) is None
    assert store.incidents()
    assert ParquetStore(tmp_path).facts(key) is None
    assert [w for _, w in upkeep.verify(tmp_path)] == []


def aged(folder: Path, key: str) -> None:
    """The entry as the first format wrote its facts."""
    path = folder / "blocks" / key[:2] / f"{key}.json"
    data = json.loads(path.read_text().split("\n")[1])
    del data["format"]
    body = json.dumps(data, separators=(",", ":"), sort_keys=True)
    path.write_text(f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n")


def test_a_cache_of_an_older_sigc_is_computed_again_without_a_word(tmp_path: Path) -> None:
    panel, key = some(), digest("old")
    ParquetStore(tmp_path).write(facts(key, panel), panel)
    aged(tmp_path, key)
    store = ParquetStore(tmp_path)
    assert store.facts(key) is None
    assert store.incidents() == ()
    assert upkeep.verify(tmp_path) == []
    assert upkeep.status(tmp_path).entries == 1
    store.write(facts(key, panel), panel)
    assert ParquetStore(tmp_path).facts(key) == facts(key, panel)
    aged(tmp_path, key)
    assert upkeep.evict(tmp_path, 0)[0] == [key]
    assert not list(tmp_path.glob(f"blocks/*/{key}*"))


def test_another_block_under_this_key_is_not_served(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path)
    a, b = digest("a"), digest("b")
    store.write(facts(a, some(1)), some(1))
    store.write(facts(b, some(2)), some(2))
    paths = {k: next(tmp_path.glob(f"blocks/*/{k}.parquet")) for k in (a, b)}
    paths[a].write_bytes(paths[b].read_bytes())
    assert ParquetStore(tmp_path).read(a) is None


WRITER = """
import sys, numpy as np
from pathlib import Path
from tests.cache.test_store import some, facts
from sigc.blocks.block import digest
from sigc.cache.parquet import ParquetStore
store = ParquetStore(Path(sys.argv[1]), memory_bytes=0)
print("go", flush=True)
for n in range(100000):
    panel = some(n % 7, rows=300, assets=40)
    store.write(facts(digest(str(n % 7)), panel), panel)
"""


def _writer(folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_kill_in_the_middle_of_writes(tmp_path: Path) -> None:
    """Two processes write the same keys and are killed: every block there is whole."""
    for _ in range(3):
        writers = [_writer(tmp_path) for _ in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "go\n"
        store = ParquetStore(tmp_path, memory_bytes=0)
        seen = 0
        while seen < 30:  # reads while they write
            for n in range(7):
                panel = store.read(digest(str(n)))
                if panel is not None:
                    assert panel.equals(some(n, rows=300, assets=40))
                    seen += 1
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            writer.communicate()
    assert upkeep.verify(tmp_path) == []
    assert store.incidents() == ()


def test_disk_full_is_an_error_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    import resource

    panel, key = some(rows=300, assets=200), digest("full")
    store = ParquetStore(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        with pytest.raises(SigcError, match="can't take block prices_2020"):
            store.write(facts(key, panel), panel)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert not [p for p in tmp_path.glob("blocks/*/*") if p.is_file()]
    store.write(facts(key, panel), panel)
    found = ParquetStore(tmp_path).read(key)
    assert found is not None
    assert found.equals(panel)


def test_directory_mode(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir(mode=0o755)
    ParquetStore(tmp_path / "c")
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SigcError, match="can't be used"):
        ParquetStore(tmp_path / "file")


# -- upkeep ------------------------------------------------------------------------------------------------------


def fill(folder: Path, count: int = 6) -> list[str]:
    store = ParquetStore(folder)
    keys = []
    for n in range(count):
        key = digest(str(n))
        name = "prices" if n % 2 else "momentum"
        store.write(facts(key, some(n), name, str(2015 + n), "source" if n % 2 else "signal"), some(n))
        os.utime(folder / "blocks" / key[:2] / f"{key}.json", (1000 + n, 1000 + n))
        keys.append(key)
    return keys


def test_status_and_clear(tmp_path: Path) -> None:
    fill(tmp_path)
    found = upkeep.status(tmp_path)
    assert found.entries == 6
    assert found.by_source["prices"][0] == 3
    assert found.by_signal["momentum"][0] == 3
    assert found.oldest == 1000
    count, freed = upkeep.clear(tmp_path, "prices_*")
    assert count == 3
    assert freed == found.by_source["prices"][1]
    assert upkeep.clear(tmp_path, "momentum_2017")[0] == 1
    assert upkeep.clear(tmp_path)[0] == 2
    assert upkeep.status(tmp_path).bytes == 0


def test_least_recently_used_goes_first_but_leased_stays(tmp_path: Path) -> None:
    keys = fill(tmp_path)
    store = ParquetStore(tmp_path)
    size = upkeep.status(tmp_path).bytes // 6
    with store.lease([keys[0]]):
        gone, freed = upkeep.evict(tmp_path, 3 * size)
        assert keys[0] not in gone
        assert gone[0] == keys[1]
        assert freed >= 2 * size
    upkeep.evict(tmp_path, 0)
    assert upkeep.status(tmp_path).entries == 0


def test_the_lease_of_a_dead_process_is_void(tmp_path: Path) -> None:
    keys = fill(tmp_path)
    (tmp_path / "leases" / "999999999-1.00-0").write_text("\n".join(keys))
    upkeep.evict(tmp_path, 0)
    assert upkeep.status(tmp_path).entries == 0


def test_verify_names_bad_entries(tmp_path: Path) -> None:
    keys = fill(tmp_path)
    path = tmp_path / "blocks" / keys[2][:2] / f"{keys[2]}.parquet"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 3] ^= 0xFF
    path.write_bytes(bytes(raw))
    (tmp_path / "blocks" / keys[3][:2] / f"{keys[3]}.parquet").unlink()
    assert sorted(name for name, _ in upkeep.verify(tmp_path)) == ["momentum_2017", "prices_2018"]


def test_hits_and_misses_are_counted_over_processes(tmp_path: Path) -> None:
    keys = fill(tmp_path)
    for _ in range(2):
        store = ParquetStore(tmp_path)
        with store.lease([]):
            store.facts(keys[0])
            store.facts(digest("nowhere"))
    found = upkeep.status(tmp_path)
    assert (found.hits, found.misses) == (2, 2)
    assert found.hit_rate == 0.5


def test_a_run_leaves_the_cache_within_its_size(tmp_path: Path) -> None:
    store = ParquetStore(tmp_path, max_size_gb=30e-6)
    with store.lease([]):
        for n in range(40):
            store.write(facts(digest(str(n)), some(n)), some(n))
    assert 0 < upkeep.size(tmp_path) <= 30_000


def test_bytes_are_added_and_measured_now_and_then(tmp_path: Path) -> None:
    assert counts(tmp_path).may_exceed(1 << 40)  # never measured
    for n in range(3):
        store = ParquetStore(tmp_path)
        with store.lease([]):
            store.write(facts(digest(str(n)), some(n)), some(n))
        assert counts(tmp_path).bytes == upkeep.size(tmp_path)
    assert counts(tmp_path).additions == 2
    assert not counts(tmp_path).may_exceed(upkeep.size(tmp_path))
    assert counts(tmp_path).may_exceed(upkeep.size(tmp_path) - 1)
    upkeep.clear(tmp_path, "*")
    for _ in range(100):
        add_counts(tmp_path, 1, 0)
    with ParquetStore(tmp_path).lease([]):
        pass
    assert counts(tmp_path) == CacheCounts(100, 0, 0, 0)


def test_what_other_processes_wrote_counts(tmp_path: Path) -> None:
    set_bytes(tmp_path, 0)
    fill(tmp_path)
    store = ParquetStore(tmp_path, max_size_gb=1e-6)
    add_counts(tmp_path, 0, 0, 5_000)  # as another process does when its run ends
    with store.lease([]):
        pass
    assert upkeep.size(tmp_path) == 0


def test_a_state_that_is_missing_is_an_absent_block(tmp_path: Path) -> None:
    key = digest("carried")
    store = ParquetStore(tmp_path)
    store.write(replace(facts(key, some()), state="s"), some(), CarryState(("a",), np.ones((1, 1))))
    (tmp_path / "blocks" / key[:2] / f"{key}.carry.parquet").unlink()
    assert store.read_carry(key) is None
    assert store.facts(key) is None
    assert "its state is missing" in store.incidents()[0]


def test_a_block_of_another_format_is_absent_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, panel = digest("other"), some()
    with monkeypatch.context() as other:
        other.setattr(files, "FORMAT", "1")
        ParquetStore(tmp_path).write(facts(key, panel), panel)
    store = ParquetStore(tmp_path)
    assert store.read(key) is None
    assert store.incidents() == ()
    assert list((tmp_path / "blocks").glob("*/*.parquet"))
