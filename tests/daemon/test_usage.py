"""What the daemon takes of the machine, as status tells it: of its own processes, and never stale."""

from __future__ import annotations

import subprocess
import sys

import psutil

from sigc.daemon.usage import Usage


def test_a_sample_is_taken_when_the_last_one_is_too_old_and_only_then() -> None:
    usage = Usage()
    first = usage.last
    assert usage.no_older_than(60.0) is first
    ballast = bytearray(64 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    again = usage.no_older_than(0.0)
    assert again is usage.last
    assert again.memory_bytes > first.memory_bytes + (48 << 20)
    assert usage.age_s < 3.0


def test_children_count() -> None:
    script = (
        "import sys; a = bytearray(32 << 20); a[::4096] = b'x' * len(a[::4096]); print(1, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"1\n"
        usage = Usage()
        own = psutil.Process().memory_info().rss
        assert usage.last.processes >= 2
        assert usage.last.memory_bytes > own + (30 << 20)
        child.communicate()
