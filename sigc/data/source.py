"""What gives rows of a source: a table of columns, whatever it is read from.

A file's format, a frame in memory, a database are each one `Table`. What follows (layout, dates, names, numbers) is the
same for all of them, so the same content gives the same panel.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol


class Table(Protocol):
    """Rows and columns. indices: the columns that hold an index of rows."""

    indices: frozenset[str]

    def head(self) -> Any:
        """The first rows as an arrow table, all columns."""
        ...

    def read(self, columns: Collection[str], numbers: Collection[str]) -> Any:
        """Some columns as an arrow table. numbers: those that are to hold numbers."""
        ...
