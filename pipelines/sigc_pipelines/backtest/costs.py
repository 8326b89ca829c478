"""Costs of trading, as a fraction of the book per row. Terms add up; the models are listed in `MODELS`.

Participation is |change of weight| x capital / mean dollar volume of 20 rows where a volume source is
declared, else |change of weight| with sigma 1. Square-root law: Almgren, Thum, Hauptmann, Li (2005),
"Direct estimation of equity market impact"; linear and temporary/permanent split: Almgren, Chriss (2000).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sigc.panel import Dates, Floats
from sigc.plan.strategy import Cost
from sigc_pipelines.backtest.accounts import BacktestAccounts

_YEAR_DAYS = 365.0  # ACT/365, as brokers charge for borrowed shares


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Inputs of cost terms, all (rows, assets): prices as traded, mean dollar volume and sigma of 20 rows, or None.

    elapsed: calendar days since the row before, (rows,), 0 on the first; None where no term accrues by time.
    """

    capital: float
    prices: Floats
    dollars: Floats | None = None
    sigma: Floats | None = None
    elapsed: Floats | None = None

    def rows(self, low: int, high: int) -> Market:
        """Return the market over the rows [low, high)."""
        dollars = None if self.dollars is None else self.dollars[low:high]
        sigma = None if self.sigma is None else self.sigma[low:high]
        elapsed = None if self.elapsed is None else self.elapsed[low:high]
        return Market(self.capital, self.prices[low:high], dollars, sigma, elapsed)


def elapsed_days(dates: Dates) -> Floats:
    """Calendar days since the row before, (rows,), a part of one within a day; 0 on the first row."""
    return np.diff(dates.astype("datetime64[ns]").view("i8"), prepend=dates[:1].view("i8")) / 86_400e9


def cost_of(costs: Sequence[Cost], book: BacktestAccounts, market: Market) -> Floats:
    """Cost per row, (rows,), a fraction of the book. Without terms: zeros."""
    total = np.zeros(len(book.turnover))
    for term in costs:
        total += TERMS[term.name](term, book, market)
    return total


def are_of_turnover(costs: Sequence[Cost]) -> bool:
    """Return True if turnover alone decides the costs, not single trades or positions."""
    return all(TERMS[term.name] is _bps for term in costs)


def _bps(term: Cost, book: BacktestAccounts, market: Market) -> Floats:
    return book.turnover * (_number(term, "value") / 1e4)


def _per_share(term: Cost, book: BacktestAccounts, market: Market) -> Floats:
    return _sum(_number(term, "value") * np.abs(book.trades) / market.prices)


def _per_trade(term: Cost, book: BacktestAccounts, market: Market) -> Floats:
    count: Floats = (book.trades != 0.0).sum(axis=1).astype(np.float64)
    return count * (_number(term, "value") / market.capital)


def _asymmetric(term: Cost, book: BacktestAccounts, market: Market) -> Floats:
    bought: Floats = np.maximum(book.trades, 0.0).sum(axis=1)
    sold: Floats = np.maximum(-book.trades, 0.0).sum(axis=1)
    return (bought * _number(term, "buy") + sold * _number(term, "sell")) / 1e4


def _borrow(term: Cost, book: BacktestAccounts, market: Market) -> Floats:
    """Return the borrow cost, ACT/365: of short weights after the row before, for the calendar days since."""
    short = np.maximum(-book.held, 0.0).sum(axis=1)
    into: Floats = np.concatenate([[0.0], short[:-1]])
    if market.elapsed is None:
        raise ValueError("borrow.rate accrues by calendar days: the market has none")
    return into * market.elapsed * (_number(term, "value") / _YEAR_DAYS)


def _slippage(term: Cost, book: BacktestAccounts, market: Market) -> Floats:
    size = np.abs(book.trades)
    if market.dollars is None or market.sigma is None:
        part, sigma = size, np.ones_like(size)
    else:
        part = size * market.capital / market.dollars
        sigma = market.sigma
    return _sum(MODELS[str(term.get("model"))](term, size, part, sigma))


def _linear(term: Cost, size: Floats, part: Floats, sigma: Floats) -> Floats:
    return _number(term, "coef") * size * part


def _square_root(term: Cost, size: Floats, part: Floats, sigma: Floats) -> Floats:
    out: Floats = _number(term, "coef") * sigma * size * np.sqrt(part)
    return out


def _almgren_chriss(term: Cost, size: Floats, part: Floats, sigma: Floats) -> Floats:
    out: Floats = size * (_number(term, "eta") * part + _number(term, "gamma") * np.sqrt(part))
    return out


def _sum(cells: Floats) -> Floats:
    """Per row; a cell that can't be priced (no price, no volume yet) costs nothing."""
    out: Floats = np.where(np.isfinite(cells), cells, 0.0).sum(axis=1)
    return out


def _number(term: Cost, name: str) -> float:
    return float(term.get(name, _DEFAULTS.get(name, 0.0)))


_DEFAULTS = {"coef": 0.1, "eta": 0.1, "gamma": 0.1}

MODELS: Mapping[str, Callable[[Cost, Floats, Floats, Floats], Floats]] = {
    "linear": _linear,
    "square-root": _square_root,
    "almgren-chriss": _almgren_chriss,
}

TERMS: Mapping[str, Callable[[Cost, BacktestAccounts, Market], Floats]] = {
    "tc.bps": _bps,
    "tc.per_share": _per_share,
    "tc.per_trade": _per_trade,
    "tc.asymmetric": _asymmetric,
    "slippage.bps": _bps,
    "slippage.model": _slippage,
    "borrow.rate": _borrow,
}
