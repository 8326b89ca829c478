"""Record of a run's sources, for the changes since: rows added, gone and restated, assets new and gone.

    sources.npz    in the run's folder: of each source its dates, row digests and names
    changes        since the last run that traded, in words, by source

A row is restated if its digest differs, by any cell. `sigc diff-data OLD NEW` shows the cells, given both files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sigc.blocks.block import DIGEST_BYTES
from sigc.data.catalog import Source
from sigc.data.formats.shape import when
from sigc.private import make_private
from sigc_pipelines.records.artifacts import folder_of

FILE = "sources.npz"


def write_sources(work_dir: Path, run: str, sources: Mapping[str, Source]) -> None:
    """Write the digests that a later comparison needs. Raises OSError."""
    kept: dict[str, np.ndarray] = {}
    for name, source in sources.items():
        kept[f"{name}/dates"] = source.dates.view("i8")
        # 8 of the digest's bytes: a chance of 2**-64 to miss a restated row, at half the size.
        kept[f"{name}/rows"] = np.frombuffer(source.digests, np.uint8).reshape(-1, DIGEST_BYTES)[:, :8]
        kept[f"{name}/names"] = np.array(source.names, dtype=np.str_)
    path = folder_of(work_dir, run) / FILE
    make_private(path.parent)
    with path.open("wb") as file:
        np.savez_compressed(file, **kept)  # type: ignore[arg-type]


def changes(work_dir: Path, before: str, sources: Mapping[str, Source]) -> dict[str, str]:
    """Return the changes since a run, by source; empty if that run left no record."""
    path = folder_of(work_dir, before) / FILE
    if not path.is_file():
        return {}
    with np.load(path) as kept:
        found = {
            name: _changed(source, kept[f"{name}/dates"], kept[f"{name}/rows"], kept[f"{name}/names"])
            for name, source in sources.items()
            if f"{name}/dates" in kept
        }
    return {name: text for name, text in found.items() if text}


def _changed(source: Source, dates: np.ndarray, rows: np.ndarray, names: np.ndarray) -> str:
    now, digests = source.dates.view("i8"), np.frombuffer(source.digests, np.uint8).reshape(-1, DIGEST_BYTES)[:, :8]
    added = np.setdiff1d(now, dates)
    gone = np.setdiff1d(dates, now)
    both, at_now, at_before = np.intersect1d(now, dates, return_indices=True)
    restated = both[(digests[at_now] != rows[at_before]).any(axis=1)]
    assets = set(source.names), set(names.tolist())
    parts = [
        _counted(added, "added"),
        _counted(gone, "gone"),
        _counted(restated, "restated"),
        _named(assets[0] - assets[1], "new"),
        _named(assets[1] - assets[0], "gone"),
    ]
    return "; ".join(p for p in parts if p)


def _counted(stamps: np.ndarray, what: str) -> str:
    if not len(stamps):
        return ""
    first = when(stamps[0].view("datetime64[ns]"))
    return f"1 row {what} ({first})" if len(stamps) == 1 else f"{len(stamps):,} rows {what} (first {first})"


def _named(assets: set[str], what: str) -> str:
    shown = ", ".join(sorted(assets)[:5]) + (", ..." if len(assets) > 5 else "")
    return f"{len(assets):,} asset{'' if len(assets) == 1 else 's'} {what} ({shown})" if assets else ""
