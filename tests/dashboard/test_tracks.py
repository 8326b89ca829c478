"""From what the daemon tells to what is drawn: nothing is lost, missing numbers stay missing."""

from __future__ import annotations

import math
from datetime import date, timedelta
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.rpc.messages.history import NavReply, SignalDay, SignalLine
from sigc_dashboard import tracks
from sigc_dashboard.reports import track_figures

numbers = st.floats(-1e3, 1e3, allow_nan=False)
ics = st.one_of(st.none(), st.floats(-1, 1, allow_nan=False))


@given(st.lists(st.one_of(numbers, st.just(math.nan)), max_size=40), st.integers(1, 9))
def test_a_running_mean_is_of_what_is_there(values: list[float], count: int) -> None:
    found = tracks.running_mean(values, count)
    assert len(found) == len(values)
    for place, mean in enumerate(found):
        known = [v for v in values[max(0, place - count + 1) : place + 1] if not math.isnan(v)]
        assert (mean == pytest.approx(fmean(known))) if known else math.isnan(mean)


@given(st.lists(st.tuples(st.integers(0, 9), ics, st.one_of(st.none(), numbers)), min_size=1, max_size=30))
def test_signals_are_drawn_in_the_order_of_time(rows: list[tuple[int, float | None, float | None]]) -> None:
    days = []
    for number, (count, ic, bps) in enumerate(rows):
        day = (date(2024, 1, 1) + timedelta(days=number)).isoformat()
        line = SignalLine("a", count, (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0) if count else (), ic=ic)
        days.append(SignalDay(f"r{number}", day, day, 9, (line,), bps))
    columns = tracks.signal_columns(days[::-1], "a")
    assert set(columns) == set(track_figures.SIGNAL)
    assert columns["x"] == sorted(columns["x"])
    assert {len(values) for values in columns.values()} == {len(rows)}
    assert columns["coverage"] == [count / 9 for count, _, _ in rows]
    for (count, ic, bps), median, drawn, slipped in zip(
        rows, columns["median"], columns["ic"], columns["bps"], strict=True
    ):
        assert math.isnan(median) is (count == 0)
        assert math.isnan(drawn) if ic is None else drawn == ic
        assert math.isnan(slipped) if bps is None else slipped == bps
    nothing = tracks.signal_columns(days, "another")
    assert all(math.isnan(value) for value in nothing["ic"])


def test_weights_are_named_last() -> None:
    day = SignalDay("r", "2024-01-02", "2024-01-01", 3, tuple(SignalLine(n, 0) for n in ("weights", "zeta", "alpha")))
    assert tracks.signal_names([day]) == ("alpha", "zeta", "weights")


def test_every_plot_draws_columns_that_there_are() -> None:
    nav = NavReply(
        "s",
        session=("2024-01-02",),
        nav=(1.0,),
        drawdown=(0.0,),
        daily=(0.0,),
        gross=(1.0,),
        net=(0.0,),
        turnover=(None,),
        commission=(0.0,),
        slippage=(0.0,),
    )
    track = track_figures.source(tracks.track_columns(nav))
    assert set(track.column_names) == set(track_figures.TRACK)
    signals = track_figures.empty(track_figures.SIGNAL)
    fifths = track_figures.empty(track_figures.FIFTHS)
    draws = track_figures
    for draw in (draws.nav, draws.drawdown, draws.daily, draws.exposure, draws.turnover, draws.costs):
        _holds(draw(track))
    for draw in (draws.spread, draws.coverage, draws.rank_ic, draws.slippage):
        _holds(draw(signals))
    _holds(draws.fifths(fifths))


def test_a_plot_draws_what_it_is_named_after() -> None:
    """Which columns each line, bar and area is drawn from; what is no column stands at that number."""
    track, signals = track_figures.empty(track_figures.TRACK), track_figures.empty(track_figures.SIGNAL)
    draws = track_figures
    assert {draw.__name__: drawn(draw(track)) for draw in (draws.nav, draws.drawdown, draws.daily)} == {
        "nav": [("x", "nav")],
        "drawdown": [("x", "drawdown", 0), ("x", "drawdown")],
        "daily": [("x", "daily")],
    }
    assert {draw.__name__: drawn(draw(track)) for draw in (draws.exposure, draws.turnover, draws.costs)} == {
        "exposure": [("x", "gross"), ("x", "net")],
        "turnover": [("x", "turnover")],
        "costs": [("x", "commission"), ("x", "slippage")],
    }
    assert {draw.__name__: drawn(draw(signals)) for draw in (draws.coverage, draws.rank_ic, draws.slippage)} == {
        "coverage": [("x", "coverage")],
        "rank_ic": [("x", "ic"), ("x", "mean_ic")],
        "slippage": [("x", "bps")],
    }
    bands = [("x", "q05", "q95"), ("x", "q25", "q75")]
    assert drawn(draws.spread(signals)) == [*bands, ("x", "least"), ("x", "greatest"), ("x", "median")]
    assert drawn(draws.fifths(draws.empty(draws.FIFTHS))) == [("fifth", "mean")]


def drawn(plot: object) -> list[tuple[object, ...]]:
    """By glyph: the columns along and up."""
    found = []
    for renderer in plot.renderers:  # type: ignore[attr-defined]
        told = renderer.glyph.properties_with_values(include_defaults=True)
        places = [told[name] for name in ("x", "y", "y1", "y2", "top") if name in told]
        found.append(tuple(getattr(place, "field", getattr(place, "value", place)) for place in places))
    return found


def _holds(plot: object) -> None:
    """Each glyph's fields are columns of its source."""
    renderers = plot.renderers  # type: ignore[attr-defined]
    assert renderers
    for renderer in renderers:
        glyph = renderer.glyph
        for value in glyph.properties_with_values(include_defaults=False).values():
            field = getattr(value, "field", None)
            assert field is None or field in renderer.data_source.column_names
