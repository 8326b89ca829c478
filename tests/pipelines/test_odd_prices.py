"""Strategies over prices with halts, ends, jumps and zeros: what a backtest says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import sigc
from sigc.errors import SigcError
from sigc_cli.commands.backtest import command

HEAD = 'data:\n  prices: load csv from "prices.csv"{options}\nsignal a:\n  emit {signal}\nportfolio main:\n  weights = {weights}\n'
Prices = dict[str, list[float | None]]
DEFINED = "fill_nan(prices * 0, 0) + 1"


def strategy(folder: Path, prices: Prices, tail: str, **said: str) -> Any:
    """A strategy over such prices, of business days from 2 January 2024."""
    rows = len(next(iter(prices.values())))
    dates = pd.bdate_range("2024-01-02", periods=rows)
    pd.DataFrame(prices, dates.rename("date")).to_csv(folder / "prices.csv")
    words = {"options": "", "signal": DEFINED, "weights": "a * 0.4"} | said
    (folder / "s.sig").write_text(HEAD.format(**words) + tail, encoding="utf-8")
    return sigc.compile(folder / "s.sig", cache="memory")


def told(result: Any) -> str:
    return "\n".join(f"{f.code} {f.message}" for f in result.findings)


ONES: Prices = {"A": [1.0, 1.0, 1.0], "B": [1.0, 1.0, 1.0]}
BOOK: Prices = {
    "DEAD": [100.0, 100.0] + [None] * 6,
    "HALT": [100.0, 100.0, None, None, 100.0, 100.0, 100.0, 100.0],
    "NEW": [None] * 6 + [10.0, 10.0],
    "OLD": [100.0] * 8,
}


@pytest.mark.parametrize(
    "limits", ["min_position = 0.05", "max_position = 0.25", "max_gross = 0.9", "min_positions = 4"]
)
def test_unlisted_halted_and_dead_assets_block_no_constraint(tmp_path: Path, limits: str) -> None:
    tail = f"  constraints:\n    {limits}\n  backtest rebal=1\n"
    made = strategy(tmp_path, BOOK, tail, options=" ended_after=3", weights="a * 0.2")
    weights = made.backtest().weights
    assert weights["NEW"].tolist()[:6] == [0.0] * 6
    assert weights["NEW"].iloc[6] == pytest.approx(0.2)
    assert weights["DEAD"].tolist() == pytest.approx([0.2, 0.2, 0.2, 0.2, 0.0, 0.0, 0.0, 0.0])
    assert weights["HALT"].to_numpy() == pytest.approx([0.2] * 8)
    assert weights["OLD"].to_numpy() == pytest.approx([0.2] * 8)


def test_what_is_stuck_is_given_and_the_rest_goes_where_it_is_nearest(tmp_path: Path) -> None:
    prices: Prices = {"A": [100.0, 140.0, None, 140.0], "B": [100.0] * 4}
    tail = "  constraints:\n    max_gross = 0.5\n  backtest drift=true rebal=2\n"
    made = strategy(tmp_path, prices, tail, weights="a * 0.25")
    row = made.backtest().weights.iloc[2]
    assert row["A"] == pytest.approx(0.35 / 1.1)  # drifted, and stuck
    assert row["B"] == pytest.approx(0.5 - 0.35 / 1.1)
    tight = tail.replace("0.5", "[0.1, 0.3]").replace("max_gross", "gross_exposure")
    row = strategy(tmp_path, prices, tight, weights="a * 0.15").backtest().weights.iloc[2]
    assert row["B"] >= 0.0


def test_a_clash_names_asset_date_and_limit(tmp_path: Path) -> None:
    tail = "  constraints:\n    max_position = 0.1\n    min_position = 0.2\n  backtest\n"
    with pytest.raises(SigcError, match=r"2024-01-02: max_position 0\.1, min_position 0\.2 \(assets: A, B\)"):
        strategy(tmp_path, ONES, tail).backtest()


def test_an_end_is_told_with_its_share(tmp_path: Path) -> None:
    tail = "  backtest rebal=100 delisting_return=-0.5\n"
    made = strategy(tmp_path, BOOK, tail, options=" ended_after=3", weights="a * 0.2")
    result = made.backtest()
    assert "W002 held assets had no price for too long and left at their last one: DEAD 2024-01-08 (20.00% of" in told(
        result
    )
    assert result.metrics.total_return == pytest.approx(-0.1)


def test_a_dead_asset_of_which_nothing_is_wanted_takes_no_room(tmp_path: Path) -> None:
    """Its weight is undefined where it has no price; where a weight is wanted of it, it takes what it holds."""
    prices: Prices = {"A": [100.0] * 3 + [None] * 5, "B": [100.0, 100.0, 100.0, 100.0, 120.0, 140.0, 160.0, 200.0]}
    tail = "  constraints:\n    max_gross = 1\n  backtest\n"
    for options in ("", " ended_after=1"):
        said = {"signal": "scale(prices * 0 + 1)", "weights": "a", "options": options}
        assert strategy(tmp_path, prices, tail, **said).backtest().metrics.total_return == pytest.approx(1.0)
    wanted = {"signal": "scale(fill_nan(prices * 0, 0) + 1)", "weights": "2 * a"}
    result = strategy(tmp_path, prices, tail, **wanted).backtest()
    assert result.weights["B"].tolist() == pytest.approx([0.5] * 8)  # half of the book may still come back


def test_money_never_uses_a_jump(tmp_path: Path) -> None:
    prices: Prices = {"A": [100.0, 100.0, 900.0, 100.0, 100.0, 250.0, 252.5, 252.5], "B": [100.0] * 8}
    result = strategy(tmp_path, prices, "  backtest\n").backtest()
    assert result.returns.to_numpy() == pytest.approx([0, 0, 0, 0, 0, 0, 0.4 * 1.525, 0])
    assert (
        "W006 source 'prices': 2 prices jump by more than 50%: A 2024-01-04 (+800.0%), A 2024-01-09 (+150.0%)"
        in told(result)
    )
    masked = strategy(tmp_path, prices, "  backtest\n", options=" mask_anomalies=true")
    assert np.array_equal(masked.backtest().returns, result.returns)
    loose = strategy(tmp_path, prices, "  backtest\n", options=" max_return=9").backtest()
    assert loose.returns.iloc[2] == pytest.approx(3.2)


def test_prices_of_zero_and_below_are_none(tmp_path: Path) -> None:
    prices: Prices = {"A": [100.0, 100.0, 0.0, 110.0], "B": [100.0] * 4}
    result = strategy(tmp_path, prices, "  backtest\n").backtest()
    assert result.returns.to_numpy() == pytest.approx([0, 0, 0, 0.04])
    assert "W006 source 'prices': 1 price is 0 or below: A 2024-01-04 (0)" in told(result)
    prices["A"][1] = -5.0
    with pytest.raises(SigcError, match=r"E201\]: source 'prices': 2 prices are 0 or below: A 2024-01-03 \(-5\)"):
        strategy(tmp_path, prices, "  backtest\n").backtest()
    assert strategy(tmp_path, prices, "  backtest\n", options=" max_anomalies_pct=50").backtest().findings
    strategy(tmp_path, prices, "  backtest\n", options=" allow_negative=true").backtest()


def test_a_ruined_book_has_a_date_and_no_more(tmp_path: Path) -> None:
    prices: Prices = {"A": [100.0, 60.0, 90.0, 130.0], "B": [100.0] * 4}
    result = strategy(tmp_path, prices, "  backtest\n", weights="a * 3").backtest()
    assert result.metrics.ruined == "2024-01-03"
    assert result.metrics.total_return == -1.0
    assert result.returns.tolist() == [0.0, -1.0, 0.0, 0.0]


def test_a_benchmark_is_looked_for_before_the_range(tmp_path: Path) -> None:
    prices: Prices = {"A": [100.0] * 5, "B": [100.0, None, None, 90.0, 90.0]}
    tail = "  backtest benchmark=B from 2024-01-04 to 2024-01-08\n"
    assert strategy(tmp_path, prices, tail).backtest().result.benchmark.tolist() == pytest.approx([0.0, -0.1, 0.0])


def test_a_search_equals_single_backtests(tmp_path: Path) -> None:
    strategy(tmp_path, BOOK, "  backtest\n", options=" ended_after=3")
    text = (tmp_path / "s.sig").read_text().replace("signal a", "params:\n  size: [0.1, 0.2, 0.3]\nsignal a")
    (tmp_path / "s.sig").write_text(text.replace("a * 0.4", "a * size"))
    made = sigc.compile(tmp_path / "s.sig", cache=False)
    for scored in made.optimize().scored:
        single = made.with_params(**scored.params).backtest()
        assert scored.returns.tobytes() == single.result.returns.tobytes()
        assert scored.metrics == single.metrics


def test_orders_and_the_simple_accounting_agree_on_a_halt(tmp_path: Path) -> None:
    prices: Prices = {"A": [100.0, 100.0, 100.0, 100.0, 100.0, None, 50.0, 50.0, 50.0], "B": [100.0] * 9}
    strategy(tmp_path, prices, "  backtest rebal=100 from 2024-01-04\n", weights="fill_nan(prices * 0, 0) + 0.5")
    done = CliRunner().invoke(command, [str(tmp_path / "s.sig"), "--no-cache", "--orders"], catch_exceptions=False)
    found = {line.rsplit(maxsplit=2)[0].strip(): line for line in done.output.splitlines() if "%" in line}
    simple = next(line for line in found.values() if line.strip().startswith("simple accounting"))
    orders = next(line for line in found.values() if line.strip().startswith("orders"))
    assert "-25.00%" in simple
    assert "-25.00%" in orders


@pytest.mark.parametrize("weights", ["a * 1e200", "exp(a * 1e6)"])
def test_results_beyond_any_book_are_told(weights: str, tmp_path: Path) -> None:
    result = strategy(tmp_path, BOOK, "  backtest\n", weights=weights).backtest()
    assert "weights are beyond any book on" in told(result)
    done = CliRunner().invoke(command, [str(tmp_path / "s.sig"), "--no-cache"], catch_exceptions=False)
    assert all(len(word) < 30 for line in done.output.splitlines() if "%" in line for word in line.split()[-1:])
