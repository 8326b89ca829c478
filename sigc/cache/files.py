"""The format of one cached block: parquet any tool can open, written and read whole.

A `date` column and one FixedSizeList<double> column of all assets: a column an asset would read tens of times
slower. Uncompressed, no dictionary, one page, so that the values lie in the file as they lie in memory, at the end of
their column: `layout.py` writes them there, we read them from there, and let parquet's reader decode them only where
the checksum says otherwise.
Notes in the foot: `sigc`, a JSON text of format, key, rows, asset names, labels; `sigc.checksum`, XXH3-128 over that
text, the dates and the values. It is against damage: whoever may write into the directory is trusted.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from sigc.blocks import Carry, Facts, Place
from sigc.cache.layout import pieces
from sigc.panel import Dates, Floats, Panel

FORMAT = "2"  # of blocks and facts: raised when an older sigc could not read them, or we not its
MOST_CELLS = 1 << 30  # of one block: beyond it a file is hostile or broken, and isn't opened


class DamagedError(Exception):
    """A file of the cache that is not what was written."""


class OtherFormatError(Exception):
    """A file of the cache that another version of sigc wrote. Nothing is wrong with it."""


def replace(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    _replace(path, [content])


def write_facts(path: Path, facts: Facts) -> None:
    """The facts as JSON, with a checksum of their own."""
    data = asdict(facts) | {"digests": facts.digests.hex(), "format": FORMAT}
    body = json.dumps(data, separators=(",", ":"), sort_keys=True)
    replace(path, f"{_checksum(body.encode())}\n{body}\n".encode())


def read_facts(path: Path, *, any_format: bool = False) -> Facts:
    """Raises FileNotFoundError, `DamagedError`, `OtherFormatError`. any_format: unchecked, whoever wrote them."""
    raw = path.read_bytes()
    try:
        checksum, body, _ = raw.decode().split("\n")
        data = json.loads(body)
        is_ours = data.pop("format", "1") == FORMAT  # the first format did not say
        if not (is_ours or any_format):
            raise OtherFormatError(str(path))
        if is_ours and _checksum(body.encode()) != checksum:
            raise DamagedError("its facts have another checksum")
        return Facts(**{**data, "digests": bytes.fromhex(data["digests"])})
    except (ValueError, TypeError, KeyError, AttributeError) as broken:
        raise DamagedError("its facts can't be read") from broken


def write_panel(path: Path, facts: Facts, panel: Panel) -> None:
    """A panel as parquet."""
    labels = None if panel.labels is None else list(panel.labels)
    about = {"names": list(panel.names), "labels": labels, "entry": f"{facts.name}_{facts.label}"}
    _write(path, facts.key, about, panel.dates, panel.values)


def read_panel(path: Path, key: str, place: Place | None = None) -> Panel:
    """place: gives the memory for the values. Raises FileNotFoundError, `DamagedError`."""
    about, dates, values = _read(path, key, place or _anywhere)
    labels = about["labels"]
    return Panel(dates, tuple(about["names"]), values, None if labels is None else tuple(labels))


def write_carry(path: Path, facts: Facts, carry: Carry) -> None:
    """State vectors as parquet, one row a component."""
    _write(path, facts.key, {"names": list(carry.names)}, None, np.ascontiguousarray(carry.values))


def read_carry(path: Path, key: str) -> Carry:
    """Raises FileNotFoundError, `DamagedError`."""
    about, _, values = _read(path, key, _anywhere)
    return Carry(tuple(about["names"]), values)


def _write(path: Path, key: str, about: dict[str, Any], dates: Dates | None, values: Floats) -> None:
    text = json.dumps({"format": FORMAT, "key": key, "rows": len(values), **about, "dated": dates is not None})
    stamps = np.empty(0, "datetime64[ns]") if dates is None else dates
    _replace(path, pieces(dates, values, {"sigc": text, "sigc.checksum": _checksum(text.encode(), stamps, values)}))


def _replace(path: Path, content: Iterable[bytes | memoryview]) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as out:
            out.writelines(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(path: Path, key: str, place: Place) -> tuple[dict[str, Any], Dates, Floats]:
    """What is told of the block, its dates (none of a state) and values, verified."""
    with _opened(path, key) as (file, about, text, checksum):
        dates, values = _as_they_lie(path, file, about, place)
        if _checksum(text, dates, values) != checksum:
            dates, values = _decoded(file.read(use_threads=False), about)
            if _checksum(text, dates, values) != checksum:
                raise DamagedError("its checksum differs")
    return about, dates, values


def _anywhere(rows: int, width: int) -> Floats:
    return np.empty((rows, width))


@contextmanager
def _opened(path: Path, key: str) -> Iterator[tuple[Any, dict[str, Any], bytes, str]]:
    """The file, what is told of the block, that as the text it was, its checksum. Sizes are checked before reading."""
    try:
        with pq.ParquetFile(path) as file:
            notes = file.metadata.metadata or {}
            if b"sigc" not in notes:
                raise DamagedError("it is no file of the cache")
            about = json.loads(notes[b"sigc"])
            if about["format"] != FORMAT or about["key"] != key:
                raise DamagedError("it holds another block")
            if max(file.metadata.num_rows, int(about["rows"])) * max(1, len(about["names"])) > MOST_CELLS:
                raise DamagedError("it declares an absurd size")
            yield file, about, notes[b"sigc"], notes[b"sigc.checksum"].decode()
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as broken:
        if isinstance(broken, FileNotFoundError):
            raise
        raise DamagedError(f"it can't be read: {str(broken)[:80]}") from broken


def _as_they_lie(path: Path, file: Any, about: dict[str, Any], place: Place) -> tuple[Dates, Floats]:
    """Dates and values straight from the file, if they lie there in one piece each. To be checked."""
    rows = int(about["rows"])
    values = place(rows, len(about["names"]))
    stamps = np.empty(rows if about["dated"] else 0, "i8")
    if file.metadata.num_row_groups == 1:
        group = file.metadata.row_group(0)
        with path.open("rb", buffering=0) as raw:
            for number, array in enumerate(a for a in (stamps, values) if a.size):
                column = group.column(number)
                raw.seek(column.data_page_offset + column.total_compressed_size - array.nbytes)
                raw.readinto(array.data.cast("B"))
    return stamps.view("datetime64[ns]"), values


def _decoded(table: Any, about: dict[str, Any]) -> tuple[Dates, Floats]:
    """Dates and values as parquet's reader finds them: blocks of several pages."""
    rows, width = int(about["rows"]), len(about["names"])
    stamps = (
        table["date"].combine_chunks().view(pa.int64()).to_numpy() if about["dated"] and rows else np.empty(0, "i8")
    )
    chunks = [c.flatten().to_numpy() for c in table["values"].chunks] if rows * width else []
    flat = np.concatenate(chunks) if chunks else np.empty(0)
    if len(flat) != rows * width:
        raise DamagedError("its values do not fit its names")
    return stamps.view("datetime64[ns]"), flat.reshape(rows, width)


def _checksum(text: bytes, *arrays: Dates | Floats) -> str:
    state = xxhash.xxh3_128(text)
    for array in arrays:
        if array.size:
            state.update(array.view("i8").data)
    return state.hexdigest()
