"""Names of operators: aliases, and short names that mean a window if one is given."""

from __future__ import annotations

import functools

from sigc.modules import modules_of
from sigc.ops.declare import REGISTRY, Operator


def operators() -> tuple[Operator, ...]:
    """Return every operator, in the order of the modules' names and of declaration in each."""
    return tuple(sorted(REGISTRY.values(), key=lambda operator: operator.kernel.__module__))


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


modules_of("sigc.ops")  # declares every operator; at the end, as some of the folder read this table
