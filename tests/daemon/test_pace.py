"""A share of the processors holds over any stretch of time, however long single pieces of work are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigc.clock import HandClock
from sigc.host.cpu_throttle import CpuThrottle

START = datetime(2024, 1, 2, tzinfo=UTC)


@settings(max_examples=100)
@given(
    st.floats(5, 100),
    st.integers(1, 16),
    st.lists(st.tuples(st.floats(0.001, 3.0), st.floats(0.1, 1.0)), min_size=50, max_size=200),
)
def test_the_share_holds(share: float, cpus: int, pieces: list[tuple[float, float]]) -> None:
    """Each piece takes so long, on that part of all processors."""
    clock, spent = HandClock(START), [0.0]
    pace = CpuThrottle(share, cpus, lambda: spent[0], clock)
    for seconds, part in pieces:
        pace.wait()
        clock.sleep(seconds)
        spent[0] += seconds * part * cpus
    pace.wait()
    elapsed = (clock.now() - START).total_seconds()
    allowed = share / 100 * cpus * (elapsed + 1.0)
    assert spent[0] <= allowed + 1e-6


def test_what_stays_within_its_share_is_not_held_back() -> None:
    clock, spent = HandClock(START), [0.0]
    pace = CpuThrottle(50, 2, lambda: spent[0], clock)
    for number in range(1, 101):
        pace.wait()
        assert (clock.now() - START).total_seconds() == pytest.approx(number - 1)
        clock.sleep(1.0)
        spent[0] += 0.9
