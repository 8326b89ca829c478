"""Causes of the difference between the simple accounting and the orders: each is an accounting of its own.

    drift      weights move with prices between rebalances
    delay      decided after a close, traded at the next one
    ends       an asset without prices stays in the book at its last one; the simple accounting lets it go
    missed     rebalances of which no run was carried out
    sizing     quantities are made of the prices and the worth of the decision, and filled at the next close
    capital    weights are shares of the capital that the book was opened with, whatever it is worth
    dividends  paid in cash, which waits for the next rebalance, not reinvested at the ex-date's close
    shares     whole lots; fractions that a split leaves are paid in cash
    costs      commissions, fees, slippage
    orders     denied, cut to a limit, filled in part or not at all
    rest       the unexplained difference

The first four change the simple accounting, one at a time. From sizing on, a book of quantities and cash is walked row
by row (`_walk`) from the decisions of the runs, again with one more cause at a time. The last walk trades the fills and
pays the charges, so it must end at the NAV of the ledger, and the rest must be about 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sigc.actions import ActionKind
from sigc.panel import Floats
from sigc.store.ledger.action_effects import DueAction, effects
from sigc.store.ledger.action_rows import ActionEntry
from sigc.store.ledger.records import ZERO, BookKey, Fill, Nav, Outcome
from sigc_pipelines.live.trading import Ended

Flags = NDArray[np.bool_]
_HOLDER = BookKey("", "")
_FINE = Decimal("1e-9")  # lot of a walk with fractional shares
_SAME = 1.0 + 1e-12  # before truncation to lots: 2.9999999999999996 lots are 3
_UNDECIDED = frozenset({Outcome.REFUSED, Outcome.FAILED, Outcome.CANCELLED})
_REINVESTED = frozenset({ActionKind.DIVIDEND, ActionKind.SPINOFF})


@dataclass(frozen=True, slots=True)
class Cause:
    """An effect that the simple accounting leaves out. effect: on the total return; note: its occasions and amounts."""

    name: str
    effect: float
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class ReplayTrades:
    """Trades that a replay left in its ledger: of the book in order, but for the counts of orders by state.

    charges: money by session, negative where it was paid. dues: the actions of all assets that it had to do with, with
    their sessions. held: quantity by asset at the end, without zeros.
    """

    fills: tuple[Fill, ...]
    entries: tuple[ActionEntry, ...]
    navs: tuple[Nav, ...]
    charges: Mapping[str, Decimal]
    dues: tuple[DueAction, ...]
    held: Mapping[str, Decimal]
    states: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Decided:
    """A decision of a run. change: the assets that it traded; target: weights; price: in units of the session."""

    change: Flags
    target: Floats
    price: Floats


@dataclass(frozen=True, slots=True)
class _How:
    """The causes that a walk takes into account."""

    of_capital: bool = False
    in_cash: bool = False
    is_whole: bool = False
    is_charged: bool = False
    as_filled: bool = False


@dataclass(frozen=True, eq=False)
class ReplayRows:
    """The rows of a replay with their trades. days: ISO dates; marks: (rows, assets), newest prices in units of the
    row; priced: True for a price of exactly that row. lot: quantities are multiples of it.
    """

    days: tuple[str, ...]
    names: tuple[str, ...]
    marks: Floats
    priced: Flags
    traded: ReplayTrades
    capital: float
    lot: float = 1.0

    def row(self, session: str) -> int:
        """Return the row of a session, the next one where it has none; the number of rows beyond the last."""
        return bisect_left(self.days, session)

    @cached_property
    def column(self) -> dict[str, int]:
        """The column of each asset."""
        return {name: at for at, name in enumerate(self.names)}

    @cached_property
    def filled(self) -> Floats:
        """Quantities bought (rows, assets), less those sold."""
        found = np.zeros((len(self.days), len(self.names)))
        for fill in self.traded.fills:
            found[self.row(fill.at.date().isoformat()), self.column[fill.asset]] += fill.side.sign * float(
                fill.quantity
            )
        return found

    @cached_property
    def value(self) -> Floats:
        """Money that was bought and sold for at fill prices (rows,)."""
        return self._sums([(f, float(f.quantity * f.price)) for f in self.traded.fills])

    @cached_property
    def slippage(self) -> Floats:
        """Money that fills cost beyond the closes of their rows (rows,)."""
        return self._sums(
            [(f, f.side.sign * float(f.quantity) * (float(f.price) - self._mark(f))) for f in self.traded.fills]
        )

    @cached_property
    def fees(self) -> Floats:
        """Commissions and charges (rows,)."""
        found = self._sums([(f, float(f.commission)) for f in self.traded.fills])
        for day, amount in self.traded.charges.items():
            found[self.row(day)] -= float(amount)
        return found

    def _mark(self, fill: Fill) -> float:
        return float(self.marks[self.row(fill.at.date().isoformat()), self.column[fill.asset]])

    def _sums(self, amounts: Sequence[tuple[Fill, float]]) -> Floats:
        found = np.zeros(len(self.days))
        for fill, amount in amounts:
            found[self.row(fill.at.date().isoformat())] += amount
        return found

    @cached_property
    def quantities(self) -> Floats:
        """Return the quantities held at the close of each row (rows, assets): fills, and changes by corporate
        actions.
        """
        change = self.filled.copy()
        for entry in self.traded.entries:
            row = self.row(entry.session)
            for asset, amount in ((entry.asset, entry.amounts.change), (entry.into, entry.amounts.into_change)):
                if amount and asset in self.column and row < len(self.days):
                    change[row, self.column[asset]] += float(amount)
        return np.cumsum(change, axis=0)

    @cached_property
    def dues(self) -> dict[int, list[DueAction]]:
        """The actions by the row before whose close they act."""
        found: dict[int, list[DueAction]] = {}
        for due in self.traded.dues:
            found.setdefault(self.row(due.session), []).append(due)
        return found


def decided(ended: Sequence[Ended], *, wholly: bool = False) -> list[Ended]:
    """Return the runs that traded to a target. wholly: only those of a rebalance, not those that traded pending changes
    alone.
    """
    made = [e for e in ended if e.target is not None and e.run.outcome not in _UNDECIDED]
    return [e for e in made if e.turn is None or e.turn.due] if wholly else made


def steps(rows: ReplayRows, ended: Sequence[Ended], begun: float, net: float, *, of_capital: bool) -> tuple[Cause, ...]:
    """Return the steps from sizing on. begun: the total return before the first step; net: of the orders, after the
    last.

    of_capital: weights were shares of the capital (`execution.sizing`).
    """
    decisions = {rows.row(e.run.key.session): _of(e) for e in decided(ended)}
    traded, notes = rows.traded, _notes(rows)
    how = _How()
    chain = [("sizing", how, notes["sizing"])]
    if of_capital:
        how = _How(of_capital=True)
        chain.append(("capital", how, f"weights are shares of {rows.capital:,.0f}, whatever the book is worth"))
    for name, more in (
        ("dividends", _How(of_capital, in_cash=True)),
        ("shares", _How(of_capital, in_cash=True, is_whole=True)),
        ("costs", _How(of_capital, in_cash=True, is_whole=True, is_charged=True)),
        ("orders", _How(of_capital, in_cash=True, is_whole=True, is_charged=True, as_filled=True)),
    ):
        chain.append((name, more, notes[name]))
    found, last = [], begun
    for name, how, note in chain:
        total = _walk(rows, decisions, how)
        found.append(Cause(name, total - last, note))
        last = total
    nothing = not traded.fills and not traded.entries
    return (*found, Cause("rest", net - last, "nothing was traded" if nothing else "what none of these explains"))


def _of(ended: Ended) -> _Decided:
    if ended.target is None or ended.sight is None or ended.held is None:
        raise ValueError(f"the run {ended.run.id} decided nothing")
    change = (ended.target != ended.held) & np.isfinite(ended.sight.prices)
    return _Decided(change, ended.target, ended.sight.prices)


@dataclass(slots=True, eq=False)
class _Open:
    """Trades to be made, (assets,) each, NaN for none: quantities at the next close; weights, of assets without a
    price at that close, at the first that has one.
    """

    quantities: Floats
    weights: Floats

    def order(self, of: _Decided, money: float, lot: float) -> None:
        """Replace all open orders by those of a decision."""
        wanted = _quantities(of.target, money, of.price, lot)
        self.quantities, self.weights = (np.where(of.change, x, np.nan) for x in (wanted, of.target))

    def wanted(self, priced: Flags, money: float, marks: Floats, lot: float) -> Floats:
        """Return the quantities to hold after a close, NaN for unchanged."""
        late = np.isnan(self.quantities) & np.isfinite(self.weights) & priced
        found = np.where(priced, self.quantities, np.nan)
        if late.any():
            found = np.where(late, _quantities(self.weights, money, marks, lot), found)
        self.weights[priced] = np.nan
        self.quantities[:] = np.nan
        return found


def _quantities(weights: Floats, money: float, prices: Floats, lot: float) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = weights * money / prices
        return np.trunc(wanted / lot * _SAME) * lot if lot else wanted


def _walk(rows: ReplayRows, decisions: Mapping[int, _Decided], how: _How) -> float:
    """Return the total return of a book of quantities and cash."""
    none, marks = np.full(len(rows.names), np.nan), np.nan_to_num(rows.marks)
    held, cash, open_ = np.zeros(len(rows.names)), rows.capital, _Open(none, none.copy())
    paid, lot = rows.fees + rows.slippage, rows.lot if how.is_whole else 0.0
    kept = np.zeros(len(rows.names))  # cash that is reinvested when its asset has a price
    # A row, in the order of the live system: worth at the close before, actions, reinvested cash, the decision (made
    # after the close before), trades at this close.
    for row in range(len(rows.days)):
        worth = cash + float(held @ marks[max(0, row - 1)]) + float(kept.sum())
        if worth <= 0.0:
            return -1.0
        money = rows.capital if how.of_capital else worth
        if row in rows.dues:
            cash += _act(rows, row, how, held, kept, marks[row])
        if kept.any():
            ready = rows.priced[row] & (kept != 0.0)
            held[ready] += kept[ready] / marks[row][ready]
            kept[ready] = 0.0
        if row in decisions:
            open_.order(decisions[row], money, lot)
        if how.as_filled:
            change = rows.filled[row]
        else:
            wanted = open_.wanted(rows.priced[row], money, marks[row], lot)
            change = np.where(np.isnan(wanted), 0.0, wanted - held)
        held += change
        cash -= float(change @ marks[row]) + (float(paid[row]) if how.is_charged else 0.0)
    return (cash + float(held @ marks[-1]) + float(kept.sum())) / rows.capital - 1.0


def _act(rows: ReplayRows, row: int, how: _How, held: Floats, kept: Floats, marks: Floats) -> float:
    """Apply a row's corporate actions to `held`. Return their cash, without the part to reinvest (added to `kept`)."""
    dues = [d for d in rows.dues[row] if d.action.asset in rows.column]
    own = {d.action.asset for d in dues} | {d.action.into for d in dues}
    base = {a: {_HOLDER: Decimal(float(held[rows.column[a]]))} for a in own if a in rows.column}
    lot = Decimal(repr(rows.lot)) if how.is_whole else _FINE
    found = effects(dues, base, (), lot)
    cash = 0.0
    for due in dues:
        effect = found.get((due.key, _HOLDER))
        if effect is not None:
            at, into = rows.column[due.action.asset], rows.column.get(due.action.into, -1)
            held[at] += float(effect.change)
            came = float(effect.into_change) if into >= 0 else 0.0
            money = float(effect.owed + effect.lieu)
            if not how.in_cash and due.action.kind in _REINVESTED:
                kept[at] += money + (came * marks[into] if came else 0.0)
                continue
            if came:
                held[into] += came
            cash += money
    return cash


def _notes(rows: ReplayRows) -> dict[str, str]:
    """Return the occasions of each cause in numbers."""
    traded = rows.traded
    of = [e for e in traded.entries if e.step == "effect"]
    paid = [e.amounts.cash + e.amounts.receivable for e in of if e.kind != ActionKind.SPLIT]
    lieu = [e.amounts.cash for e in of if e.kind == ActionKind.SPLIT]
    owed = max((nav.receivables for nav in traded.navs), default=ZERO)
    told = ", ".join(f"{n:,} {state}" for state, n in sorted(traded.states.items())) or "no orders"
    dividends = f"{len(paid):,} paid or owed {sum(paid, ZERO):,.2f} in cash, not reinvested before the next rebalance"
    return {
        "sizing": "quantities are made of the prices and the worth at the decision, and filled at the next close",
        "dividends": dividends + (f"; {owed:,.2f} at most were owed at a close" if owed else ""),
        "shares": f"whole lots; fractions over {len(lieu):,} splits paid {sum(lieu, ZERO):,.2f}",
        "costs": f"slippage {rows.slippage.sum():,.2f}, commissions and fees {rows.fees.sum():,.2f},"
        " instead of the costs of the strategy",
        "orders": told,
    }
