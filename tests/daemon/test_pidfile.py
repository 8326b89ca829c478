"""One daemon at a time: live refused, stale taken over, under real deaths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sigc.errors import SigcError, exit_code
from sigc.host.pidfile import lock_holder, read_pid_file, take_pid_file
from tests.daemon.processes import Script

_HOLDER = """
import sys
from pathlib import Path
from sigc.host.pidfile import take_pid_file
held = take_pid_file(Path(sys.argv[1]))
print(held.pid)
sys.stdin.readline()
held.release()
"""


def test_a_live_holder_is_refused_by_pid_and_a_killed_one_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sigc.pid"
    with Script(_HOLDER, str(path)) as holder:
        pid = int(holder.line())
        assert path.read_text() == f"{pid}\n"
        assert read_pid_file(path) == pid
        with pytest.raises(SigcError, match=f"PID {pid}") as refused:
            take_pid_file(path)
        assert exit_code(refused.value.diagnostics) == 12
        holder.process.kill()
        holder.process.wait()
    assert path.exists()
    assert read_pid_file(path) is None
    with take_pid_file(path) as ours:
        assert path.read_text() == f"{ours.pid}\n"
    assert not path.exists()


def test_a_stale_file_is_taken_over_whatever_pid_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "sigc.pid"
    for stale in ("1\n", "", "99999999999999\n", str(os.getpid())):
        path.write_text(stale)
        with take_pid_file(path):
            assert path.read_text() == f"{os.getpid()}\n"


def test_the_holder_is_known_before_it_has_written_its_pid(tmp_path: Path) -> None:
    path = tmp_path / "sigc.pid"
    with Script(_HOLDER, str(path)) as holder:
        pid = int(holder.line())
        path.write_text("")
        with pytest.raises(SigcError, match=f"PID {pid}"):
            take_pid_file(path)


def test_who_is_about_to_be_ended_is_the_holder_and_nobody_else(tmp_path: Path) -> None:
    """A PID that the kernel does not confirm is none, whoever lives under it."""
    path = tmp_path / "lock"
    assert lock_holder(path) is None
    path.write_text(f"{os.getpid()}\n")
    assert lock_holder(path) is None  # nobody holds it
    path.write_text("")
    with Script(_HOLDER, str(path)) as holder:
        pid = int(holder.line())
        assert lock_holder(path) == pid
        for other in (f"{os.getpid()}\n", "1\n", "", "99999999\n", "words"):
            path.write_text(other)
            assert lock_holder(path) is None
        path.write_text(f"{pid}\n")
        holder.process.kill()
        holder.process.wait()
        assert lock_holder(path) is None


def test_another_process_file_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "sigc.pid"
    ours = take_pid_file(path)
    path.unlink()
    with Script(_HOLDER, str(path)) as holder:
        pid = int(holder.line())
        ours.release()
        assert path.read_text() == f"{pid}\n"


def test_a_forked_child_does_not_remove_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sigc.pid"
    script = """
import os, sys
from pathlib import Path
from sigc.host.pidfile import take_pid_file
with take_pid_file(Path(sys.argv[1])):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print(Path(sys.argv[1]).exists())
"""
    with Script(script, str(path)) as both:
        assert both.line() == "True"
        assert both.end()[0] == 0
    assert not path.exists()


def test_many_starting_at_once_leave_one(tmp_path: Path) -> None:
    path = tmp_path / "sigc.pid"
    script = """
import sys
from pathlib import Path
from sigc.host.pidfile import take_pid_file
from sigc.errors import SigcError
for _ in range(200):
    try:
        held = take_pid_file(Path(sys.argv[1]))
    except SigcError:
        continue
    inside = Path(sys.argv[1] + ".inside")
    inside.touch(exist_ok=False)
    inside.unlink()
    held.release()
print("done")
"""
    scripts = [Script(script, str(path)) for _ in range(4)]
    for each in scripts:
        with each:
            code, out, err = each.end()
            assert (code, out, err) == (0, "done\n", "")


def test_a_file_that_is_no_pid_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    path.write_text("root:x:0:0\n")
    with pytest.raises(SigcError, match="is not a PID file") as refused:
        take_pid_file(path)
    assert exit_code(refused.value.diagnostics) == 6
    assert path.read_text() == "root:x:0:0\n"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "empty")
    with pytest.raises(SigcError, match=r"daemon\.pid_file"):
        take_pid_file(link)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SigcError, match=r"daemon\.pid_file.*can't be written"):
        take_pid_file(tmp_path / "file" / "sigc.pid")
    assert read_pid_file(tmp_path / "none") is None


_LOOKER = """
import sys
from pathlib import Path
from sigc.host.pidfile import read_pid_file
print("looking")
while True:
    read_pid_file(Path(sys.argv[1]))
"""


def test_who_looks_all_the_time_keeps_nobody_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "sigc.pid"
    with Script(_LOOKER, str(path)) as looker:
        assert looker.line() == "looking"
        for _ in range(300):
            with take_pid_file(path):
                pass
