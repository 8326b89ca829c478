"""Late slices: laws of the spread, and figures worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc_pipelines.live.slices import DueSlice, is_late, least_gap, respread

OPEN = datetime(2016, 1, 5, 14, 30, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return OPEN + timedelta(minutes=minutes)


def planned(count: int, window: float) -> list[DueSlice]:
    return [DueSlice(str(n), at(window * n / count)) for n in range(count)]


def minutes(slices: tuple[DueSlice, ...]) -> list[float]:
    return [round((one.due - OPEN).total_seconds() / 60, 3) for one in slices]


@pytest.mark.parametrize(
    ("left", "now", "last", "want"),
    [
        # Four slices of an hour, the first was sent. Down from 1 to 31: 29 minutes for three.
        (slice(1, 4), 31, 0, [31, 40.667, 50.333]),
        # Down from 1 to 23: 37 minutes for three, 12.333 apart.
        (slice(1, 4), 23, 0, [23, 35.333, 47.667]),
        # Only the third is late: the fourth keeps a distance of half of what is left.
        (slice(2, 4), 40, 15, [40, 50]),
        # None is late: nothing moves.
        (slice(1, 4), 2, 0, [15, 30, 45]),
        # Six minutes are left: at the least gap of 3.75 two of three fit.
        (slice(1, 4), 54, 0, [54, 57.75]),
        # The last moments: one goes, the rest end unsent.
        (slice(1, 4), 59.9, 0, [59.9]),
        # The one before has just left: the least gap is kept from it too.
        (slice(1, 4), 31, 30, [33.75, 42.5, 51.25]),
        # The window is over.
        (slice(1, 4), 60, 0, []),
        (slice(1, 4), 90, 0, []),
    ],
)
def test_by_hand(left: slice, now: float, last: float, want: list[float]) -> None:
    found = respread(planned(4, 60)[left], at(now), at(60), timedelta(minutes=15), at(last))
    assert minutes(found.kept) == want
    assert len(found.kept) + len(found.dropped) == len(planned(4, 60)[left])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[DueSlice], datetime, datetime, timedelta, datetime | None]:
    """Slices of any number and times (a plan that was spread before is uneven), any instant, any window."""
    gap = timedelta(microseconds=draw(st.integers(1, 3_600_000_000)))
    waits = draw(st.lists(st.integers(0, 7_200_000_000), min_size=0, max_size=40))
    due, slices = OPEN, list[DueSlice]()
    for number, wait in enumerate(waits):
        due += timedelta(microseconds=wait)
        slices.append(DueSlice(str(number), due))
    now = OPEN + timedelta(microseconds=draw(st.integers(-3_600_000_000, 40_000_000_000)))
    end = OPEN + timedelta(microseconds=draw(st.integers(1, 40_000_000_000)))
    ago = draw(st.none() | st.integers(0, 7_200_000_000))
    return slices, now, end, gap, None if ago is None else now - timedelta(microseconds=ago)


@given(cases())
def test_laws(case: tuple[list[DueSlice], datetime, datetime, timedelta, datetime | None]) -> None:
    slices, now, end, gap, last = case
    found = respread(slices, now, end, gap, last)
    # The order and the whole are kept: what does not fit is the end of it.
    assert [s.id for s in (*found.kept, *found.dropped)] == [s.id for s in slices]
    assert found.dropped == tuple(slices)[len(found.kept) :]
    for one in found.kept:
        assert now <= one.due < end
    for before, after in pairwise(found.kept):
        assert after.due - before.due >= least_gap(gap)
    if found.kept and last is not None:
        assert found.kept[0].due - last >= least_gap(gap)
    # One is dropped only if there is no room for it at the least gap.
    if found.dropped:
        begins = now if last is None else max(now, last + least_gap(gap))
        assert begins + len(found.kept) * least_gap(gap) >= end
    # What is spread is spread.
    again = respread(found.kept, now, end, gap, last)
    assert again.kept == found.kept
    assert not again.dropped


@given(st.integers(1, 60), st.floats(1, 600), st.floats(0, 1.2), st.integers(0, 59))
def test_of_a_plan(count: int, window: float, share: float, sent: int) -> None:
    """Of equal slices none leaves before its time, and one that is due later moves only to keep the distance."""
    plan, now, gap = planned(count, window)[sent:], at(window * share), timedelta(minutes=window) / count
    found = respread(plan, now, at(window), gap)
    step = min((b.due - a.due for a, b in pairwise(found.kept)), default=gap)
    for place, (new, old) in enumerate(zip(found.kept, plan, strict=False)):
        assert new.due >= old.due
        if new.due > max(old.due, now):
            assert place > 0
            assert new.due - found.kept[place - 1].due <= max(step, least_gap(gap)) + timedelta(microseconds=1)


def test_late_is_more_than_half_a_gap_and_more_than_a_moment() -> None:
    gap = timedelta(minutes=10)
    assert not is_late(OPEN, at(5), gap)
    assert is_late(OPEN, at(5.01), gap)
    assert not is_late(OPEN, OPEN + timedelta(seconds=5), timedelta(seconds=1))
    assert is_late(OPEN, OPEN + timedelta(seconds=6), timedelta(seconds=1))
