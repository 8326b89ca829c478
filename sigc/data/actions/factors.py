"""Factors of prices, made from corporate actions: as-of sources with one step per action, beside the raw panels.

    made = convert_factor(spec, kind, closes, actions, store)

A factor is the product of all steps up to a row; an action leaves earlier rows unchanged. So a new or restated action
changes only rows of its asset from there on, and wide panels are stored and read as traded, independent of the actions.

Dividends are relative to closes, so blocks of closes are read: each once for the actions in it, and its steps are
noted. A block with appended rows has another key: so a daily run reads the last block of closes, if an action lies in
it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Protocol

import numpy as np

from sigc.actions import Action, ActionKind, between, digest_of, in_order
from sigc.blocks.block import BlockStore, digest
from sigc.blocks.checksummed import seal, unseal
from sigc.data.actions.adjust import acting, day_of, steps_of
from sigc.data.actions.factor_names import SHARES, SPLIT
from sigc.data.events import RawEvents, store_events
from sigc.data.manifest import Converted, Events, Manifests, SourceBlock
from sigc.data.sources.spec import SourceSpec
from sigc.panel import Dates, Panel

FORMAT = "2"
Read = Callable[[str], Panel]


class CloseSource(Protocol):
    """The attributes of a source of closes that factors need."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def dates(self) -> Dates: ...

    @property
    def sessions(self) -> Dates | None: ...

    @property
    def blocks(self) -> tuple[SourceBlock, ...]: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Turns:
    """Changes of a factor, in any order: the day (since the epoch), the asset, and the multiplier of each."""

    days: list[int]
    assets: list[str]
    times: list[float]


def convert_factor(
    spec: SourceSpec, kind: str, closes: CloseSource, actions: Sequence[Action], store: BlockStore, read: Read
) -> Converted:
    """Return the factor of a source of closes. actions: in order. read: returns a block of closes by key.

    The steps of each block of closes are noted, so that a day costs the last block only.
    """
    if not len(closes.dates):
        return _nothing()
    days = (closes.dates if closes.sessions is None else closes.sessions).astype("datetime64[D]")
    own = set(closes.names)
    due = [a for a in acting(between(actions, day_of(days[0]), date.max)) if a.asset in own]
    parts = _splits(due) if kind in (SPLIT, SHARES) else _totals(closes, days, due, store, read)
    name = "factor-" + digest(FORMAT, kind, *(p.key for p in parts))
    manifests = Manifests(store)
    known = manifests.recall(name)
    if known is None:
        turns = [part.turns() for part in parts]
        if not any(t.days for t in turns):
            return _nothing()
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


def _events(turns: Sequence[_Turns], *, inverse: bool) -> RawEvents:
    written = [asset for some in turns for asset in some.assets]
    names = tuple(sorted(set(written)))
    place = {name: at for at, name in enumerate(names)}
    asset = np.array([place[name] for name in written], np.intp)
    days = np.array([day for some in turns for day in some.days], "i8") * 86_400_000_000_000
    values = np.array([factor for some in turns for factor in some.times])
    order = np.lexsort((days, asset))
    asset, days, values = asset[order], days[order], values[order]
    begins = np.flatnonzero(np.diff(asset, prepend=-1))
    for a, b in zip(begins, [*begins[1:], len(order)], strict=True):
        values[a:b] = np.cumprod(values[a:b])
    return RawEvents(
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


@dataclass(frozen=True, slots=True)
class _Part:
    """Some turns, computed on demand. key: a digest of their inputs."""

    key: str
    turns: Callable[[], _Turns]


def _splits(due: Sequence[Action]) -> list[_Part]:
    """Return the steps of splits, which need no prices: on a day without a price there is nothing to scale."""
    splits = [a for a in due if a.kind is ActionKind.SPLIT]

    def turns() -> _Turns:
        found: dict[tuple[int, str], float] = {}
        for action in splits:
            key = int(np.datetime64(action.ex_date, "D").astype("i8")), action.asset
            found[key] = found.get(key, 1.0) * float(action.ratio)
        return _Turns([day for day, _ in found], [asset for _, asset in found], [*found.values()])

    return [_Part(digest_of(splits), turns)]


def _totals(closes: CloseSource, days: Dates, due: Sequence[Action], store: BlockStore, read: Read) -> list[_Part]:
    """Return the steps block by block; an action without a price in one waits for the next."""
    parts: list[_Part] = []
    waiting: tuple[Action, ...] = ()
    before = date.min
    for block in closes.blocks:
        until = day_of(days[block.stop - 1])
        some = in_order((*waiting, *between(due, before, until)))
        before = until
        if not some:
            continue
        name = "steps-" + digest(FORMAT, block.key, digest_of(some))
        left, turns = _noted(store, name) or (None, "")
        if left is None:
            panel = read(block.key)
            steps, late = steps_of(panel.values, panel.names, days[block.start : block.stop], some)
            own = days[block.start : block.stop].astype("i8").tolist()
            columns = [own[s.row] for s in steps], [panel.names[s.column] for s in steps], [s.total for s in steps]
            left, turns = [some.index(a) for a in late], _packed(columns)
            store.note(name, seal(f"{json.dumps(left)}\n{turns}"))
        waiting = tuple(some[at] for at in left)
        parts.append(_Part(name, partial(_unpacked, turns)))
    return parts


def _noted(store: BlockStore, name: str) -> tuple[list[int], str] | None:
    """Return (indices of a block's actions that wait for a later one, its turns); None if nothing is noted."""
    head, _, turns = unseal(store.noted(name)).partition("\n")
    return ([int(i) for i in json.loads(head)], turns) if head else None


def _packed(columns: tuple[list[int], list[str], list[float]]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(columns).encode(), 1)).decode()


def _unpacked(turns: str) -> _Turns:
    return _Turns(*json.loads(zlib.decompress(base64.b64decode(turns))))
