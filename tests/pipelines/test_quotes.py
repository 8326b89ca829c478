"""Prices that money is counted by, from a panel: what is accepted, what is left out, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.config.settings import DataSettings
from sigc.data.anomalies import AnomalyState
from sigc.data.catalog import Source, load
from sigc.errors import Severity, SigcError
from sigc.panel import Dates, Floats
from sigc_pipelines.prices.quotes import Accepted, Quotes, accept_panel
from tests.data.ways import NYSE, spec_of

NAN = float("nan")
DATES: Dates = pd.bdate_range("2024-01-02", periods=150).to_numpy("datetime64[ns]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("quotes")
    (made / "p.csv").write_text("date,A,B\n2024-01-02,1,2\n2024-01-03,1,2\n")
    return made


def source(folder: Path, **said: Any) -> Source:
    return load([spec_of("p.csv", base=str(folder), **said)], MemoryStore(), DataSettings(), exchanges=NYSE).sources[
        "prices"
    ]


def accepted(folder: Path, values: Floats, said: dict[str, Any] | None = None, **how: Any) -> Accepted:
    names = tuple("ABCDEFGH"[: values.shape[1]])
    return accept_panel(source(folder, **(said or {})), values, names, DATES[: len(values)], 0.5, **how)


CALM = np.array([[100.0, 50.0], [110.0, 51.0], [99.0, 50.0], [100.0, 49.0]])
# A jumps in the third row, which the fourth confirms.
JUMP = np.array([[100.0, 50.0], [110.0, 51.0], [280.0, 50.0], [290.0, 49.0]])
LEFT = np.where(np.arange(8).reshape(4, 2) == 4, NAN, JUMP)


def same(found: Floats | None, expected: Floats) -> None:
    assert found is not None
    assert np.array_equal(found, expected, equal_nan=True)


def test_prices_that_are_all_accepted_are_those_of_the_source(folder: Path) -> None:
    made = accepted(folder, CALM)
    assert all(one is CALM for one in (made.prices, made.raw, made.levels, made.raw_levels))
    same(made.returns, pd.DataFrame(CALM).pct_change().to_numpy())
    assert made.findings == ()


def test_a_jump_is_none_before_it_is_confirmed(folder: Path) -> None:
    made = accepted(folder, JUMP)
    same(made.prices, LEFT)
    same(made.levels, LEFT)
    assert made.raw is made.raw_levels is JUMP
    assert made.prices is made.levels
    assert made.returns is None
    (told,) = made.findings
    assert told.message.endswith("1 price jumps by more than 50%: A 2024-01-04 (+154.5%)")
    assert accepted(folder, JUMP, skipped=2).findings == made.findings
    assert accepted(folder, JUMP, skipped=3).findings == ()
    same(accepted(folder, JUMP, skipped=3).prices, LEFT)
    assert accepted(folder, JUMP, {"max_return": 2.0}).prices is JUMP
    assert accepted(folder, JUMP, {"mask_anomalies": True}).prices is JUMP  # such a source holds accepted ones
    assert (
        accepted(folder, JUMP, by_hand=((2, 0),), before=AnomalyState(np.full(2, NAN), np.full(2, NAN))).prices is JUMP
    )


def test_jumps_are_judged_on_levels_and_left_out_of_both(folder: Path) -> None:
    """A splits 2:1 in the second row: no jump, as its level says. The third is one on both."""
    traded = JUMP / np.array([[1.0, 1.0], [2.0, 1.0], [2.0, 1.0], [2.0, 1.0]])
    made = accepted(folder, traded, levels=JUMP)
    same(made.prices, np.where(np.isnan(LEFT), NAN, traded))
    same(made.levels, LEFT)
    assert made.raw is traded
    assert made.raw_levels is JUMP
    calm = accepted(folder, traded, levels=CALM)
    assert (calm.prices is traded, calm.levels is CALM) == (True, True)
    same(calm.returns, pd.DataFrame(CALM).pct_change().to_numpy())


@pytest.mark.parametrize(
    ("accepted_before", "candidate", "first", "is_left_out"),
    [
        (100, NAN, 101, False),
        (100, NAN, 900, True),
        (100, 900, 910, False),
        (100, 900, 101, False),
        (NAN, NAN, 900, False),
    ],
)
def test_the_first_row_is_held_against_what_was_before(
    folder: Path, accepted_before: float, candidate: float, first: float, is_left_out: bool
) -> None:
    before = AnomalyState(np.array([accepted_before], float), np.array([candidate], float))
    made = accepted(folder, np.array([[first], [first]], float), before=before)
    assert np.isnan(made.prices[:, 0]).tolist() == [is_left_out, False]


@pytest.mark.parametrize(("unit", "wrong"), [(1.0, -2), (0.001, 0)])
def test_prices_of_zero_and_below_are_none(folder: Path, unit: float, wrong: float) -> None:
    values = CALM * unit
    values[0, 1] = wrong
    made = accepted(folder, values, levels=values * 2)
    same(made.prices, np.where(values > 0, values, NAN))
    same(made.raw, made.prices)
    same(made.levels, made.prices * 2)
    same(made.raw_levels, made.prices * 2)
    assert made.returns is None
    (told,) = made.findings
    assert (told.code, told.severity) == ("W006", Severity.WARNING)
    assert told.message == f"source 'prices': 1 price is 0 or below: B 2024-01-02 ({wrong})"
    assert accepted(folder, values, skipped=1).findings == ()
    kept = accepted(folder, values, {"allow_negative": True})
    assert kept.prices is values
    assert kept.findings == ()


def bad(rows: int, count: int) -> Floats:
    """Two assets over rows, with so many zeros."""
    values = np.full((rows, 2), 10.0)
    values[:count, 1] = 0.0
    return values


@pytest.mark.parametrize(
    ("rows", "count", "said", "share"),
    [
        (4, 1, {}, ""),  # one is no share
        (4, 2, {}, "25.0% of its prices, 1 % may be"),
        (150, 3, {}, ""),
        (150, 4, {}, "1.3% of its prices, 1 % may be"),
        (4, 2, {"max_anomalies_pct": 25.0}, ""),
        (4, 3, {"max_anomalies_pct": 25.0}, "37.5% of its prices, 25 % may be"),
        (4, 1, {"max_anomalies_pct": 0.0}, "12.5% of its prices, 0 % may be"),
        (101, 3, {}, "1.5% of its prices, 1 % may be"),
    ],
)
def test_too_many_prices_that_are_none_are_an_error(
    folder: Path, rows: int, count: int, said: dict[str, Any], share: str
) -> None:
    if not share:
        assert len(accepted(folder, bad(rows, count), said).findings) == 1
        return
    with pytest.raises(SigcError) as raised:
        accepted(folder, bad(rows, count), said)
    assert str(raised.value).endswith(share)
    assert "E201" in str(raised.value)


@pytest.mark.parametrize(("count", "more"), [(5, "B 2024-01-08 (0)"), (6, "B 2024-01-08 (0) and 1 more")])
def test_five_of_them_are_named(folder: Path, count: int, more: str) -> None:
    (told,) = accepted(folder, bad(150, count), {"max_anomalies_pct": 90.0}).findings
    assert told.message.startswith(
        f"source 'prices': {count} prices are 0 or below: B 2024-01-02 (0), B 2024-01-03 (0), "
    )
    assert told.message.endswith(more)


def test_the_last_rows_of_what_is_accepted(folder: Path) -> None:
    whole = accepted(folder, CALM, levels=CALM * 2)
    last = whole.last(3)
    same(last.prices, CALM[1:])
    same(last.raw, CALM[1:])
    same(last.levels, CALM[1:] * 2)
    same(last.raw_levels, CALM[1:] * 2)
    assert whole.returns is not None
    same(last.returns, whole.returns[1:])
    assert last.dates.tolist() == DATES[1:4].tolist()
    assert accepted(folder, JUMP).last(2).returns is None


def test_quotes_of_some_rows_know_the_returns_of_their_first() -> None:
    ends = np.array([-1, 3]), np.array([NAN, 2.0]), np.array([-1, -1])
    whole = Quotes(CALM, JUMP, None, 7, -0.3, ends)
    part = whole.rows(1, 4)
    same(part.prices, CALM[1:])
    same(part.raw, JUMP[1:])
    same(part.returns, pd.DataFrame(CALM).pct_change().to_numpy()[1:])
    assert (part.ended_after, part.delisting_return) == (7, -0.3)
    assert part.ends is not None
    assert part.ends[0].tolist() == [-1, 2]
    known = np.ones((4, 2))
    assert Quotes(CALM, CALM, known).returns is known
    plain = Quotes.of(CALM)
    assert (plain.ended_after, plain.delisting_return, plain.ends) == (10, 0.0, None)
    assert plain.rows(0, 2).ends is None
