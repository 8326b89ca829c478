"""Portfolios: weights, the cost expression, constraints and the backtest line, folded and checked."""

from __future__ import annotations

import datetime
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from sigc.errors import Span, did_you_mean
from sigc.lang.semantics.rebalance import CALENDAR_WORDS, EVERY_ROW, ROWS, Rebalance
from sigc.lang.semantics.values import CostTerm, Limit, ResolvedPortfolio, Schedule, Value
from sigc.lang.syntax.nodes import (
    Argument,
    BacktestLine,
    Binary,
    Call,
    ConstraintLine,
    Name,
    Node,
    Option,
    PortfolioSection,
    Text,
)
from sigc.lang.vocabulary import (
    BACKTEST_OPTIONS,
    CONSTRAINTS,
    COSTS,
    METHODS,
    NAMESPACES,
    SLIPPAGE_MODELS,
)

if TYPE_CHECKING:
    from sigc.lang.semantics.resolve import Resolver, Scope

_METRICS = (
    "sharpe", "sortino", "calmar", "total_return", "annualized_return", "return", "annual_return", "max_drawdown",
    "volatility", "turnover", "win_rate", "profit_factor", "probabilistic_sharpe", "skew", "kurtosis", "var_95",
    "cvar_95",
)  # fmt: skip


def read_book(of: Resolver, portfolio: PortfolioSection) -> ResolvedPortfolio:
    """Return a resolved portfolio; its errors go to the resolver."""
    scope: Scope = {}
    of.locals(portfolio.locals, scope)
    value = of.value(portfolio.weights, scope)
    weights = of.root(value, f"weights of '{portfolio.name}'", portfolio.weights.span)
    limits = _limits(of, portfolio.constraints, scope)
    costs = _costs(of, portfolio.costs, scope) if portfolio.costs is not None else ()
    backtest = _schedule(of, portfolio.backtest, scope) if portfolio.backtest is not None else None
    of.unused_locals(portfolio.locals, scope)
    return ResolvedPortfolio(
        portfolio.name, _leveraged(weights, limits), tuple(costs), limits, backtest, portfolio.span
    )


def _leveraged(weights: Value, limits: tuple[Limit, ...]) -> Value:
    """Return the weights; `scale_vol` at their top may lever up to the portfolio's max_leverage."""
    most = next((x.values[-1] for x in limits if x.name == "max_leverage" and not x.soft), None)
    if most is None or weights.op != "scale_vol" or dict(weights.args).get("max_leverage") != 1.0:
        return weights
    args = dict(weights.args) | {"max_leverage": most}
    return replace(weights, args=tuple(sorted(args.items())))


def _number(of: Resolver, node: Node, scope: Scope, what: str) -> float | None:
    value = of.value(node, scope)
    if value.number is None and value.op != "unknown":
        of.error("E100", f"{what} is a {value.kind}", node.span, expected="a number")
    if value.number is not None and math.isnan(value.number):
        of.error("E101", f"{what} is missing", node.span, expected="a number")
        return None
    return value.number


# -- costs ---------------------------------------------------------------------------------------------------


def _costs(of: Resolver, node: Node, scope: Scope) -> list[CostTerm]:
    match node:
        case Binary("+", left, right):
            return [*_costs(of, left, scope), *_costs(of, right, scope)]
        case Call(func, args, True) if isinstance(args[0].value, Name) and args[0].value.text in NAMESPACES:
            made = _cost(of, f"{args[0].value.text}.{func}", args[1:], node, scope)
            return [made] if made is not None else []
    hint = f"one of {', '.join(COSTS)}"
    of.error("E101", "expected a sum of cost terms", node.span, hint)
    return []


def _cost(of: Resolver, name: str, given: tuple[Argument, ...], node: Call, scope: Scope) -> CostTerm | None:
    declared = COSTS.get(name)
    if declared is None:
        of.error("E002", f"unknown cost '{name}'", node.func_span, did_you_mean(name, COSTS))
        return None
    names = list(declared)
    found: dict[str, float | str] = {k: v for k, v in declared.items() if v is not None}
    for at, argument in enumerate(given):
        key = argument.name or (names[at] if at < len(names) else "")
        if key not in declared:
            hint = did_you_mean(key, names) or f"{name}({', '.join(names)})"
            of.error("E101", f"'{name}' has no argument '{key}'" if key else f"'{name}' got too many arguments",
                     argument.span, hint)  # fmt: skip
            return None
        if key == "model":
            model = _text(argument.value)
            if model not in SLIPPAGE_MODELS:
                hint = did_you_mean(model, SLIPPAGE_MODELS) or f"one of {', '.join(SLIPPAGE_MODELS)}"
                of.error("E101", f"no slippage model '{model}'", argument.value.span, hint)
                return None
            found[key] = model
            continue
        number = _number(of, argument.value, scope, f"'{key}' of '{name}'")
        if number is None:
            return None
        if number < 0:
            of.error("E101", f"'{key}' of '{name}' is {number:g}", argument.value.span, expected="0 or more")
            return None
        found[key] = number
    missing = [k for k in names if k not in found]
    if missing:
        of.error("E101", f"'{name}' lacks '{missing[0]}'", node.func_span, f"{name}({', '.join(names)})")
        return None
    return CostTerm(name, tuple(sorted(found.items())), node.span)


def _text(node: Node) -> str:
    return node.value if isinstance(node, Text) else node.text if isinstance(node, Name) else ""


# -- constraints ---------------------------------------------------------------------------------------------


def _limits(of: Resolver, constraints: tuple[ConstraintLine, ...], scope: Scope) -> tuple[Limit, ...]:
    limits: list[Limit] = []
    seen: set[str] = set()
    for c in constraints:
        takes = CONSTRAINTS.get(c.name)
        if takes is None:
            hint = did_you_mean(c.name, CONSTRAINTS) or f"known: {', '.join(CONSTRAINTS)}"
            of.error("E002", f"unknown constraint '{c.name}'", c.span, hint)
            continue
        if c.name in seen:
            of.error("E004", f"constraint '{c.name}' is given twice", c.span)
        seen.add(c.name)
        numbers = [_number(of, v, scope, f"constraint '{c.name}'") for v in c.values]
        if any(n is None for n in numbers):
            continue
        values = tuple(n for n in numbers if n is not None)
        if len(values) > (2 if takes == "1-2" else 1):
            of.error("E101", f"constraint '{c.name}' takes one number", c.values[1].span)
        elif len(values) == 2 and values[0] > values[1]:
            of.error("E101", f"bounds of '{c.name}' are reversed", c.values[0].span, "write [low, high]")
        elif c.name.startswith("max_") and c.name not in ("max_beta", "max_net") and values[0] < 0:
            of.error("E101", f"constraint '{c.name}' is {values[0]:g}", c.values[0].span, expected="0 or more")
        else:
            limits.append(Limit(c.name, values, c.soft, c.span))
    return tuple(limits)


# -- the backtest line ---------------------------------------------------------------------------------------


def _schedule(of: Resolver, line: BacktestLine, scope: Scope) -> Schedule:
    rebalance, benchmark, drift, delisting = EVERY_ROW, "", False, None
    for option in line.options:
        match option.name:
            case "rebal":
                rebalance = _rebalance(of, option, scope)
            case "benchmark":
                benchmark = _text(option.value) if not isinstance(option.value, tuple) else ""
                of.used.add(f"data {benchmark}")
            case "drift":
                number = _number(of, _single(option), scope, "'drift'")
                drift = bool(number)
            case "delisting_return":
                delisting = _number(of, _single(option), scope, "'delisting_return'")
                if delisting is not None and delisting < -1:
                    message = f"'delisting_return' is {delisting:g}"
                    of.error("E101", message, _single(option).span, expected="-1 (all is lost) or more")
            case other:
                hint = did_you_mean(other, BACKTEST_OPTIONS) or f"known: {', '.join(BACKTEST_OPTIONS)}"
                of.error("E101", f"unknown backtest option '{other}'", option.span, hint)
    _dates(of, line)
    method, arguments, metric, span = _method(of, line.method, scope)
    return Schedule(
        rebalance, benchmark, drift, delisting, line.start, line.end, method, arguments, metric, line.span, span
    )


def _single(option: Option) -> Node:
    return option.value[0] if isinstance(option.value, tuple) else option.value


def _rebalance(of: Resolver, option: Option, scope: Scope) -> Rebalance:
    node = _single(option)
    words = (*ROWS, *CALENDAR_WORDS)
    if isinstance(node, Name) and node.text in words:
        return Rebalance.of_word(node.text)
    if isinstance(node, Name) and node.text not in of.params and node.text not in scope:
        hint = did_you_mean(node.text, [*words, *of.params]) or f"a number of rows, or one of {', '.join(words)}"
        of.error("E002", f"unknown rebalance '{node.text}'", node.span, hint)
        return EVERY_ROW
    number = _number(of, node, scope, "'rebal'")
    if number is None:
        return EVERY_ROW
    if number < 1 or number != int(number):
        of.error("E101", f"'rebal' is {number:g}", node.span, expected="a whole number of 1 or more")
        return EVERY_ROW
    return Rebalance(int(number))


def _dates(of: Resolver, line: BacktestLine) -> None:
    for text in (line.start, line.end):
        if text:
            try:
                datetime.date.fromisoformat(text)
            except ValueError:
                of.error("E500", f"invalid date '{text}'", line.span)
                return
    if line.start and line.end and line.start > line.end:
        of.error("E500", f"the backtest ends ({line.end}) before it begins ({line.start})", line.span, "swap them")


def _method(
    of: Resolver, call: Call | None, scope: Scope
) -> tuple[str, tuple[tuple[str, float | str], ...], str, Span | None]:
    if call is None:
        return "", (), "sharpe", None
    declared = METHODS[call.func]
    found: dict[str, float | str] = dict(declared)
    metric = "sharpe"
    for at, argument in enumerate(call.args):
        key = argument.name or (list(declared)[at] if at < len(declared) else "")
        if key == "optimize":
            metric = _metric(of, argument.value)
        elif key not in declared:
            hint = did_you_mean(key, [*declared, "optimize"]) or f"{call.func}({', '.join(declared)})"
            of.error("E101", f"'{call.func}' has no argument '{key}'", argument.span, hint)
        else:
            number = _number(of, argument.value, scope, f"'{key}' of '{call.func}'")
            if number is not None and number < 0:
                of.error("E101", f"'{key}' of '{call.func}' is {number:g}", argument.value.span, expected="0 or more")
            elif number is not None:
                found[key] = number
    return call.func, tuple(sorted(found.items())), metric, call.span


def _metric(of: Resolver, node: Node) -> str:
    inner = node.args[0].value if isinstance(node, Call) and node.func == "maximize" and node.args else node
    name = _text(inner)
    if name not in _METRICS:
        hint = did_you_mean(name, _METRICS) or 'write optimize=maximize("sharpe")'
        of.error("E101", f"no metric '{name}' to maximise", node.span, hint)
        return "sharpe"
    return name
