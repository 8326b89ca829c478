"""The syntax tree: a file as written, made by the parser and printed by the formatter.

Frozen values with spans; equality ignores spans, so that parse(format(m)) == m can be stated. Macros, fns and imports
are still as written; `semantics/resolve.py` expands them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from sigc.errors import Span

_NOWHERE = Span("", 0, 0, 0)


def _span() -> Span:
    return field(default=_NOWHERE, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `days` records that it was written `21d` (allowed in `rebal=`)."""

    value: float
    days: bool = False
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Text:
    """A double-quoted string."""

    value: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Name:
    """A plain name, or a dotted one of a named data section (`fundamentals.roe`)."""

    text: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call; `name` is empty for a positional one."""

    value: Node
    name: str = ""
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Call:
    """`func(args)`; `method` records the form `x.func(args)`, where x is the first argument.

    Names in a namespace (`tc.bps`) are calls with a dotted func.
    """

    func: str
    args: tuple[Argument, ...]
    method: bool = False
    span: Span = _span()
    func_span: Span = _span()


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `not x`."""

    op: str
    operand: Node
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Binary:
    """`a op b`, with `op` one of `+ - * / % ** > < >= <= == != and or`."""

    op: str
    left: Node
    right: Node
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Column:
    """`x[AAPL]`: one asset's column of a panel."""

    panel: Node
    asset: str
    span: Span = _span()
    asset_span: Span = _span()


Node: TypeAlias = Number | Text | Name | Call | Unary | Binary | Column


@dataclass(frozen=True, slots=True)
class Option:
    """`key=value` of a load or a constraint; `value` is as written."""

    name: str
    value: Node | tuple[Node, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Load:
    """One data source: the short form, or one mapped column or file of a long-form section.

    others: files of a list, after `path`. column: the file's column ('' = the whole file). role: `value`, `symbol`,
    `date` of a long-form column, else `value`. section: the name of a `data NAME:` section. written: `short`, `named`
    or `long`.
    """

    name: str
    format: str
    path: str
    options: tuple[Option, ...] = ()
    column: str = ""
    dtype: str = ""
    role: str = "value"
    section: str = ""
    written: str = "short"
    span: Span = _span()
    path_span: Span = _span()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Param:
    """`name = 3`, or a grid: `values` in order, the first of them the value of a plain run."""

    name: str
    values: tuple[float, ...]
    written: str = "number"  # number | range | list
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Assign:
    """`name = expr`, also the `let` of a macro."""

    name: str
    value: Node
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Formal:
    """A parameter of a fn or macro. kind: expr | number | string | ident, '' if not written."""

    name: str
    kind: str = ""
    default: Node | None = None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Definition:
    """A fn (no lets) or a macro."""

    word: str  # "fn" | "macro"
    name: str
    formals: tuple[Formal, ...]
    lets: tuple[Assign, ...]
    emit: Node
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Signal:
    """A named panel: private locals, then `emit`."""

    name: str
    locals: tuple[Assign, ...]
    emit: Node
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ConstraintLine:
    """One key of a `constraints:` block. values: one number, or [lo, hi]; flags are 1.0 / 0.0."""

    name: str
    values: tuple[Node, ...]
    soft: bool = False
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class BacktestLine:
    """The `backtest` line: options as written, dates as ISO text ('' if absent)."""

    options: tuple[Option, ...] = ()
    method: Call | None = None  # walk_forward(...), cross_validate(...), cpcv(...)
    start: str = ""
    end: str = ""
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class PortfolioSection:
    """A book: locals, weights, costs, constraints, backtest."""

    name: str
    locals: tuple[Assign, ...]
    weights: Node
    costs: Node | None = None
    constraints: tuple[ConstraintLine, ...] = ()
    backtest: BacktestLine | None = None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Import:
    """`import "file"`."""

    path: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment with its line; `own_line` if nothing else is on that line."""

    text: str
    line: int
    own_line: bool


@dataclass(frozen=True, slots=True)
class Module:
    """One file."""

    path: str = field(compare=False)
    imports: tuple[Import, ...] = ()
    data: tuple[Load, ...] = ()
    params: tuple[Param, ...] = ()
    definitions: tuple[Definition, ...] = ()
    signals: tuple[Signal, ...] = ()
    portfolios: tuple[PortfolioSection, ...] = ()
    comments: tuple[Comment, ...] = field(default=(), compare=False)
