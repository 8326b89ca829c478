"""Names of operators: aliases, and short names that mean a window if one is given."""

from __future__ import annotations

import functools

from sigc.ops import carried, cell, cross, rolling, technical, weights
from sigc.ops.declare import REGISTRY, Operator

# Importing a module declares its operators, in this order.
_MODULES = (cell, rolling, carried, technical, cross, weights)


def operators() -> tuple[Operator, ...]:
    """Return every operator, in the order of declaration."""
    return tuple(REGISTRY.values())


@functools.cache
def _by_name() -> tuple[dict[str, Operator], dict[str, Operator]]:
    plain: dict[str, Operator] = {}
    windowed: dict[str, Operator] = {}
    for op in REGISTRY.values():
        for name in (op.name, *op.aliases):
            if name in plain:
                raise ValueError(f"two operators are called '{name}'")
            plain[name] = op
        if op.windowed:
            windowed[op.windowed] = op
    return plain, windowed


def resolve(name: str, windowed: bool = False) -> Operator | None:
    """Return the operator of that name or alias, or None; `mean(x, 20)` (windowed) is `rolling_mean`."""
    plain, with_window = _by_name()
    if windowed and name in with_window:
        return with_window[name]
    return plain.get(name)


@functools.cache
def names() -> frozenset[str]:
    """Return all names and aliases."""
    plain, windowed = _by_name()
    return frozenset(plain) | frozenset(windowed)
