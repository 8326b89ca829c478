"""A crashed daemon is started again, within bounds; signals and exit codes pass; nobody is left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sigc.host.supervisor import ProcessEnd, Recovery, is_needed, restarts_after
from tests.daemon.processes import Script, gone

_SUPERVISED = """
import os, signal, subprocess, sys, time
from pathlib import Path
from sigc.host.process import StartReport, run
from sigc.host.supervisor import Recovery, is_needed, supervise

def said(number, frame):
    print(signal.Signals(number).name)

def stop(number, frame):
    print("stopping")
    sys.exit(0)

def serve(report):
    kind = sys.argv[1]
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, said)
    signal.signal(signal.SIGTERM, stop)
    if kind == "unready":
        print(os.getpid())
        signal.pause()
    if kind.startswith("taken"):
        lives = Path(kind[5:])
        lives.write_text(lives.read_text() + ".")
        if 1 < len(lives.read_text()) < 7:
            return 12
    if kind.isdecimal():
        return int(kind)
    if kind == "workers":
        worker = subprocess.Popen(["sleep", "1000"])
        print(worker.pid)
    report.ready()
    if kind.startswith("late"):
        return int(kind[4:])
    assert not is_needed(os.environ)
    print(os.getpid())
    while True:
        signal.pause()

code = supervise(serve, StartReport(), Recovery(int(sys.argv[2]), float(sys.argv[3])))
print("supervisor ends")
sys.exit(code)
"""


def supervised(kind: str, restarts: int = 3, delay_s: float = 0.0) -> Script:
    return Script(_SUPERVISED, kind, str(restarts), str(delay_s))


def test_a_killed_daemon_is_started_again_so_often_and_no_more() -> None:
    with supervised("serves", restarts=2) as supervisor:
        pids = []
        for _ in range(3):
            pids.append(int(supervisor.line()))
            os.kill(pids[-1], signal.SIGKILL)
        code, out, err = supervisor.end()
    assert len(set(pids)) == 3
    assert (code, out) == (137, "supervisor ends\n")
    assert [line.rpartition("; ")[2] for line in err.splitlines()] == [
        "restarting it in 0 s (1 of 2)",
        "restarting it in 0 s (2 of 2)",
        "it was restarted 2 times already and stays down",
    ]


def test_signals_pass_on_and_a_stop_is_final() -> None:
    with supervised("serves") as supervisor:
        supervisor.line()
        supervisor.process.send_signal(signal.SIGHUP)
        assert supervisor.line() == "SIGHUP"
        supervisor.process.send_signal(signal.SIGUSR1)
        assert supervisor.line() == "SIGUSR1"
        supervisor.process.send_signal(signal.SIGTERM)
        assert supervisor.line() == "stopping"
        assert supervisor.end() == (0, "supervisor ends\n", "")


def test_a_signal_to_the_whole_group_arrives_once() -> None:
    script = "import os; os.setsid()\n" + _SUPERVISED
    with Script(script, "serves", "0", "0") as supervisor:
        supervisor.line()
        os.killpg(supervisor.process.pid, signal.SIGINT)  # as a terminal does
        assert supervisor.line() == "SIGINT"
        os.killpg(supervisor.process.pid, signal.SIGTERM)
        assert supervisor.line() == "stopping"
        assert supervisor.end()[0] == 0


def test_the_daemon_dies_with_its_supervisor() -> None:
    with supervised("serves") as supervisor:
        pid = int(supervisor.line())
        supervisor.process.kill()
        assert supervisor.line() == "stopping"
        assert gone(pid)


def test_a_crash_leaves_no_worker_and_no_zombie() -> None:
    with supervised("workers", restarts=1) as supervisor:
        worker, daemon = int(supervisor.line()), int(supervisor.line())
        os.kill(daemon, signal.SIGKILL)
        assert gone(worker)
        second_worker, second = int(supervisor.line()), int(supervisor.line())
        us = supervisor.process.pid
        # The next life began after the last one's remains were waited for, save a worker that died meanwhile.
        left = Path(f"/proc/{us}/task/{us}/children").read_text().split()
        assert set(left) <= {str(second), str(worker)}
        os.kill(second, signal.SIGKILL)
        assert supervisor.end()[0] == 137
        assert gone(second_worker)


def test_a_stop_while_waiting_to_start_again_is_heard() -> None:
    with supervised("serves", delay_s=100_000) as supervisor:
        os.kill(int(supervisor.line()), signal.SIGKILL)
        assert supervisor.process.stderr is not None
        assert b"was killed by SIGKILL; restarting it in 100000 s (1 of 3)" in supervisor.process.stderr.readline()
        supervisor.process.send_signal(signal.SIGHUP)  # nobody to pass it to
        supervisor.process.send_signal(signal.SIGTERM)
        assert supervisor.end() == (0, "supervisor ends\n", "")


@pytest.mark.parametrize(("kind", "code"), [("0", 0), ("1", 1), ("6", 6), ("12", 12), ("late0", 0), ("late6", 6)])
def test_exit_codes_are_passed_on_without_another_start(kind: str, code: int) -> None:
    with supervised(kind) as supervisor:
        assert supervisor.end() == (code, "supervisor ends\n", "")


def test_what_keeps_a_start_from_succeeding_is_waited_for(tmp_path: Path) -> None:
    """A `sigc run` by hand took the work dir after the crash: five starts fail, of which none is counted."""
    lives = tmp_path / "lives"
    lives.write_text("")
    with supervised(f"taken{lives}", restarts=2) as supervisor:
        os.kill(int(supervisor.line()), signal.SIGKILL)
        os.kill(int(supervisor.line()), signal.SIGKILL)
        os.kill(int(supervisor.line()), signal.SIGKILL)
        code, _, err = supervisor.end()
    assert code == 137
    assert [line.partition("the daemon ")[2] for line in err.splitlines()] == [
        "was killed by SIGKILL; restarting it in 0 s (1 of 2)",
        *["ended with exit code 12; restarting it in 0 s"] * 5,
        "was killed by SIGKILL; restarting it in 0 s (2 of 2)",
        "was killed by SIGKILL; it was restarted 2 times already and stays down",
    ]


def test_a_runtime_failure_once_ready_is_a_crash() -> None:
    with supervised("late1", restarts=2) as supervisor:
        code, _, err = supervisor.end()
    assert code == 1
    assert err.count("ended with exit code 1; restarting it") == 2


def test_a_daemon_that_was_never_ready_is_not_started_again() -> None:
    with supervised("unready") as supervisor:
        os.kill(int(supervisor.line()), signal.SIGKILL)
        assert supervisor.end() == (137, "supervisor ends\n", "")


def test_what_counts_as_a_crash() -> None:
    recovery = Recovery(max_restarts=3, restart_delay_s=1, steady_s=100)
    assert restarts_after(ProcessEnd(-signal.SIGSEGV), 0, recovery) == 1
    assert restarts_after(ProcessEnd(1), 2, recovery) == 3
    assert restarts_after(ProcessEnd(1), 3, recovery) is None
    assert restarts_after(ProcessEnd(1, lasted_s=100), 3, recovery) == 1
    assert restarts_after(ProcessEnd(-9, was_asked=True), 0, recovery) is None
    assert restarts_after(ProcessEnd(-9, was_ready=False), 0, recovery) is None
    assert restarts_after(ProcessEnd(-signal.SIGTERM), 0, recovery) is None
    assert restarts_after(ProcessEnd(-9), 0, Recovery(max_restarts=0)) is None


def test_who_else_restarts_makes_us_unneeded() -> None:
    assert is_needed({})
    assert is_needed({"SIGC_SUPERVISOR": "1"}) == (os.getppid() != 1)
    assert not is_needed({"SIGC_SUPERVISOR": str(os.getppid())})
    assert not is_needed({"NOTIFY_SOCKET": "/run/systemd/notify"})


_BOTH = """
import os, signal, sys
from sigc.host.process import daemonize
from sigc.host.supervisor import Recovery, supervise

def serve(report):
    if sys.argv[1] == "fails":
        raise ValueError("no")
    report.ready(f"{os.getpid()} {os.getppid()}")
    while True:
        signal.pause()

launched = daemonize(lambda report: supervise(serve, report, Recovery(0, 0.0)))
print(launched.text)
sys.exit(launched.code)
"""


def test_in_the_background_the_starter_hears_the_supervised_daemon() -> None:
    with Script(_BOTH, "serves") as starter:
        code, out, _ = starter.end()
        assert code == 0
        daemon, supervisor = map(int, out.split())
        os.kill(daemon, signal.SIGKILL)
        assert gone(daemon)
        assert gone(supervisor)
    with Script(_BOTH, "fails") as starter:
        assert starter.end() == (1, "ValueError: no\n", "")
