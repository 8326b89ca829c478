"""A synthetic universe of realistic shape, seeded: the same call gives the same files.

Daily prices from a market factor, sector factors and the assets' own noise with fat tails and changing
volatility; some assets are listed late, some cells are missing. Volume follows price moves. Most assets pay dividends
every quarter, some split: prices are those that would be traded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sigc.panel import Dates, Floats, Panel

SECTORS = (
    "Communication", "Consumer Discretionary", "Consumer Staples", "Energy", "Financials", "Health Care",
    "Industrials", "Materials", "Real Estate", "Technology", "Utilities",
)  # fmt: skip


START = "2019-01-02"
_QUARTER = 63  # rows
_PAYING = 0.7  # of the assets
_SPLITS_A_DAY = 1 / 2_500


def business_days(start: str, count: int) -> Dates:
    """`count` weekdays from `start` on."""
    first = np.busday_offset(np.datetime64(start, "D"), 0, roll="forward")
    return np.busday_offset(first, np.arange(count)).astype("datetime64[ns]")


def sessions(start: str, count: int) -> Dates:
    """`count` sessions of the NYSE from `start` on; weekdays, where its calendar does not reach so far."""
    from sigc.data.dates.exchange import NYSE

    exchange = NYSE.of()
    days = exchange.days[int(exchange.place(np.array([start], "datetime64[D]"))[0]) :][:count]
    return days.astype("datetime64[ns]") if len(days) == count else business_days(start, count)


def write_universe(
    folder: Path, assets: int = 500, days: int = 1260, start: str = START, seed: int = 7, *, with_actions: bool = False
) -> None:
    """Write prices.parquet, volume.parquet, sectors.csv and benchmark.csv into `folder`.

    with_actions: prices as traded over splits and dividends, with corporate_actions.csv; total returns are the same.
    """
    from sigc_cli.datafile import write_file

    random = np.random.default_rng(seed)
    names = tuple(f"S{i:04d}" for i in range(assets))
    sector = random.integers(0, len(SECTORS), assets)
    dates = sessions(start, days)
    returns, market = _returns(random, days, assets, sector)
    prices: Floats = 20.0 * np.exp(random.normal(0.8, 0.6, assets)) * np.cumprod(1.0 + returns, axis=0)
    noise = random.normal(0, 0.3, returns.shape)
    level = random.normal(13.0, 1.0, assets)
    volume = np.asarray(np.round(np.exp(level + 8.0 * np.abs(returns) + noise)), dtype=np.float64)
    late = random.random(assets) < 0.08
    begins = np.where(late, random.integers(20, max(21, days // 2), assets), 0)
    hidden = (np.arange(days)[:, None] < begins) | (random.random(returns.shape) < 0.0005)
    prices[hidden] = np.nan
    volume[hidden] = np.nan
    folder.mkdir(parents=True, exist_ok=True)
    if with_actions:
        lines = _act(np.random.default_rng([seed, 1]), prices, volume, names, dates)
        text = "\n".join(["date,ticker,split,dividend", *lines]) + "\n"
        (folder / "corporate_actions.csv").write_text(text, encoding="utf-8")
    write_file(Panel(dates, names, np.round(prices, 4)), folder / "prices.parquet", "wide")
    write_file(Panel(dates, names, volume), folder / "volume.parquet", "wide")
    index = np.round(100.0 * np.cumprod(1.0 + market), 4)
    write_file(Panel(dates, ("MARKET",), index[:, None]), folder / "benchmark.csv", "wide")
    rows = [f"{n},{SECTORS[s]}" for n, s in zip(names, sector, strict=True)]
    (folder / "sectors.csv").write_text("\n".join(["ticker,sector", *rows]) + "\n", encoding="utf-8")


def _act(
    random: np.random.Generator, prices: Floats, volume: Floats, names: tuple[str, ...], dates: Dates
) -> list[str]:
    """Turn levels of total return into prices as traded, in place; the lines of the actions, by date."""
    lines = []
    for column, name in enumerate(names):
        pays = random.random() < _PAYING
        first, yearly = int(random.integers(_QUARTER)), random.uniform(0.005, 0.04)
        splits = set(np.flatnonzero(random.random(len(dates)) < _SPLITS_A_DAY).tolist())
        for row in range(1, len(dates)):
            is_paid = pays and row % _QUARTER == first
            price = prices[row, column]
            if not (is_paid or row in splits) or np.isnan(price):
                continue
            split = float(random.choice((2.0, 3.0))) if row in splits else 1.0
            cash = round(price / split * yearly / 4, 2) if is_paid else 0.0
            factor = split * (1.0 + cash / (price / split - cash))
            prices[row:, column] /= factor
            volume[row:, column] = np.round(volume[row:, column] * split)
            lines.append(f"{dates[row].astype('datetime64[D]')},{name},{split:g},{cash:g}")
    return sorted(lines)


def _returns(
    random: np.random.Generator, days: int, assets: int, sector: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
) -> tuple[Floats, Floats]:
    """Daily returns (days, assets) and those of the market (days,). Winners drift on a little: momentum."""
    calm = np.exp(np.cumsum(random.normal(0, 0.05, days)) * 0.3)
    market: Floats = 0.0003 + 0.009 * np.clip(calm, 0.5, 2.5) * random.standard_t(5, days) / np.sqrt(5 / 3)
    by_sector = 0.004 * random.standard_t(5, (days, len(SECTORS)))
    beta = random.normal(1.0, 0.25, assets)
    own = random.uniform(0.008, 0.02, assets) * random.standard_t(4, (days, assets)) / np.sqrt(2)
    # A drift that changes slowly, the same sign for about a year.
    steps = random.normal(0, 1, (days // 378 + 2, assets))
    drift = 0.0005 * np.repeat(steps, 378, axis=0)[:days]
    returns = market[:, None] * beta + by_sector[:, sector] + own + drift
    return np.clip(returns, -0.4, 0.6), market
