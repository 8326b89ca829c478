"""Folders with one file per instrument (`symbol_from=filename`): `AAPL.csv`, `BRK.B.parquet`.

Files of one name in several subfolders are one instrument, joined by date.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from sigc.data.formats.shape import ShapedPanel, when
from sigc.data.formats.table import SUFFIXES
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.panel import Panel


def symbol_of(file: str) -> str:
    """Return the instrument named by a file.

    >>> symbol_of("bars/2024/BRK.B.csv.gz")
    'BRK.B'
    """
    name = PurePosixPath(file.replace("\\", "/")).name
    longest = max((s for s in SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(longest)].strip()


def whole(spec: SourceSpec, files: Sequence[str], shaped: Callable[[SourceSpec, str], ShapedPanel]) -> ShapedPanel:
    """Return the panel of all instruments. shaped: reads one file. Raise E201 if a file names assets itself."""
    parts: list[ShapedPanel] = []
    for file in files:
        symbol = symbol_of(file)
        part = shaped(replace(spec, options=replace(spec.options, symbol=symbol, symbol_from="")), file)
        if part.panel.names != (symbol,) or part.dated is None:
            raise problem(spec, "E201", file, "names assets of its own", "drop symbol_from=filename")
        parts.append(part)
    dates = np.unique(np.concatenate([p.panel.dates for p in parts]))
    names = tuple(sorted({p.panel.names[0] for p in parts}))
    labels = (
        tuple(sorted({t for p in parts for t in p.panel.labels or ()})) if parts[0].panel.labels is not None else None
    )
    values = np.full((len(dates), len(names)), np.nan)
    taken = np.zeros(values.shape, bool)
    for file, part in zip(files, parts, strict=True):
        rows, column = np.searchsorted(dates, part.panel.dates), names.index(part.panel.names[0])
        if taken[rows, column].any():
            at = int(np.flatnonzero(taken[rows, column])[0])
            message = f"has {when(part.panel.dates[at])}, which another file of '{part.panel.names[0]}' has too"
            raise problem(spec, "E201", file, message)
        taken[rows, column] = True
        values[rows, column] = _coded(part.panel, labels)
    findings = dict.fromkeys(f for p in parts for f in p.findings)
    return ShapedPanel(Panel(dates, names, values, labels), parts[0].dated, tuple(findings), is_long=True)


def _coded(panel: Panel, labels: tuple[str, ...] | None) -> np.ndarray:
    from sigc.blocks.block import recode

    return (panel.values if labels is None else recode(panel, labels))[:, 0]
