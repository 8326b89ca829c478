"""The parser: logical lines to a Module, with all errors of a file. An error in a line costs that line alone.

Reading order: `parse`, the sections, `ExpressionParser` (precedence climbing). Tokens: `tokens.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sigc.errors import Diagnostic, Span, did_you_mean
from sigc.lang import habits
from sigc.lang.syntax import data_section
from sigc.lang.syntax.expression import ExpressionParser, SyntaxFault, span_of
from sigc.lang.syntax.nodes import (
    Assign,
    Definition,
    Formal,
    Import,
    Load,
    Module,
    Name,
    Node,
    Param,
    PortfolioSection,
    Signal,
)
from sigc.lang.syntax.portfolio_section import PortfolioReader
from sigc.lang.syntax.tokens import MOST_BYTES, LogicalLine, Token, lines_of
from sigc.lang.vocabulary import SECTIONS


def parse(text: str, path: str) -> tuple[Module, tuple[Diagnostic, ...]]:
    """Return the module of a text, with all its syntax errors. It never raises for the content of a text."""
    if len(text) > MOST_BYTES:
        message = f"the file has {len(text):,} characters, more than {MOST_BYTES:,}"
        return Module(path), (Diagnostic("E001", message, Span(path, 1, 1)),)
    lines, comments, errors = lines_of(text, path)
    parser = Parser(path, list(errors))
    parser.sections(list(lines))
    found = sorted(parser.errors, key=lambda d: d.span or Span("", 0, 0))
    module = Module(
        path=path,
        imports=tuple(parser.imports),
        data=tuple(parser.data),
        params=tuple(parser.params),
        definitions=tuple(parser.definitions),
        signals=tuple(parser.signals),
        portfolios=tuple(parser.portfolios),
        comments=comments,
    )
    return module, tuple(found)


class Parser:
    """The parser of one file's sections; errors are collected in `errors`."""

    def __init__(self, path: str, errors: list[Diagnostic]) -> None:
        self.path = path
        self.errors = errors
        # Lines with a reported character: no further errors for them.
        self.strange = {d.span.line for d in errors if d.span}
        self.imports: list[Import] = []
        self.data: list[Load] = []
        self.params: list[Param] = []
        self.definitions: list[Definition] = []
        self.signals: list[Signal] = []
        self.portfolios: list[PortfolioSection] = []

    # -- sections ----------------------------------------------------------------------------------------

    def sections(self, lines: list[LogicalLine]) -> None:
        at = 0
        while at < len(lines):
            header = lines[at]
            if not header.header:
                self._stray(header)
                at += 1
                while at < len(lines) and not lines[at].header and lines[at].indent > header.indent:
                    at += 1
                continue
            end = at + 1
            while end < len(lines) and not lines[end].header:
                end += 1
            self._section(header, lines[at + 1 : end])
            at = end

    def _stray(self, line: LogicalLine) -> None:
        word = line.tokens[0].text
        hint = (
            habits.STATEMENTS.get(word)
            or did_you_mean(word, SECTIONS)
            or "a file is made of data:, params:, fn, macro, signal and portfolio"
        )
        self.error("E001", f"'{word}' does not start a section", line.tokens[0], hint)

    def _section(self, header: LogicalLine, body: list[LogicalLine]) -> None:
        body = self._indented(header, body)
        readers: dict[str, Callable[[LogicalLine, list[LogicalLine]], None]] = {
            "data": self._data,
            "params": self._params,
            "fn": self._fn,
            "macro": self._macro,
            "signal": self._signal,
            "portfolio": self._portfolio,
            "import": self._import,
        }
        self.attempt(lambda: readers[header.tokens[0].text](header, body))

    def _indented(self, header: LogicalLine, body: list[LogicalLine]) -> list[LogicalLine]:
        """Return the body without lines at the header's column or left of it; each run of them is one error."""
        if not body or body[0].indent <= header.indent:
            return body
        kept: list[LogicalLine] = []
        out = False
        for line in body:
            if line.indent <= header.indent:
                if not out:
                    word = line.tokens[0].text
                    hint = habits.STATEMENTS.get(word, "indent it, or start a section")
                    self.error("E001", f"'{word}' is outside of any section", line.tokens[0], hint)
                out = True
            elif not out:
                kept.append(line)
        return kept

    def _data(self, header: LogicalLine, body: list[LogicalLine]) -> None:
        section = header.tokens[1].text if header.tokens[1].kind == "name" else ""
        rest = self._after_colon(header, 2 if section else 1)
        lines = [*rest, *body]
        if not lines:
            self.error("E001", "the data section is empty", header.tokens[0], 'add NAME: load csv from "FILE"')
        self.data += data_section.read(lines, section, self.path, self.attempt)

    def _params(self, header: LogicalLine, body: list[LogicalLine]) -> None:
        for line in [*self._after_colon(header, 1), *body]:
            self.attempt(lambda line=line: self.params.append(self._param(line)))  # type: ignore[misc]

    def _param(self, line: LogicalLine) -> Param:
        e = ExpressionParser(line.tokens, self.path)
        name = e.expect("name", "a parameter's name")
        if not e.take("=") and not e.take(":"):
            raise e.fault(f"expected '=' after '{name.text}'", code="E003")
        if e.peek("range") and e.follows("("):
            e.next()
            e.next()
            bounds = [e.number()]
            while e.take(","):
                bounds.append(e.number())
            e.expect_op(")")
            e.end()
            return Param(name.text, self._range(bounds, e, name), "range", span=span_of(self.path, name))
        if e.take("["):
            values = [e.number()]
            while e.take(",") and not e.peek("]"):
                values.append(e.number())
            e.expect_op("]")
            e.end()
            return Param(name.text, tuple(values), "list", span=span_of(self.path, name))
        value = e.number()
        e.end()
        return Param(name.text, (value,), span=span_of(self.path, name))

    def _range(self, bounds: list[float], e: ExpressionParser, name: Token) -> tuple[float, ...]:
        if len(bounds) not in (2, 3):
            raise e.fault("range takes a first value, a last value and a step", name)
        low, high, step = bounds[0], bounds[1], bounds[2] if len(bounds) == 3 else 1.0
        if step == 0 or (high - low) / step < 0:
            raise e.fault("this range has no values", name, hint="the step leads away from the last value")
        count = int((high - low) / step + 1e-9) + 1
        if count > 10_000:
            raise e.fault(f"this range has {count} values, more than 10,000", name)
        return tuple(float(f"{low + i * step:.12g}") for i in range(count))  # 0.3, not 0.30000000000000004

    def _formals(self, e: ExpressionParser) -> tuple[Formal, ...]:
        e.expect_op("(")
        formals: list[Formal] = []
        while not e.peek(")"):
            name = e.expect("name", "a parameter's name")
            kind = ""
            if e.take(":"):
                word = e.expect("name", "expr, number, string or ident")
                kind = word.text
                if kind not in ("expr", "number", "string", "ident"):
                    hint = did_you_mean(kind, ("expr", "number", "string", "ident"))
                    raise e.fault(f"unknown kind of parameter '{kind}'", word, hint=hint)
            default = e.expression() if e.take("=") else None
            formals.append(Formal(name.text, kind, default, span=span_of(self.path, name)))
            if not e.take(","):
                break
        e.expect_op(")")
        return tuple(formals)

    def _fn(self, header: LogicalLine, body: list[LogicalLine]) -> None:
        e = ExpressionParser(header.tokens, self.path)
        e.next()
        name = e.expect("name", "a name")
        formals = self._formals(e)
        e.colon()
        emit = self._rest_or_next(e, body)
        self.definitions.append(Definition("fn", name.text, formals, (), emit, span=span_of(self.path, name)))

    def _rest_or_next(self, e: ExpressionParser, body: list[LogicalLine]) -> Node:
        """Return the expression after a colon: on this line, or alone on the next."""
        if e.done and body:
            e = ExpressionParser(body.pop(0).tokens, self.path)
        value = e.expression()
        e.end()
        for line in body:
            self.error("E001", "a fn is one expression", line.tokens[0], "use macro for let and emit")
        return value

    def _macro(self, header: LogicalLine, body: list[LogicalLine]) -> None:
        e = ExpressionParser(header.tokens, self.path)
        e.next()
        name = e.expect("name", "a name")
        formals = self._formals(e)
        e.colon()
        lines = [*self._remaining(e), *body]
        lets, emit = self._body(lines, name, word="let")
        if emit is not None:
            span = span_of(self.path, name)
            self.definitions.append(Definition("macro", name.text, formals, tuple(lets), emit, span=span))

    def _signal(self, header: LogicalLine, body: list[LogicalLine]) -> None:
        name = self._name_of(header)
        lines = [*self._after_colon(header, 2), *body]
        locals_, emit = self._body(lines, name)
        if emit is not None:
            self.signals.append(Signal(name.text, tuple(locals_), emit, span=span_of(self.path, name)))

    def _body(self, lines: list[LogicalLine], name: Token, word: str = "") -> tuple[list[Assign], Node | None]:
        """Return assignments and the value of `emit`."""
        locals_: list[Assign] = []
        emit: Node | None = None
        broken = len(self.errors)
        for line in lines:
            first = line.tokens[0]
            if first.text == "emit" and not (len(line.tokens) > 1 and line.tokens[1].text == "="):
                if emit is not None:
                    self.error("E102", f"'{name.text}' emits twice", first, "remove one")
                    continue
                emit = self._value(ExpressionParser(line.tokens[1:], self.path, first), first)
            elif emit is not None:
                self.error("E102", "nothing may follow emit", first, "move it before emit")
            else:
                made = self.attempt(lambda line=line: self.assign(line, word))  # type: ignore[misc]
                if made is not None:
                    locals_.append(made)
        if emit is None and len(self.errors) == broken:
            named = any(a.name == "emit" for a in locals_)
            hint = "write emit EXPRESSION, without '='" if named else "end it with 'emit EXPRESSION'"
            self.error("E102", f"'{name.text}' does not emit", name, hint)
        return locals_, emit

    def assign(self, line: LogicalLine, word: str = "") -> Assign:
        e = ExpressionParser(line.tokens, self.path)
        if word and e.peek(word):
            e.next()
        name = e.expect("name", "a name")
        if not e.take("="):
            self._tell(e.fault(f"expected '=' after '{name.text}'", hint=_unassigned(name, e)))
            bound = e.next() if name.text in ("let", "var", "const") and not e.done else name
            return Assign(bound.text, Name("", span=span_of(self.path, name)), span=span_of(self.path, bound))
        return Assign(name.text, self._value(e, name), span=span_of(self.path, name))

    def _value(self, e: ExpressionParser, at: Token) -> Node:
        """Return the rest of a line as an expression.

        A broken one is reported, and replaced by a name without text: the name is then defined, so that its uses are
        not errors too.
        """
        try:
            value = e.expression()
            e.end()
        except SyntaxFault as fault:
            self._tell(fault)
            return Name("", span=span_of(self.path, at))
        return value

    def _portfolio(self, header: LogicalLine, body: list[LogicalLine]) -> None:
        name = self._name_of(header)
        lines = [*self._after_colon(header, 2), *body]
        reader = PortfolioReader(self, name)
        reader.read(lines)
        if reader.weights is not None:
            self.portfolios.append(
                PortfolioSection(
                    name.text,
                    tuple(reader.locals),
                    reader.weights,
                    reader.costs,
                    tuple(reader.constraints),
                    reader.backtest,
                    span=span_of(self.path, name),
                )
            )

    def _import(self, header: LogicalLine, body: list[LogicalLine]) -> None:
        e = ExpressionParser(header.tokens, self.path)
        e.next()
        path = e.expect("string", "a file in quotes")
        e.end()
        self.imports.append(Import(path.text, span=span_of(self.path, path)))
        for line in body:
            self._stray(line)

    # -- pieces --------------------------------------------------------------------------------------------

    def _name_of(self, header: LogicalLine) -> Token:
        return header.tokens[1]

    def _after_colon(self, header: LogicalLine, at: int) -> list[LogicalLine]:
        """Return the rest of the header's line after its colon, as a line of the body. Report E003 without the
        colon.
        """
        tokens = header.tokens
        if len(tokens) <= at or tokens[at].text != ":":
            last = tokens[at - 1]
            self.error("E003", f"expected ':' after '{last.text}'", last, "add ':'")
            return []
        rest = tokens[at + 1 :]
        return [LogicalLine(rest, header.indent + 1, header=False)] if rest else []

    def _remaining(self, e: ExpressionParser) -> list[LogicalLine]:
        rest = e.rest()
        return [LogicalLine(rest, 1, header=False)] if rest else []

    def attempt(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except SyntaxFault as fault:
            self._tell(fault)
            return None

    def _tell(self, fault: SyntaxFault) -> None:
        span = fault.diagnostic.span
        if span is None or span.line not in self.strange:
            self.errors.append(fault.diagnostic)

    def error(self, code: str, message: str, at: Token, hint: str = "") -> None:
        self.errors.append(Diagnostic(code, message, span_of(self.path, at), hint=hint))


def _unassigned(name: Token, e: ExpressionParser) -> str:
    """Return the hint for a line that begins with a name and is not an assignment."""
    if e.peek("=="):
        return "one '=' gives a name to a value, '==' compares"
    if e.peek(":"):
        return f"write {name.text} = EXPRESSION"
    if name.text in habits.STATEMENTS:
        return habits.STATEMENTS[name.text]
    if not e.done and e.current.text in ("+", "-", "*", "/") and e.follows("="):
        return f"write {name.text} = {name.text} {e.current.text} ..."
    return did_you_mean(name.text, ("emit", "weights", "costs", "constraints", "backtest"))
