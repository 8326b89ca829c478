"""`sigc audit` as a person uses it, beside a process that holds the ledger."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sigc.clock import HandClock
from sigc.config.check import load_config
from sigc.config.settings import AuditSettings
from sigc.errors import SigcError, exit_code
from sigc.store.audit.mirror import mirror
from sigc.store.audit.sign import signer
from sigc.store.ledger.connection import FILE
from sigc.store.ledger.ledger import Ledger
from sigc_cli.assembly.workdir import work_dir
from sigc_cli.main import cli
from tests.store.chains import START, reading, write
from tests.store.test_verify import make_key

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose configuration names a work dir with a signed ledger of thirty records."""
    key = make_key(tmp_path / "audit.pem")
    folder = tmp_path / "work"
    write(folder, 30, sign=signer(key))
    (tmp_path / "sigc.yaml").write_text(f"daemon: {{work_dir: {folder}}}\naudit: {{sign_key: {key}}}\n")
    monkeypatch.chdir(tmp_path)
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["audit", *arguments], standalone_mode=False, catch_exceptions=True)


def code(result: Result) -> int:
    if isinstance(result.exception, SigcError):
        return exit_code(result.exception.diagnostics)
    assert result.exception is None, result.exception
    return result.return_value or 0


def test_verify(work: Path) -> None:
    whole = run("verify")
    assert code(whole) == 0
    assert "30 records, whole" in whole.stdout
    assert "30 good" in whole.stdout
    with Ledger.open(work, HandClock(START)):  # whoever writes is not in the way
        assert code(run("anchor")) == 0
        told = json.loads(run("verify", "--json").stdout)
    assert (told["whole"], told["bad"], told["anchors"], told["signed"]) == (True, None, 1, 30)
    with closing(sqlite3.connect(work / FILE)) as connection:
        connection.execute("UPDATE audit SET event = 'order.lost' WHERE seq = 7")
        connection.commit()
    broken = run("verify", "--json")
    assert code(broken) == 8
    assert json.loads(broken.stdout)["bad"] == 7
    assert "record 7 is bad" in broken.stderr
    assert run("verify").stdout == ""


def test_verify_finds_the_end_cut_off_by_its_anchors(work: Path) -> None:
    assert "anchored: record 30" in run("anchor").stdout
    assert "anchored already: record 30" in run("anchor").stdout
    with closing(sqlite3.connect(work / FILE)) as connection:
        connection.execute("DELETE FROM audit WHERE seq > 25")
        connection.commit()
    broken = run("verify")
    assert code(broken) == 8
    assert "record 26 is bad: the end was cut off" in broken.stderr
    assert code(run("verify", "--anchors", "nowhere")) == 4


def test_verify_finds_what_the_mirror_has_and_the_chain_has_not(work: Path) -> None:
    """The end of the chain is cut off, and its anchors are gone: the mirror beside it has the records."""
    with reading(work / FILE) as connection:
        assert mirror(connection, work / "audit", AuditSettings(), START).copied == 30
    with closing(sqlite3.connect(work / FILE)) as connection:
        connection.execute("DELETE FROM audit WHERE seq > 25")
        connection.commit()
    broken = run("verify")
    assert code(broken) == 8
    assert "record 26 is bad: the end was cut off: the mirror" in broken.stderr


def test_anchors_that_are_named_must_be_of_this_ledger(work: Path, tmp_path: Path) -> None:
    assert "Anchors:     NONE" in run("verify").stdout
    other = tmp_path / "other.jsonl"
    other.write_text('{"at":"2024-01-02T00:00:00+00:00","digest":"00","ledger":"another","seq":3}\n')
    refused = run("verify", "--anchors", str(other))
    assert code(refused) == 8
    assert isinstance(refused.exception, SigcError)
    assert "has no anchor of this ledger" in refused.exception.diagnostics[0].message


def test_verify_the_mirror_and_what_was_shipped_of_it(work: Path) -> None:
    with reading(work / FILE) as connection:
        mirror(connection, work / "audit", load_config(None, {}, {}).config.audit, START)
    assert "30 records, whole" in run("verify", "--mirror").stdout
    (file,) = (work / "audit").glob("*.jsonl")
    shipped = run("verify", str(file), "--public-key", "audit.pem")
    assert code(shipped) == 0
    assert "30 good" in shipped.stdout
    file.write_bytes(file.read_bytes().replace(b"momentum", b"momemtum", 1))
    assert code(run("verify", str(file))) == 8
    assert code(run("verify", "--mirror")) == 8
    assert code(run("verify", "missing.jsonl")) == 4
    other = make_key(work.parent / "other.pem")
    assert "record 1 is bad: its signature is wrong" in run("verify", "--public-key", str(other)).stderr


def test_query(work: Path) -> None:
    lines = run("query", "--type", "order", "--strategy", "value", "--ticker", "AAPL").stdout.splitlines()
    assert len(lines) == 2 + len([n for n in range(1, 31) if n % 5 in (1, 2, 3) and n % 2 == 1 and n % 3 == 0])
    found = json.loads(run("query", "--filter", "slippage_bps > 7 and who = ''", "--json").stdout)
    assert [r["seq"] for r in found] == [30]
    assert found[0]["payload"]["number"] == 30
    assert run("query", "--last", "24h", "--json").stdout == "[]\n"
    assert len(json.loads(run("query", "--after", "2024-01-02T09:58", "--json").stdout)) == 3  # New York
    assert len(json.loads(run("query", "--after", "2024-01-02T14:58Z", "--json").stdout)) == 3
    assert json.loads(run("query", "--before", "2024-01-02", "--json").stdout) == []
    assert [r["seq"] for r in json.loads(run("query", "-n", "2", "--json").stdout)] == [29, 30]
    nothing = run("query", "--who", "bob")
    assert (nothing.stdout, nothing.stderr) == ("", "no record matches; looked from the beginning to now\n")
    window = ("--after", "2024-01-05", "--before", "2024-01-06T10:00")
    looked = "no record matches; looked from 2024-01-05 00:00:00 EST to 2024-01-06 10:00:00 EST\n"
    assert run("query", *window).stderr == looked
    wrong = run("query", "--filter", "slippage_bps > ")
    assert code(wrong) == 2
    assert "^" in wrong.stderr
    assert code(run("query", "--last", "soon")) == 4
    assert code(run("query", "--after", "soon")) == 4


def test_query_to_files(work: Path) -> None:
    for name in ("all.json", "all.jsonl", "all.csv"):
        assert code(run("query", "-o", name)) == 0
    assert [r["seq"] for r in json.loads(Path("all.json").read_text(encoding="utf-8"))] == list(range(1, 31))
    with Path("all.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [json.loads(r["payload"])["number"] for r in rows] == list(range(1, 31))
    assert "30 records, whole" in run("verify", "all.jsonl").stdout
    assert code(run("query", "-o", "all.txt")) == 4
    assert code(run("query", "-o", "nowhere/all.csv")) == 4
    assert not list(Path().glob("*.part"))


def test_report(work: Path) -> None:
    text = run("report", "--date", "2024-01-02").stdout
    assert "Records: 30 (1 to 30)" in text
    assert "user.paused" in text
    told = json.loads(run("report", "--date", "2024-01-02", "--json").stdout)
    assert told["records"] == 30
    assert code(run("report", "--date", "2024-01-02", "-o", "day.json")) == 0
    assert json.loads(Path("day.json").read_text()) == told
    assert "Records: 0" in run("report").stdout
    assert code(run("report", "--date", "tomorrow")) == 4


def test_without_a_ledger_one_sentence(tmp_path: Path) -> None:
    result = run("query", "--work-dir", str(tmp_path))
    assert code(result) == 5
    assert "there is no ledger at" in str(result.exception)


def test_where_the_ledger_is(tmp_path: Path) -> None:
    named = load_config(None, {"SIGC_DAEMON__WORK_DIR": "/somewhere"}, {})
    assert work_dir(named) == Path("/somewhere")
    assert work_dir(named, Path("/else")) == Path("/else")
    (tmp_path / "sigc.paper.yaml").write_text("data: {}\n")
    assert work_dir(load_config(tmp_path / "sigc.paper.yaml", {}, {})).name == "sigc-paper"
    assert work_dir(load_config(tmp_path / "sigc.paper.yaml", {}, {}), name="desk").name == "sigc-desk"


def test_nothing_heavy_is_imported(work: Path) -> None:
    script = (
        "import sys; from sigc_cli.main import cli\n"
        "for a in (['query', '-n', '1'], ['verify'], ['report']): cli.main(['audit', *a], standalone_mode=False)\n"
        "print([m for m in ('numpy', 'pandas', 'dask', 'bokeh', 'tornado', 'pyarrow') if m in sys.modules])"
    )
    paths = os.pathsep.join(str(ROOT / p) for p in (".", "cli", "pipelines", "dashboard"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": paths},
        cwd=work.parent,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_whoever_reads_may_stop_reading(work: Path) -> None:
    write(work, 2_000, sign=signer(work.parent / "audit.pem"))
    paths = os.pathsep.join(str(ROOT / p) for p in (".", "cli", "pipelines", "dashboard"))
    command = f"{sys.executable} -m sigc_cli.main audit query --json | head -2"
    done = subprocess.run(
        ["sh", "-c", command], env=os.environ | {"PYTHONPATH": paths}, cwd=work.parent, capture_output=True, text=True
    )
    assert done.stdout.startswith("[\n")
    assert done.stderr == ""


def test_signing_that_began_later_is_explained(work: Path) -> None:
    folder = work.parent / "later"
    write(folder, 3)
    write(folder, 3, sign=signer(work.parent / "audit.pem"))
    assert "--signed-from" in run("verify", "--work-dir", str(folder)).stderr
    assert "3 good" in run("verify", "--work-dir", str(folder), "--signed-from", "4").stdout
