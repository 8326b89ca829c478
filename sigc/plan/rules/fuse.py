"""Fusion within a date: groups of nodes computed together, so that intermediate results stay in the cache.

A node that depends on one cell, or on one date across assets, and that only one group reads, is never stored as a whole
array: the group runs over tiles of rows. Within a group, cell-wise operators that read each other form a chain, one
walk over their inputs. The bits equal those of node-by-node evaluation, because a row depends only on itself.

    rank(zscore(2 * high - low))      one group: the chain 2 * high - low, zscore, rank

All inputs of a group stay alive until it is done, so a group reads few arrays: of a sum of many terms it takes some,
and the rest as another sum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from sigc.ops.declare import REGISTRY, Axis
from sigc.plan.expr import CONSTANT, Expr

_MOST_READ = 8  # computed arrays that a group may read


def groups(order: Iterable[Expr], outputs: Collection[str], leaves: Collection[str]) -> tuple[tuple[Expr, ...], ...]:
    """Return the nodes of `order` in groups, inputs first; only the last node of a group is read by others, or an
    output.

    outputs, leaves: shapes of the output nodes, and of nodes that exist already and are left out.
    """
    nodes = [n for n in order if n.shape not in leaves]
    return _gathered(nodes, outputs, _is_of_a_row, _MOST_READ)


def chains(
    group: Sequence[Expr], outputs: Collection[str], is_chained: Callable[[Expr], bool]
) -> tuple[tuple[Expr, ...], ...]:
    """Return the nodes of a group in chains of chainable nodes, in the same form."""
    return _gathered(group, {*outputs, group[-1].shape}, is_chained, len(group))


def _gathered(
    nodes: Sequence[Expr], outputs: Collection[str], is_joined: Callable[[Expr], bool], most: int
) -> tuple[tuple[Expr, ...], ...]:
    """Return the groups of nodes.

    A node joins the only group that reads it, if it and all its readers can be joined and it is not an output, unless
    the group would then read more than `most` of the other nodes.
    """
    made = {n.shape for n in nodes}
    readers: dict[str, list[Expr]] = {}
    for node in nodes:
        for i in {i.shape: i for i in node.inputs}.values():
            readers.setdefault(i.shape, []).append(node)
    last: dict[str, str] = {}
    members: dict[str, list[Expr]] = {}
    reads: dict[str, set[str]] = {}
    for node in reversed(nodes):
        own, read_by = node.shape, readers.get(node.shape, [])
        inputs = {i.shape for i in node.inputs} & made
        into = {last[r.shape] for r in read_by}
        group = into.pop() if len(into) == 1 else own
        joins = group != own and own not in outputs and is_joined(node) and all(is_joined(r) for r in read_by)
        if joins and len(together := reads[group] - {own} | inputs) <= most:
            reads[group] = together
        else:
            group, reads[own] = own, inputs
        last[own] = group
        members.setdefault(group, []).append(node)
    return tuple(tuple(reversed(members[n.shape])) for n in nodes if n.shape in members)


def _is_of_a_row(node: Expr) -> bool:
    return node.op != CONSTANT and node.op in REGISTRY and REGISTRY[node.op].axis in (Axis.CELL, Axis.CROSS)
