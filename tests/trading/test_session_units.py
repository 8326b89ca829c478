"""Orders, prices and what is held are in the units of the session that is traded, through the command a user types."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

CONFIG = """data:
  roots: ["{data}"]
execution:
  capital: 100000
safety:
  max_position: 1.0
  max_order_value: 0
daemon:
  work_dir: ./state
  cache: {{directory: ./cache}}
"""
BOOK = """signal one:
  emit where({close} == {close}[{asset}], 1, 0)
portfolio main:
  weights = 0.5 * one
  backtest rebal=1
"""


def project(folder: Path, data: str, close: str, asset: str, roots: Path) -> Path:
    (folder / "s.sig").write_text("data:\n" + data + BOOK.format(close=close, asset=asset))
    (folder / "sigc.yaml").write_text(CONFIG.format(data=roots))
    return folder


def ran(folder: Path, *words: str) -> dict[str, object]:
    line = [sys.executable, "-m", "sigc_cli.main", "run", "s.sig", "--work-dir", "state", "--json", *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def orders(said: dict[str, object]) -> list[tuple[str, str, Decimal, Decimal]]:
    listed = said["orders"]
    assert isinstance(listed, list)
    return [(o["asset"], o["side"], Decimal(o["quantity"]), Decimal(o["reference"])) for o in listed]


@pytest.mark.parametrize("adjust", ["split", "split_div"])
def test_an_order_after_a_split_is_for_the_shares_there_are(tmp_path: Path, adjust: str) -> None:
    rows = "2024-01-02,AAA,100,1\n2024-01-03,AAA,25,4\n2024-01-04,AAA,25.2,1\n2024-01-05,AAA,25,1\n"
    (tmp_path / "p.csv").write_text("date,ticker,close,split\n" + rows)
    project(tmp_path, f'  prices: load csv from "p.csv" column=close adjust={adjust}\n', "prices", "AAA", tmp_path)
    found = orders(ran(tmp_path, "--dry-run", "--date", "2024-01-05"))
    assert found == [("AAA", "buy", Decimal(2000), Decimal("25.0"))]


def test_what_is_held_over_a_split_is_not_sold_for_it(tmp_path: Path, sp500: Path) -> None:
    """Apple before and after 7:1 on 2014-06-09: closes 647.35, 645.57 and 93.70 as they were traded."""
    data = (
        f'  prices: load parquet from "{sp500}/close.parquet" adjust=split_div\n'
        f'  corporate_actions: load csv from "{sp500}/corporate_actions.csv"\n'
    )
    project(tmp_path, data, "prices", "AAPL", sp500)
    assert orders(ran(tmp_path, "--date", "2014-06-05")) == [("AAPL", "buy", Decimal(77), Decimal("647.35"))]
    # 77 are 539 at 645.57 / 7 on the 9th; half of 100,000 is 542 of them, as smaller shares divide it better.
    assert orders(ran(tmp_path, "--date", "2014-06-06")) == [("AAPL", "buy", Decimal(3), Decimal("92.224286"))]
    # 542 are held at the close of the 9th, at 93.70; half of 100,000 is 533 of them.
    assert orders(ran(tmp_path, "--date", "2014-06-09")) == [("AAPL", "sell", Decimal(9), Decimal("93.7"))]
