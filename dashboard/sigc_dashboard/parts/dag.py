"""Drawing of a plan's DAG: layers from the sources down, the time of each node, and which nodes are stored.

Layers are longest paths; within a layer nodes stand where those above them stand, so that few lines cross. Pure: the
same plan is the same drawing. Colours are classes of `page.css`; the table beside it says the same in words.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sigc.rpc.messages.history import PlanLine, PlanNode
from sigc_dashboard.html import Html, join, tag
from sigc_dashboard.parts.tiles import TableRow, table
from sigc_dashboard.words import count

MOST_DRAWN = 150  # nodes: more are a table alone
_WIDE, _HIGH, _GAP_X, _GAP_Y, _EDGE = 190, 46, 18, 34, 8
_LANE = 6  # the width of a line that passes a layer
_LONGEST = 26  # characters in a box
_SWEEPS = 6


@dataclass(frozen=True, slots=True)
class GraphLayout:
    """Layout of a graph. rows: the nodes by layer, each from left to right. ways: by edge, the places it passes from
    end to end.

    Where an edge passes a layer it has a place of its own there, with a number beyond those of the nodes.
    """

    rows: tuple[tuple[int, ...], ...]
    ways: tuple[tuple[int, ...], ...]


def layout(count_: int, edges: Sequence[Sequence[int]]) -> GraphLayout:
    """Place the nodes and the edges between them.

    >>> layout(4, [(0, 2), (1, 2), (2, 3), (0, 3)])
    GraphLayout(rows=((1, 0), (2, 4), (3,)), ways=((0, 2), (1, 2), (2, 3), (0, 4, 3)))
    """
    pairs = forward(count_, edges)
    depth = _depths(count_, pairs)
    ways: list[tuple[int, ...]] = []
    for before, after in pairs:
        passed = range(depth[before] + 1, depth[after])
        places = [len(depth) + number for number in range(len(passed))]
        depth |= dict(zip(places, passed, strict=True))
        ways.append((before, *places, after))
    rows: list[list[int]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node, at in depth.items():
        rows[at].append(node)
    _untangle(rows, [pair for way in ways for pair in itertools.pairwise(way)])
    return GraphLayout(tuple(tuple(row) for row in rows), tuple(ways))


def _depths(count_: int, pairs: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Return the layer of each node: below all its inputs; a source just above its first user."""
    above: dict[int, list[int]] = {node: [] for node in range(count_)}
    below: dict[int, list[int]] = {node: [] for node in range(count_)}
    for before, after in pairs:
        above[after].append(before)
        below[before].append(after)
    depth: dict[int, int] = {}
    for node in range(count_):  # inputs come first
        depth[node] = max((depth[before] + 1 for before in above[node]), default=0)
    for node in reversed(range(count_)):
        if not above[node] and below[node]:
            depth[node] = min(depth[after] for after in below[node]) - 1
    return depth


def _untangle(rows: list[list[int]], steps: Sequence[tuple[int, int]]) -> None:
    """Order each row by where its neighbours in the row above, and then below, stand: few lines cross."""
    above: dict[int, list[int]] = {node: [] for row in rows for node in row}
    below: dict[int, list[int]] = {node: [] for row in rows for node in row}
    for before, after in steps:
        above[after].append(before)
        below[before].append(after)
    for sweep in range(_SWEEPS):
        near = above if sweep % 2 == 0 else below
        place = {node: (number + 0.5) / len(row) for row in rows for number, node in enumerate(row)}
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            row.sort(key=lambda node: (_middle(near[node], place, place[node]), node))
            place |= {node: (number + 0.5) / len(row) for number, node in enumerate(row)}


def forward(count_: int, edges: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the edges that lead from an earlier node to a later one: in a plan all of them.

    >>> forward(2, [(0, 1), (1, 0), (0, 5)])
    [(0, 1)]
    """
    pairs = [(edge[0], edge[1]) for edge in edges if len(edge) == 2]
    return [(before, after) for before, after in pairs if 0 <= before < after < count_]


def _middle(near: Sequence[int], place: Mapping[int, float], own: float) -> float:
    return sum(place[node] for node in near) / len(near) if near else own


def drawing(plan: PlanLine) -> Html:
    """Return the DAG as a drawing; '' where it is too large to read."""
    if not plan.nodes or len(plan.nodes) > MOST_DRAWN:
        return Html("")
    found = layout(len(plan.nodes), plan.edges)
    rows, nodes = found.rows, len(plan.nodes)
    wide = max(_length(row, nodes) for row in rows) + 2 * _EDGE
    high = len(rows) * (_HIGH + _GAP_Y) - _GAP_Y + 2 * _EDGE
    at: dict[int, tuple[float, float]] = {}
    for level, row in enumerate(rows):
        x = (wide - _length(row, nodes)) / 2
        for node in row:
            at[node] = (x, _EDGE + level * (_HIGH + _GAP_Y))
            x += (_WIDE if node < nodes else _LANE) + _GAP_X
    slowest = max((node.seconds or 0.0 for node in plan.nodes), default=0.0)
    lines = [_edge([_spot(node, at[node], nodes) for node in way]) for way in found.ways]
    boxes = [_box(node, at[number], slowest) for number, node in enumerate(plan.nodes)]
    words = f"The plan: {count(len(plan.nodes), 'node')} in {count(len(rows), 'layer')}, told in the table below"
    inner = tag("svg", *lines, *boxes, viewBox=f"0 0 {wide:g} {high:g}", width=f"{wide:g}", height=f"{high:g}",
                role="img", aria_label=words, class_="dag")  # fmt: skip
    return tag("div", inner, class_="wide", tabindex="0")


def _length(row: Sequence[int], nodes: int) -> float:
    return sum((_WIDE if node < nodes else _LANE) + _GAP_X for node in row) - _GAP_X


def _spot(node: int, at: tuple[float, float], nodes: int) -> tuple[float, float, float]:
    """Return the point at which edges meet a node, or at which one passes a layer: x, top, bottom."""
    return at[0] + (_WIDE if node < nodes else _LANE) / 2, at[1], at[1] + _HIGH


def _edge(spots: Sequence[tuple[float, float, float]]) -> Html:
    (x, _, y), *others = spots
    text = [f"M{x:g} {y:g}"]
    for number, (to_x, top, bottom) in enumerate(others, 1):
        bend = (top - y) / 2
        text.append(f"C{x:g} {y + bend:g} {to_x:g} {top - bend:g} {to_x:g} {top:g}")
        if number < len(others):
            text.append(f"V{bottom:g}")
        x, y = to_x, bottom
    return tag("path", d="".join(text))


def _box(node: PlanNode, at: tuple[float, float], slowest: float) -> Html:
    x, y = at
    title = node.name or node.label
    heat = 0.0 if not slowest else (node.seconds or 0.0) / slowest
    kind = "source" if node.kind in ("source", "column") else "stored" if node.is_stored else "step"
    pieces = [
        tag("title", f"{node.label}: {said(node)}"),
        tag("rect", x=x, y=y, width=_WIDE, height=_HIGH, rx="6"),
        tag("rect", x=x, y=y + _HIGH - 4, width=f"{heat * _WIDE:.1f}", height="4", class_="hot"),
        tag("text", _cut(title), x=x + 9, y=y + 18, class_="label"),
        tag("text", _cut(said(node), 31), x=x + 9, y=y + 34, class_="more"),
    ]
    return tag("g", *pieces, class_=f"node {kind}")


def said(node: PlanNode) -> str:
    """Describe a node in one line."""
    words = [node.operator] if node.name else []
    if node.seconds is not None:
        words.append(milliseconds(node.seconds))
    if node.is_stored:
        words += [f"{number} {word}" for number, word in ((node.computed, "new"), (node.cached, "cached")) if number]
    return " · ".join(words) or ("source" if node.kind == "source" else "with the next")


def milliseconds(seconds: float) -> str:
    """Return a short time as text.

    >>> milliseconds(0.00004), milliseconds(0.0123), milliseconds(2.5)
    ('0.04 ms', '12.3 ms', '2.50 s')
    """
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.1f} ms" if seconds >= 0.001 else f"{1000 * seconds:.2f} ms"


def _cut(text: str, most: int = _LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def node_table(plan: PlanLine) -> Html:
    """Return the nodes in words, the slowest first."""
    order = sorted(range(len(plan.nodes)), key=lambda n: (-(plan.nodes[n].seconds or 0.0), n))
    heads = ("Node", "Name", "Kind", "Line", "Time", "Computed", "Cached")
    rows = [
        TableRow(
            str(number),
            (
                node.label,
                node.name,
                node.kind,
                f"{plan.file}:{node.line}" if node.line else "",
                milliseconds(node.seconds) if node.seconds is not None else "",
                str(node.computed) if node.is_stored else "",
                str(node.cached) if node.is_stored else "",
            ),
        )
        for number in order
        for node in (plan.nodes[number],)
    ]
    found = table("Nodes of the plan, the slowest first", heads, rows, (4, 5, 6))
    return join([found, tag("p", f"{plan.more:,} nodes more are not shown.", class_="nothing") if plan.more else ""])
