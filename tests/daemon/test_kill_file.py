"""The kill file: what is written is read, what can't be read halts everything, and lifting deletes nothing unread."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
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


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SigcError, match=r"halt\.json can't be written"):
        add_halt(tmp_path / "file", ONE)


def test_a_writer_that_hangs_holds_nobody(tmp_path: Path) -> None:
    with kill_file._turn(tmp_path):
        assert add_halt(tmp_path, ONE) == (ONE,)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists).map(
    lambda tree: json.dumps({"halts": tree}).encode()
))  # fmt: skip
def test_no_bytes_let_anything_through(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / FILE).write_bytes(data)
    assert halt_for(folder, "one") is not None
