"""The files of a run as they go over the wire: the list of files, plan, signals, targets. All functions block.

The run writes them (`sigc_pipelines.records.artifacts`), and the daemon does not import that: a file with unexpected
contents counts as missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from sigc.rpc.messages.history import Artifact, PlanLine, SignalDay, SignalLine
from sigc.rpc.schema import MismatchError, decode
from sigc.store.files import run_folder
from sigc.store.history.history import OrderTotals, PastRun

T = TypeVar("T")
_MOST_FILES, _MOST_NODES, _MOST_SIGNALS = 100, 800, 6
_LARGEST = 16 << 20


def artifacts(work_dir: Path, run: str) -> tuple[Artifact, ...]:
    """Return the run's files, by name."""
    folder = run_folder(work_dir, run)
    try:
        found = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        return tuple(Artifact(path.name, path.stat().st_size) for path in found[:_MOST_FILES])
    except OSError:
        return ()


def plan_of(work_dir: Path, run: str) -> PlanLine | None:
    """Return the plan that the run computed; of a very large one the first nodes. None without one."""
    data = _read(run_folder(work_dir, run) / "plan.json")
    nodes, edges = data.get("nodes"), data.get("edges")
    if not isinstance(nodes, list) or not isinstance(edges, list):
        return None
    kept = [edge for edge in edges if isinstance(edge, list) and all(n < _MOST_NODES for n in edge)]
    told = {**data, "nodes": nodes[:_MOST_NODES], "edges": kept, "more": max(0, len(nodes) - _MOST_NODES)}
    return _as(PlanLine, told)


def targets_of(work_dir: Path, run: str) -> dict[str, float]:
    """Return the weights the run traded to, by asset."""
    data = _read(run_folder(work_dir, run) / "weights.json")
    try:
        return {asset: float(weights["target"]) for asset, weights in data.items()}
    except (KeyError, TypeError, ValueError):
        return {}


def signals_of(
    work_dir: Path, runs: Iterable[tuple[PastRun, OrderTotals]]
) -> tuple[tuple[SignalDay, ...], dict[str, tuple[float, ...]]]:
    """Return the signals of runs, and by signal the mean return that followed in each fifth of the assets."""
    days, fifths = [], dict[str, list[list[float]]]()
    for run, totals in runs:
        data = _read(run_folder(work_dir, run.id) / "signals.json")
        realised = _signals(_mapping(data.get("realised")))
        lines = []
        for name, own in list(_signals(data).items())[:_MOST_SIGNALS]:
            after = _mapping(realised.get(name))
            line = _as(SignalLine, {"name": name, **own, "ic": after.get("ic")})
            lines += [line] if line is not None else []
            # The return that followed is in the file only once the next session has closed.
            returns = after.get("fifths")
            if isinstance(returns, list) and returns and all(isinstance(v, float | int) for v in returns):
                fifths.setdefault(name, []).append([float(v) for v in returns])
        universe = data.get("universe")
        days.append(
            SignalDay(
                *(run.id, run.session, run.as_of, universe if isinstance(universe, int) else 0, tuple(lines)),
                round(totals.slippage_bps, 4) if totals.fills else None,
                round(totals.commission, 2),
                round(totals.traded, 2),
            )
        )
    means = {name: tuple(round(fmean(one), 9) for one in zip(*all_, strict=False)) for name, all_ in fifths.items()}
    return tuple(days), means


def _signals(data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {str(name): _mapping(own) for name, own in _mapping(data.get("signals")).items()}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as(kind: type[T], data: Mapping[str, Any]) -> T | None:
    try:
        return decode(kind, data, is_lenient=True)
    except MismatchError:
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
