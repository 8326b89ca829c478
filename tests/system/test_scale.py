"""Soak: 10,000 assets x 6,300 days on two workers stay under 1 GiB each, and nothing moves between them."""

from __future__ import annotations

import pytest

from benchmarks import universe


@pytest.mark.soak
def test_ten_thousand_assets_over_25_years() -> None:
    found = universe.by_day()
    assert found["disk: peak memory of a worker, MB"] < 1024, found
    assert found["disk: bytes moved between workers"] == 0, found
