"""The worked example of docs/trading.md, command by command, with its order management system as a process of its own."""

from __future__ import annotations

import csv
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from sigc_cli.synthetic_universe import business_days
from tests.cli.test_trading import code, data, sigc
from tests.conftest import ROOT
from tests.trading.script import TEXT
from tests.world import write_strategy, write_wide

PAGE = (ROOT / "docs" / "trading.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## A broker of folders\n")[1].split("\n## ")[0]
SETTINGS = SECTION.split("```yaml\n")[1].split("```")[0]
BEFORE, AFTER = (
    [line[4:] for line in part.splitlines() if line.startswith("    ")] for part in SECTION.split("```")[::2]
)
REST = """
daemon: {{work_dir: {work}, cache: {{directory: {cache}}}}}
cluster: {{type: none}}
schedule: {{calendar: weekdays}}
execution: {{cut_off: close}}
"""
WEIGHTS, PRICES = {"ACME": 0.1, "APEX": -0.1}, {"ACME": 100.0, "APEX": 50.0}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jit_directory: Path) -> Path:
    """A folder with the settings of the page and a strategy on data until today, entered."""
    folder = tmp_path / "strategies"
    folder.mkdir()
    days = 60
    dates = business_days(str((datetime.now(UTC) - timedelta(days=84)).date()), days + 1)
    dates = dates[dates <= np.datetime64(datetime.now(UTC).date())]
    for name, values in (("prices", PRICES), ("momentum", WEIGHTS)):
        write_wide(folder / f"{name}.parquet", dates, np.tile([*values.values()], (len(dates), 1)), tuple(values))
    volume = 1e6 + np.arange(len(dates))[:, None] * np.ones(2)
    write_wide(folder / "volume.parquet", dates, volume, tuple(PRICES))
    (folder / "sectors.csv").write_text("ticker,sector\nACME,X\nAPEX,X\n")
    write_strategy(folder, TEXT.format(target="momentum", how="", more=""), "momentum")
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    (cache / "jit").symlink_to(jit_directory / "jit")
    rest = REST.format(work=tmp_path / "work", cache=cache)
    (tmp_path / "sigc.yaml").write_text(placed(SETTINGS, tmp_path) + rest)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def placed(text: str, project: Path) -> str:
    """The text of the page with its folder inside the project."""
    return text.replace("/srv/desk", str(project / "desk"))


@pytest.fixture
def oms(project: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What the page says to do before its settings; the last command goes on."""
    *before, script = [placed(line, project) for line in BEFORE]
    for line in before:
        subprocess.run(["/bin/sh", "-c", line], check=True)
    python, *words = shlex.split(script.removesuffix("&"))
    assert python == "python"
    process = subprocess.Popen([sys.executable, *words, "--every", "0.05"])
    try:
        while not (project / "desk" / "inbox" / "account.csv").exists():
            assert process.poll() is None
            os.sched_yield()
        yield process
    finally:
        process.kill()
        process.wait()


def written(path: Path) -> list[dict[str, str]]:
    """The rows of a file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_command_does_what_the_page_says(project: Path, oms: subprocess.Popen[bytes]) -> None:
    said = {}
    for line in AFTER:
        program, *words = shlex.split(line, comments=True)
        assert program == "sigc"
        done = sigc(*words)
        assert code(done) == 0, f"{line}\n{done.output}\n{done.exception}"
        said[" ".join(words[:2])] = done.stdout
    assert len(said) == 5, "the run is there twice"
    assert said["broker check"].splitlines()[:3] == [
        "broker       files paper: PAPER, no real money",
        "account      cash 1000000, equity 1000000, buying power 2000000",
        "positions    0",
    ]
    desk = project / "desk"
    assert len(list((desk / "outbox").glob("order-*.csv"))) == 2
    assert [(f["asset"], f["side"], f["quantity"], f["price"]) for f in written(desk / "inbox" / "fills.csv")] == [
        ("APEX", "sell", "2000", "50"),
        ("ACME", "buy", "1000", "100"),
    ]
    assert "ledger and broker agree" in said["reconcile"]
    again, first = data("runs", "list")
    assert [(r["outcome"], r["broker"], r["revision"]) for r in (first, again)] == [
        ("done", "files paper", 0),
        ("unchanged", "files paper", 1),
    ]
    (book,) = data("positions")
    assert {p["asset"]: p["quantity"] for p in book["positions"]} == {"ACME": "1000", "APEX": "-2000"}
    assert sigc("broker", "check").stdout.splitlines()[2] == "positions    2: ACME 1000, APEX -2000"


def test_a_desk_that_was_killed_goes_on(project: Path, oms: subprocess.Popen[bytes]) -> None:
    assert code(sigc("run", "strategies/momentum.sig")) == 0
    oms.send_signal(signal.SIGKILL)
    oms.wait()
    fills = project / "desk" / "inbox" / "fills.csv"
    before = fills.read_text()
    with fills.open("a") as file:
        file.write("desk-3,half a li")
    script = placed(BEFORE[-1], project).removesuffix("&")
    words = [*shlex.split(script)[1:], "--every", "0.05"]
    account = project / "desk" / "inbox" / "account.csv"
    account.unlink()
    process = subprocess.Popen([sys.executable, *words])
    try:
        while not account.exists():
            assert process.poll() is None
            os.sched_yield()
        assert fills.read_text() == before
        assert "ledger and broker agree" in sigc("reconcile").stdout
    finally:
        process.kill()
        process.wait()


def test_a_live_desk_is_traded_by_the_daemon_alone(project: Path, oms: subprocess.Popen[bytes]) -> None:
    settings = project / "sigc.yaml"
    settings.write_text(settings.read_text().replace("is_live: false", "is_live: true"))
    assert sigc("broker", "check").stdout.startswith("broker       files live: LIVE, real money\n")
    refused = sigc("run", "strategies/momentum.sig")
    assert code(refused) != 0
    assert "a live broker is traded by the daemon alone" in str(refused.exception)
    assert list((project / "desk" / "outbox").iterdir()) == []


def test_a_dead_desk_is_told(project: Path, oms: subprocess.Popen[bytes]) -> None:
    oms.kill()
    oms.wait()
    (project / "desk" / "inbox" / "account.csv").write_text(
        "time,cash,equity,buying_power\n2024-01-15T21:00:00Z,1,1,1\n"
    )
    told = sigc("broker", "check")
    assert code(told) == 7
    assert "does the order management system still write?" in str(told.exception)
