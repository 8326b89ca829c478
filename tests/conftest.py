"""Fixtures of all tests: one folder of compiled kernels, the real data where it is there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from sigc.ops import jit
from tests.needs import lack, need

ROOT = Path(__file__).parent.parent
# Kernels are compiled once for the whole suite, in every process of it.
_JIT = Path(os.environ.get("SIGC_TEST_JIT", str(Path(tempfile.gettempdir()) / f"sigc-test-jit-{os.getuid()}")))
jit.prepare(_JIT)

# No deadlines: the first call of a kernel compiles it. Where a run is to be the same twice, so are the examples; else
# they are drawn anew, and a failure prints how to draw it again.
settings.register_profile("drawn", deadline=None, print_blob=True)
settings.register_profile("same", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("noticed", settings.get_profile("same"), phases=[Phase.explicit, Phase.generate])
settings.load_profile("same" if os.environ.get("CI") or os.environ.get("SIGC_FULL") else "drawn")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for what a test needs before its fixtures do."""
    for mark in item.iter_markers("needs"):
        for what in mark.args:
            need(what)


@pytest.fixture(scope="session")
def jit_directory() -> Path:
    """Where this suite keeps compiled kernels."""
    return _JIT


@pytest.fixture(scope="session")
def sp500() -> Path:
    """Real daily bars of US stocks, which the project ships no copy of."""
    folder = ROOT.parent / "shared" / "data" / "sp500"
    if not folder.is_dir():
        lack("sp500", "the folder shared/data/sp500 beside the project is missing: no real data to test on")
    return folder
