"""One date of one portfolio: the wanted weights as of the last row, nothing traded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sigc.blocks import digest
from sigc.engine.gather import gather
from sigc.engine.task import RunReport
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.panel import Floats
from sigc_pipelines.backtest import pick
from sigc_pipelines.compute import Loaded, Workspace, compute


@dataclass(frozen=True, slots=True, eq=False)
class DryRun:
    """as_of: ISO date of the last row. weights: (assets,), NaN where none. digest: over names and weights."""

    portfolio: str
    as_of: str
    names: tuple[str, ...]
    weights: Floats
    digest: str
    digests: Mapping[str, str]
    report: RunReport


def dry_run(loaded: Loaded, workspace: Workspace, portfolio: str = "") -> DryRun:
    """Compute the weights of the last row on the grid. Raises E501 without rows."""
    rows = len(loaded.grid.dates)
    if rows == 0:
        raise SigcError(Diagnostic("E501", "there are no rows on or before that date"))
    book = pick(loaded, portfolio)
    root = f"{book.name}.weights"
    computed = compute(loaded, {root: book.weights}, workspace, rows - 1, rows)
    panel = gather(computed, root, rows - 1, rows)
    return DryRun(
        portfolio=book.name,
        as_of=str(panel.dates[-1].astype("datetime64[D]")),
        names=panel.names,
        weights=panel.values[-1],
        digest=digest("\n".join(panel.names), panel.values[-1].tobytes()),
        digests={n: leaf.source.fingerprint for n, leaf in sorted(loaded.grid.leaves.items())},
        report=computed.report,
    )


def staleness(loaded: Loaded, now: np.datetime64, limit_hours: float) -> tuple[Diagnostic, ...]:
    """A warning when the newest row is older than `limit_hours` at `now`, counted from the end of its day."""
    newest = loaded.grid.dates[-1].astype("datetime64[D]") + np.timedelta64(1, "D")
    age = (now - newest) / np.timedelta64(1, "h")
    if age <= limit_hours:
        return ()
    message = f"the newest row is of {newest - np.timedelta64(1, 'D')}, {age / 24:.0f} days ago"
    hint = f"data.validation.max_stale_hours is {limit_hours:g}"
    return (Diagnostic("W002", message, severity=Severity.WARNING, hint=hint),)
