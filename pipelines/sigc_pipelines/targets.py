"""Targets of a strategy over rows of the grid, with the data for checking them: the result of the stage compute.

    outlook = look(loaded, workspace)                     the last row: a live run
    outlook = look(loaded, workspace, "main", 0, rows)    many rows at once: a replay
    sight   = outlook.at("2024-01-02")                    one as-of date, the same bits either way

The same bits, because a value depends only on rows up to its date (engine, law 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from sigc.blocks.block import digest
from sigc.data.actions.adjust import in_units_of
from sigc.engine.core.gather import gather, source_panel
from sigc.engine.core.task import RunReport
from sigc.errors import Diagnostic, SigcError
from sigc.ops.declare import REGISTRY, ValueKind
from sigc.panel import Dates, Floats
from sigc.plan.expr import Expr, walk
from sigc.plan.plan import Plan
from sigc.plan.strategy import Portfolio
from sigc_pipelines.backtest.accounts import Adjust, Flags, targets
from sigc_pipelines.backtest.backtest import pick
from sigc_pipelines.checks.view import SourceView
from sigc_pipelines.compute import Loaded, Workspace, compute
from sigc_pipelines.portfolio.constraint_inputs import adjuster, category_of
from sigc_pipelines.portfolio.rebalance import RowDays, row_days
from sigc_pipelines.prices.coverage import FIELDS, SourceRows, cover, repeated
from sigc_pipelines.prices.dollars import mean_of_known
from sigc_pipelines.prices.quotes import accepted

AVERAGE_ROWS = 20  # of the mean volume that a session's volume is compared with


@dataclass(frozen=True, slots=True, eq=False)
class TargetSnapshot:
    """One as-of date. names: the traded assets, ordered; all arrays are (assets,), NaN where there is nothing.

    rows: how many there are up to the date. prices: accepted ones (`quotes.py`); previous, raw: those of the row before
    and of this one, accepted or not; before: the last accepted ones before it. Prices and volumes are in the units of
    the session that is to be traded. within: what constraints, and assets that can't be traded for want of a price,
    leave of the wanted weights, given the held ones. sectors: a label per asset, '' where unknown; None without a
    category source. digest: over names and wanted weights. repeated: assets whose row only repeats the one before.
    adv: mean value traded in a session, None without volume. sources: what there is of each source (`coverage.py`).
    """

    as_of: str
    rows: int
    names: tuple[str, ...]
    wanted: Floats
    prices: Floats
    previous: Floats
    volumes: Floats | None
    mean_volumes: Floats | None
    sectors: tuple[str, ...] | None
    within: Callable[[Floats], Floats]
    digest: str
    raw: Floats | None = None
    before: Floats | None = None
    repeated: Flags | None = None
    adv: Floats | None = None
    sources: tuple[SourceView, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Rows [start, stop) of the grid: wanted weights of one portfolio, and prices with `AVERAGE_ROWS` rows before.

    signals: the last row of each named signal that the weights are made of, where these were asked for. row_days: of
    all rows of the grid.
    """

    loaded: Loaded
    portfolio: str
    start: int
    dates: Dates
    names: tuple[str, ...]
    wanted: Floats
    digests: Mapping[str, str]
    report: RunReport
    plan: Plan
    signals: Mapping[str, Floats]
    row_days: RowDays
    _low: int
    _prices: Floats
    _raw: Floats
    _volumes: Floats | None
    _sectors: Floats | None
    _adjust: Adjust | None
    _repeated: Flags
    _adv: Floats | None
    _sources: tuple[SourceRows, ...]

    @property
    def _days(self) -> Dates:
        """The session of each row of prices."""
        return self.loaded.grid.days[self._low :]

    @property
    def days(self) -> tuple[str, ...]:
        """The ISO dates of the rows."""
        return tuple(str(d) for d in self.dates.astype("datetime64[D]"))

    def at(self, as_of: str, session: date | None = None) -> TargetSnapshot:
        """Return the newest row on or before a date, in the units of the session that trades on it, by default its own.

        Raises E501 without one.
        """
        row = int(np.searchsorted(self.dates, np.datetime64(as_of, "D") + 1)) - 1
        if row < 0:
            raise SigcError(Diagnostic("E501", f"there are no rows on or before {as_of}"))
        wanted, at = self.wanted[row], self.start + row - self._low
        day = str(self.dates[row].astype("datetime64[D]"))
        units = session or self._days[at].item()
        traded, low = self.loaded.money, max(0, at - AVERAGE_ROWS)
        days, acts = self._days[low : at + 1], self.loaded.acts(traded)
        prices = in_units_of(units, self._prices[low : at + 1], self.names, days, acts)
        raw = in_units_of(units, self._raw[low : at + 1], self.names, days, acts)
        volumes = mean = None
        if self._volumes is not None:
            shares = in_units_of(units, self._volumes[low : at + 1], self.names, days, acts, are_shares=True)
            volumes, mean = shares[-1], _mean_before(shares)

        def within(held: Floats) -> Floats:
            priced = np.isfinite(self._prices[at])
            clean = targets(wanted, held, priced)
            if self._adjust is None:
                return clean
            stays = ~priced & np.isnan(wanted)  # nothing is decided of it: it takes no room in limits
            adjusted = self._adjust(row, np.where(stays, 0.0, clean), np.where(stays, 0.0, held), priced)
            return np.where(stays, held, adjusted)

        return TargetSnapshot(
            as_of=day,
            rows=self.start + row + 1,
            names=self.names,
            wanted=wanted,
            prices=prices[-1],
            previous=raw[-2] if at else np.full(len(self.names), np.nan),
            volumes=volumes,
            mean_volumes=mean,
            sectors=self._labels(at),
            within=within,
            digest=digest("\n".join(self.names), wanted.tobytes()),
            raw=raw[-1],
            before=_last(prices[:-1]),
            repeated=self._repeated[at],
            adv=None if self._adv is None else self._adv[at],
            sources=tuple(one.at(at) for one in self._sources),
        )

    def _labels(self, at: int) -> tuple[str, ...] | None:
        if self._sectors is None:
            return None
        labels = self.loaded.grid.labels
        return tuple("" if code != code else labels[int(code)] for code in self._sectors[at].tolist())


def look(
    loaded: Loaded,
    workspace: Workspace,
    portfolio: str = "",
    start: int | None = None,
    stop: int | None = None,
    *,
    capital: float = 1_000_000.0,
    with_signals: bool = False,
) -> Targets:
    """Compute a portfolio's wanted weights over the rows [start, stop), the last row by default.

    capital: of constraints on participation. with_signals: keep the signals too.
    Raises E501 without rows, E302 for too few.
    """
    rows = len(loaded.grid.dates)
    if rows == 0:
        raise SigcError(Diagnostic("E501", "there are no rows on or before that date"))
    stop = rows if stop is None else stop
    start = stop - 1 if start is None else start
    book = pick(loaded, portfolio)
    root = f"{book.name}.weights"
    signals = _signals_of(loaded, book) if with_signals else {}
    computed = compute(loaded, {root: book.weights, **signals}, workspace, start, stop)
    panel = gather(computed, root, start, stop)
    low = max(0, start - AVERAGE_ROWS)

    def read(name: str) -> Floats:
        return source_panel(loaded.grid, workspace.store, name, low, stop).values

    made = accepted(loaded, workspace, loaded.money, low, stop)
    volumes = read("volume") if "volume" in loaded.grid.leaves else None
    category = category_of(loaded)
    sectors = None if category is None else read(category.name)
    fields = {name: read(name) for name in FIELDS if name in loaded.grid.leaves and name != loaded.money}
    fields |= {loaded.money: made.raw} | ({} if volumes is None else {"volume": volumes})
    known = fields if category is None or sectors is None else {**fields, category.name: sectors}
    return Targets(
        loaded=loaded,
        portfolio=book.name,
        start=start,
        dates=panel.dates,
        names=panel.names,
        wanted=panel.values,
        digests={n: leaf.source.fingerprint for n, leaf in sorted(loaded.grid.leaves.items())},
        report=computed.report,
        plan=computed.plan,
        signals={name: gather(computed, name, stop - 1, stop).values[-1] for name in signals},
        row_days=row_days(loaded, workspace),
        _low=low,
        _prices=made.prices,
        _raw=made.raw,
        _volumes=volumes,
        _sectors=sectors,
        _adjust=adjuster(loaded, workspace, book, capital, start, stop),
        _repeated=repeated(fields, "volume"),
        _adv=None if volumes is None else mean_of_known(made.prices, volumes),
        _sources=cover(loaded, workspace, book, low, stop, known),
    )


def _signals_of(loaded: Loaded, book: Portfolio) -> dict[str, Expr]:
    """Return the named signals that a portfolio's weights read, except one that is the weights themselves."""
    read = {node.shape for node in walk([book.weights])} - {book.weights.shape}
    return {name: expr for name, expr in loaded.strategy.signals if expr.shape in read and expr.kind is ValueKind.PANEL}


def _last(prices: Floats) -> Floats:
    """Return the last price of each asset, NaN without one; (assets,) of (rows, assets)."""
    known = np.isfinite(prices)
    if not len(prices):
        return np.full(prices.shape[1], np.nan)
    row = len(prices) - 1 - np.argmax(known[::-1], axis=0)
    return np.where(known.any(axis=0), prices[row, np.arange(prices.shape[1])], np.nan)


def _mean_before(shares: Floats) -> Floats:
    """Return the mean of the `AVERAGE_ROWS` rows before the last, (assets,); NaN where there are fewer."""
    if len(shares) <= AVERAGE_ROWS:
        return np.full(shares.shape[1], np.nan)
    mean: Floats = REGISTRY["rolling_mean"].kernel(shares[:-1], window=AVERAGE_ROWS)[-1]
    return mean
