"""Recognition of the layout of a table, from the names of its columns and its first rows.

    wide    a date, then one column per asset
    long    date, asset, value
    fields  a date and the fields of one instrument, named by `symbol=`
    static  asset, value: constant in time
    intervals  asset, from, to, and perhaps a value: valid between two days, both inclusive

Nothing is guessed: an ambiguous table is an error that names both readings. A column holds assets only if its name says
so (`ticker`, `symbol`, ...), if it holds text or whole numbers, and if its values repeat over dates; so a wide file may
have assets called SID, RIC, DAY, DT, TIME, NAME. A stored row index is dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sigc.data.dates.looks import looks_like_dates
from sigc.data.formats.cells import is_number, is_text, texts, values_of
from sigc.data.missing_words import MISSING, is_unnamed
from sigc.data.source_errors import problem
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, Severity, did_you_mean

DATE_NAMES = ("date", "datetime", "timestamp", "time", "day", "trade_date", "dt", "as_of", "asof", "trading_day")
ASSET_NAMES = (
    "ticker", "symbol", "asset", "name", "security", "instrument", "permno", "isin", "sedol", "cusip", "sid", "ric",
)  # fmt: skip
_ENDS = (
    ("from", "to"), ("start", "end"), ("start_date", "end_date"), ("from_date", "to_date"), ("valid_from", "valid_to"),
)  # fmt: skip
_PRICE_NAMES = ("prices", "price", "px", "close")
CLOSES = frozenset({"close", "adj close", "adjclose", "adjusted close", "price", "last", "settle"})
FIELDS = CLOSES | {
    "open", "high", "low", "volume", "vwap", "turnover", "amount", "dividends", "dividend", "stock splits", "splits",
    "split", "bid", "ask", "mid", "open interest", "trades", "capital gains", "value", "change",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableLayout:
    """The layout of a table. shape: wide, long, fields, static or intervals.

    date, asset, value: columns, '' if the shape has none. values: the columns of a wide file; names: their assets.
    published: the column of the publication. until: the column of an interval's last day; `date` is that of its first.
    """

    shape: str
    date: str
    asset: str
    value: str
    values: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    published: str = ""
    until: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return all columns to read."""
        own = self.values if self.shape == "wide" else (self.value,)
        return tuple(c for c in (self.date, self.until, self.asset, self.published, *own) if c)

    def numbers(self, spec: SourceSpec) -> tuple[str, ...]:
        """Return the columns that hold numbers."""
        if spec.dtype == "category":
            return ()
        return self.values if self.shape == "wide" else tuple(c for c in (self.value,) if c)


def layout(spec: SourceSpec, file: str, head: Any, indices: frozenset[str] = frozenset()) -> TableLayout:
    """Return the layout of a table. head: its first rows, an arrow table. indices: columns that pandas calls an index.

    Raise E201, E202.
    """
    names: list[str] = list(head.schema.names)
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise problem(spec, "E201", file, f"has two columns '{twice}'")
    said = (spec.date_col, spec.symbol_col, spec.column, _published(spec))
    for wanted in said:
        if wanted and wanted not in names:
            raise problem(spec, "E202", file, f"has no column '{wanted}'", did_you_mean(wanted, names))
    ends = _interval(spec, file, head)
    if ends is not None:
        return ends
    date = spec.date_col or _date_column(spec, file, head)
    dropped = [n for n in names if n not in (date, *said) and _is_row_index(head, n, indices)]
    findings = [_dropped(spec, n) for n in dropped]
    rest = [n for n in names if n not in (date, _published(spec), *dropped)]
    asset = _asset_column(spec, file, head, rest, date)
    others = [n for n in rest if n != asset]
    if not date:
        if asset and others:
            return TableLayout("static", "", asset, _value(spec, file, others, head), findings=tuple(findings))
        raise problem(spec, "E202", file, "has no date column", _no_date_hint(names))
    if not others:
        raise problem(spec, "E202", file, "has no column beside the date")
    if asset:
        value = _value(spec, file, others, head)
        return TableLayout("long", date, asset, value, findings=tuple(findings), published=_published(spec))
    if spec.options.symbol:
        value = _value(spec, file, others, head)
        return TableLayout("fields", date, "", value, findings=tuple(findings), published=_published(spec))
    _refuse_fields(spec, file, others)
    chosen = (spec.column,) if spec.column else tuple(others)
    _refuse_text(spec, file, head, chosen)
    held = _trimmed(spec, file, chosen)
    return TableLayout("wide", date, "", "", chosen, held, tuple(findings), _published(spec))


def _published(spec: SourceSpec) -> str:
    """Return the column with the publication of a value, '' for none."""
    return spec.options.available_after.column if spec.options.available_after is not None else ""


# -- intervals ---------------------------------------------------------------------------------------------------


def may_be_intervals(names: list[Any]) -> bool:
    """Return True if two columns are named like the ends of an interval."""
    known = {str(n).strip().lower() for n in names}
    return any(a in known and b in known for a, b in _ENDS)


def _interval(spec: SourceSpec, file: str, head: Any) -> TableLayout | None:
    """Return the layout of an interval file: two day columns named as ends, one of assets, none of dates; else None."""
    if spec.date_col or spec.is_actions or _published(spec):
        return None
    by_lower = {str(n).strip().lower(): str(n) for n in head.schema.names}
    ends = next(((by_lower[a], by_lower[b]) for a, b in _ENDS if a in by_lower and b in by_lower), None)
    if ends is None or not any(_holds_days(spec, head, n) for n in ends):
        return None
    rest = head.drop_columns(list(ends))
    known = (spec.symbol_col,) if spec.symbol_col else ASSET_NAMES
    asset = next((n for n in rest.schema.names if n == spec.symbol_col or n.strip().lower() in known), "")
    if not asset or _date_column(spec, file, rest):
        return None
    others = [n for n in rest.schema.names if n != asset and not _is_row_index(head, n, frozenset())]
    value = _value(spec, file, others, head) if others else ""
    return TableLayout("intervals", ends[0], asset, value, until=ends[1])


def _holds_days(spec: SourceSpec, head: Any, name: str) -> bool:
    return _is_time(head.schema.field(name).type) or looks_like_dates(head[name], spec.options.date_format)


# -- which column says what --------------------------------------------------------------------------------------


def _date_column(spec: SourceSpec, file: str, head: Any) -> str:
    """Return the date column: of a date type, else text written as dates. '' for none.

    Of several, the one named like a date; else they are an error.
    """
    taken = (spec.symbol_col, spec.column, _published(spec))
    columns: list[str] = [n for n in head.schema.names if n not in taken]
    typed = [n for n in columns if _is_time(head.schema.field(n).type)]
    if len(typed) > 1:
        named = [n for n in typed if n.strip().lower() in DATE_NAMES]
        if len(named) != 1:
            raise problem(
                spec, "E202", file, f"has several columns of dates: {', '.join(map(repr, typed))}", "say date_col="
            )
        return named[0]
    if typed:
        return typed[0]
    written = [n for n in columns if not is_number(head.schema.field(n).type) or n.strip().lower() in DATE_NAMES]
    named = [n for n in written if n.strip().lower() in DATE_NAMES]
    dates = [n for n in named if looks_like_dates(head[n], spec.options.date_format)]
    if len(dates) > 1:
        exact = [n for n in dates if n.strip().lower() == "date"]
        if len(exact) != 1:
            raise problem(
                spec, "E202", file, f"has several columns of dates: {', '.join(map(repr, dates))}", "say date_col="
            )
        return exact[0]
    if dates:
        return dates[0]
    unnamed = [n for n in written if is_unnamed(n) and looks_like_dates(head[n], spec.options.date_format)]
    if unnamed:
        return unnamed[0]
    # A column named like a date with invalid cells: they are reported later, unless the column is an asset's.
    return next((n for n in named if n.strip().lower() == "date" or not _all_numbers(head[n])), "")


def _is_time(kind: Any) -> bool:
    kind = values_of(kind)
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _all_numbers(column: Any) -> bool:
    """Return True if every cell is a number and not a date."""
    if is_number(column.type):
        return True
    found = [t for t in texts(column) if t is not None]
    return bool(found) and all(re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", t) for t in found)


def _asset_column(spec: SourceSpec, file: str, head: Any, rest: list[str], date: str) -> str:
    """Return the asset column, '' for none. Raise E202 if a column could be either that or an asset."""
    if spec.symbol_col:
        return spec.symbol_col
    for name in rest:
        kind = values_of(head.schema.field(name).type)
        is_code = is_text(kind) or pa.types.is_integer(kind)
        if (
            name.strip().lower() in ASSET_NAMES
            and name != spec.column
            and is_code
            and _is_of_assets(spec, file, head, name, rest, date)
        ):
            return name
    return ""


def _is_of_assets(spec: SourceSpec, file: str, head: Any, name: str, rest: list[str], date: str) -> bool:
    if not date:
        return len(rest) > 1 or spec.is_actions
    # Then by evidence: repeated dates, missing cells, text cells, a value column beside it.
    days = texts(head[date])
    if len(set(days)) < len(days):
        return True  # several rows per date: the asset distinguishes them
    held = texts(head[name])
    others = [n for n in rest if n != name]
    if not any(held):
        return any(_is_value_name(spec, n) for n in others)
    if not _is_written_number(head, name):
        labels_only = spec.dtype == "category" and all(not is_number(head.schema.field(n).type) for n in others)
        if labels_only and len(others) == 1 and not _is_value_name(spec, others[0]) and len(set(held)) > 1:
            hint = f"say symbol_col={name} if it holds assets, or column= with the assets' columns"
            raise problem(spec, "E202", file, f"column '{name}' could hold the assets, or be an asset of its own", hint)
        return not labels_only or len(set(held)) == 1 or any(_is_value_name(spec, n) for n in others)
    repeats = len(set(held)) == 1 and len(held) > 1
    named = any(_is_value_name(spec, n) for n in others) or any(field_of(n) in FIELDS for n in others)
    if not repeats and not named:
        return False
    if named:
        return True
    hint = f"say symbol_col={name} if it holds assets; else name the other assets by column="
    raise problem(spec, "E202", file, f"column '{name}' could hold the assets, or be an asset of its own", hint)


def _is_written_number(head: Any, name: str) -> bool:
    kind = values_of(head.schema.field(name).type)
    if pa.types.is_integer(kind):
        return True
    found = [t for t in texts(head[name]) if t is not None]
    return bool(found) and all(re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", t) for t in found)


def _is_value_name(spec: SourceSpec, name: str) -> bool:
    return name.lower() in _value_names(spec)


def _value_names(spec: SourceSpec) -> list[str]:
    short = spec.name.rpartition(".")[2].lower()
    return [short, short.rstrip("s"), *(_PRICE_NAMES if short in _PRICE_NAMES else ())]


def _value(spec: SourceSpec, file: str, others: list[str], head: Any) -> str:
    """Return the value column: as declared, named like the source, the only numeric one, or the only one."""
    if spec.column:
        return spec.column
    by_lower = {n.strip().lower(): n for n in others}
    for name in _value_names(spec):
        if name in by_lower:
            return by_lower[name]
    numeric = [n for n in others if is_number(head.schema.field(n).type) or _all_numbers(head[n])]
    if spec.dtype != "category" and len(numeric) == 1:
        return numeric[0]
    if len(others) == 1:
        return others[0]
    short = spec.name.rpartition(".")[2]
    hint = f"name one of {', '.join(others[:8])} with column=, or with 'columns:' in a long-form data section"
    raise problem(spec, "E202", file, f"has several columns and none is called '{short}'", hint)


# -- what is no asset --------------------------------------------------------------------------------------------


def is_plain(names: tuple[str, ...]) -> bool:
    """Return True if all names are assets for certain: no row index, and not the fields of one instrument."""
    has_fields = len(names) > 1 and all(field_of(n) in FIELDS for n in names)
    return not has_fields and not any(is_unnamed(n) or n != n.strip() for n in names)


def _is_row_index(head: Any, name: str, indices: frozenset[str]) -> bool:
    """Return True for a stored row index: a column of whole numbers that pandas named, or calls its index."""
    if not (is_unnamed(name) or name in indices):
        return False
    if name in indices and not is_unnamed(name) and name.lower() in ASSET_NAMES:
        return False
    kind = values_of(head.schema.field(name).type)
    if pa.types.is_integer(kind):
        return True
    found = [t for t in texts(head[name]) if t is not None]
    return all(re.fullmatch(r"\d+(\.0)?", t) for t in found)


def _dropped(spec: SourceSpec, name: str) -> Diagnostic:
    message = f"source '{spec.name}': column '{name}' is a stored row index, and is left out"
    return Diagnostic("W002", message, spec.span, Severity.WARNING, hint="write files by to_csv(index=False)")


def field_of(name: str) -> str:
    """Return the name of a field as words: `Adj_Close` and `4. close` are `adj close` and `close`."""
    return re.sub(r"^\d+\.\s*", "", name.strip().lower()).replace("_", " ")


def _refuse_fields(spec: SourceSpec, file: str, others: list[str]) -> None:
    """Refuse open, high, low, close of one instrument as assets."""
    found = {field_of(n) for n in others}
    if len(others) > 1 and found <= FIELDS and found & CLOSES:
        message = f"has the fields of one instrument ({', '.join(others[:6])}) and does not say which"
        hint = 'say its name: symbol="SPY", or symbol_from=filename for a folder of such files'
        raise problem(spec, "E201", file, message, hint)


def _refuse_text(spec: SourceSpec, file: str, head: Any, chosen: tuple[str, ...]) -> None:
    """Refuse a text column in a wide file, and name it as the possible asset column."""
    if spec.dtype == "category" or len(chosen) < 2:
        return
    code = next((n for n in chosen if is_text(head.schema.field(n).type) and _is_code(head[n])), "")
    if code:
        hint = f"if column '{code}' holds the assets, say symbol_col={code}"
        raise problem(
            spec, "E202", file, f"column '{code}' holds text, and none is named like a column of assets", hint
        )


def _is_code(column: Any) -> bool:
    found = [t for t in texts(column) if t is not None]
    return bool(found) and all(re.fullmatch(r"[A-Za-z][A-Za-z0-9.\-/ ]*", t) for t in found) and not _are_missing(found)


def _are_missing(found: list[str]) -> bool:
    return all(t in MISSING or t.lower() in ("true", "false") for t in found)


def _trimmed(spec: SourceSpec, file: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return trimmed names. Raise E201 for names that become equal, or an empty one."""
    names = tuple(c.strip() for c in columns)
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise problem(spec, "E201", file, f"has two columns '{twice}', which differ by blanks")
    if "" in names:
        raise problem(
            spec, "E201", file, f"has a column without a name (column {np.argmax([not n for n in names]) + 2})"
        )
    return names


def _no_date_hint(names: list[str]) -> str:
    return f"name it with date_col=; the columns are {', '.join(names[:8])}"
