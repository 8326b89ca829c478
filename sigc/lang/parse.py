"""Logical lines to a Module. All errors of a file: what is wrong in a line costs that line alone.

Reading order: `parse`, the sections, `_Expression` (precedence climbing). Tokens: `grammar.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sigc.errors import Diagnostic, Span, did_you_mean
from sigc.lang import data_section
from sigc.lang.expression import Expression, SyntaxFault, span_of
from sigc.lang.grammar import MOST_BYTES, Line, Token, lines_of
from sigc.lang.nodes import (
    Assign,
    Backtest,
    Call,
    Constraint,
    Definition,
    Formal,
    Import,
    Load,
    Module,
    Name,
    Node,
    Number,
    Option,
    Param,
    Portfolio,
    Signal,
    Text,
)
from sigc.lang.vocabulary import METHODS, SECTIONS


def parse(text: str, path: str) -> tuple[Module, tuple[Diagnostic, ...]]:
    """The module of a text, with every syntax error of it. Never raises for what stands in the text."""
    if len(text) > MOST_BYTES:
        message = f"the file has {len(text):,} characters, more than {MOST_BYTES:,}"
        return Module(path), (Diagnostic("E001", message, Span(path, 1, 1)),)
    lines, comments, errors = lines_of(text, path)
    parser = _Parser(path, list(errors))
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


class _Parser:
    def __init__(self, path: str, errors: list[Diagnostic]) -> None:
        self.path = path
        self.errors = errors
        self.imports: list[Import] = []
        self.data: list[Load] = []
        self.params: list[Param] = []
        self.definitions: list[Definition] = []
        self.signals: list[Signal] = []
        self.portfolios: list[Portfolio] = []

    # -- sections ----------------------------------------------------------------------------------------

    def sections(self, lines: list[Line]) -> None:
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

    def _stray(self, line: Line) -> None:
        word = line.tokens[0].text
        hint = did_you_mean(word, SECTIONS) or "a file is made of data:, params:, fn, macro, signal and portfolio"
        self._error("E001", f"'{word}' starts no section", line.tokens[0], hint)

    def _section(self, header: Line, body: list[Line]) -> None:
        body = self._indented(header, body)
        readers: dict[str, Callable[[Line, list[Line]], None]] = {
            "data": self._data,
            "params": self._params,
            "fn": self._fn,
            "macro": self._macro,
            "signal": self._signal,
            "portfolio": self._portfolio,
            "import": self._import,
        }
        self._try(lambda: readers[header.tokens[0].text](header, body))

    def _indented(self, header: Line, body: list[Line]) -> list[Line]:
        """The body without lines that fell back to the header's column, each run of them one error."""
        if not body or body[0].indent <= header.indent:
            return body
        kept: list[Line] = []
        out = False
        for line in body:
            if line.indent <= header.indent:
                if not out:
                    hint = "indent it, or start a section"
                    self._error("E001", f"'{line.tokens[0].text}' is outside of any section", line.tokens[0], hint)
                out = True
            elif not out:
                kept.append(line)
        return kept

    def _data(self, header: Line, body: list[Line]) -> None:
        section = header.tokens[1].text if header.tokens[1].kind == "name" else ""
        rest = self._after_colon(header, 2 if section else 1)
        lines = [*rest, *body]
        if not lines:
            self._error("E001", "the data section is empty", header.tokens[0], 'add NAME: load csv from "FILE"')
        self.data += data_section.read(lines, section, self.path, self._try)

    def _params(self, header: Line, body: list[Line]) -> None:
        for line in [*self._after_colon(header, 1), *body]:
            self._try(lambda line=line: self.params.append(self._param(line)))  # type: ignore[misc]

    def _param(self, line: Line) -> Param:
        e = Expression(line.tokens, self.path)
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

    def _range(self, bounds: list[float], e: Expression, name: Token) -> tuple[float, ...]:
        if len(bounds) not in (2, 3):
            raise e.fault("range takes a first value, a last value and a step", name)
        low, high, step = bounds[0], bounds[1], bounds[2] if len(bounds) == 3 else 1.0
        if step == 0 or (high - low) / step < 0:
            raise e.fault("this range has no values", name, hint="the step leads away from the last value")
        count = int((high - low) / step + 1e-9) + 1
        if count > 10_000:
            raise e.fault(f"this range has {count} values, more than 10,000", name)
        return tuple(float(f"{low + i * step:.12g}") for i in range(count))  # 0.3, not 0.30000000000000004

    def _formals(self, e: Expression) -> tuple[Formal, ...]:
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
                    raise e.fault(f"'{kind}' is no kind of parameter", word, hint=hint)
            default = e.expression() if e.take("=") else None
            formals.append(Formal(name.text, kind, default, span=span_of(self.path, name)))
            if not e.take(","):
                break
        e.expect_op(")")
        return tuple(formals)

    def _fn(self, header: Line, body: list[Line]) -> None:
        e = Expression(header.tokens, self.path)
        e.next()
        name = e.expect("name", "a name")
        formals = self._formals(e)
        e.colon()
        emit = self._rest_or_next(e, body)
        self.definitions.append(Definition("fn", name.text, formals, (), emit, span=span_of(self.path, name)))

    def _rest_or_next(self, e: Expression, body: list[Line]) -> Node:
        """The expression after a colon: on this line, or alone on the next."""
        if e.done and body:
            e = Expression(body.pop(0).tokens, self.path)
        value = e.expression()
        e.end()
        for line in body:
            self._error("E001", "a fn is one expression", line.tokens[0], "use macro for let and emit")
        return value

    def _macro(self, header: Line, body: list[Line]) -> None:
        e = Expression(header.tokens, self.path)
        e.next()
        name = e.expect("name", "a name")
        formals = self._formals(e)
        e.colon()
        lines = [*self._remaining(e), *body]
        lets, emit = self._body(lines, name, word="let")
        if emit is not None:
            span = span_of(self.path, name)
            self.definitions.append(Definition("macro", name.text, formals, tuple(lets), emit, span=span))

    def _signal(self, header: Line, body: list[Line]) -> None:
        name = self._name_of(header)
        lines = [*self._after_colon(header, 2), *body]
        locals_, emit = self._body(lines, name)
        if emit is not None:
            self.signals.append(Signal(name.text, tuple(locals_), emit, span=span_of(self.path, name)))

    def _body(self, lines: list[Line], name: Token, word: str = "") -> tuple[list[Assign], Node | None]:
        """Assignments, then `emit`."""
        locals_: list[Assign] = []
        emit: Node | None = None
        broken = len(self.errors)
        for line in lines:
            first = line.tokens[0]
            if first.text == "emit" and not (len(line.tokens) > 1 and line.tokens[1].text == "="):
                if emit is not None:
                    self._error("E102", f"'{name.text}' emits twice", first, "remove one")
                    continue
                emit = self._value(Expression(line.tokens[1:], self.path, first), first)
            elif emit is not None:
                self._error("E102", "nothing may follow emit", first, "move it before emit")
            else:
                made = self._try(lambda line=line: self._assign(line, word))  # type: ignore[misc]
                if made is not None:
                    locals_.append(made)
        if emit is None and len(self.errors) == broken:
            self._error("E102", f"'{name.text}' does not emit", name, "end it with 'emit EXPRESSION'")
        return locals_, emit

    def _assign(self, line: Line, word: str = "") -> Assign:
        e = Expression(line.tokens, self.path)
        if word and e.peek(word):
            e.next()
        name = e.expect("name", "a name")
        if not e.take("="):
            hint = did_you_mean(name.text, ("emit", "weights", "costs", "constraints", "backtest"))
            raise e.fault(f"expected '=' after '{name.text}'", hint=hint)
        return Assign(name.text, self._value(e, name), span=span_of(self.path, name))

    def _value(self, e: Expression, at: Token) -> Node:
        """The rest of a line as an expression. A broken one is told, and stands as a name without text: what was
        to be defined is defined, so that its uses are no errors too."""
        try:
            value = e.expression()
            e.end()
        except SyntaxFault as fault:
            self.errors.append(fault.diagnostic)
            return Name("", span=span_of(self.path, at))
        return value

    def _portfolio(self, header: Line, body: list[Line]) -> None:
        name = self._name_of(header)
        lines = [*self._after_colon(header, 2), *body]
        reader = _PortfolioReader(self, name)
        reader.read(lines)
        if reader.weights is not None:
            self.portfolios.append(
                Portfolio(
                    name.text,
                    tuple(reader.locals),
                    reader.weights,
                    reader.costs,
                    tuple(reader.constraints),
                    reader.backtest,
                    span=span_of(self.path, name),
                )
            )

    def _import(self, header: Line, body: list[Line]) -> None:
        e = Expression(header.tokens, self.path)
        e.next()
        path = e.expect("string", "a file in quotes")
        e.end()
        self.imports.append(Import(path.text, span=span_of(self.path, path)))
        for line in body:
            self._stray(line)

    # -- pieces --------------------------------------------------------------------------------------------

    def _name_of(self, header: Line) -> Token:
        return header.tokens[1]

    def _after_colon(self, header: Line, at: int) -> list[Line]:
        """What stands on the header's line behind its colon, as a line of the body. E003 without the colon."""
        tokens = header.tokens
        if len(tokens) <= at or tokens[at].text != ":":
            last = tokens[at - 1]
            self._error("E003", f"expected ':' after '{last.text}'", last, "add ':'")
            return []
        rest = tokens[at + 1 :]
        return [Line(rest, header.indent + 1, header=False)] if rest else []

    def _remaining(self, e: Expression) -> list[Line]:
        rest = e.rest()
        return [Line(rest, 1, header=False)] if rest else []

    def _try(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except SyntaxFault as fault:
            self.errors.append(fault.diagnostic)
            return None

    def _error(self, code: str, message: str, at: Token, hint: str = "") -> None:
        self.errors.append(Diagnostic(code, message, span_of(self.path, at), hint=hint))


class _PortfolioReader:
    """The lines of a portfolio, with their sub-blocks `constraints:` and `soft:`."""

    def __init__(self, parser: _Parser, name: Token) -> None:
        self.parser = parser
        self.path = parser.path
        self.name = name
        self.locals: list[Assign] = []
        self.weights: Node | None = None
        self.costs: Node | None = None
        self.constraints: list[Constraint] = []
        self.backtest: Backtest | None = None
        self.seen_weights = False

    def read(self, lines: list[Line]) -> None:
        block = ""
        soft_indent = -1
        broken = len(self.parser.errors)
        for line in lines:
            words = [t.text for t in line.tokens[:2]]
            if words == ["constraints", ":"]:
                block, soft_indent = "constraints", -1
                line = Line(line.tokens[2:], line.indent + 1, header=False)
                if not line.tokens:
                    continue
            elif words == ["soft", ":"] and block:
                soft_indent = line.indent
                continue
            elif words[0] == "backtest" and words[1:] != ["="]:
                block = ""
                self._try_backtest(line)
                continue
            elif words[1:] == ["="] and words[0] in ("weights", "costs"):
                block = ""
            if block:
                soft = soft_indent >= 0 and line.indent > soft_indent
                made = self.parser._try(lambda line=line, soft=soft: self._constraint(line, soft))  # type: ignore[misc]
                if made is not None:
                    self.constraints.append(made)
            else:
                self.parser._try(lambda line=line: self._statement(line))  # type: ignore[misc]
        if not self.seen_weights and len(self.parser.errors) == broken:
            hint = "add 'weights = EXPRESSION'"
            self.parser._error("E102", f"portfolio '{self.name.text}' has no weights", self.name, hint)

    def _statement(self, line: Line) -> None:
        self.seen_weights = self.seen_weights or line.tokens[0].text == "weights"
        made = self.parser._assign(line)
        if made.name == "weights":
            if self.weights is not None:
                self.parser._error("E004", "weights are defined twice", line.tokens[0], "remove one")
            self.weights = made.value
        elif made.name == "costs":
            self.costs = made.value
        else:
            self.locals.append(made)

    def _constraint(self, line: Line, soft: bool) -> Constraint:
        e = Expression(line.tokens, self.path)
        name = e.expect("name", "a constraint's name")
        if not e.take("=") and not e.take(":"):
            raise e.fault(f"expected '=' after '{name.text}'", code="E003")
        values: list[Node] = []
        if e.take("["):
            values.append(e.expression())
            while e.take(","):
                values.append(e.expression())
            e.expect_op("]")
        else:
            values.append(e.expression())
        e.end()
        return Constraint(name.text, tuple(values), soft, span=span_of(self.path, name))

    def _try_backtest(self, line: Line) -> None:
        made = self.parser._try(lambda: self._backtest(line))
        if made is not None:
            if self.backtest is not None:
                self.parser._error("E004", "there are two backtest lines", line.tokens[0], "remove one")
            self.backtest = made

    def _backtest(self, line: Line) -> Backtest:
        e = Expression(line.tokens, self.path)
        head = e.next()
        options: list[Option] = []
        method: Call | None = None
        dates = {"from": "", "to": ""}
        while not e.done:
            if e.current.text in dates and e.current.kind == "name":
                word = e.next()
                if not e.done and e.current.kind == "date":
                    dates[word.text] = e.next().text
                else:
                    raise e.fault(f"expected a date after '{word.text}'", word, hint="write YYYY-MM-DD")
            elif e.current.text in METHODS and e.follows("("):
                node = e.primary()
                method = node if isinstance(node, Call) else None
            else:
                options.append(self._option(e))
            e.take(",")
        span = span_of(self.path, head)
        return Backtest(tuple(options), method, dates["from"], dates["to"], span=span)

    def _option(self, e: Expression) -> Option:
        name = e.expect("name", "an option such as rebal=21")
        if not e.take("="):
            hint = did_you_mean(name.text, (*METHODS, "rebal", "benchmark", "drift", "from", "to"))
            raise e.fault(f"expected '=' after '{name.text}'", hint=hint)
        value: Node
        if not e.done and e.current.kind == "days":
            token = e.next()
            value = Number(float(token.text[:-1]), days=True, span=span_of(self.path, token))
        elif not e.done and e.current.kind == "string":
            token = e.next()
            value = Text(token.text, span=span_of(self.path, token))
        else:
            value = e.primary()
        return Option(name.text, value, span=span_of(self.path, name))
