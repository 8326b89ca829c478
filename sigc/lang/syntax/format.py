"""The formatter: a module to canonical text. Laws: parse(format(m)) == m, and formatting twice changes nothing.

Sections keep their order; comments stay with the statement before or after which they stand.
"""

from __future__ import annotations

from collections.abc import Iterable

from sigc.errors import Span
from sigc.lang.syntax.nodes import (
    Argument,
    Assign,
    BacktestLine,
    Binary,
    Call,
    Column,
    Comment,
    ConstraintLine,
    Definition,
    Import,
    Load,
    Module,
    Name,
    Node,
    Number,
    Option,
    Param,
    PortfolioSection,
    Signal,
    Text,
    Unary,
)

_STRENGTH = {
    "or": 1, "and": 2, ">": 4, "<": 4, ">=": 4, "<=": 4, "==": 4, "!=": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6,
    "**": 8,
}  # fmt: skip
_NOT, _MINUS, _ATOM = 3, 7, 9
_INDENT = "  "


def format(module: Module) -> str:
    """Return the text of a module."""
    return _Printer(module.comments).module(module)


def expression(node: Node) -> str:
    """Return the text of an expression, with minimal brackets."""
    return _text(node)[0]


def _text(node: Node) -> tuple[str, int]:
    """Return an expression's text and its binding strength."""
    match node:
        case Number(value, days):
            return (f"{value:.0f}d" if days else number(value)), _ATOM
        case Text(value):
            return f'"{value}"', _ATOM
        case Name(text):
            return text, _ATOM
        case Column(panel, asset):
            inside = asset if asset.replace("_", "a").isalnum() and not asset[0].isdigit() else f'"{asset}"'
            return f"{_at_least(panel, _ATOM)}[{inside}]", _ATOM
        case Unary("-", operand):
            return f"-{_at_least(operand, _MINUS)}", _MINUS
        case Unary(_, operand):
            inner, strength = _text(operand)
            return f"not {inner}" if strength >= _NOT else f"not ({inner})", _NOT
        case Binary(op, left, right):
            own = _STRENGTH[op]
            # All operators are left-associative except **; comparisons are not associative.
            a = _at_least(left, own + 1 if op == "**" or own == 4 else own)
            b = _at_least(right, _MINUS if op == "**" else own + 1)
            return f"{a} {op} {b}", own
        case Call(func, args, method):
            if method:
                receiver, rest = args[0].value, args[1:]
                first = _text(receiver)[0]
                plain = isinstance(receiver, Name | Call | Column)
                return f"{first if plain else f'({first})'}.{func}({_arguments(rest)})", _ATOM
            return f"{func}({_arguments(args)})", _ATOM


def _at_least(node: Node, strength: int) -> str:
    text, own = _text(node)
    return text if own >= strength else f"({text})"


def _arguments(args: Iterable[Argument]) -> str:
    return ", ".join(f"{a.name}={expression(a.value)}" if a.name else expression(a.value) for a in args)


def number(value: float) -> str:
    """Return the shortest text of a number that parses back to it."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


class _Printer:
    def __init__(self, comments: tuple[Comment, ...]) -> None:
        self.waiting = list(comments)
        self.lines: list[str] = []

    def module(self, m: Module) -> str:
        parts: list[Import | Definition | Signal | PortfolioSection | tuple[Load | Param, ...]]
        parts = [*m.imports, *m.definitions, *m.signals, *m.portfolios, *_data_sections(m.data)]
        if m.params:
            parts.append(m.params)
        ordered = sorted(parts, key=_place)
        for at, part in enumerate(ordered):
            if self.lines and not (isinstance(part, Import) and isinstance(ordered[at - 1], Import)):
                self.lines.append("")
            self._section(part)
        self._before(1 << 30, "")
        return "\n".join(self.lines) + "\n" if self.lines else ""

    def _section(self, part: Import | Definition | Signal | PortfolioSection | tuple[Load | Param, ...]) -> None:
        match part:
            case Import(path):
                self._put(f'import "{path}"', part.span)
            case Definition():
                self._definition(part)
            case Signal(name, locals_, emit):
                self._put(f"signal {name}:", part.span)
                self._assigns(locals_)
                self._put(f"{_INDENT}emit {expression(emit)}", emit.span)
            case PortfolioSection():
                self._portfolio(part)
            case (Load(), *_):
                self._data([x for x in part if isinstance(x, Load)])
            case _:
                self._params([x for x in part if isinstance(x, Param)])

    def _put(self, text: str, span: Span) -> None:
        """Print a statement, the comments before it, and the one after it on its line."""
        pad = text[: len(text) - len(text.lstrip())]
        self._before(span.line, pad)
        self.lines.append(text)
        self._tail(span.line)

    def _before(self, line: int, pad: str) -> None:
        while self.waiting and self.waiting[0].line < line:
            comment = self.waiting.pop(0)
            self.lines.append(pad + comment.text.rstrip())

    def _tail(self, line: int) -> None:
        if self.waiting and self.waiting[0].line == line and not self.waiting[0].own_line:
            self.lines[-1] += "  " + self.waiting.pop(0).text.rstrip()

    def _assigns(self, assigns: tuple[Assign, ...], word: str = "") -> None:
        for a in assigns:
            self._put(f"{_INDENT}{word}{a.name} = {expression(a.value)}", a.span)

    def _definition(self, d: Definition) -> None:
        formals = ", ".join(_formal(f.name, f.kind, f.default) for f in d.formals)
        if d.word == "fn":
            self._put(f"fn {d.name}({formals}): {expression(d.emit)}", d.span)
            return
        self._put(f"macro {d.name}({formals}):", d.span)
        self._assigns(d.lets, "let ")
        self._put(f"{_INDENT}emit {expression(d.emit)}", d.emit.span)

    def _portfolio(self, p: PortfolioSection) -> None:
        self._put(f"portfolio {p.name}:", p.span)
        self._assigns(p.locals)
        self._put(f"{_INDENT}weights = {expression(p.weights)}", p.weights.span)
        if p.costs is not None:
            self._put(f"{_INDENT}costs = {expression(p.costs)}", p.costs.span)
        self._constraints(p.constraints)
        if p.backtest is not None:
            self._put(f"{_INDENT}{_backtest(p.backtest)}", p.backtest.span)

    def _constraints(self, constraints: tuple[ConstraintLine, ...]) -> None:
        if not constraints:
            return
        self.lines.append(f"{_INDENT}constraints:")
        soft = False
        for c in constraints:
            if c.soft and not soft:
                self.lines.append(f"{_INDENT * 2}soft:")
                soft = True
            inside = ", ".join(expression(v) for v in c.values)
            value = f"[{inside}]" if len(c.values) > 1 else inside
            self._put(f"{_INDENT * (3 if c.soft else 2)}{c.name} = {value}", c.span)

    def _params(self, params: list[Param]) -> None:
        self._head("params:", params[0].span)
        for p in params:
            match p.written:
                case "number":
                    self._put(f"{_INDENT}{p.name} = {number(p.values[0])}", p.span)
                case "range" if len(p.values) > 1:
                    step = float(f"{p.values[1] - p.values[0]:.12g}")
                    bounds = ", ".join(number(v) for v in (p.values[0], p.values[-1], step))
                    self._put(f"{_INDENT}{p.name}: range({bounds})", p.span)
                case "range":
                    only = number(p.values[0])
                    self._put(f"{_INDENT}{p.name}: range({only}, {only})", p.span)
                case _:
                    inside = ", ".join(number(v) for v in p.values)
                    self._put(f"{_INDENT}{p.name}: [{inside}]", p.span)

    def _head(self, text: str, first: Span) -> None:
        """Print a header without a span of its own: comments before its first line come before it."""
        self._before(first.line - 1, "")
        self.lines.append(text)
        self._tail(first.line - 1)

    def _data(self, loads: list[Load]) -> None:
        section = loads[0].section
        self._head(f"data {section}:" if section else "data:", loads[0].span)
        long = [x for x in loads if x.written == "long"]
        named = [x for x in loads if x.written == "named"]
        for load in loads:
            if load.written == "short":
                options = "".join(f" {_option(o)}" for o in load.options)
                self._put(f"{_INDENT}{load.name}: load {load.format} from {_files(load)}{options}", load.span)
        for load in named:
            self._put(f"{_INDENT}{load.name} = {_files(load)}", load.span)
        if long:
            self.lines.append(f"{_INDENT}source = {_files(long[0])}")
        shared = (long or named)[:1]
        if shared and shared[0].format:
            self.lines.append(f"{_INDENT}format = {shared[0].format}")
        if shared and shared[0].options:
            self.lines.append(f"{_INDENT}options:")
            self.lines += [f"{_INDENT * 2}{_option(o, ' = ')}" for o in shared[0].options]
        columns = [x for x in long if x.column]
        if columns:
            self.lines.append(f"{_INDENT}columns:")
        for load in columns:
            tail = f" as {load.name}" if load.name != load.column else ""
            self._put(f"{_INDENT * 2}{load.column}: {load.dtype}{tail}", load.span)


def _data_sections(loads: tuple[Load, ...]) -> list[tuple[Load | Param, ...]]:
    """Group loads by their section: those that share a long form's source, or neighbours."""
    sections: list[list[Load]] = []
    for load in sorted(loads, key=lambda x: x.span):
        last = sections[-1][-1] if sections else None
        files = {_files(x) for x in sections[-1] if x.written == "long"} if sections else set()
        same = last is not None and last.section == load.section
        clash = load.written == "long" and files and _files(load) not in files
        if same and not clash:
            sections[-1].append(load)
        else:
            sections.append([load])
    return [tuple(s) for s in sections]


def _files(load: Load) -> str:
    quoted = ", ".join(f'"{p}"' for p in (load.path, *load.others))
    return f"[{quoted}]" if load.others else quoted


def _place(part: Import | Definition | Signal | PortfolioSection | tuple[Load | Param, ...]) -> Span:
    return min(x.span for x in part) if isinstance(part, tuple) else part.span


def _formal(name: str, kind: str, default: Node | None) -> str:
    text = f"{name}: {kind}" if kind else name
    return text if default is None else f"{text} = {expression(default)}"


def _option(option: Option, equals: str = "=") -> str:
    value = option.value[0] if isinstance(option.value, tuple) else option.value
    return f"{option.name}{equals}{expression(value)}"


def _backtest(b: BacktestLine) -> str:
    words = ["backtest", *(_option(o) for o in b.options)]
    if b.method is not None:
        words.append(expression(b.method))
    if b.start:
        words.append(f"from {b.start}")
    if b.end:
        words.append(f"to {b.end}")
    return " ".join(words)
