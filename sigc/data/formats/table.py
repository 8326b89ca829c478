"""Opening a file as a table, by its format or extension. Sizes are checked before reading.

The limits are `max_cells` and `spec.memory_bytes`: for parquet the declared cells, for other formats the bytes of the
file. Both are less than reading takes, so no file is refused that fits.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from sigc.data.formats.arrow import open_arrow
from sigc.data.formats.csv import CsvFile
from sigc.data.formats.parquet import ParquetFile, too_large
from sigc.data.source_errors import problem
from sigc.data.sources.connections import within
from sigc.data.sources.partitions import with_partitions
from sigc.data.sources.registry import is_outside, outside_table
from sigc.data.sources.source import Table
from sigc.data.sources.spec import SourceSpec

FORMATS = ("csv", "parquet", "arrow")
SUFFIXES = {
    ".csv": "csv", ".csv.gz": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
_MOST_BYTES = 8 << 30  # limit of a file read whole
_CHUNK = 1 << 20  # bytes requested at a time from a URL


@contextmanager
def opened(spec: SourceSpec, file: str, max_cells: int) -> Iterator[Table]:
    """Open a file, or a source from outside, as a table. Raise E200, E201."""
    if is_outside(spec):
        with outside_table(spec, max_cells) as table:
            yield table
        return
    kind = format_of(spec, file)
    try:
        with open_file(spec, file) as handle:
            match kind:
                case "parquet":
                    yield with_partitions(ParquetFile(spec, file, handle, max_cells), file)
                case "arrow":
                    yield with_partitions(open_arrow(spec, file, _whole(spec, file, handle), max_cells), file)
                case _:
                    yield with_partitions(CsvFile(spec, file, _whole(spec, file, handle)), file)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as failure:
        text = str(failure).splitlines()[0][:200] if str(failure) else type(failure).__name__
        raise problem(spec, "E201", file, f"is not a readable {kind} file: {text}") from failure


def format_of(spec: SourceSpec, file: str) -> str:
    """Return csv, parquet or arrow. Raise E200 for an unknown extension."""
    if spec.format in FORMATS:
        return spec.format
    name = file.lower()
    for suffix, kind in SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    raise problem(spec, "E200", file, "has no known extension", "write csv, parquet or arrow after load")


def open_file(spec: SourceSpec, file: str) -> Any:
    """Return a binary handle of a local file or URL."""
    if "://" in file:
        import fsspec

        def opened() -> Any:
            return fsspec.open(file, "rb", compression="infer").open()

        remote = within(spec.timeout_s, opened)
        return io.BufferedReader(_Remote(remote, spec.timeout_s), _CHUNK) if spec.timeout_s else remote
    if file.endswith(".gz"):
        import gzip

        return gzip.open(file, "rb")
    return Path(file).open("rb")


class _Remote(io.RawIOBase):
    """A file behind a URL with a timeout for each piece; a long file may take long in total."""

    def __init__(self, inner: Any, timeout_s: float) -> None:
        self._inner, self._timeout_s = inner, timeout_s

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._inner.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._inner.seek(offset, whence))

    def tell(self) -> int:
        return int(self._inner.tell())

    def readinto(self, buffer: Any) -> int:
        data = within(self._timeout_s, lambda: self._inner.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        pieces = []
        while piece := within(self._timeout_s, lambda: self._inner.read(_CHUNK)):
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        self._inner.close()
        super().close()


def _whole(spec: SourceSpec, file: str, handle: Any) -> bytes:
    """Return all bytes of a file; no more than the limit is read."""
    most = min(_MOST_BYTES, spec.memory_bytes or _MOST_BYTES)
    raw: bytes = handle.read(most + 1)
    if len(raw) <= most:
        return raw
    if most < _MOST_BYTES:
        raise too_large(spec, file, f"has more than {most >> 20:,} MB")
    raise problem(spec, "E201", file, f"is larger than {_MOST_BYTES >> 30} GB", "convert it to parquet")
