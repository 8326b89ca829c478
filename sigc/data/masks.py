"""Masks of unconfirmed values (`mask_anomalies=true`), applied while a source is converted.

    mask = Mask(spec, frequency)
    clean = mask.panel(panel)         a panel, then the rows after it: the same as all at once
    mask.findings()

A backtest and a live run read the same conversion, and a mask depends on rows up to its own only, so both see the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from sigc.actions import Action, in_order
from sigc.data.actions.adjust import day_of, steps_of
from sigc.data.anomalies import MAX_RETURN, AnomalyState, JumpLimits, accept, limits_of, named, told
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic
from sigc.panel import Floats, Panel
from sigc.source_words import Frequency


class AcceptedMask:
    """The state of acceptance of a source so far. A source without the option is left unchanged."""

    def __init__(self, spec: SourceSpec, frequency: Frequency, acts: Sequence[Action] = ()) -> None:
        self._spec = spec
        self._limits: JumpLimits = limits_of(spec.options.max_return, MAX_RETURN, frequency)
        self._names: tuple[str, ...] = ()
        self._state = AnomalyState(np.empty(0), np.empty(0))
        self._jumps: list[tuple[str, str, float]] = []
        self._acts = acts
        self._waiting: tuple[Action, ...] = ()  # actions without a price yet
        self._until: date | None = None
        self._scales: dict[str, float] = {}  # by asset: the product of its steps so far

    def panel(self, panel: Panel) -> Panel:
        """Return the next rows of the source, masked."""
        if not self._spec.options.mask_anomalies or panel.labels is not None:
            return panel
        levels = self._levels(panel)
        clean, jumps, state = accept(levels, self._limits, self._of(panel.names))
        self._remember(panel.names, state)
        self._jumps += named(jumps, panel.names, panel.dates)
        if clean is levels:
            return panel
        return replace(panel, values=np.where(np.isnan(clean), np.nan, panel.values))

    def _levels(self, panel: Panel) -> Floats:
        """Return the values to compare from row to row: adjusted, so that a split is no jump."""
        if not self._acts or not len(panel.dates):
            return panel.values
        days = panel.dates.astype("datetime64[D]")
        new = [a for a in self._acts if self._until is None or a.ex_date > self._until]
        due = in_order((*self._waiting, *(a for a in new if a.ex_date <= day_of(days[-1]))))
        steps, self._waiting = steps_of(panel.values, panel.names, days, due)
        self._until = day_of(days[-1])
        levels: Floats = panel.values * np.array([self._scales.get(n, 1.0) for n in panel.names])
        for step in steps:
            levels[step.row :, step.column] *= step.total
            name = panel.names[step.column]
            self._scales[name] = self._scales.get(name, 1.0) * step.total
        return levels

    def panels(self, panels: Iterable[Panel]) -> Iterator[Panel]:
        """Return panels of consecutive rows, masked one after the other."""
        return map(self.panel, panels)

    def findings(self) -> tuple[Diagnostic, ...]:
        """Return findings for the masked values."""
        return told(self._spec.name, self._jumps, self._limits)

    def _of(self, names: Sequence[str]) -> AnomalyState:
        place = {name: at for at, name in enumerate(self._names)}
        at = np.array([place.get(n, -1) for n in names], dtype=np.intp)
        # Index -1, a name not seen before, selects this last column: NaN.
        nothing = np.full((2, 1), np.nan)
        both = np.hstack([np.vstack([self._state.accepted, self._state.candidate]), nothing])[:, at]
        return AnomalyState(both[0], both[1], np.append(self._state.held, False)[at])

    def _remember(self, names: Sequence[str], state: AnomalyState) -> None:
        known: dict[str, tuple[float, float, bool]] = {}
        for some, of in ((self._names, self._state), (names, state)):
            known |= dict(zip(some, zip(of.accepted, of.candidate, of.held, strict=True), strict=True))
        self._names = tuple(known)
        all_of = np.array([*known.values()], dtype=np.float64).reshape(-1, 3)
        self._state = AnomalyState(all_of[:, 0].copy(), all_of[:, 1].copy(), all_of[:, 2] > 0.0)

    def copy(self) -> AcceptedMask:
        """Return an independent copy: a frame that grows from a source must not change the source's state."""
        other = AcceptedMask(self._spec, Frequency("sessions"), self._acts)
        other._waiting, other._until, other._scales = self._waiting, self._until, dict(self._scales)
        other._limits, other._names, other._state = self._limits, self._names, self._state
        return other
