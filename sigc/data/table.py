"""A file's columns as an arrow table: csv, parquet, arrow, by format or extension. Sizes are checked unread.

Against `max_cells`, and against `spec.memory_bytes`: of parquet the cells that it declares, of other formats the bytes
that are read of them. Both are less than reading takes, so nothing is refused that fits.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from sigc.data.connections import within
from sigc.data.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError
from sigc.secret import without_url_secrets

MISSING = ["", "NaN", "nan", "NAN", "NA", "N/A", "na", "null", "NULL", "Null", "None"]
_MOST_BYTES = 8 << 30  # of a file that is read whole
_CHUNK = 1 << 20  # bytes that one answer from behind a URL is asked for


def read_table(spec: SourceSpec, file: str, max_cells: int, columns: list[str] | None = None) -> Any:
    """The table of a file, only `columns` where given. Raises E200, E201."""
    kind = format_of(spec, file)
    try:
        with open_file(spec, file) as handle:
            match kind:
                case "parquet":
                    return _parquet(spec, file, handle, max_cells, columns)
                case "arrow":
                    return _arrow(spec, file, handle, max_cells, columns)
                case _:
                    return _csv(spec, file, handle)
    except (pa.ArrowException, OSError, ValueError, EOFError) as failure:
        text = str(failure).splitlines()[0][:200] if str(failure) else type(failure).__name__
        raise problem(spec, "E201", file, f"is no readable {kind} file: {text}") from failure


def column_names(spec: SourceSpec, file: str, max_cells: int) -> list[tuple[str, Any]]:
    """(name, arrow type) of each column, without reading values where the format allows."""
    kind = format_of(spec, file)
    if kind == "parquet":
        try:
            with open_file(spec, file) as handle:
                return [(f.name, f.type) for f in pq.read_schema(handle)]
        except (pa.ArrowException, OSError) as failure:
            raise problem(spec, "E201", file, f"is no readable parquet file: {failure}") from failure
    table = read_table(spec, file, max_cells)
    return [(f.name, f.type) for f in table.schema]


def format_of(spec: SourceSpec, file: str) -> str:
    """csv, parquet or arrow. Raises E200 for an extension that says none."""
    if spec.format in ("csv", "parquet", "arrow"):
        return spec.format
    name = file.lower()
    for suffixes, kind in (((".csv", ".csv.gz", ".txt"), "csv"), ((".parquet", ".pq"), "parquet")):
        if name.endswith(suffixes):
            return kind
    if name.endswith((".arrow", ".feather", ".ipc")):
        return "arrow"
    raise problem(spec, "E200", file, "has no extension that says its format", "write csv, parquet or arrow after load")


def open_file(spec: SourceSpec, file: str) -> Any:
    """A binary handle of a local file or URL."""
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
    """A file behind a URL, each piece of it within a time; a long file may take long as a whole."""

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


def _parquet(spec: SourceSpec, file: str, handle: Any, max_cells: int, columns: list[str] | None) -> Any:
    source = pq.ParquetFile(handle)
    about = source.metadata
    wide = len(columns) if columns else about.num_columns
    _size(spec, file, about.num_rows * wide, max_cells)
    needed = 8 * about.num_rows * wide
    if 0 < spec.memory_bytes < needed:
        raise _too_large(spec, file, f"needs {-(-needed >> 20):,} MB, for {about.num_rows:,} rows of {wide:,} columns")
    return source.read(columns=columns)


def _arrow(spec: SourceSpec, file: str, handle: Any, max_cells: int, columns: list[str] | None) -> Any:
    raw = _whole(spec, file, handle)
    try:
        reader = ipc.open_file(io.BytesIO(raw))
        batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
    except pa.ArrowInvalid:
        reader = ipc.open_stream(io.BytesIO(raw))
        batches = list(reader)
    _size(spec, file, sum(b.num_rows for b in batches) * len(reader.schema), max_cells)
    table = pa.Table.from_batches(batches, reader.schema)
    return table.select(columns) if columns else table


def _csv(spec: SourceSpec, file: str, handle: Any) -> Any:
    raw = _whole(spec, file, handle)
    if not raw.strip():
        raise problem(spec, "E201", file, "is empty")
    convert = pacsv.ConvertOptions(null_values=MISSING, strings_can_be_null=True, timestamp_parsers=[pacsv.ISO8601])
    return pacsv.read_csv(io.BytesIO(raw), convert_options=convert)


def _whole(spec: SourceSpec, file: str, handle: Any) -> bytes:
    """All bytes of a file; no more is read than may be."""
    most = min(_MOST_BYTES, spec.memory_bytes or _MOST_BYTES)
    raw: bytes = handle.read(most + 1)
    if len(raw) <= most:
        return raw
    if most < _MOST_BYTES:
        raise _too_large(spec, file, f"has more than {most >> 20:,} MB")
    raise problem(spec, "E201", file, f"is larger than {_MOST_BYTES >> 30} GB", "convert it to parquet")


def _too_large(spec: SourceSpec, file: str, needs: str) -> SigcError:
    message = f"{needs} to be read; {spec.memory_bytes >> 20:,} MB are allowed"
    hint = "raise daemon.max_memory_mb, split it into a folder of files by date, or write it as wide parquet"
    return problem(spec, "E201", file, message, hint)


def _size(spec: SourceSpec, file: str, cells: int, max_cells: int) -> None:
    if cells > max_cells:
        message = f"declares {cells:,} cells, more than the {max_cells:,} allowed"
        raise problem(spec, "E201", file, message, "raise data.max_cells if that is right")


def problem(spec: SourceSpec, code: str, file: str, message: str, hint: str = "") -> SigcError:
    """An error about a file of a source."""
    text = without_url_secrets(f"source '{spec.name}': {file} {message}")
    return SigcError(Diagnostic(code, text, spec.span, hint=hint))
