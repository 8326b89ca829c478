"""The grid: the dates and assets of the traded panel, cut into blocks, with every source laid onto it.

A source is read by grid row: `Leaf.rows` says which of its own rows stands on each grid row (-1: none).
Its row digests in grid order are what keys are made of, so a key names exactly the rows a value reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigc.blocks import DIGEST_BYTES, Block, digest
from sigc.blocks import grid as cut
from sigc.data.catalog import Catalog, Source
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.panel import Dates
from sigc.plan.expr import COLUMN, walk
from sigc.plan.strategy import Strategy

_ABSENT = b"\0" * DIGEST_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A source on the grid.

    rows: (grid rows,) the source's row, -1 where it has none. digests: (grid rows, DIGEST_BYTES) uint8.
    marker: enters the key where the source had to be restricted to the traded assets, else ''.
    broadcast: a one-column source that is none of the traded assets stands for all of them.
    """

    source: Source
    rows: NDArray[np.intp]
    digests: NDArray[np.uint8]
    marker: str
    broadcast: bool


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """names: the traded assets, ordered. labels: all category labels of the plan, ordered; codes index them."""

    dates: Dates
    names: tuple[str, ...]
    labels: tuple[str, ...]
    blocks: tuple[Block, ...]
    leaves: Mapping[str, Leaf]
    names_digest: str
    findings: tuple[Diagnostic, ...]


def lay(strategy: Strategy, catalog: Catalog, rule: str = "auto", until: str = "") -> Grid:
    """Lay the sources that `strategy` reads onto the grid of its traded panel.

    rule: how blocks are cut, see `sigc.blocks.grid`. until: an ISO date; no row after that day is on the
    grid, so none is read. Raises E202 for a column `x[A]` that the traded panel
    lacks, or a source without any traded asset; E501 for one without any date in common.
    """
    traded = catalog.sources[strategy.traded]
    errors: list[Diagnostic] = []
    findings: list[Diagnostic] = []
    leaves: dict[str, Leaf] = {}
    dates, sessions = traded.dates, traded.sessions
    if until:
        days = dates if sessions is None else sessions
        dates = dates[: np.searchsorted(days, np.datetime64(until, "D") + 1)]
        sessions = None if sessions is None else sessions[: len(dates)]
    for name, source in sorted(catalog.sources.items()):
        leaves[name] = _leaf(source, traded, dates, errors, findings)
    errors += _missing_columns(strategy, traded)
    if errors:
        raise SigcError(*errors)
    labels = tuple(sorted({t for s in catalog.sources.values() for t in s.labels}))
    return Grid(
        dates=dates,
        names=traded.names,
        labels=labels,
        blocks=cut(dates, rule, sessions),
        leaves=leaves,
        names_digest=digest("\n".join(traded.names)),
        findings=tuple(findings),
    )


def _leaf(source: Source, traded: Source, dates: Dates, errors: list[Diagnostic], findings: list[Diagnostic]) -> Leaf:
    own = np.frombuffer(source.digests, np.uint8).reshape(-1, DIGEST_BYTES)
    if source is traded:
        return Leaf(source, np.arange(len(dates)), own[: len(dates)], "", False)
    if source.static:
        rows = np.zeros(len(dates), np.intp)
    else:
        rows = _row_of(source.dates, dates)
        _report_gaps(source, rows, errors, findings)
    digests = np.vstack([own, np.frombuffer(_ABSENT, np.uint8)[None]])[rows]
    shared = set(source.names) & set(traded.names)
    broadcast = len(source.names) == 1 and not shared
    if not shared and not broadcast:
        message = f"source '{source.name}' has no asset in common with the traded panel '{traded.name}'"
        hint = f"it has {', '.join(source.names[:3])}...; the panel {', '.join(traded.names[:3])}..."
        errors.append(Diagnostic("E202", message, source.spec.span, hint=hint))
    restricted = not broadcast and len(shared) < len(source.names)
    marker = digest("\n".join(sorted(shared))) if restricted else "broadcast" if broadcast else ""
    return Leaf(source, rows, digests, marker, broadcast)


def _row_of(own: Dates, wanted: Dates) -> NDArray[np.intp]:
    at = np.searchsorted(own, wanted)
    at[at == len(own)] = 0
    if len(own) == 0:
        return np.full(len(wanted), -1, np.intp)
    return np.where(own[at] == wanted, at, -1).astype(np.intp)


def _report_gaps(source: Source, rows: NDArray[np.intp], errors: list[Diagnostic], findings: list[Diagnostic]) -> None:
    absent = int((rows < 0).sum())
    if absent == len(rows):
        message = f"source '{source.name}' has no date in common with the traded panel"
        errors.append(Diagnostic("E501", message, source.spec.span))
    elif absent:
        message = f"source '{source.name}' lacks {absent} of {len(rows)} dates of the traded panel"
        findings.append(Diagnostic("W002", message, source.spec.span, Severity.WARNING))


def _missing_columns(strategy: Strategy, traded: Source) -> list[Diagnostic]:
    known = set(traded.names)
    found = []
    for node in walk(strategy.roots.values()):
        if node.op == COLUMN and node.arguments["asset"] not in known:
            message = f"the panel '{traded.name}' has no asset '{node.arguments['asset']}'"
            found.append(Diagnostic("E202", message, node.span))
    return found
