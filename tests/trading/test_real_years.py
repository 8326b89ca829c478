"""Nine years of real prices and actions through ledger and paper broker, recomputed here from fills and the vendor's file.

The recomputation shares no code with the product: pandas reads the files, fractions and decimals do the arithmetic. It
has no idea of runs, blocks, ledgers: only of sessions, fills, splits, dividends and closes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.calendar.calendar import open_calendar
from sigc.config.settings import DataSettings
from sigc.store.ledger.records import Fill
from sigc_pipelines.backtest.backtest import pick
from sigc_pipelines.backtest.replay import Replay, replay
from sigc_pipelines.compute import load
from tests.trading.floor import settings
from tests.world import workspace, write_strategy

CAPITAL = 20_000_000
BORROW_BPS = 60.0
PAPER = {
    "slippage_bps": 2.0,
    "commission_per_share": 0.005,
    "borrow_bps": BORROW_BPS,
    "leverage": 4.0,
    "max_volume_pct": 0.05,
}
MAX_RETURN = 0.5
BASIS_POINT = 1e-4
CENT = Decimal("0.01")


def text(rebalance: str, first: str, last: str, share: float) -> str:
    """Momentum, both sides, of prices as traded, adjusted by the vendor's actions."""
    return f"""data:
  prices: load parquet from "close.parquet" adjust=split_div
  volume: load parquet from "volume.parquet"
  corporate_actions: load csv from "corporate_actions.csv"
signal momentum:
  emit ret(lag(prices, 21), 231)
portfolio main:
  weights = momentum.long_short(top={share}, bottom={share})
  backtest rebal={rebalance} from {first} to {last}
"""


@dataclass(frozen=True, slots=True)
class Files:
    """Where they are, and as pandas reads them: closes as traded, the vendor's actions."""

    folder: Path
    closes: pd.DataFrame
    actions: pd.DataFrame


def files(sp500: Path, folder: Path, assets: Sequence[str] | None = None, *, pays_later: bool = False) -> Files:
    """The real files, of some assets where asked. pays_later: with pay dates, which the vendor's file has not."""
    for name in ("close", "volume"):
        frame = pd.read_parquet(sp500 / f"{name}.parquet")
        (frame if assets is None else frame[["date", *assets]]).to_parquet(folder / f"{name}.parquet")
    actions = pd.read_csv(sp500 / "corporate_actions.csv")
    if pays_later:
        days = pd.to_datetime(actions["date"])
        wait = pd.to_timedelta([7 + sum(map(ord, t)) % 40 for t in actions["ticker"]], unit="D")
        actions["pay_date"] = (days + wait).dt.strftime("%Y-%m-%d")
    actions.to_csv(folder / "corporate_actions.csv", index=False)
    closes = pd.read_parquet(folder / "close.parquet").set_index("date")
    return Files(folder, closes, actions)


def splitting(sp500: Path) -> list[str]:
    """The assets that split after 2010, and those of which the folder's README says that something is odd."""
    actions = pd.read_csv(sp500 / "corporate_actions.csv")
    split = actions.loc[(actions["split"] != 1.0) & (actions["split"] > 0.0) & (actions["date"] > "2011"), "ticker"]
    names = {
        *split,
        "HON",
        "DOV",
        "PNR",
        "VNO",
        "LEN",
        "JCI",
        "MET",
        "EL",
        "HBI",
        "ROST",
        "LDOS",
        "HLT",
        "TMUS",
        "VRTX",
    }
    return sorted(names & set(pd.read_parquet(sp500 / "close.parquet").columns))


def traded(of: Files, work: Path, strategy: str, sizing: str = "nav") -> Replay:
    space = replace(workspace(MemoryStore()), data=DataSettings(roots=(str(of.folder),)))
    calendar = open_calendar("nyse", work / "calendars", today=date(2019, 1, 1))
    config = settings(
        broker={"paper": PAPER}, schedule={"calendar": "nyse"}, execution={"sizing": sizing, "capital": CAPITAL}
    )
    loaded = load(write_strategy(of.folder, strategy, "momentum"), space)
    return replay(loaded, space, pick(loaded), config, calendar, capital=float(CAPITAL))


# The recomputation.


@dataclass(slots=True)
class Day:
    """A book at a session's close. marks: what positions are valued at."""

    session: str
    cash: Decimal
    owed: Decimal
    held: dict[str, int]
    marks: dict[str, Decimal]

    @property
    def nav(self) -> Decimal:
        """Cash, what is owed, positions, in cents."""
        return to_cents(self.cash + self.owed + sum(q * self.marks[a] for a, q in self.held.items()))


@dataclass(slots=True)
class Totals:
    """Money by kind, over all sessions."""

    dividends: Decimal = Decimal(0)
    lieu: Decimal = Decimal(0)
    borrowed: Decimal = Decimal(0)
    splits: int = 0
    fractions: int = 0
    unconfirmed: int = 0


def cents(amount: Fraction) -> Decimal:
    """To the nearest cent, halves to even."""
    return Decimal(round(amount * 100)).scaleb(-2)


def to_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_EVEN)


def number(value: float) -> Decimal:
    return Decimal(repr(float(value)))


def small_ratio(value: float) -> Fraction:
    """p/q with the smallest q up to 100 that a vendor may have rounded, else the number itself."""
    for q in range(1, 101):
        p = round(value * q)
        if p and abs(p / q - value) <= 1e-5 * value:
            return Fraction(p, q)
    return Fraction(number(value))


class Prices:
    """Closes of each asset as they are accepted: a jump beyond `MAX_RETURN` waits for the session after it."""

    def __init__(self) -> None:
        self.last: dict[str, Decimal] = {}
        self.level: dict[str, float] = {}  # last accepted price, and that of a jump, in units of now
        self.jump: dict[str, float] = {}

    def act(self, asset: str, ratio: Fraction, cash: Decimal) -> None:
        """The last price in the units of a new session."""
        price = self.last.get(asset)
        if price is not None:
            price = price * ratio.denominator / ratio.numerator
            self.last[asset] = price - cash if price > cash else price

    def accept(self, asset: str, price: Decimal, growth: float) -> bool:
        """growth: shares and cash that one old share has become, in shares at this price."""
        before, jump = self.level.get(asset), self.jump.pop(asset, None)
        own = float(price) * growth
        is_near = before is None or abs(own / before - 1.0) <= MAX_RETURN
        if not is_near and not (jump is not None and abs(own / jump - 1.0) <= MAX_RETURN):
            self.jump[asset] = float(price)
            self.level[asset] = (before or 0.0) / growth
            return False
        self.level[asset] = float(price)
        self.last[asset] = price
        return True


def recomputed(of: Files, fills: Sequence[Fill], first: str, last: str, totals: Totals) -> Iterator[Day]:
    """Each session from `first` to `last`, from a book that holds nothing but its capital."""
    sessions = [str(day)[:10] for day in of.closes.index]
    by_session = _by_session(of.actions, sessions)
    by_day: defaultdict[str, list[Fill]] = defaultdict(list)
    for fill in fills:
        by_day[str(fill.at.date())].append(fill)
    columns = {name: of.closes[name].to_numpy() for name in of.closes.columns}
    prices, cash, owed = Prices(), Decimal(CAPITAL), Decimal(0)
    held: defaultdict[str, int] = defaultdict(int)
    pays: defaultdict[str, list[Decimal]] = defaultdict(list)
    before = sessions[0]
    for row, session in enumerate(sessions):
        if session > last:
            return
        growth: dict[str, float] = {}
        for asset, split, dividend, pay in by_session.get(session, ()):
            if asset not in columns:
                continue
            if session >= first:
                held[asset], paid, amount = _acted(held[asset], split, dividend, prices.last.get(asset), totals)
                cash += paid
                if pay > session:
                    owed += amount
                    pays[next((s for s in sessions[row:] if s >= pay), "")].append(amount)
                else:
                    cash += amount
            close = float(columns[asset][row])
            growth[asset] = float(split) * (1.0 + float(dividend) / close) if close > 0 else 1.0
            prices.act(asset, split, dividend)
        for amount in pays.pop(session, ()):
            cash, owed = cash + amount, owed - amount
        days = (date.fromisoformat(session) - date.fromisoformat(before)).days
        for asset, quantity in held.items():
            if quantity < 0:
                fee = _fee(-quantity, prices.last[asset], days)
                totals.borrowed += fee
                cash -= fee
        for fill in by_day.pop(session, ()):
            sign = 1 if fill.side == "buy" else -1
            held[fill.asset] += sign * int(fill.quantity)
            cash -= sign * fill.quantity * fill.price + fill.commission
        for asset, column in columns.items():
            if column[row] > 0 and not prices.accept(asset, number(column[row]), growth.get(asset, 1.0)):
                totals.unconfirmed += 1
        before = session
        if session >= first:
            now = {asset: quantity for asset, quantity in held.items() if quantity}
            yield Day(session, cash, owed, now, {asset: prices.last[asset] for asset in now})


def _by_session(actions: pd.DataFrame, sessions: Sequence[str]) -> dict[str, list[tuple[str, Fraction, Decimal, str]]]:
    """Asset, split, dividend and pay date ('' for none) by the session on or after the ex-date."""
    found: dict[str, list[tuple[str, Fraction, Decimal, str]]] = {}
    at = np.searchsorted(np.array(sessions), actions["date"].to_numpy(dtype=str))
    pay = actions["pay_date"] if "pay_date" in actions else [""] * len(actions)
    for row, asset, split, cash, paid in zip(
        at, actions["ticker"], actions["split"], actions["dividend"], pay, strict=True
    ):
        ratio = small_ratio(split) if split > 0 and split != 1.0 else Fraction(1)
        if row < len(sessions) and (ratio != 1 or cash > 0):
            found.setdefault(sessions[row], []).append((asset, ratio, number(cash), paid))
    return found


def _acted(
    quantity: int, split: Fraction, dividend: Decimal, price: Decimal | None, totals: Totals
) -> tuple[int, Decimal, Decimal]:
    """The quantity after it, the cash for a fraction of a share, the dividend."""
    exact = quantity * split
    whole = math.trunc(exact)
    lieu = cents((exact - whole) * Fraction(price or 0) / split)
    totals.splits += split != 1 and quantity != 0
    totals.fractions += exact != whole
    totals.lieu += lieu
    amount = cents(whole * Fraction(dividend))
    totals.dividends += amount
    return whole, lieu, amount


def _fee(quantity: int, price: Decimal, days: int) -> Decimal:
    at = price.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)  # as exactly as the broker keeps it
    return to_cents(quantity * at * number(BORROW_BPS) / 10_000 * days / 365)


# What has to hold.


def agrees(done: Replay, of: Files, first: str, last: str) -> Totals:
    """Every session: NAV, cash, receivables to the cent, every position to the share."""
    totals, result = Totals(), done.result
    navs = {nav.session: nav for nav in done.traded.navs}
    days = [str(day) for day in result.dates.astype("datetime64[D]")]
    names, row = result.weights.names, 0
    with localcontext(prec=60):
        book = list(recomputed(of, done.traded.fills, first, last, totals))
    for row, day in enumerate(book):
        nav = navs[day.session]
        assert days[row] == day.session
        worth = day.nav
        assert (nav.nav, nav.cash, nav.receivables) == (worth, to_cents(day.cash), day.owed), day.session
        expected = np.array([float(day.held[n] * day.marks[n] / worth) if n in day.held else 0.0 for n in names])
        assert np.allclose(result.weights.values[row], expected, rtol=1e-12, atol=1e-14), day.session
    assert len(navs) == len(days) == row + 1
    assert done.traded.held == day.held
    return totals


def explained(done: Replay, years: float) -> Mapping[str, float]:
    """The steps add up, and nothing of note is left unexplained."""
    effect = {step.name: step.effect for step in done.steps}
    total = done.simple + sum(effect.values())
    assert math.isclose(total, done.result.metrics.total_return, abs_tol=1e-12)
    assert abs(effect["rest"]) < BASIS_POINT * years
    return effect


def note(done: Replay, name: str) -> str:
    return next(step.note for step in done.steps if step.name == name)


def test_nine_years_of_splits_by_the_month(sp500: Path, tmp_path: Path) -> None:
    """The names that split or are odd, 2010 to 2018; the first year is the signal's."""
    of = files(sp500, tmp_path, splitting(sp500))
    first, last = "2010-12-31", "2018-12-31"
    done = traded(of, tmp_path, text("month_end", first, last, 0.35))
    totals = agrees(done, of, first, last)
    assert totals.splits > 50
    assert totals.fractions > 0
    assert totals.unconfirmed > 0
    effect = explained(done, 8.0)
    assert f"{totals.dividends:,.2f} in cash" in note(done, "dividends")
    assert f"{totals.splits} splits paid {totals.lieu:,.2f}" in note(done, "shares")
    assert abs(effect["shares"]) < 8 * BASIS_POINT


def test_what_is_owed_until_it_is_paid(sp500: Path, tmp_path: Path) -> None:
    """Dividends with pay dates, some beyond the last session; weights are shares of the capital."""
    of = files(sp500, tmp_path, splitting(sp500), pays_later=True)
    first, last = "2012-12-31", "2014-12-31"
    done = traded(of, tmp_path, text("month_end", first, last, 0.35), "capital")
    agrees(done, of, first, last)
    owed = [nav.receivables for nav in done.traded.navs]
    assert sum(amount != 0 for amount in owed) > 400
    assert "at most were owed at a close" in note(done, "dividends")
    assert "capital" in explained(done, 2.0)


@pytest.mark.soak
def test_nine_years_of_all_names_day_by_day(sp500: Path, tmp_path: Path) -> None:
    of = files(sp500, tmp_path)
    first, last = "2010-12-31", "2018-12-31"
    done = traded(of, tmp_path, text("1", first, last, 0.1))
    totals = agrees(done, of, first, last)
    assert totals.splits > 20
    explained(done, 8.0)
