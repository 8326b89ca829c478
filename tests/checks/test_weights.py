"""Checks of weights at their limits, and what can't be measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.config.settings import SafetySettings
from sigc.errors import Severity
from sigc.store.ledger.records import Finding
from sigc_pipelines.checks.view import WeightsView
from sigc_pipelines.checks.weights import CHECKS, judge_weights

NAMES = ("A", "B", "C", "D")
UNIT = 1e-6


def view(target: list[float], held: list[float] | None = None, **more: Any) -> WeightsView:
    return WeightsView(NAMES, np.array(target), np.array(held if held is not None else [0.0] * len(target)), **more)


def found(of: WeightsView, **limits: Any) -> tuple[Finding, ...]:
    return judge_weights(of, SafetySettings.model_validate(limits))


def scaled(target: list[float], by: float) -> list[float]:
    return [w * by for w in target]


@pytest.mark.parametrize(
    ("check", "setting", "target", "limit", "assets"),
    [
        ("position", "max_position", [0.1, -0.3, 0.2, 0.0], 0.3, ("B",)),
        ("gross", "max_gross", [0.1, -0.3, 0.2, 0.0], 0.6, ()),
        ("net", "max_net", [0.1, -0.3, -0.2, 0.0], 0.4, ()),
        ("turnover", "max_turnover", [0.1, -0.3, 0.2, 0.0], 0.6, ()),
        ("change", "max_change", [0.1, -0.3, 0.2, 0.0], 0.3, ("B",)),
        ("sector", "max_sector", [0.1, 0.3, -0.2, -0.1], 0.4, ("A", "B")),
    ],
)
def test_a_limit_may_be_met_and_not_exceeded(
    check: str, setting: str, target: list[float], limit: float, assets: tuple[str, ...]
) -> None:
    sectors = ("x", "x", "y", "y")
    assert found(view(scaled(target, 1 - UNIT), sectors=sectors), **{setting: limit}) == ()
    assert found(view(target, sectors=sectors), **{setting: limit}) == ()
    (finding,) = found(view(scaled(target, 1 + UNIT), sectors=sectors), **{setting: limit})
    assert finding.check == check
    assert finding.severity is Severity.ERROR
    assert finding.assets == assets
    assert finding.value == pytest.approx(limit * (1 + UNIT), rel=1e-12)
    assert finding.limit == limit


def test_changes_are_against_what_is_held() -> None:
    wanted, held = [0.5, -0.5, 0.0, 0.0], [0.5, -0.5, 0.0, 0.0]
    assert found(view(wanted, held), max_turnover=1e-3, max_change=1e-3) == ()
    assert {f.check for f in found(view(wanted), max_turnover=1e-3, max_change=1e-3)} == {"turnover", "change"}
    (whole,) = found(view([0.5, 0.5, 0.0, 0.0], held), max_turnover=0.9)
    assert whole.value == 1.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_fails_every_check(bad: float) -> None:
    findings = found(view([0.1, bad, 0.2, 0.0]), max_sector=1.0, neutral=True, max_deviation=3.0, min_history=2)
    assert {f.check for f in findings} == {
        "finite", "position", "sector", "gross", "net", "neutral", "turnover", "change",
    }  # fmt: skip
    assert findings[0].assets == ("B",)
    held = found(
        view([0.1, 0.1, 0.2, 0.0], [0.0, bad, 0.0, 0.0], past_turnovers=(0.1, 0.2)), max_deviation=3.0, min_history=2
    )
    assert {f.check for f in held} == {"turnover", "change", "deviation"}


def test_a_book_of_the_wrong_shape_fails() -> None:
    assert "finite" in {f.check for f in found(WeightsView(NAMES, np.zeros(3), np.zeros(4)))}


def test_sectors_must_be_known_where_they_are_limited() -> None:
    target = [0.1, 0.1, 0.0, 0.0]
    assert [f.check for f in found(view(target), max_sector=1.0)] == ["sector"]
    assert found(view(target)) == ()
    (unknown,) = found(view(target, sectors=("x", "", "y", "")), max_sector=1.0)
    assert "B" in unknown.message
    assert "D" not in unknown.message  # nothing of it is wanted
    (both,) = found(view([0.3, 0.3, -0.7, 0.0], sectors=("x", "x", "y", "x")), max_sector=0.5)
    assert both.message == "sector x weighs 0.6; sector y weighs -0.7; the limit is 0.5"
    assert both.assets == ("A", "B", "C")  # D is of sector x, and nothing of it is wanted
    assert both.value == 0.7  # of the one farthest beyond


def test_neutral_is_measured_against_the_gross() -> None:
    assert found(view([0.5, -0.5, 0.0, 0.0]), neutral=True, neutral_tolerance=0.0) == ()
    assert found(view([0.505, -0.495, 0.0, 0.0]), neutral=True, neutral_tolerance=0.01) == ()
    for long, short in ((0.506, -0.494), (0.494, -0.506), (0.253, -0.247)):  # a book of half the size too
        (off,) = found(view([long, short, 0.0, 0.0]), neutral=True, neutral_tolerance=0.01)
        assert off.check == "neutral"
        assert off.value == pytest.approx(0.012)
    assert found(view([0.506, 0.494, 0.0, 0.0]), neutral=False) == ()
    assert found(view([0.0] * 4), neutral=True) == ()


def test_a_turnover_unlike_its_history() -> None:
    past = tuple(0.1 + 0.01 * (-1) ** i for i in range(20))  # mean 0.1, deviation about 0.01026
    spread = float(np.std(past, ddof=1))
    limits = {"max_deviation": 3.0}
    assert found(view([0.1 + 3 * spread - UNIT, 0, 0, 0], past_turnovers=past), **limits) == ()
    (far,) = found(view([0.1 + 3 * spread + UNIT, 0, 0, 0], past_turnovers=past), **limits)
    assert far.check == "deviation"
    assert far.value == pytest.approx(3 + UNIT / spread)
    assert found(view([0.0] * 4, past_turnovers=past), **limits) == ()  # less than ever is no harm
    assert found(view([1.0, 0, 0, 0], past_turnovers=past[:19]), **limits) == ()  # not judged by so few
    assert found(view([1.0, 0, 0, 0], past_turnovers=past), max_deviation=0.0) == ()
    still = (0.1,) * 20
    assert found(view([0.1, 0, 0, 0], past_turnovers=still), **limits) == ()
    assert found(view([0.1, 0, 0, 0], past_turnovers=still), max_deviation=0.5) == ()
    assert found(view([1e-9, 0, 0, 0], past_turnovers=(0.0,) * 20), **limits) == ()  # as much as sums may be off by
    (ever,) = found(view([0.2, 0, 0, 0], past_turnovers=still), **limits)
    assert ever.value is None  # infinitely far, which no record can hold
    assert ever.message.endswith("in standard deviations is inf; the limit is 3")
    broken = found(view([0.1, 0, 0, 0], past_turnovers=(*still, float("nan"))), **limits)
    assert [f.check for f in broken] == ["deviation"]


def test_a_limit_is_exceeded_by_more_than_sums_may_be_off() -> None:
    assert found(view([1 + 1e-9, 0, 0, 0]), max_gross=1.0, max_position=1.0, max_net=1.0) == ()
    beyond = found(view([1 + 1.1e-9, 0, 0, 0]), max_gross=1.0, max_position=1.0, max_net=1.0)
    assert [f.check for f in beyond] == ["position", "gross", "net"]


@given(st.integers(2, 400), st.floats(0.1, 5.0))
def test_rounding_of_sums_is_no_breach(assets: int, gross: float) -> None:
    names = tuple(str(i) for i in range(assets))
    even = WeightsView(names, np.full(assets, gross / assets), np.zeros(assets))
    each = gross / assets
    assert found(even, max_gross=gross, max_net=gross, max_turnover=gross, max_position=each, max_change=each) == ()


def test_every_check_is_declared() -> None:
    fields = SafetySettings.model_fields
    for each in CHECKS:
        assert each.text.endswith(".")
        assert not each.setting or each.default == fields[each.setting].default
