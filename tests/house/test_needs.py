"""What a test needs is there, or it skips and says why; where all was promised it fails. There is no other skip."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.needs import INSTALLED, OTHERS, lack

ROOT = Path(__file__).parent.parent.parent
TESTS = """
import pytest

@pytest.mark.needs("cc")
def test_marked():
    pass

def test_called():
    from tests.needs import program
    program("promtool")

def test_a_package():
    from tests.needs import module
    module("polars")

@pytest.fixture
def data():
    from tests.needs import lack
    lack("sp500", "no data here")

def test_in_a_fixture(data):
    pass

def test_that_needs_nothing():
    pass
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What pytest says of TESTS where nothing is installed: on a laptop, in full, in full with some of it missing."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "test_bare.py").write_text(TESTS)
    (folder / "polars.py").write_text("raise ImportError")
    (folder / "conftest.py").write_text("from tests.conftest import pytest_runtest_setup\n")
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers = needs(what): what a test needs\naddopts = --strict-markers\n"
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SIGC_", "PYTEST_"))}
    env |= {"PATH": str(folder), "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), env.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "pytest", "-q", "-rsf", "-p", "no:cacheprovider", "-p", "no:randomly", str(folder)]
    ways = {
        "laptop": {},
        "full": {"SIGC_FULL": "1"},
        "known": {"SIGC_FULL": "1", "SIGC_LACKS": "sp500 polars"},
    }
    return {
        way: subprocess.run(command, env=env | more, cwd=folder, capture_output=True, text=True, check=False).stdout
        for way, more in ways.items()
    }


def test_on_a_laptop_they_skip_and_say_why(outcome: Mapping[str, str]) -> None:
    assert "1 passed, 4 skipped" in outcome["laptop"]
    for why in (
        "cc: cc is not installed: `apt-get install gcc`",
        "promtool: promtool is not installed: `apt-get install prometheus`",
        "polars: the package polars is not installed: `pip install polars`",
        "sp500: no data here",
    ):
        assert why in outcome["laptop"]


def test_in_full_they_fail_and_say_why(outcome: Mapping[str, str]) -> None:
    assert "2 failed, 1 passed, 2 errors" in outcome["full"]
    assert "SIGC_FULL=1, and cc is not installed: `apt-get install gcc` (cc is not in SIGC_LACKS)" in outcome["full"]
    assert "SIGC_FULL=1, and no data here (sp500 is not in SIGC_LACKS)" in outcome["full"]


def test_what_a_machine_is_known_to_lack_is_skipped(outcome: Mapping[str, str]) -> None:
    assert "1 failed, 1 passed, 2 skipped, 1 error" in outcome["known"]


def test_what_is_needed_is_listed() -> None:
    with pytest.raises(ValueError, match="'a pony' is not listed"):
        lack("a pony", "it is a test")


def test_the_gate_promises_what_it_installs_and_lacks_what_there_is() -> None:
    """.ci/run sets SIGC_FULL, installs what is listed as that, and names as lacking nothing else than what may be."""
    text = (ROOT / ".ci" / "run").read_text()
    (installed,) = re.findall(r"^for name in (.*); do$", text, re.MULTILINE)
    assert tuple(installed.split()) == INSTALLED
    lacking = {word for words in re.findall(r"lacks\+?=\((.*?)\)", text) for word in words.split()}
    assert lacking < set(OTHERS)
    assert {"cc", "aiohttp", "promtool", "polars"} == set(OTHERS) - lacking
    assert "export SIGC_FULL=1" in text
    assert "export SIGC_LACKS=" in text
    assert 'PYTEST_ADDOPTS="-rs ' in text


def test_no_test_skips_in_another_way() -> None:
    ways = re.compile(r"importorskip|mark\.skip|skipif\(|pytest\.skip\(|SkipTest|skipTest")
    paths = {*(ROOT / "tests").rglob("*.py")} - {ROOT / "tests" / "needs.py", Path(__file__)}
    assert [path for path in sorted(paths) if ways.search(path.read_text(encoding="utf-8"))] == []
