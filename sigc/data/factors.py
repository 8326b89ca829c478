"""Factors of prices, made from corporate actions: as-of sources of a step per action, beside the panels stored raw.

    made = convert_factor(spec, kind, closes, actions, store)

A factor is the product of all steps up to a row; what it was before an action it stays. So a new action, or one that is
restated, changes the rows of its asset from there on, and wide panels are stored and read as traded, whatever the
actions say.

Dividends are measured by closes, so blocks of closes are read: each once for the actions that lie in it, and the steps
noted. A block to which rows were added is another one: so a daily run reads the last block of closes, if an action lies
in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sigc.actions import Action, ActionKind
from sigc.blocks import BlockStore, digest
from sigc.data.adjust import Step, steps_of
from sigc.data.events import Raw, store_events
from sigc.data.factor_names import SHARES, SPLIT
from sigc.data.manifest import Converted, Events, Manifests, SourceBlock
from sigc.data.spec import SourceSpec
from sigc.panel import Dates, Panel
from sigc.sealed import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = "1"
Acts = Mapping[str, Sequence[Action]]  # by asset, in order


def digest_of(acts: Acts) -> str:
    """Of all actions there are: their content, however the file says it."""
    return digest(*(repr(a) for asset in sorted(acts) for a in acts[asset]))


class Closes(Protocol):
    """What factors need of a source of closes."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def dates(self) -> Dates: ...

    @property
    def sessions(self) -> Dates | None: ...

    @property
    def blocks(self) -> tuple[SourceBlock, ...]: ...


@dataclass(frozen=True, slots=True)
class _Turn:
    """One change of a factor: from which day on, of which asset, by how much."""

    day: int  # since the epoch
    asset: str
    times: float


def convert_factor(
    spec: SourceSpec, kind: str, closes: Closes, acts: Acts, store: BlockStore, read: Callable[[str], Panel]
) -> Converted:
    """The factor of a source of closes. read: one of its blocks by key, made again where it was lost."""
    turns = _splits(closes, acts) if kind in (SPLIT, SHARES) else _totals(closes, acts, store, read)
    if not turns:
        return _nothing()
    name = "factor-" + digest(FORMAT, kind, *(f"{t.day} {t.asset} {t.times!r}" for t in turns))
    manifests = Manifests(store)
    known = manifests.recall(name)
    if known is None:
        known = store_events(spec, _events(turns, inverse=kind == SHARES), store)
        manifests.keep(name, known)
    return known


def _nothing() -> Converted:
    return Converted(
        dates=np.empty(0, "datetime64[ns]"),
        names=(),
        digests=b"",
        blocks=(),
        labels=(),
        category=False,
        static=False,
        findings=(),
        events=Events(None, by_label=True, newest=np.empty(0, "i8")),
    )


def _events(turns: Sequence[_Turn], *, inverse: bool) -> Raw:
    names = tuple(sorted({t.asset for t in turns}))
    place = {name: at for at, name in enumerate(names)}
    order = sorted(turns, key=lambda t: (place[t.asset], t.day))
    asset = np.array([place[t.asset] for t in order], np.intp)
    values = np.array([t.times for t in order])
    begins = np.flatnonzero(np.concatenate([[True], np.diff(asset) != 0]))
    for a, b in zip(begins, [*begins[1:], len(order)], strict=True):
        values[a:b] = np.cumprod(values[a:b])
    days = np.array([t.day for t in order], "i8") * 86_400_000_000_000
    return Raw(
        file="corporate actions",
        names=names,
        asset=asset,
        born=days,
        published=days,
        usable=days,
        values=1.0 / values if inverse else values,
        where=np.arange(len(order)),
        by_label=True,
    )


def _splits(closes: Closes, acts: Acts) -> list[_Turn]:
    """The steps of splits alone take no prices: on a day without one there is nothing to be scaled."""
    days: dict[tuple[str, int], float] = {}
    own = set(closes.names)
    for asset, some in acts.items():
        for action in some if asset in own else ():
            if action.ratio != 1 and action.kind is ActionKind.SPLIT and action.ex_date > _first(closes):
                key = asset, _number(action)
                days[key] = days.get(key, 1.0) * float(action.ratio)
    return [_Turn(day, asset, times) for (asset, day), times in sorted(days.items())]


def _first(closes: Closes) -> date:
    """The first day of prices: what was before is in all of them."""
    days = closes.dates if closes.sessions is None else closes.sessions
    first: date = days[0].astype("datetime64[D]").item()
    return first


def _number(action: Action) -> int:
    return int(np.datetime64(action.ex_date, "D").astype("i8"))


def _totals(closes: Closes, acts: Acts, store: BlockStore, read: Callable[[str], Panel]) -> list[_Turn]:
    """Block after block; what found no price in one waits for the next."""
    waiting: list[Action] = []
    found: list[_Turn] = []
    first = _first(closes)
    flat = sorted(a for asset in closes.names for a in acts.get(asset, ()) if a.ex_date > first)
    days = (closes.dates if closes.sessions is None else closes.sessions).astype("datetime64[D]")
    ends = np.array([a.ex_date for a in flat], "datetime64[D]")
    begin = 0
    for block in closes.blocks:
        end = int(np.searchsorted(ends, days[block.stop - 1], side="right"))
        due = [*waiting, *flat[begin:end]]
        begin = end
        if not due:
            continue
        name = "steps-" + digest(FORMAT, block.key, *map(repr, due))
        known = _recalled(store, name)
        if known is None:
            panel = read(block.key)
            known = _stepped(panel, days[block.start : block.stop], due)
            store.note(name, seal(json.dumps(known)))
        turns, left = known
        found += [_Turn(int(day), str(asset), float(times)) for day, asset, times in turns]
        waiting = [due[at] for at in left]
    return found


_Stepped = tuple[list[tuple[int, str, float]], list[int]]


def _recalled(store: BlockStore, name: str) -> _Stepped | None:
    try:
        turns, left = json.loads(unseal(store.noted(name)))
        return [(int(d), str(a), float(t)) for d, a, t in turns], [int(i) for i in left]
    except ValueError:
        return None


def _stepped(panel: Panel, days: Dates, due: Sequence[Action]) -> _Stepped:
    """Day, asset and factor of each step in a block, and which of the actions wait for a later one."""
    by_asset: dict[str, list[Action]] = {}
    for action in due:
        by_asset.setdefault(action.asset, []).append(action)
    steps, left = steps_of(panel.values, panel.names, days, by_asset)
    places = [due.index(a) for a in left]
    return [_turn(step, panel, days) for step in steps], sorted(places)


def _turn(step: Step, panel: Panel, days: Dates) -> tuple[int, str, float]:
    return int(days[step.row].astype("i8")), panel.names[step.column], step.total
