"""The log: one record a line, as JSON or text, with the run it belongs to; no secrets, no control characters.

    open_log(LogSettings(path=Path("/var/log/sigc/daemon.log")), secrets)
    with of_run("r-20240115-1"):
        log.info("weights computed", extra={"strategy": "momentum", "assets": 498})

Code logs with the standard library; `extra` becomes fields of the record. The run id is a context variable: tasks
and `asyncio.to_thread` inherit it. Uncaught exceptions and warnings are logged here too.
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
_TALKERS = ("distributed", "asyncio", "numba", "fsspec")  # libraries that log every step; kept at warning
_MODE = 0o640
_MOST_TEXT = 32_000  # characters of one field
_BARE = re.compile(r"[\w.:/+-]+")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OWN = frozenset({"at", "level", "logger", "run", "text", "trace"})
_run: ContextVar[str] = ContextVar("run", default="")
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The log's settings: path (None: stderr), level and layout, size of a file, number of older files kept."""

    path: Path | None = None
    level: str = "info"
    layout: Literal["json", "text"] = "json"
    max_bytes: int = 50_000_000
    kept_files: int = 5


@contextlib.contextmanager
def of_run(run: str) -> Iterator[None]:
    """Mark everything logged in the body as belonging to a run."""
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)


def current_run() -> str:
    """Return the run that is logged for, '' outside of one."""
    return _run.get()


def open_log(settings: LogSettings, secrets: Secrets) -> None:
    """Send all logging to the place of `settings` instead of the old one. Raise E402.

    Called again (a reload, a file that was moved away) it reopens; the old log stays until that has worked.
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
    logging.raiseExceptions = False  # else a full disk would fill stderr with tracebacks of the logging itself
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def close_log() -> None:
    """Flush and close the log; later records go to stderr."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        _close(handler)
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = _BEFORE


class LogFormatter(logging.Formatter):
    """The formatter of a record as one line. In the text layout a traceback follows, each of its lines indented."""

    def __init__(self, layout: Literal["json", "text"], secrets: Secrets) -> None:
        super().__init__()
        self._layout = layout
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its newline."""
        fields = self._fields(record)
        # `json.dumps` escapes everything that is not ASCII; of the control characters it leaves only DEL.
        return json.dumps(fields).replace("\x7f", "\\u007f") if self._layout == "json" else _as_text(fields)

    def _fields(self, record: logging.LogRecord) -> dict[str, Json]:
        fields: dict[str, Json] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": next((name for name, number in LEVELS.items() if record.levelno <= number), "error"),
            "logger": self._hide(record.name),
            "run": self._hide(_run.get()),
            "text": self._hide(_message(record)),
        }
        # `extra` becomes attributes of the record: every attribute that is not a standard one is a field.
        for name, value in sorted(vars(record).items()):
            if name not in _STANDARD:
                fields[f"{name}_" if name in _OWN else self._hide(name)] = self._plain(value)
        if record.exc_info and record.exc_info[0] is not None:
            fields["trace"] = self._hide(self.formatException(record.exc_info))
        elif record.stack_info:
            fields["trace"] = self._hide(record.stack_info)
        return fields

    def _hide(self, text: str) -> str:
        """Return the text without secrets. It is cut only afterwards, so that no half of a secret is left."""
        hidden = self._secrets.hide(text)
        return hidden if len(hidden) <= _MOST_TEXT else f"{hidden[:_MOST_TEXT]}... ({len(hidden)} characters)"

    def _plain(self, value: object, depth: int = 0) -> Json:
        """Return a value as JSON holds it, without secrets; a value JSON does not know as its text."""
        hide = self._hide
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            text = str(value)  # a number can be a secret (a PIN), and NaN is not JSON
            return (
                hide(text) if hide(text) != text or (isinstance(value, float) and not math.isfinite(value)) else value
            )
        if isinstance(value, Mapping) and depth < 8:
            return {hide(str(key)): self._plain(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and depth < 8:
            return [self._plain(inner, depth + 1) for inner in value]
        return hide(_text_of(value))


def _as_text(fields: dict[str, Json]) -> str:
    """Return the line for people: time, level, logger, run, text, fields; then the traceback, indented."""
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
    """Return the text with its arguments. A wrong format string is logged as it is, not raised."""
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
    with contextlib.suppress(OSError):  # the disk is full: what is still buffered is lost
        handler.close()


class _File(RotatingFileHandler):
    """A rotating file readable by owner and group only; daemon.log.1 is the previous one."""

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
