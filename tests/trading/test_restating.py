"""A vendor that begins to adjust: old prices change by one ratio, and what is held is not traded by what it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigc.panel import Floats
from sigc.store import books, control
from sigc.store.records import BookKey, Outcome
from sigc_pipelines.trading import Ended
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
