"""The state file of `sigc watch`: what it has reported and what it has yet to send.

Written to a file beside it and renamed: a watch that is killed leaves the state before or after, never half of one.
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
    """Return the kept state, an empty one without a file. A malformed file is logged and moved aside.

    Raise SigcError E402 if the file can't be read.
    """
    try:
        return decode(WatchState, json.loads(path.read_bytes()), is_lenient=True)
    except FileNotFoundError:
        return WatchState()
    except (ValueError, MismatchError) as broken:
        aside = path.with_name(path.name + ".broken")
        path.replace(aside)
        log.error("malformed state of the watch, moved to %s: %s", aside, broken)
        return WatchState()
    except OSError as failure:
        raise _unusable(path, failure) from failure


def write_state(path: Path, state: WatchState) -> None:
    """Write the state durably. Raise SigcError E402."""
    new = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as target:
            target.write(to_json(state))
            target.flush()
            # Before the rename: else a power cut could leave the new name with an empty file.
            os.fsync(target.fileno())
        new.replace(path)
    except OSError as failure:
        raise _unusable(path, failure) from failure


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Hold the state exclusively while the body runs. Raise SigcError E311 if another watch holds it, E402."""
    try:
        make_private(path.parent)
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as failure:
        raise _unusable(path, failure) from failure
    try:
        # On a file of its own: each write replaces the state file, and a lock would stay with the old one.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as taken:
        os.close(descriptor)
        hint = "give each its own --state"
        raise SigcError(Diagnostic("E311", f"{path} is locked by another `sigc watch`", hint=hint)) from taken
    try:
        yield
    finally:
        os.close(descriptor)


def _unusable(path: Path, failure: OSError) -> SigcError:
    message = f"the state of the watch can't be kept in {path}: {failure.strerror or failure}"
    return SigcError(Diagnostic("E402", message, hint="say where by --state"))
