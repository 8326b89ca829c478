"""The log as it is on disk: fields, runs, rotation; what must not be in it is not."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.host.logs import LogFormatter, current_run, of_run
from sigc.host.redact import HIDDEN, Secrets, escape
from tests.daemon.processes import Script

_HARD = 'hunter2 "quoted"\\back\nsecond line of it ü'


def logged(script: str, folder: Path, layout: str = "json", **settings: int) -> tuple[str, str]:
    """What is in the log, and on stderr, after a script that found `log` open."""
    head = f"""
import asyncio, logging, sys, threading, warnings
from pathlib import Path
from sigc.host.logs import LogSettings, close_log, of_run, open_log
from sigc.host.redact import Secrets
secrets = Secrets()
path = Path({str(folder / "new" / "daemon.log")!r})
open_log(LogSettings(path, "info", {layout!r}, **{settings!r}), secrets)
log = logging.getLogger("sigc.test")
SECRET = {_HARD!r}
"""
    with Script(head + script) as running:
        _, out, err = running.end()
    assert out == ""
    path = folder / "new" / "daemon.log"
    return path.read_text(encoding="utf-8") if path.exists() else "", err


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_record_is_a_line_with_its_fields_and_its_run(tmp_path: Path) -> None:
    script = """
log.debug("below the level")
log.info("started on port %d", 5555)
with of_run("r-1"):
    log.warning("late", extra={"strategy": "momentum", "rows": 3, "share": float("nan"), "at": 1, "of": {"a": [1]}})
    async def stages():
        await asyncio.to_thread(log.info, "inside a thread")
        await asyncio.gather(*(stage(n) for n in range(2)))
    async def stage(n):
        with of_run(f"r-1.{n}"):
            await asyncio.sleep(0)
            log.info("stage")
    asyncio.run(stages())
log.critical("after")
"""
    text, err = logged(script, tmp_path)
    found = records(text)
    assert err == ""
    assert [(r["level"], r["run"], r["text"]) for r in found] == [
        ("info", "", "started on port 5555"),
        ("warn", "r-1", "late"),
        ("info", "r-1", "inside a thread"),
        ("info", "r-1.0", "stage"),
        ("info", "r-1.1", "stage"),
        ("error", "", "after"),
    ]
    late = found[1]
    assert (late["strategy"], late["rows"], late["share"], late["at_"], late["of"]) == (
        "momentum",
        3,
        "nan",
        1,
        {"a": [1]},
    )
    assert late["logger"] == "sigc.test"
    assert late["at"].endswith("Z")
    assert stat.S_IMODE((tmp_path / "new" / "daemon.log").stat().st_mode) & 0o027 == 0


_LEAKS = """
import base64, json, urllib.parse
secrets.add(SECRET)
secrets.add("12345678")
log.info(SECRET)
log.info("with %s and %r", SECRET, SECRET)
log.info("as json %s", json.dumps({"token": SECRET}))
log.info("as url %s", urllib.parse.quote(SECRET))
log.info("as base64 %s", base64.b64encode(SECRET.encode()).decode())
log.info("one line of it: second line of it ü", extra={"token": SECRET, SECRET: 1, "pin": 12345678, "in": [{"x": SECRET}]})
with of_run(SECRET):
    logging.getLogger(SECRET).info("names")
class Odd:
    def __str__(self):
        raise ValueError(SECRET)
log.info("odd", extra={"odd": Odd()})
log.info("too few %s %s", SECRET)
def login(token):
    try:
        raise ValueError(f"bad token {token}")
    except ValueError as inner:
        raise RuntimeError(token) from inner
try:
    login(SECRET)
except RuntimeError:
    log.exception("login failed")
warnings.warn(SECRET)
thread = threading.Thread(target=login, args=(SECRET,))
thread.start()
thread.join()
class Last:
    def __del__(self):
        login(SECRET)
del Odd
Last()
login(SECRET)
"""


@pytest.mark.parametrize("layout", ["json", "text"])
def test_secrets_appear_nowhere(tmp_path: Path, layout: str) -> None:
    text, err = logged(_LEAKS, tmp_path, layout)
    assert err == ""
    for part in ("hunter2", "quoted", "second line", "12345678", "aHVudGVyM", "second%20line"):
        assert part not in text, part
    assert text.count("bad token") == 4
    assert text.count("uncaught exception") == 2
    assert text.count(HIDDEN) > 15


@pytest.mark.parametrize("layout", ["json", "text"])
def test_user_text_cannot_pass_for_a_line_or_move_the_cursor(tmp_path: Path, layout: str) -> None:
    script = """
evil = "x\\n2024-01-01T00:00:00Z ERROR forged\\r\\x1b[2J\\x9b\\u202e\\u2028\\x00\\x7f\\udc80 end"
log.info("name %s", evil, extra={"name_": evil, "fake": "1 level=ERROR"})
with of_run(evil):
    try:
        raise ValueError(evil)
    except ValueError:
        log.exception("failed")
"""
    text, err = logged(script, tmp_path, layout)
    assert err == ""
    raw = (tmp_path / "new" / "daemon.log").read_bytes()
    assert not set(raw) & (set(range(32)) - {10} | {127})
    for hidden in ("\x9b", "\u202e", "\u2028"):
        assert hidden not in text
    if layout == "json":
        assert len(records(text)) == 2
        assert "\n2024-01-01T00:00:00Z ERROR forged" in records(text)[0]["text"]
    else:
        own = [line for line in text.splitlines() if not line.startswith("    ")]
        assert len(own) == 2
        assert r"name x\n2024-01-01T00:00:00Z ERROR forged\r\x1b[2J\x9b\u202e\u2028\x00\x7f\udc80 end" in own[0]
        assert 'fake="1 level=ERROR"' in own[0]


def test_files_rotate_by_size_and_the_oldest_goes(tmp_path: Path) -> None:
    script = """
for number in range(300):
    log.info("record %d", number)
"""
    logged(script, tmp_path, max_bytes=4000, kept_files=2)
    files = sorted((tmp_path / "new").iterdir())
    assert [f.name for f in files] == ["daemon.log", "daemon.log.1", "daemon.log.2"]
    assert all(f.stat().st_size <= 4000 for f in files)
    numbers = [r["text"] for f in (files[2], files[1], files[0]) for r in records(f.read_text())]
    assert numbers == [f"record {n}" for n in range(300 - len(numbers), 300)]


def test_opening_again_follows_a_moved_file_and_keeps_the_old_log_on_an_error(tmp_path: Path) -> None:
    script = """
log.info("one")
path.rename(path.with_name("moved"))
open_log(LogSettings(path, "debug", "text"), secrets)
log.debug("two")
try:
    open_log(LogSettings(path / "impossible"), secrets)
except Exception as error:
    log.info("kept: %s", error)
close_log()
"""
    text, err = logged(script, tmp_path)
    assert err == ""
    assert text.splitlines()[0].endswith(": two")
    assert "daemon.log_file" in text.splitlines()[1]
    assert records((tmp_path / "new" / "moved").read_text())[0]["text"] == "one"


def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    script = """
open_log(LogSettings(Path("/dev/full")), secrets)
log.info("lost")
open_log(LogSettings(path), secrets)
log.info("x" * 1_000_000)
"""
    text, err = logged(script, tmp_path)
    assert err == ""
    assert records(text)[0]["text"].endswith("x... (1000000 characters)")


def test_without_a_file_the_log_goes_to_stderr(tmp_path: Path) -> None:
    _, err = logged('open_log(LogSettings(), secrets)\nlog.error("to the journal")', tmp_path)
    assert records(err)[0]["text"] == "to the journal"


@given(st.text(min_size=1), st.text(), st.text())
def test_no_secret_survives_in_any_surroundings(secret: str, before: str, after: str) -> None:
    secrets = Secrets()
    secrets.add(secret)
    record = logging.LogRecord("sigc", logging.INFO, __file__, 1, "%s", (before + secret + after,), None)
    found = json.loads(LogFormatter("json", secrets).format(record))
    assert secret not in found["text"] or secret in HIDDEN or secret in HIDDEN + after or secret in before + HIDDEN
    assert repr(secret)[1:-1] not in repr(secrets) or len(secret) < 12


@given(st.text())
def test_escaped_text_is_printable_and_one_line(text: str) -> None:
    written = escape(text)
    assert len(written.splitlines()) <= 1
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in written)
    assert escape(written) == written


def test_the_run_is_put_back() -> None:
    with of_run("a"):
        with of_run("b"):
            assert current_run() == "b"
        assert current_run() == "a"
    assert current_run() == ""
