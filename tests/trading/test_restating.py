"""A vendor that begins to adjust: old prices change by one ratio, and what is held is not traded by what it is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from sigc.errors import Severity
from sigc.panel import Floats
from sigc.store.ledger import books, control
from sigc.store.ledger.records import BookKey, Outcome
from sigc_pipelines.compute import Loaded
from sigc_pipelines.live.trading import Ended, TargetFeed
from sigc_pipelines.prices.closes import Closes
from sigc_pipelines.prices.restated_prices import RestatedAsset, Told, first_day, look, restated, shown, told_of
from tests.trading.floor import Floor
from tests.trading.test_bad_numbers import DAYS, checks, market, names, write

ASSETS = 40
CHANGED = 7  # the asset whose history is restated
FIRST = 25  # the row of the first run


@pytest.fixture
def world(tmp_path: Path) -> tuple[Floor, Floats, Floats]:
    made = market(tmp_path, ASSETS)
    write(*made, FIRST + 1)
    assert made[0].day(DAYS[FIRST]).run.outcome is Outcome.DONE
    return made


def after(floor: Floor, close: Floats, volume: Floats, row: int) -> Ended:
    write(floor, close, volume, row + 1)
    return floor.day(DAYS[row])


def said(ended: Ended) -> list[str]:
    return [f.message for s in ended.stages for f in s.findings if f.check == "restated"]


def ordered(ended: Ended) -> set[str]:
    return {o.asset for o in ended.orders}


def test_an_asset_whose_old_prices_are_a_quarter_is_kept_until_a_person_accepts_it(
    world: tuple[Floor, Floats, Floats],
) -> None:
    floor, close, volume = world
    name = names(ASSETS)[CHANGED]
    adjusted = close.copy()
    adjusted[:, CHANGED] /= 4  # all rows: no row jumps
    for row in (FIRST + 1, FIRST + 2):
        ended = after(floor, adjusted, volume, row)
        assert ended.run.outcome is Outcome.DONE
        assert name not in ordered(ended)
        (text,) = said(ended)
        assert text.startswith(
            f"old prices were restated by a constant ratio: {name} ({DAYS[FIRST]} and before x 0.25)"
        )
    with floor.open(DAYS[FIRST + 2]) as desk, desk.ledger.transaction("control") as tx:
        control.accept_price(tx, name, DAYS[FIRST], "ada", "the vendor adjusts from now on")
    ended = after(floor, adjusted, volume, FIRST + 3)
    assert said(ended) == []
    assert name in ordered(ended)


@pytest.mark.parametrize("rows", [[FIRST], [FIRST - 1]])
def test_a_correction_of_one_row_is_no_restatement(world: tuple[Floor, Floats, Floats], rows: list[int]) -> None:
    floor, close, volume = world
    mended = close.copy()
    mended[rows, CHANGED] *= 1.02
    ended = after(floor, mended, volume, FIRST + 1)
    assert said(ended) == []
    assert "restated" not in checks(ended)


def test_a_history_that_stays_says_nothing(world: tuple[Floor, Floats, Floats]) -> None:
    floor, close, volume = world
    assert said(after(floor, close, volume, FIRST + 1)) == []
    with floor.open(DAYS[FIRST + 1]) as desk, desk.ledger.reading() as connection:
        assert books.book(connection, BookKey("book", "main")) is not None


# By hand.

THREE = ("2024-01-02", "2024-01-03", "2024-01-04")
NAN = float("nan")


def closes(prices: Mapping[str, tuple[float, ...]], dates: tuple[str, ...] = THREE) -> Closes:
    return Closes(np.array(dates, "datetime64[D]"), tuple(prices), np.array(list(prices.values())).T, None)


def told_before(first: float, second: float) -> dict[str, dict[str, float]]:
    """A's prices of the first two days, as the last decision was shown them."""
    return {"A": {THREE[0]: first, THREE[1]: second}}


@pytest.mark.parametrize(
    ("now", "times"),
    [
        ((100.0, 50.0), None),
        ((25.0, 12.5), 0.25),
        ((400.0, 200.0), 4.0),
        ((100.51, 50.255), 1.0051),  # vendors round, but not by half a percent
        ((99.49, 49.745), 0.9949),
        ((100.49, 50.245), None),
        ((99.51, 49.755), None),
        ((100.5, 50.25), None),  # just so much is still rounding
        ((25.0, 12.51), 0.25),  # the two ratios are near enough
        ((25.02, 12.5), 0.2502),
        ((25.0, 12.52), None),  # by 1.6 in a thousand: another correction each
        ((25.0, 50.0), None),
        ((25.0, NAN), None),
        ((NAN, NAN), None),
        ((25.0, float("inf")), None),
    ],
)
def test_two_prices_that_change_by_one_ratio(now: tuple[float, float], times: float | None) -> None:
    found = restated(closes({"B": (1.0, 1.0, 1.0), "A": (*now, 7.0)}), told_before(100.0, 50.0), ())
    assert [(r.asset, r.day) for r in found] == ([] if times is None else [("A", THREE[1])])
    assert [r.times for r in found] == pytest.approx([] if times is None else [times])


def test_ratios_that_differ_by_just_a_thousandth_are_one() -> None:
    """1.001 and 1 are doubles of which the quotient less one is more than that; these two are less."""
    near, far = (2.0, 2.0 * 1.0009999), (2.0, 2.0 * 1.0010001)
    for now, count in ((near, 1), (far, 0)):
        assert len(restated(closes({"A": (*now, 7.0)}), told_before(1.0, 1.0), ())) == count


def test_what_a_person_accepts_or_nobody_knows_is_not_told() -> None:
    now = closes({"A": (25.0, 12.5, 7.0), "B": (25.0, 12.5, 7.0)})
    before = told_before(100.0, 50.0)
    assert restated(now, before, {("A", THREE[1])}) == ()
    assert len(restated(now, before, {("A", THREE[0]), ("B", THREE[1])})) == 1  # the newest of them is what is accepted
    assert restated(closes({"B": (1.0, 1.0, 1.0)}), before, ()) == ()
    assert restated(now, {"A": {"2023-12-29": 100.0, THREE[1]: 50.0}}, ()) == ()
    both = restated(now, {"B": before["A"], **before}, ())
    assert [r.asset for r in both] == ["A", "B"]


def test_what_a_decision_is_shown() -> None:
    """Its last two rows, of assets that have a price on both; of those that were restated what was before."""
    now = closes({"A": (1.0, 2.0, 3.0), "B": (4.0, NAN, 6.0), "C": (7.0, 8.0, 9.0), "D": (NAN, 1.0, 2.0)})
    before = {"C": {"2023-12-28": 70.0}, "B": {"2023-12-28": 40.0}}
    assert shown(now, ["D", "C", "B", "A", "X"], before, {"C", "Y"}) == {
        "A": {THREE[1]: 2.0, THREE[2]: 3.0},
        "C": {"2023-12-28": 70.0},
        "D": {THREE[1]: 1.0, THREE[2]: 2.0},
    }
    assert shown(now, [], before, {"C"}) == {"C": {"2023-12-28": 70.0}}
    one = closes({"A": (1.0,)}, THREE[:1])
    assert shown(one, ["A"], {}, ()) == {}  # one row tells no ratio


def test_the_first_day_that_is_asked_for() -> None:
    assert first_day({}) == first_day({"A": {}}) == ""
    assert first_day({"A": {THREE[1]: 1.0, THREE[2]: 1.0}, "B": {THREE[0]: 1.0}}) == THREE[0]


class Kept:
    """A feed of closes; is_kept: whether its rows are kept at all."""

    def __init__(self, is_kept: bool) -> None:
        self.is_kept = is_kept
        self.asked: list[str] = []

    def closes(self, _: Loaded, since: str) -> Closes:
        self.asked.append(since)
        return closes({"A": (25.0, 12.5, 7.0)})


def test_data_are_asked_for_once_they_were_shown() -> None:
    loaded = cast(Any, type("Loaded", (), {"grid": type("Grid", (), {"days": np.array(THREE, "datetime64[D]")})}))
    before = told_before(100.0, 50.0)
    replayed, fresh = Kept(is_kept=False), Kept(is_kept=True)
    assert look(cast(TargetFeed, replayed), loaded, before, ()) == Told(before)
    assert Told(before).record(cast(TargetFeed, replayed), loaded, ["A"]) == {}
    assert replayed.asked == []
    assert look(cast(TargetFeed, fresh), loaded, {}, ()) == Told({})
    assert fresh.asked == []
    found = look(cast(TargetFeed, fresh), loaded, before, ())
    assert found == Told(before, (RestatedAsset("A", THREE[1], 0.25),))
    assert found.record(cast(TargetFeed, fresh), loaded, ["A"]) == before
    assert Told(before).record(cast(TargetFeed, fresh), loaded, ["A"]) == {"A": {THREE[1]: 12.5, THREE[2]: 7.0}}
    assert fresh.asked == [THREE[0], THREE[1], THREE[1]]


def test_what_is_told_of_it() -> None:
    assert told_of(()) == ()
    (finding,) = told_of((RestatedAsset("A", THREE[1], 0.25), RestatedAsset("B", THREE[0], 1 / 3)))
    assert (finding.check, finding.severity, finding.assets) == ("restated", Severity.WARNING, ("A", "B"))
    assert finding.message.startswith(
        "old prices were restated by a constant ratio: A (2024-01-03 and before x 0.25), B (2024-01-02 and before x 0.3333)"
    )
    assert finding.message.endswith("sigc data accept A 2024-01-03 --reason '...'")
