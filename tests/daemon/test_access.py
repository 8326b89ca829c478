"""Tokens and their file, host names, the count of wrong guesses."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from sigc.errors import SigcError, exit_code
from sigc.rpc.access import TOKEN_FILE, Access, AccessToken, Throttle, hosts_of, is_foreign, make_token, read_token
from sigc.rpc.idempotency import MemoryReplies, Reply
from sigc.rpc.verb import Role

_TEXT = "0123456789abcdef"


def test_a_token_is_made_once_and_only_for_us(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = make_token(tmp_path)
    finally:
        os.umask(before)
    path = tmp_path / TOKEN_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(r"[\w-]{43}", made)  # 256 bits
    assert make_token(tmp_path) == made == read_token(path)
    assert [p.name for p in tmp_path.iterdir()] == [TOKEN_FILE]


def test_many_making_it_at_once_agree(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(make_token(tmp_path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1
    assert [p.name for p in tmp_path.iterdir()] == [TOKEN_FILE]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    make_token(tmp_path)
    (tmp_path / TOKEN_FILE).chmod(mode)
    with pytest.raises(SigcError, match="can be read by others") as refused:
        make_token(tmp_path)
    assert exit_code(refused.value.diagnostics) == 6


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / TOKEN_FILE
    path.touch(0o600)
    with pytest.raises(SigcError, match="shorter than 16"):
        make_token(tmp_path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SigcError, match="can't be written or read"):
        make_token(tmp_path)
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(SigcError, match="can't be written or read"):
        make_token(tmp_path / "missing")


@pytest.mark.parametrize(
    "text", ["", "brief", "x" * 15, "with a blank in it", "ümläute-are-not-ascii", "line\nbreak0123456789"]
)
def test_weak_tokens_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(SigcError) as refused:
        AccessToken.of("rpc", text, Role.TRADE)
    assert not text or text not in str(refused.value)
    assert "openssl rand" in refused.value.diagnostics[0].hint


def test_a_token_is_known_by_its_text_and_shown_by_its_name() -> None:
    access = Access(
        (AccessToken.of("page", _TEXT, Role.READ), AccessToken.of("ann", _TEXT * 2, Role.TRADE)), hosts_of("127.0.0.1")
    )
    found = access.token(f"Bearer {_TEXT * 2}")
    assert found is not None
    assert (found.name, found.role) == ("ann", Role.TRADE)
    assert access.token(f"bearer {_TEXT}") is not None
    assert _TEXT not in repr(access)
    for wrong in (
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer  {_TEXT}",
        f"Bearer {_TEXT} ",
        f"Basic {_TEXT}",
        _TEXT,
        "Bearer \udc80",
    ):
        assert access.token(wrong) is None


def test_a_host_is_ours_by_name_at_any_port() -> None:
    access = Access((), hosts_of("10.0.0.5", ["Sigc.Example"]))
    for ours in ("10.0.0.5:5555", "localhost", "LOCALHOST:1", "[::1]:5555", "127.0.0.1", "sigc.example:443"):
        assert access.is_host(ours), ours
    for other in (
        None,
        "",
        "evil.example",
        "localhost.evil.example",
        "localhost:5555:1",
        "localhost@evil",
        "a,localhost",
        "localhost:",
    ):
        assert not access.is_host(other), other


def test_only_our_own_origin_is_no_foreign_one() -> None:
    assert not is_foreign("http://localhost:5555", "same-origin", "LocalHost:5555", "http")
    assert is_foreign("https://localhost:5555", None, "localhost:5555", "http")
    assert is_foreign("http://localhost:5556", None, "localhost:5555", "http")
    assert is_foreign("null", None, "localhost:5555", "http")
    assert is_foreign(None, "same-site", "localhost:5555", "http")


def test_wrong_guesses_are_counted_by_peer_and_forgotten_after_a_minute() -> None:
    now = 0.0
    throttle = Throttle(lambda: now)
    assert [throttle.is_over("a") for _ in range(11)] == [False] * 10 + [True]
    assert not throttle.is_over("b")
    now = 59.9
    assert throttle.is_over("a")
    now = 60.0
    assert not throttle.is_over("a")


def test_replies_are_kept_for_a_while_and_are_few() -> None:
    now = 0.0
    replies = MemoryReplies(lambda: now, most=2, kept_s=10)
    for key in ("a", "b", "c"):
        replies.put(key, Reply(b"", 200, key.encode()))
    assert replies.get("a") is None
    assert replies.get("b") == Reply(b"", 200, b"b")
    now = 10.0
    assert replies.get("c") is None
