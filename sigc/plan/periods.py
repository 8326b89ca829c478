"""Rows per year in the DAG: operators that annualise get those of the traded source, known only from its data.

    strategy = with_periods(strategy, 52.0)      every `scale_vol` without its own has periods_a_year=52

Nothing is filled in for 252: it is a kernel's default, so the keys of blocks stored for sessions stay the same. Called
when data are loaded (`sigc_pipelines.compute.load`), and for each trial of a search.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from sigc.errors import Diagnostic, SigcError
from sigc.ops.declare import REGISTRY
from sigc.plan.expr import Expr, walk
from sigc.plan.strategy import Portfolio, Strategy

_DEFAULT = 252.0


def with_periods(strategy: Strategy, a_year: float) -> Strategy:
    """Return the strategy with rows per year filled in. a_year: NaN if unknown. Raise E101 if an operator needs
    them.
    """
    roots = [e for _, e in strategy.signals] + [p.weights for p in strategy.portfolios]
    made = _filled(roots, a_year)
    if made is None:
        return strategy
    signals = tuple((name, made[expr.shape]) for name, expr in strategy.signals)
    portfolios = tuple(replace(p, weights=made[p.weights.shape]) for p in strategy.portfolios)
    return replace(strategy, signals=signals, portfolios=portfolios)


def book_with_periods(portfolio: Portfolio, a_year: float) -> Portfolio:
    """Return the portfolio with rows per year filled into its weights. Raise E101."""
    made = _filled([portfolio.weights], a_year)
    return portfolio if made is None else replace(portfolio, weights=made[portfolio.weights.shape])


def _filled(roots: Iterable[Expr], a_year: float) -> dict[str, Expr] | None:
    """Return each node by its original shape; None if nothing changes."""
    nodes = walk(roots)
    wanting = {node.shape: name for node in nodes if (name := _wanted(node))}
    if a_year == _DEFAULT or not wanting:
        return None
    if math.isnan(a_year):
        raise SigcError(*(_unknown(node, wanting[node.shape]) for node in nodes if node.shape in wanting))
    made: dict[str, Expr] = {}
    for node in nodes:
        inputs, args = tuple(made[i.shape] for i in node.inputs), node.args
        if node.shape in wanting:
            args = tuple(sorted({**dict(args), wanting[node.shape]: a_year}.items()))
        same = args is node.args and all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        made[node.shape] = node if same else replace(node, inputs=inputs, args=args)
    return made


def _wanted(node: Expr) -> str:
    """Return the parameter for rows per year that a node leaves open, else ''."""
    if node.op not in REGISTRY:
        return ""
    given = dict(node.args)
    names = (p.name for p in REGISTRY[node.op].numbers if p.range is not None and p.range.a_year)
    return next((name for name in names if given.get(name) is None), "")


def _unknown(node: Expr, name: str) -> Diagnostic:
    message = f"'{node.op}' takes an annual figure, and rows of the traded source are irregular"
    return Diagnostic("E101", message, node.span, hint=f"declare periods= at the source, or say {name}= here")
