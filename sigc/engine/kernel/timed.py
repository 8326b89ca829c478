"""A store that measures its time: the seconds of a task spent on reading and writing blocks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from sigc.blocks.block import BlockFacts, BlockStore, CarryState, Place
from sigc.panel import Panel


@dataclass(slots=True)
class TimedStore:
    """A wrapper of `store`. reading_s, writing_s: seconds spent so far by the one thread that uses it."""

    store: BlockStore
    reading_s: float = 0.0
    writing_s: float = 0.0

    def facts(self, key: str) -> BlockFacts | None:
        return self.store.facts(key)

    def read(self, key: str, place: Place | None = None) -> Panel | None:
        with self._reading():
            return self.store.read(key, place)

    def read_carry(self, key: str) -> CarryState | None:
        with self._reading():
            return self.store.read_carry(key)

    def write(self, facts: BlockFacts, panel: Panel, carry: CarryState | None = None) -> None:
        begun = time.perf_counter()
        self.store.write(facts, panel, carry)
        self.writing_s += time.perf_counter() - begun

    def note(self, name: str, text: str) -> None:
        self.store.note(name, text)

    def noted(self, name: str) -> str | None:
        return self.store.noted(name)

    def lease(self, keys: Iterable[str]) -> AbstractContextManager[None]:
        return self.store.lease(keys)

    def incidents(self) -> tuple[str, ...]:
        return self.store.incidents()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.reading_s += time.perf_counter() - begun
