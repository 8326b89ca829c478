"""Jobs of kind script: a program of the configuration, without a shell, that ends with its run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile

from sigc.daemon.runner import RunEnd, RunOrder, Watch
from sigc.store.records import Outcome

_STOP_PATIENCE_S = 5.0  # before it is killed
_LOOK_EVERY_S = 0.2
_MOST_SAID = 8_000
_OURS = ("SIGC_", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "LISTEN_")  # of the daemon's environment, not for a script


def run_script(order: RunOrder, watch: Watch) -> RunEnd:
    """Run the program in a process group of its own; what it prints is part of the run's result."""
    watch.stage("script")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: S603 -- what the operator has configured
                order.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**kept, "SIGC_RUN": order.id, "SIGC_JOB": order.job, "SIGC_STRATEGY": order.strategy},
                start_new_session=True,
            )
        except OSError as failure:
            message = f"{order.command[0]} can't be run: {failure.strerror}"
            return RunEnd(Outcome.FAILED, message, is_before_trading=True)
        try:
            code = _wait(process, watch)
        finally:
            _end_group(process)
        output.seek(0)
        said = output.read(_MOST_SAID).decode("utf-8", "replace")
    if watch.cancelled.is_set():
        return RunEnd(Outcome.CANCELLED, "cancelled", is_before_trading=True, result={"output": said})
    outcome = Outcome.DONE if code == 0 else Outcome.FAILED
    return RunEnd(outcome, f"exit code {code}", is_before_trading=True, result={"output": said, "exit_code": code})


def _wait(process: subprocess.Popen[bytes], watch: Watch) -> int:
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
    """Nothing that the script started outlives it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
