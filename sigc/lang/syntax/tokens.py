"""The lexer: text to logical lines of tokens. Comments are set aside, continued lines joined, columns kept.

A logical line continues inside brackets, after a trailing binary operator, comma or `=`, and before a line that begins
with a binary operator, `and`, `or` or `)`. A line that starts a section is never a continuation: so an unclosed bracket
costs one section, not the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sigc.errors import Diagnostic, Span
from sigc.lang.habits import of_character
from sigc.lang.syntax.nodes import Comment

MOST_BYTES = 1_000_000

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\f]+)
  | (?P<comment>(?://|\#)[^\n]*)
  | (?P<days>\d+d\b)
  | (?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<string>"[^"\n]*")
  | (?P<op>\*\*|==|!=|>=|<=|[-+*/%<>=(),.:\[\]])
    """,
    re.VERBOSE,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\b")
_HEADER = re.compile(
    r"""\s*(?:data\s*:|data\s+[A-Za-z_]\w*\s*:|params\s*:|(?:signal|portfolio)\s+[A-Za-z_]\w*\s*(?::|$)"""
    r"""|(?:fn|macro)\s+[A-Za-z_]\w*\s*\(|import\s+")"""
)
_BINARY = frozenset({"+", "-", "*", "/", "%", "**", ">", "<", ">=", "<=", "==", "!="})
_OPEN_AFTER = _BINARY | {",", "="}
_OPEN_BEFORE = _BINARY | {")", "]"}
_WORDS = frozenset({"and", "or"})


@dataclass(frozen=True, slots=True)
class Token:
    """A token. kind: name, number, days, string, date, op, bad. text: as written, a string without its quotes."""

    kind: str
    text: str
    line: int
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """One logical line: its tokens, and the column (from 0) of its first token."""

    tokens: tuple[Token, ...]
    indent: int
    header: bool

    @property
    def number(self) -> int:
        return self.tokens[0].line


def lines_of(text: str, path: str) -> tuple[tuple[LogicalLine, ...], tuple[Comment, ...], tuple[Diagnostic, ...]]:
    """Return logical lines, comments, and an E001 for every invalid character."""
    lines: list[LogicalLine] = []
    comments: list[Comment] = []
    errors: list[Diagnostic] = []
    held: list[Token] = []
    depth = 0
    header = False
    indent = 0
    for number, row in enumerate(text.split("\n"), 1):
        tokens = _tokens(row, number, comments, errors, path)
        if not tokens:
            continue
        starts = _HEADER.match(row) is not None
        goes_on = held and not starts and (depth > 0 or _continues(held[-1], tokens[0]))
        if not goes_on:
            if held:
                lines.append(LogicalLine(tuple(held), indent, header))
            held, depth, header = [], 0, starts
            indent = tokens[0].column - 1
        held += tokens
        for token in tokens:
            if token.kind == "op":
                depth = max(0, depth + (token.text in "([") - (token.text in ")]"))
    if held:
        lines.append(LogicalLine(tuple(held), indent, header))
    return tuple(lines), tuple(comments), tuple(errors)


def _continues(last: Token, first: Token) -> bool:
    trailing = last.text in _OPEN_AFTER if last.kind == "op" else last.kind == "name" and last.text in _WORDS
    leading = first.text in _OPEN_BEFORE if first.kind == "op" else first.kind == "name" and first.text in _WORDS
    return trailing or leading


def _tokens(row: str, number: int, comments: list[Comment], errors: list[Diagnostic], path: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(row):
        if tokens and tokens[-1].kind == "name" and tokens[-1].text in ("from", "to") and row[at].isdigit():
            date = _DATE.match(row, at)
            if date:
                tokens.append(Token("date", date.group(), number, at + 1, len(date.group())))
                at = date.end()
                continue
        match = _TOKEN.match(row, at)
        if match is None:
            at = _bad(row, at, number, errors, path)
            continue
        kind = match.lastgroup or ""
        text = match.group()
        if kind == "comment":
            comments.append(Comment(text, number, own_line=not tokens))
        elif kind == "string":
            tokens.append(Token(kind, text[1:-1], number, at + 1, len(text)))
        elif kind != "space":
            tokens.append(Token(kind, text, number, at + 1, len(text)))
        at = match.end()
    return tokens


def _bad(row: str, at: int, number: int, errors: list[Diagnostic], path: str) -> int:
    if row[at] == '"':
        errors.append(
            Diagnostic("E001", "unterminated string", Span(path, number, at + 1, len(row) - at), hint='add a "')
        )
        return len(row)
    hint, length = of_character(row, at)
    text = row[at : at + length]
    shown = text if text.isprintable() and not text.isspace() else f"U+{ord(row[at]):04X}"
    errors.append(Diagnostic("E001", f"unexpected character '{shown}'", Span(path, number, at + 1, length), hint=hint))
    return at + length
