"""Accepted prices over rows of the grid, for valuation and trading.

    prices    as traded: what an order, a fill, a mark, a cost per share is made of
    levels    prices made comparable over corporate actions (`sigc.data.actions.adjust`): their ratios are total returns

A source is stored as traded: this is the one way to its prices, and `adjust=`, which is for signals, does not reach it.
A price of 0 or below is none (unless the source says `allow_negative=true`), and a jump is none before it is confirmed
(`sigc.data.anomalies`): returns, trades and marks treat such cells as missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sigc.data.actions.adjust import levels_of
from sigc.data.anomalies import AnomalyState, Cells, Jump, JumpLimits, accept, limits_of, named, told
from sigc.data.catalog import Source
from sigc.engine.core.gather import source_panel
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.panel import Dates, Floats
from sigc_pipelines.backtest.ended_assets import Ends, within
from sigc_pipelines.backtest.returns import returns_of
from sigc_pipelines.compute import Loaded, Workspace
from sigc_pipelines.prices.prior_acceptance import cells_of, state_before

LOOK_BACK = 64  # rows before the first, in which its last accepted price is looked for
ENDED_AFTER = 10
_MAX_ANOMALIES_PCT = 1.0  # of cells with a number
_NAMED = 5  # assets that a finding names


@dataclass(frozen=True, eq=False)
class Quotes:
    """prices: accepted levels, (rows, assets), NaN for none; only their ratios count. raw: those that are there,
    accepted or not.

    ended_after: rows without any price after which an asset is presumed ended. delisting_return: its return by then.
    ends: those that corporate actions declare, see `ends.py`; None for none.
    """

    prices: Floats
    raw: Floats
    known: Floats | None = None  # their returns, where these were made already
    ended_after: int = ENDED_AFTER
    delisting_return: float = 0.0
    ends: Ends | None = None

    @classmethod
    def of(cls, prices: Floats) -> Quotes:
        """Return prices that are all accepted."""
        return cls(prices, prices)

    @cached_property
    def returns(self) -> Floats:
        """Close to close, NaN in the first row and where either price is missing."""
        return returns_of(self.prices) if self.known is None else self.known

    def rows(self, low: int, high: int) -> Quotes:
        """Return the quotes of the rows [low, high)."""
        ends = None if self.ends is None else within(self.ends, low, high)
        known = self.returns[low:high]
        return replace(self, prices=self.prices[low:high], raw=self.raw[low:high], known=known, ends=ends)


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """A source's prices over rows of the grid, (rows, assets) each, NaN for none.

    prices: accepted ones, as traded. raw: those that are there, accepted or not. levels, raw_levels: the same, made
    comparable over corporate actions; the arrays above where there are none. returns: of levels from row to row, where
    these were made. findings: of what was not accepted.
    """

    prices: Floats
    raw: Floats
    levels: Floats
    raw_levels: Floats
    returns: Floats | None
    dates: Dates
    findings: tuple[Diagnostic, ...]

    def last(self, rows: int) -> Accepted:
        """Return the last `count` rows."""
        at = len(self.dates) - rows
        return replace(
            self,
            prices=self.prices[at:],
            raw=self.raw[at:],
            levels=self.levels[at:],
            raw_levels=self.raw_levels[at:],
            returns=None if self.returns is None else self.returns[at:],
            dates=self.dates[at:],
        )


def accepted(loaded: Loaded, workspace: Workspace, name: str, start: int, stop: int) -> Accepted:
    """Return the accepted prices of a source over the rows [start, stop); reads some rows before.

    Raises E201 where too many are 0 or below.
    """
    low = max(0, start - LOOK_BACK)
    panel = source_panel(loaded.grid, workspace.store, name, low, stop)
    source = loaded.grid.leaves[name].source
    before = state_before(loaded, workspace, name, low)
    levels = levels_of(panel.values, panel.names, loaded.grid.days[low:stop], loaded.acts(name), before.since).levels
    by_hand = cells_of(loaded.grid, workspace.by_hand, low)
    of = source, panel.values, panel.names, panel.dates, workspace.max_return, start - low
    made = accept_panel(*of, before.state, by_hand, levels)
    return made.last(stop - start)


def accept_panel(
    source: Source,
    values: Floats,
    names: Sequence[str],
    dates: Dates,
    max_return: float,
    skipped: int = 0,
    before: AnomalyState | None = None,
    by_hand: Cells = (),
    levels: Floats | None = None,
) -> Accepted:
    """Return the accepted values of a source. skipped: number of rows before those that findings are about.

    before, by_hand: as `sigc.data.anomalies.accept` takes them. levels: the values made comparable over corporate
    actions, where there are some: by these a jump is judged, and `before` is in their units.
    """
    from sigc.ops.loops.jumps import looked_at

    options = source.spec.options
    limits = limits_of(options.max_return, max_return, source.rows.frequency)
    levels = values if levels is None else levels
    returns: Floats | None
    returns, columns, odd = looked_at(levels, limits.up, limits.down)
    findings: tuple[Diagnostic, ...] = ()
    raw, raw_levels = values, levels
    if odd and not options.allow_negative:
        findings = _not_positive(source, values[skipped:], names, dates[skipped:])
        raw, raw_levels, returns = _positive(values, values), _positive(levels, values), None
    if options.mask_anomalies or (before is None and not len(columns)):  # such a source holds accepted ones only
        return Accepted(raw, raw, raw_levels, raw_levels, returns, dates, findings)
    clean, jumps, _ = accept(raw_levels, limits, before, [int(c) for c in columns], by_hand)
    if clean is raw_levels:
        return Accepted(raw, raw, raw_levels, raw_levels, returns, dates, findings)
    prices = clean if raw is raw_levels else np.where(np.isnan(clean), np.nan, raw)
    shown = [j for j in jumps if j.row >= skipped]
    found = (*findings, *_jumps(source, shown, names, dates, limits))
    return Accepted(prices, raw, clean, raw_levels, None, dates, found)


def _positive(values: Floats, prices: Floats) -> Floats:
    return np.where(prices > 0.0, values, np.nan)


def _jumps(
    source: Source, jumps: Sequence[Jump], names: Sequence[str], dates: Dates, limits: JumpLimits
) -> tuple[Diagnostic, ...]:
    found = told(source.name, named(jumps, names, dates), limits)
    return tuple(replace(f, span=source.spec.span) for f in found)


def _not_positive(source: Source, values: Floats, names: Sequence[str], dates: Dates) -> tuple[Diagnostic, ...]:
    """Return a finding about prices of 0 and below. Raises E201 beyond `max_anomalies_pct`."""
    where = np.argwhere(values <= 0.0)
    if not len(where):
        return ()
    cells = int(np.isfinite(values).sum())
    written = source.spec.options.max_anomalies_pct
    most = _MAX_ANOMALIES_PCT if written is None else written
    may_be = max(1.0, most / 100.0 * cells) if written is None else most / 100.0 * cells  # one cell is no share
    days = dates.astype("datetime64[D]")
    shown = ", ".join(f"{names[j]} {days[i]} ({values[i, j]:g})" for i, j in where[:_NAMED].tolist())
    more = f" and {len(where) - _NAMED} more" if len(where) > _NAMED else ""
    what = "1 price is 0 or below" if len(where) == 1 else f"{len(where)} prices are 0 or below"
    message = f"source '{source.name}': {what}: {shown}{more}"
    if len(where) > may_be:
        hint = "mend the file, raise max_anomalies_pct=, or say allow_negative=true for research"
        raise SigcError(
            Diagnostic(
                "E201",
                f"{message}: {len(where) / cells:.1%} of its prices, {most:g} % may be",
                source.spec.span,
                hint=hint,
            )
        )
    hint = "they count as missing; allow_negative=true at the source keeps them"
    return (Diagnostic("W006", message, source.spec.span, Severity.WARNING, hint=hint),)
