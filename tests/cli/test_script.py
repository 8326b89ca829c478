"""A plain script, without a guard of its main part: it is run once, in threads, whatever its work is said to cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import STRATEGIES, write_world

SCRIPT = """
import json, sys
from pathlib import Path
import psutil
import sigc
import sigc_pipelines.assembly.parts
sigc_pipelines.assembly.parts._WORTH_A_CLUSTER_NS = -1  # any work at all
with Path("runs").open("a") as file:
    file.write("run\\n")
engine = {engine}
found = [sigc.compile("momentum.sig", **engine).backtest().metrics.sharpe for _ in range({count})]
children = [" ".join(p.cmdline()) for p in psutil.Process().children(recursive=True)]
print(json.dumps({{"sharpe": found, "children": children, "dask": "distributed" in sys.modules}}))
"""


@pytest.fixture
def folder(tmp_path: Path, jit_directory: Path) -> Path:
    """A fresh home and cache beside a strategy; of compiled loops those of the suite."""
    write_world(tmp_path)
    (tmp_path / "momentum.sig").write_text((STRATEGIES / "momentum.sig").read_text())
    (tmp_path / "home").mkdir()
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    jit_directory.joinpath("jit").mkdir(exist_ok=True)
    (cache / "jit").symlink_to(jit_directory / "jit")
    (tmp_path / "sigc.yaml").write_text(f"daemon:\n  cache:\n    directory: {cache}\n")
    return tmp_path


def ran(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(script)
    home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home" / "cache")}
    environment = os.environ | home | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error::RuntimeWarning", "script.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_three_backtests_in_a_plain_script(folder: Path) -> None:
    done = ran(folder, SCRIPT.format(count=3, engine={}))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (folder / "runs").read_text() == "run\n"
    assert found["children"] == []
    assert not found["dask"]
    assert len(set(found["sharpe"])) == 1


def test_a_script_without_a_guard_that_asks_for_a_cluster_is_told(folder: Path) -> None:
    done = ran(folder, SCRIPT.format(count=3, engine={"engine": "cluster"}))
    assert done.returncode == 1
    assert "each of them would run script.py again from its first line" in done.stderr
    assert 'if __name__ == "__main__":' in done.stderr
    assert (folder / "runs").read_text() == "run\n"


def test_a_call_outside_of_the_guard_is_told_too(folder: Path) -> None:
    guard = '\nif __name__ == "__main__":\n    print("guarded")\n'
    done = ran(folder, SCRIPT.format(count=3, engine={"engine": "cluster"}) + guard)
    assert "each of them would run script.py again from its first line" in done.stderr
    assert (folder / "runs").read_text() == "run\n"


def test_a_script_with_a_guard_gets_its_cluster(folder: Path) -> None:
    head, _, body = SCRIPT.format(count=1, engine={"engine": "cluster"}).partition("with Path")
    lines = [f"    {line}" for line in f"with Path{body}".splitlines()]
    done = ran(folder, "\n".join([head, 'if __name__ == "__main__":', *lines, ""]))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["dask"]
    assert (folder / "runs").read_text() == "run\n"


def test_an_engine_that_is_not_known_is_told() -> None:
    import sigc

    with pytest.raises(sigc.SigcError, match="engine='dusk' is not known"):
        sigc.compile("data:\n", engine="dusk")
