"""The log: one record a line, as JSON or as text, with the run it belongs to; no secrets, no control characters.

    open_log(LogSettings(path=Path("/var/log/sigc/daemon.log")), secrets)
    with of_run("r-20240115-1"):
        log.info("weights computed", extra={"strategy": "momentum", "assets": 498})

Code logs as ever, by the standard library; what is given as `extra` becomes fields of the record. The run id is a
context variable: tasks and `asyncio.to_thread` inherit it. Uncaught exceptions and warnings come here too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal

from sigc.errors import Diagnostic, SigcError
from sigc.host.redact import Secrets, escape
from sigc.private import make_private

LEVELS: Mapping[str, int] = MappingProxyType(
    {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
)
_TALKERS = ("distributed", "asyncio", "numba", "fsspec")  # of others, who tell each step of theirs
_MODE = 0o640
_MOST_TEXT = 32_000  # of one field: a log is no place for a file
_MOST_LOOKED_AT = 20_000_000
_BARE = re.compile(r"[\w.:/+-]+")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OWN = frozenset({"at", "level", "logger", "run", "text", "trace"})
_run: ContextVar[str] = ContextVar("run", default="")
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where the log goes (no path: stderr), how it looks, how large a file grows and how many are kept."""

    path: Path | None = None
    level: str = "info"
    layout: Literal["json", "text"] = "json"
    max_bytes: int = 50_000_000
    kept_files: int = 5


@contextlib.contextmanager
def of_run(run: str) -> Iterator[None]:
    """What is logged inside belongs to that run."""
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)


def current_run() -> str:
    """The run that is being logged for, empty outside of one."""
    return _run.get()


def open_log(settings: LogSettings, secrets: Secrets) -> None:
    """Send everything that is logged where `settings` say, in place of where it went. Raises E402.

    Called again (a reload, a file that was moved away) it opens anew; until that has worked the old log stays.
    """
    handler = _handler(settings)
    handler.setFormatter(LogFormatter(settings.layout, secrets))
    root = logging.getLogger()
    replaced = list(root.handlers)
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[settings.level])
    for talker in _TALKERS:
        logging.getLogger(talker).setLevel(max(logging.WARNING, LEVELS[settings.level]))
    for old in replaced:
        _close(old)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a full disk must not fill stderr with tracebacks of the log itself
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def close_log() -> None:
    """Flush and close, as the last thing; what is logged afterwards goes to stderr as Python has it."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        _close(handler)
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = _BEFORE


def lines_of_run(path: Path, run: str, most: int) -> tuple[str, ...]:
    """The last lines of the log at `path` that belong to a run, oldest first. Looks 20 MB back."""
    try:
        with path.open("rb") as source:
            size = source.seek(0, os.SEEK_END)
            source.seek(max(0, size - _MOST_LOOKED_AT))
            text = source.read().decode("utf-8", "replace")
    except OSError as failure:
        raise SigcError(Diagnostic("E901", f"the log {path} can't be read: {failure.strerror}")) from failure
    marks = (f'"run": {json.dumps(run)}', f" [{run}]: ")
    found = [line for line in text.splitlines() if any(mark in line for mark in marks)]
    return tuple(found[-most:])


class LogFormatter(logging.Formatter):
    """A record as one line. In the text layout a traceback follows, each line of it indented."""

    def __init__(self, layout: Literal["json", "text"], secrets: Secrets) -> None:
        super().__init__()
        self._layout = layout
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = self._fields(record)
        # In ASCII: JSON itself then writes out whatever is no plain character.
        return json.dumps(fields).replace("\x7f", "\\u007f") if self._layout == "json" else _as_text(fields)

    def _fields(self, record: logging.LogRecord) -> dict[str, Json]:
        fields: dict[str, Json] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": next((name for name, number in LEVELS.items() if record.levelno <= number), "error"),
            "logger": self._hide(record.name),
            "run": self._hide(_run.get()),
            "text": self._hide(_message(record)),
        }
        for name, value in sorted(vars(record).items()):
            if name not in _STANDARD:
                fields[f"{name}_" if name in _OWN else self._hide(name)] = self._plain(value)
        if record.exc_info and record.exc_info[0] is not None:
            fields["trace"] = self._hide(self.formatException(record.exc_info))
        elif record.stack_info:
            fields["trace"] = self._hide(record.stack_info)
        return fields

    def _hide(self, text: str) -> str:
        """Without secrets; cut only then, so that no half of one is left."""
        hidden = self._secrets.hide(text)
        return hidden if len(hidden) <= _MOST_TEXT else f"{hidden[:_MOST_TEXT]}... ({len(hidden)} characters)"

    def _plain(self, value: object, depth: int = 0) -> Json:
        """A value as JSON has it, without secrets; what JSON does not know, as its text."""
        hide = self._hide
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            text = str(value)  # a PIN is a secret too, and NaN is no JSON
            return (
                hide(text) if hide(text) != text or (isinstance(value, float) and not math.isfinite(value)) else value
            )
        if isinstance(value, Mapping) and depth < 8:
            return {hide(str(key)): self._plain(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and depth < 8:
            return [self._plain(inner, depth + 1) for inner in value]
        return hide(_text_of(value))


def _as_text(fields: dict[str, Json]) -> str:
    """The line for people: time, level, logger, run, text, fields; then the traceback, indented."""
    run = f" [{escape(str(fields['run']))}]" if fields["run"] else ""
    level = str(fields["level"]).upper()
    line = f"{fields['at']} {level:<5} {escape(str(fields['logger']))}{run}: {escape(str(fields['text']))}"
    for name, value in fields.items():
        if name not in _OWN:
            bare = isinstance(value, str) and _BARE.fullmatch(value)
            line += f" {escape(name)}={escape(str(value) if bare else json.dumps(value, ensure_ascii=False))}"
    trace = str(fields.get("trace", ""))
    return line + "".join(f"\n    {escape(row)}" for row in trace.splitlines())


def _message(record: logging.LogRecord) -> str:
    """The text with its arguments filled in; a mistake in a call of the log is logged, not raised."""
    try:
        return record.getMessage()
    except Exception:
        return f"{record.msg} {_text_of(record.args)}"


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception as failure:
        return f"<{type(value).__name__}: {type(failure).__name__}>"


def _handler(settings: LogSettings) -> logging.Handler:
    if settings.path is None:
        return logging.StreamHandler(sys.stderr)
    try:
        make_private(settings.path.parent)
        return _File(settings.path, maxBytes=settings.max_bytes, backupCount=settings.kept_files, encoding="utf-8")
    except OSError as failure:
        message = f"the log {settings.path} (daemon.log_file) can't be written: {failure.strerror}"
        raise SigcError(Diagnostic("E402", message)) from failure


def _close(handler: logging.Handler) -> None:
    with contextlib.suppress(OSError):  # what is still unwritten finds no room
        handler.close()


class _File(RotatingFileHandler):
    """A file that only its owner and group read; daemon.log.1 is the one before."""

    def _open(self) -> TextIOWrapper:
        return open(
            self.baseFilename,
            "a",
            encoding=self.encoding,
            errors="backslashreplace",
            opener=lambda path, flags: os.open(path, flags | os.O_CLOEXEC, _MODE),
        )


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("sigc").error("uncaught exception", exc_info=(kind, error, trace))


def _uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None:
        name = found.thread.name if found.thread is not None else "a thread"
        error = (found.exc_type, found.exc_value, found.exc_traceback)
        logging.getLogger("sigc").error("uncaught exception in %s", name, exc_info=error)


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    if found.exc_value is not None:
        error = (found.exc_type, found.exc_value, found.exc_traceback)
        logging.getLogger("sigc").error("%s", found.err_msg or "exception ignored", exc_info=error)


_BEFORE = (sys.excepthook, threading.excepthook, sys.unraisablehook)
