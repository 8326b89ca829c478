"""The lines of a data section, in short and long form, to loads.

prices: load parquet from "prices.parquet" adjust=split      short
prices = "prices.parquet"                                    named
prices = ["2023.csv", "2024.csv"]                            several files, one source: in each of the forms
source = "bars.parquet"                                      long: then `format =`, `columns:`, `options:`
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sigc.errors import Diagnostic
from sigc.lang.syntax.expression import ExpressionParser, SyntaxFault, span_of
from sigc.lang.syntax.nodes import Load, Name, Node, Number, Option, Text
from sigc.lang.syntax.tokens import LogicalLine, Token

Try = Callable[[Callable[[], Any]], Any]
_TRUE = {"true": 1.0, "false": 0.0}


def read(lines: list[LogicalLine], section: str, path: str, attempt: Try) -> list[Load]:
    """Return the loads of a section, in order. Errors go through `attempt`, line by line."""
    reader = _Reader(section, path)
    for line in lines:
        attempt(lambda line=line: reader.line(line))  # type: ignore[misc]
    return attempt(reader.loads) or []


class _Reader:
    def __init__(self, section: str, path: str) -> None:
        self.section = section
        self.path = path
        self.short: list[Load] = []
        self.named: list[Load] = []
        self.columns: list[Load] = []
        self.options: list[Option] = []
        self.source: Token | None = None
        self.others: tuple[str, ...] = ()
        self.format = ""
        self.block = ""

    def line(self, line: LogicalLine) -> None:
        e = ExpressionParser(line.tokens, self.path)
        name = e.expect("name", "a data source's name")
        if e.take("="):
            if self.block == "options":
                self.options.append(self._option(e, name))
            else:
                self._assignment(e, name)
            return
        if not e.take(":"):
            hint = f'write {name.text}: load csv from "FILE"'
            raise e.fault(f"expected ':' after '{name.text}'", code="E003", hint=hint)
        if name.text in ("columns", "options") and e.done:
            self.block = name.text
        elif e.peek("load"):
            self.block = ""
            self.short.append(self._load(e, name))
        elif self.block == "columns":
            self.columns.append(self._column(e, name))
        elif self.block == "options":
            self.options.append(self._option(e, name))
        else:
            hint = f'write {name.text}: load csv from "FILE"'
            raise e.fault("expected 'load'", hint=hint)

    def _load(self, e: ExpressionParser, name: Token) -> Load:
        e.next()
        kind = e.expect("name", "a format (csv, parquet, arrow)")
        if not e.peek("from"):
            raise e.fault("expected 'from' after the format", hint=f'write {name.text}: load csv from "FILE"')
        e.next()
        file, others = self._files(e)
        options = []
        while not e.done:
            option = e.expect("name", "an option such as adjust=split")
            e.expect_op("=")
            options.append(self._option(e, option, last=False))
            e.take(",")
        return Load(
            name.text,
            kind.text,
            file.text,
            tuple(options),
            section=self.section,
            span=span_of(self.path, name),
            path_span=span_of(self.path, file),
            others=others,
        )

    def _files(self, e: ExpressionParser) -> tuple[Token, tuple[str, ...]]:
        """Parse a file, or a list of files: return the first, and the rest."""
        if not e.take("["):
            if not e.done and e.current.kind != "string":
                raise e.fault("expected a file in quotes, or a list of them", hint='write NAME: load csv from "FILE"')
            return e.expect("string", "a file in quotes, or a list of them"), ()
        first = e.expect("string", "a file in quotes")
        files = [first.text]
        while e.take(",") and not e.peek("]"):
            file = e.expect("string", "a file in quotes")
            if file.text in files:
                raise e.fault(f"'{file.text}' is in the list twice", file, "E004", "remove one")
            files.append(file.text)
        e.expect_op("]")
        return first, tuple(files[1:])

    def _assignment(self, e: ExpressionParser, name: Token) -> None:
        self.block = ""
        if name.text == "format":
            self.format = (e.next() if not e.done else e.expect("name", "a format")).text
            e.end()
            return
        file, others = self._files(e)
        e.end()
        if name.text == "source":
            self.source, self.others = file, others
            return
        span, at = span_of(self.path, name), span_of(self.path, file)
        load = Load(name.text, "", file.text, section=self.section, written="named", span=span, path_span=at)
        self.named.append(replace(load, others=others))

    def _column(self, e: ExpressionParser, column: Token) -> Load:
        kind = e.expect("name", "a type (Numeric, Category, Symbol, Date)")
        name = column
        if e.take("as"):
            name = e.expect("name", "a name after 'as'")
        e.end()
        role = {"symbol": "symbol", "date": "date"}.get(kind.text.lower(), "value")
        return Load(
            name.text,
            "",
            "",
            column=column.text,
            dtype=kind.text,
            role=role,
            section=self.section,
            written="long",
            span=span_of(self.path, name),
            path_span=span_of(self.path, kind),
        )

    def _option(self, e: ExpressionParser, name: Token, *, last: bool = True) -> Option:
        minus = e.next() if e.peek("-") else None
        token = e.next() if not e.done else e.expect("name", "a value")
        span = span_of(self.path, minus or token, token)
        value: Node
        match token.kind:
            case "number" if len(token.text) < 20:
                value = Number(float(token.text) * (-1.0 if minus else 1.0), span=span)
            case _ if minus:
                raise e.fault("expected a number", token)
            case "days":
                value = Number(float(token.text[:-1]), days=True, span=span)
            case "string":
                value = Text(token.text, span=span)
            case "name":
                value = Name(token.text, span=span)
            case _:
                raise e.fault("expected a value", token)
        if not e.done and e.current.text in (".", "/", "-") and token.kind != "string":  # Europe/Berlin, BRK.B
            raise e.fault("expected the next option", hint=f'write it in quotes: {name.text}="..."')
        if last:
            e.end()
        return Option(name.text, value, span=span_of(self.path, name))

    def loads(self) -> list[Load]:
        options = tuple(self.options)
        if self.source is None and self.columns:
            hint = 'add source = "FILE"'
            raise SyntaxFault(Diagnostic("E001", "columns: without a file", self.columns[0].span, hint=hint))
        if self.source is None:
            named = [replace(n, format=self.format, options=options) for n in self.named]
            return sorted([*self.short, *named], key=lambda x: x.span)
        file, at = self.source.text, span_of(self.path, self.source)

        def placed(load: Load) -> Load:
            return replace(
                load, format=self.format, path=file, others=self.others, options=options, path_span=at, written="long"
            )

        columns = [placed(c) for c in self.columns]
        if not any(c.role == "value" for c in columns):
            # The whole file under the section's own name, or as prices.
            name = self.section or "prices"
            columns.append(placed(Load(name, "", "", section=self.section, span=at)))
        named = [replace(n, format=self.format, options=options) for n in self.named]
        return sorted([*self.short, *named, *columns], key=lambda x: x.span)
