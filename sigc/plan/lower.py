"""Lowering of a checked module to a strategy: resolved values to the expression DAG, loads to source specs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sigc.data.actions.factor_names import factor_of, with_traded
from sigc.data.sources.spec import SourceSpec
from sigc.errors import SigcError
from sigc.lang.check import CheckedFile
from sigc.lang.semantics.loads import is_category, load_name, written_of
from sigc.lang.semantics.resolve import Resolver
from sigc.lang.semantics.values import RAW, SOURCE, Program, ResolvedPortfolio, Schedule, Value
from sigc.lang.syntax.nodes import Load
from sigc.lang.vocabulary import COLUMN_TYPES
from sigc.plan.expr import Expr, adjusted
from sigc.plan.rules import rewrite
from sigc.plan.strategy import Backtest, Constraint, Cost, Portfolio, Strategy, Validation
from sigc.source_measures import measures
from sigc.source_options import source_options

_ACTIONS = "corporate_actions"


def lower(checked: CheckedFile, params: Mapping[str, float] | None = None) -> Strategy:
    """Return the strategy of a checked file, for given values of its parameters. Raise its errors."""
    return Lowering(checked).strategy(params)


class Lowering:
    """The lowering of one checked file for many values of its parameters: equal nodes are made once for all of them."""

    def __init__(self, checked: CheckedFile) -> None:
        self._checked = checked
        self._made: dict[tuple[object, ...], Expr] = {}
        self._data: dict[frozenset[str], tuple[SourceSpec, ...]] = {}
        self._factors: dict[str, str] = {}  # by source

    def strategy(self, params: Mapping[str, float] | None = None) -> Strategy:
        """Return the strategy for values of parameters, by default those of the file. Raise its errors."""
        program = self._checked.program
        if program is not None and params and any(program.params.get(k) != v for k, v in params.items()):
            program = self._again(params)
        if program is None:
            raise SigcError(*self._checked.diagnostics)
        module = self._checked.module
        specs = self._specs(program)
        self._factors = {s.name: f for s in specs if (f := factor_of(s, specs))}
        signals, portfolios = self._roots(program)
        return Strategy(
            name=Path(module.path).stem,
            path=module.path,
            text=self._checked.sources[module.path],
            data=specs,
            params=tuple(program.params.items()),
            grid=tuple((p.name, p.values) for p in module.params if len(p.values) > 1),
            signals=signals,
            portfolios=portfolios,
            traded=program.traded,
            imports=tuple(text for path, text in sorted(self._checked.sources.items()) if path != module.path),
        )

    def _again(self, params: Mapping[str, float]) -> Program:
        resolver = Resolver(self._checked.module, self._checked.library, params)
        program = resolver.program()
        errors = [d for d in resolver.found if d.severity == "error"]
        if errors:
            raise SigcError(*errors)
        return program

    def _specs(self, program: Program) -> tuple[SourceSpec, ...]:
        """Return the declarations of data; they depend on the text and on which sources are categories."""
        if program.labels not in self._data:
            path = Path(self._checked.module.path)
            specs = [_spec(x, program, path) for x in program.data if x.role == "value"]
            self._data[program.labels] = with_traded(specs)
        return self._data[program.labels]

    def _roots(self, program: Program) -> tuple[tuple[tuple[str, Expr], ...], tuple[Portfolio, ...]]:
        """Return all roots, rewritten together so that they share equal nodes."""
        known: dict[int, Expr] = {}
        roots = [self._expr(v, known) for _, v in program.signals]
        roots += [self._expr(b.weights, known) for b in program.books]
        ready = rewrite(roots)
        names = [n for n, _ in program.signals]
        signals = tuple(zip(names, ready[: len(names)], strict=True))
        books = zip(program.books, ready[len(names) :], strict=True)
        return signals, tuple(_portfolio(b, w) for b, w in books)

    def _expr(self, value: Value, known: dict[int, Expr]) -> Expr:
        """Return the node of a value. Values are shared by identity, so each is lowered once; the parser bounds the
        depth.
        """
        # A stack instead of recursion: a long sum is as deep as it has terms.
        stack = [value]
        while stack:
            at = stack[-1]
            waiting = [i for i in at.inputs if id(i) not in known]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            if id(at) not in known:
                known[id(at)] = self._node(at, tuple(known[id(i)] for i in at.inputs))
        return known[id(value)]

    def _node(self, value: Value, inputs: tuple[Expr, ...]) -> Expr:
        if value.op == RAW:
            return inputs[0].inputs[0] if inputs[0].op != SOURCE else inputs[0]
        key = (value.op, *map(id, inputs), value.args, value.kind, value.given, value.span)
        if key not in self._made:  # the entry keeps the inputs alive, so that their ids stay unique
            name = str(dict(value.args)["name"]) if value.op == SOURCE else ""
            if name in self._factors:
                self._made[key] = adjusted(name, self._factors[name], value.span)
            else:
                self._made[key] = Expr(value.op, inputs, value.args, value.kind, value.given, value.span)
        return self._made[key]


def _portfolio(book: ResolvedPortfolio, weights: Expr) -> Portfolio:
    return Portfolio(
        name=book.name,
        weights=weights,
        costs=tuple(Cost(c.name, c.arguments, c.span) for c in book.costs),
        constraints=tuple(Constraint(x.name, x.values, x.soft, x.span) for x in book.limits),
        backtest=_backtest(book.backtest) if book.backtest is not None else None,
        span=book.span,
    )


def _backtest(plan: Schedule) -> Backtest:
    validation = None
    if plan.method:
        validation = Validation(plan.method, plan.arguments, plan.metric, plan.method_span)
    return Backtest(
        rebalance=plan.rebalance,
        benchmark=plan.benchmark,
        start=plan.start,
        end=plan.end,
        drift=plan.drift,
        validation=validation,
        span=plan.span,
        delisting_return=plan.delisting_return,
    )


def _spec(load: Load, program: Program, path: Path) -> SourceSpec:
    name = load_name(load)
    written = {o.name: written_of(o) for o in load.options}
    options = {name: value if isinstance(value, str) else f"{value:g}" for name, value in written.items()}
    roles = {
        x.role: x.column
        for x in program.data
        if x.written == "long" and (x.path, x.others) == (load.path, load.others) and x.role != "value"
    }
    dtype = COLUMN_TYPES.get(load.dtype.lower(), "") or str(options.get("dtype", "")) or "float64"
    if is_category(load) or name in program.labels:
        dtype = "category"
    adjust = "none" if dtype == "category" else str(options.get("adjust", "none"))
    return SourceSpec(
        name=name,
        path=load.path,
        others=load.others,
        format=str(options.get("format", load.format)),
        column=load.column or str(options.get("column", "")),
        date_col=roles.get("date", "") or str(options.get("date_col", "")),
        symbol_col=roles.get("symbol", "") or str(options.get("symbol_col", "")),
        adjust=adjust,
        dtype=dtype,
        base=str(path.parent),
        is_volume=measures(name, load.column, load.dtype) == "volume",
        is_actions=name == _ACTIONS,
        span=load.path_span,
        options=source_options(written),
    )
