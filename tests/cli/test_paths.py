"""A path that does not exist is an error for every command that takes one, whatever lies elsewhere under its name."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from sigc.errors import SigcError
from sigc_cli.main import cli
from tests.cli.test_looking import ALL

PRICES = "date,A,B\n2024-03-06,1,10\n2024-03-07,2,20\n2024-03-08,3,30\n"
STRATEGY = 'data:\n  prices: load csv from "prices.csv"\nportfolio p:\n  weights = rank(prices)\n'
MAKERS = ("init", "backup")  # of the folder that they are given
SEVERAL = {
    "diff": ("strategy.sig", "GONE"),
    "diff-data": ("prices.csv", "GONE"),
    "convert": ("GONE", "out.csv"),
    "restore": ("GONE", "--reason", "x"),
}
# `config validate` says what it is of; the data are of a long or a wide file, the rest strategies.
NAME = {"validate": "prices.csv", "convert": "prices.csv", "diff-data": "prices.csv", "config validate": "sigc.yaml"}
CODES = {"E200", "E202", "E400"}


def takes_a_path(command: click.Command) -> bool:
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    return any(isinstance(p.type, click.Path) or "FILE" in (p.metavar or "") for p in arguments)


WALKED = sorted(words for words, command in ALL.items() if takes_a_path(command) and words not in MAKERS)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good file under each name, beside the one that is asked for; and the same in the data directory."""
    for place in (tmp_path, tmp_path / "data"):
        place.mkdir(exist_ok=True)
        (place / "prices.csv").write_text(PRICES)
        (place / "strategy.sig").write_text(STRATEGY)
        (place / "sigc.yaml").write_text("cluster: {type: none}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sigc(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), standalone_mode=False)


def test_the_walk_has_them_all() -> None:
    named = {"validate", "convert", "diff-data", "check", "run", "backtest", "explain", "fmt", "diff", "optimize"}
    assert named <= set(WALKED)


@pytest.mark.parametrize("where", ["nonsense", "/nowhere"])
@pytest.mark.parametrize("words", WALKED)
def test_a_path_that_does_not_exist_is_an_error(folder: Path, words: str, where: str) -> None:
    gone = f"{where}/{NAME.get(words, 'strategy.sig')}"
    arguments = [gone if word == "GONE" else word for word in SEVERAL.get(words, ("GONE",))]
    before = sorted(folder.rglob("*"))
    done = sigc(*words.split(), *arguments)
    said = str(done.exception or "") + done.output
    assert ": ok" not in done.output
    assert done.return_value or done.exception is not None, said
    assert where in said
    if isinstance(done.exception, SigcError):
        assert done.exception.diagnostics[0].code in CODES, said
    assert [path for path in sorted(folder.rglob("*")) if path.suffix in (".csv", ".sig")] == [
        path for path in before if path.suffix in (".csv", ".sig")
    ]


def test_a_file_is_the_one_that_is_named(folder: Path) -> None:
    """Another one of its name in the working directory is neither taken for it, nor in its way."""
    (folder / "sub").mkdir()
    (folder / "sub" / "prices.csv").write_text("date,C\n2024-03-06,1\n2024-03-07,2\n")
    assert "1 asset, 2024-03-06 to 2024-03-07, 2 rows" in sigc("validate", "sub/prices.csv").output
    assert "2 assets, 2024-03-06 to 2024-03-08, 3 rows" in sigc("validate", "prices.csv").output
    told = sigc("diff-data", "sub/prices.csv", "prices.csv").output
    assert "assets new: 2 (A, B)" in told
    assert sigc("validate", "sub").exception is None  # a folder is read whole
