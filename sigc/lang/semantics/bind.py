"""Binding of calls to operators and definitions: arguments by position and name, kinds, ranges, folded numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sigc.errors import Span, did_you_mean
from sigc.lang import habits
from sigc.lang.semantics.values import CONSTANT, RAW, SOURCE, UNKNOWN, Scalar, Value
from sigc.lang.syntax.nodes import Argument, Call, Definition, Formal, Name
from sigc.ops.declare import Axis, Carry, Default, Operator, Parameter, ValueKind
from sigc.ops.table import names, resolve

if TYPE_CHECKING:
    from sigc.lang.semantics.resolve import Resolver, Scope


def unknown(span: Span) -> Value:
    """Return the value that replaces an error; it is accepted everywhere."""
    return Value(UNKNOWN, ValueKind.PANEL, span, open=True)


def number_value(value: float, span: Span) -> Value:
    """Return a constant number."""
    return Value(CONSTANT, ValueKind.NUMBER, span, args=(("value", float(value)),))


def text_value(value: str, span: Span) -> Value:
    """Return a constant string."""
    return Value(CONSTANT, ValueKind.STRING, span, args=(("value", value),))


class Binder:
    """The binder of calls for a resolver, which holds names and errors."""

    def __init__(self, resolver: Resolver) -> None:
        self.of = resolver

    # -- operators -----------------------------------------------------------------------------------------

    def call(self, node: Call, scope: Scope) -> Value:
        """Return the value of a call of an operator by name."""
        windowed = len(node.args) > 1 or any(a.name == "window" for a in node.args)
        operator = resolve(node.func, windowed)
        inner = node.args[0].value if node.method else None
        if isinstance(inner, Call) and inner.func in habits.WINDOWED and resolve(inner.func) is None:
            hint = habits.of_call(node)  # reported once, where it begins
            return self.of.error("E002", f"unknown function '{inner.func}'", inner.func_span, hint)
        values = [(a, self.of.value(a.value, scope)) for a in node.args]
        if operator is None:
            known = [*names(), *self.of.here.definitions]
            hint = habits.of_call(node) or did_you_mean(node.func, known) or did_you_mean(node.func.lower(), known)
            return self.of.error("E002", f"unknown function '{node.func}'", node.func_span, hint)
        bound = self._bound(operator, node, values)
        return unknown(node.span) if bound is None else self._made(operator, bound, node.span, node.func)

    def operator(self, name: str, inputs: list[Value], span: Span, shown: str) -> Value:
        """Return an operator of the grammar on its operands."""
        operator = resolve(name)
        if operator is None:
            raise KeyError(name)
        if name in ("eq", "ne") and any(_is_missing(v) for v in inputs):
            hint = "is_nan(x)" if name == "eq" else "not is_nan(x)"
            return self.of.error("E101", f"'{shown} nan' is never true", span, f"write {hint}")
        bound = list(zip(operator.params, inputs, strict=True))
        return self._made(operator, bound, span, shown)

    def _bound(
        self, op: Operator, node: Call, values: list[tuple[Argument, Value]]
    ) -> list[tuple[Parameter, Value]] | None:
        """Return parameters with their arguments; None after an error."""
        given: dict[str, Value] = {}
        variadic = next((p for p in op.params if p.variadic), None)
        bound: list[tuple[Parameter, Value]] = []
        by_name = {p.name: p for p in op.params} | {a: _param(op, n) for a, n in op.renamed}
        ok = True
        for at, (argument, value) in enumerate(values):
            if argument.name:
                param = by_name.get(argument.name)
                if param is None or variadic is not None:
                    hint = habits.ARGUMENTS.get(argument.name) or did_you_mean(argument.name, by_name) or _signature(op)
                    self.of.error("E101", f"'{node.func}' has no argument '{argument.name}'", argument.span, hint)
                    ok = False
                    continue
            elif variadic is not None:
                bound.append((variadic, value))
                continue
            elif at >= len(op.params):
                message = f"'{node.func}' takes {_count(len(op.params))}, {len(values)} were given"
                self.of.error("E101", message, argument.span, _signature(op))
                return None
            else:
                param = op.params[at]
            if param.name in given:
                self.of.error("E101", f"'{node.func}' got '{param.name}' twice", argument.span, _signature(op))
                ok = False
                continue
            given[param.name] = value
        if variadic is not None:
            if not bound:
                self.of.error("E101", f"'{node.func}' needs an argument", node.func_span, _signature(op))
                return None
            return bound
        for param in op.params:
            if param.name in given:
                bound.append((param, given[param.name]))
            elif param.default is Default.REQUIRED:
                self.of.error("E101", f"'{node.func}' lacks '{param.name}'", node.func_span, _signature(op))
                ok = False
            elif param.default is Default.TRADED:
                bound.append((param, self._traded(node)))
        return bound if ok else None

    def _traded(self, node: Call) -> Value:
        name = self.of.traded()
        if not name:
            return self.of.error("E101", f"'{node.func}' needs 'prices=', the file has no price source", node.func_span)
        return self.of.source(name, node.span) or unknown(node.span)

    def _made(self, op: Operator, bound: list[tuple[Parameter, Value]], span: Span, shown: str) -> Value:
        """Return the value of an operator on bound arguments, checked and, if all are numbers, folded."""
        pairs = [(p, v) for p, v in bound if p.is_input]
        if any(v.op == UNKNOWN for _, v in bound):
            for param, value in pairs:
                self._input_ok(op, param, value, pairs, shown)
            return unknown(span)
        if op.name == RAW and pairs[0][1].op != SOURCE:
            message = f"'{shown}' takes the name of a data source"
            return self.of.error("E101", message, pairs[0][1].span, "it means the source as stored in its file")
        pairs = [(p, self._as_panel(op, p, v)) for p, v in pairs]
        # A list, not a generator in `all`: each input must be checked, so that each reports its own error.
        fits = [self._input_ok(op, p, v, pairs, shown) for p, v in pairs]
        if not all(fits):
            return unknown(span)
        args = self._numbers(op, {p.name: (p, v) for p, v in bound if not p.is_input}, shown)
        if args is None:
            return unknown(span)
        if pairs and all(v.kind is ValueKind.NUMBER for _, v in pairs):
            return self._folded(op, pairs, args, span, shown)
        return self._node(op, pairs, args, span, shown)

    def _as_panel(self, op: Operator, param: Parameter, value: Value) -> Value:
        """Return a number as a panel if an operator that looks beyond one cell gets one.

        For an operator along dates with several inputs, a number is more likely a misplaced window: `rolling_corr(x,
        20)`.
        """
        wants = param.kind in (ValueKind.PANEL, ValueKind.BOOLEAN) and op.axis is not Axis.CELL
        if value.kind is not ValueKind.NUMBER or not wants or (op.axis is Axis.TIME and len(op.inputs) > 1):
            return value
        return self.constant_panel(value)

    def constant_panel(self, value: Value) -> Value:
        """Return a number in each cell where the traded source has a price; the number itself in a file without prices.

        It is clip(prices, number, number), which is missing where prices are.
        """
        name = self.of.traded()
        traded = self.of.source(name, value.span) if name else None
        if traded is None:
            return value
        return self.operator("clip", [traded, value, value], value.span, "clip")

    def _node(
        self, op: Operator, pairs: list[tuple[Parameter, Value]], args: dict[str, Scalar], span: Span, shown: str
    ) -> Value:
        inputs = tuple(v for _, v in pairs)
        deepest = max(inputs, key=lambda v: v.peek)
        before = deepest.peek
        ahead = op.rows_ahead(args)
        peek = max(0, before + ahead)
        culprit = deepest.culprit
        labels = op.keeps and bool(inputs) and inputs[0].kind is ValueKind.CATEGORY
        value = Value(
            op.name,
            ValueKind.CATEGORY if labels else op.result,
            span,
            inputs,
            tuple(sorted(args.items())),
            tuple(p.name for p, _ in pairs),
            peek=peek,
            culprit=culprit,
            label=shown,
        )
        if isinstance(op.lookback, Carry) and before > 0:
            at = culprit or value
            message = f"'{shown}' remembers every row, so it may not read {before} rows of the future"
            return self.of.error("E103", message, at.span, f"lag() the input of '{shown}', not its result")
        if ahead > 0:
            return _with_culprit(value)
        return value

    def _input_ok(
        self, op: Operator, param: Parameter, value: Value, pairs: list[tuple[Parameter, Value]], shown: str
    ) -> bool:
        """Return True if a value fits an input; report it if not."""
        if value.op == UNKNOWN:
            return True
        kind = value.kind
        if param.kind is ValueKind.CATEGORY:
            if value.op == SOURCE:
                self.of.labels.add(str(dict(value.args)["name"]))
            if kind is ValueKind.CATEGORY or (value.op == SOURCE and value.open):
                return True
            self._wrong(op, param, value, shown, "a category panel")
            return False
        if op.keeps and kind is ValueKind.CATEGORY:
            return True
        if op.name in ("eq", "ne") and (kind in (ValueKind.CATEGORY, ValueKind.STRING) or _text_beside(value, pairs)):
            return self._comparable(value, pairs, shown)
        if kind in (ValueKind.PANEL, ValueKind.BOOLEAN):
            self.of.touch(value)
            return True
        if kind is ValueKind.NUMBER and op.axis is Axis.CELL:
            return True
        self._wrong(op, param, value, shown, "a panel")
        return False

    def _comparable(self, value: Value, pairs: list[tuple[Parameter, Value]], shown: str) -> bool:
        """Return True for category == "label" and category == category; report anything else."""
        other = next(v for _, v in pairs if v is not value) if len({id(v) for _, v in pairs}) > 1 else value
        for one in (value, other):
            if one.op == SOURCE:
                self.of.labels.add(str(dict(one.args)["name"]))
        labels = [_is_label(v) for _, v in pairs]
        texts = [v.kind is ValueKind.STRING for _, v in pairs]
        if all(a or b for a, b in zip(labels, texts, strict=True)) and any(labels):
            return True
        if value is pairs[0][1]:  # reported once for both sides
            at = next((v for _, v in pairs if v.kind is ValueKind.STRING), value)
            self.of.error("E100", f"'{shown}' compares a category with a label, or numbers", at.span)
        return False

    def _wrong(self, op: Operator, param: Parameter, value: Value, shown: str, expected: str) -> None:
        hint = ""
        if value.kind is ValueKind.NUMBER:
            hint = _signature(op)
        elif value.kind is ValueKind.CATEGORY:
            hint = 'categories group (by=) or compare (== "label")'
        message = f"'{param.name}' of '{shown}' is a {value.kind}"
        self.of.error("E100", message, value.span, hint, expected=expected)

    def _numbers(self, op: Operator, bound: dict[str, tuple[Parameter, Value]], shown: str) -> dict[str, Scalar] | None:
        """Return the number arguments by name, defaults filled in; None after an error."""
        args: dict[str, Scalar] = {}
        ok = True
        for param in op.numbers:
            if param.name not in bound:
                default = param.default
                if param.range is not None and param.range.added:
                    continue
                args[param.name] = None if default is None else _plain(param, float(default))
                continue
            value = bound[param.name][1]
            number = value.number
            if number is None:
                message = f"'{param.name}' of '{shown}' is a {value.kind}"
                hint = "windows and options are numbers known before the data"
                self.of.error("E100", message, value.span, hint, expected="a number")
                ok = False
                continue
            problem = _out_of_range(param, number)
            if problem:
                message = f"'{param.name}' of '{shown}' is {number:g}"
                self.of.error("E101", message, value.span, expected=problem)
                ok = False
                continue
            args[param.name] = _plain(param, number)
        least, window = args.get("min_periods"), args.get("window")
        if isinstance(least, int) and isinstance(window, int) and least > window:
            at = bound["min_periods"][1].span
            self.of.error(
                "E101", f"'min_periods' of '{shown}' is {least}", at, expected=f"at most the window, {window}"
            )
            return None
        return args if ok else None

    def _folded(
        self, op: Operator, pairs: list[tuple[Parameter, Value]], args: dict[str, Scalar], span: Span, shown: str
    ) -> Value:
        import numpy as np

        numbers = [v.number for _, v in pairs]
        with np.errstate(all="ignore"):
            if any(p.variadic for p, _ in pairs):
                result = float(op.kernel(*numbers, **args))
            else:
                named: dict[str, Any] = {p.name: n for (p, _), n in zip(pairs, numbers, strict=True)}
                result = float(op.kernel(**named, **args))
        is_missing = math.isnan(result) and any(n is not None and math.isnan(n) for n in numbers)
        if not math.isfinite(result) and not is_missing:
            shown_numbers = ", ".join(f"{n:g}" for n in numbers if n is not None)
            return self.of.error("E101", f"'{shown}' of {shown_numbers} is not a finite number", span)
        return number_value(result, span)

    # -- definitions -----------------------------------------------------------------------------------------

    def formals(self, definition: Definition, node: Call, scope: Scope) -> Scope | None:
        """Return the scope of a definition's body for these arguments; None after an error."""
        formals = definition.formals
        inner: Scope = {}
        ok = True
        for at, argument in enumerate(node.args):
            formal: Formal | None
            if argument.name:
                formal = next((f for f in formals if f.name == argument.name), None)
                if formal is None:
                    hint = did_you_mean(argument.name, [f.name for f in formals]) or _shape(definition)
                    self.of.error("E101", f"'{node.func}' has no argument '{argument.name}'", argument.span, hint)
                    ok = False
                    continue
            elif at >= len(formals):
                message = f"'{node.func}' takes {_count(len(formals))}, {len(node.args)} were given"
                self.of.error("E101", message, argument.span, _shape(definition))
                return None
            else:
                formal = formals[at]
            if formal.name in inner:
                self.of.error("E101", f"'{node.func}' got '{formal.name}' twice", argument.span, _shape(definition))
                ok = False
                continue
            inner[formal.name] = self._actual(formal, argument, node, scope)
        for formal in formals:
            if formal.name in inner:
                continue
            if formal.default is None:
                self.of.error("E101", f"'{node.func}' lacks '{formal.name}'", node.func_span, _shape(definition))
                ok = False
            else:
                with self.of.at_home(definition):
                    inner[formal.name] = self.of.value(formal.default, {})
        return inner if ok else None

    def _actual(self, formal: Formal, argument: Argument, node: Call, scope: Scope) -> Value:
        if formal.kind == "ident" and isinstance(argument.value, Name):
            return self.of.value(argument.value, scope)
        value = self.of.value(argument.value, scope)
        if value.op == UNKNOWN:
            return value
        wrong = {
            "number": value.number is None,
            "string": value.text is None,
            "ident": True,
        }.get(formal.kind, False)
        if wrong:
            what = {"number": "a number", "string": "a string", "ident": "a name"}[formal.kind]
            message = f"'{formal.name}' of '{node.func}' is a {value.kind}"
            return self.of.error("E100", message, argument.value.span, expected=what)
        return value


def _with_culprit(value: Value) -> Value:
    from dataclasses import replace

    return replace(value, culprit=value)


def _param(op: Operator, name: str) -> Parameter:
    return next(p for p in op.params if p.name == name)


def _is_missing(value: Value) -> bool:
    return value.number is not None and math.isnan(value.number)


def _is_label(value: Value) -> bool:
    return value.kind is ValueKind.CATEGORY or (value.op == SOURCE and value.open)


def _text_beside(value: Value, pairs: list[tuple[Parameter, Value]]) -> bool:
    """Return True if the other side is a label or category, so that an open source serves as labels."""
    return any(v is not value and v.kind in (ValueKind.STRING, ValueKind.CATEGORY) for _, v in pairs)


def _plain(param: Parameter, number: float) -> float | int:
    return int(number) if param.range is not None and param.range.integer else number


def _out_of_range(param: Parameter, number: float) -> str:
    bounds = param.range
    if math.isnan(number):
        return "a number that is not missing"
    if bounds is None:
        return ""
    if bounds.integer and number != int(number):
        return "a whole number"
    if number > 1e9 and bounds.integer:
        return "a window that data can fill"
    if not bounds.low <= number <= bounds.high:
        if math.isinf(bounds.high):
            return f"{bounds.low:g} or more"
        return f"between {bounds.low:g} and {bounds.high:g}"
    return ""


def _count(number: int) -> str:
    return f"{number} argument{'' if number == 1 else 's'}"


def _signature(op: Operator) -> str:
    parts = []
    for p in op.params:
        if p.default is Default.REQUIRED:
            parts.append("*" + p.name if p.variadic else p.name)
        elif p.default is None or p.default is Default.TRADED:
            parts.append(f"[{p.name}]")
        else:
            parts.append(f"{p.name}={p.default:g}" if isinstance(p.default, float) else f"{p.name}={p.default}")
    return f"{op.name}({', '.join(parts)})"


def _shape(definition: Definition) -> str:
    names_ = [f.name if f.default is None else f"{f.name}=..." for f in definition.formals]
    return f"{definition.name}({', '.join(names_)})"
