"""The format of one cached block: parquet any tool can open, written and read whole.

A `date` column and one FixedSizeList<double> column of all assets: a column an asset would read tens of times
slower. Uncompressed, no dictionary, one page, so that the values lie in the file as they lie in memory, at the end of
their column: we read them from there, and let parquet's reader decode them only where the checksum says otherwise.
Metadata: format, key, asset names, labels, sha256 over dates and values.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sigc.blocks import Carry, Facts
from sigc.panel import Dates, Floats, Panel

FORMAT = "1"
_ONE_PAGE = (1 << 31) - 1
MOST_CELLS = 1 << 30  # of one block: beyond it a file is hostile or broken, and isn't opened


class DamagedError(Exception):
    """A file of the cache that is not what was written."""


def replace(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_facts(path: Path, facts: Facts) -> None:
    """The facts as JSON, with a checksum of their own."""
    body = json.dumps(asdict(facts) | {"digests": facts.digests.hex()}, separators=(",", ":"), sort_keys=True)
    replace(path, f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n".encode())


def read_facts(path: Path) -> Facts:
    """Raises FileNotFoundError, `DamagedError`."""
    raw = path.read_bytes()
    try:
        checksum, body, _ = raw.decode().split("\n")
        if hashlib.sha256(body.encode()).hexdigest() != checksum:
            raise DamagedError("its facts have another checksum")
        data = json.loads(body)
        return Facts(**{**data, "digests": bytes.fromhex(data["digests"])})
    except (ValueError, TypeError, KeyError) as broken:
        raise DamagedError("its facts can't be read") from broken


def write_panel(path: Path, facts: Facts, panel: Panel) -> None:
    """A panel as parquet."""
    meta: dict[str, Any] = {"names": list(panel.names), "labels": None if panel.labels is None else list(panel.labels)}
    meta["entry"] = f"{facts.name}_{facts.label}"
    dates = pa.array(panel.dates.view("i8")).view(pa.timestamp("ns"))
    _write(path, {"date": dates, **_lists(panel.values)}, meta, facts.key, panel.dates, panel.values)


def read_panel(path: Path, key: str) -> Panel:
    """Raises FileNotFoundError, `DamagedError`."""
    with _opened(path, key) as (file, meta):
        dates = _dates(file.read(["date"], use_threads=False))
        values = _as_they_lie(path, file, meta)
        if values is None or _checksum(meta, dates, values) != meta["checksum"]:
            table = file.read(use_threads=False)
            dates, values = _dates(table), _values(table, meta)
            _check(meta, dates, values)
    labels = meta["labels"]
    return Panel(dates, tuple(meta["names"]), values, None if labels is None else tuple(labels))


def write_carry(path: Path, facts: Facts, carry: Carry) -> None:
    """State vectors as parquet, one row a component."""
    none = np.empty(0, "datetime64[ns]")
    _write(path, _lists(carry.values), {"names": list(carry.names)}, facts.key, none, carry.values)


def read_carry(path: Path, key: str) -> Carry:
    """Raises FileNotFoundError, `DamagedError`."""
    with _opened(path, key) as (file, meta):
        values = _values(file.read(use_threads=False), meta)
        _check(meta, np.empty(0, "datetime64[ns]"), values)
    return Carry(tuple(meta["names"]), values)


def _dates(table: Any) -> Dates:
    """The dates, from arrow's own memory: asking arrow for an array of numpy imports pandas, for nothing."""
    column = table["date"].combine_chunks()
    stamps = (
        np.frombuffer(column.buffers()[1], "i8", len(column), 8 * column.offset) if len(column) else np.empty(0, "i8")
    )
    return stamps.view("datetime64[ns]")


def _as_they_lie(path: Path, file: Any, meta: dict[str, Any]) -> Floats | None:
    """The values straight from the file, None where they do not lie there in one piece. To be checked."""
    values = np.empty((int(meta["rows"]), len(meta["names"])))
    if file.metadata.num_row_groups != 1 or file.metadata.num_columns != 2 or values.size == 0:
        return None
    column = file.metadata.row_group(0).column(1)
    if column.compression != "UNCOMPRESSED" or column.has_dictionary_page:
        return None
    with path.open("rb") as raw:
        raw.seek(column.data_page_offset + column.total_compressed_size - values.nbytes)
        return values if raw.readinto(values.data.cast("B")) == values.nbytes else None


def _lists(values: Floats) -> dict[str, Any]:
    """The column `values`; none for a panel without assets, which parquet can't tell the rows of."""
    if values.shape[1] == 0:
        return {}
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return {"values": pa.FixedSizeListArray.from_arrays(flat, values.shape[1])}


def _values(table: Any, meta: dict[str, Any]) -> Floats:
    rows, width = int(meta["rows"]), len(meta["names"])
    if width == 0 or rows == 0:
        return np.empty((rows, width))
    chunks = [c.flatten().to_numpy(zero_copy_only=False) for c in table["values"].chunks]
    flat = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
    try:
        out: Floats = flat.reshape(rows, width)
    except ValueError as broken:
        raise DamagedError("its values do not fit its names") from broken
    return out


def _write(path: Path, columns: dict[str, Any], meta: dict[str, Any], key: str, dates: Any, values: Floats) -> None:
    meta |= {"format": FORMAT, "key": key, "rows": len(values), "checksum": _checksum(meta, dates, values)}
    table = pa.table(columns).replace_schema_metadata({"sigc": json.dumps(meta)})
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as out:
            pq.write_table(
                table,
                out,
                compression="none",
                use_dictionary=False,
                write_statistics=False,
                store_schema=True,
                row_group_size=max(1, table.num_rows),
                data_page_size=_ONE_PAGE,
            )
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _opened(path: Path, key: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The file and its metadata, sizes checked before anything is read."""
    try:
        with pq.ParquetFile(path) as file:
            raw = (file.schema_arrow.metadata or {}).get(b"sigc")
            if raw is None:
                raise DamagedError("it is no file of the cache")
            meta = json.loads(raw)
            if meta["format"] != FORMAT or meta["key"] != key:
                raise DamagedError("it holds another block")
            if max(file.metadata.num_rows, int(meta["rows"])) * max(1, len(meta["names"])) > MOST_CELLS:
                raise DamagedError("it declares an absurd size")
            yield file, meta
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as broken:
        if isinstance(broken, FileNotFoundError):
            raise
        raise DamagedError(f"it can't be read: {str(broken)[:80]}") from broken


def _check(meta: dict[str, Any], dates: Any, values: Floats) -> None:
    if _checksum(meta, dates, values) != meta["checksum"]:
        raise DamagedError("its checksum differs")


def _checksum(meta: dict[str, Any], dates: Any, values: Floats) -> str:
    state = hashlib.sha256(json.dumps([meta["names"], meta.get("labels")]).encode())
    state.update(np.ascontiguousarray(dates).view("i8").tobytes())
    state.update(np.ascontiguousarray(values).data if values.size else b"")
    return state.hexdigest()
