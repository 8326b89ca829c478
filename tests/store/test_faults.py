"""The ledger under real faults of the disk: whatever fails when, it is told, nothing is half-written, and it goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.errors import SigcError
from sigc.store.audit.chain import AuditEvent
from sigc.store.audit.verify import verify
from sigc.store.ledger.connection import FILE
from sigc.store.ledger.ledger import Ledger
from tests.daemon.processes import Script, environment
from tests.store.chains import START, reading, write

ROOT = Path(__file__).parent.parent.parent
needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None, reason="no C compiler: calls of the disk can't be failed"
)


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that fails calls, compiled."""
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a campaign waits for a thousand syncs."""
    memory = Path("/dev/shm")  # noqa: S108
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    folder = memory / f"sigc-{os.getpid()}-{tmp_path.name}"
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder)


def campaign(library: Path, folder: Path, name: str, length: str) -> dict[str, list[int]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.fault_campaign", str(folder), name, length],
        cwd=ROOT,
        env=environment(LD_PRELOAD=str(library)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    met: dict[str, list[int]] = json.loads(done.stdout)
    return met


@needs_compiler
def test_every_call_of_the_disk_may_fail(faults: Path, fast: Path) -> None:
    met = campaign(faults, fast, "ledger", "short")
    assert met["disk full"][0] > 100
    assert met["disk full"][0] == met["disk full"][1]  # a disk that stays full is always told
    assert all(told > 0 for name, (_, told) in met.items() if not name.startswith("death"))
    assert met["death"][0] > 50


@needs_compiler
def test_a_migration_ends_whole_whatever_fails(faults: Path, fast: Path) -> None:
    met = campaign(faults, fast, "migration", "short")
    assert met["disk full"][1] > 30
    assert met["death in a write"][0] > 10


@needs_compiler
@pytest.mark.soak
@pytest.mark.parametrize("name", ["ledger", "migration"])
def test_every_single_call(faults: Path, fast: Path, name: str) -> None:
    assert campaign(faults, fast, name, "long")["death in a write"][0] > 50


_LIMITED = """
import resource, sys
from pathlib import Path
from sigc.clock import HandClock
from sigc.errors import SigcError
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger.ledger import Ledger
from tests.store.chains import START

def put(ledger, number, size):
    with ledger.transaction("control") as tx:
        tx.audit(AuditEvent("test", {"number": number, "text": "x" * size}))

def refused(work):
    try:
        work()
    except SigcError as error:
        (found,) = error.diagnostics
        print(found.code, found.message, "|", found.hint)
    else:
        print("nothing was refused")

folder = Path(sys.argv[1])
kind = {"size": resource.RLIMIT_FSIZE, "files": resource.RLIMIT_NOFILE}[sys.argv[2]]
soft, hard = resource.getrlimit(kind)
if sys.argv[2] == "size":
    ledger = Ledger.open(folder, HandClock(START))
    put(ledger, 1, 10)
    resource.setrlimit(kind, (600_000, hard))
    refused(lambda: put(ledger, 2, 1_000_000))
    put(ledger, 3, 10)
else:
    import os
    resource.setrlimit(kind, (len(os.listdir("/proc/self/fd")) - 1, hard))
    refused(lambda: Ledger.open(folder, HandClock(START)))
    resource.setrlimit(kind, (soft, hard))
    ledger = Ledger.open(folder, HandClock(START))
    put(ledger, 1, 10)
resource.setrlimit(kind, (soft, hard))
put(ledger, 4, 1_000_000)
ledger.close()
"""


@pytest.mark.parametrize(("kind", "numbers"), [("size", [1, 3, 4]), ("files", [1, 4])])
def test_limits_of_the_kernel(tmp_path: Path, kind: str, numbers: list[int]) -> None:
    with Script(_LIMITED, str(tmp_path), kind) as script:
        status, out, err = script.end()
    assert status == 0, err
    assert out.startswith(f"E310 the ledger {tmp_path / FILE if kind == 'size' else tmp_path}"), out
    assert "|" in out.rstrip("| ")
    with reading(tmp_path / FILE) as connection:
        assert verify(connection).is_whole
        records = [json.loads(r)["payload"]["number"] for (r,) in connection.execute("SELECT record FROM audit")]
    assert records == numbers


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a disk of its own can't be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def _put(ledger: Ledger, number: int, size: int = 10) -> None:
    with ledger.transaction("control") as tx:
        tx.audit(AuditEvent("test", {"number": number, "text": "x" * size}))


def test_a_disk_that_is_full_and_is_cleared(small_disk: Path) -> None:
    folder = small_disk / "work"
    with Ledger.open(folder, HandClock(START)) as ledger:
        _put(ledger, 1)
        (small_disk / "filler").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 8192))
        with pytest.raises(SigcError, match=r"E310: the ledger .*ledger\.sqlite can't be used") as told:
            _put(ledger, 2, 100_000)
        assert "free space" in told.value.diagnostics[0].hint
        with pytest.raises(SigcError, match="E310"):
            _put(ledger, 2, 100_000)
        (small_disk / "filler").unlink()
        _put(ledger, 3, 100_000)
    with reading(folder / FILE) as connection:
        assert verify(connection).records == 2


def test_a_disk_that_is_read_only(small_disk: Path) -> None:
    write(small_disk / "work", 3)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(SigcError, match="E310") as told:
        Ledger.open(small_disk / "work", HandClock(START))
    assert told.value.diagnostics[0].hint
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    with Ledger.open(small_disk / "work", HandClock(START)) as ledger:
        _put(ledger, 4)
        with ledger.reading() as connection:
            assert verify(connection).records == 4


def _lose(ledger: Ledger) -> None:
    with ledger.transaction("control") as tx:
        tx.audit(AuditEvent("test", {"number": 2}))
        tx.connection.close()
        tx.audit(AuditEvent("test", {"number": 3}))


def test_a_connection_that_is_lost_is_made_anew(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, HandClock(START)) as ledger:
        _put(ledger, 1)
        with pytest.raises(SigcError, match="E310"):
            _lose(ledger)
        _put(ledger, 4)
        with ledger.reading() as connection:
            assert verify(connection).records == 2
