"""What a strategy says of a data source, resolved from the text alone; no file has been opened yet."""

from __future__ import annotations

from dataclasses import dataclass

from sigc.errors import Span


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One named panel of data.

    name: as the strategy knows it (`prices`, `fundamentals.roe`). path: as written. format: csv | parquet |
    arrow | '' (by extension). column: the file's value column ('' = by shape). date_col, symbol_col: '' = found.
    adjust: none | split | split_div. dtype: float64 | float32 | int64 | category. base: the folder of the
    .sig file, first place a relative path is looked for. actions: the source that holds corporate actions.
    """

    name: str
    path: str
    format: str = ""
    column: str = ""
    date_col: str = ""
    symbol_col: str = ""
    adjust: str = "none"
    dtype: str = "float64"
    base: str = "."
    actions: str = ""
    is_actions: bool = False
    span: Span | None = None
