"""A small, safe expression language over the fields of a record: `slippage_bps > 5 and side = "buy"`.

    expression  disjunction of conjunctions of (not) comparisons, parentheses
    comparison  value (= == != < <= > >=) value, or one value alone: true if it is true, not 0, not empty
    value       a number, a text in quotes, true, false, null, a field (dotted: fill.price)

A field is one of the payload, else one of the record (seq, at, event, run, strategy, portfolio, who). A comparison with
a missing field is false, except `= null`. A number and a text compare only if the text is a number (decimals are stored
as texts). Nothing is evaluated as code, and too deep nesting is refused.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sigc.errors import Diagnostic, SigcError, Span

Test = Callable[[Mapping[str, Any]], bool]
_Value = Callable[[Mapping[str, Any]], Any]

SOURCE = "filter"  # the path in spans of errors
_MOST_CHARACTERS = 10_000
_DEEPEST = 50
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d{1,4})?|\.\d+(?:[eE][+-]?\d{1,4})?)(?![A-Za-z_.])"""
    r"""|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)"""
    r"""|(?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)|-))"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EQUAL, _DIFFERENT = ("=", "=="), ("!=", "<>")
_CONSTANTS = {"true": True, "false": False, "null": None}
_WORDS = ("and", "or", "not")


class _Absent:
    """A missing field: equal to null, and not comparable with anything."""


_ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def compile_filter(text: str) -> Test:
    """Return the test of a filter. Raise E001 with the column of the error; its spans have the path `SOURCE`.

    >>> test = compile_filter("slippage_bps > 5 and not (side = 'buy')")
    >>> test({"slippage_bps": "5.5", "side": "sell"}), test({"slippage_bps": 7, "side": "buy"}), test({})
    (True, False, False)
    """
    if len(text) > _MOST_CHARACTERS:
        raise _wrong(f"the filter is longer than {_MOST_CHARACTERS} characters", 1, 1)
    return _Parser(list(_tokens(text)), len(text) + 1).whole()


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            column = at + len(text[at:]) - len(text[at:].lstrip()) + 1
            unclosed = text[column - 1] in "\"'"
            raise _wrong(
                "unterminated text: the closing quote is missing"
                if unclosed
                else f"unexpected character '{text[column - 1]}'",
                column,
                1,
            )
        kind = str(found.lastgroup)
        yield _Token(kind, found[kind], found.start(kind) + 1)
        at = found.end()


class _Parser:
    """A recursive descent parser, one method per rule."""

    def __init__(self, tokens: list[_Token], end: int) -> None:
        self._tokens = tokens
        self._end = end
        self._at = 0
        self._depth = 0

    def whole(self) -> Test:
        test = self._any()
        if self._at < len(self._tokens):
            raise self._unexpected("`and`, `or` or the end")
        return test

    def _any(self) -> Test:
        tests = [self._all()]
        while self._takes_word("or"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda of: any(t(of) for t in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._takes_word("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda of: all(t(of) for t in tests)

    def _one(self) -> Test:
        # Bounded, so that no filter reaches Python's recursion limit, here or when its test runs.
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._unexpected(f"at most {_DEEPEST} levels")
        try:
            if self._takes_word("not"):
                inner = self._one()
                return lambda of: not inner(of)
            if self._takes("("):
                test = self._any()
                if not self._takes(")"):
                    raise self._unexpected("`)`")
                return test
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Test:
        left = self._value()
        for sign in (*_EQUAL, *_DIFFERENT, *_COMPARE):
            if self._takes(sign):
                return _compared(left, sign, self._value())
        return lambda of: _is_true(left(of))

    def _value(self) -> _Value:
        token = self._peek()
        if token is not None and token.kind == "sign" and token.text == "-":
            self._at += 1
            token = self._peek()
            if token is None or token.kind != "number":
                raise self._unexpected("a number")
            self._at += 1
            return _always(-Decimal(token.text))
        if token is None or token.kind == "sign" or token.text.lower() in _WORDS:
            raise self._unexpected("a field, a number or a text")
        self._at += 1
        if token.kind == "name" and token.text.lower() not in _CONSTANTS:
            path = token.text.split(".")
            return lambda of: _field(of, path)
        return _always(_constant(token))

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _takes(self, sign: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "sign" or token.text != sign:
            return False
        self._at += 1
        return True

    def _takes_word(self, word: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "name" or token.text.lower() != word:
            return False
        self._at += 1
        return True

    def _unexpected(self, expected: str) -> SigcError:
        token = self._peek()
        if token is None:
            return _wrong("the filter ends too early", self._end, 1, expected)
        return _wrong(f"unexpected '{token.text}'", token.column, len(token.text), expected)


def _always(value: Any) -> _Value:
    return lambda _: value


def _constant(token: _Token) -> Any:
    match token.kind:
        case "number":
            return Decimal(token.text)
        case "text":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1])
    return _CONSTANTS[token.text.lower()]


def _field(of: Mapping[str, Any], path: list[str]) -> Any:
    value: Any = of
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _compared(left: _Value, sign: str, right: _Value) -> Test:
    def test(of: Mapping[str, Any]) -> bool:
        a, b = left(of), right(of)
        # Null first: it is the one value that equals a missing field.
        if a is None or b is None:  # absent or null
            equal = a in (None, _ABSENT) and b in (None, _ABSENT)
            return equal if sign in _EQUAL else not equal if sign in _DIFFERENT else False
        if a is _ABSENT or b is _ABSENT:
            return False
        a, b = _alike(a, b)
        if sign in _EQUAL:
            return bool(a == b)
        if sign in _DIFFERENT:
            return bool(a != b)
        comparable = type(a) is type(b) and isinstance(a, (Decimal, str))
        return comparable and _COMPARE[sign](a, b)

    return test


def _alike(a: Any, b: Any) -> tuple[Any, Any]:
    """Return two values as numbers if both can be; two texts stay texts, and a boolean equals no number."""
    if isinstance(a, bool) != isinstance(b, bool):
        return _ABSENT, None
    if isinstance(a, str) and isinstance(b, str):
        return a, b
    x, y = _decimal(a), _decimal(b)
    return (x, y) if x is not None and y is not None else (a, b)


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, Decimal)):
        return Decimal(value)
    try:
        number = Decimal(value if isinstance(value, str) else repr(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _is_true(value: Any) -> bool:
    return value is not _ABSENT and bool(value)


def _wrong(message: str, column: int, length: int, expected: str = "") -> SigcError:
    return SigcError(Diagnostic("E001", message, Span(SOURCE, 1, column, length), expected=expected))
