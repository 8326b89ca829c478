"""What a run records of its computing: spread, and what became of it; nothing is told that can't be known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.errors import Severity
from sigc.panel import Floats
from sigc.store.ledger.records import RunKind
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.records.artifacts import folder_of
from sigc_pipelines.records.signal_record import QUANTILE_SHARES, read_signals, spread, write_realised, write_signals
from sigc_pipelines.records.source_record import changes, write_sources
from tests.data.ways import from_frame
from tests.trading.floor import Floor, floor

NAMES = tuple("ABCDEF")
SIGNAL = np.array([3.0, 1.0, 2.0, np.nan, 5.0, 4.0])
PRICES = np.array([10.0, 20.0, 30.0, 40.0, np.nan, 60.0])
numbers = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))


def written(folder: Path) -> Path:
    write_signals(
        folder, "r", "2024-01-02", NAMES, PRICES, {"s": SIGNAL, "weights": np.array([0.5, 0, 0, 0, 0.5, -0.5])}
    )
    return folder


def closes(days: list[str], rows: list[Floats], names: tuple[str, ...] = NAMES) -> Closes:
    return Closes(np.array(days, "datetime64[ns]"), names, np.array(rows), None)


@given(st.lists(numbers, max_size=60))
def test_a_spread_is_that_of_the_values_there_are(values: list[float]) -> None:
    found = spread(np.array(values, dtype=np.float64))
    valid = [v for v in values if v == v]
    assert found["count"] == len(valid)
    assert len(found["quantiles"]) == (len(QUANTILE_SHARES) if valid else 0)
    assert found["quantiles"] == sorted(found["quantiles"])
    if valid:
        assert (found["quantiles"][0], found["quantiles"][-1]) == pytest.approx((min(valid), max(valid)))
    json.dumps(found, allow_nan=False)


def test_what_has_no_price_counts_for_nothing(tmp_path: Path) -> None:
    found = read_signals(written(tmp_path), "r")
    assert found is not None
    assert found["universe"] == 5
    assert found["signals"]["s"]["count"] == 4  # D has no value, E no price
    assert found["signals"]["weights"]["count"] == 2  # wanted, not zero


def test_what_followed_is_added_once_whatever_else_the_later_prices_hold(tmp_path: Path) -> None:
    written(tmp_path)
    after = PRICES * np.array([1.03, 1.01, 1.02, 1.5, 1.0, 1.04])
    more, names = np.hstack([PRICES[::-1], [7.0]]), (*NAMES[::-1], "NEW")
    later = closes(["2024-01-02", "2024-01-03", "2024-01-04"], [more, np.hstack([after[::-1], [9.0]]), more], names)
    assert write_realised(tmp_path, "r", later)
    found = read_signals(tmp_path, "r")
    assert found is not None
    assert found["realised"]["session"] == "2024-01-03"
    assert found["realised"]["signals"]["s"]["ic"] == pytest.approx(1.0)  # it ranked them exactly
    assert not write_realised(tmp_path, "r", later)


@pytest.mark.parametrize("days", [["2024-01-02"], ["2024-01-03", "2024-01-04"], []])
def test_what_followed_is_not_told_where_it_is_not_known(tmp_path: Path, days: list[str]) -> None:
    """No later row, or the row of the as-of date is not there any more."""
    written(tmp_path)
    empty = Closes(np.array([], "datetime64[ns]"), NAMES, np.empty((0, 6)), None)
    assert not write_realised(tmp_path, "r", closes(days, [PRICES] * len(days)) if days else empty)
    assert not write_realised(tmp_path, "another", closes(["2024-01-02", "2024-01-03"], [PRICES, PRICES]))
    found = read_signals(tmp_path, "r")
    assert found is not None
    assert found["realised"] is None


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Floor:
    return floor(tmp_path_factory.mktemp("floor"))


def test_a_run_goes_on_though_nothing_can_be_recorded(traded: Floor) -> None:
    blocked = folder_of(traded.work_dir, "blocked")
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file where the run's folder should be")
    ended = traded.day("2016-03-01", "blocked", kind=RunKind.DRY)
    assert ended.run.outcome == "done"
    (finding,) = [f for stage in ended.stages for f in stage.findings if f.check == "record"]
    assert finding.severity is Severity.WARNING


def test_a_session_that_was_left_out_is_no_part_of_what_followed(traded: Floor) -> None:
    """The next run comes two sessions later: what followed is still the one session after."""
    traded.day("2016-03-07", "first")
    traded.day("2016-03-09", "second")
    found = read_signals(traded.work_dir, "first")
    assert found is not None
    assert found["realised"]["session"] == "2016-03-08"
    assert read_signals(traded.work_dir, "second")["realised"] is None  # type: ignore[index]


def test_what_changed_in_a_source_since_a_run(tmp_path: Path) -> None:
    days = ["2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08"]
    old = {"date": days, "A": [1.0, 2.0, 3.0, 4.0], "B": [5.0, 6.0, 7.0, 8.0], "C": [1.0] * 4}
    source, _ = from_frame(tmp_path, old)
    write_sources(tmp_path, "r", {"prices": source})
    assert changes(tmp_path, "r", {"prices": source}) == {}
    assert changes(tmp_path, "another", {"prices": source}) == {}
    new = {
        "date": [*days[1:], "2024-03-11", "2024-03-12"],
        "A": [2.0, 3.5, 4.0, 5.0, 6.0],
        "B": [6.0, 7.0, 8.0, 9.0, 9.0],
    }
    later, _ = from_frame(tmp_path, new | {"D": [None, None, None, 1.0, 1.0]})
    assert changes(tmp_path, "r", {"prices": later, "new": later}) == {
        "prices": "2 rows added (first 2024-03-11); 1 row gone (2024-03-05); 3 rows restated (first 2024-03-06);"
        " 1 asset new (D); 1 asset gone (C)"
    }
    restated, _ = from_frame(tmp_path, old | {"A": [1.0, 2.0, 3.5, 4.0]})
    assert changes(tmp_path, "r", {"prices": restated}) == {"prices": "1 row restated (2024-03-07)"}
