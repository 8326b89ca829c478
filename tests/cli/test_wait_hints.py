"""Hints while a command waits for a source: told on stderr at growing intervals, here and of a daemon, never in stdout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigc.data.being_read import being_read
from sigc.errors import Diagnostic, SigcError
from sigc.rpc.client import Client, NoDaemonError, Target
from sigc_cli import wait_hints
from sigc_cli.wait_hints import DaemonWaits, Wait, WaitLines, reads_here

SECTORS = "reading sectors (pipe.csv)"


def test_a_wait_is_told_at_growing_intervals() -> None:
    lines = WaitLines()
    told = [second for second in range(1300) if lines.of([(SECTORS, float(second))])]
    assert told == [3, 10, 30, 60, 120, 300, 600, 900, 1200]


def test_a_wait_that_ends_and_begins_again_is_told_anew_with_those_that_last() -> None:
    lines = WaitLines()
    assert lines.of([(SECTORS, 3.2)]) == "reading sectors (pipe.csv) for 3 s"
    assert lines.of([]) == ""
    both = [(SECTORS, 3.0), ("reading prices (p.csv)", 5.5), ("reading caps (c.csv)", 2.9)]
    assert lines.of(both) == "reading sectors (pipe.csv) for 3 s, reading prices (p.csv) for 5 s"
    assert lines.of([(SECTORS, 4.0), ("reading prices (p.csv)", 6.5)]) == ""


def test_what_this_process_reads_is_known_while_it_is_read() -> None:
    with being_read("sectors", "data/pipe.csv"):
        assert SECTORS in [what for what, seconds in reads_here() if 0.0 <= seconds < 60.0]
    assert SECTORS not in [what for what, _ in reads_here()]


def test_a_daemon_that_is_silent_is_told_and_one_that_refuses_is_not() -> None:
    answers: Iterator[Exception] = iter((NoDaemonError(Diagnostic("E900", "")), SigcError(Diagnostic("E901", "busy"))))

    def ask(_: Client) -> list[Wait]:
        raise next(answers)

    waits = DaemonWaits(Client(Target("127.0.0.1:1")), ask)
    ((what, seconds),) = waits()
    assert (what, 0.0 <= seconds < 60.0) == ("the daemon has not answered", True)
    assert waits() == []


def test_no_hint_follows_the_end_of_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_hints, "_FIRST_S", 0.0)
    said: list[str] = []
    with wait_hints.hints(lambda: [(SECTORS, 3.0)], said.append):
        while not said:
            pass
    assert said == ["reading sectors (pipe.csv) for 3 s"]


def test_a_command_names_the_file_that_does_not_answer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sectors.csv")
    soon = "from sigc_cli import main, wait_hints; wait_hints._FIRST_S = 0.1; main.main()"
    words = [sys.executable, "-c", soon, "validate", "--json", "--dtype", "category", "sectors.csv"]
    place = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=tmp_path, env=place, text=True, **pipes) as going:  # type: ignore[call-overload]
        try:
            assert re.fullmatch(r"reading sectors \(sectors\.csv\) for \d+ s\n", going.stderr.readline())
        finally:
            going.kill()
        assert going.stdout.read() == ""
