"""Columns of the files of both folders, by the configured names, and one row of such a file with its place.

Values are texts until they are asked for: a number keeps all its digits, and an error names file, line and column.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn

from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.store.ledger.records import Side
from sigc_pipelines.brokers.protocol import UnreachableError

ORDER, CANCEL = "order", "cancel"
ACKS, FILLS, POSITIONS, ACCOUNT, CHARGES = "acks", "fills", "positions", "account", "charges"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    ORDER: (*("client_order_id", "asset", "side", "quantity", "order_type", "limit", "time_in_force", "submitted"),),
    CANCEL: ("client_order_id", "submitted"),
    ACKS: ("client_order_id", "status", "order_id", "message", "time"),
    FILLS: ("execution_id", "client_order_id", "asset", "side", "quantity", "price", "commission", "time"),
    POSITIONS: ("time", "asset", "quantity"),
    ACCOUNT: ("time", "cash", "equity", "buying_power"),
    CHARGES: ("charge_id", "kind", "asset", "amount", "time"),
}
_LONGEST_SHOWN, _LONGEST_REASON = 60, 300  # characters of a value in an error, and of the error
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?0?[0-9])?")


@dataclass(frozen=True, slots=True)
class FolderForm:
    """Form of the files: csv or jsonl, and the names of columns where they are not ours (by our name)."""

    format: str
    names: Mapping[str, str]

    @staticmethod
    def of(format: str, names: Mapping[str, str]) -> FolderForm:
        """Return the form of these settings. Raises SigcError E402: a column that no file has, or two of one name."""
        ours = sorted({column for columns in COLUMNS.values() for column in columns})
        for name in names:
            if name not in ours:
                message = f"broker.files.columns: no file has a column '{name}'"
                hint = did_you_mean(name, ours) or "write our name of the column first, then yours"
                raise SigcError(Diagnostic("E402", message, expected=" or ".join(ours), hint=hint))
        for kind, columns in COLUMNS.items():
            theirs = [names.get(column, column) for column in columns]
            if len({*theirs}) < len(theirs) or not all(theirs):
                twice = next(name for name in theirs if theirs.count(name) > 1 or not name)
                message = f"broker.files.columns: two columns of {kind} files would be named '{twice}'"
                raise SigcError(Diagnostic("E402", message, hint="give each column a name of its own"))
        return FolderForm(format, dict(names))

    def theirs(self, column: str) -> str:
        """Return the name of a column as files have it."""
        return self.names.get(column, column)

    def file_of(self, kind: str, values: Mapping[str, str]) -> bytes:
        """Return a file of one row."""
        named = {self.theirs(column): values[column] for column in COLUMNS[kind]}
        if self.format == "jsonl":
            return (json.dumps(named) + "\n").encode()
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([list(named), list(named.values())])
        return text.getvalue().encode()

    def rows_of(self, kind: str, place: str, data: bytes) -> tuple[FolderRow, ...]:
        """Return the rows of whole lines. place: the file, for errors. Raises UnreachableError for a malformed one."""
        lines = [
            (f"{place}, line {number}", text)
            for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
            if (text := _text(f"{place}, line {number}", line)).strip()
        ]
        if self.format == "jsonl":
            return tuple(self._row(kind, at, _object(at, line)) for at, line in lines)
        if not lines:
            return ()
        (at, line), *rest = lines
        header = _cells(at, line)
        if len({*header}) < len(header):
            _malformed(at, "a column is named twice")
        rows = []
        for at, line in rest:
            cells = _cells(at, line)
            if len(cells) != len(header):
                _malformed(at, f"it has {len(cells)} values, the header has {len(header)}")
            rows.append(self._row(kind, at, dict(zip(header, cells, strict=True))))
        # An empty table has its columns too: a header of another kind of file is found at once.
        self._row(kind, lines[0][0], dict.fromkeys(header, ""))
        return tuple(rows)

    def _row(self, kind: str, at: str, named: Mapping[str, str]) -> FolderRow:
        for column in COLUMNS[kind]:
            if self.theirs(column) not in named:
                _malformed(at, f"the column '{self.theirs(column)}' of {kind} files is missing")
        return FolderRow(at, {column: named[self.theirs(column)].strip() for column in COLUMNS[kind]}, self)


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A row: where it stands, and its values by our names of columns."""

    at: str
    values: Mapping[str, str]
    form: FolderForm

    def text(self, column: str) -> str:
        """Return a value, '' for an empty one."""
        return self.values[column]

    def name(self, column: str) -> str:
        """Return a value that must be there."""
        if not self.values[column]:
            self.malformed(column, "is empty")
        return self.values[column]

    def number(self, column: str) -> Decimal:
        """Return a number, exact."""
        if not _NUMBER.fullmatch(self.values[column]):
            self.malformed(column, f"is no number: {_shown(self.values[column])}")
        return Decimal(self.values[column])

    def instant(self, column: str) -> datetime:
        """Return an instant in UTC; one without a zone is malformed."""
        try:
            at = datetime.fromisoformat(self.values[column])
            utc = None if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            self.malformed(column, f"is no time such as 2024-01-15T14:30:00Z: {_shown(self.values[column])}")
        if utc is None:
            self.malformed(column, f"has no zone: {_shown(self.values[column])}; write 2024-01-15T14:30:00Z")
        return utc

    def side(self, column: str) -> Side:
        """Return a side."""
        try:
            return Side(self.values[column].lower())
        except ValueError:
            self.malformed(column, f"is neither buy nor sell: {_shown(self.values[column])}")

    def malformed(self, column: str, why: str) -> NoReturn:
        """Raise UnreachableError for a value."""
        _malformed(self.at, f"{self.form.theirs(column)} {why}")


def _shown(value: str) -> str:
    return repr(value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}...")


def _malformed(at: str, why: str) -> NoReturn:
    raise UnreachableError(f"{at}: {why[:_LONGEST_REASON]}")


def _text(at: str, line: bytes) -> str:
    try:
        text = line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        _malformed(at, "it is not UTF-8")
    if "\0" in text:
        _malformed(at, "it has a zero byte")
    return text


def _cells(at: str, line: str) -> list[str]:
    try:
        (cells,) = csv.reader([line], strict=True)
    except (csv.Error, ValueError) as wrong:
        _malformed(at, f"it is no line of csv: {wrong}")
    return cells


def _object(at: str, line: str) -> dict[str, str]:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, str]:
        named = dict(found)
        if len(named) < len(found):
            _malformed(at, "a column is named twice")
        return {name: _scalar(at, name, value) for name, value in named.items()}

    try:
        # Numbers stay texts: 0.1 is a tenth, not the nearest float.
        found = json.loads(line, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as wrong:
        _malformed(at, f"it is no JSON: {wrong}")
    if not isinstance(found, dict):
        _malformed(at, "it is no JSON object")
    return found


def _scalar(at: str, name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        _malformed(at, f"{name} is neither a text nor a number")
    return value
