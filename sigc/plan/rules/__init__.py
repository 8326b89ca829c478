"""Rewrite rules of the DAG, one per file; a file here with a `@rule` is all that is needed.

A rule is a function from a node, whose inputs are rewritten already, to its replacement with the same value, bit for
bit (`tests/plan/test_rules.py` checks every rule on random DAGs). Rules run in the order of their files' names. Dead
nodes need no rule: nodes that no root reaches are never planned. The checker folds constants, and checks ranges there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sigc.modules import modules_of
from sigc.plan.expr import Expr, walk
from sigc.plan.rules.declare import DECLARED, Rule


def _found() -> tuple[Rule, ...]:
    """Import all modules of this folder and return their rules."""
    modules_of(__name__)
    return tuple(sorted(DECLARED, key=lambda r: (r.__module__, r.__name__)))


RULES = _found()


def rewrite(roots: Sequence[Expr], rules: Sequence[Rule] = RULES) -> list[Expr]:
    """Apply all rules to the roots, and share equal nodes as one object."""
    made: dict[str, Expr] = {}
    shared: dict[str, Expr] = {}
    for node in walk(roots):
        inputs = tuple(made[i.shape] for i in node.inputs)
        fresh = node if inputs == node.inputs else replace(node, inputs=inputs)
        for rule in rules:
            fresh = rule(fresh)
        made[node.shape] = shared.setdefault(fresh.shape, fresh)
    return [made[r.shape] for r in roots]
