"""Resolution of a module: names looked up, fns and macros expanded, arguments bound, constants folded, checks made.

fns and macros are expanded by value: arguments are resolved at the call, the body in the scope of its definition. That
makes macros hygienic, and a body that doubles itself stays small, because values are shared. Uncalled bodies are
resolved too, with unknown arguments, so that their errors show.

    1. definitions: the file's, those of its imports, the built-in ones
    2. signals, in order of dependency; a cycle is E005
    3. portfolios: weights (`bind.py` binds calls to operators), costs, constraints, backtest (`book.py`)
    4. look-ahead of every root; unused names
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from sigc.errors import Diagnostic, Severity, Span, did_you_mean
from sigc.lang import habits
from sigc.lang.semantics.bind import Binder, number_value, text_value, unknown
from sigc.lang.semantics.book import read_book
from sigc.lang.semantics.imports import BUILT_IN_PATH, Library
from sigc.lang.semantics.loads import check_loads, is_category, load_name, written_of
from sigc.lang.semantics.values import COLUMN, SOURCE, UNKNOWN, Program, Value
from sigc.lang.syntax.nodes import (
    Assign,
    Binary,
    Call,
    Column,
    Definition,
    Load,
    Module,
    Name,
    Node,
    Number,
    Signal,
    Text,
    Unary,
)
from sigc.lang.vocabulary import BACKTEST_OPTIONS, CONSTRAINTS, NAMESPACES, READ_BY_NAME, TRADED
from sigc.ops.declare import ValueKind
from sigc.ops.table import names as operator_names
from sigc.ops.table import resolve as operator_of

MOST_STEPS = 200_000  # maximum number of values resolved for one file
_BINARY = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod", "**": "pow", ">": "gt", "<": "lt", ">=": "ge",
    "<=": "le", "==": "eq", "!=": "ne", "and": "and", "or": "or",
}  # fmt: skip
Scope = dict[str, Value]


class TooLargeError(Exception):
    """A file that resolves to more than `MOST_STEPS` values."""


class Resolver:
    """The resolver of one module for given parameters; errors are collected in `found`."""

    def __init__(self, module: Module, library: Library, params: Mapping[str, float]) -> None:
        self.module = module
        self.library = library
        self.here = library.main  # the names of the file whose text is being resolved
        self.found: list[Diagnostic] = []
        self.via: tuple[Span, ...] = ()
        self.steps = 0
        self.used: set[str] = set()
        self.labels: set[str] = set()
        self.panels: set[str] = set()
        self.binder = Binder(self)
        self._signals: dict[str, Value] = {}
        self._signal_nodes = {s.name: s for s in module.signals}
        self._busy: list[tuple[str, str]] = []  # path and name of definitions, "signal" and name
        self._called: set[str] = set()
        self.data = {load_name(x): x for x in module.data if x.role == "value"}
        self.params = {p.name: p.values[0] for p in module.params}
        self._override(params)

    def program(self) -> Program:
        """Return everything resolved. Raise `TooLargeError`."""
        self._duplicates()
        self._hidden_operators()
        check_loads(self, self.module.data)
        signals = tuple((s.name, self.signal(s.name)) for s in self.module.signals)
        books = tuple(read_book(self, p) for p in self.module.portfolios)
        self._uncalled()
        self._unused()
        return Program(
            params=dict(self.params),
            data=self.module.data,
            signals=signals,
            books=books,
            traded=self.traded(),
            labels=frozenset(self.labels - self.panels),
        )

    # -- errors --------------------------------------------------------------------------------------------

    def error(self, code: str, message: str, span: Span, hint: str = "", expected: str = "") -> Value:
        """Record an error; return the unknown value that replaces the wrong one, so that it is reported once."""
        self.found.append(Diagnostic(code, message, span, expected=expected, hint=hint, via=self.via))
        return unknown(span)

    def warn(self, code: str, message: str, span: Span, hint: str = "") -> None:
        self.found.append(Diagnostic(code, message, span, Severity.WARNING, hint=hint))

    # -- declarations ------------------------------------------------------------------------------------

    def _override(self, params: Mapping[str, float]) -> None:
        for name, value in params.items():
            if name in self.params:
                self.params[name] = float(value)
            else:
                hint = did_you_mean(name, self.params) or f"the file has: {', '.join(self.params) or 'none'}"
                self.error("E002", f"no parameter '{name}'", Span(self.module.path, 1, 1), hint)

    def _hidden_operators(self) -> None:
        """Warn of definitions that hide an operator."""
        for name, definition in sorted(self.library.main.definitions.items()):
            if definition.span.path != BUILT_IN_PATH and operator_of(name) is not None:
                message = (
                    f"'{name}' hides the operator of that name: calls in {self.module.path} mean this {definition.word}"
                )
                self.warn("W005", message, definition.span, "give it another name")

    def _duplicates(self) -> None:
        m = self.module
        one_name = [*((load_name(x), x.span) for x in m.data), *((p.name, p.span) for p in m.params)]
        one_name += [(s.name, s.span) for s in m.signals]
        for group in (one_name, [(p.name, p.span) for p in m.portfolios]):
            seen: dict[str, Span] = {}
            for name, span in group:
                if name in seen:
                    self.error("E004", f"'{name}' is defined twice", span, f"the first is in line {seen[name].line}")
                seen.setdefault(name, span)

    def traded(self) -> str:
        """Return the data source whose returns books earn: prices, px or close, else the first numeric one."""
        for name in TRADED:
            if name in self.data:
                return name
        numeric = [n for n, x in self.data.items() if not is_category(x) and n not in READ_BY_NAME]
        return numeric[0] if numeric else ""

    def _says(self, name: str, option: str) -> str:
        """Return the written option of a data source, '' if absent."""
        options = self.data[name].options if name in self.data else ()
        return next((str(written_of(o)) for o in options if o.name == option), "")

    # -- expressions -----------------------------------------------------------------------------------

    def value(self, node: Node, scope: Scope) -> Value:
        """Return the value of a node in a scope."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise TooLargeError
        match node:
            case Number(value):
                return number_value(value, node.span)
            case Text(value):
                return text_value(value, node.span)
            case Name(text):
                return self.name(text, node.span, scope)
            case Unary("-", operand):
                return self.binder.operator("neg", [self.value(operand, scope)], node.span, "-")
            case Unary(_, operand):
                return self.binder.operator("not", [self.value(operand, scope)], node.span, "not")
            case Binary(op, left, right):
                both = [self.value(left, scope), self.value(right, scope)]
                return self.binder.operator(_BINARY[op], both, node.span, op)
            case Column(panel, asset):
                return self._column(self.value(panel, scope), asset, node)
            case Call():
                return self.call(node, scope)

    def name(self, text: str, span: Span, scope: Scope) -> Value:
        """Return a local, parameter, signal or data source."""
        if not text:  # the parser has reported a broken expression here
            return unknown(span)
        if text in scope:
            self.used.add(f"local {id(scope)} {text}")
            return replace(scope[text], span=span) if scope[text].op != UNKNOWN else scope[text]
        found = self._of_main(text, span) if self._is_main else self._of_library(text, span)
        if found is not None:
            return found
        if text in ("true", "false"):
            return number_value(float(text == "true"), span)
        if text == "nan":
            return number_value(math.nan, span)
        return self.error("E002", f"unknown name '{text}'", span, self._near(text, scope))

    @property
    def _is_main(self) -> bool:
        return self.here is self.library.main

    def _of_main(self, text: str, span: Span) -> Value | None:
        """Return a parameter, signal or data source of the file, None if unknown."""
        if text in self.params:
            self.used.add(f"param {text}")
            return number_value(self.params[text], span)
        if text in self._signal_nodes:
            return self.signal(text, span)
        return self.source(text, span)

    def _of_library(self, text: str, span: Span) -> Value | None:
        """Return a parameter of an imported file, whose bodies see nothing of the importing file."""
        return number_value(self.here.params[text], span) if text in self.here.params else None

    def source(self, text: str, span: Span) -> Value | None:
        """Return a data source of the file by name."""
        load = self.data.get(text) or self._bare_section(text)
        return None if load is None else self._source(load, span)

    def _is_known(self, text: str, scope: Scope) -> bool:
        main = (*self.params, *self._signal_nodes, *self.data) if self._is_main else self.here.params
        return text in scope or text in main

    def _near(self, text: str, scope: Scope) -> str:
        if habits.of_name(text):
            return habits.of_name(text)
        main = [*self.params, *self._signal_nodes, *self.data]
        hint = did_you_mean(text, [*scope, *(main if self._is_main else self.here.params)])
        if not hint and not self._is_main and text in main:
            return "a body sees its own file only: make it an argument"
        if not hint and text in operator_names():
            return f"'{text}' is an operator: call it, {text}(...)"
        return hint

    def _bare_section(self, text: str) -> Load | None:
        """Return the first numeric column of `data fundamentals:` for the name `fundamentals`."""
        inside = [x for x in self.data.values() if x.section == text and not is_category(x)]
        return inside[0] if inside else None

    def _source(self, load: Load, span: Span) -> Value:
        name = load_name(load)
        self.used.add(f"data {name}")
        kind = ValueKind.CATEGORY if is_category(load) else ValueKind.PANEL
        return Value(SOURCE, kind, span, args=(("name", name),), open=not is_category(load) and load.dtype == "")

    def _column(self, panel: Value, asset: str, node: Column) -> Value:
        if panel.op == UNKNOWN:
            return panel
        if panel.kind in (ValueKind.NUMBER, ValueKind.STRING, ValueKind.CATEGORY):
            return self.error("E100", f"a {panel.kind} has no columns", node.span, expected="a panel")
        self.touch(panel)
        return Value(
            COLUMN, panel.kind, node.asset_span, (panel,), (("asset", asset),), peek=panel.peek, culprit=panel.culprit
        )

    def touch(self, value: Value) -> None:
        """Record that a source is read as numbers, not as labels."""
        if value.op == SOURCE:
            self.panels.add(str(dict(value.args)["name"]))

    def call(self, node: Call, scope: Scope) -> Value:
        """Return the value of a call of a definition or an operator."""
        first = node.args[0].value if node.method and node.args else None
        if isinstance(first, Name) and first.text in NAMESPACES and first.text not in scope:
            hint = "write costs = tc.bps(5)"
            return self.error("E101", f"'{first.text}.{node.func}' is allowed only inside costs", node.func_span, hint)
        if habits.is_module(node) and isinstance(first, Name) and not self._is_known(first.text, scope):
            message = f"'{first.text}' is not part of the language"
            return self.error("E002", message, first.span, habits.of_module(node))
        definition = self.here.definitions.get(node.func)
        if definition is not None:
            return self._open(definition, node, scope)
        if node.func in self.here.ambiguous:
            places = " and in ".join(self.here.ambiguous[node.func])
            message = f"'{node.func}' is defined in {places}"
            return self.error("E004", message, node.func_span, "import the intended file")
        return self.binder.call(node, scope)

    def _open(self, definition: Definition, node: Call, scope: Scope) -> Value:
        """Return the value of a fn or macro for these arguments."""
        mark = (definition.span.path, definition.name)
        if mark in self._busy:
            chain = " -> ".join(name for _, name in [*self._busy[self._busy.index(mark) :], mark])
            return self.error("E005", f"'{definition.name}' calls itself", node.func_span, f"recursion: {chain}")
        if definition.span.path == self.module.path:
            self._called.add(definition.name)
        inner = self.binder.formals(definition, node, scope)
        if inner is None:
            return unknown(node.span)
        with self._inside(mark, node.span), self.at_home(definition):
            result = self._opened(definition, inner)
        return replace(result, span=node.span) if result.op != UNKNOWN else result

    @contextmanager
    def at_home(self, definition: Definition) -> Iterator[None]:
        """Resolve in the file of a definition."""
        before, self.here = self.here, self.library.home(definition)
        try:
            yield
        finally:
            self.here = before

    @contextmanager
    def _inside(self, mark: tuple[str, str], span: Span | None) -> Iterator[None]:
        before = self.via
        self._busy.append(mark)
        self.via = (span, *before) if span is not None else before
        try:
            yield
        finally:
            self._busy.pop()
            self.via = before

    def _opened(self, definition: Definition, scope: Scope) -> Value:
        """Return the value that a body emits, with its arguments in scope."""
        first = {f.name: f.span for f in definition.formals}
        for let in definition.lets:
            self._bind(let, scope, first)
        return self.value(definition.emit, scope)

    def locals(self, assigns: tuple[Assign, ...], scope: Scope) -> None:
        """Bind the locals of a signal or portfolio, in order. A name bound twice has its later value from there on."""
        first: dict[str, Span] = {}
        for assign in assigns:
            self._bind(assign, scope, first)

    def _bind(self, assign: Assign, scope: Scope, first: dict[str, Span]) -> None:
        value = self.value(assign.value, scope)
        mark = f"local {id(scope)} {assign.name}"
        if assign.name in first:
            line = first[assign.name].line
            used = f"the value of line {line} applies until here" if mark in self.used else f"line {line} is never used"
            message = f"'{assign.name}' is bound again: from here on it has this value"
            self.warn("W005", message, assign.span, f"{used}; give one of them another name")
            self.used.discard(mark)
        first[assign.name] = assign.span
        scope[assign.name] = value

    def unused_locals(self, assigns: tuple[Assign, ...], scope: Scope) -> None:
        for assign in {a.name: a for a in assigns}.values():
            if f"local {id(scope)} {assign.name}" not in self.used and not assign.name.startswith("_"):
                hint = _place_of(assign.name) or "remove it, or begin it with _"
                self.warn("W001", f"'{assign.name}' is never used", assign.span, hint)

    def signal(self, name: str, span: Span | None = None) -> Value:
        """Return the value that a signal emits."""
        node: Signal = self._signal_nodes[name]
        mark = ("signal", name)
        if mark in self._busy:
            chain = " -> ".join(name for _, name in [*self._busy[self._busy.index(mark) :], mark])
            return self.error("E005", f"signal '{name}' depends on itself", span or node.span, f"cycle: {chain}")
        if name not in self._signals:
            before, self.via = self.via, ()
            with self._inside(mark, None):
                scope: Scope = {}
                self.locals(node.locals, scope)
                value = self.value(node.emit, scope)
                if value.kind is ValueKind.NUMBER:
                    value = self.binder.constant_panel(value)
                self.unused_locals(node.locals, scope)
            self.via = before
            self._signals[name] = self.root(value, f"signal '{name}'", node.emit.span)
        value = self._signals[name]
        return replace(value, span=span) if span is not None and value.op != UNKNOWN else value

    def root(self, value: Value, what: str, span: Span) -> Value:
        """Check an emitted value or weights: a panel that reads no future row."""
        if value.op == UNKNOWN:
            return value
        if value.kind not in (ValueKind.PANEL, ValueKind.BOOLEAN):
            hint = "a category can group or be compared, not be emitted" if value.kind is ValueKind.CATEGORY else ""
            if value.kind is ValueKind.NUMBER:  # as weights it is ambiguous: per asset, or of the book
                shown = "nan" if math.isnan(value.number or 0.0) else f"{value.number:g}"
                hint = f"{shown} * scale(1) is {shown} of the book in equal weights"
                if not self.traded():
                    hint = "a number is a panel of the assets that have prices: the file has no source of them"
            return self.error("E100", f"{what} is a {value.kind}", span, hint, expected="a panel")
        self.touch(value)
        if value.peek > 0:
            at = value.culprit or value
            message = f"{what} reads {value.peek} row{'s' * (value.peek > 1)} of the future through '{at.label}'"
            return self.error("E103", message, at.span, "use lag() to look back")
        return value

    # -- what nobody reads -------------------------------------------------------------------------------

    def _uncalled(self) -> None:
        """Resolve uncalled bodies with unknown arguments, to find their errors."""
        own = self.library.main.own
        for name in sorted(own.keys() - self._called):
            definition = own[name]
            with self._inside((definition.span.path, name), None):
                scope: Scope = {f.name: unknown(f.span) for f in definition.formals}
                self._opened(definition, scope)

    def _unused(self) -> None:
        for param in self.module.params:
            if f"param {param.name}" not in self.used:
                self.warn("W001", f"parameter '{param.name}' is never used", param.span)
        traded = self.traded()
        priced = self._says(traded, "traded")
        benchmarks = {str(o.value) for p in self.module.portfolios if p.backtest for o in p.backtest.options}
        for name, load in self.data.items():
            read = f"data {name}" in self.used or name in (traded, priced) or name in READ_BY_NAME
            if not read and not any(name in b for b in benchmarks) and not is_category(load):
                self.warn("W001", f"data source '{name}' is never used", load.span)


def _place_of(name: str) -> str:
    """Return the hint for an option of a book that is written as a local."""
    if name in BACKTEST_OPTIONS:
        return f"options belong on the backtest line: backtest {name}=..."
    return f"limits belong under constraints: {name} = ..." if name in CONSTRAINTS else ""
