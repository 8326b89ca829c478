"""Hints on stderr while a command waits: what is being read, and for how long.

with hints(reads_here):        a line after 3 s of one read, then after 10, 30, 60, ... s of it
    ...

A read that hangs looks like a command that hangs, until it is named. stdout is left alone: it is data.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sigc.rpc.client import Client

Wait = tuple[str, float]  # what is waited for, in words; the seconds since it began
_FIRST_S = 3.0
_AT_S = (_FIRST_S, 10.0, 30.0, 60.0, 120.0)  # when a wait is told
_EVERY_S = 300.0  # and from then on
_LOOK_EVERY_S = 1.0
_PATIENCE_S = 5.0  # for a daemon that is asked what it reads


class WaitLines:
    """The lines of one command: a wait is told at growing intervals, each with the others that last as long."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def of(self, waits: Sequence[Wait]) -> str:
        """Return the line that is due now, else ''.

        >>> lines = WaitLines()
        >>> [lines.of([("reading prices (p.csv)", s)]) for s in (2.9, 3.0, 9.0, 10.5)]
        ['', 'reading prices (p.csv) for 3 s', '', 'reading prices (p.csv) for 10 s']
        """
        long = [(what, seconds) for what, seconds in waits if seconds >= _FIRST_S]
        self._next = {what: self._next[what] for what, _ in long if what in self._next}  # those that end begin anew
        if not any(seconds >= self._next.get(what, _FIRST_S) for what, seconds in long):
            return ""
        self._next |= {what: _after(seconds) for what, seconds in long}
        return ", ".join(f"{what} for {int(seconds)} s" for what, seconds in long)


def _after(seconds: float) -> float:
    """Return the seconds at which a wait of that length is told again."""
    return next((at for at in _AT_S if at > seconds), (seconds // _EVERY_S + 1) * _EVERY_S)


def _say(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def hints(look: Callable[[], Sequence[Wait]], say: Callable[[str], None] = _say) -> Iterator[None]:
    """Tell on stderr, while the block runs, what `look` says is waited for. look: called in a thread of its own."""
    is_over = threading.Event()

    def work() -> None:
        lines = WaitLines()
        if is_over.wait(_FIRST_S):  # most commands are over by then
            return
        while True:
            line = lines.of(look())
            if is_over.is_set():
                return
            if line:
                say(line)
            if is_over.wait(_LOOK_EVERY_S):
                return

    threading.Thread(target=work, name="sigc-hints", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def reads_here() -> Sequence[Wait]:
    """Return what this process reads."""
    from sigc.data.being_read import OF_PROCESS

    return [(f"reading {name}", seconds) for name, seconds in OF_PROCESS.under_way()]


class DaemonWaits:
    """The waits of a daemon that is called: what it reads for one run, or for all of them.

    ask: returns what is being read, of the connection that it is given, which is not the caller's: that one waits.
    """

    def __init__(self, client: Client, ask: Callable[[Client], Sequence[Wait]]) -> None:
        self._client, self._ask = client, ask
        self._silent_since: float | None = None

    def __call__(self) -> Sequence[Wait]:
        """Return the waits, or the silence of the daemon."""
        from sigc.errors import SigcError
        from sigc.rpc.client import NoDaemonError

        began = time.monotonic()
        try:
            with self._client.beside(_PATIENCE_S) as beside:
                found = self._ask(beside)
        except NoDaemonError:
            self._silent_since = began if self._silent_since is None else self._silent_since
            return [("the daemon has not answered", time.monotonic() - self._silent_since)]
        except SigcError:
            return []  # a daemon that is busy; the call that waits tells its own errors
        self._silent_since = None
        return found


def reads_of_daemon(client: Client) -> Sequence[Wait]:
    """Return what a daemon reads, for whatever work."""
    from sigc.rpc.messages.status import StatusReply

    found = client.get("status", reply=StatusReply)
    return [(f"the daemon is reading {one.name}", one.seconds) for one in found.reads]


def reads_of_run(id: str) -> Callable[[Client], Sequence[Wait]]:
    """Return a function that returns what a run of a daemon reads."""

    def ask(client: Client) -> Sequence[Wait]:
        from sigc.rpc.messages.status import RunStatus

        found = client.get("runs/show", {"id": id}, reply=RunStatus)
        return [(f"the daemon is reading {one.name}", one.seconds) for one in found.reads]

    return ask
