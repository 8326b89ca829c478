"""Record of a run's computation: the DAG of its plan with the time and the blocks of each node.

    plan.json   nodes (inputs first), edges, blocks computed and found in the cache, incidents that were recovered

Constants of the strategy's text are part of the label of the node that takes them, not nodes of their own. Fused
cell-by-cell nodes have their time at the last of them (`sigc.plan.rules.fuse`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sigc.engine.core.task import RunReport
from sigc.ops.declare import REGISTRY
from sigc.plan.expr import COLUMN, CONSTANT, SOURCE, Expr, walk
from sigc.plan.plan import Plan

_LONGEST_LABEL = 80


def plan_record(plan: Plan, report: RunReport) -> dict[str, Any]:
    """Return the plan as plain data."""
    named = {expr.shape: (name, expr) for strategy in plan.strategies for name, expr in strategy.roots.items()}
    nodes = [node for node in walk(plan.roots.values()) if node.op != CONSTANT]
    place = {node.shape: number for number, node in enumerate(nodes)}
    return {
        "file": Path(plan.strategies[0].path).name if plan.strategies else "",
        "nodes": [_node(node, plan, report, named) for node in nodes],
        "edges": [[place[i.shape], place[node.shape]] for node in nodes for i in _read(node)],
        "blocks": {
            "computed": report.blocks_computed,
            "joined": sum(report.joined.values()),
            "cached": report.blocks_cached,
        },
        "dates": [str(plan.grid.dates[0].astype("datetime64[D]")), str(plan.grid.dates[-1].astype("datetime64[D]"))]
        if len(plan.grid.dates)
        else ["", ""],
        "assets": len(plan.grid.names),
        "rows": report.rows,
        "tasks": report.tasks,
        "seconds": round(report.seconds, 6),
        "incidents": list(report.incidents),
    }


def _read(node: Expr) -> list[Expr]:
    """Return the inputs of a node, each once, without constants."""
    return list({i.shape: i for i in node.inputs if i.op != CONSTANT}.values())


def _node(node: Expr, plan: Plan, report: RunReport, named: Mapping[str, tuple[str, Expr]]) -> dict[str, Any]:
    stored, seconds = plan.names.get(node.shape, ""), report.node_seconds.get(node.shape)
    name, definition = named.get(node.shape, ("", node))
    span = definition.span  # of the definition, not of a use of the name
    return {
        "label": _label(node),
        "name": name,
        "kind": node.op if node.op in (SOURCE, COLUMN) else str(REGISTRY[node.op].axis.name).lower(),
        "operator": node.op,
        "line": span.line if span else 0,
        "column": span.column if span else 0,
        "seconds": None if seconds is None else round(seconds, 6),
        "is_stored": bool(stored),
        "computed": report.computed.get(stored, 0) + report.joined.get(stored, 0),
        "cached": report.cached.get(stored, 0),
    }


def _label(node: Expr) -> str:
    """Return the label of a node: the operator with its numbers (`ret 20`, `add 0.5`), or the name of a source or
    column.
    """
    arguments = node.arguments
    if node.op == SOURCE:
        return str(arguments["name"])
    if node.op == COLUMN:
        return f"[{arguments['asset']}]"
    numbers = [_text(i.arguments["value"]) for i in node.inputs if i.op == CONSTANT]
    numbers += [_text(value) for value in arguments.values() if value is not None]
    return " ".join([node.op, *numbers])[:_LONGEST_LABEL]


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
