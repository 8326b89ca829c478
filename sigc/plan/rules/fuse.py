"""Fusion within a date: which nodes are computed together, so that what lies between them stays in the cache.

A node that looks at one cell, or at one date across the assets, and whose result only one group reads need never
exist as a whole array: the group runs over tiles of rows. Of a group, the operators of one cell that read each other
are a chain, one walk over their inputs. Bits are those of computing node by node, because a row depends on its own row
alone.

    rank(zscore(2 * high - low))      one group of the chain 2 * high - low, of zscore and of rank

All that a group reads is there until it is done, so a group reads few arrays: of a sum of many it takes some terms, and
the rest as a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from sigc.ops.declare import REGISTRY, Axis
from sigc.plan.expr import CONSTANT, Expr

_MOST_READ = 8  # arrays that were computed


def groups(order: Iterable[Expr], outputs: Collection[str], leaves: Collection[str]) -> tuple[tuple[Expr, ...], ...]:
    """The nodes of `order` in groups, inputs first; only the last node of a group is read by others, or wanted.

    outputs, leaves: shapes of nodes that are wanted, and of those that are left out because they are there.
    """
    nodes = [n for n in order if n.shape not in leaves]
    return _gathered(nodes, outputs, _is_of_a_row, _MOST_READ)


def chains(
    group: Sequence[Expr], outputs: Collection[str], is_chained: Callable[[Expr], bool]
) -> tuple[tuple[Expr, ...], ...]:
    """The nodes of a group in chains of those that can be chained, likewise."""
    return _gathered(group, {*outputs, group[-1].shape}, is_chained, len(group))


def _gathered(
    nodes: Sequence[Expr], outputs: Collection[str], is_joined: Callable[[Expr], bool], most: int
) -> tuple[tuple[Expr, ...], ...]:
    """A node goes to the group that alone reads it, if it and all who read it can be joined and it is no output; unless
    the group would read more than `most` of the other nodes."""
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
