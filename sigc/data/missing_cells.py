"""The share of missing cells of a panel, counted while its rows stream by."""

from __future__ import annotations

import numpy as np

from sigc.config.settings import DataSettings
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, Severity
from sigc.panel import Panel


class MissingCells:
    """A counter of missing cells between each asset's first and last value."""

    def __init__(self) -> None:
        self.cells = 0
        self.missing = 0
        # By asset: missing cells since its last value. They count only once another value follows, perhaps in a later
        # panel.
        self.gap: dict[str, int] = {}

    def look(self, panel: Panel) -> None:
        holes = np.isnan(panel.values)
        if not holes.any() and not any(self.gap.values()):  # the common case
            self.cells += holes.size
            self.gap.update(dict.fromkeys(panel.names, 0))
            return
        for name, column in zip(panel.names, holes.T, strict=True):
            valid = np.flatnonzero(~column)
            begun = name in self.gap
            if not len(valid):
                if begun:
                    self.gap[name] += len(column)
                continue
            first, last = int(valid[0]), int(valid[-1])
            inside = int(column[first : last + 1].sum())
            before = first + self.gap[name] if begun else 0
            self.missing += inside + before
            self.cells += last - first + 1 + before
            self.gap[name] = len(column) - last - 1

    def findings(self, spec: SourceSpec, settings: DataSettings) -> tuple[Diagnostic, ...]:
        share = self.missing / self.cells if self.cells else 1.0
        limit = settings.validation.max_missing_pct
        if share <= limit:
            return ()
        message = f"source '{spec.name}': {share:.1%} of the cells between first and last rows are missing"
        return (Diagnostic("W002", message, spec.span, Severity.WARNING, hint=f"the limit is {limit:.1%}"),)
