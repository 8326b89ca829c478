"""Which prices are money: as traded, named by traded=; a file of adjusted ones alone is researched and not traded."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigc.blocks.block import MemoryStore
from sigc.errors import SigcError
from sigc_pipelines.backtest.backtest import backtest, pick
from sigc_pipelines.compute import Loaded, Workspace, load
from sigc_pipelines.prices.as_traded import refuse_adjusted, told_of_actions
from sigc_pipelines.prices.quotes import accepted
from tests.world import WEEKDAYS, workspace, write_strategy

ROOT = Path(__file__).parents[2]
ROWS = 120
DAYS = pd.bdate_range("2023-01-02", periods=ROWS)
SPLITS = ((30, "A", 4.0), (60, "B", 2.0), (90, "A", 2.0))
REST = "signal s:\n  emit prices\nportfolio main:\n  weights = where(prices == prices[A], 1, 0)\n  backtest rebal=1\n"


def traded() -> pd.DataFrame:
    """Two assets that grow by 0.1 % a day but for their splits."""
    values = np.full((ROWS, 2), 1000.0) * 1.001 ** np.arange(ROWS)[:, None]
    for row, name, ratio in SPLITS:
        values[row:, "AB".index(name)] /= ratio
    return pd.DataFrame(values, DAYS, ["A", "B"]).rename_axis("date")


def adjusted() -> pd.DataFrame:
    """The same as a vendor adjusts it: back from the last row."""
    frame = traded()
    for row, name, ratio in SPLITS:
        frame.iloc[:row, "AB".index(name)] /= ratio
    return frame


def loaded(folder: Path, data: str) -> tuple[Loaded, Workspace]:
    traded().to_csv(folder / "raw.csv")
    adjusted().to_csv(folder / "adjusted.csv")
    both = [
        f"{day:%Y-%m-%d},{name},{after},{before}\n"
        for day, afters, befores in zip(DAYS, adjusted().to_numpy(), traded().to_numpy(), strict=True)
        for name, after, before in zip("AB", afters, befores, strict=True)
    ]
    (folder / "both.csv").write_text("date,ticker,close,unadjusted\n" + "".join(both))
    lines = [f"{DAYS[row]:%Y-%m-%d},{name},{ratio},0\n" for row, name, ratio in SPLITS]
    (folder / "acts.csv").write_text("date,ticker,split,dividend\n" + "".join(lines))
    space = workspace(MemoryStore(), exchanges=WEEKDAYS)
    return load(write_strategy(folder, "data:\n" + data + REST), space), space


ACTS = '  corporate_actions: load csv from "acts.csv"\n'
BY_SOURCE = (
    '  prices: load csv from "adjusted.csv" adjusted=true traded=closes\n  closes: load csv from "raw.csv"\n' + ACTS
)
BY_COLUMN = '  prices: load csv from "both.csv" column=close adjusted=true traded=unadjusted\n' + ACTS


@pytest.mark.parametrize("data", [BY_SOURCE, BY_COLUMN])
def test_money_is_counted_by_the_prices_that_are_named(tmp_path: Path, data: str) -> None:
    of, space = loaded(tmp_path, data)
    made = accepted(of, space, of.money, 0, ROWS)
    assert np.allclose(made.prices, traded().to_numpy())
    assert np.allclose(made.levels[1:] / made.levels[:-1], 1.001)
    refuse_adjusted(of)
    found = backtest(of, space, pick(of))
    assert np.allclose(found.returns[1:], 0.001)
    assert not found.findings


def test_adjusted_prices_alone_are_researched_and_not_traded(tmp_path: Path) -> None:
    of, space = loaded(tmp_path, '  prices: load csv from "adjusted.csv" adjusted=true\n' + ACTS)
    assert np.allclose(backtest(of, space, pick(of)).returns[1:], 0.001)
    with pytest.raises(SigcError, match="says adjusted=true, and no other holds the prices as traded"):
        refuse_adjusted(of)


def test_prices_that_do_not_jump_on_their_own_splits_give_themselves_away(tmp_path: Path) -> None:
    of, space = loaded(tmp_path, '  prices: load csv from "adjusted.csv"\n' + ACTS)
    (told,) = of.judged.findings
    assert "looks adjusted, not as traded" in told.message
    assert "does not jump on 3 of 3 splits" in told.message
    assert np.allclose(backtest(of, space, pick(of)).returns[1:], 0.001)
    with pytest.raises(SigcError, match="looks adjusted"):
        refuse_adjusted(of)


def test_prices_as_traded_are_traded_and_tell_who_has_no_actions(tmp_path: Path) -> None:
    of, _ = loaded(tmp_path, '  prices: load csv from "raw.csv"\n' + ACTS)
    refuse_adjusted(of)
    assert told_of_actions(of) == ()
    bare, _ = loaded(tmp_path, '  prices: load csv from "raw.csv"\n')
    refuse_adjusted(bare)
    (told,) = told_of_actions(bare)
    assert told.message == "no corporate actions are declared: splits are held, dividends are not booked"


def readers_of_prices() -> set[str]:
    """The modules of the pipelines that read a panel of a source by themselves."""
    found = set()
    for path in (ROOT / "pipelines").rglob("*.py"):
        names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        if names & {"source_panel", "rescale", "adjusted"}:
            found.add(path.stem)
    return found


def test_no_other_reader_of_prices(tmp_path: Path) -> None:
    """A source's panel is what its file has; adjusted prices are a node of the plan alone. Who reads panels is listed:
    prices go through `quotes.accepted`, these read volumes, sectors, counts of what is there, and levels of indices."""
    assert readers_of_prices() == {
        "prior_acceptance",
        "closes",
        "coverage",
        "dollars",
        "targets",
        "quotes",
        "benchmark",
        "constraint_inputs",
    }
    of, space = loaded(tmp_path, '  prices: load csv from "raw.csv" adjust=split\n' + ACTS)
    assert set(of.grid.leaves) == {"prices", "prices:split"}
    assert of.money == "prices"
    assert np.allclose(accepted(of, space, of.money, 0, ROWS).prices, traded().to_numpy())
