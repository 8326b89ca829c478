"""Protocols of a source of rows, and of a table of them.

    RowSource   a file, a folder, a frame, a database: its version, its columns, its rows
    Table       rows and columns: first for the recognition of a layout, then for reading

All later steps (layout, dates, names, numbers) are the same for all, so the same content gives the same panel. A
package adds a source by an entry point of the group `sigc.sources`, named by the word after `load`;
`sigc.data.contract` is the contract that it must keep.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from sigc.data.sources.spec import SourceSpec


class Table(Protocol):
    """Rows and columns. indices: the columns that hold an index of rows."""

    indices: frozenset[str]

    def head(self) -> Any:
        """Return the first rows as an arrow table, all columns."""
        ...

    def read(self, columns: Collection[str], numbers: Collection[str]) -> Any:
        """Return some columns as an arrow table. numbers: those that should hold numbers."""
        ...


class RowSource(Protocol):
    """A source of rows."""

    def fingerprint(self) -> str:
        """Return a text that differs whenever the rows may differ; never a constant."""
        ...

    def schema(self) -> Any:
        """Return the names and types of all columns, an arrow schema."""
        ...

    def rows(
        self,
        columns: Sequence[str],
        since: datetime.date | None = None,
        until: datetime.date | None = None,
    ) -> Iterator[Any]:
        """Yield arrow record batches of some columns, in the requested order, rows in the order of the source.

        since, until: the range of days, both inclusive; None for an open end.
        """
        ...


Opener: TypeAlias = Callable[[SourceSpec], RowSource]
