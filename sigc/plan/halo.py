"""Need: how many rows before a block each node must be computed on. Propagated backwards, trimmed per node.

    need(output) = 0
    need(input)  = max over its consumers of need(consumer) + rows_back(consumer)

A node is computed on the rows [start - need(node), stop), never more: the trimming is what makes one task
per block cheaper than moving halos between tasks.

Worked example: z = zscore(ret(prices, 60)); w = rolling_mean(z, 5). For rows [1000, 1250) of w, z is
needed on [996, 1250) and prices on [936, 1250): need is 0, 4, 4 for w, z, ret and 64 for prices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sigc.plan.expr import CONSTANT, Expr


def scope(outputs: Iterable[Expr], is_leaf: Callable[[Expr], bool]) -> list[Expr]:
    """The nodes to compute for `outputs`, inputs first; descends to leaves (included) and stops there.

    An output is never taken for a leaf, so that a carried operator can be computed and read by another.
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
    """Rows of need by node shape, for nodes in the order of `scope`."""
    need = {o.shape: 0 for o in outputs}
    own = set(need)
    for node in reversed(order):
        if node.shape not in own and is_leaf(node):
            continue
        before = need[node.shape] + node.rows_back
        for i in node.inputs:
            need[i.shape] = max(need.get(i.shape, 0), before)
    return need


def peak_rows(order: list[Expr], need: Mapping[str, int], rows: int, leaves: frozenset[str]) -> int:
    """Rows (of one array of all assets) that are alive at once at most while `order` is evaluated.

    leaves: shapes of the nodes that are read; they and outputs count too. Multiply by assets x 8 bytes for an
    estimate of memory.
    """
    reads = {n.shape: () if n.shape in leaves else n.inputs for n in order}
    last: dict[str, int] = {}
    for at, node in enumerate(order):
        last[node.shape] = at
        for i in reads[node.shape]:
            last[i.shape] = at
    alive, peak = 0, 0
    size = {n.shape: 0 if n.op == CONSTANT else rows + need[n.shape] for n in order}
    for at, node in enumerate(order):
        alive += size[node.shape]
        scratch = size[node.shape] + node.rows_back
        peak = max(peak, alive + scratch)
        for shape in {i.shape for i in reads[node.shape]}:
            if last[shape] == at:
                alive -= size[shape]
    return peak
