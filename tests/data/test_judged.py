"""Actions against closes that are stored in blocks: as all rows at once tell it, each block read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from sigc.actions import Action, ActionKind, between, in_order
from sigc.blocks.block import MemoryStore, digest
from sigc.data.actions.corporate_checks import judge, looks_adjusted
from sigc.data.actions.judged import Judged, judged
from sigc.data.manifest import SourceBlock
from sigc.errors import Severity
from sigc.panel import Dates, Floats, Panel

ROWS, NAMES, CUTS = 150, ("A", "B"), (0, 50, 100, 150)
FIRST = date(2024, 1, 1)
DATES: Dates = np.arange(np.datetime64(FIRST), np.datetime64(FIRST) + ROWS).astype("datetime64[ns]")


def day(row: int) -> date:
    return FIRST + timedelta(days=row)


def split(row: int, ratio: str, asset: str = "A") -> Action:
    return Action(day(row), asset, ActionKind.SPLIT, Fraction(ratio))


@dataclass
class World:
    """Closes in three blocks, and what was read of them."""

    values: Floats
    store: MemoryStore = field(default_factory=MemoryStore)
    read: list[int] = field(default_factory=list)
    name: str = "prices"
    names: tuple[str, ...] = NAMES
    sessions: Dates | None = None
    cuts: tuple[int, ...] = CUTS

    @property
    def digests(self) -> bytes:
        return self.values.tobytes()

    @property
    def blocks(self) -> tuple[SourceBlock, ...]:
        cuts = [c for c in self.cuts if c <= len(self.values)]
        return tuple(SourceBlock(a, b, f"b{a}-{digest(self.values[a:b].tobytes())}") for a, b in pairwise(cuts))

    @property
    def dates(self) -> Dates:
        return DATES[: len(self.values)]

    def at(self, key: str) -> Panel:
        return self.block(next(b for b in self.blocks if b.key == key))

    def block(self, block: SourceBlock) -> Panel:
        self.read.append(block.start)
        return Panel(DATES, NAMES, self.values).rows(block.start, block.stop)

    def judged(self, actions: list[Action], since: date | None = None) -> Judged:
        return judged(self, DATES, in_order(actions), self.store, self.block, since)


def as_traded(*splits: Action) -> World:
    """Prices that move little, but for their splits."""
    values = 100 * np.exp(np.random.default_rng(3).normal(0, 0.003, (ROWS, 2)).cumsum(axis=0))
    for one in splits:
        values[(one.ex_date - FIRST).days :, NAMES.index(one.asset)] /= float(one.ratio)
    return World(values)


DONE = [split(20, "2"), split(60, "3", "B"), split(110, "4")]
WRONG = [
    split(30, "5"),
    split(70, "1/5", "B"),
    split(105, "7", "B"),
    split(140, "2", "Z"),
    split(149, "3"),
    split(-3, "2", "Y"),
]


def test_findings_are_those_of_all_rows_and_are_told_again_without_a_look() -> None:
    world = as_traded(*DONE)
    made = world.judged(DONE + WRONG)
    expected = judge(in_order(DONE + WRONG), NAMES, DATES, world.values)
    assert [(f.code, f.message, f.hint, f.severity) for f in made.findings] == [
        (f.code, f.message, f.hint, Severity.WARNING) for f in expected
    ]
    assert len(expected) >= 5
    world.read.clear()
    assert world.judged(DONE + WRONG) == made
    assert world.read == []
    assert world.judged(DONE).findings == ()  # other actions: looked at anew
    world.values[30:, 0] /= 5.0
    assert len(world.judged(DONE + WRONG).findings) < len(expected)  # other closes too


@pytest.mark.parametrize("row", [-5, 0, 1, 39, 40, 41, 60, 90, 95, 130, 149])
def test_a_run_looks_at_the_last_rows(row: int) -> None:
    """And at forty before them, for the price before an action."""
    world = as_traded(*DONE)
    low = max(0, row - 40)
    due = [a for a in in_order(DONE + WRONG) if low == 0 or a.ex_date >= day(low)]
    due = [a for a in due if row <= 0 or a.asset in NAMES]
    world.judged(DONE + WRONG, day(0))
    world.read.clear()
    found = world.judged(DONE + WRONG, day(row)).findings
    assert [f.message for f in found] == [f.message for f in judge(due, NAMES, DATES[low:], world.values[low:])]
    assert world.read == [c for c in (0, 50, 100) if c + 50 > low]
    assert world.judged(DONE + WRONG, day(ROWS)).findings == ()


def test_without_closes_or_actions_nothing_is_told() -> None:
    assert as_traded().judged([]) == Judged()
    assert World(np.zeros((0, 2))).judged(DONE) == Judged()


@pytest.mark.parametrize(
    ("shown", "calm", "block"),
    [([], 3, 0), (DONE, 0, -1), (DONE[:1], 2, 50), (DONE[:2], 1, -1)],
)
def test_closes_look_adjusted_where_most_splits_do_not_show(shown: list[Action], calm: int, block: int) -> None:
    """The evidence is that of the first block that looks so; each block is looked at once."""
    world = as_traded(*shown)
    evidence = world.judged(DONE).evidence
    if block < 0:
        assert evidence == ""
    else:
        rows = slice(max(0, block - 40), block + 50)
        some = between(in_order(DONE), day(block - 1), day(block + 49))
        assert evidence == looks_adjusted(some, NAMES, DATES[rows], world.values[rows]).evidence
    whole = looks_adjusted(DONE, NAMES, DATES, world.values)
    assert (whole.calm, whole.told, whole.adjusted) == (calm, 3, bool(evidence))
    assert world.read == [0, 0, 50, 50, 100, 0, 50, 100]  # each with the one before it; then all, for the findings
    world.read.clear()
    assert world.judged([*DONE, Action(day(5), "A", ActionKind.DIVIDEND, cash=0.01)]).evidence == evidence
    assert world.read == [0, 50, 100]  # for the findings alone: what splits look like is known


def test_two_of_four_splits_are_not_most() -> None:
    done = [*DONE, split(130, "2", "B")]
    assert as_traded(*done[:2]).judged(done).evidence == ""
    assert as_traded(*done[:1]).judged(done).evidence != ""


def test_a_split_on_the_first_row_of_a_block_is_held_against_the_block_before() -> None:
    edge = [split(50, "2"), split(100, "3", "B")]
    world = as_traded()
    assert "does not jump on 1 of 1 split" in world.judged(edge).evidence
    assert as_traded(*edge).judged(edge).evidence == ""
    world.values[:50] *= 2.0  # the block before is another, so it jumps
    assert world.judged(edge[:1]).evidence == ""
    last = split(149, "2")
    assert "on 1 of 1 split" in as_traded().judged([last]).evidence
    assert "on 1 of 1 split" in as_traded().judged([split(1, "2")]).evidence


def test_of_short_blocks_only_the_one_before_is_read() -> None:
    world = as_traded()
    world.cuts = (0, 20, 40, 150)
    assert "on 1 of 1 split" in world.judged([split(45, "2")], day(ROWS)).evidence
    assert world.read == [20, 40]
