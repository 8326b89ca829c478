"""A strategy: the DAG with named roots, and its trading declarations. The result of `lower`."""

from __future__ import annotations

from dataclasses import dataclass

from sigc.data.sources.spec import SourceSpec
from sigc.errors import Span
from sigc.lang.semantics.rebalance import EVERY_ROW, Rebalance
from sigc.plan.expr import Expr


@dataclass(frozen=True, slots=True)
class Cost:
    """One term of a cost expression: `tc.bps`, `slippage.model`, ...; arguments by name, numbers or text.

    tc.bps / slippage.bps: value. slippage.model: model, coef, eta, gamma. borrow.rate: value.
    tc.per_share / tc.per_trade: value. tc.asymmetric: buy, sell.
    """

    name: str
    arguments: tuple[tuple[str, float | str], ...]
    span: Span | None = None

    def get(self, name: str, default: float | str = 0.0) -> float | str:
        return dict(self.arguments).get(name, default)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One limit: `values` is (limit,) or (low, high); flags are (1.0,) or (0.0,). soft: a penalty."""

    name: str
    values: tuple[float, ...]
    soft: bool = False
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Validation:
    """The validation: walk_forward, cross_validate or cpcv with its arguments; train windows maximise `metric`."""

    method: str
    arguments: tuple[tuple[str, float | str], ...]
    metric: str = "sharpe"
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Backtest:
    """The backtest line. rebalance: its rows. benchmark: a source or an asset of the traded panel, or ''.

    start, end: ISO dates, both inclusive, '' for open. drift: weights drift between rebalances. delisting_return: of an
    asset presumed ended, on its last price; None for none.
    """

    rebalance: Rebalance = EVERY_ROW
    benchmark: str = ""
    start: str = ""
    end: str = ""
    drift: bool = False
    validation: Validation | None = None
    span: Span | None = None
    delisting_return: float | None = None


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A book: its target weights, costs, constraints and backtest."""

    name: str
    weights: Expr
    costs: tuple[Cost, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    backtest: Backtest | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Strategy:
    """A strategy. name: the file's stem. params: the value of each, after overrides. grid: values that a search may
    try. text: of the file; imports: the texts of all files that it imports, by their paths in order.

    traded: the data source whose returns the book earns (prices, px, close, else the first numeric one).
    """

    name: str
    path: str
    text: str
    data: tuple[SourceSpec, ...]
    params: tuple[tuple[str, float], ...]
    grid: tuple[tuple[str, tuple[float, ...]], ...]
    signals: tuple[tuple[str, Expr], ...]
    portfolios: tuple[Portfolio, ...]
    traded: str
    imports: tuple[str, ...] = ()

    @property
    def roots(self) -> dict[str, Expr]:
        """Return everything that is stored under a name: signals, and `PORTFOLIO.weights`."""
        return dict(self.signals) | {f"{p.name}.weights": p.weights for p in self.portfolios}
