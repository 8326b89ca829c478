"""Checks of corporate actions against stored closes: mismatches, and signs that the closes are adjusted already.

    told = judged(closes, actions, store, read)                   all rows: for a backtest, for `sigc validate`
    told = judged(closes, actions, store, read, since=day)        findings of the last rows only: for a run

All rows are checked once per content, and the result is noted; a run checks its last block, and splits block by block,
each noted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np

from sigc.actions import Action, ActionKind, between, digest_of
from sigc.blocks.block import BlockStore, concat, digest
from sigc.blocks.checksummed import seal, unseal
from sigc.data.actions.adjust import day_of
from sigc.data.actions.corporate_checks import AdjustmentEvidence, judge, looks_adjusted
from sigc.data.manifest import SourceBlock
from sigc.errors import Diagnostic, Severity
from sigc.panel import Dates, Panel

_FORMAT = "1"
_ROWS_BEFORE = 40  # searched for the price before an action


class ClosesWithDigests(Protocol):
    """The attributes of a source of closes that checks need. digests: of its rows."""

    @property
    def name(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def digests(self) -> bytes: ...

    @property
    def blocks(self) -> tuple[SourceBlock, ...]: ...


@dataclass(frozen=True, slots=True)
class Judged:
    """The result. findings: about actions and jumps. evidence: why the closes look adjusted, '' if they do not."""

    findings: tuple[Diagnostic, ...] = ()
    evidence: str = ""


def judged(
    closes: ClosesWithDigests,
    days: Dates,
    actions: Sequence[Action],
    store: BlockStore,
    read: Callable[[SourceBlock], Panel],
    since: date | None = None,
) -> Judged:
    """Return findings about actions (in order) and stored closes. days: of their rows. since: of a run, see above."""
    if not closes.blocks or not actions:
        return Judged()
    work = _Work(closes, days, actions, store, read)
    looks = work.looks()
    if since is not None:
        return Judged(work.judge(max(0, int(np.searchsorted(days, np.datetime64(since, "D"))))), looks)
    name = "judged-" + digest(_FORMAT, closes.name, "\n".join(closes.names), closes.digests, digest_of(actions))
    known = unseal(store.noted(name))
    if not known:
        found = work.judge(0)
        known = json.dumps([[f.code, f.message, f.hint] for f in found])
        store.note(name, seal(known))
    return Judged(tuple(Diagnostic(c, m, severity=Severity.WARNING, hint=h) for c, m, h in json.loads(known)), looks)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    closes: ClosesWithDigests
    days: Dates
    actions: Sequence[Action]
    store: BlockStore
    read: Callable[[SourceBlock], Panel]

    def judge(self, first: int) -> tuple[Diagnostic, ...]:
        """Return findings about actions on the rows from `first` on."""
        if first >= len(self.days):
            return ()
        low = max(0, first - _ROWS_BEFORE)
        after = date.min if low == 0 else day_of(self.days[low - 1])
        due = between(self.actions, after, day_of(self.days[-1]))
        if first:
            due = [a for a in due if a.asset in set(self.closes.names)]
        return judge(due, self.closes.names, self.days[low:], self._rows(low).values)

    def looks(self) -> str:
        """Return the evidence that closes are adjusted, over all splits; '' for none."""
        splits = [a for a in self.actions if a.kind is ActionKind.SPLIT]
        calm = told = 0
        shown, before, last = "", None, date.min
        for block in self.closes.blocks:
            until = day_of(self.days[block.stop - 1])
            some = between(splits, last, until)
            if some:
                looks = self._looks(block, before, some)
                calm, told = calm + looks.calm, told + looks.told
                shown = shown or (looks.evidence if looks.adjusted else "")
            before, last = block, until
        return shown if 2 * calm > told else ""

    def _looks(self, block: SourceBlock, before: SourceBlock | None, some: Sequence[Action]) -> AdjustmentEvidence:
        name = "looks-" + digest(_FORMAT, block.key, "" if before is None else before.key, digest_of(some))
        known = unseal(self.store.noted(name))
        if not known:
            low = max(block.start - _ROWS_BEFORE, 0 if before is None else before.start)
            panel = self._rows(low, block.stop)
            looks = looks_adjusted(some, panel.names, self.days[low : block.stop], panel.values)
            known = json.dumps([looks.adjusted, looks.evidence, looks.calm, looks.told])
            self.store.note(name, seal(known))
        return AdjustmentEvidence(*json.loads(known))

    def _rows(self, low: int, stop: int | None = None) -> Panel:
        stop = len(self.days) if stop is None else stop
        panels = []
        for block in self.closes.blocks:
            if block.start < stop and block.stop > low:
                part = self.read(block)
                panels.append(part.rows(max(0, low - block.start), min(stop, block.stop) - block.start))
        return concat(panels, self.closes.names)
