"""Arrays that grow into spare rows: what was handed out stays, nothing is handed out twice, most copy nothing."""

from __future__ import annotations

import weakref

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sigc.blocks.growable import GrowableArrays, owner


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 4)), max_size=30))
def test_what_was_handed_out_stays_whatever_grows_from_it(wishes: list[tuple[int, int]]) -> None:
    spare = GrowableArrays()
    known = [np.arange(6.0).reshape(3, 2)]
    right = [known[0].copy()]
    for number, (of, more) in enumerate(wishes):
        before = of % len(known)
        grown = spare.longer(known[before], more)
        grown[len(known[before]) :] = number
        known.append(grown)
        right.append(np.vstack([right[before], np.full((more, 2), float(number))]))
    assert all(np.array_equal(a, b) for a, b in zip(known, right, strict=True))


def test_rows_one_after_the_other_copy_seldom() -> None:
    spare, values, copied = GrowableArrays(), np.zeros((2, 3)), 0
    for _ in range(1000):
        grown = spare.longer(values, 1)
        copied += not np.shares_memory(grown, values)
        values = grown
    assert len(values) == 1002
    assert copied <= 10


def test_a_part_of_an_array_gets_its_own() -> None:
    spare = GrowableArrays()
    whole = spare.longer(np.zeros((4, 2)), 2)
    for part in (whole[:-1], whole[1:], whole[:, :1]):
        assert not np.shares_memory(spare.longer(part, 1), whole)


def test_an_array_that_nobody_has_is_freed() -> None:
    spare, base = GrowableArrays(), np.zeros((4, 2))
    first = spare.longer(base, 1)
    gone = [weakref.ref(owner(spare.longer(first, 1))) for _ in range(3)]
    assert owner(first) is gone[0]()
    assert [ref() for ref in gone[1:]] == [None, None]
