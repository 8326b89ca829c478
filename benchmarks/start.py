"""What a person waits for: the first strategy on a machine, kernels compiled on the way, and the next process.

From the shell to the result, 500 assets x 1,260 days; a folder of its own for caches, so that nothing is there.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.momentum import TEXT
from benchmarks.universe_data import prices

TIMES = 5


def main() -> dict[str, float]:
    """Seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prices(500, 1260).to_parquet(folder / "prices.parquet")
        (folder / "momentum.sig").write_text(TEXT, encoding="utf-8")
        environment = os.environ | {
            "HOME": name,
            "XDG_CACHE_HOME": f"{name}/cache",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
        command = [sys.executable, "-m", "sigc_cli.main", "backtest", "momentum.sig"]
        first = _spent(command, folder, environment)
        second = sorted(_spent(command, folder, environment) for _ in range(TIMES))[TIMES // 2]
        libraries = [sys.executable, "-c", "import numpy, numba, pyarrow"]
        imports = sorted(_spent(libraries, folder, environment) for _ in range(TIMES))[TIMES // 2]
    return {
        "first run on a machine: CPU, s": first[0],
        "first run on a machine: wall, s": first[1],
        "second process: CPU, s": second[0],
        "second process: wall, s": second[1],
        "import numpy, numba, pyarrow: CPU, s": imports[0],
    }


def _spent(command: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall
