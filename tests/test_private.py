"""Folders that others may write: what lies there is not run, not believed; and ours are made closed."""

from __future__ import annotations

import ast
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sigc.blocks.block import MemoryStore, digest
from sigc.cache.parquet import ParquetStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import load
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError
from sigc.ops import jit
from sigc.private import intruder, keep_private, make_private
from sigc.store.ledger.connection import Lock
from tests.world import STRATEGIES, write_world

ROOT = Path(__file__).parent.parent
NOBODY = 65534
needs_root = pytest.mark.needs("root")  # they act as a second user
WIDE = "date,A\n2020-01-01,1\n2020-01-02,2\n"


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def as_nobody(script: str, *arguments: str, **environment: str) -> None:
    """Run Python as a second user."""
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", sys.executable, "-c", script]
    paths = ":".join(str(ROOT / part) for part in ("", "cli", "pipelines", "dashboard"))
    subprocess.run(
        [*command, *arguments], env={"PATH": os.environ["PATH"], "PYTHONPATH": paths} | environment, check=True
    )


@pytest.fixture
def open_cache() -> Iterator[Path]:
    """A cache that any user may come to and write: pytest's own folders are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="sigc-open-"))
    folder.chmod(0o711)
    (folder / "cache").mkdir()
    (folder / "cache").chmod(0o777)
    yield folder / "cache"
    shutil.rmtree(folder)


# -- who may change what lies there ------------------------------------------------------------------------------


def test_a_folder_is_as_safe_as_what_leads_to_it(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b" / "c"
    make_private(inner)
    assert [p.stat().st_mode & 0o777 for p in (inner, inner.parent, inner.parent.parent)] == [0o700] * 3
    assert intruder(inner) == ""
    for path in (inner, inner.parent, inner.parent.parent):
        path.chmod(0o777)
        assert str(path) in intruder(inner)
        path.chmod(0o1777)  # others can add, but not replace what is ours
        assert bool(intruder(inner)) == (path == inner)
        path.chmod(0o755)
        assert intruder(inner) == ""


def test_links_are_looked_at_by_where_they_stand_and_lead(tmp_path: Path) -> None:
    safe, shared = tmp_path / "safe", tmp_path / "shared"
    make_private(safe / "in")
    make_private(shared / "in")
    shared.chmod(0o777)
    (safe / "to_shared").symlink_to("../shared/in")
    (shared / "to_safe").symlink_to(safe / "in")
    (safe / "around").symlink_to("around")
    assert str(shared) in intruder(safe / "to_shared")
    assert str(shared) in intruder(shared / "to_safe")
    assert str(shared) in intruder(safe / ".." / "shared" / "in")
    assert intruder(safe / "around" / "x").endswith("a chain of links")
    shared.chmod(0o700)
    assert intruder(safe / "to_shared") == intruder(shared / "to_safe") == ""
    with pytest.raises(FileNotFoundError):
        intruder(safe / "missing")


@needs_root
def test_what_another_user_owns_is_not_ours(tmp_path: Path) -> None:
    for path in (tmp_path / "a", tmp_path / "b"):
        make_private(path / "in")
    os.chown(tmp_path / "a", NOBODY, NOBODY)
    assert "belongs to user nobody" in intruder(tmp_path / "a" / "in")
    (tmp_path / "b" / "link").symlink_to("in")
    os.chown(tmp_path / "b" / "link", NOBODY, NOBODY, follow_symlinks=False)
    assert "belongs to user nobody" in intruder(tmp_path / "b" / "link")
    os.chown(tmp_path / "b" / "in", 0, NOBODY)
    (tmp_path / "b" / "in").chmod(0o770)
    assert "others may write" in intruder(tmp_path / "b" / "in")
    os.chown(tmp_path / "b" / "in", 0, 0)  # root's own group, in which nobody else is
    assert intruder(tmp_path / "b" / "in") == ""


# -- compiled kernels --------------------------------------------------------------------------------------------

# As numba itself names them: an index of each loop in the folder that a process of the victim will choose.
PLANT = """
import os, pickle, sys
from pathlib import Path
from importlib.metadata import version
import hashlib
from sigc.ops import jit
name = hashlib.sha256("\\n".join([jit.kernel_sources_digest(), version("numba"), jit.cpu_class()]).encode()).hexdigest()
folder = Path(sys.argv[1], "jit", name[:16])
folder.mkdir(parents=True)
os.environ["NUMBA_CACHE_DIR"] = str(folder)
class Evil:
    def __reduce__(self):
        return os.system, (f"touch {sys.argv[2]}",)
import importlib, pkgutil, sigc.ops.loops as loops
planted = 0
for module in pkgutil.iter_modules(loops.__path__, "sigc.ops.loops."):
    for loop in vars(importlib.import_module(module.name)).values():
        index = getattr(getattr(getattr(loop, "_cache", None), "_cache_file", None), "_index_path", None)
        if index:
            Path(index).write_bytes(pickle.dumps(Evil()))
            planted += 1
assert planted > 20, planted
for path in Path(sys.argv[1]).rglob("*"):
    path.chmod(0o777)
"""
VICTIM = """
import os, sys
import numpy as np
if sys.argv[2] == "guarded":
    from pathlib import Path
    from sigc.ops import jit
    jit.prepare(Path(sys.argv[1]))
else:
    os.environ["NUMBA_CACHE_DIR"] = sys.argv[1] + "/jit/" + os.listdir(sys.argv[1] + "/jit")[0]
from sigc.ops.table import resolve
resolve("rolling_mean").kernel(np.arange(8.0)[:, None], 4)
"""


@pytest.fixture
def planted(open_cache: Path, jit_directory: Path, tmp_path: Path) -> tuple[Path, Path, dict[str, str]]:
    """A cache of mode 0777 in which a second user planted code; the file that tells that it ran; an environment, in
    which the user's own cache is the suite's."""
    mark = open_cache / "ran"
    as_nobody(PLANT, str(open_cache), str(mark), HOME=str(open_cache))
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "sigc").symlink_to(jit_directory)
    paths = ":".join(str(ROOT / part) for part in ("", "cli", "pipelines", "dashboard"))
    return open_cache, mark, os.environ | {"XDG_CACHE_HOME": str(tmp_path / "home"), "PYTHONPATH": paths}


@needs_root
def test_planted_code_is_not_run(planted: tuple[Path, Path, dict[str, str]]) -> None:
    cache, mark, environment = planted

    def victim(how: str) -> str:
        command = [sys.executable, "-c", VICTIM, str(cache), how]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stderr

    said = victim("guarded")
    assert not mark.exists()
    assert f"others may write {cache} (mode 0777)" in said
    assert len(said.splitlines()) == 1
    cache.chmod(0o755)  # whoever closes the folder later does not make its files ours
    assert "user nobody" in victim("guarded")
    assert not mark.exists()
    victim("as it was")
    assert mark.exists()  # the plant works where nothing looks


@needs_root
def test_a_backtest_runs_no_planted_code(planted: tuple[Path, Path, dict[str, str]], tmp_path: Path) -> None:
    cache, mark, environment = planted
    write_world(tmp_path)
    (tmp_path / "momentum.sig").write_text((STRATEGIES / "momentum.sig").read_text(encoding="utf-8"))
    (tmp_path / "sigc.yaml").write_text(f"daemon: {{cache: {{directory: {cache}}}}}\ncluster: {{type: none}}\n")

    def backtest(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sigc_cli.main", "backtest", "momentum.sig", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    refused = backtest()
    assert refused.returncode == 6, refused.stderr
    assert f"the cache directory {cache} is not safe from other users" in refused.stderr
    assert "chmod -R go-w" in refused.stderr
    done = backtest("--no-cache")
    assert done.returncode == 0, done.stderr
    assert f"others may write {cache} (mode 0777)" in done.stderr
    assert not mark.exists()


def test_ones_own_kernels_and_blocks_are_used_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that the umask leaves open lie in closed folders; in an open one they count as anybody's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    (tmp_path / "p.csv").write_text(WIDE)
    spec = SourceSpec("prices", "p.csv", base=str(tmp_path))
    cache = tmp_path / "cache"
    place = jit._folder.__wrapped__  # as a process finds it that begins
    with umask(0):
        kernels = place(cache)
        (kernels / "loop.nbi").touch(mode=0o666)
        key = load([spec], ParquetStore(cache), DataSettings()).sources["prices"].blocks[0].key
    assert place(cache) == kernels == next((cache / "jit").iterdir())
    store = ParquetStore(cache)
    assert store.read(key) is not None
    assert store.incidents() == ()
    kernels.chmod(0o755)
    assert place(cache) == tmp_path / "home" / "sigc" / "jit" / kernels.name


# -- blocks and notes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "blocks", "notes", "blocks/ab"])
def test_a_cache_that_others_may_write_is_refused(tmp_path: Path, folder: str) -> None:
    cache = tmp_path / "cache"
    ParquetStore(cache)
    (cache / "blocks" / "ab").mkdir(mode=0o700)
    (cache / folder).chmod(0o777)
    with pytest.raises(SigcError, match="not safe from other users") as refused:
        ParquetStore(cache)
    (found,) = refused.value.diagnostics
    assert (found.code, "chmod" in found.hint) == ("E402", True)
    assert (cache / folder).stat().st_mode & 0o777 == 0o777  # closed by its owner, who knows who wrote there
    ParquetStore(cache, is_trusted=True)
    (cache / folder).chmod(0o700)
    ParquetStore(cache)


@needs_root
def test_what_another_user_wrote_is_made_again(tmp_path: Path) -> None:
    """A true block and its manifest, which a second user owns: neither is read."""
    (tmp_path / "p.csv").write_text(WIDE)
    spec = SourceSpec("prices", "p.csv", base=str(tmp_path))
    cache = tmp_path / "cache"
    source = load([spec], ParquetStore(cache), DataSettings()).sources["prices"]
    key = source.blocks[0].key
    files = [p for p in cache.rglob("*") if p.is_file()]
    for path in files:
        os.chown(path, NOBODY, NOBODY)
    assert ParquetStore(cache, is_trusted=True).facts(key) is not None
    store = ParquetStore(cache)
    assert store.noted(next(p.name for p in files if p.parent.name == "notes")) is None
    assert store.read(key) is None
    assert "another user wrote it" in store.incidents()[0]
    again = load([spec], store, DataSettings()).sources["prices"]
    assert again.digests == load([spec], MemoryStore(), DataSettings()).sources["prices"].digests
    assert (cache / "blocks" / key[:2] / f"{key}.parquet").stat().st_uid == 0
    assert store.read(digest("none")) is None


# -- folders of ours ---------------------------------------------------------------------------------------------


def test_a_work_dir_that_was_open_is_closed_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with umask(0):
        Lock(tmp_path / "new" / "work").release()
    assert (tmp_path / "new" / "work").stat().st_mode & 0o777 == 0o700
    assert not caplog.records
    (tmp_path / "old").mkdir(mode=0o755)
    with caplog.at_level(logging.WARNING):
        Lock(tmp_path / "old").release()
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o700
    (told,) = caplog.messages
    assert told == f"{tmp_path}/old (daemon.work_dir) was open to others (mode 0755); it is 0700 now"


@needs_root
def test_a_work_dir_of_another_user_is_told_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "work").mkdir(mode=0o700)
    os.chown(tmp_path / "work", NOBODY, NOBODY)
    keep_private(tmp_path / "work", "daemon.work_dir")
    assert "belongs to user nobody" in caplog.text
    assert (tmp_path / "work").stat().st_uid == NOBODY


# Why a folder is made in another way. All others are made by `sigc.private`, so that none is open by the umask.
OPEN = {
    ("sigc/private.py", "mkdir"): "makes them",
    ("sigc/host/instances.py", "mkdir"): "root's entries of daemons are found by every user",
    ("sigc/host/pidfile.py", "mkdir"): "a PID file is read by every user",
    ("sigc/daemon/background_tasks.py", "mkdir"): "a file of metrics is read by the user that collects them",
    ("sigc/host/cgroup.py", "mkdir"): "a control group, not a folder",
    ("cli/sigc_cli/synthetic_universe.py", "mkdir"): "data for the user's own project",
    ("cli/sigc_cli/commands/init.py", "mkdir"): "the user's own project",
    (
        "cli/sigc_cli/deployment/write.py",
        "mkdir",
    ): "0700 by itself, and of the project's owner; beside it the project's own files",
    ("sigc/ops/jit.py", "mkdtemp"): "is 0700 by itself",
}


def test_every_folder_is_made_closed() -> None:
    found = set()
    for part in ("sigc", "cli", "pipelines", "dashboard"):
        for path in sorted((ROOT / part).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Attribute(attr="mkdir" | "makedirs" | "mkdtemp" as made)):
                        found.add((str(path.relative_to(ROOT)), made))
                    case ast.Call(func=ast.Name(id="mkdir" | "makedirs" | "mkdtemp" as made)):
                        found.add((str(path.relative_to(ROOT)), made))
    assert found == set(OPEN)
