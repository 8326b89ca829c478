"""The columns of a file of corporate actions: their roles and cells.

    roles  = roles_of(spec, file, table)             by names, ignoring case
    amount = numbers_at(spec, file, column, name, rows)     the cells of some rows, NaN elsewhere

An unreadable cell is E201 with file, row and column; rows count from 1, the header is row 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sigc.actions import parse_ratio, ratio_of
from sigc.data.dates.looks import looks_like_dates
from sigc.data.formats.cells import is_number, numbers, plain, texts, values_of
from sigc.data.formats.layout import ASSET_NAMES, DATE_NAMES, field_of
from sigc.data.missing_words import MISSING
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.errors import did_you_mean
from sigc.panel import Floats

Rows = NDArray[np.bool_]
_EX_DATES = ("ex date", "exdate", "effective date", "execution date")
_NO_EX_DATES = re.compile(r".*\b(record|declar|announce|publi).*")
_NAMES = {
    "kind": ("kind", "type", "action", "action type", "event", "event type", "corporate action"),
    "value": ("value", "amount"),
    "ratio": ("ratio", "split ratio"),
    "cash": ("cash", "cash amount"),
    "into": ("into", "new symbol", "new ticker", "new name"),
    "total_return": ("return", "total return", "delisting return"),
    "pay_date": ("pay date", "paydate", "payment date", "payable date"),
    "id": ("id", "action id", "event id"),
    "split": ("split", "splits", "stock split", "stock splits"),
    "dividend": ("dividend", "dividends", "cash dividend", "cash dividends"),
}
_IN_WORDS = re.compile(r"[:/]|for", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ColumnRoles:
    """Columns by role, '' for a missing one. asset: '' if `symbol=` names the only asset."""

    date: str
    asset: str
    kind: str = ""
    value: str = ""
    ratio: str = ""
    cash: str = ""
    into: str = ""
    total_return: str = ""
    pay_date: str = ""
    id: str = ""
    split: str = ""
    dividend: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return all columns to read: those of the long form, or splits and dividends."""
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        unread = ("split", "dividend") if self.kind else ("value", "ratio", "cash", "into", "total_return", "id")
        return tuple(column for role, column in said.items() if column and role not in unread)


def roles_of(spec: SourceSpec, file: str, head: Any) -> ColumnRoles:
    """Return the column roles of a file of actions. head: its first rows. Raise E201 and E202."""
    names: list[str] = list(head.schema.names)
    for wanted in (spec.date_col, spec.symbol_col):
        if wanted and wanted not in names:
            raise problem(spec, "E202", file, f"has no column '{wanted}'", did_you_mean(wanted, names))
    found = {role: named(spec, file, names, role) for role in _NAMES}
    if not found["kind"] and not (found["split"] or found["dividend"]):
        message = "has no column 'kind', and neither 'split' nor 'dividend': it holds no corporate actions"
        raise problem(spec, "E202", file, message, f"the columns are {', '.join(names[:8])}")
    free = [n for n in names if n not in found.values()]
    date = spec.date_col or _date(spec, file, head, free)
    return ColumnRoles(date, _asset(spec, file, [n for n in free if n != date]), **found)


def named(spec: SourceSpec, file: str, names: list[str], role: str) -> str:
    """Return the column with a role, '' for none. Raise E201 for two of them."""
    found = [n for n in names if _words(n) in _NAMES[role] and n not in (spec.date_col, spec.symbol_col)]
    exact = [n for n in found if n.strip().lower() == role]
    if len(found) > 1 and len(exact) != 1:
        raise problem(spec, "E201", file, f"has two columns for the {role}: {' and '.join(map(repr, found))}")
    return (exact or found or [""])[0]


def _words(name: str) -> str:
    return " ".join(field_of(name).replace("-", " ").split())


def _date(spec: SourceSpec, file: str, head: Any, free: list[str]) -> str:
    """Return the column of ex-dates: by its name, else the only one with dates."""
    for wanted in (*_EX_DATES, *(n.replace("_", " ") for n in DATE_NAMES)):
        for name in free:
            if _words(name) == wanted:
                return name
    dates = [n for n in free if not _NO_EX_DATES.match(_words(n)) and _holds_dates(spec, head, n)]
    if len(dates) == 1:
        return dates[0]
    message = f"has several columns of dates: {', '.join(map(repr, dates))}" if dates else "has no date column"
    raise problem(spec, "E202", file, message, "name the one of ex-dates with date_col=")


def _holds_dates(spec: SourceSpec, head: Any, name: str) -> bool:
    kind = values_of(head.schema.field(name).type)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return True
    return not is_number(kind) and looks_like_dates(head[name], spec.options.date_format)


def _asset(spec: SourceSpec, file: str, free: list[str]) -> str:
    if spec.symbol_col:
        return spec.symbol_col
    for wanted in ASSET_NAMES:
        for name in free:
            if name.strip().lower() == wanted:
                return name
    if spec.options.symbol:
        return ""
    hint = f"call it ticker, or say symbol_col=; the columns are {', '.join(free[:8])}"
    raise problem(spec, "E202", file, "has no column of assets", hint)


# -- cells -------------------------------------------------------------------------------------------------------


def only(column: Any, rows: Rows) -> Any:
    """Return a column with all rows but some set to null, so that errors still name the rows of the file."""
    whole = plain(column)
    whole = whole.cast(pa.string()) if pa.types.is_string_view(whole.type) else whole
    return pc.if_else(pa.array(rows), whole, pa.scalar(None, whole.type))


def numbers_at(spec: SourceSpec, file: str, column: Any, name: str, rows: Rows) -> Floats:
    """Return the numbers of some rows, NaN elsewhere and where missing. column: None for a missing one.

    A float32 is read as its shortest decimal: a dividend of 0.47, not 0.4699999988079071.
    """
    if column is None or not rows.any():
        return np.full(len(rows), np.nan)
    found = numbers(spec, file, only(column, rows), name)
    if not pa.types.is_float32(values_of(column.type)):
        return found
    different, place = np.unique(found.astype(np.float32), return_inverse=True)
    return np.array([float(str(v)) for v in different])[place]


def ratios_at(spec: SourceSpec, file: str, column: Any, name: str, rows: Rows) -> dict[int, Fraction]:
    """Return the ratios of some rows, by row, without missing ones. Raise E201 for an invalid ratio."""
    if column is None or not rows.any():
        return {}
    found: dict[int, Fraction] = {}
    plainly = rows.copy()
    if not is_number(column.type):
        for row, text in enumerate(texts(only(column, rows))):
            if text is not None and text not in MISSING and _IN_WORDS.search(text):
                plainly[row] = False
                found[row] = _ratio(spec, file, name, row, text)
    amounts = numbers_at(spec, file, column, name, plainly)
    for row in np.flatnonzero(~np.isnan(amounts)).tolist():
        found[row] = _ratio(spec, file, name, row, float(amounts[row]))
    return found


def _ratio(spec: SourceSpec, file: str, name: str, row: int, written: float | str) -> Fraction:
    try:
        return parse_ratio(written) if isinstance(written, str) else ratio_of(written)
    except ValueError:
        shown = written[:40] if isinstance(written, str) else f"{written:g}"
        message = f"row {row + 2}, column '{name}': invalid ratio '{shown}'"
        raise problem(spec, "E201", file, message, "write new shares for old ones: 4, 0.25 or 4:1") from None
