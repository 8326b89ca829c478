"""Rewrites of lags: lag(lag(x, a), b) is lag(x, a + b) for a, b >= 0, and lag(x, 0) is x: one halo, one copy."""

from __future__ import annotations

from dataclasses import replace

from sigc.plan.expr import Expr
from sigc.plan.rules.declare import rule


@rule
def join_lags(node: Expr) -> Expr:
    """Join a lag with a lag below it."""
    if node.op != "lag":
        return node
    periods = int(node.arguments["periods"] or 0)
    inner = node.inputs[0]
    if periods == 0:
        return inner
    if inner.op == "lag" and periods > 0 and int(inner.arguments["periods"] or 0) > 0:
        total = periods + int(inner.arguments["periods"] or 0)
        return replace(node, inputs=inner.inputs, args=(("periods", total),))
    return node
