"""Fusion of chains within a date: which nodes of a stage are computed together, tile by tile.

A node that looks at one cell, or at one date across the assets, and whose result only one group reads need never
exist as a whole array: the group runs over tiles of rows that fit the cache, so that intermediates stay there. Bits
are those of computing node by node, because a row depends on its own row alone.

    rank(zscore(high - low))      three nodes, one group: two arrays of intermediates less
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sigc.ops.declare import REGISTRY, Axis
from sigc.plan.expr import CONSTANT, Expr


def groups(order: Iterable[Expr], outputs: Collection[str], leaves: Collection[str]) -> Mapping[str, tuple[Expr, ...]]:
    """By the shape of each group's last node: its nodes, inputs first. Groups of one node are left out.

    outputs, leaves: shapes of nodes that must exist as arrays.
    """
    nodes = [n for n in order if n.shape not in leaves]
    readers: dict[str, list[Expr]] = {}
    for node in nodes:
        for i in {i.shape: i for i in node.inputs}.values():
            readers.setdefault(i.shape, []).append(node)
    last: dict[str, str] = {}  # the group each node belongs to
    members: dict[str, list[Expr]] = {}
    for node in reversed(nodes):
        own = node.shape
        if _is_of_a_row(node):
            read_by = {last.get(r.shape, r.shape) for r in readers.get(node.shape, ())}
            whole = all(_is_of_a_row(r) for r in readers.get(node.shape, ()))
            if len(read_by) == 1 and whole and node.shape not in outputs:
                own = read_by.pop()
        last[node.shape] = own
        members.setdefault(own, []).append(node)
    return {shape: tuple(reversed(found)) for shape, found in members.items() if len(found) > 1}


def _is_of_a_row(node: Expr) -> bool:
    return node.op != CONSTANT and node.op in REGISTRY and REGISTRY[node.op].axis in (Axis.CELL, Axis.CROSS)
