"""The kill file: what is written is read, what can't be read halts everything, and lifting deletes nothing unread."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.errors import SigcError
from sigc.host import kill_file
from sigc.host.kill_file import FILE, UNREAD, FileHalt, add_halt, halt_for, halts_of, lift_halt, stamp_of

AT = "2024-03-01T12:00:00+00:00"
ALL, ONE, TWO = (FileHalt(scope, "ann@desk", "enough", AT) for scope in ("", "one", "two"))


def directory(path: Path) -> None:
    path.mkdir()
    (path / "something").touch()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def text(content: str | bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


BAD: dict[str, Callable[[Path], None]] = {
    "empty": text(""),
    "words": text("stop everything"),
    "no halts": text('{"halts": []}'),
    "another form": text("[1, 2]"),
    "nested": text("[" * 100_000),
    "a number for a name": text(json.dumps({"halts": [{"scope": 1, "who": "a", "reason": "", "at": AT}]})),
    "no instant": text(json.dumps({"halts": [{"scope": "one", "who": "a", "reason": "", "at": "noon"}]})),
    "more than it should": text(json.dumps({"halts": [{"scope": "one", "who": "a", "reason": "", "at": AT, "x": 1}]})),
    "an instant before all time": text(
        json.dumps({"halts": [{"scope": "one", "who": "a", "reason": "", "at": "0001-01-01T00:00:00+10:00"}]})
    ),
    "half a character": text(json.dumps({"halts": [{"scope": "one", "who": "a", "reason": "\ud800", "at": AT}]})),
    "half written": text('{"halts": [{"scope": "one", "who'),
    "not utf-8": text(b"\xff\xfe\x00"),
    "too large": text("x" * 1_000_001),
    "a directory": directory,
    "a pipe": pipe,
    "a link to nothing": link_to_nothing,
}


def test_each_scope_has_its_halt(tmp_path: Path) -> None:
    assert (halts_of(tmp_path), stamp_of(tmp_path), halts_of(tmp_path / "none")) == ((), None, ())
    assert add_halt(tmp_path, ONE) == (ONE,)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    first = stamp_of(tmp_path)
    assert add_halt(tmp_path, TWO) == (ONE, TWO)
    assert stamp_of(tmp_path) not in (None, first)
    assert [halt_for(tmp_path, name) for name in ("one", "two", "three")] == [ONE, TWO, None]
    add_halt(tmp_path, ALL)
    assert {halt_for(tmp_path, name) for name in ("one", "two", "three")} == {ALL}
    assert [lift_halt(tmp_path, scope) for scope in ("", "", "two", "three")] == [True, False, True, False]
    assert halts_of(tmp_path) == (ONE,)
    assert lift_halt(tmp_path, "one")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_halts_everything_and_is_never_deleted(tmp_path: Path, name: str) -> None:
    path = tmp_path / FILE
    BAD[name](path)
    (found,) = halts_of(tmp_path)
    assert (found.scope, found.who) == ("", UNREAD)
    assert "can't be read" in found.reason
    assert stamp_of(tmp_path) is not None
    if name == "a directory":
        add_halt(tmp_path, ONE)  # can't be written, and all is halted already
    else:
        assert [one.scope for one in add_halt(tmp_path, ONE)] == ["", "one"]
        assert lift_halt(tmp_path, "one")
    assert halt_for(tmp_path, "any") is not None
    assert not lift_halt(tmp_path, "other")
    assert lift_halt(tmp_path, "")
    assert halts_of(tmp_path) == ()
    if name == "a directory":
        (moved,) = tmp_path.glob(f"{FILE}.lifted-*")
        assert (moved / "something").exists()


def test_nobody_may_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root reads every file, the failure is the system's own for another user."""
    add_halt(tmp_path, ONE)
    if os.geteuid() != 0:
        (tmp_path / FILE).chmod(0)
    else:

        def closed(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", closed)
    assert halt_for(tmp_path, "other") is not None


def test_what_is_larger_than_a_list_of_halts_can_be_is_not_read(tmp_path: Path) -> None:
    add_halt(tmp_path, ONE)
    said = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(said.ljust(1_000_000))
    assert halts_of(tmp_path) == (ONE,)
    (tmp_path / FILE).write_bytes(said.ljust(1_000_001))
    (found,) = halts_of(tmp_path)
    assert (found.who, "too large" in found.reason) == (UNREAD, True)
    os.utime(tmp_path / FILE, (86_400, 86_400))  # in doubt since it was written
    assert halts_of(tmp_path)[0].since == datetime(1970, 1, 2, tzinfo=UTC)


def test_an_instant_is_told_in_utc_and_why_is_told_in_short(tmp_path: Path) -> None:
    add_halt(tmp_path, FileHalt("one", "ann", "", "2024-03-01T12:00:00+05:00"))
    (found,) = halts_of(tmp_path)
    assert (found.since, found.since.utcoffset()) == (datetime(2024, 3, 1, 7, tzinfo=UTC), timedelta(0))
    wrong = {"scope": "one", "who": "ann", "reason": "", "at": "x" * 10_000}
    (tmp_path / FILE).write_text(json.dumps({"halts": [wrong]}))
    assert len(halts_of(tmp_path)[0].reason) < 300 + len(str(tmp_path))


def test_a_halt_replaces_that_of_its_scope_and_the_file_lists_them_by_scope(tmp_path: Path) -> None:
    for halt in (TWO, ONE, ALL, replace(ONE, reason="more of it")):
        add_halt(tmp_path, halt)
    assert halts_of(tmp_path) == (ALL, replace(ONE, reason="more of it"), TWO)


@pytest.mark.parametrize("change", ["size", "time", "rights"])
def test_each_change_of_the_file_changes_its_stamp(tmp_path: Path, change: str) -> None:
    add_halt(tmp_path, ONE)
    path = tmp_path / FILE
    os.utime(path, ns=(10**18, 10**18))
    before = stamp_of(tmp_path)
    assert stamp_of(tmp_path) == before
    if change == "size":
        path.write_bytes(path.read_bytes() + b" ")
    if change == "rights":
        path.chmod(0o400)
    os.utime(path, ns=(10**18, 10**18 + (change == "time")))
    assert stamp_of(tmp_path) not in (before, None)


@pytest.mark.needs("root")
def test_the_daemons_user_reads_what_root_wrote(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 4321)
    add_halt(tmp_path, ONE)
    written = (tmp_path / FILE).stat()
    assert (written.st_uid, written.st_gid) == (1234, 4321)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SigcError, match=r"halt\.json can't be written"):
        add_halt(tmp_path / "file", ONE)


@dataclass
class Ticks:
    """A time in hundredths of a second, which naps turn. at_nap: called with the number of each."""

    at_nap: Callable[[int], object] = lambda _: None
    ticks: int = 0
    naps: list[float] = field(default_factory=list)
    looks: int = 0

    def monotonic(self) -> float:
        """The time."""
        self.looks += 1
        assert self.looks < 1_000, "it waits without end"
        return self.ticks / 100

    def sleep(self, seconds: float) -> None:
        """So long."""
        self.naps.append(seconds)
        self.ticks += round(seconds * 100)
        self.at_nap(len(self.naps))


@contextmanager
def locked(folder: Path) -> Iterator[Callable[[], None]]:
    """Another writer holds the folder's lock; what is yielded lets it go."""
    holder = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while anybody of ours holds it
        yield lambda: fcntl.flock(holder, fcntl.LOCK_UN)
    finally:
        os.close(holder)


def test_a_writer_that_hangs_is_waited_for_half_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time = Ticks()
    monkeypatch.setattr(kill_file, "time", time)
    with locked(tmp_path):
        assert add_halt(tmp_path, ONE) == (ONE,)
    assert time.naps == [0.01] * 51  # until half a second is over


def test_a_writer_that_is_done_is_waited_for_and_the_lock_is_left_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Ticks()
    monkeypatch.setattr(kill_file, "time", time)
    with locked(tmp_path) as let_go:
        time.at_nap = lambda number: let_go() if number == 3 else None
        add_halt(tmp_path, ONE)
        assert time.naps == [0.01] * 3
    for _ in range(2):  # by nobody: nothing is waited for
        lift_halt(tmp_path, "one")
        add_halt(tmp_path, ONE)
        with locked(tmp_path):
            pass
    assert len(time.naps) == 3


def test_while_it_is_written_no_other_writer_comes_between(tmp_path: Path) -> None:
    with kill_file._turn(tmp_path), pytest.raises(BlockingIOError), locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_looked_at_halts_everything(tmp_path: Path) -> None:
    """Its name is longer than any may be: whether there is a file in it is not known."""
    folder = tmp_path / ("x" * 300)
    (found,) = halts_of(folder)
    assert (found.scope, found.who) == ("", UNREAD)
    assert found.reason == f"{folder / FILE} can't be read as a list of halts (File name too long)"
    assert found.since.utcoffset() == timedelta(0)
    assert stamp_of(folder) == (0, 0, 0, 0)


def test_the_folder_is_made_for_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "work"
    assert add_halt(folder, ONE) == (ONE,)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_lifting_without_a_file_lifts_nothing(tmp_path: Path) -> None:
    assert [lift_halt(folder, "") for folder in (tmp_path, tmp_path / "none")] == [False, False]


def test_a_file_that_somebody_removes_meanwhile_is_lifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_halt(tmp_path, ONE)
    read = kill_file.halts_of

    def then_removed(folder: Path) -> tuple[FileHalt, ...]:
        found = read(folder)
        (folder / FILE).unlink()
        return found

    monkeypatch.setattr(kill_file, "halts_of", then_removed)
    assert lift_halt(tmp_path, "one")


def test_what_was_lifted_stays_so_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is on the disk without the file before anybody is told."""
    add_halt(tmp_path, ONE)
    synced: list[tuple[bool, bool]] = []

    def fsync(handle: int) -> None:
        synced.append((os.path.sameopenfile(handle, here), (tmp_path / FILE).exists()))

    here = os.open(tmp_path, os.O_RDONLY)
    try:
        monkeypatch.setattr(os, "fsync", fsync)
        assert lift_halt(tmp_path, "one")
    finally:
        os.close(here)
    assert synced == [(True, False)]


def test_the_file_is_text_that_a_person_can_change(tmp_path: Path) -> None:
    add_halt(tmp_path, ONE)
    assert (tmp_path / FILE).read_text("utf-8") == (
        """{
  "halts": [
    {
      "scope": "one",
      "who": "ann@desk",
      "reason": "enough",
      "at": "2024-03-01T12:00:00+00:00"
    }
  ]
}
"""
    )


@pytest.mark.needs("root")
def test_in_a_folder_of_root_it_is_left_as_it_was_made(tmp_path: Path) -> None:
    os.chown(tmp_path, 0, 4321)
    add_halt(tmp_path, ONE)
    written = (tmp_path / FILE).stat()
    assert (written.st_uid, written.st_gid) == (0, os.getegid())


def test_a_link_to_a_list_of_halts_is_none(tmp_path: Path) -> None:
    """It may lead to a file that others may write: it halts everything."""
    (tmp_path / "other").mkdir()
    add_halt(tmp_path / "other", ONE)
    (tmp_path / FILE).symlink_to(tmp_path / "other" / FILE)
    (found,) = halts_of(tmp_path)
    assert (found.scope, found.who) == ("", UNREAD)


def test_a_value_that_is_no_text_is_told(tmp_path: Path) -> None:
    BAD["a number for a name"](tmp_path / FILE)
    (found,) = halts_of(tmp_path)
    assert found.reason.endswith("(a value is no text)")


def test_looks_leave_no_file_open(tmp_path: Path) -> None:
    add_halt(tmp_path, ONE)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        halts_of(tmp_path)
        add_halt(tmp_path, TWO)
        lift_halt(tmp_path, "two")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists).map(
    lambda tree: json.dumps({"halts": tree}).encode()
))  # fmt: skip
def test_no_bytes_let_anything_through(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / FILE).write_bytes(data)
    assert halt_for(folder, "one") is not None
