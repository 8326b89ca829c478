"""One workload, several sides: each in a process of its own, asked in turn, so that what disturbs the machine disturbs
all of them, and no side's libraries or allocator helps or hurts another.

    figures = compare("benchmarks.momentum", ("ours", "pandas"), {"assets": 500, "days": 1260}, rounds=7)

The workload's module has a function for each side: it takes the sizes, prepares, and returns the call that is timed,
which returns what it found. Results of all sides must be equal to 1e-9, else there are no figures.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Result = NDArray[np.float64]
TOLERANCE = 1e-9


def compare(
    module: str,
    sides: Sequence[str],
    sizes: Mapping[str, int],
    rounds: int,
    tolerance: float = TOLERANCE,
    unequal: float = 0.0,
) -> dict[str, float]:
    """Medians of CPU and wall seconds of each side, peak memory, and ratios: theirs over ours (the first side).

    unequal: the share of cells that may differ by more than the tolerance. Raises ValueError where more do.
    """
    spent: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    figures: dict[str, float] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        asked = {side: stack.enter_context(_side(module, side, sizes, folder / f"{side}.npy")) for side in sides}
        for side, ask in asked.items():
            figures[f"{side}: first call, s"] = ask()["wall"]
        for side in sides[1:]:
            share = _differing(folder, sides[0], side, tolerance)
            figures[f"{side}: share of cells that differ"] = share
            if share > unequal:
                raise ValueError(f"{module}: {share:.3g} of the cells of {sides[0]} and {side} differ")
        for _ in range(rounds):
            for side, ask in asked.items():
                spent[side].append(ask())
    for side, calls in spent.items():
        figures[f"{side}: CPU, s"] = statistics.median(c["cpu"] for c in calls)
        figures[f"{side}: wall, s"] = statistics.median(c["wall"] for c in calls)
        figures[f"{side}: peak memory, MB"] = max(c["peak_mb"] for c in calls)
    for side in sides[1:]:
        # Of the calls made one after the other: what disturbs one disturbs the other.
        pairs = zip(spent[side], spent[sides[0]], strict=True)
        figures[f"{side} over {sides[0]}, CPU"] = statistics.median(a["cpu"] / b["cpu"] for a, b in pairs)
    return figures


def _differing(folder: Path, ours: str, theirs: str, tolerance: float) -> float:
    """The share of cells that are not equal, relative to the larger of 1 and their size."""
    a, b = np.load(folder / f"{ours}.npy"), np.load(folder / f"{theirs}.npy")
    if a.shape != b.shape:
        return 1.0
    return float(1.0 - np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True).mean())


@contextmanager
def _side(module: str, side: str, sizes: Mapping[str, int], result: Path) -> Iterator[Callable[[], dict[str, float]]]:
    command = [sys.executable, "-m", "benchmarks.sides", module, side, json.dumps(dict(sizes)), str(result)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        told, heard = process.stdin, process.stdout
        if told is None or heard is None:
            raise RuntimeError("a process without pipes")

        def ask() -> dict[str, float]:
            told.write("go\n")
            told.flush()
            line = heard.readline()
            if not line:
                raise RuntimeError(f"{module}: the side '{side}' failed")
            found: dict[str, float] = json.loads(line)
            return found

        try:
            yield ask
        finally:
            told.close()


def answer(module: str, side: str, sizes: Mapping[str, int], result: Path) -> None:
    """Be a side: prepare, then make the call once for each line that comes, and tell what it took."""
    call: Callable[[], Any] = getattr(importlib.import_module(module), side)(**sizes)
    is_first = True
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        found = call()
        told = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if is_first:
            np.save(result, np.asarray(found, dtype=np.float64))
            is_first = False
        del found
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    answer(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), Path(sys.argv[4]))
