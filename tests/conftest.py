"""Fixtures of all tests: one folder of compiled kernels, the real data where it is there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from sigc.ops import jit

ROOT = Path(__file__).parent.parent
# Kernels are compiled once for the whole suite, in every process of it.
_JIT = Path(os.environ.get("SIGC_TEST_JIT", str(Path(tempfile.gettempdir()) / f"sigc-test-jit-{os.getuid()}")))
jit.prepare(_JIT)


@pytest.fixture(scope="session")
def jit_directory() -> Path:
    """Where this suite keeps compiled kernels."""
    return _JIT


@pytest.fixture(scope="session")
def sp500() -> Path:
    """Real daily bars of US stocks, which the project ships no copy of."""
    folder = ROOT.parent / "shared" / "data" / "sp500"
    if not folder.is_dir():
        pytest.skip("the folder shared/data/sp500 beside the project is missing: no real data to test on")
    return folder
