"""Gathering of stored blocks into one panel over the traded assets: of a root, or of a data source."""

from __future__ import annotations

import numpy as np

from sigc.blocks.block import Block, BlockStore, concat
from sigc.data.catalog import Source
from sigc.engine.core.drive import Computed
from sigc.engine.core.reads import BlockLostError, read_of
from sigc.engine.core.run_block import lay_leaf, read_leaf
from sigc.engine.core.task import Read
from sigc.errors import Diagnostic, SigcError
from sigc.panel import Panel
from sigc.plan.expr import Expr, source
from sigc.plan.grid import Grid

_TRIES = 3


def gather(computed: Computed, root: str | Expr, start: int = 0, stop: int | None = None) -> Panel:
    """Return the rows [start, stop) of the grid of a root (by name or node); assets absent from a block are NaN.

    A block that is damaged, or was evicted meanwhile, is recomputed, and the report says so.
    """
    plan = computed.plan
    node = plan.roots[root] if isinstance(root, str) else root
    stop = len(plan.grid.dates) if stop is None else stop
    panels = []
    for block in plan.blocks:
        if block.stop > start and block.start < stop:
            panel = _block(computed, node, block)
            panels.append(panel.rows(max(0, start - block.start), min(stop, block.stop) - block.start))
    if not panels:
        return Panel(np.empty(0, "datetime64[ns]"), plan.grid.names, np.empty((0, len(plan.grid.names))))
    return concat(panels, plan.grid.names)


def _block(computed: Computed, node: Expr, block: Block) -> Panel:
    told = len(computed.store.incidents())
    panel = computed.store.read(computed.frontier.key(node, block))
    for _ in range(_TRIES):
        if panel is not None or computed.again is None:
            break
        computed.report.incidents += computed.store.incidents()[told:]
        fresh = computed.again()
        computed.report.add(fresh.report)
        told = len(computed.store.incidents())
        panel = computed.store.read(fresh.frontier.key(node, block))
    if panel is None:
        message = f"block {block.label} of '{node.op}' vanished from the cache before it was read"
        raise SigcError(Diagnostic("E300", message, node.span, hint="is daemon.cache.max_size_gb too small?"))
    return panel


def source_panel(grid: Grid, store: BlockStore, name: str, start: int, stop: int) -> Panel:
    """Return the rows [start, stop) of a data source as the plan sees it: on the grid's dates and assets.

    A damaged or missing block is rebuilt from the source's file. Raise E300 if that fails.
    """
    leaf = grid.leaves[name]
    read = read_of(source(name), name, leaf, start, stop)
    labels = grid.labels if leaf.source.labels else None
    values = lay_leaf(read, _source_rows(leaf.source, read, store, start, stop), grid.names, grid.labels)
    return Panel(grid.dates[start:stop], grid.names, values, labels)


def _source_rows(of: Source, read: Read, store: BlockStore, start: int, stop: int) -> Panel:
    for _ in range(_TRIES):
        try:
            return read_leaf(read, store, start, stop)
        except BlockLostError:
            of.restore()
    message = f"a block of source '{of.name}' vanished from the cache before it was read"
    raise SigcError(Diagnostic("E300", message, of.spec.span, hint="is daemon.cache.max_size_gb too small?"))
