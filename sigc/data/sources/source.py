"""What gives rows of a source, and what a table of them is.

    RowSource   where rows are: a file, a folder, a frame, a database; says its version, its columns, its rows
    Table       rows and columns as a layout is recognised in them and as they are read

What follows (layout, dates, names, numbers) is the same for all, so the same content gives the same panel. Sources from
outside are installed by an entry point of the group `sigc.sources`, whose name is the word behind `load`; the contract
that they must keep is `sigc.data.contract`.
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
        """The first rows as an arrow table, all columns."""
        ...

    def read(self, columns: Collection[str], numbers: Collection[str]) -> Any:
        """Some columns as an arrow table. numbers: those that are to hold numbers."""
        ...


class RowSource(Protocol):
    """Where the rows of a source are."""

    def fingerprint(self) -> str:
        """A text that differs whenever the rows may differ; never a constant."""
        ...

    def schema(self) -> Any:
        """Names and types of all columns, an arrow schema."""
        ...

    def rows(
        self,
        columns: Sequence[str],
        since: datetime.date | None = None,
        until: datetime.date | None = None,
    ) -> Iterator[Any]:
        """Arrow record batches of some columns, in the order asked for, rows in the order of the source.

        since, until: the days between which rows are wanted, both inclusive; None for an open end.
        """
        ...


Opener: TypeAlias = Callable[[SourceSpec], RowSource]
