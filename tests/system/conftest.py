"""What Dask leaves behind in this process is its own: tests on clusters, and those after them, are not to fail of it.

A connection that Dask gives up in the moment it is made (`BaseTCPConnector.connect`, cancelled by a time limit or by
the end of a client) is closed by the garbage collector alone, with a ResourceWarning in whatever test runs then.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """Of tests in this folder."""
    item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """After the clusters of a module have ended."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
