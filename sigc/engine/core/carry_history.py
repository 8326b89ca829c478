"""What chains of carried operators have come to: the facts of all their blocks but the last, in one note a chain.

A day appended to years of history walks every chain from its first block. Where a note's lead, a digest of all rows
that went in, is the same again, the walk begins after the blocks of the note that are not asked for. Where it is not,
it finds their facts in the note, under the keys it makes, as far as these are the same: one note for many files.

A note is trusted as the facts are that it was made of: it has a checksum, and leads and keys name all that facts depend
on. Only whether these blocks are still stored is not looked at: hardly ever is one read, and where it is and is gone,
the run starts over without notes (`drive.py`).
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
    """facts: of a chain's blocks from its first, by key and in order. lead: a digest of all that they depend on."""

    lead: str = ""
    facts: Mapping[str, BlockFacts] = field(default_factory=dict)


class CarryHistories:
    """The notes of a store, each opened once, by the key of a chain's first block."""

    def __init__(self, store: BlockStore) -> None:
        self._store = store
        self._chains: dict[str, CarryHistory] = {}

    def chain(self, first: str) -> CarryHistory:
        """What is noted of the chain that begins with a block; empty, where nothing is."""
        if first not in self._chains:
            self._chains[first] = _read(self._store.noted(_name(first)))
        return self._chains[first]

    def keep(self, lead: str, facts: Sequence[BlockFacts]) -> None:
        """Note a chain, where one of its blocks is new. A store that can't be written keeps what it has."""
        first = facts[0].key
        if self.chain(first).facts.keys() >= {f.key for f in facts}:
            return
        self._chains[first] = CarryHistory(lead, {f.key: f for f in facts})
        with suppress(OSError):
            self._store.note(_name(first), _text(lead, facts))


def _name(first: str) -> str:
    """With the version of the format: another version's note is none."""
    return f"chain-1-{first}"


def _text(lead: str, facts: Sequence[BlockFacts]) -> str:
    """A line with the lead and a list a block, and the digests of all rows as the last line."""
    table = [[f.key, f.name, f.label, f.rows, f.state, f.source, len(f.digests)] for f in facts]
    body = f"{json.dumps([lead, table])}\n{b''.join(f.digests for f in facts).hex()}"
    return seal(body)


def _read(text: str | None) -> CarryHistory:
    """Empty, where there is no note or it is damaged."""
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
