"""`sigc convert` and `sigc validate` over corporate actions: what is written is what signals see, a split is no jump."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sigc.errors import SigcError
from sigc_cli.main import cli

BARS = """date,ticker,close,volume,split,dividend
2024-01-02,AAA,100,10,1,0
2024-01-03,AAA,25,40,4,0
2024-01-04,AAA,25.2,44,1,0
2024-01-05,AAA,25,48,1,0.2
"""


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    (tmp_path / "bars.csv").write_text(BARS)
    return tmp_path / "bars.csv"


def said(*words: object) -> str:
    done = CliRunner().invoke(cli, [str(w) for w in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("column", "adjust", "expected"),
    [
        ("close", "none", [100, 25, 25.2, 25]),
        ("close", "split", [100, 100, 100.8, 100]),
        ("close", "split_div", [100, 100, 100.8, 100.8]),  # 25 x 4 x (1 + 0.2 / 25)
        ("volume", "split", [10, 10, 11, 12]),
        ("volume", "split_div", [10, 10, 11, 12]),
    ],
)
def test_convert_writes_what_signals_see(bars: Path, column: str, adjust: str, expected: list[float]) -> None:
    target = bars.with_name("out.csv")
    said("convert", bars, target, "--column", column, "--adjust", adjust)
    assert [float(line.split(",")[1]) for line in target.read_text().splitlines()[1:]] == pytest.approx(expected)


def test_a_split_that_the_file_tells_is_no_jump(bars: Path) -> None:
    assert "jump" not in said("validate", bars, "--column", "close")
    bars.write_text(BARS.replace(",4,0", ",1,0"))
    assert "AAA 2024-01-03 (-75.0%)" in said("validate", bars, "--column", "close")


def test_a_file_of_actions_is_validated_as_one(tmp_path: Path) -> None:
    path = tmp_path / "acts.csv"
    path.write_text("date,ticker,kind,value,into\n2024-01-03,AAA,split,4:1,\n2024-02-01,BBB,rename,,CCC\n")
    assert "corporate actions of 2 assets, 2024-01-03 to 2024-02-01: 1 rename, 1 split" in said("validate", path)
    facts = json.loads(said("validate", path, "--json"))
    assert facts["actions"] == {"rename": 1, "split": 1}
    path.write_text("date,ticker,split\n2024-01-03,AAA,four\n")
    with pytest.raises(SigcError, match="row 2, column 'split': 'four' is not a number") as no:
        said("validate", path)
    assert no.value.diagnostics[0].hint == "a ratio is a number or 4:1, an amount a number"
