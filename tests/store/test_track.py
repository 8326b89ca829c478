"""A book's track: fewer points lose no extreme, and its numbers are its returns multiplied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.store.history.track import Close, days, figures, months, thin

floats = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=400), st.integers(6, 60))
def test_fewer_points_keep_first_last_and_extremes(rows: list[tuple[float, float]], most: int) -> None:
    one, two = [a for a, _ in rows], [b for _, b in rows]
    places = thin(most, one, two)
    assert len(places) <= most
    assert list(places) == sorted(set(places))
    assert (places[0], places[-1]) == (0, len(rows) - 1)
    for series in (one, two):
        kept = [series[place] for place in places]
        assert (min(kept), max(kept)) == (min(series), max(series))
    assert len(rows) > most or places == tuple(range(len(rows)))


@given(st.lists(floats, min_size=30, max_size=300), st.integers(8, 29))
def test_each_point_left_out_lies_between_two_that_are_near(values: list[float], most: int) -> None:
    """However far one zooms out, what is drawn reaches as high and as low as what is not."""
    places = thin(most, values)
    width = -(-(len(values) - 2) // ((most - 2) // 2))
    for place, value in enumerate(values):
        near = [values[p] for p in places if abs(p - place) <= width]
        assert min(near) <= value <= max(near)


@given(st.lists(st.floats(0.5, 1.6), min_size=1, max_size=120))
def test_a_track_is_its_returns_multiplied(steps: list[float]) -> None:
    navs, value = [], 1000.0
    for step in steps:
        value *= step
        navs.append(value)
    closes = [Close(f"2024-{1 + n // 28:02d}-{1 + n % 28:02d}", nav, nav / 2, -nav / 4) for n, nav in enumerate(navs)]
    found = days(1000.0, closes, {closes[-1].session: 500.0})
    peak, deepest = 1000.0, 0.0
    for day, nav in zip(found, navs, strict=True):
        peak = max(peak, nav)
        deepest = max(deepest, 1 - nav / peak)
        assert day.drawdown == pytest.approx(nav / peak - 1, abs=1e-8)
        assert (day.gross, day.net) == (0.5, -0.25)
    told = figures(1000.0, found)
    assert told.total_return == pytest.approx(navs[-1] / 1000.0 - 1, rel=1e-4, abs=1e-4)
    assert told.max_drawdown == pytest.approx(deepest, abs=1e-8)
    grown = 1.0
    for month in months(found).values():
        grown *= 1 + month
    assert grown == pytest.approx(navs[-1] / 1000.0, rel=1e-5)
    before = navs[-2] if len(navs) > 1 else 1000.0
    assert found[-1].turnover == pytest.approx(500.0 / before, abs=1e-6)


def test_money_that_comes_is_no_return() -> None:
    """100 becomes 110; 50 come, and 160 become 152; 38 leave, and 114 stand still: 10 % up, 5 % down, nothing."""
    closes = [Close(f"2024-01-0{n}", nav, 0, 0) for n, nav in enumerate((110.0, 152.0, 114.0), 2)]
    found = days(100.0, closes, {}, {"2024-01-03": 50.0, "2024-01-04": -38.0})
    assert [(d.daily, d.drawdown) for d in found] == [(0.1, 0.0), (-0.05, -0.05), (0.0, -0.05)]
    told = figures(100.0, found)
    assert told.total_return == pytest.approx(1.1 * 0.95 - 1)
    assert (told.max_drawdown, told.peak, told.trough, told.nav) == (0.05, "2024-01-02", "2024-01-03", 114.0)
    unknown = days(100.0, closes, {}, {"2024-01-03": None, "2024-01-04": -38.0})
    assert [d.daily for d in unknown] == [0.1, 0.0, 0.0]
