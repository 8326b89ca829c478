"""The expression DAG: the computation of a strategy, with names, macros and numbers resolved.

Two `Expr` are equal by content, without spans: `shape` is the digest of operator, version, arguments and inputs, with
data sources by name. `rewrite` shares equal ones, so that the DAG of a whole program holds each value once.

Neighbours: `lower.py` makes it from a checked module; `halo`, `key`, `plan` use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sigc.blocks.block import digest
from sigc.errors import Span
from sigc.ops.declare import REGISTRY, Carry, Missing, ValueKind

SOURCE = "source"  # args: (("name", source),)
COLUMN = "column"  # args: (("asset", name),): one asset's column, broadcast over all assets
CONSTANT = "constant"  # args: (("value", number or string),)

Scalar = float | int | str


@dataclass(frozen=True, slots=True)
class Expr:
    """One node. `inputs` are in the order of the operator's input parameters, with variadic ones at the end.

    An optional input that was omitted has no entry: `given` names the input parameters present. args: all number
    arguments by name, sorted, defaults included. rows_back: the number of earlier rows of its inputs that this node
    itself reads.
    """

    op: str
    inputs: tuple[Expr, ...] = field(default=(), compare=False)
    args: tuple[tuple[str, Scalar | None], ...] = field(default=(), compare=False)
    kind: ValueKind = field(default=ValueKind.PANEL, compare=False)
    given: tuple[str, ...] = field(default=(), compare=False)
    span: Span | None = field(default=None, compare=False, repr=False)
    shape: str = field(default="", init=False)
    carried: bool = field(default=False, init=False, compare=False, repr=False)
    rows_back: int = field(default=0, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        version = str(REGISTRY[self.op].version) if self.op in REGISTRY else "1"
        arguments = repr([(k, float(v) if isinstance(v, int) else v) for k, v in self.args])
        parts = (self.op, version, arguments, repr(self.given), *(i.shape for i in self.inputs))
        object.__setattr__(self, "shape", digest(*parts))
        if self.op in REGISTRY:
            operator = REGISTRY[self.op]
            object.__setattr__(self, "carried", isinstance(operator.lookback, Carry))
            object.__setattr__(self, "rows_back", operator.rows_back(self.arguments))

    @property
    def arguments(self) -> dict[str, Scalar | None]:
        return dict(self.args)

    @property
    def fills(self) -> bool:
        """Return True if this node may be valid where all its inputs are missing."""
        if self.op in REGISTRY:
            return REGISTRY[self.op].missing is Missing.FILLS
        return self.op in (COLUMN, CONSTANT)


def source(name: str, kind: ValueKind = ValueKind.PANEL, span: Span | None = None) -> Expr:
    """Return the leaf that reads a data source."""
    return Expr(SOURCE, args=(("name", name),), kind=kind, span=span)


def adjusted(name: str, factor: str, span: Span | None = None) -> Expr:
    """Return the adjusted values of a data source with a factor (`sigc.data.actions.factor_names`)."""
    return Expr("rescale", (source(name, span=span), source(factor, span=span)), given=("x", "factor"), span=span)


def walk(roots: Iterable[Expr]) -> list[Expr]:
    """Return all nodes below `roots`, each once, inputs before their consumers, in a stable order."""
    seen: set[str] = set()
    order: list[Expr] = []
    for root in roots:
        stack: list[tuple[Expr, bool]] = [(root, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
            elif node.shape not in seen:
                seen.add(node.shape)
                stack.append((node, True))
                stack.extend((i, False) for i in reversed(node.inputs))
    return order


def lookback(root: Expr) -> int | None:
    """Return the number of earlier rows of data that a value of `root` depends on; None if carried from the start."""
    need: dict[str, int] = {}
    for node in walk([root]):
        before = [need[i.shape] for i in node.inputs]
        if node.carried or any(b < 0 for b in before):
            need[node.shape] = -1
        else:
            need[node.shape] = node.rows_back + max(before, default=0)
    return None if need[root.shape] < 0 else need[root.shape]
