"""A plan as text: stages, the blocks they store, the rows each node needs, and the blocks stored already."""

from __future__ import annotations

from sigc.blocks.block import BlockStore
from sigc.engine.core.frontier import Frontier
from sigc.plan.plan import is_read, make_plan, memory
from sigc_pipelines.compute import Loaded


def plan_text(loaded: Loaded, store: BlockStore) -> str:
    """Return the plan of all roots of a strategy."""
    plan = make_plan([loaded.strategy], loaded.grid, loaded.strategy.roots)
    frontier = Frontier(plan, store)
    tasks = frontier.ready(1 << 62)
    grid = loaded.grid
    lines = [
        f"grid: {len(grid.dates)} rows x {len(grid.names)} assets, {len(grid.blocks)} blocks "
        f"({grid.blocks[0].label} to {grid.blocks[-1].label})"
    ]
    for stage in plan.stages:
        own = {o.shape for o in stage.outputs}
        names = ", ".join(plan.names[o.shape] for o in stage.outputs)
        how = "chained" if stage.chained else "free"
        rows = max(b.stop - b.start for b in grid.blocks)
        peak = memory(stage, rows, len(grid.names)) / 1e6
        lines.append(f"stage {stage.number} ({how}): stores {names}; about {peak:.0f} MB a block")
        for node in stage.order:
            what = "read" if is_read(node, own) else "computed"
            name = str(node.arguments.get("name", "")) or plan.names.get(node.shape, node.op)
            lines.append(f"  {name}: {what} from {stage.need[node.shape]} rows before the block")
    cached = frontier.report.cached
    lines.append(f"stored already: {sum(cached.values())} of {frontier.total} blocks; ready now: {len(tasks)} tasks")
    return "\n".join(lines)
