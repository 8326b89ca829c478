"""Rewrites of the DAG, one a file, applied in the order of the tuple.

A rule is a function from a node, whose inputs are rewritten already, to the node that stands for it: with the same
value, bit for bit. Dead nodes need no rule: what no root reaches is never planned. Constants are folded by the
checker, where ranges are checked too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sigc.plan.expr import Expr, walk
from sigc.plan.rules.lags import join_lags
from sigc.plan.rules.signs import drop_double_signs

Rule = Callable[[Expr], Expr]
RULES: tuple[Rule, ...] = (join_lags, drop_double_signs)


def rewrite(roots: Sequence[Expr]) -> list[Expr]:
    """The roots with all rules applied and equal nodes made one object."""
    made: dict[str, Expr] = {}
    shared: dict[str, Expr] = {}
    for node in walk(roots):
        inputs = tuple(made[i.shape] for i in node.inputs)
        fresh = node if inputs == node.inputs else replace(node, inputs=inputs)
        for rule in RULES:
            fresh = rule(fresh)
        made[node.shape] = shared.setdefault(fresh.shape, fresh)
    return [made[r.shape] for r in roots]
