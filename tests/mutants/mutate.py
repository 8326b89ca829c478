"""One-line mutations of a module's source, found in its syntax tree.

Each changes one thing that a slip of the pen would: a comparison's edge, a sign, a constant, an `and`, a branch, a line
that is left out. Docstrings, type annotations, error texts and imports are left alone.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">"),
    ast.LtE: ("<",),
    ast.Gt: (">=", "<"),
    ast.GtE: (">",),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "/",
    ast.Mod: "*",
    ast.Pow: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
}
_COMPOUND = (ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.UnaryOp)
_NAMES = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any", "abs": "+",
    "cumsum": "cumprod", "cumprod": "cumsum", "floor": "ceil", "ceil": "floor", "sum": "mean", "mean": "sum",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one place. line, column: where. was, now: the text there and what stands instead."""

    module: str
    line: int
    column: int
    start: int
    stop: int
    was: str
    now: str

    def apply(self, source: bytes) -> bytes:
        """The source with the change."""
        return source[: self.start] + self.now.encode() + source[self.stop :]

    def key(self, source: bytes) -> str:
        """A name that survives changes elsewhere in the module: by the line's text, the change, and its count."""
        line = source.splitlines()[self.line - 1].strip()
        return hashlib.sha256(f"{self.module}|{line!r}|{self.column}|{self.was}|{self.now}".encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.module}:{self.line}:{self.column} {self.was!r} -> {self.now!r}"


def mutants(module: str, source: bytes) -> list[Mutant]:
    """All mutants of a module, in order of place."""
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    tree = ast.parse(source)
    found = []
    for node, now in _changes(tree, source, offsets):
        start = offsets[node.lineno - 1] + node.col_offset
        stop = offsets[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        was = source[start:stop].decode()
        if was != now:
            found.append(Mutant(module, node.lineno, node.col_offset, start, stop, was, now))
    return sorted(set(found), key=lambda m: (m.start, m.stop, m.now))


def _changes(tree: ast.AST, source: bytes, offsets: list[int]) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    def text(node: ast.AST) -> str:
        return ast.get_source_segment(source.decode(), node) or ""

    def part(node: ast.expr) -> str:
        """An operand with the parentheses that it stands in."""
        start = offsets[node.lineno - 1] + node.col_offset
        stop = offsets[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        is_inside = source[:start].endswith(b"(") and source[stop:].startswith(b")")
        return f"({text(node)})" if is_inside and isinstance(node, _COMPOUND) else text(node)

    for node in _live(tree):
        match node:
            case ast.Compare(left, [operator], [right]) if type(operator) in _COMPARISONS:
                for now in _COMPARISONS[type(operator)]:
                    yield node, f"{part(left)} {now} {part(right)}"
            case ast.BinOp(left, operator, right) if type(operator) in _ARITHMETIC and not _is_text(left, right):
                yield node, f"{part(left)} {_ARITHMETIC[type(operator)]} {part(right)}"
            case ast.BoolOp(operator, values):
                word = " or " if isinstance(operator, ast.And) else " and "
                yield node, word.join(f"({text(v)})" for v in values)
            case ast.UnaryOp(ast.Not(), operand):
                yield node, f"({text(operand)})"
            case ast.UnaryOp(ast.USub(), operand):
                yield node, text(operand)
            case ast.Constant(bool() as value):
                yield node, str(not value)
            case ast.Constant(int() | float() as value) if value + 1 != value:
                yield node, repr(value + 1)
            case ast.IfExp(_, body, orelse):
                yield node, f"({text(orelse)})"
                yield node, f"({text(body)})"
            case ast.Name(name, ast.Load()) if name in _NAMES:
                yield node, _NAMES[name]
            case ast.Attribute(value, name, ast.Load()) if name in _NAMES and _NAMES[name] != "+":
                yield node, f"{text(value)}.{_NAMES[name]}"
            case ast.AugAssign(target, operator, value) if type(operator) in _ARITHMETIC:
                yield node, f"{text(target)} {_ARITHMETIC[type(operator)]}= {text(value)}"
            case ast.Expr(ast.Call()) | ast.Continue() | ast.Break():
                yield node, "pass"
            case ast.Return(value) if value is not None and not isinstance(value, ast.Constant):
                if not isinstance(value, ast.Name):
                    yield node, "return None"


def _is_text(*nodes: ast.expr) -> bool:
    return any(
        isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Constant) and isinstance(n.value, str)) for n in nodes
    )


def _live(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below that decide what is computed."""
    for child in ast.iter_child_nodes(node):
        yield from _of(child)


def _of(node: ast.AST) -> Iterator[ast.AST]:
    """The node, and those below it that decide what is computed.

    Texts, errors, types, decorators and points of failure are left out, and `strict=True` with the assertions.
    """
    match node:
        case ast.Import() | ast.ImportFrom() | ast.JoinedStr() | ast.Raise() | ast.Assert():
            return
        case ast.keyword(arg="strict") | ast.Expr(ast.Call(ast.Name("failpoint"))):
            return
        case ast.Expr(ast.Constant()) | ast.If(test=ast.Name("TYPE_CHECKING")):
            return
        case ast.AnnAssign(_, _, value):
            parts: Iterable[ast.AST] = () if value is None else (value,)
        case ast.FunctionDef(args=given, body=body) | ast.AsyncFunctionDef(args=given, body=body):
            parts = (*given.defaults, *(d for d in given.kw_defaults if d is not None), *body)
        case ast.ClassDef(body=body):
            parts = body
        case _:
            yield node
            parts = ast.iter_child_nodes(node)
    for part in parts:
        yield from _of(part)
