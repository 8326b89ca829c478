"""The file format of one cached block: standard parquet, written and read whole.

A `date` column and one FixedSizeList<double> column of all assets: one column per asset would be tens of times slower
to read. Uncompressed, no dictionary, one page, so that the values lie in the file as in memory, at the end of their
column: `layout.py` writes them there, and `_as_they_lie` reads them from there; parquet's reader decodes them only if
the checksum disagrees. Key-value metadata in the footer: `sigc`, a JSON text of format, key, rows, labels;
`sigc.names`, a JSON list of the assets; `sigc.checksum`, XXH3-128 over these texts, the dates and the values. The
checksum is against damage; `parquet.py` checks who may write into the directory. Thousands of names are the same in
most blocks, so they are encoded and decoded once.
"""

from __future__ import annotations

import functools
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

from sigc.blocks.block import BlockFacts, CarryState, Place
from sigc.cache.layout import pieces
from sigc.panel import Dates, Floats, Panel

FORMAT = "2"  # version of blocks and facts: raise it when old and new code can't read each other's files
MOST_CELLS = 1 << 30  # of one block: a larger file is hostile or damaged, and is not opened


class DamagedError(Exception):
    """A damaged file of the cache."""


class OtherFormatError(Exception):
    """A file of the cache in the format of another version of sigc. It is not damaged."""


def replace(path: Path, content: bytes) -> None:
    """Write a file completely or not at all."""
    _replace(path, [content])


def write_facts(path: Path, facts: BlockFacts) -> None:
    """Write facts as JSON, with their own checksum."""
    data = asdict(facts) | {"digests": facts.digests.hex(), "format": FORMAT}
    body = json.dumps(data, separators=(",", ":"), sort_keys=True)
    replace(path, f"{_checksum((body.encode(),))}\n{body}\n".encode())


def read_facts(path: Path, *, any_format: bool = False) -> BlockFacts:
    """Return facts. any_format: of any version, unchecked. Raise FileNotFoundError, DamagedError, OtherFormatError."""
    raw = path.read_bytes()
    try:
        checksum, body, _ = raw.decode().split("\n")
        data = json.loads(body)
        is_ours = data.pop("format", "1") == FORMAT  # the first format had no such field
        if not (is_ours or any_format):
            raise OtherFormatError(str(path))
        if is_ours and _checksum((body.encode(),)) != checksum:
            raise DamagedError("the checksum of its facts differs")
        return BlockFacts(**{**data, "digests": bytes.fromhex(data["digests"])})
    except (ValueError, TypeError, KeyError, AttributeError) as broken:
        raise DamagedError("its facts can't be read") from broken


def write_panel(path: Path, facts: BlockFacts, panel: Panel) -> None:
    """Write a panel as parquet."""
    labels = None if panel.labels is None else list(panel.labels)
    about = {"key": facts.key, "entry": f"{facts.name}_{facts.label}", "labels": labels, "dated": True}
    _write(path, about, panel.names, panel.dates, panel.values)


def read_panel(path: Path, key: str, place: Place | None = None) -> Panel:
    """Return a panel. place: allocates the values. Raise FileNotFoundError, `DamagedError`, `OtherFormatError`."""
    about, names, dates, values = _read(path, key, place or _anywhere)
    labels = about["labels"]
    return Panel(dates, names, values, None if labels is None else tuple(labels))


def write_carry(path: Path, facts: BlockFacts, carry: CarryState) -> None:
    """Write state vectors as parquet, one row per component."""
    about = {"key": facts.key, "dated": False}
    _write(path, about, carry.names, np.empty(0, "datetime64[ns]"), np.ascontiguousarray(carry.values))


def read_carry(path: Path, key: str) -> CarryState:
    """Return state vectors. Raise FileNotFoundError, `DamagedError`, `OtherFormatError`."""
    _, names, _, values = _read(path, key, _anywhere)
    return CarryState(names, values)


def _write(path: Path, about: dict[str, Any], names: tuple[str, ...], dates: Dates, values: Floats) -> None:
    text, listed = json.dumps({"format": FORMAT, "rows": len(values), **about}), _listed(names)
    checksum = _checksum((text.encode(), listed.encode()), dates, values)
    notes = {"sigc": text, "sigc.names": listed, "sigc.checksum": checksum}
    _replace(path, pieces(dates if about["dated"] else None, values, notes))


def _replace(path: Path, content: Iterable[bytes | memoryview]) -> None:
    # Own name per writer: several processes may write one block at the same time, with the same bytes.
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


def _read(path: Path, key: str, place: Place) -> tuple[dict[str, Any], tuple[str, ...], Dates, Floats]:
    """Return a block's description, assets, dates (none for a state) and values, verified."""
    with _opened(path, key) as (file, texts, checksum):
        about, names = json.loads(texts[0]), _names(texts[1])
        dates, values = _as_they_lie(path, file, about, place(int(about["rows"]), len(names)))
        if _checksum(texts, dates, values) != checksum:
            dates, values = _decoded(file.read(use_threads=False), about, len(names))
            if _checksum(texts, dates, values) != checksum:
                raise DamagedError("its checksum differs")
    return about, names, dates, values


@functools.lru_cache(maxsize=16)
def _listed(names: tuple[str, ...]) -> str:
    return json.dumps(names)


@functools.lru_cache(maxsize=16)
def _names(text: bytes) -> tuple[str, ...]:
    return tuple(json.loads(text))


def _anywhere(rows: int, width: int) -> Floats:
    return np.empty((rows, width))


@contextmanager
def _opened(path: Path, key: str) -> Iterator[tuple[Any, tuple[bytes, bytes], str]]:
    """Yield the file, its metadata texts, its checksum. Sizes are checked before anything is read."""
    try:
        with pq.ParquetFile(path) as file:
            notes = file.metadata.metadata or {}
            if b"sigc" not in notes:
                raise DamagedError("it is not a file of the cache")
            about, names = json.loads(notes[b"sigc"]), _names(notes[b"sigc.names"])
            if about["format"] != FORMAT:
                raise OtherFormatError(str(path))
            if about["key"] != key:
                raise DamagedError("it holds another block")
            if max(file.metadata.num_rows, int(about["rows"])) * max(1, len(names)) > MOST_CELLS:
                raise DamagedError("its declared size is impossible")
            yield file, (notes[b"sigc"], notes[b"sigc.names"]), notes[b"sigc.checksum"].decode()
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError) as broken:
        if isinstance(broken, FileNotFoundError):
            raise
        raise DamagedError(f"it can't be read: {str(broken)[:80]}") from broken


def _as_they_lie(path: Path, file: Any, about: dict[str, Any], values: Floats) -> tuple[Dates, Floats]:
    """Return dates, and `values` filled, straight from the file's bytes. The caller must check them."""
    stamps = np.empty(len(values) if about["dated"] else 0, "i8")
    if file.metadata.num_row_groups == 1:
        group = file.metadata.row_group(0)
        with path.open("rb", buffering=0) as raw:
            for number, array in enumerate(a for a in (stamps, values) if a.size):
                column = group.column(number)
                # The values are the last bytes of the column chunk, after the page head and the levels.
                raw.seek(column.data_page_offset + column.total_compressed_size - array.nbytes)
                raw.readinto(array.data.cast("B"))
    return stamps.view("datetime64[ns]"), values


def _decoded(table: Any, about: dict[str, Any], width: int) -> tuple[Dates, Floats]:
    """Return dates and values decoded by parquet's reader: for blocks of several pages."""
    rows = int(about["rows"])
    stamps = (
        table["date"].combine_chunks().view(pa.int64()).to_numpy() if about["dated"] and rows else np.empty(0, "i8")
    )
    chunks = [c.flatten().to_numpy() for c in table["values"].chunks] if rows * width else []
    flat = np.concatenate(chunks) if chunks else np.empty(0)
    if len(flat) != rows * width:
        raise DamagedError("its values do not fit its names")
    return stamps.view("datetime64[ns]"), flat.reshape(rows, width)


def _checksum(texts: tuple[bytes, ...], *arrays: Dates | Floats) -> str:
    state = xxhash.xxh3_128()
    for text in texts:
        state.update(text)
    for array in arrays:
        if array.size:
            state.update(array.view("i8").data)
    return state.hexdigest()
