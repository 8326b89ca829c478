"""The declaration of a rewrite rule: `@rule` on a function from a node to its replacement."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sigc.plan.expr import Expr

Rule: TypeAlias = Callable[[Expr], Expr]
DECLARED: list[Rule] = []


def rule(function: Rule) -> Rule:
    """Declare a rewrite rule. Its node's inputs are rewritten already; its value stays the same, bit for bit."""
    DECLARED.append(function)
    return function
