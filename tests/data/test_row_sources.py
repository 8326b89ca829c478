"""Sources keep their contract: files of each format, folders, frames, and one that a package brings."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from sigc.data.contract import SourceContract
from sigc.data.sources import registry
from sigc.data.sources.row_sources import FileSource, FolderSource, FrameSource
from sigc.data.sources.source import RowSource
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError
from tests.data.ways import cells, from_file

ROWS = {
    "date": ["2024-03-06", "2024-03-06", "2024-03-07", "2024-03-07", "2024-03-08", "2024-03-11"],
    "ticker": ["A", "B", "A", "B", "A", "B"],
    "close": [1.0, 10.0, 2.0, 20.0, 3.0, 40.0],
}
OTHER = ROWS | {"close": [1.0, 10.0, 2.0, 20.0, 3.0, 41.5]}


def write(path: Path, rows: dict[str, Any]) -> None:
    table = pa.table(rows)
    match path.suffix:
        case ".csv":
            pd.DataFrame(rows).to_csv(path, index=False)
        case ".parquet":
            pq.write_table(table, path)
        case ".arrow":
            feather.write_feather(table, str(path))


class _OfFiles(SourceContract):
    file = ""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def _written(self, rows: dict[str, Any], place: str) -> RowSource:
        folder = self.folder / place
        folder.mkdir(exist_ok=True)
        if not (folder / self.file).exists():
            write(folder / self.file, rows)
        return FileSource(SourceSpec("prices", self.file, base=str(folder)))

    def source(self) -> RowSource:
        return self._written(ROWS, "one")

    def changed(self) -> RowSource:
        return self._written(OTHER, "two")


class TestCsv(_OfFiles):
    file = "p.csv"


class TestParquet(_OfFiles):
    file = "p.parquet"


class TestArrow(_OfFiles):
    file = "p.arrow"


class TestFolder(_OfFiles):
    def _written(self, rows: dict[str, Any], place: str) -> RowSource:
        folder = self.folder / place / "px"
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in (("a.csv", slice(0, 4)), ("b.csv", slice(4, 6))):
            if not (folder / name).exists():
                write(folder / name, {k: v[part] for k, v in rows.items()})
        return FolderSource(SourceSpec("prices", "px", base=str(folder.parent)))


class TestFrame(SourceContract):
    def source(self) -> RowSource:
        return FrameSource(SourceSpec("prices", ""), pd.DataFrame(ROWS))

    def changed(self) -> RowSource:
        return FrameSource(SourceSpec("prices", ""), pd.DataFrame(OTHER))


class Warehouse:
    """What a desk might bring: rows that it keeps itself."""

    held: dict[str, dict[str, Any]] = {"closes": ROWS, "restated": OTHER}  # noqa: RUF012

    def __init__(self, spec: SourceSpec) -> None:
        self.table = pa.table(self.held[spec.path])

    def fingerprint(self) -> str:
        return str(hash(str(self.table.to_pydict())))

    def schema(self) -> Any:
        return self.table.schema

    def rows(self, columns: Sequence[str], since: date | None = None, until: date | None = None) -> Iterator[Any]:
        days = [date.fromisoformat(d) for d in self.table["date"].to_pylist()]
        keep = [(since is None or since <= d) and (until is None or d <= until) for d in days]
        yield from self.table.filter(pa.array(keep)).select(list(columns)).to_batches(max_chunksize=2)


class TestWarehouse(SourceContract):
    def source(self) -> RowSource:
        return Warehouse(SourceSpec("prices", "closes"))

    def changed(self) -> RowSource:
        return Warehouse(SourceSpec("prices", "restated"))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The warehouse as an installed package would be found: by the metadata on the path."""
    about = tmp_path / "site" / "desk_data-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: desk-data\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[sigc.sources]\nwarehouse = tests.data.test_row_sources:Warehouse\n")
    monkeypatch.syspath_prepend(str(about.parent))
    importlib.invalidate_caches()
    registry.opener.cache_clear()
    yield
    registry.opener.cache_clear()


@pytest.mark.usefixtures("installed")
def test_a_source_of_a_package_is_read_like_a_file(tmp_path: Path) -> None:
    write(tmp_path / "p.csv", ROWS)
    _, file = from_file(tmp_path, "p.csv")
    source, panel = from_file(tmp_path, "closes", format="warehouse")
    assert panel.equals(file)
    assert cells(from_file(tmp_path, "restated", format="warehouse")[1])["B"]["2024-03-11"] == 41.5
    assert source.path == "closes"
    with pytest.raises(SigcError, match="can't be opened: KeyError"):
        from_file(tmp_path, "nowhere", format="warehouse")
