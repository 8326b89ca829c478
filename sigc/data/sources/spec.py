"""The declaration of a data source, resolved from the text alone, before any file is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sigc.errors import Span
from sigc.source_options import NOTHING_SAID, SourceOptions

_URL = re.compile(r"^[a-z][a-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One named data source of a strategy.

    name: in the strategy (`prices`, `fundamentals.roe`). path: as written. others: more files of a list. format: csv |
    parquet | arrow | '' (by extension). column: the file's value column ('' = by layout). date_col, symbol_col: '' =
    recognised. adjust: none | split | split_div, for signals. is_volume: it counts shares. dtype: float64 | float32 |
    int64 | category. base: the folder of the .sig file, where a relative path is searched first. is_actions: it holds
    corporate actions; is_factor: it is made of them. timeout_s: for one answer from a URL; 0: no limit. memory_bytes:
    for reading a file; 0: no limit. scratch: the folder of temporary files; '': the system's. options: its other
    options.
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
    is_volume: bool = False
    is_actions: bool = False
    is_factor: bool = False
    span: Span | None = None
    timeout_s: float = 0.0
    memory_bytes: int = 0
    scratch: str = ""
    options: SourceOptions = NOTHING_SAID
    others: tuple[str, ...] = ()

    @property
    def each(self) -> tuple[SourceSpec, ...]:
        """Return the source of each file of a list; for a single path, itself."""
        return tuple(replace(self, path=p, others=()) for p in (self.path, *self.others)) if self.others else (self,)

    @property
    def is_url(self) -> bool:
        """Return True if it, or one of its files, is behind a URL."""
        return any(_URL.match(path) for path in (self.path, *self.others))
