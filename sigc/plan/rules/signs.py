"""Rewrites of signs: -(-x) is x; abs(-x) and abs(abs(x)) are abs(x)."""

from __future__ import annotations

from dataclasses import replace

from sigc.plan.expr import Expr
from sigc.plan.rules.declare import rule


@rule
def drop_double_signs(node: Expr) -> Expr:
    """Drop signs that have no effect."""
    if node.op == "neg" and node.inputs[0].op == "neg":
        return node.inputs[0].inputs[0]
    if node.op == "abs" and node.inputs[0].op in ("neg", "abs"):
        return replace(node, inputs=node.inputs[0].inputs)
    return node
