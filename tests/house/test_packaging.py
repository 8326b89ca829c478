"""What the package says of itself: floors of dependencies against the pins, the README's table, extras, what is packed."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from sigc.config.settings import DataSettings
from sigc.data.sources import locate
from sigc.data.sources.locate import EXTRAS
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError
from tests.conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIRED = [Requirement(text) for text in PROJECT["dependencies"]]
OPTIONAL = {name: [Requirement(text) for text in texts] for name, texts in PROJECT["optional-dependencies"].items()}
ALL = {str(one): one for one in [*REQUIRED, *(one for several in OPTIONAL.values() for one in several)]}
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}
# The first version without a hole that is known, of what meets input from elsewhere.
SAFE = {
    "aiohttp": "3.13.3",  # GHSA-6mq8-rvhq-8wgg and seven more
    "bokeh": "3.8.2",  # CVE-2026-21883, the origin of a WebSocket
    "cryptography": "50",  # CVE-2026-69247
    "distributed": "2026.1",  # CVE-2026-23528, a script in its dashboard
    "pyarrow": "23.0.1",  # CVE-2026-25087, use after free in an IPC file
    "tornado": "6.5.5",  # CVE-2026-31958, many parts of a form
}


def floor(one: Requirement) -> Version:
    """The least version that a requirement allows."""
    (least,) = [spec for spec in one.specifier if spec.operator == ">="]
    return Version(least.version)


@pytest.mark.parametrize("text", sorted(ALL))
def test_a_dependency_has_a_floor_that_its_pin_reaches(text: str) -> None:
    one = ALL[text]
    assert len(one.specifier) == 1
    assert floor(one) <= PINS[canonicalize_name(one.name)]


def test_a_package_has_one_floor() -> None:
    assert len(ALL) == len({canonicalize_name(one.name) for one in ALL.values()})


def test_every_line_of_the_constraints_is_a_pin() -> None:
    assert len(PINS) == len((ROOT / "constraints.txt").read_text().splitlines())


@pytest.mark.parametrize(("name", "version"), SAFE.items())
def test_a_floor_is_above_a_known_hole(name: str, version: str) -> None:
    (one,) = (one for one in ALL.values() if one.name == name)
    assert floor(one) >= Version(version)


def test_the_readme_says_what_each_dependency_is_for() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## What it stands on")[1].split("\n## ")[0]
    rows = [re.sub(r"\([^)]*\)", "", row) for row in re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)]
    named = {canonicalize_name(name.strip()) for row in rows for name in row.split(",") if name != "package"}
    assert named == {canonicalize_name(one.name) for one in ALL.values()}
    for extra, several in OPTIONAL.items():
        for one in several if extra != "dev" else ():
            assert re.search(rf"^\| [^|]*{one.name}[^|]*\(extra `{extra}`\)", table, re.MULTILINE), one.name


def test_every_extra_is_of_a_scheme_or_a_channel_and_the_tests_have_what_they_use() -> None:
    assert OPTIONAL.keys() == {*EXTRAS.values(), "apprise", "alpaca", "dev"}
    assert {str(one) for name in ("http", "apprise", "alpaca") for one in OPTIONAL[name]} <= {
        str(one) for one in OPTIONAL["dev"]
    }


@pytest.mark.parametrize(("scheme", "module"), [("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs")])
def test_an_error_names_the_extra_that_is_missing(
    scheme: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # importing it fails, installed or not
    spec = SourceSpec("prices", f"{scheme}://bucket/prices.parquet", base=str(tmp_path))
    with pytest.raises(SigcError) as caught:
        locate.locate(spec, DataSettings())
    (said,) = caught.value.diagnostics
    assert said.code == "E200"
    assert said.hint == f'pip install "sigc-daemon[{EXTRAS[scheme]}]"'
    assert EXTRAS[scheme] in OPTIONAL
    assert module in {one.name for one in OPTIONAL[EXTRAS[scheme]]}


def test_a_release_says_what_it_is() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT.keys() >= {"authors", "keywords", "classifiers", "readme", "description"}
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(PROJECT['version'])}\]?", changes, re.MULTILINE)


def test_the_changelog_has_the_sections_of_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    versions = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert versions[0].startswith("[Unreleased]")
    for version in versions:
        assert re.match(r"\[Unreleased\]\n|\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}\n", version)
        found = re.findall(r"^### (.*)$", version, re.MULTILINE)
        assert found == [kind for kind in kinds if kind in found]
        entries = re.split(r"^### .*$", version, flags=re.MULTILINE)
        assert not re.search(r"^- ", entries[0], re.MULTILINE), "an entry without a kind"
