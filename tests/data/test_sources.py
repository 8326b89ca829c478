"""Sources: every format and layout, every bad input with its place, adjustment, roots, folders, URLs."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import Source, load, read
from sigc.data.sources.connections import Connections
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError
from sigc.ops.declare import ValueKind
from sigc.panel import Panel, canonical
from tests.world import write_wide

WIDE = "date,B,A\n2020-01-01,1,10\n2020-01-02,,20\n2020-01-03,3,NaN\n"


def source(folder: Path, name: str, text: str | None = None, store: MemoryStore | None = None, **spec: Any) -> Source:
    """A source of a file of that name; options of its spec by name."""
    if text is not None:
        (folder / name).write_text(text)
    made = SourceSpec("prices", name, base=str(folder), **spec)
    return load([made], store or MemoryStore(), DataSettings()).sources["prices"]


def panel(folder: Path, name: str, text: str | None = None, **spec: Any) -> Panel:
    store = MemoryStore()
    found = source(folder, name, text, store, **spec)
    return read(found, store, 0, len(found.dates))


def refused(folder: Path, name: str, text: str, **spec: Any) -> str:
    with pytest.raises(SigcError) as caught:
        source(folder, name, text, **spec)
    return f"{caught.value.diagnostics[0].code} {caught.value.diagnostics[0].message}"


def test_wide_csv(tmp_path: Path) -> None:
    p = panel(tmp_path, "p.csv", WIDE)
    assert p.names == ("A", "B")
    assert np.array_equal(p.values, np.array([[10, 1], [20, np.nan], [np.nan, 3]]), equal_nan=True)
    assert str(p.dates[0].astype("datetime64[D]")) == "2020-01-01"


@pytest.mark.parametrize("date", ["2020-01-0{}", "2020/01/0{}", "01/0{}/2020", "2020010{}", "2020-01-0{} 00:00:00"])
def test_dates(tmp_path: Path, date: str) -> None:
    rows = "".join(f"{date.format(d)},{d}\n" for d in (1, 2, 3))
    assert panel(tmp_path, "p.csv", f"date,A\n{rows}").equals(
        panel(tmp_path, "q.csv", "date,A\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n")
    )


@pytest.mark.parametrize("missing", ["", "NaN", "NA", "null", "nan"])
def test_missing(tmp_path: Path, missing: str) -> None:
    p = panel(tmp_path, "p.csv", f"date,A,B\n2020-01-01,{missing},1\n2020-01-02,2,3\n")
    assert np.isnan(p.values[0, 0])
    assert p.values[1, 0] == 2.0


def test_long_equals_wide(tmp_path: Path) -> None:
    long = "date,ticker,close,volume\n2020-01-01,B,1,7\n2020-01-01,A,10,7\n2020-01-02,A,20,7\n2020-01-03,B,3,7\n"
    assert panel(tmp_path, "l.csv", long, column="close").equals(panel(tmp_path, "w.csv", WIDE))
    assert panel(tmp_path, "l2.csv", long).equals(panel(tmp_path, "w.csv", WIDE))  # prices means close


def test_formats_hold_the_same(tmp_path: Path) -> None:
    expected = panel(tmp_path, "p.csv", WIDE)
    table = pa.table(
        {"date": expected.dates.astype("datetime64[D]"), "B": expected.values[:, 1], "A": expected.values[:, 0]}
    )
    pq.write_table(table, tmp_path / "p.parquet")
    feather.write_feather(table, tmp_path / "p.arrow")
    with gzip.open(tmp_path / "p.csv.gz", "wt") as out:
        out.write(WIDE)
    with pa.OSFile(str(tmp_path / "stream.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    for name in ("p.parquet", "p.arrow", "p.csv.gz", "stream.arrow"):
        assert panel(tmp_path, name).equals(expected), name
    assert panel(tmp_path, "p.parquet", format="price").equals(expected)


def test_static_labels(tmp_path: Path) -> None:
    found = source(tmp_path, "s.csv", "ticker,sector\nB,Tech\nA,Energy\nC,\n", dtype="category")
    assert found.static
    assert found.kind is ValueKind.CATEGORY
    assert found.labels == ("Energy", "Tech")


def test_labels_in_time(tmp_path: Path) -> None:
    p = panel(tmp_path, "s.csv", "date,A,B\n2020-01-01,x,y\n2020-01-02,y,\n", dtype="category")
    assert p.labels == ("x", "y")
    assert np.array_equal(p.values, np.array([[0, 1], [1, np.nan]]), equal_nan=True)


def test_dtypes(tmp_path: Path) -> None:
    text = "date,A\n2020-01-01,0.1\n2020-01-02,2\n"
    assert panel(tmp_path, "p.csv", text, dtype="float32").values[0, 0] == np.float32(0.1)
    assert "row 2, column 'A': 0.1 is not a whole number" in refused(tmp_path, "p.csv", text, dtype="int64")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "E201 source 'prices': "),
        ("date,A\n", "has no rows"),
        ("date,A\n2020-01-02,1\n2020-01-01,2\n", "is not sorted: the date 2020-01-01 comes after a later one, row 3"),
        ("date,A\n2020-01-01,1\n2020-01-01,2\n", "has the date 2020-01-01 twice, row 3"),
        ("date,A\n2020-01-01,1\n2020-01-02,abc\n", "row 3, column 'A': 'abc' is not a number"),
        ("date,A\n2020-01-01,1\n2020-01-02,inf\n", "row 3, column 'A': the value is infinite"),
        ("date,A\n2020-01-01,1\nsoon,2\n", "row 3, column 'date': 'soon' is not a date"),
        ("date,A\n2020-01-01,1\n,2\n", "row 3, column 'date': the date is missing"),
        ("date,A\n2020-01-01,1\n2020-01-02,2,3\n", "is not a readable csv file"),
        ("A,B\n1,2\n", "E202 source 'prices': "),
        ("date\n2020-01-01\n", "has no column beside the date"),
        ("date,A,A\n2020-01-01,1,2\n", "has two columns 'A'"),
        ("date,ticker,close\n2020-01-01,A,1\n2020-01-01,A,2\n", "has 2020-01-01 of 'A' twice: rows 2 and 3"),
        ("date,ticker,close\n2020-01-02,A,1\n2020-01-01,A,2\n", "is not sorted by date: row 3 (2020-01-01, 'A')"),
        ("date,ticker,close\n2020-01-02,,1\n", "row 2, column 'ticker': the asset is missing"),
        ("date,ticker,x,y\n2020-01-02,A,1,2\n", "has several columns and none is called 'prices'"),
        ("ticker,sector\nA,x\nA,y\n", "has 'A' twice: row 3"),
    ],
)
def test_bad_files_name_the_place(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path, "p.csv", text)


def test_all_problems_of_all_sources(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("date,A\n2020-01-01,x\n")
    specs = [SourceSpec(n, f, base=str(tmp_path)) for n, f in (("a", "no.csv"), ("b", "bad.csv"), ("c", "nor.csv"))]
    with pytest.raises(SigcError) as caught:
        load(specs, MemoryStore(), DataSettings())
    assert [d.code for d in caught.value.diagnostics] == ["E200", "E201", "E200"]


def test_binary_rubbish(tmp_path: Path) -> None:
    for name in ("p.parquet", "p.arrow", "p.csv"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00PAR1" * 40)
        with pytest.raises(SigcError):
            source(tmp_path, name)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    assert "E202" in refused(tmp_path, "p.csv", WIDE, column="C")


def test_sizes_are_refused_unread(tmp_path: Path) -> None:
    write_wide(tmp_path / "p.parquet", np.arange("2020-01-01", "2020-02-01", dtype="datetime64[D]"), np.ones((31, 13)))
    spec = SourceSpec("prices", "p.parquet", base=str(tmp_path))
    with pytest.raises(SigcError, match="declares .* cells, more than the 100 allowed"):
        load([spec], MemoryStore(), DataSettings(max_cells=100))


def test_gaps_are_reported(tmp_path: Path) -> None:
    rows = "".join(f"2020-01-{d:02d},{d if d % 3 else ''}\n" for d in range(1, 20))
    found = source(tmp_path, "p.csv", f"date,A\n{rows}")
    assert [f.message for f in found.findings if "missing" in f.message] == [
        "source 'prices': 31.6% of the cells between first and last rows are missing"
    ]


# -- where files may be ------------------------------------------------------------------------------------------


def test_files_outside_the_roots_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    monkeypatch.chdir(inside)
    (outside / "p.csv").write_text(WIDE)
    (inside / "link.csv").symlink_to(outside / "p.csv")
    for path in ("../out/p.csv", str(outside / "p.csv"), "link.csv", f"file://{outside}/p.csv", "/etc/passwd"):
        with pytest.raises(SigcError, match="outside the data roots|no extension|no file"):
            load([SourceSpec("prices", path, base=str(inside))], MemoryStore(), DataSettings())
    allowed = DataSettings(roots=(str(outside),))
    assert load([SourceSpec("prices", "link.csv", base=str(inside))], MemoryStore(), allowed).sources


def test_urls(tmp_path: Path) -> None:
    import fsspec

    with fsspec.open("memory://bucket/p.csv", "w") as out:
        out.write(WIDE)
    spec = SourceSpec("prices", "memory://bucket/p.csv", base=str(tmp_path))
    assert load([spec], MemoryStore(), DataSettings()).sources["prices"].names == ("A", "B")
    with pytest.raises(SigcError, match="allowed prefixes"):
        load([spec], MemoryStore(), DataSettings(url_prefixes=("s3://ours/",)))
    for url in ("simplecache::memory://bucket/p.csv", "ftp://x/p.csv", "memory://bucket/q.csv"):
        with pytest.raises(SigcError):
            load([SourceSpec("prices", url, base=str(tmp_path))], MemoryStore(), DataSettings())


def test_a_url_is_not_asked_again_within_its_time(tmp_path: Path) -> None:
    import fsspec

    spec = SourceSpec("prices", "memory://ttl/p.csv", base=str(tmp_path))
    store = MemoryStore()

    def digests(ttl_hours: float) -> bytes:
        return load([spec], store, DataSettings(), ttl_hours).sources["prices"].digests

    with fsspec.open(spec.path, "w") as out:
        out.write(WIDE)
    first = digests(1.0)
    with fsspec.open(spec.path, "w") as out:
        out.write(WIDE.replace("10", "11"))
    assert digests(1.0) == first
    assert digests(0.0) != first


def test_two_different_files_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.csv").write_text(WIDE)
    monkeypatch.chdir(tmp_path / "b")
    spec = SourceSpec("prices", "p.csv", base=str(tmp_path / "a"))
    assert load([spec], MemoryStore(), DataSettings()).sources  # the same content: no matter which
    (tmp_path / "b" / "p.csv").write_text(WIDE.replace("10", "11"))
    with pytest.raises(SigcError, match="ambiguous"):
        load([spec], MemoryStore(), DataSettings())


def test_a_near_miss_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(WIDE)
    with pytest.raises(SigcError) as caught:
        source(tmp_path, "price.csv")
    assert "prices.csv" in caught.value.diagnostics[0].hint


# -- change ------------------------------------------------------------------------------------------------------


def _days(count: int) -> np.ndarray:
    return np.arange(count).astype("timedelta64[D]") + np.datetime64("2019-11-01")


def test_an_appended_row_keeps_earlier_blocks(tmp_path: Path) -> None:
    store = MemoryStore()
    values = np.random.default_rng(1).normal(size=(100, 13))
    write_wide(tmp_path / "p.parquet", _days(99), values[:99])
    before = source(tmp_path, "p.parquet", store=store)
    write_wide(tmp_path / "p.parquet", _days(100), values)
    after = source(tmp_path, "p.parquet", store=store)
    assert after.blocks[0].key == before.blocks[0].key
    assert after.blocks[1].key != before.blocks[1].key
    assert after.digests[: len(before.digests)] == before.digests


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    store = MemoryStore()
    first = source(tmp_path, "p.csv", WIDE, store)
    stat = (tmp_path / "p.csv").stat()
    (tmp_path / "p.csv").write_text(WIDE.replace("10", "99"))
    import os

    os.utime(tmp_path / "p.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert source(tmp_path, "p.csv", store=store).digests == first.digests  # same size and time: taken as unchanged
    os.utime(tmp_path / "p.csv")
    assert source(tmp_path, "p.csv", store=store).digests != first.digests


def test_a_folder_is_one_source(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(100, 13))
    write_wide(tmp_path / "all.parquet", _days(100), values)
    folder = tmp_path / "parts"
    folder.mkdir()
    write_wide(folder / "b.parquet", _days(100)[:60], values[:60])
    write_wide(folder / "a.parquet", _days(100)[60:], values[60:])
    whole, parts = source(tmp_path, "all.parquet"), source(tmp_path, "parts")
    assert parts.digests == whole.digests
    write_wide(folder / "c.parquet", _days(100)[90:], values[90:])
    with pytest.raises(SigcError, match="which another file of the source has too"):
        source(tmp_path, "parts")


@pytest.mark.parametrize("names", ["abcd", "dcba", "bdac", "acbd"])
def test_a_folder_that_changes_is_what_it_would_be_anew(tmp_path: Path, names: str) -> None:
    """Its files are joined by date, whatever their names; what is remembered of them never outlives a change."""
    values, folder, store = np.random.default_rng(1).normal(size=(100, 13)), tmp_path / "parts", MemoryStore()
    folder.mkdir()
    cuts = [0, 30, 55, 80, 99]
    for changed in (None, 3, 0, 2, None, 3):
        if changed is not None:
            values[cuts[changed]] += 1.0
        if changed == 3:
            cuts[4] = 100  # a day is appended to the last
        for number, name in enumerate(names):
            if changed in (None, number):
                rows = slice(cuts[number], cuts[number + 1])
                write_wide(folder / f"{name}.parquet", _days(100)[rows], values[rows])
        write_wide(tmp_path / "all.parquet", _days(100)[: cuts[4]], values[: cuts[4]])
        found, whole = source(tmp_path, "parts", store=store), source(tmp_path, "all.parquet")
        assert (found.digests, found.names, found.fingerprint) == (whole.digests, whole.names, whole.fingerprint)
        assert found.dates.tobytes() == whole.dates.tobytes()
        rows_read = read(found, store, 0, len(found.dates))
        assert rows_read.values.tobytes() == canonical(values[: cuts[4]]).tobytes()


def within(folder: Path, name: str, memory_bytes: int, **spec: Any) -> Source:
    """A source that is read with so much memory."""
    made = SourceSpec("prices", name, base=str(folder), **spec)
    ways = Connections(memory_bytes=memory_bytes)
    return load([made], MemoryStore(), DataSettings(), connections=ways).sources["prices"]


@pytest.mark.parametrize("name", ["long.parquet", "long.csv", "long.csv.gz", "long.arrow", "long.feather"])
def test_files_that_cannot_fit_are_refused_before_they_are_read(tmp_path: Path, name: str) -> None:
    """Cells of 8 bytes where the file says how many, else its bytes; with a byte more than that it is read."""
    days = np.repeat(_days(500), 2)
    close = np.arange(1000.0)
    table = pa.table({"date": days.astype("datetime64[D]"), "ticker": ["A", "B"] * 500, "close": close})
    path = tmp_path / name
    if name.endswith(".parquet"):
        pq.write_table(table, path)
        least = 8 * table.num_rows * 3
    elif ".csv" in name:
        rows = zip(table["date"].to_pylist(), table["ticker"].to_pylist(), close.tolist(), strict=True)
        text = "".join(["date,ticker,close\n", *(f"{d},{t},{c}\n" for d, t, c in rows)]).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        least = len(text)
    else:
        feather.write_feather(table, str(path), compression="uncompressed")
        least = path.stat().st_size
    with pytest.raises(SigcError, match=r"to be read; 0 MB are allowed") as no:
        within(tmp_path, name, least - 1)
    (found,) = no.value.diagnostics
    assert found.code == "E201"
    assert str(path) in found.message
    assert "daemon.max_memory_mb" in found.hint
    assert within(tmp_path, name, least).names == ("A", "B")
