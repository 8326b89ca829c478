"""Laws of what is drawn without plots: the DAG of a plan, the waterfall of stages."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.rpc.messages.history import PlanLine, PlanNode, StageLine
from sigc_dashboard.parts.dag import MOST_DRAWN, drawing, layout, node_table
from sigc_dashboard.parts.waterfall import spans, waterfall

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """Nodes, and edges from earlier to later ones."""
    count = draw(st.integers(1, 30))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda p: p[0] < p[1])
    return count, draw(st.lists(pairs, max_size=60, unique=True)) if count > 1 else []


@given(graphs())
def test_every_node_stands_once_and_below_what_it_takes(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = graph
    found = layout(count, edges)
    places = [node for row in found.rows for node in row]
    assert len(places) == len(set(places))
    assert sorted(node for node in places if node < count) == list(range(count))
    depth = {node: number for number, row in enumerate(found.rows) for node in row}
    assert [(way[0], way[-1]) for way in found.ways] == edges
    for way in found.ways:  # through every layer between, by places that are no other's
        assert [depth[node] for node in way] == list(range(depth[way[0]], depth[way[-1]] + 1))
        assert all(node >= count for node in way[1:-1])
    assert len(places) == count + sum(len(way) - 2 for way in found.ways)
    assert found == layout(count, edges)


@given(graphs())
def test_a_drawing_has_every_node_and_line_and_no_two_boxes_meet(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = graph
    plan = PlanLine(tuple(PlanNode(f"n{n}", "op", "time", seconds=n / 10) for n in range(count)), tuple(edges))
    html = str(drawing(plan))
    assert html.count("<g ") == count
    assert html.count("<path ") == len(edges)
    boxes = [(float(x), float(y)) for x, y in re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="190"', html)]
    assert len(boxes) == count
    assert all(a[1] != b[1] or abs(a[0] - b[0]) >= 190 for a in boxes for b in boxes if a is not b)
    wide, high = (float(v) for v in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', html)[0])
    assert all(0 <= x <= wide - 190 and 0 <= y <= high - 46 for x, y in boxes)
    assert str(node_table(plan)).count("<tr") == count + 1


def test_what_is_too_large_to_be_read_is_a_table_alone() -> None:
    plan = PlanLine(tuple(PlanNode(f"n{n}", "op", "time") for n in range(MOST_DRAWN + 1)), more=7)
    assert drawing(plan) == ""
    assert f"n{MOST_DRAWN}" in node_table(plan)
    assert "7 nodes more" in node_table(plan)
    assert drawing(PlanLine()) == ""


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 100)), min_size=1, max_size=6), st.booleans())
def test_stages_follow_one_another_within_the_whole(lengths: list[tuple[float, float]], is_frozen: bool) -> None:
    """Also where the clock of a run stands still, as of one for an earlier date."""
    stages, at = [], NOON
    for number, (pause, length) in enumerate(lengths):
        at += timedelta(seconds=0 if is_frozen else pause)
        stages.append(StageLine(f"s{number}", length, "done", at))
        at += timedelta(seconds=0 if is_frozen else length)
    found = spans(stages, NOON)
    assert found[0][0] == 0.0
    for (begin, length), (after, _) in itertools.pairwise(found):
        assert begin + length <= after + 0.01
    if sum(length for _, length in lengths) > 0.01:
        assert sum(found[-1]) == pytest.approx(100.0, abs=0.01)
    html = waterfall(stages, NOON)
    assert html.count("<rect ") == len(stages)


def test_a_stage_under_way_reaches_up_to_now() -> None:
    stages = [StageLine("load", 2.0, "done", NOON), StageLine("compute", 0.0, "running", NOON + timedelta(seconds=2))]
    assert spans(stages, NOON + timedelta(seconds=8)) == [(0.0, 25.0), (25.0, 75.0)]
    assert spans([StageLine("load", 1.0, "done")], NOON) == [(0.0, 0.0)]
