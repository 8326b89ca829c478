"""One workload, several sides: each in a process of its own, asked in turn, so that what disturbs the machine disturbs
all of them, and no side's libraries or allocator helps or hurts another.

    figures = compare("benchmarks.momentum", [Side("pandas")], {"assets": 500, "days": 1260}, rounds=7)

The workload's module has a function `ours` and one of the name of each other side: it takes the sizes, prepares, and
returns the call that is timed, which returns what it found. Results must equal ours, else there are no figures. A peer
whose library can't be imported is left out, which is said. Every library is told to keep to one thread.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Result = NDArray[np.float64]
OURS = "ours"
_LEAST_S = 0.5
_LONG_S = 2.0
ONE_THREAD = {f"{name}_THREADS": "1" for name in ("POLARS_MAX", "NUMBA_NUM", "OMP_NUM", "OPENBLAS_NUM", "MKL_NUM")}


@dataclass(frozen=True, slots=True)
class Side:
    """What ours is compared with: the name of its function, and how equal to ours its results must be.

    tolerance is relative to the larger of 1 and the size of a cell; the share `unequal` of all cells may differ by more.
    A peer is a library that need not be installed.
    """

    name: str
    tolerance: float = 1e-9
    unequal: float = 0.0
    is_peer: bool = False


def compare(module: str, others: Sequence[Side], sizes: Mapping[str, int], rounds: int) -> dict[str, float]:
    """Medians of CPU and wall seconds of each side, peak memory, and ratios: theirs over ours, NaN for who is left out.

    Raises ValueError where results differ, ImportError where a side that is no peer lacks a library.
    """
    figures: dict[str, float] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        asked: dict[str, Callable[[], dict[str, float]]] = {}
        for side in (Side(OURS), *others):
            try:
                asked[side.name] = stack.enter_context(_side(module, side.name, sizes, folder / f"{side.name}.npy"))
            except ImportError as absent:
                if not side.is_peer:
                    raise
                print(f"  {side.name} is left out, not installed: {absent}", flush=True)
                figures[_ratio(side.name)] = math.nan
        for name, ask in asked.items():
            figures[f"{name}: first call, s"] = ask()["wall"]
        for side in others:
            if side.name in asked:
                share = _differing(folder, side)
                figures[f"{side.name}: share of cells that differ"] = share
                if share > side.unequal:
                    raise ValueError(f"{module}: {share:.3g} of the cells of {OURS} and {side.name} differ")
        spent = [{name: ask() for name, ask in asked.items()} for _ in range(rounds)]
    return figures | _medians(spent)


def _ratio(name: str) -> str:
    return f"{name} over {OURS}, CPU"


def _medians(spent: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Figures of all sides from what each call of each round took."""
    figures: dict[str, float] = {}
    for name in spent[0]:
        calls = [one[name] for one in spent]
        figures[f"{name}: CPU, s"] = statistics.median(c["cpu"] for c in calls)
        figures[f"{name}: wall, s"] = statistics.median(c["wall"] for c in calls)
        figures[f"{name}: peak memory, MB"] = max(c["peak_mb"] for c in calls)
    for name in spent[0]:
        if name != OURS:
            # Of the calls made one after the other: what disturbs one disturbs the other.
            figures[_ratio(name)] = statistics.median(one[name]["cpu"] / one[OURS]["cpu"] for one in spent)
    return figures


def _differing(folder: Path, side: Side) -> float:
    """The share of cells that do not equal ours."""
    ours, theirs = np.load(folder / f"{OURS}.npy"), np.load(folder / f"{side.name}.npy")
    if ours.shape != theirs.shape:
        return 1.0
    return float(1.0 - np.isclose(ours, theirs, rtol=side.tolerance, atol=side.tolerance, equal_nan=True).mean())


@contextmanager
def _side(module: str, side: str, sizes: Mapping[str, int], result: Path) -> Iterator[Callable[[], dict[str, float]]]:
    """A side's process, prepared. Raises ImportError where it lacks a library."""
    command = [sys.executable, "-m", "benchmarks.sides", module, side, json.dumps(dict(sizes)), str(result)]
    here = {**os.environ, **ONE_THREAD}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=here) as process:
        told, heard = process.stdin, process.stdout
        if told is None or heard is None:
            raise RuntimeError("a process without pipes")

        def hear() -> Any:
            line = heard.readline()
            if not line:
                raise RuntimeError(f"{module}: the side '{side}' failed")
            return json.loads(line)

        def ask() -> dict[str, float]:
            told.write("go\n")
            told.flush()
            found: dict[str, float] = hear()
            return found

        try:
            absent = hear()["absent"]
            if absent is not None:
                raise ImportError(absent)
            yield ask
        finally:
            told.close()


def answer(module: str, side: str, sizes: Mapping[str, int], result: Path) -> None:
    """Be a side: prepare, tell what is absent, if anything; then for each line that comes call, tell what a call took.

    Calls are repeated until half a second is over: a side comes back to caches that the others have filled. One call goes
    before them, unless it takes long itself: a host may have taken the memory of an idle process (on a virtual machine a
    call after six idle seconds took four times its time), and what is asked is a warm call.
    """
    prepare: Callable[..., Callable[[], Any]] = getattr(importlib.import_module(module), side)
    try:
        call = prepare(**sizes)
    except ImportError as absent:
        print(json.dumps({"absent": str(absent)}), flush=True)
        return
    print(json.dumps({"absent": None}), flush=True)
    is_first, long = True, 0.0
    for _ in sys.stdin:
        if not is_first and long < _LONG_S:
            call()
        calls, cpu, wall = 0, time.process_time(), time.perf_counter()
        while calls == 0 or (not is_first and time.perf_counter() - wall < _LEAST_S):
            found = None  # what was found before is given back before more is made
            found = call()
            calls += 1
        told = {"cpu": (time.process_time() - cpu) / calls, "wall": (time.perf_counter() - wall) / calls}
        told["peak_mb"] = _peak_mb()
        long = told["wall"]
        if is_first:
            np.save(result, np.asarray(found, dtype=np.float64))
            is_first = False
        found = None
        print(json.dumps(told), flush=True)


def _peak_mb() -> float:
    """The most memory this program held. (`getrusage` counts what its parent held when it started it.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    answer(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), Path(sys.argv[4]))
