"""Corporate actions against prices as traded: each finding on figures by hand, the suspects of real data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigc.actions import Action, ActionKind
from sigc.data.actions.action_files import read_actions
from sigc.data.actions.corporate_checks import AdjustmentEvidence, judge, looks_adjusted
from sigc.data.sources.spec import SourceSpec
from sigc.panel import Dates, Floats
from tests.data.ways import NYSE

NAN = float("nan")
DAYS = [date(2024, 3, 4 + i) for i in range(5)]  # Monday to Friday


def split(day: date, ratio: str, asset: str = "A") -> Action:
    return Action(day, asset, ActionKind.SPLIT, Fraction(ratio))


def dividend(day: date, cash: float, asset: str = "A") -> Action:
    return Action(day, asset, ActionKind.DIVIDEND, cash=cash)


def told(actions: list[Action], prices: Mapping[str, Sequence[float]]) -> list[str]:
    values = np.array(list(prices.values())).T
    found = judge(actions, tuple(prices), np.array(DAYS[: len(values)], "datetime64[ns]"), values)
    assert {f.code for f in found} <= {"W007"}
    return [f.message.removeprefix("source 'corporate_actions': ") for f in found]


def test_actions_that_fit_are_silent() -> None:
    prices: dict[str, Sequence[float]] = {"A": [100, 50.5, 50, 49.5, 99], "B": [10, 10, 10, 10, 10.1]}
    actions = [split(DAYS[1], "2"), dividend(DAYS[3], 0.5), split(DAYS[4], "1/2"), dividend(DAYS[0], 9, "B")]
    assert told(actions, prices) == []


def test_a_split_and_a_dividend_that_fit_together() -> None:
    assert told([split(DAYS[1], "2"), dividend(DAYS[1], 0.4)], {"A": [100, 49.6]}) == []
    # a large dividend is named with the figures: 1:4 of 16 is 64, 45 + 20 are 65
    (found,) = told([split(DAYS[1], "1/4"), dividend(DAYS[1], 20)], {"A": [16, 45]})
    assert "'A' 2024-03-05: a split of 1:4 and a dividend of 20 leave a return of +1.6%" in found
    assert "the split alone -29.7%, the dividend alone +306.2%: they fit together" in found


def test_one_that_is_the_other_said_twice() -> None:
    # 54 to 48.6 is a fall of 10 %: the split of 10:9 explains it, so does the dividend of 5.4, both leave +11 %
    (found,) = told([split(DAYS[1], "10/9"), dividend(DAYS[1], 5.4)], {"A": [54, 48.6]})
    assert "leave a return of +11.1%, the split alone +0.0%, the dividend alone +0.0%" in found
    # with 3 it is +6.2 %, alone +0.0 % and -4.4 %: 5 % beyond the nearer one
    (found,) = told([split(DAYS[1], "10/9"), dividend(DAYS[1], 3)], {"A": [54, 48.6]})
    assert "+6.2%, the split alone +0.0%, the dividend alone -4.4%" in found
    assert "fit together" not in found
    (found,) = told([split(DAYS[1], "2"), dividend(DAYS[1], 1)], {"A": [100, 50]})  # one new share for one
    assert "the amount of the dividend repeats the ratio" in found
    (found,) = told([split(DAYS[1], "2"), dividend(DAYS[1], 2)], {"A": [100, 50]})
    assert "the amount of the dividend repeats the ratio" in found
    (found,) = told([split(DAYS[1], "4"), dividend(DAYS[1], 3)], {"A": [1000, 250]})  # three new shares for one
    assert "the amount of the dividend repeats the ratio" in found


def test_one_that_the_price_does_not_show() -> None:
    (found,) = told([split(DAYS[1], "2")], {"A": [100, 101]})
    assert found == "'A' 2024-03-05: a split of 2:1 leaves a return of +102.0%, where the price moved +1.0%"
    (found,) = told([split(DAYS[1], "1/2")], {"A": [100, 101]})
    assert found == "'A' 2024-03-05: a split of 1:2 leaves a return of -49.5%, where the price moved +1.0%"
    (found,) = told([dividend(DAYS[1], 8)], {"A": [100, 99]})
    assert found == "'A' 2024-03-05: a dividend of 8 leaves a return of +7.0%, where the price moved -1.0%"
    assert told([dividend(DAYS[1], 4)], {"A": [100, 99]}) == []  # within 5 %


def test_one_that_leaves_much() -> None:
    """Three quarters of the price after a 1:4: a spin-off of that day is missing. 80 % is a bad day."""
    assert told([split(DAYS[1], "1/4")], {"A": [10, 33]}) == []
    (found,) = told([split(DAYS[1], "1/4")], {"A": [10, 30]})
    assert found == "'A' 2024-03-05: a split of 1:4 leaves a return of -25.0%, where the price moved +200.0%"


def test_a_spin_off_that_is_written_as_a_split() -> None:
    (found,) = told([split(DAYS[1], "1.238")], {"A": [93.74, 76.89]})
    assert "a split of 1.238 is not a ratio of small numbers, and leaves a return of +1.5%" in found
    assert "where the price moved -18.0%; 1,000 shares are booked as 1,238 of its own" in found
    assert told([split(DAYS[1], "1.05")], {"A": [105, 100]}) == []  # a stock dividend of 5 %


def test_an_unknown_asset() -> None:
    (found,) = told([split(DAYS[1], "2", "aapl"), dividend(DAYS[2], 1, "aapl")], {"AAPL": [1, 1, 1]})
    assert found == "2 actions of assets without prices: aapl"


def test_a_price_that_is_not_positive() -> None:
    found = told([dividend(DAYS[2], 0.1), dividend(DAYS[2], 0.1, "B")], {"A": [10, 10, 0, 10], "B": [1, 1, -1, 1]})
    assert "2 actions on a price that is not positive: dividend of 'A' 2024-03-06, dividend of 'B' 2024-03-06" in found


def test_a_small_price_is_a_price() -> None:
    assert told([dividend(DAYS[1], 0.001)], {"A": [0.5, 0.5]}) == []
    assert "'A' 2024-03-06 (to 1:2)" in told([], {"A": [100, 0, 50]})[0]  # a price of 0 is none


def test_an_ex_date_without_a_price() -> None:
    prices: dict[str, Sequence[float]] = {"A": [100, NAN, 50, 50], "B": [5.0, 5, NAN, NAN]}
    actions = [
        split(DAYS[1], "2"),
        dividend(DAYS[3], 0.1, "B"),
        dividend(date(2024, 3, 30), 1),
        dividend(date(2020, 1, 2), 1),
    ]
    later, never = told(actions, prices)
    assert later.endswith("they take effect on the next one: split of 'A' 2024-03-05 on 2024-03-06")
    assert never == "1 action after the last price of the asset: dividend of 'B' 2024-03-07"


def test_ends_and_new_names_need_no_price() -> None:
    ends = [Action(DAYS[2], "A", ActionKind.DELIST, value=0.0), Action(DAYS[2], "B", ActionKind.RENAME, into="C")]
    assert told(ends, {"A": [1, 1, NAN], "B": [1, 1, NAN], "C": [NAN, NAN, 1]}) == []


@pytest.mark.parametrize("times", [2, 3, 4, 5, 7, 10, 20])
def test_jumps_like_a_split(times: int) -> None:
    up, down, off = 1.019 * times, 1 / (0.981 * times), 1.03 * times
    (found,) = told([], {"A": [1, up, up], "B": [1, NAN, down], "C": [1, off, off]})
    assert found == (
        f"2 prices jump like a split that no action declares: 'A' 2024-03-05 (to {times}:1), 'B' 2024-03-06 (to 1:{times})"
    )


def test_a_jump_that_an_action_explains() -> None:
    halved: dict[str, Sequence[float]] = {"A": [100, 50, 50]}
    for action in (
        split(DAYS[1], "2"),
        dividend(DAYS[1], 50),
        Action(DAYS[1], "A", ActionKind.SPINOFF, Fraction(0), 49.0),
    ):
        assert told([action], halved) == []
    assert told([Action(DAYS[1], "A", ActionKind.SPINOFF, Fraction(1, 3), into="B")], halved) == []
    spun = Action(DAYS[1], "A", ActionKind.SPINOFF, Fraction(1, 3), into="B")
    assert told([spun, dividend(DAYS[1], 30)], halved) == []  # what B is worth is not known
    assert "no action declares" in told([dividend(DAYS[1], 0.5)], halved)[0]  # a dividend of 1 % does not


def brute(actions: list[Action], prices: pd.Series) -> dict[date, float]:
    """The total return of each action's day: from the definition, with pandas."""
    out = {}
    for day in {a.ex_date for a in actions}:
        at = prices.dropna().loc[pd.Timestamp(day) :].index[0]
        before = prices.dropna().loc[: at - pd.Timedelta(days=1)].iloc[-1]
        ratio = float(np.prod([float(a.ratio) for a in actions if a.ex_date == day]))
        out[day] = ratio * (prices[at] + sum(a.cash for a in actions if a.ex_date == day)) / before - 1
    return out


def test_the_returns_that_are_told_are_the_definition() -> None:
    dice = np.random.default_rng(5)
    values = 100 * np.exp(np.cumsum(dice.normal(0, 0.02, 5)))
    actions = [split(DAYS[2], "3"), dividend(DAYS[2], 30.0)]
    (found, *_) = told(actions, {"A": values.tolist()})
    wanted = brute(actions, pd.Series(values, pd.to_datetime(DAYS)))
    assert f"leave a return of {wanted[DAYS[2]]:+.1%}" in found


def test_a_few_of_each_kind_are_named() -> None:
    names = [f"X{i}" for i in range(7)]
    (found,) = told([split(DAYS[0], "2", n) for n in names], {"A": [1.0, 1.0]})
    assert found == "7 actions of assets without prices: X0, X1, X2, X3, X4 and 2 more"
    many = {f"X{i:03}": [100.0, 101.0] for i in range(300)}
    found_of_each = told([split(DAYS[1], "2", n) for n in many], many)
    assert len(found_of_each) == 51
    assert found_of_each[-1] == "250 more doubtful actions"
    halved: dict[str, Sequence[float]] = {**many, "X299": [100.0, 50.0]}
    assert told([], halved) == ["1 price jumps like a split that no action declares: 'X299' 2024-03-05 (to 1:2)"]


# -- adjusted already --------------------------------------------------------------------------------------------


def looks(actions: list[Action], prices: Mapping[str, Sequence[float]]) -> AdjustmentEvidence:
    values = np.array(list(prices.values())).T
    return looks_adjusted(actions, tuple(prices), np.array(DAYS[: len(values)], "datetime64[ns]"), values)


def test_prices_that_do_not_jump_on_their_splits_look_adjusted() -> None:
    actions = [split(DAYS[1], "2"), split(DAYS[3], "1/10", "B")]
    traded: dict[str, Sequence[float]] = {"A": [100, 51, 50, 50], "B": [1, 1, 1, 10.2]}
    adjusted: dict[str, Sequence[float]] = {"A": [50, 51, 50, 50], "B": [10, 10, 10, 10.2]}
    assert looks(actions, traded) == AdjustmentEvidence(
        False,
        "the price jumps on 2 of 2 splits ('A' 2024-03-05, 2:1: -49.0%, 'B' 2024-03-07, 1:10: +920.0%)",
        calm=0,
        told=2,
    )
    assert looks(actions, adjusted) == AdjustmentEvidence(
        True,
        "the price does not jump on 2 of 2 splits ('A' 2024-03-05, 2:1: +2.0%, 'B' 2024-03-07, 1:10: +2.0%)",
        calm=2,
        told=2,
    )
    assert looks([dividend(DAYS[1], 3), split(DAYS[1], "1.05")], adjusted) == AdjustmentEvidence(
        False
    )  # nothing that can tell
    assert not looks([*actions, split(DAYS[2], "5")], traded).adjusted  # one wrong split among three


# -- real ones ---------------------------------------------------------------------------------------------------


def real(folder: Path) -> tuple[tuple[Action, ...], tuple[str, ...], Dates, Floats]:
    file = str(folder / "corporate_actions.csv")
    actions = read_actions(SourceSpec("corporate_actions", file, is_actions=True), [file], NYSE.of()).actions
    return (actions, *panel(folder / "close.parquet"))


def panel(file: Path) -> tuple[tuple[str, ...], Dates, Floats]:
    frame = pd.read_parquet(file)
    frame = frame.set_index("date") if "date" in frame else frame
    return tuple(frame.columns), pd.to_datetime(frame.index).to_numpy("datetime64[ns]"), frame.to_numpy(float)


def test_real_suspects_are_named(sp500: Path) -> None:
    actions, names, dates, closes = real(sp500)
    found = {
        m[0]: f.message
        for f in judge(actions, names, dates, closes)
        if (m := re.search(r"'[A-Z.]+' [\d-]{10}", f.message))
    }
    both = {
        "'MET' 2017-08-07", "'EL' 2011-11-23", "'HBI' 2015-03-04", "'ROST' 2015-06-12", "'LDOS' 2013-09-30",
        "'HLT' 2017-01-04",
    }  # fmt: skip
    assert {k for k, m in found.items() if "and a dividend of" in m} == both
    assert {k for k in both if "fit together" in found[k]} == {"'LDOS' 2013-09-30", "'HLT' 2017-01-04"}
    odd = {
        "'HON' 2018-10-01", "'HON' 2018-10-29", "'DOV' 2018-05-09", "'PNR' 2018-05-01", "'VNO' 2017-07-18",
        "'LEN' 2017-11-09", "'JCI' 2016-09-06",
    }  # fmt: skip
    assert {k for k, m in found.items() if "not a ratio of small numbers" in m} == odd
    others = {"'GNRC' 2010-02-12", "'TMUS' 2013-05-01", "'TEL' 2014-05-15", "'MSI' 2011-01-04"}
    assert set(found) - both - odd == others
    assert "a split of 1:7 leaves a return of -37.6%, where the price moved +336.6%" in found["'MSI' 2011-01-04"]


def test_a_real_split_that_is_left_out_is_found(sp500: Path) -> None:
    actions, names, dates, closes = real(sp500)
    gone = [a for a in actions if (a.asset, a.kind, a.ex_date) != ("AAPL", ActionKind.SPLIT, date(2014, 6, 9))]
    assert len(gone) == len(actions) - 1
    (found,) = {f.message for f in judge(gone, names, dates, closes)} - {
        f.message for f in judge(actions, names, dates, closes)
    }
    assert found.endswith("1 price jumps like a split that no action declares: 'AAPL' 2014-06-09 (to 1:7)")


def test_real_prices_and_real_adjusted_ones(sp500: Path) -> None:
    actions, names, dates, closes = real(sp500)
    assert not looks_adjusted(actions, names, dates, closes).adjusted
    assert looks_adjusted(actions, *panel(sp500 / "prices.parquet")).adjusted
    assert not looks_adjusted([replace(a, asset="?") for a in actions], names, dates, closes).evidence
