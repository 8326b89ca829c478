"""Real processes for tests: started with a script, told by lines what they do, awaited without sleeping."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 180.0


def environment(**more: str) -> dict[str, str]:
    """A small environment in which sigc is importable."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", **more}


class Script:
    """A Python script in a process of its own, whose printed lines say where it is."""

    def __init__(self, text: str, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", text, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**(env or {})),
            bufsize=0,
        )
        assert self.process.stdout is not None
        self._out = self.process.stdout
        self._read = b""

    def line(self) -> str:
        """The next line it prints, without the newline; empty when it has ended; fails when it says nothing."""
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._out], [], [], PATIENCE_S)
            assert ready, "the script says nothing"
            more = os.read(self._out.fileno(), 65_536)
            if not more:
                break
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def say(self, text: str) -> None:
        """A line on its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")

    def end(self) -> tuple[int, str, str]:
        """Its exit code, the rest of what it printed, and what it printed as errors."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, (self._read + out).decode(), err.decode()

    def __enter__(self) -> Script:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def gone(pid: int) -> bool:
    """Wait until a process that need not be our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([descriptor], [], [], PATIENCE_S)
        return bool(ready)
    finally:
        os.close(descriptor)
