"""What a strategy says of a data source, resolved from the text alone; no file has been opened yet."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sigc.errors import Span
from sigc.source_options import NOTHING_SAID, SourceOptions

_URL = re.compile(r"^[a-z][a-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One named panel of data.

    name: as the strategy knows it (`prices`, `fundamentals.roe`). path: as written. others: more files of a list.
    format: csv | parquet | arrow | '' (by extension). column: the file's value column ('' = by shape). date_col,
    symbol_col: '' = found. adjust: none | split | split_div, of what signals see. is_volume: it counts shares. dtype:
    float64 | float32 | int64 | category. base: the folder of the .sig file, first place a relative path is looked for.
    is_actions: it holds corporate actions; is_factor: it is made of them. timeout_s: longest wait for an answer from
    behind a URL, as the settings have it; 0: none. memory_bytes: what reading a file of it may take; 0: whatever there
    is. scratch: where files are put that are gone when closed; '': where the system does. options: what else its
    declaration says.
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
        """The source of each file of a list; of a single path, itself."""
        return tuple(replace(self, path=p, others=()) for p in (self.path, *self.others)) if self.others else (self,)

    @property
    def is_url(self) -> bool:
        """True if it, or one of its files, is behind a URL."""
        return any(_URL.match(path) for path in (self.path, *self.others))
