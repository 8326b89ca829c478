"""`sigc demo` as a person gives it: what it shows, what it leaves running and what it never does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from sigc.host.pidfile import read_pid_file
from tests.daemon.processes import PATIENCE_S, ROOT, gone

SMALL = ("demo", "--assets", "40", "--days", "320", "--directory", "shown")


@pytest.fixture
def place(tmp_path: Path, jit_directory: Path) -> Path:
    """A folder in which a demo is shown, with the suite's compiled kernels."""
    (tmp_path / "shown" / "cache").mkdir(parents=True)
    (tmp_path / "shown" / "cache" / "jit").symlink_to(jit_directory / "jit")
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path


def begin(place: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "cli", "pipelines", "dashboard"))
    known = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "HOME": str(place), "RUNTIME_DIRECTORY": f"{place}/run"}
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "sigc_cli.main", *arguments],
        cwd=place,
        env=known | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sigc(place: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    with begin(place, *arguments, **environment) as process:
        out, err = process.communicate(timeout=2 * PATIENCE_S)
    return process.returncode, out, err


def nobody(place: Path) -> bool:
    """Whether no daemon of the demo runs or has left its entry."""
    return read_pid_file(place / "shown" / "sigc.pid") is None and not list((place / "run").glob("*.json"))


def test_it_trades_shows_and_stops_whatever_the_callers_settings(place: Path) -> None:
    others = {"SIGC_DAEMON__WORK_DIR": f"{place}/another", "SIGC_RPC_TOKEN": "of-another-daemon-entirely"}
    for _ in range(2):  # it may be shown again
        code, out, err = sigc(place, *SMALL, **others)
        assert code == 0, err
        told = [line for line in out.splitlines() if line.startswith("as of ")]
        assert [line.split()[2] for line in told] == ["2020-04-07,", "2020-04-08,"]
        assert "done, 16 orders" in told[0]
        assert "Status: running" in out
        assert "Status: success" in out
        assert "momentum (main): 8 long, 8 short, cash" in out
        assert "records, whole" in out
        assert out.rstrip().splitlines()[-1].startswith("the daemon has ended")
        assert nobody(place)
    assert not (place / "another").exists()
    held = sigc(place, "positions", "--config", "shown/sigc.yaml")[1]  # the ledger is still there to look at
    assert sum(line.startswith("S0") for line in held.splitlines()) == 16


def test_it_stays_when_asked_to_and_another_leaves_it_alone(place: Path) -> None:
    code, out, err = sigc(place, *SMALL, "--leave-running")
    assert code == 0, err
    try:
        listed = dict(line.split(maxsplit=1) for line in out.splitlines()[-5:-1])
        assert listed.keys() == {"RPC:", "Page:", "Health:", "Metrics:"}
        for page in (listed["Health:"], listed["Metrics:"], listed["Page:"]):
            with urllib.request.urlopen(page, timeout=PATIENCE_S) as answer:  # noqa: S310 -- of our own daemon
                assert answer.status == 200
        code, _, err = sigc(place, *SMALL)
        assert code == 12
        assert "the daemon of an earlier demo runs" in err
        assert sigc(place, "status", "--address", listed["RPC:"])[0] == 0
    finally:
        code, _, err = sigc(place, "stop", "--config", "shown/sigc.yaml")
    assert code == 0, err
    assert nobody(place)


@pytest.mark.parametrize(("number", "after"), [(signal.SIGTERM, "$ sigc daemon"), (signal.SIGINT, "$ sigc status")])
def test_a_demo_that_is_cut_short_leaves_no_daemon(place: Path, number: signal.Signals, after: str) -> None:
    with begin(place, *SMALL, "--leave-running") as process:
        assert process.stdout is not None
        pid = None
        for line in process.stdout:
            if "is ready: PID" in line:
                pid = int(line.split("PID ")[1].split()[0])
            if line.startswith(after):
                process.send_signal(number)
        process.wait(timeout=PATIENCE_S)
    assert process.returncode == 128 + number
    assert pid is not None or after == "$ sigc daemon"
    assert pid is None or gone(pid)
    assert nobody(place)


def test_what_is_no_demos_is_left_alone(place: Path) -> None:
    mine = place / "shown" / "sigc.yaml"
    mine.write_text("daemon: {}\n")
    code, _, err = sigc(place, *SMALL)
    assert code == 4
    assert "that no demo has made" in err
    assert mine.read_text() == "daemon: {}\n"
    assert [path.name for path in sorted((place / "shown").iterdir())] == ["cache", "sigc.yaml"]
