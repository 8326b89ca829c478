"""Hive partitions: constant columns from the folder names above a file (`ticker=AAPL/part-0.parquet`).

A partition that a layout needs (a date, an asset) becomes a column, unless the file has one of that name. Others
(`year=2024`) only sort files into folders.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from sigc.data.formats.layout import ASSET_NAMES, DATE_NAMES
from sigc.data.sources.source import Table

_LOOKED_FOR = frozenset({*ASSET_NAMES, *DATE_NAMES})


def partitions_of(file: str) -> Mapping[str, str]:
    """Return the partitions in the path of a file.

    >>> partitions_of("bars/year=2024/ticker=BRK%2EB/part-0.parquet")
    {'year': '2024', 'ticker': 'BRK.B'}
    """
    parts = [p.partition("=") for p in PurePosixPath(file.replace("\\", "/")).parts[:-1]]
    return {name: unquote(value) for name, mark, value in parts if mark and name}


class Partitioned:
    """A table with added columns that hold one text in all rows."""

    def __init__(self, table: Table, constant: Mapping[str, str]) -> None:
        self.table, self.indices = table, table.indices
        self._constant = constant

    def head(self) -> Any:
        """Return the first rows, all columns."""
        return self._with(self.table.head(), self._constant)

    def read(self, columns: Collection[str], numbers: Collection[str]) -> Any:
        """Return some columns."""
        own = [c for c in columns if c not in self._constant]
        return self._with(self.table.read(own, numbers), [c for c in columns if c in self._constant])

    def _with(self, table: Any, names: Collection[str]) -> Any:
        for name in names:
            table = table.append_column(name, pa.array([self._constant[name]] * table.num_rows, pa.string()))
        return table


def with_partitions(table: Table, file: str) -> Table:
    """Return a table with the partitions of its path that a layout needs."""
    found = {n: v for n, v in partitions_of(file).items() if n.lower() in _LOOKED_FOR}
    if not found:
        return table
    own = {str(n).lower() for n in table.head().schema.names}
    constant = {n: v for n, v in found.items() if n.lower() not in own}
    return Partitioned(table, constant) if constant else table
