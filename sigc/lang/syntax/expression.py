"""Expressions, parsed by precedence climbing over the tokens of one logical line.

High to low: call and `.method()`; `**` (right); unary `-`; `* / %`; `+ -`; comparisons (no chaining); `not`;
`and`; `or`.
"""

from __future__ import annotations

import math

from sigc.errors import Diagnostic, Span
from sigc.lang import habits
from sigc.lang.syntax.nodes import Argument, Binary, Call, Column, Name, Node, Number, Text, Unary
from sigc.lang.syntax.tokens import Token

_SHARE = "a share is written as a number: 0.05"
MOST_DEPTH = 50  # of nesting: below Python's recursion limit, beyond any real program
MOST_ARGUMENTS = 256

_COMPARE = ("==", "!=", ">=", "<=", ">", "<")
_LEVELS: tuple[tuple[str, ...], ...] = (("or",), ("and",), ("not",), _COMPARE, ("+", "-"), ("*", "/", "%"))
_NOT, _COMPARISON, _UNARY = 2, 3, 6


class SyntaxFault(Exception):  # noqa: N818
    """One syntax error, caught by the parser and added to its list."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def span_of(path: str, first: Token, last: Token | None = None) -> Span:
    """Return the span from one token to another of the same line, or of the first alone."""
    if last is None or last.line != first.line:
        return Span(path, first.line, first.column, first.length)
    return Span(path, first.line, first.column, last.column + last.length - first.column)


class ExpressionParser:
    """A cursor over tokens. `before`: the token to which errors point if there are no tokens."""

    def __init__(self, tokens: tuple[Token, ...], path: str, before: Token | None = None) -> None:
        self._tokens = tokens
        self._path = path
        self._at = 0
        self._depth = 0
        self._before = before

    # -- the cursor ----------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        return self._at >= len(self._tokens)

    @property
    def current(self) -> Token:
        return self._tokens[self._at]

    def next(self) -> Token:
        token = self.current
        self._at += 1
        return token

    def rest(self) -> tuple[Token, ...]:
        found = self._tokens[self._at :]
        self._at = len(self._tokens)
        return found

    def peek(self, text: str) -> bool:
        return not self.done and self.current.text == text and self.current.kind in ("op", "name")

    def follows(self, text: str) -> bool:
        at = self._at + 1
        return at < len(self._tokens) and self._tokens[at].text == text and self._tokens[at].kind == "op"

    def take(self, text: str) -> bool:
        if self.peek(text):
            self._at += 1
            return True
        return False

    def expect(self, kind: str, what: str) -> Token:
        if self.done or self.current.kind != kind:
            raise self.fault(f"expected {what}")
        return self.next()

    def expect_op(self, text: str) -> Token:
        if not self.peek(text):
            raise self.fault(f"expected '{text}'")
        return self.next()

    def colon(self) -> None:
        if not self.take(":"):
            hint = "write ':' in the place of '='" if self.peek("=") else "add ':'"
            raise self.fault("expected ':'", code="E003", hint=hint)

    def end(self) -> None:
        if not self.done:
            raise self.fault("expected the end of the line")

    def fault(self, message: str, at: Token | None = None, code: str = "E001", hint: str = "") -> SyntaxFault:
        """Return an error at a token: the given one, the current one, or after the last."""
        if at is not None:
            span = span_of(self._path, at)
        elif not self.done:
            span = span_of(self._path, self.current)
            found = self.current
            message += f", found '{found.text}'" if found.kind != "string" else ", found a string"
            hint = hint or self._habit(found)
        else:
            last = self._tokens[-1] if self._tokens else self._before
            span = Span(self._path, last.line, last.column + last.length) if last else Span(self._path, 1, 1)
            message += ", found the end of the line"
            hint = hint or (_SHARE if last is not None and last.text == "%" else "")
        return SyntaxFault(Diagnostic(code, message, span, hint=hint))

    def _habit(self, found: Token) -> str:
        """Return the hint for a misplaced token, '' for none."""
        if found.text == "=":
            return "one '=' gives a name to a value, '==' compares"
        before = self._tokens[self._at - 1].text if self._at else ""
        if found.text == ":" and self._at == 0:
            return "write an expression, without ':'"
        if found.kind == "op" and before == "%":
            return _SHARE
        if before in ("lambda", "return", "not"):
            return habits.NAMES.get(before, "")
        return habits.NAMES.get(found.text, "") if found.kind == "name" else ""

    # -- expressions ---------------------------------------------------------------------------------------

    def expression(self, level: int = 0) -> Node:
        if level == 0:
            self._depth += 1
            if self._depth > MOST_DEPTH:
                raise self.fault(f"nested deeper than {MOST_DEPTH} levels")
        node = self._level(level)
        if level == 0:
            self._depth -= 1
        return node

    def _level(self, level: int) -> Node:
        if level == _UNARY:
            return self._unary()
        if level == _NOT:
            return self._negation()
        left = self._level(level + 1)
        count = 0
        while not self.done and self.current.text in _LEVELS[level] and self.current.kind in ("op", "name"):
            token = self.next()
            right = self._level(level + 1)
            count += 1
            if count > 150:
                raise self.fault("too many operators in one line", token)
            left = Binary(token.text, left, right, span=self._from(left, right))
            if level == _COMPARISON and not self.done and self.current.text in _COMPARE:
                hint = "write (a < x) and (x < b)"
                raise self.fault("comparisons can't be chained", self.current, hint=hint)
        return left

    def _negation(self) -> Node:
        if self.peek("not") and not self.follows("("):
            token = self.next()
            self._deeper()
            operand = self._negation()
            self._depth -= 1
            return Unary("not", operand, span=self._between(token, operand))
        if self.peek("not"):  # `not (a) and b` and `not(a)` are parsed alike
            token = self.next()
            operand = self._level(_COMPARISON)
            return Unary("not", operand, span=self._between(token, operand))
        return self._level(_COMPARISON)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise self.fault(f"nested deeper than {MOST_DEPTH} levels")

    def _unary(self) -> Node:
        if self.peek("-"):
            token = self.next()
            self._deeper()
            operand = self._unary()
            self._depth -= 1
            return Unary("-", operand, span=self._between(token, operand))
        return self._power()

    def _power(self) -> Node:
        base = self.primary()
        if self.peek("**"):
            self.next()
            self._deeper()
            exponent = self._unary()
            self._depth -= 1
            return Binary("**", base, exponent, span=self._from(base, exponent))
        return base

    def primary(self) -> Node:
        """Parse an atom with its calls, methods and columns."""
        node = self._atom()
        count = 0
        while not self.done:
            count += 1
            if count > MOST_DEPTH:
                raise self.fault(f"more than {MOST_DEPTH} calls in a chain")
            if self.peek("."):
                node = self._method(node)
            elif self.peek("["):
                node = self._column(node)
            else:
                break
        return node

    def _atom(self) -> Node:
        if self.done:
            raise self.fault("expected a value")
        token = self.next()
        span = span_of(self._path, token)
        match token.kind:
            case "number":
                if math.isinf(float(token.text)):
                    raise self.fault(f"the number {token.text} is too large", token)
                return Number(float(token.text), span=span)
            case "days":
                raise self.fault(f"'{token.text}' is allowed only after rebal=", token)
            case "string":
                return Text(token.text, span=span)
            case "name":
                if self.peek("("):
                    return self._call(token)
                return Name(token.text, span=span)
            case "op" if token.text == "(":
                inner = self.expression()
                self.expect_op(")")
                return inner
            case _:
                self._at -= 1
                raise self.fault("expected a value")

    def _call(self, name: Token) -> Call:
        args, last = self._arguments()
        func = span_of(self._path, name)
        return Call(name.text, args, span=span_of(self._path, name, last), func_span=func)

    def _arguments(self) -> tuple[tuple[Argument, ...], Token]:
        self.expect_op("(")
        args: list[Argument] = []
        while not self.peek(")"):
            first = self.current if not self.done else None
            name = ""
            if first is not None and first.kind == "name" and self.follows("="):
                name = self.next().text
                self.next()
            value = self.expression()
            args.append(Argument(value, name, span=span_of(self._path, first) if first else value.span))
            if len(args) > MOST_ARGUMENTS:
                raise self.fault(f"more than {MOST_ARGUMENTS} arguments")
            if not self.take(","):
                break
        if self.done:
            raise self.fault("expected ')'", hint="a bracket is not closed")
        return tuple(args), self.expect_op(")")

    def _method(self, node: Node) -> Node:
        self.next()
        name = self.expect("name", "a name after '.'")
        if self.peek("("):
            args, last = self._arguments()
            start = Token("", "", node.span.line, node.span.column, node.span.length)
            func = span_of(self._path, name)
            receiver = Argument(node, span=node.span)
            span = span_of(self._path, start, last)
            return Call(name.text, (receiver, *args), method=True, span=span, func_span=func)
        if isinstance(node, Name) and "." not in node.text:
            span = Span(self._path, node.span.line, node.span.column, name.column + name.length - node.span.column)
            return Name(f"{node.text}.{name.text}", span=span)
        raise self.fault("expected '(' after a method's name")

    def _column(self, node: Node) -> Column:
        self.next()
        if not self.done and self.current.kind in ("name", "string"):
            asset = self.next()
        else:
            rows = "rows can't be selected; shift the panel: lag(x, n)"
            one = 'write x[AAPL] or x["BRK.B"]'
            raise self.fault("expected an asset's name in brackets", hint=rows if self._is_row() else one)
        if not self.done and self.current.text in (".", "-", "/"):
            raise self.fault("expected ']'", hint=f'write the name in quotes: ["{self._until("]")}"]')
        self.expect_op("]")
        return Column(node, asset.text, span=node.span, asset_span=span_of(self._path, asset))

    def _is_row(self) -> bool:
        return not self.done and (self.current.kind == "number" or self.current.text in ("-", ":"))

    def _until(self, text: str) -> str:
        """Return the text from the preceding name up to a token."""
        parts = [self._tokens[self._at - 1].text]
        for token in self._tokens[self._at :]:
            if token.text == text:
                break
            parts.append(token.text)
        return "".join(parts)

    def number(self) -> float:
        """Parse a constant expression and fold it. For params, where no name is in scope yet."""
        begin = self.current if not self.done else None
        node = self.expression(4)
        try:
            value = _folded(node)
        except (ArithmeticError, ValueError):
            raise self.fault("expected a number", begin, hint="parameters are numbers; a flag is 1 or 0") from None
        if not math.isfinite(value):
            raise self.fault("the number is too large", begin)
        return value

    def _from(self, left: Node, right: Node) -> Span:
        a, b = left.span, right.span
        if a.line != b.line:
            return a
        return Span(self._path, a.line, a.column, b.column + b.length - a.column)

    def _between(self, token: Token, operand: Node) -> Span:
        b = operand.span
        if token.line != b.line:
            return span_of(self._path, token)
        return Span(self._path, token.line, token.column, b.column + b.length - token.column)


def _folded(node: Node) -> float:
    match node:
        case Number(value):
            return value
        case Unary("-", operand):
            return -_folded(operand)
        case Binary(op, left, right):
            a, b = _folded(left), _folded(right)
            match op:
                case "+":
                    return a + b
                case "-":
                    return a - b
                case "*":
                    return a * b
                case "/":
                    return a / b
                case "%":
                    return a % b
                case "**":
                    return float(a**b)
    raise ValueError("not a constant")
