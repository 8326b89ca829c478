"""The lines of a portfolio: locals, weights, costs, constraints (with `soft:`), the backtest line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigc.errors import did_you_mean
from sigc.lang.syntax.expression import ExpressionParser, span_of
from sigc.lang.syntax.nodes import Assign, BacktestLine, Call, ConstraintLine, Node, Number, Option, Text
from sigc.lang.syntax.tokens import LogicalLine, Token
from sigc.lang.vocabulary import BACKTEST_OPTIONS, METHODS

if TYPE_CHECKING:
    from sigc.lang.syntax.parse import Parser


class PortfolioReader:
    """The reader of a portfolio's lines, with their sub-blocks `constraints:` and `soft:`."""

    def __init__(self, parser: Parser, name: Token) -> None:
        self.parser = parser
        self.path = parser.path
        self.name = name
        self.locals: list[Assign] = []
        self.weights: Node | None = None
        self.costs: Node | None = None
        self.constraints: list[ConstraintLine] = []
        self.backtest: BacktestLine | None = None
        self.seen_weights = False

    def read(self, lines: list[LogicalLine]) -> None:
        block = ""
        soft_indent = -1
        broken = len(self.parser.errors)
        for line in lines:
            words = [t.text for t in line.tokens[:2]]
            if words == ["constraints", ":"]:
                block, soft_indent = "constraints", -1
                line = LogicalLine(line.tokens[2:], line.indent + 1, header=False)
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
                made = self.parser.attempt(lambda line=line, soft=soft: self._constraint(line, soft))  # type: ignore[misc]
                if made is not None:
                    self.constraints.append(made)
            else:
                self.parser.attempt(lambda line=line: self._statement(line))  # type: ignore[misc]
        if not self.seen_weights and len(self.parser.errors) == broken:
            hint = "add 'weights = EXPRESSION'"
            self.parser.error("E102", f"portfolio '{self.name.text}' has no weights", self.name, hint)

    def _statement(self, line: LogicalLine) -> None:
        self.seen_weights = self.seen_weights or line.tokens[0].text == "weights"
        made = self.parser.assign(line)
        if made.name == "weights":
            if self.weights is not None:
                self.parser.error("E004", "weights are defined twice", line.tokens[0], "remove one")
            self.weights = made.value
        elif made.name == "costs":
            if self.costs is not None:
                self.parser.error("E004", "costs are defined twice", line.tokens[0], "add them up in one line")
            self.costs = made.value
        else:
            self.locals.append(made)

    def _constraint(self, line: LogicalLine, soft: bool) -> ConstraintLine:
        e = ExpressionParser(line.tokens, self.path)
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
        return ConstraintLine(name.text, tuple(values), soft, span=span_of(self.path, name))

    def _try_backtest(self, line: LogicalLine) -> None:
        made = self.parser.attempt(lambda: self._backtest(line))
        if made is not None:
            if self.backtest is not None:
                self.parser.error("E004", "there are two backtest lines", line.tokens[0], "remove one")
            self.backtest = made

    def _backtest(self, line: LogicalLine) -> BacktestLine:
        e = ExpressionParser(line.tokens, self.path)
        head = e.next()
        options: list[Option] = []
        method: Call | None = None
        dates = {"from": "", "to": ""}
        seen: set[str] = set()
        while not e.done:
            self._once(e, seen)
            if e.current.text in dates and e.current.kind == "name":
                word = e.next()
                if not e.done and e.current.kind == "date":
                    dates[word.text] = e.next().text
                else:
                    raise e.fault(
                        f"expected a date after '{word.text}'", word, hint="write YYYY-MM-DD, or leave it out"
                    )
            elif e.current.text in METHODS and e.follows("("):
                node = e.primary()
                method = node if isinstance(node, Call) else None
            else:
                options.append(self._option(e))
            e.take(",")
        span = span_of(self.path, head)
        return BacktestLine(tuple(options), method, dates["from"], dates["to"], span=span)

    def _once(self, e: ExpressionParser, seen: set[str]) -> None:
        """Raise E004 for a repeated option, date or validation."""
        what = "a validation" if e.current.text in METHODS and e.follows("(") else f"'{e.current.text}'"
        if what in seen:
            raise e.fault(f"{what} is given twice", e.current, "E004", "remove one")
        seen.add(what)

    def _option(self, e: ExpressionParser) -> Option:
        name = e.expect("name", "an option such as rebal=21")
        if not e.take("="):
            hint = did_you_mean(name.text, (*METHODS, *BACKTEST_OPTIONS, "from", "to"))
            raise e.fault(f"expected '=' after '{name.text}'", hint=hint)
        value: Node
        if not e.done and e.current.kind == "days":
            token = e.next()
            value = Number(float(token.text[:-1]), days=True, span=span_of(self.path, token))
        elif not e.done and e.current.kind == "string":
            token = e.next()
            value = Text(token.text, span=span_of(self.path, token))
        else:
            value = e.expression(4)  # up to the next option: a number, a name, arithmetic of them
        return Option(name.text, value, span=span_of(self.path, name))
