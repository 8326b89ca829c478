"""A death at every fail point, and (soak) at every pair of them: recovery brings the same history about."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from sigc.failpoint import POINTS
from tests.trading.deaths import Kill, Told, facts, retell, tell

SEED = int(os.environ.get("SIGC_SEED", "7"))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return tell(tmp_path_factory.mktemp("calm"))


def test_the_story_passes_every_point(told: Told) -> None:
    passed = {point for points in told.passed.values() for point in points}
    assert passed == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_a_death_at(point: str, told: Told, tmp_path: Path) -> None:
    """In one of the steps that pass it, at one of its passages: which, the seed says."""
    dice = random.Random(f"{SEED} {point}")
    step = dice.choice([step for step, points in told.passed.items() if point in points])
    kill = Kill(point, dice.randint(1, told.passed[step].count(point)))
    assert retell(told, tmp_path / "work", step, [kill]) == [kill]
    assert facts(told.cast.at(tmp_path / "work")) == told.facts, f"seed {SEED}: {kill} in {step}"


@pytest.mark.soak
@pytest.mark.parametrize("first", POINTS)
def test_a_second_death_at_every_point(first: str, told: Told, tmp_path: Path) -> None:
    """Dead at one point, and again at each other that what follows passes: while it recovers, or later."""
    step = told.first(first)
    reached = 0
    for number, second in enumerate(POINTS):
        folder = tmp_path / str(number)
        died = retell(told, folder, step, [Kill(first), Kill(second)])
        assert died[0] == Kill(first)
        reached += len(died) == 2
        assert facts(told.cast.at(folder)) == told.facts, f"{first}, then {second}"
        shutil.rmtree(folder)
    print(f"{first}: {reached} of {len(POINTS)} second deaths")
    assert reached > 20
