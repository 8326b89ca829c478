"""Rewrites of the DAG, one a file; a file here that declares a `@rule` is all there is to it.

A rule is a function from a node, whose inputs are rewritten already, to the node that stands for it: with the same
value, bit for bit (`tests/plan/test_rules.py` holds every rule to that on random DAGs). Rules are applied in the order
of their files' names. Dead nodes need no rule: what no root reaches is never planned. Constants are folded by the
checker, where ranges are checked too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sigc.modules import modules_of
from sigc.plan.expr import Expr, walk
from sigc.plan.rules.declare import DECLARED, Rule


def _found() -> tuple[Rule, ...]:
    """The rules of all modules of this folder."""
    modules_of(__name__)
    return tuple(sorted(DECLARED, key=lambda r: (r.__module__, r.__name__)))


RULES = _found()


def rewrite(roots: Sequence[Expr], rules: Sequence[Rule] = RULES) -> list[Expr]:
    """The roots with all rules applied and equal nodes made one object."""
    made: dict[str, Expr] = {}
    shared: dict[str, Expr] = {}
    for node in walk(roots):
        inputs = tuple(made[i.shape] for i in node.inputs)
        fresh = node if inputs == node.inputs else replace(node, inputs=inputs)
        for rule in rules:
            fresh = rule(fresh)
        made[node.shape] = shared.setdefault(fresh.shape, fresh)
    return [made[r.shape] for r in roots]
