"""The small file in which `sigc watch` keeps what it has told and what it has yet to send.

Written to a file beside it, and moved: a watch that is killed leaves the state before or after, never half of one.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sigc.daemon.watch.outside import WatchState
from sigc.errors import Diagnostic, SigcError
from sigc.private import make_private
from sigc.rpc.schema import MismatchError, decode, to_json

log = logging.getLogger("sigc.watch")


def read_state(path: Path) -> WatchState:
    """Return what was kept; nothing where there is no file. One that can't be read is moved aside, and that is logged.

    Raises SigcError E402 for a place that can't be read.
    """
    try:
        return decode(WatchState, json.loads(path.read_bytes()), is_lenient=True)
    except FileNotFoundError:
        return WatchState()
    except (ValueError, MismatchError) as broken:
        aside = path.with_name(path.name + ".broken")
        path.replace(aside)
        log.error("the state of the watch is broken, and was moved to %s: %s", aside, broken)
        return WatchState()
    except OSError as failure:
        raise _unusable(path, failure) from failure


def write_state(path: Path, state: WatchState) -> None:
    """Keep it, durably. Raises SigcError E402."""
    new = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as target:
            target.write(to_json(state))
            target.flush()
            os.fsync(target.fileno())
        new.replace(path)
    except OSError as failure:
        raise _unusable(path, failure) from failure


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Hold the state alone while the body runs. Raises SigcError E311 when another watch holds it, E402."""
    try:
        make_private(path.parent)
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as failure:
        raise _unusable(path, failure) from failure
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as taken:
        os.close(descriptor)
        hint = "give each its own --state"
        raise SigcError(Diagnostic("E311", f"another `sigc watch` keeps its state in {path}", hint=hint)) from taken
    try:
        yield
    finally:
        os.close(descriptor)


def _unusable(path: Path, failure: OSError) -> SigcError:
    message = f"the state of the watch can't be kept in {path}: {failure.strerror or failure}"
    return SigcError(Diagnostic("E402", message, hint="say where by --state"))
