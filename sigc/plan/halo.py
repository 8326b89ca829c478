"""Need: the number of rows before a block on which each node is computed, propagated backwards per node.

    need(output) = 0
    need(input)  = max over its consumers of need(consumer) + rows_back(consumer)

A node is computed on the rows [start - need(node), stop), never more: because of this trimming one task per block is
cheaper than moving halos between tasks.

Worked example: z = zscore(ret(prices, 60)); w = rolling_mean(z, 5). For rows [1000, 1250) of w, z is
needed on [996, 1250) and prices on [936, 1250): need is 0, 4, 4 for w, z, ret and 64 for prices.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from sigc.plan.expr import Expr


def scope(outputs: Iterable[Expr], is_leaf: Callable[[Expr], bool]) -> list[Expr]:
    """Return the nodes to compute for `outputs`, inputs first; leaves are included and end the descent.

    An output never counts as a leaf, so that a carried operator can be computed and read by another.
    """
    wanted = list(outputs)
    own = {o.shape for o in wanted}
    order: list[Expr] = []
    seen: set[str] = set()
    stack: list[tuple[Expr, bool]] = [(o, False) for o in reversed(wanted)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
            continue
        if node.shape in seen:
            continue
        seen.add(node.shape)
        stack.append((node, True))
        if node.shape in own or not is_leaf(node):
            stack.extend((i, False) for i in reversed(node.inputs))
    return order


def needs(
    order: list[Expr], outputs: Iterable[Expr], is_leaf: Callable[[Expr], bool] = lambda _: False
) -> dict[str, int]:
    """Return the rows of need by node shape, for nodes in the order of `scope`."""
    need = {o.shape: 0 for o in outputs}
    own = set(need)
    for node in reversed(order):
        if node.shape not in own and is_leaf(node):
            continue
        before = need[node.shape] + node.rows_back
        for i in node.inputs:
            need[i.shape] = max(need.get(i.shape, 0), before)
    return need


def peak_rows(
    groups: Sequence[Sequence[Expr]], need: Mapping[str, int], rows: int, leaves: Collection[Expr]
) -> int:  # fmt: skip
    """Return the maximum number of rows (of arrays of all assets) alive while `groups` (`sigc.plan.rules.fuse`) run in
    order.

    leaves: nodes that are read; they stay to the end. Pure outputs do not count, nor arrays between two nodes of a
    group. Multiply by assets x 8 bytes for an estimate of memory.
    """
    size = {g[-1].shape: rows + need[g[-1].shape] for g in groups}
    last: dict[str, int] = {}
    for at, group in enumerate(groups):
        last |= dict.fromkeys((i.shape for node in group for i in node.inputs if i.shape in size), at)
    alive = peak = sum(rows + need[leaf.shape] for leaf in leaves)
    for at, group in enumerate(groups):
        node = group[-1]
        alive += size[node.shape] if node.shape in last else 0
        peak = max(peak, alive + size[node.shape] + node.rows_back)
        read = {i.shape for node in group for i in node.inputs}
        alive -= sum(size[shape] for shape in read if last.get(shape) == at)
    return peak
