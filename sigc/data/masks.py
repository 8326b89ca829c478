"""Values that signals do not see before they are confirmed (`mask_anomalies=true`), masked where sources are converted.

    mask = Mask(spec, frequency)
    clean = mask.panel(panel)         a panel, then the rows after it: the same as all at once
    mask.findings()

A backtest and a live run read the same conversion, and a cell is masked by rows up to its own, so both see the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from sigc.data.anomalies import MAX_RETURN, Limits, State, accept, limits_of, named, told
from sigc.data.spec import SourceSpec
from sigc.errors import Diagnostic
from sigc.panel import Panel
from sigc.source_words import Frequency


class Mask:
    """What was accepted of a source so far. A source that does not ask for it is left as it is."""

    def __init__(self, spec: SourceSpec, frequency: Frequency) -> None:
        self._spec = spec
        self._limits: Limits = limits_of(spec.options.max_return, MAX_RETURN, frequency)
        self._names: tuple[str, ...] = ()
        self._state = State(np.empty(0), np.empty(0))
        self._jumps: list[tuple[str, str, float]] = []

    def panel(self, panel: Panel) -> Panel:
        """The rows that follow those before, without what is not accepted."""
        if not self._spec.options.mask_anomalies or panel.labels is not None:
            return panel
        clean, jumps, state = accept(panel.values, self._limits, self._of(panel.names))
        self._remember(panel.names, state)
        self._jumps += named(jumps, panel.names, panel.dates)
        return panel if clean is panel.values else replace(panel, values=clean)

    def panels(self, panels: Iterable[Panel]) -> Iterator[Panel]:
        """Panels of consecutive rows, one after the other."""
        return map(self.panel, panels)

    def findings(self) -> tuple[Diagnostic, ...]:
        """What was masked."""
        return told(self._spec.name, self._jumps, self._limits)

    def _of(self, names: Sequence[str]) -> State:
        place = {name: at for at, name in enumerate(self._names)}
        at = np.array([place.get(n, -1) for n in names], dtype=np.intp)
        nothing = np.full((2, 1), np.nan)
        both = np.hstack([np.vstack([self._state.accepted, self._state.candidate]), nothing])[:, at]
        return State(both[0], both[1], np.append(self._state.held, False)[at])

    def _remember(self, names: Sequence[str], state: State) -> None:
        known: dict[str, tuple[float, float, bool]] = {}
        for some, of in ((self._names, self._state), (names, state)):
            known |= dict(zip(some, zip(of.accepted, of.candidate, of.held, strict=True), strict=True))
        self._names = tuple(known)
        all_of = np.array([*known.values()], dtype=np.float64).reshape(-1, 3)
        self._state = State(all_of[:, 0].copy(), all_of[:, 1].copy(), all_of[:, 2] > 0.0)

    def copy(self) -> Mask:
        """The same, to go on with: the frame that grew from a source leaves the source as it was."""
        other = Mask(self._spec, Frequency("sessions"))
        other._limits, other._names, other._state = self._limits, self._names, self._state
        return other
