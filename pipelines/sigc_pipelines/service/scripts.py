"""Jobs of kind script: a configured program, run without a shell, that ends with its run and with the daemon."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from sigc.daemon.runner import RunEnd, RunHandle, RunOrder
from sigc.private import make_private
from sigc.store.files import run_folder
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Outcome

_STOP_PATIENCE_S = 5.0  # before it is killed
_LOOK_EVERY_S = 0.2
_MOST_SAID = 8_000
_NOT_FOUND = 127
OUTPUT = "output.txt"  # of a run's folder: what it said
_OURS = ("SIGC_", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "LISTEN_")  # of the daemon's environment, not for a script
# Becomes the program, after it has asked the kernel to die with the daemon. Done here and not after a fork of the
# daemon, which has threads.
_BECOME = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as failure:
    print(f"{sys.argv[2]} can't be run: {failure.strerror}")
    sys.exit(127)
"""


def run_script(order: RunOrder, watch: RunHandle) -> RunEnd:
    """Run the program in its own process group; its output is part of the run's result."""
    watch.stage("script")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603 -- what the operator has configured
            [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()), *order.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**kept, "SIGC_RUN": order.id, "SIGC_JOB": order.job, "SIGC_STRATEGY": order.strategy},
            start_new_session=True,
        )
        try:
            code = _wait(process, watch)
        finally:
            _end_group(process)
        output.seek(0)
        said = output.read(_MOST_SAID).decode("utf-8", "replace")
    result = {"output": said, "exit_code": code}
    if watch.cancelled.is_set():
        return RunEnd(Outcome.CANCELLED, "cancelled", is_before_trading=True, result=result)
    outcome = Outcome.DONE if code == 0 else Outcome.FAILED
    message = said.strip()[:200] if code == _NOT_FOUND else _ended(code)
    return RunEnd(outcome, message, is_before_trading=True, result=result)


def _ended(code: int) -> str:
    """Return how a script ended; its codes are its own, not those of sigc.

    >>> _ended(3), _ended(-9)
    ('the script ended with code 3', 'the script was ended by SIGKILL')
    """
    if code >= 0:
        return f"the script ended with code {code}"
    try:
        return f"the script was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"the script was ended by the signal {-code}"


def _wait(process: subprocess.Popen[bytes], watch: RunHandle) -> int:
    while True:
        try:
            return process.wait(_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            if watch.cancelled.is_set():
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    return process.wait(_STOP_PATIENCE_S)
                except subprocess.TimeoutExpired:
                    return -signal.SIGKILL


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the script's process group, so that nothing it started outlives it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def keep_said(ledger: Ledger, run: str, end: RunEnd, name: str) -> RunEnd:
    """Write the part `name` of a run's result, a text or lines, beside it. Return the end."""
    said = end.result.get(name, "")
    text = said if isinstance(said, str) else "".join(f"{line}\n" for line in said)
    keep_output(ledger.directory, run, ledger.hide(text))
    return end


def keep_output(work_dir: Path, run: str, text: str) -> None:
    """Keep the output of a script, a report or a refresh for `sigc runs show`. A failed write is ignored."""
    folder = run_folder(work_dir, run)
    with contextlib.suppress(OSError):
        make_private(folder)
        part = folder / f".{OUTPUT}.part"
        part.write_text(text, encoding="utf-8", errors="replace")
        part.replace(folder / OUTPUT)
