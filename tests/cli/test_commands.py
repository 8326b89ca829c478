"""The command line as a person uses it: real files, output, exit codes. In-process through click, and as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from sigc.errors import SigcError, exit_code
from sigc_cli.main import COMMANDS, cli
from tests.needs import program
from tests.world import STRATEGIES, write_world

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jit_directory: Path) -> Path:
    """A folder with data, strategies, a configuration and a cache of its own, entered."""
    write_world(tmp_path)
    for path in STRATEGIES.glob("*.sig"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"))
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    (cache / "jit").symlink_to(jit_directory / "jit")
    (tmp_path / "sigc.yaml").write_text(f"daemon: {{cache: {{directory: {cache}}}}}\ncluster: {{type: none}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), standalone_mode=False, catch_exceptions=True)


def code(result: Result) -> int:
    if isinstance(result.exception, SigcError):
        return exit_code(result.exception.diagnostics)
    if isinstance(result.exception, click.ClickException):
        return result.exception.exit_code
    if isinstance(result.return_value, int):
        return result.return_value
    return result.exit_code


def process(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """sigc as a process of its own."""
    paths = os.pathsep.join(str(ROOT / p) for p in (".", "cli", "pipelines", "dashboard"))
    return subprocess.run(
        [sys.executable, "-m", "sigc_cli.main", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_check(project: Path) -> None:
    done = process("check", "momentum.sig", "macros.sig", folder=project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "momentum.sig: ok\nmacros.sig: ok\n", "")
    (project / "bad.sig").write_text("signal a:\n  emit prces\n")
    done = process("check", "momentum.sig", "bad.sig", folder=project)
    assert done.returncode == 2
    assert "bad.sig:2:8: error[E002]: unknown name 'prces'" in done.stderr
    assert "^^^^^" in done.stderr
    assert done.stdout == "momentum.sig: ok\n"


def test_check_imports_no_engine(project: Path) -> None:
    script = "import sys; from sigc_cli.commands.check import _check; from pathlib import Path; _check(Path('momentum.sig'), {}, False, None); print([m for m in ('numba', 'pandas', 'pyarrow', 'distributed', 'bokeh', 'pydantic', 'scipy') if m in sys.modules])"
    paths = os.pathsep.join(str(ROOT / p) for p in (".", "cli", "pipelines", "dashboard"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("signal a:\n  emit (\n", 2),
        ('data:\n  prices: load csv from "p.csv"\nsignal a:\n  emit lead(prices)\n', 3),
        (
            'data:\n  prices: load csv from "p.csv"\nportfolio p:\n  weights = prices\n  backtest rebal=1 from 2020-01-02 to 2020-01-01\n',
            4,
        ),
    ],
)
def test_exit_codes_of_check(project: Path, text: str, expected: int) -> None:
    (project / "x.sig").write_text(text)
    assert code(run("check", "x.sig")) == expected


def test_exit_codes(project: Path) -> None:
    assert code(run("backtest", "nowhere.sig")) == 4
    assert code(run("backtest", "momentum.sig", "--start", "2030-01-01")) == 4
    assert code(run("backtest", "momentum.sig", "-p", "lokback=3")) == 2
    assert code(run("backtest", "momentum.sig", "-o", "x.doc")) == 4
    assert code(run("backtest", "momentum.sig", "--config", "none.yaml")) == 6
    (project / "bad.yaml").write_text("data: {directry: x}\n")
    assert code(run("config", "validate", "bad.yaml")) == 6
    Path("calendar.yaml").write_text("schedule: {calendar: wekdays}\n")
    found = run("config", "validate", "calendar.yaml")
    assert code(found) == 6
    assert "unknown calendar 'wekdays'" in str(found.exception)
    assert process("bcktest", folder=project).returncode == 2
    assert "Did you mean 'backtest'?" in process("bcktest", folder=project).stderr


def test_check_data(project: Path) -> None:
    assert run("check", "--data", "momentum.sig").exit_code == 0
    (project / "prices.parquet").unlink()
    result = process("check", "--data", "momentum.sig", folder=project)
    assert result.returncode == 4
    assert "E200" in result.stderr


def test_backtest_prints_and_writes(project: Path) -> None:
    for suffix in ("json", "csv", "parquet"):
        result = run("backtest", "momentum.sig", "-o", f"out.{suffix}", "--report", "html")
        assert result.exit_code == 0, result.output
        assert "=== Backtest Results ===" in result.stdout
        assert "Sharpe Ratio:" in result.stdout
        first = (project / f"out.{suffix}").read_bytes()
        run("backtest", "momentum.sig", "-o", f"out.{suffix}", "--no-cache")
        assert (project / f"out.{suffix}").read_bytes() == first  # same inputs, same bytes, cached or not
    data = json.loads((project / "out.json").read_text())
    assert data["left_out"] + data["metrics"]["bars"] == len(data["series"]["date"])
    page = (project / "out.html").read_text(encoding="utf-8")
    assert "momentum (main)" in page
    assert "Last weights" in page
    for fetched in ("<script src", "<link", "@import", "url(http"):
        assert fetched not in page


def test_json_is_data_alone(project: Path) -> None:
    done = process("backtest", "neutral.sig", "--json", folder=project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["strategy"] == "neutral"
    assert "blocks computed" in done.stderr


def test_run_dry_is_point_in_time(project: Path) -> None:
    (project / "sigc.yaml").write_text("schedule: {calendar: weekdays}\ndaemon: {work_dir: state}\n")
    full = json.loads(run("run", "carried.sig", "--dry-run", "--date", "2016-05-08", "--json").stdout)
    assert full["as_of"] == "2016-05-06"  # the 8th was a Sunday
    write_world(project, 352)  # now the files end a few rows after that day
    early = json.loads(run("run", "carried.sig", "--dry-run", "--date", "2016-05-08", "--json", "--no-cache").stdout)
    assert early["digests"]["weights"] == full["digests"]["weights"]
    assert code(run("run", "carried.sig")) == 8  # the newest row is years old
    assert code(run("run", "carried.sig", "--dry-run", "--date", "2001-01-01")) == 4


def test_constraints_and_walk_forward(project: Path) -> None:
    assert "=== Out of Sample ===" in run("backtest", "walkforward.sig").stdout
    data = json.loads(run("backtest", "constrained.sig", "--json").stdout)
    assert abs(data["metrics"]["net_exposure"]) < 1e-6
    (project / "clash.sig").write_text(
        (project / "constrained.sig").read_text().replace("max_sector = 0.2", "max_gross = 0.1\n    min_gross = 0.9")
    )
    done = process("backtest", "clash.sig", folder=project)
    assert done.returncode == 4
    assert "max_gross 0.1, min_gross 0.9" in done.stderr


def test_optimize(project: Path) -> None:
    result = run("optimize", "walkforward.sig", "--metric", "sortino", "--json")
    data = json.loads(result.stdout)
    assert len(data["trials"]) == 6
    best = max(data["trials"], key=lambda t: t["metrics"]["sortino"])
    assert data["best"] == best["params"]
    assert code(run("optimize", "walkforward.sig", "--metric", "luck")) == 3


def test_fmt(project: Path) -> None:
    (project / "ugly.sig").write_text("signal   a :\n  emit   (prices)  # why\n".replace(" :", ":"))
    assert code(run("fmt", "--check", "ugly.sig")) == 1
    assert "+  emit prices  # why" in run("fmt", "--diff", "ugly.sig").stdout
    run("fmt", "ugly.sig")
    assert (project / "ugly.sig").read_text() == "signal a:\n  emit prices  # why\n"
    assert code(run("fmt", "--check", "ugly.sig")) == 0
    (project / "broken.sig").write_text("signal a\n")
    assert code(run("fmt", "broken.sig")) == 2
    assert (project / "broken.sig").read_text() == "signal a\n"


def test_cache(project: Path) -> None:
    run("backtest", "momentum.sig")
    found = json.loads(run("cache", "status", "--json").stdout)
    assert found["by_source"]["prices"][0] == 4
    assert found["by_signal"]["main.weights"][0] == 2
    assert json.loads(run("cache", "verify", "--json").stdout) == {"entries": found["entries"], "bad": []}
    assert json.loads(run("cache", "clear", "--pattern", "prices_2016", "--yes", "--json").stdout)["removed"] == 1
    assert run("backtest", "momentum.sig").exit_code == 0
    result = run("cache", "clear", "--yes")
    assert "entries removed" in result.stdout
    assert json.loads(run("cache", "status", "--json").stdout)["entries"] == 0


def test_explain(project: Path) -> None:
    assert "look-ahead" in run("explain", "E103").stdout
    assert "rolling_std(x, window=20, [min_periods])" in run("explain", "ts_std").stdout
    graph = run("explain", "momentum.sig").stdout
    assert "%0 = prices" in graph
    assert "momentum <- %" in graph
    for stage in ("parse", "format", "lookback", "plan"):
        assert run("explain", "momentum.sig", "--stage", stage).stdout
    assert "stored already: 0 of" in run("explain", "momentum.sig", "--stage", "plan").stdout
    assert code(run("explain", "nonsense")) == 2


def test_convert_validate_diff(project: Path) -> None:
    assert run("convert", "prices.parquet", "p.csv").exit_code == 0
    assert run("convert", "p.csv", "long.arrow", "--shape", "long").exit_code == 0
    assert code(run("convert", "p.csv", "long.arrow")) == 4  # it is there already
    run("convert", "long.arrow", "back.parquet")
    a, b = (json.loads(run("validate", f, "--json").stdout) for f in ("prices.parquet", "back.parquet"))
    assert [f.replace("'prices'", "'back'") for f in a["findings"]] == b["findings"]
    assert {k: v for k, v in a.items() if k not in ("file", "findings")} == {
        k: v for k, v in b.items() if k not in ("file", "findings")
    }
    (project / "other.sig").write_text(
        (project / "momentum.sig").read_text().replace("lookback = 100", "lookback = 90")
    )
    lines = run("diff", "momentum.sig", "other.sig").stdout
    assert "~ parameter lookback: 100.0 -> 90.0" in lines
    assert "no difference" in run("diff", "momentum.sig", "momentum.sig").stdout


def test_what_changed_in_a_data_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old = "date,A,B,C\n2024-03-06,1,10,5\n2024-03-07,2,20,6\n2024-03-08,3,30,7\n"
    Path("old.csv").write_text(old)
    Path("same.csv").write_text(old)
    assert run("diff-data", "old.csv", "same.csv").stdout == "no difference\n"
    Path("grown.csv").write_text(old + "2024-03-11,4,40,8\n")
    result = run("diff-data", "old.csv", "grown.csv")
    assert (result.exit_code, result.stdout) == (0, "rows appended: 1 (2024-03-11)\n")
    Path("new.csv").write_text(
        "date,A,B,D\n2024-03-06,0.5,10,5\n2024-03-08,1.5,,7\n2024-03-10,9,9,9\n2024-03-11,4,40,8\n"
    )
    result = run("diff-data", "old.csv", "new.csv")
    assert code(result) == 1
    assert result.stdout == (
        "rows appended: 2 (2024-03-10, 2024-03-11)\n"
        "rows gone: 1 (2024-03-07)\n"
        "assets new: 1 (D)\n"
        "assets gone: 1 (C)\n"
        "cells restated: 3 of 2 assets (A 2, B 1)\n"
        "  2024-03-06 A: 1 -> 0.5\n"
        "  2024-03-08 A: 3 -> 1.5\n"
        "  2024-03-08 B: 30 -> missing\n"
        "  all restated cells of A by one ratio: 0.5\n"
    )
    assert json.loads(run("diff-data", "old.csv", "new.csv", "--json").stdout)["cells"] == 3
    Path("a.csv").write_text("ticker,sector\nA,Tech\nB,Energy\n")
    Path("b.csv").write_text("ticker,sector\nA,Tech\nB,Water\n")
    assert "B: Energy -> Water" in run("diff-data", "a.csv", "b.csv", "--dtype", "category").stdout


def test_validate_says_how_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hours = "".join(f"2024-03-{d:02d} {h}:00:00,{h}\n" for d in (6, 7, 8) for h in range(10, 17))
    Path("h.csv").write_text("date,A\n" + hours)
    assert run("validate", "h.csv").stdout == (
        "h.csv: ok\n"
        "  numbers, 1 asset, 2024-03-06 15:00:00 UTC to 2024-03-08 21:00:00 UTC, 21 rows, 0.00% missing\n"
        "  read as: wide; rows are 7 bars a session of nyse (America/New_York), 1764 periods a year\n"
    )
    Path("o.csv").write_text("Date,Open,Close\n2024-03-07,1,2\n2024-03-08,3,4\n")
    assert code(run("validate", "o.csv")) == 4
    assert (
        "read as: fields; rows are sessions of nyse"
        in run("validate", "o.csv", "-o", "symbol=SPY", "--column", "Close").stdout
    )
    assert code(run("validate", "o.csv", "-o", "symbl=SPY")) == 3


def test_config(project: Path) -> None:
    assert "directory: ./data" in run("config", "show").stdout
    shown = run("config", "show", "--origins").stdout
    assert f'daemon.cache.directory = "{project / "cache"}"    # sigc.yaml:1' in shown
    assert json.loads(run("config", "schema").stdout)["properties"]["cluster"]
    assert run("config", "reference").stdout == (ROOT / "conf" / "sigc.yaml").read_text()


def test_init_makes_a_project_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jit_directory: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("init", "new").exit_code == 0
    assert code(run("init", "new")) == 4
    monkeypatch.chdir(tmp_path / "new")
    cache = tmp_path / "new" / ".sigc" / "cache"
    cache.mkdir(parents=True)
    (cache / "jit").symlink_to(jit_directory / "jit")
    result = run("backtest", "strategies/momentum.sig")
    assert result.exit_code == 0, result.exception
    assert "=== Against market ===" in result.stdout


def test_doctor_and_completions(project: Path) -> None:
    checks = json.loads(run("doctor", "--json").stdout)
    assert all(c["ok"] for c in checks), checks
    for shell in ("bash", "zsh", "fish"):
        assert "sigc" in run("completions", shell).stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_notebook(project: Path) -> None:
    import sigc

    s = sigc.compile("momentum.sig", {"lookback": 60})
    frame = s.signals("momentum", start="2016-01-01", end="2016-12-31")
    assert str(frame.index[0].date()) >= "2016-01-01"
    assert list(frame.columns) == sorted(frame.columns)
    r = s.backtest()
    counted = r.returns[r.left_out :]
    assert r.metrics.sharpe == pytest.approx(counted.mean() / counted.std() * 252**0.5)
    assert r.weights.shape == (r.left_out + r.metrics.bars, 13)
    assert r.equity.iloc[-1] == pytest.approx(1 + r.metrics.total_return)
    assert "=== Backtest Results ===" in repr(r)
    assert "<pre>" in r._repr_html_()
    assert "momentum <- %" in s.explain()
    assert s.with_params(lookback=30).params["lookback"] == 30
    text = (project / "momentum.sig").read_text()
    later = sigc.compile(text).backtest()  # of a longer lookback
    assert later.left_out > r.left_out
    assert later.left_out + later.metrics.bars == r.left_out + r.metrics.bars
    with pytest.raises(sigc.SigcError, match="no signal 'momentun'"):
        s.signals("momentun")


@pytest.mark.parametrize(
    "method",
    ["walk_forward(train_years=1, test_months=6)", "cross_validate(folds=3)", "cpcv(n_splits=4, n_test_groups=1)"],
)
def test_a_notebook_validates_as_the_command_line_does(project: Path, method: str) -> None:
    import sigc

    text = (project / "momentum.sig").read_text().replace("rebal=21", f"rebal=21 {method}")
    text = text.replace("lookback = 100", "lookback: [60, 120]")
    (project / "checked.sig").write_text(text.replace("from 2015-06-01", "from 2015-01-02"))
    told = json.loads(run("backtest", "checked.sig", "--json").stdout)
    r = sigc.compile("checked.sig").backtest()
    assert r.validated is not None
    assert [w.test_span for w in r.validated.windows] == [tuple(w["test_span"]) for w in told["validation"]["windows"]]
    assert r.validated.metrics.sharpe == told["validation"]["metrics"]["sharpe"]
    assert "=== Out of Sample ===" in repr(r)
    assert "=== Out of Sample ===" in r._repr_html_()
    assert "=== Out of Sample ===" in run("backtest", "checked.sig").stdout


def test_findings_stand_in_every_result(project: Path) -> None:
    """Those of the check (a word that is bound and not used), of the data and of the accounting."""
    import sigc

    text = (project / "momentum.sig").read_text()
    (project / "noted.sig").write_text(text.replace("signal momentum:", "signal momentum:\n  unused = 3", 1))
    r = sigc.compile("noted.sig").backtest()
    codes = {f.code for f in r.findings}
    assert {"W002"} <= codes
    assert len(codes) > 1
    texts = [f.message for f in r.findings]
    printed = run("backtest", "noted.sig").stdout
    for shown in (repr(r), printed):
        assert "=== Findings ===" in shown
        assert all(text in shown for text in texts)
    told = json.loads(run("backtest", "noted.sig", "--json").stdout)
    assert [f["message"] for f in told["findings"]] == texts


def test_a_closed_pipe_is_no_error(project: Path) -> None:
    paths = os.pathsep.join(str(ROOT / p) for p in (".", "cli", "pipelines", "dashboard"))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "sigc_cli.main", "explain", "momentum.sig", "--stage", "parse"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": paths},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert done.stderr == ""


_ABORTS = """
#include <stdlib.h>
__attribute__((destructor)) static void unloaded(void) { if (getenv("SIGC_TEST")) abort(); }
"""


@pytest.mark.parametrize(
    ("arguments", "expected"), [(("check", "momentum.sig"), 0), (("check", "bad.sig"), 2), (("nothing",), 2)]
)
def test_a_library_that_aborts_as_it_is_unloaded_changes_no_exit_code(
    project: Path, arguments: tuple[str, ...], expected: int
) -> None:
    """As Arrow's threads do now and then, after all work is done."""
    (project / "bad.sig").write_text("signal a:\n  emit (\n")
    (project / "aborts.c").write_text(_ABORTS)
    library = project / "aborts.so"
    subprocess.run([program("cc"), "-shared", "-fPIC", "-o", library, project / "aborts.c"], check=True)
    laid = {"LD_PRELOAD": str(library), "SIGC_TEST": "1"}
    bare = subprocess.run([sys.executable, "-c", ""], env=os.environ | laid, check=False)
    assert bare.returncode == -signal.SIGABRT
    done = process(*arguments, folder=project, **laid)
    assert done.returncode == expected
    assert done.stdout == ("" if expected else "momentum.sig: ok\n")
    assert ("rror" in done.stderr) == (expected > 0)


@pytest.mark.parametrize(
    ("line", "exit", "kind"),
    [
        ("status --json --address 127.0.0.1:1", 10, "E900"),
        ("positions --json --config nope.yaml", 6, "E400"),
        ("run momentum --json --foo", 2, "usage"),
        ("nonsense --json", 2, "usage"),
    ],
)
def test_with_json_an_error_is_json(project: Path, line: str, exit: int, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sigc_cli.main", *line.split()], cwd=project, capture_output=True, text=True, check=False
    )
    (told,) = json.loads(done.stderr)["diagnostics"]
    assert (done.returncode, done.stdout, told["code"]) == (exit, "", kind)
    assert told["message"]
