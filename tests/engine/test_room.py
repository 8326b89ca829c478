"""Room for results in memory: rows of one array, each handed out once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sigc.engine.kernel.memory_arena import MemoryArena


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(1, 4)), max_size=20))
def test_no_rows_are_handed_out_twice(wishes: list[tuple[str, int, int]]) -> None:
    room = MemoryArena()
    out = []
    for number, (shape, start, count) in enumerate(wishes):
        rows = room.rows(shape, 13, 3, start, start + count)
        assert rows.shape == (count, 3)
        rows[:] = number
        out.append(rows)
    assert all((rows == number).all() for number, rows in enumerate(out))


def test_rows_of_a_node_lie_in_one_array() -> None:
    room = MemoryArena()
    first, second = room.rows("a", 10, 4, 0, 5), room.rows("a", 10, 4, 5, 10)
    assert first.base is second.base
