"""The grid: the dates and assets of the traded panel, cut into blocks, with every source aligned to it.

A source is read by grid row: `Leaf.rows` is its own row for each grid row (-1: none), see `row_alignment`. Keys are
made of its row digests in grid order, so a key names exactly the rows that a value reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.block import DIGEST_BYTES, Block, digest
from sigc.blocks.block import grid as cut
from sigc.data.catalog import Catalog, Source
from sigc.data.formats.layout import CLOSES, field_of
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.panel import Dates
from sigc.plan.expr import COLUMN, walk
from sigc.plan.row_alignment import (
    RowMoments,
    TradedRows,
    aged,
    is_on_same_clock,
    rows_by_event,
    rows_by_labels,
    rows_by_session,
)
from sigc.plan.strategy import Strategy

_DENSE = 0.5  # share of the traded rows on which a source aligned by dates must have values
_FEW_ROWS = 3  # too few to judge
_ABSENT = b"\0" * DIGEST_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A source aligned to the grid.

    rows: (grid rows,) the source's row, -1 for none. digests: (grid rows, DIGEST_BYTES) uint8. marker: part of the key
    if the source is restricted to the traded assets, else ''. broadcast: a one-column source that is not a traded asset
    stands for all of them. moments: of the grid's rows, if the source is as-of: its blocks are read as of them.
    """

    source: Source
    rows: NDArray[np.intp]
    digests: NDArray[np.uint8]
    marker: str
    broadcast: bool
    moments: RowMoments | None = None

    def newest(self, row: int) -> np.datetime64 | None:
        """Return the newest date of a value known at a row of the grid; None if there is none, or no dates."""
        if self.source.static:
            return None
        known = np.flatnonzero(self.rows[: row + 1] >= 0)
        if not len(known):
            return None
        at = int(self.rows[known[-1]])
        if self.source.events is not None:
            return np.datetime64(int(self.source.events.newest[at]), "D")
        return np.datetime64(self.source.dates[at], "D")


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The rows, assets and sources of a plan. names: the traded assets, ordered.

    labels: all category labels of the plan, ordered; codes index them. days: the session of each row.
    """

    dates: Dates
    names: tuple[str, ...]
    labels: tuple[str, ...]
    blocks: tuple[Block, ...]
    leaves: Mapping[str, Leaf]
    names_digest: str
    findings: tuple[Diagnostic, ...]
    days: NDArray[np.datetime64]

    def age_days(self, name: str, row: int) -> int | None:
        """Return the days from the newest date of a source's values to a row of the grid; None without such a date."""
        newest = self.leaves[name].newest(row)
        return None if newest is None else int((self.days[row] - newest).astype("i8"))


def lay(strategy: Strategy, catalog: Catalog, rule: str = "auto", until: str = "") -> Grid:
    """Align the sources that `strategy` reads to the grid of its traded panel.

    rule: the block length, see `sigc.blocks.block.grid`. until: an ISO date; rows after that day are not on the grid,
    so none is read. Raise E202 for a column `x[A]` that the traded panel lacks, or a source without any traded asset;
    E203 for a sparse source; E501 for one without any date in common.
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
    ground = TradedRows(traded, dates, sessions)
    for name, source in sorted(catalog.sources.items()):
        leaves[name] = _leaf(source, ground, errors, findings)
    errors += _missing_columns(strategy, traded)
    errors += _no_instrument(traded)
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
        days=ground.days,
    )


def _leaf(source: Source, ground: TradedRows, errors: list[Diagnostic], findings: list[Diagnostic]) -> Leaf:
    traded, dates = ground.traded, ground.dates
    own = np.frombuffer(source.digests, np.uint8).reshape(-1, DIGEST_BYTES)
    if source is traded:
        if source.events is not None:
            message = f"source '{source.name}' is the traded panel, to which others are aligned, and can't be as-of"
            errors.append(Diagnostic("E101", message, source.spec.span, hint="leave out asof="))
        return Leaf(source, np.arange(len(dates)), own[: len(dates)], "", False)
    rows, moments = _rows_of(source, ground, errors, findings)
    # Row -1 (no row) then is the last row, the digest of an absent row.
    digests = np.vstack([own, np.frombuffer(_ABSENT, np.uint8)[None]])[rows]
    longest = None if source.events is None else source.events.max_age_days
    if moments is not None and longest is not None:
        digests[rows >= 0] = aged(digests[rows >= 0], moments.days[rows >= 0], longest)
    shared = set(source.names) & set(traded.names)
    broadcast = len(source.names) == 1 and not shared and not source.spec.is_factor
    if not shared and not broadcast and not source.spec.is_factor:
        message = f"source '{source.name}' has no asset in common with the traded panel '{traded.name}'"
        hint = f"it has {', '.join(source.names[:3])}...; the panel {', '.join(traded.names[:3])}..."
        errors.append(Diagnostic("E202", message, source.spec.span, hint=hint))
    # Digests are of whole rows, so that the key must also say which assets of them are read.
    restricted = not broadcast and len(shared) < len(source.names)
    marker = digest("\n".join(sorted(shared))) if restricted else "broadcast" if broadcast else ""
    return Leaf(source, rows, digests, marker, broadcast, moments)


def _rows_of(
    source: Source, ground: TradedRows, errors: list[Diagnostic], findings: list[Diagnostic]
) -> tuple[NDArray[np.intp], RowMoments | None]:
    """Return the source's row for each row of the grid, and the moments of the rows if it is as-of."""
    if source.static:
        return np.zeros(len(ground.dates), np.intp), None
    if source.events is not None:
        rows, moments = rows_by_event(source, ground)
        if len(rows) and rows[-1] < 0 and not source.spec.is_factor:
            message = f"source '{source.name}' has no usable value by the last row of the traded panel"
            errors.append(Diagnostic("E501", message, source.spec.span))
        return rows, moments
    same = is_on_same_clock(source, ground)
    rows = rows_by_labels(source, ground.dates) if same else rows_by_session(source, ground)
    if not _is_sparse(source, rows, ground, errors):
        _report_gaps(source, rows, errors, findings)
    return rows, None


def _is_sparse(source: Source, rows: NDArray[np.intp], ground: TradedRows, errors: list[Diagnostic]) -> bool:
    """Report a source with values on less than half of the rows between its first and last date; return True then.

    If its declaration says that it has the frequency of the traded panel, gaps are accepted.
    """
    said = source.spec.options.frequency
    if said is not None and said == ground.traded.rows.frequency:
        return False
    # The cheap test over all rows first; only a source that fails it is judged within its own dates.
    if source.filled * np.count_nonzero(rows >= 0) >= _DENSE * len(rows):
        return False
    between = ground.labels[(ground.labels >= source.dates[0]) & (ground.labels <= source.dates[-1])]
    there = np.flatnonzero(rows >= 0)
    span = max(len(between), int(there[-1] - there[0]) + 1 if len(there) else 0)
    share = source.filled * len(there) / span if span else 0.0
    if span < _FEW_ROWS or share >= _DENSE:
        return False
    message = (
        f"source '{source.name}' is sparse: {share:.1%} of its cells between its first and its last date have a value "
        "on the rows of the traded panel"
    )
    hint = (
        "say asof=true (each row takes the newest value that was available) and available_after=; or frequency="
        f"{_written(ground.traded)} if only rows of the same date are meant"
    )
    errors.append(Diagnostic("E203", message, source.spec.span, hint=hint))
    return True


def _written(traded: Source) -> str:
    frequency = traded.rows.frequency
    return str(frequency.bars) if frequency.bars is not None else frequency.word


def _report_gaps(source: Source, rows: NDArray[np.intp], errors: list[Diagnostic], findings: list[Diagnostic]) -> None:
    absent = int((rows < 0).sum())
    if absent == len(rows):
        message = f"source '{source.name}' has no date in common with the traded panel"
        errors.append(Diagnostic("E501", message, source.spec.span))
    elif absent:
        message = f"source '{source.name}' lacks {absent} of {len(rows)} dates of the traded panel"
        findings.append(Diagnostic("W002", message, source.spec.span, Severity.WARNING))


def _no_instrument(traded: Source) -> list[Diagnostic]:
    """Report a traded panel of one column `close`: a benchmark needs no name, a traded instrument does."""
    if len(traded.names) != 1 or field_of(traded.names[0]) not in CLOSES:
        return []
    message = f"the traded panel '{traded.name}' holds one instrument, '{traded.names[0]}', which is not its name"
    return [Diagnostic("E201", message, traded.spec.span, hint='say its name: symbol="SPY"')]


def _missing_columns(strategy: Strategy, traded: Source) -> list[Diagnostic]:
    known = set(traded.names)
    found = []
    for node in walk(strategy.roots.values()):
        if node.op == COLUMN and node.arguments["asset"] not in known:
            message = f"the panel '{traded.name}' has no asset '{node.arguments['asset']}'"
            found.append(Diagnostic("E202", message, node.span))
    return found
