"""Keys: a block's name, a digest of everything its bytes depend on.

A key covers the node's shape (operators, versions, arguments), the rows of every leaf in [start - need, stop) by their
digests, the dates of the block, the incoming state of a carried operator, and the asset list if the node may be valid
for an asset without data. It does not cover names of files, the division of work, or the time of the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sigc.blocks.block import digest
from sigc.ops.declare import ValueKind
from sigc.panel import Dates
from sigc.plan.expr import SOURCE, Expr
from sigc.plan.grid import Grid
from sigc.plan.halo import needs, scope

FORMAT = "1"  # version of keys: raise it when their content changes


class Recipe:
    """The part of a node's key that is the same for all blocks, and the leaf rows that it reads.

    need: rows before the block, by leaf shape. A carried input is a leaf too.
    """

    __slots__ = ("carried", "fills", "leaves", "need", "node", "static")

    def __init__(self, node: Expr, grid: Grid) -> None:
        def is_leaf(n: Expr) -> bool:
            return n.op == SOURCE or (n.carried and n.shape != node.shape)

        order = scope([node], is_leaf)
        need = needs(order, [node], is_leaf)
        self.node = node
        self.carried = node.carried
        self.leaves = tuple(n for n in order if is_leaf(n))
        self.need = {n.shape: need[n.shape] for n in self.leaves}
        sources = [str(n.arguments["name"]) for n in self.leaves if n.op == SOURCE]
        spread = any(grid.leaves[s].broadcast for s in sources)
        self.fills = spread or _fills(node)
        marks = [f"{s}:{grid.leaves[s].marker}" for s in sorted(sources)]
        # A state of labels holds codes, indices into the labels of the whole plan.
        labels = ["\n".join(grid.labels)] if node.carried and node.kind is ValueKind.CATEGORY else []
        self.static = digest(FORMAT, node.shape, *marks, grid.names_digest if self.fills else "", *labels)

    def key(
        self, dates: Dates, start: int, stop: int, digests: Mapping[str, NDArray[np.uint8]], state: str = ""
    ) -> str:
        """Return the key of rows [start, stop). digests: by leaf shape, (grid rows, DIGEST_BYTES)."""
        content = hashlib.sha256()
        for leaf in self.leaves:
            low = max(0, start - self.need[leaf.shape])
            content.update(digests[leaf.shape][low:stop].tobytes())
            # The length too, so that rows of two leaves can't be taken for each other.
            content.update((stop - low).to_bytes(8, "little"))
        span = dates[[start, stop - 1]].tobytes() if stop > start else b""
        return digest(self.static, content.digest(), span, str(stop - start), state)


def _fills(node: Expr) -> bool:
    stack, seen = [node], set()
    while stack:
        at = stack.pop()
        if at.fills:
            return True
        for i in at.inputs:
            # A number beside a panel fills nothing by itself: 1 + NaN is NaN.
            if i.shape not in seen and i.inputs:
                seen.add(i.shape)
                stack.append(i)
    return False
