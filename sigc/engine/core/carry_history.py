"""Histories of carry chains: the facts of all their blocks but the last, in one note per chain.

A day appended to years of history walks every chain from its first block. If a note's lead, a digest of all input rows,
is unchanged, the walk begins after the note's blocks that are not requested. Otherwise it finds their facts in the
note, under the keys that it computes, as far as these are unchanged: one note instead of many files.

A note is trusted like the facts in it: it has a checksum, and leads and keys cover all inputs. Only the existence of
these blocks is not checked: they are hardly ever read, and if one is read and missing, the run starts over without
notes (`drive.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sigc.blocks.block import BlockFacts, BlockStore
from sigc.blocks.checksummed import seal, unseal


@dataclass(frozen=True, slots=True)
class CarryHistory:
    """The history of a chain. facts: of its blocks from the first, by key and in order. lead: a digest of all their
    inputs.
    """

    lead: str = ""
    facts: Mapping[str, BlockFacts] = field(default_factory=dict)


class CarryHistories:
    """The notes of a store, each read once, by the key of a chain's first block."""

    def __init__(self, store: BlockStore) -> None:
        self._store = store
        self._chains: dict[str, CarryHistory] = {}

    def chain(self, first: str) -> CarryHistory:
        """Return the history of the chain with this first block; empty if nothing is noted."""
        if first not in self._chains:
            self._chains[first] = _read(self._store.noted(_name(first)))
        return self._chains[first]

    def keep(self, lead: str, facts: Sequence[BlockFacts]) -> None:
        """Note a chain if one of its blocks is new. A store that can't be written keeps the old note."""
        first = facts[0].key
        if self.chain(first).facts.keys() >= {f.key for f in facts}:
            return
        self._chains[first] = CarryHistory(lead, {f.key: f for f in facts})
        with suppress(OSError):
            self._store.note(_name(first), _text(lead, facts))


def _name(first: str) -> str:
    """Return the name of a note, with the version of the format: other versions are ignored."""
    return f"chain-1-{first}"


def _text(lead: str, facts: Sequence[BlockFacts]) -> str:
    """Return a note: a line with the lead and a list per block, then a line with the digests of all rows."""
    table = [[f.key, f.name, f.label, f.rows, f.state, f.source, len(f.digests)] for f in facts]
    body = f"{json.dumps([lead, table])}\n{b''.join(f.digests for f in facts).hex()}"
    return seal(body)


def _read(text: str | None) -> CarryHistory:
    """Parse a note; empty if it is missing or damaged."""
    body = unseal(text)
    if not body:
        return CarryHistory()
    head, _, packed = body.partition("\n")
    lead, table = json.loads(head)
    digests = bytes.fromhex(packed)
    facts: dict[str, BlockFacts] = {}
    at = 0
    for key, name, label, rows, state, source, size in table:
        facts[key] = BlockFacts(key, name, label, rows, digests[at : at + size], state, source)
        at += size
    return CarryHistory(lead, facts)
