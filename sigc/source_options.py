"""The options of a data source, each declared once: its type, the sources it suits, its description.

    prices: load csv from "prices.csv" date_format="%d.%m.%Y" zone=Europe/Berlin asof=400d

The language checks this table, `sigc.data` reads it, documents list it. `SourceOptions` holds the typed values;
the six options that have fields of `SourceSpec` are declared here without a field.

To add an option: a field of `SourceOptions` by `_option`, with a reader from `source_words.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from sigc.errors import Diagnostic, SigcError
from sigc.source_words import (
    AsOf,
    Available,
    Frequency,
    Read,
    Written,
    asof,
    availability,
    date_format,
    flag,
    frequency,
    number,
    one_of,
    text,
    zone,
)

NUMBERS, LABELS, ACTIONS = "numbers", "labels", "actions"
_ANY = frozenset({NUMBERS, LABELS, ACTIONS})
_PANELS = frozenset({NUMBERS, LABELS})
_NUMBERS = frozenset({NUMBERS})


@dataclass(frozen=True, slots=True)
class SourceOption:
    """One declaration. read: converts the text to the option's value. suits: the kinds of source that may have it."""

    name: str
    doc: str
    read: Read
    suits: frozenset[str] = _ANY


def _option(default: Any, read: Read, suits: frozenset[str], doc: str) -> Any:
    return field(default=default, metadata={"read": read, "suits": suits, "doc": doc})


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """The options of a source's declaration. None, or '', if not written."""

    date_format: str = _option("", date_format, _ANY, "The format of dates for strptime: %d.%m.%Y.")
    decimal: str = _option("", one_of(".", ","), _ANY, 'The decimal mark of numbers in csv: "," in 1,5.')
    zone: str = _option("", zone, _ANY, "The zone of stamps without an offset, such as America/New_York.")
    calendar: str = _option("", text("a calendar such as XNYS"), _ANY, "The calendar of the rows, such as XNYS.")
    hours: str = _option("", one_of("regular", "extended"), _PANELS, "extended: keep rows outside of sessions.")
    frequency: Frequency | None = _option(
        None, frequency, _ANY, "sessions, weeks, months, all_days, irregular, or a number: bars a session."
    )
    periods: float | None = _option(None, number(low=0.0, above=True), _NUMBERS, "Periods a year of annual figures.")
    symbol: str = _option("", text("an asset's name"), _ANY, "The one asset of a file that names none.")
    symbol_from: str = _option("", one_of("filename"), _ANY, "filename: each file of a folder is an instrument.")
    asof: AsOf | None = _option(
        None, asof, _PANELS, "true: each row takes the newest value that was available; 400d: not older than that."
    )
    available_after: Available | None = _option(
        None, availability, _PANELS, "A delay (1d, 2 sessions, 0), or the column that holds the publication."
    )
    adjusted: bool = _option(False, flag, _NUMBERS, "true: the prices of the file are adjusted already.")
    traded: str = _option("", text("a column or a source"), _NUMBERS, "The column or source that holds traded prices.")
    mask_anomalies: bool = _option(False, flag, _NUMBERS, "true: signals do not see a jump until it is confirmed.")
    max_anomalies_pct: float | None = _option(
        None, number(low=0.0, high=100.0), _NUMBERS, "Per cent of cells that may be anomalies."
    )
    max_return: float | None = _option(None, number(low=0.0, above=True), _NUMBERS, "A larger return is an anomaly.")
    allow_negative: bool = _option(False, flag, _NUMBERS, "true: prices of zero and below, for research.")
    ended_after: int = _option(
        10, number(low=1.0, whole=True), _NUMBERS, "Sessions without a price after which an asset is presumed ended."
    )


NOTHING_SAID = SourceOptions()
_OF_THE_SPEC = (
    SourceOption("adjust", "Forward adjustment.", one_of("none", "split", "split_div"), _NUMBERS),
    SourceOption("dtype", "The type of values.", one_of("float64", "float32", "int64", "category")),
    SourceOption("date_col", "The column of dates.", text("a column's name")),
    SourceOption("symbol_col", "The column of assets.", text("a column's name")),
    SourceOption("format", "The file's format.", one_of("csv", "parquet", "arrow", default="any")),
    SourceOption("column", "The column of values.", text("a column's name")),
)
OPTIONS: Mapping[str, SourceOption] = MappingProxyType(
    {o.name: o for o in _OF_THE_SPEC}
    | {
        f.name: SourceOption(f.name, f.metadata["doc"], f.metadata["read"], f.metadata["suits"])
        for f in fields(SourceOptions)
    }
)


def source_options(written: Mapping[str, Written]) -> SourceOptions:
    """Return the options of a source, from their texts by name. Raise E101 for an invalid value."""
    own = {f.name for f in fields(SourceOptions)}
    return SourceOptions(**{name: read(name, value) for name, value in written.items() if name in own})


def read(name: str, written: Written) -> Any:
    """Return the value of an option. Raise E101 for an invalid value."""
    try:
        return OPTIONS[name].read(written)
    except ValueError as wrong:
        shown = f"{written:g}" if isinstance(written, float) else f"'{written}'"
        raise SigcError(Diagnostic("E101", f"invalid {name} {shown}", expected=str(wrong))) from None
