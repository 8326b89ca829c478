"""Limits of a `constraints:` block, each declared once: its measure on a book, and its linear rows.

A limit measures one or several numbers on a book and bounds them: `low <= measure <= high`. Measures are
linear in w, in |w| (gross), in |w - held| (trades), or a norm (volatility): so the nearest book within all
limits is a convex problem, solved in `nearest_book.py`. Conventions, per key:

    max_position x        |w_i| <= x                 min_position x      w_i >= x (a lower bound, may be negative)
    max_long, max_short   sum of longs / of shorts   min_positions n     at least n assets held
    max_gross (gross_exposure, max_leverage)         min_gross           sum |w|, at the wanted book's signs
    max_net, min_net, net_exposure, dollar_neutral   sum w
    max_sector x          |sum of w in a sector| <= x   sector_neutral   = 0    sector_deviation: against the benchmark book
    max_turnover x        sum |w - held| <= x        min_trade x         smaller changes are not made
    max_participation x   |w_i - held_i| capital <= x ADV_i              min_adv, min_market_cap: below it w_i = 0
    target_volatility x   sqrt(rows a year) std of past returns of the book <= x
    max_beta, min_beta, beta    sum w_i beta_i       max_tracking_error x   as volatility, of w - benchmark book
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigc.panel import Floats
from sigc.plan.strategy import Constraint


@dataclass(frozen=True, slots=True, eq=False)
class ConstraintInputs:
    """Inputs of constraints on one row: all arrays (assets,), `returns` (past rows, assets). None: no such source.

    wanted is finite. tradable: may be traded; else the held weight stays. sectors: codes, NaN unknown. adv: mean dollar
    volume a row. names, date: for messages. periods: rows a year.
    """

    wanted: Floats
    held: Floats
    tradable: NDArray[np.bool_]
    capital: float
    sectors: Floats | None = None
    returns: Floats | None = None
    betas: Floats | None = None
    adv: Floats | None = None
    market_cap: Floats | None = None
    benchmark: Floats | None = None
    names: tuple[str, ...] = ()
    date: str = ""
    periods: float = 252.0


@dataclass(frozen=True, slots=True, eq=False)
class LinearBound:
    """One linear bound: w.weights + gross.|w| + longs.w+ + shorts.w- + trades.|w - held| in [low, high]."""

    low: float = -np.inf
    high: float = np.inf
    weights: Floats | None = None
    longs: float = 0.0
    shorts: float = 0.0
    trades: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """Per-asset bounds on w, (assets,)."""

    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """|| matrix (w - centre) || <= high."""

    matrix: Floats
    centre: Floats
    high: float


Part = LinearBound | Box | Norm
_INF = np.inf


def parts(constraint: Constraint, at: ConstraintInputs) -> tuple[Part, ...]:
    """Return the bounds that a constraint sets on a book in this situation; none for those that `nearest_book`
    handles.
    """
    return tuple(DECLARED[constraint.name](constraint.values, at))


def _position(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    yield Box(np.full(len(at.wanted), -values[0]), np.full(len(at.wanted), values[0]))


def _min_position(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    yield Box(np.full(len(at.wanted), values[0]), np.full(len(at.wanted), _INF))


def _max_long(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    yield LinearBound(longs=1.0, high=values[0])


def _max_short(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    yield LinearBound(shorts=1.0, high=values[0])


def _gross(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    low, high = values if len(values) == 2 else (-_INF, values[0])
    if low > 0:
        yield from _min_gross((low,), at)
    yield LinearBound(longs=1.0, shorts=1.0, high=high)


def _min_gross(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    # sum |w| >= x is not convex; at the signs of the wanted book it is linear, and implies it.
    yield LinearBound(weights=np.sign(at.wanted), low=values[0])


def _net(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    low, high = values if len(values) == 2 else (values[0], values[0])
    yield LinearBound(weights=np.ones(len(at.wanted)), low=low, high=high)


def _max_net(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    yield LinearBound(weights=np.ones(len(at.wanted)), high=values[0])


def _min_net(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    yield LinearBound(weights=np.ones(len(at.wanted)), low=values[0])


def _neutral(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    if values[0]:
        yield from _net((0.0, 0.0), at)


def _by_sector(at: ConstraintInputs) -> Iterator[Floats]:
    codes = np.zeros(len(at.wanted)) if at.sectors is None else at.sectors
    for code in np.unique(codes[~np.isnan(codes)]):
        yield (codes == code).astype(np.float64)


def _sector(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    for members in _by_sector(at):
        yield LinearBound(weights=members, low=-values[0], high=values[0])


def _sector_neutral(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    if values[0]:
        yield from _sector((0.0,), at)


def _sector_deviation(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    own = np.zeros(len(at.wanted)) if at.benchmark is None else at.benchmark
    for members in _by_sector(at):
        centre = float((members * own).sum())
        yield LinearBound(weights=members, low=centre - values[0], high=centre + values[0])


def _turnover(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    yield LinearBound(trades=1.0, high=values[0])


def _participation(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    room = values[0] * _known(at.adv, at) / at.capital
    yield Box(at.held - room, at.held + room)


def _floor(
    of: Callable[[ConstraintInputs], Floats | None],
) -> Callable[[tuple[float, ...], ConstraintInputs], Iterator[Part]]:
    def declared(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
        allowed = np.where(_known(of(at), at) >= values[0], _INF, 0.0)
        yield Box(-allowed, allowed)

    return declared


def _known(values: Floats | None, at: ConstraintInputs) -> Floats:
    """Return the values, 0 for an unknown one: the limit then forbids."""
    return np.zeros(len(at.wanted)) if values is None else np.nan_to_num(values, nan=0.0)


def _volatility(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    yield _spread(at, np.zeros(len(at.wanted)), values[0])


def _tracking_error(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    own = np.zeros(len(at.wanted)) if at.benchmark is None else at.benchmark
    yield _spread(at, own, values[0])


def _spread(at: ConstraintInputs, centre: Floats, high: float) -> Norm:
    """|| matrix x || is the annual volatility (ddof 1) of the book x over the past returns."""
    past = np.nan_to_num(at.returns, nan=0.0) if at.returns is not None else np.zeros((2, len(at.wanted)))
    rows = max(2, len(past))
    return Norm((past - past.mean(axis=0)) * np.sqrt(at.periods / (rows - 1)), centre, high)


def _beta(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    low, high = values if len(values) == 2 else (values[0], values[0])
    yield LinearBound(weights=_known(at.betas, at), low=low, high=high)


def _max_beta(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    yield from _beta((-_INF, values[0]), at)


def _min_beta(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    yield from _beta((values[0], _INF), at)


def _none(values: tuple[float, ...], at: ConstraintInputs) -> Iterator[Part]:
    """Counted, not linear: handled in `nearest_book.py`."""
    return iter(())


DECLARED: Mapping[str, Callable[[tuple[float, ...], ConstraintInputs], Iterator[Part]]] = {
    "max_position": _position,
    "min_position": _min_position,
    "max_long": _max_long,
    "max_short": _max_short,
    "max_gross": _gross,
    "gross_exposure": _gross,
    "max_leverage": _gross,
    "min_gross": _min_gross,
    "max_net": _max_net,
    "min_net": _min_net,
    "net_exposure": _net,
    "dollar_neutral": _neutral,
    "max_sector": _sector,
    "sector_neutral": _sector_neutral,
    "sector_deviation": _sector_deviation,
    "max_turnover": _turnover,
    "max_participation": _participation,
    "min_adv": _floor(lambda at: at.adv),
    "min_market_cap": _floor(lambda at: at.market_cap),
    "target_volatility": _volatility,
    "max_tracking_error": _tracking_error,
    "beta": _beta,
    "max_beta": _max_beta,
    "min_beta": _min_beta,
    "min_positions": _none,
    "min_trade": _none,
}

SECTOR_KEYS = frozenset({"max_sector", "sector_neutral", "sector_deviation"})
BETA_KEYS = frozenset({"beta", "max_beta", "min_beta"})
VOLUME_KEYS = frozenset({"min_adv", "max_participation"})
ANNUAL_KEYS = frozenset({"target_volatility", "max_tracking_error"})
BOOK_KEYS = frozenset({"sector_deviation", "max_tracking_error"})


def excess(part: Part, book: Floats, held: Floats) -> float:
    """Return the amount by which a book breaks a part of a limit; 0 or less within it."""
    match part:
        case Box(low, high):
            return float(np.maximum(low - book, book - high).max(initial=0.0))
        case Norm(matrix, centre, high):
            return float(np.linalg.norm(matrix @ (book - centre))) - high
        case LinearBound():
            longs, shorts = float(np.maximum(book, 0).sum()), float(np.maximum(-book, 0).sum())
            value = part.longs * longs + part.shorts * shorts
            value += part.trades * float(np.abs(book - held).sum())
            if part.weights is not None:
                value += float((part.weights * book).sum())
            return max(part.low - value, value - part.high)
