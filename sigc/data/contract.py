"""The contract of every source, as a test suite that a source's package runs against it.

from sigc.data.contract import SourceContract

class TestWarehouse(SourceContract):
    date = "day"
    def source(self):            return open_warehouse(...)       # at least three days of rows
    def changed(self):           ...                              # the same with another value somewhere
"""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa

from sigc.data.dates.stamps import stamps_of
from sigc.data.sources.source import RowSource
from sigc.data.sources.spec import SourceSpec

_DAY_NS = 86_400_000_000_000


class SourceContract:
    """The suite. date: the name of the date column."""

    date = "date"

    def source(self) -> RowSource:
        """Return a source of at least three days."""
        raise NotImplementedError

    def changed(self) -> RowSource:
        """Return the same source with another value in one cell."""
        raise NotImplementedError

    def _read(self, columns: list[str] | None = None, *days: datetime.date | None) -> Any:
        source = self.source()
        wanted = source.schema().names if columns is None else columns
        batches = list(source.rows(wanted, *days))
        for batch in batches:
            assert batch.schema.names == wanted, f"asked for {wanted}, got {batch.schema.names}"
        schema = pa.schema([source.schema().field(c) for c in wanted])
        return pa.Table.from_batches(batches, schema=batches[0].schema if batches else schema)

    def _days(self, table: Any) -> list[datetime.date]:
        stamps = stamps_of(SourceSpec("contract", ""), "the source", table[self.date], self.date)
        return [datetime.date(1970, 1, 1) + datetime.timedelta(days=int(d)) for d in stamps.clock // _DAY_NS]

    def test_the_fingerprint_is_that_of_the_rows(self) -> None:
        """Equal rows have equal fingerprints, different rows different ones."""
        first, again = self.source().fingerprint(), self.source().fingerprint()
        assert first == again
        assert first
        assert self.changed().fingerprint() != first

    def test_columns_have_names_of_their_own(self) -> None:
        """No name occurs twice, and the date column exists."""
        names = self.source().schema().names
        assert len(set(names)) == len(names)
        assert self.date in names

    def test_rows_are_the_same_each_time(self) -> None:
        """Two reads give the same rows in the same order."""
        assert self._read().equals(self._read())

    def test_some_columns_are_those_of_all(self) -> None:
        """A selection of columns comes in the requested order."""
        whole = self._read()
        names = list(reversed(whole.schema.names))
        assert self._read(names).equals(whole.select(names))
        assert self._read([self.date]).equals(whole.select([self.date]))

    def test_a_range_is_cut_by_days(self) -> None:
        """Both ends are inclusive; an empty range gives no rows."""
        whole = self._read()
        days = self._days(whole)
        distinct = sorted(set(days))
        assert len(distinct) >= 3, "give the contract at least three days"
        first, middle, last = distinct[0], distinct[len(distinct) // 2], distinct[-1]
        for since, until in ((middle, None), (None, middle), (first, first), (middle, last)):
            keep = [(since is None or since <= d) and (until is None or d <= until) for d in days]
            assert self._read(None, since, until).equals(whole.filter(pa.array(keep)))
        beyond = last + datetime.timedelta(days=1)
        assert self._read(None, beyond, None).num_rows == 0
