"""A list of files as one source: as one file with all of their rows, and each refused as a single one is."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.data.catalog import Source, load
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError
from sigc.lang.check import check_text
from sigc.lang.syntax.format import format
from sigc.lang.syntax.parse import parse
from sigc.plan.lower import lower

FIRST = "date,A,B\n2023-12-28,10,20\n2023-12-29,11,21\n"
SECOND = "date,A,C\n2024-01-02,12,30\n2024-01-03,13,31\n"
BOTH = "date,A,B,C\n2023-12-28,10,20,\n2023-12-29,11,21,\n2024-01-02,12,,30\n2024-01-03,13,,31\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("first", FIRST), ("second", SECOND), ("both", BOTH)):
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def source(folder: Path, *paths: str, settings: DataSettings | None = None, ttl_hours: float = 0.0) -> Source:
    spec = SourceSpec("prices", paths[0], others=paths[1:], base=str(folder))
    return load([spec], MemoryStore(), settings or DataSettings(), ttl_hours).sources["prices"]


def test_a_list_is_one_file_with_all_rows(folder: Path) -> None:
    """In whatever order it is written."""
    whole = source(folder, "both.csv")
    for paths in (("first.csv", "second.csv"), ("second.csv", "first.csv")):
        found = source(folder, *paths)
        assert found.digests == whole.digests
        assert found.names == whole.names
    assert found.path == f"{folder / 'second.csv'}, {folder / 'first.csv'}"


def test_a_list_of_urls(folder: Path) -> None:
    for name, text in (("first", FIRST), ("second", SECOND)):
        with fsspec.open(f"memory://lists/{name}.csv", "w") as out:
            out.write(text)
    found = source(folder, "memory://lists/first.csv", "memory://lists/second.csv", ttl_hours=1.0)
    assert found.digests == source(folder, "both.csv").digests


@pytest.mark.parametrize(
    "second", ["../out/p.csv", "{out}/p.csv", "link.csv", "file://{out}/p.csv", "memory://other/p.csv", "gone.csv"]
)
def test_each_file_of_a_list_is_refused_as_a_single_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    inside, outside = folder / "in", folder / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "p.csv").write_text(FIRST)
    (outside / "p.csv").write_text(SECOND)
    (inside / "link.csv").symlink_to(outside / "p.csv")
    monkeypatch.chdir(inside)
    settings = DataSettings(url_prefixes=("s3://ours/", "file://"))
    for paths in (("p.csv", second), (second, "p.csv")):
        with pytest.raises(SigcError, match="outside the data roots|allowed prefixes|no file") as raised:
            source(inside, *(p.format(out=outside) for p in paths), settings=settings)
        assert raised.value.diagnostics[0].code == "E200"


def test_one_file_by_two_paths_is_refused(folder: Path) -> None:
    with pytest.raises(SigcError, match="two paths of the list are the same file"):
        source(folder, "first.csv", str(folder / "first.csv"))


@pytest.mark.parametrize(
    "section",
    [
        'data:\n  prices: load csv from ["first.csv", "second.csv"] dtype=float64\n',
        'data:\n  prices: load csv from [\n    "first.csv",\n    "second.csv",\n  ]\n',
        'data:\n  prices = ["first.csv", "second.csv"]\n',
        'data:\n  source = ["first.csv", "second.csv"]\n  format = csv\n',
        'data:\n  source = ["first.csv", "second.csv"]\n  columns:\n    A: Numeric as prices\n',
    ],
)
def test_each_form_takes_a_list(section: str) -> None:
    text = f"{section}signal a:\n  emit prices\n"
    checked = check_text(text, "t.sig")
    assert not checked.diagnostics
    (spec,) = lower(checked).data
    assert (spec.path, spec.others) == ("first.csv", ("second.csv",))
    module, _ = parse(text, "t.sig")
    assert parse(format(module), "t.sig") == (module, ())


@pytest.mark.parametrize(
    ("files", "code"), [("[]", "E001"), ('["a.csv" "b.csv"]', "E001"), ('["a.csv", "a.csv"]', "E004"), ("[a]", "E001")]
)
def test_lists_that_can_not_be(files: str, code: str) -> None:
    assert code in [d.code for d in check_text(f"data:\n  prices: load csv from {files}\n", "t.sig").diagnostics]
