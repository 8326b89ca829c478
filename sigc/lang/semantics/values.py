"""Resolved values of expressions: a small DAG, shared by identity. The result of `resolve`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sigc.errors import Span
from sigc.lang.semantics.rebalance import Rebalance
from sigc.lang.syntax.nodes import Load
from sigc.ops.declare import ValueKind

SOURCE, COLUMN, CONSTANT, UNKNOWN = "source", "column", "constant", "unknown"
RAW = "raw"  # the operator that reads a source as stored
Scalar = float | int | str | None


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One node. op: an operator's name, or SOURCE, COLUMN, CONSTANT, UNKNOWN (after an error).

    open: a source whose kind only its data determine. peek: the number of future rows it reads. culprit: the operator
    that introduced the peek.
    """

    op: str
    kind: ValueKind
    span: Span
    inputs: tuple[Value, ...] = ()
    args: tuple[tuple[str, Scalar], ...] = ()
    given: tuple[str, ...] = ()
    open: bool = False
    peek: int = 0
    culprit: Value | None = None
    label: str = ""  # the operator's name in errors

    @property
    def number(self) -> float | None:
        """Return its constant number, None if it is not one."""
        if self.op == CONSTANT and self.kind is ValueKind.NUMBER:
            value = dict(self.args)["value"]
            return float(value) if value is not None else None
        return None

    @property
    def text(self) -> str | None:
        """Return its constant string, None if it is not one."""
        return str(dict(self.args)["value"]) if self.op == CONSTANT and self.kind is ValueKind.STRING else None


@dataclass(frozen=True, slots=True)
class CostTerm:
    """One term of a cost expression, its arguments by name."""

    name: str
    arguments: tuple[tuple[str, float | str], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Limit:
    """One constraint, with constants folded."""

    name: str
    values: tuple[float, ...]
    soft: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Schedule:
    """A backtest line, with constants folded. method: the validation's name, '' without one."""

    rebalance: Rebalance
    benchmark: str
    drift: bool
    delisting_return: float | None
    start: str
    end: str
    method: str
    arguments: tuple[tuple[str, float | str], ...]
    metric: str
    span: Span
    method_span: Span | None


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedPortfolio:
    """A resolved portfolio."""

    name: str
    weights: Value
    costs: tuple[CostTerm, ...]
    limits: tuple[Limit, ...]
    backtest: Schedule | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A resolved module. labels: sources that serve as labels. traded: the source whose returns the books earn."""

    params: Mapping[str, float]
    data: tuple[Load, ...]
    signals: tuple[tuple[str, Value], ...]
    books: tuple[ResolvedPortfolio, ...]
    traded: str
    labels: frozenset[str] = field(default_factory=frozenset)
