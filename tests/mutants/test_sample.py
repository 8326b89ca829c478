"""Mutations change what they say, and nothing else; a sample of the campaign finds no survivor that is not listed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.areas import AREAS
from tests.mutants.campaign import SURVIVED, cases, listed, outcomes, report, sample
from tests.mutants.mutate import mutants

ROOT = Path(__file__).parent.parent.parent

SOURCE = b'''
def worth(held: int, price: float = 1.0) -> float:
    """Docstrings > code."""
    if not held or price <= 0:
        return -abs(price)
    total = held * price
    log("a < b")
    return min(total, 10) + total
'''
# Nothing of it decides what is computed: types, decorators and errors, wherever they stand.
SPARED = b"""
@check(1 + 1)
def outer(a: int | None) -> int | None:
    def inner(b: list[int | None]) -> int | None:
        c: int | None = b
        raise ValueError(a - 1)

    assert a > 0
    failpoint("a")


@dataclass(frozen=True)
class Later:
    of = dict(zip(a, b, strict=True))


async def later(a: int | None) -> int | None:
    raise ValueError(not a)
"""


def test_one_change_a_mutant() -> None:
    found = {(m.was, m.now) for m in mutants("m.py", SOURCE)}
    assert found == {
        ("1.0", "2.0"),
        ("not held or price <= 0", "(not held) and (price <= 0)"),
        ("not held", "(held)"),
        ("price <= 0", "price < 0"),
        ("0", "1"),
        ("return -abs(price)", "return None"),
        ("-abs(price)", "abs(price)"),
        ("abs", "+"),
        ("held * price", "held / price"),
        ('log("a < b")', "pass"),
        ("return min(total, 10) + total", "return None"),
        ("min(total, 10) + total", "min(total, 10) - total"),
        ("min", "max"),
        ("10", "11"),
    }
    for mutant in mutants("m.py", SOURCE):
        changed = mutant.apply(SOURCE)
        ast.parse(changed)
        assert changed != SOURCE
        assert changed.count(b"\n") == SOURCE.count(b"\n")


def test_operands_keep_their_parentheses() -> None:
    found = {m.now for m in mutants("m.py", b"x = (a + b) * c != (d is e)")}
    assert found == {"(a + b) * c == (d is e)", "(a + b) / c", "a - b", "d is not e"}


def test_types_and_errors_are_spared() -> None:
    assert [str(m) for m in mutants("m.py", SPARED)] == []


def test_the_modules_and_their_tests_are_there() -> None:
    assert [m for m in AREAS if not (ROOT / m).is_file()] == []
    assert [t for tests in AREAS.values() for t in tests if not (ROOT / t).exists()] == []


def test_the_lists_name_mutants_that_there_are() -> None:
    """One whose line was rewritten is another mutant, and is to be tried again."""
    known = {c.key for c in cases()}
    assert {*listed("equivalent"), *listed("survivors")} - known == set()
    assert listed("equivalent").keys() & listed("survivors").keys() == set()


@pytest.mark.soak
def test_a_sample_finds_no_new_survivor() -> None:
    found = outcomes(sample(cases(), 200, seed=20261129), jobs=2)
    print(report(found))
    assert [str(c.mutant) for c, outcome in found if outcome == SURVIVED and c.key not in listed("survivors")] == []
