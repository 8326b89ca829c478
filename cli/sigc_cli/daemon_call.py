"""Calls of the daemon from the command line. Imports nothing heavy.

    with daemon(asked) as client:
        reply = client.get("status", reply=StatusReply)

`run_over_rpc` runs a strategy in the daemon and follows it to its end.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sigc.errors import Diagnostic, SigcError
from sigc.host.identity import is_alive
from sigc.rpc.client import Client, NoDaemonError
from sigc.rpc.discovery import DaemonOptions, connect
from sigc.rpc.messages.status import RunStatus, StatusReply
from sigc.rpc.schema import encode
from sigc_cli.shell_completion import daemons
from sigc_cli.wait_hints import DaemonWaits, hints, reads_of_run

if TYPE_CHECKING:
    from sigc.rpc.messages.requests import RunRequest, StopReply

F = TypeVar("F", bound=Callable[..., Any])
_LOOK_EVERY_S = 0.05
_READY_WITHIN_S = 120.0
_MARGIN_S = 15.0  # beyond the time that a stop may take


def which(command: F) -> F:
    """Add the options that select a daemon: --address, --name, --config."""
    for option in (
        click.option("--config", type=click.Path(path_type=Path), help="Configuration file."),
        click.option(
            "--name",
            metavar="NAME",
            shell_complete=daemons,
            help="The daemon of that name; `sigc ps` lists those that run.",
        ),
        click.option("--address", metavar="HOST:PORT", help="Address of the daemon."),
    ):
        command = option(command)
    return command


@contextmanager
def daemon(config: Path | None, address: str | None, name: str | None, timeout_s: float = 60.0) -> Iterator[Client]:
    """Connect to the daemon that the options select. Raises E900, E901, E400, E402."""
    with connect(DaemonOptions(config, address, name), os.environ, timeout_s) as client:
        yield client


def print_json(value: object) -> None:
    """Print a reply as JSON on stdout."""
    click.echo(json.dumps(encode(value), indent=2, sort_keys=False))


def wait_until_ended(reply: StopReply, address: str, pinger: Client) -> bool:
    """Wait for a stopping daemon. Return True if it ended in time."""
    end = time.monotonic() + reply.timeout_seconds + _MARGIN_S
    is_local = is_alive(reply.pid, reply.identity)
    while time.monotonic() < end:
        if is_local:
            if not is_alive(reply.pid, reply.identity):
                return True
        else:
            try:
                pinger.get("status")
            except NoDaemonError as gone:
                if gone.is_refused:
                    return True
        time.sleep(_LOOK_EVERY_S)
    click.echo(f"the daemon at {address} has not ended after {reply.timeout_seconds + _MARGIN_S:.0f} s", err=True)
    return False


def wait_until_ready(client: Client, before: StatusReply) -> StatusReply:
    """Wait for a restarting daemon. Return its status. Raises E901 when it is not ready in time."""
    end, last = time.monotonic() + _READY_WITHIN_S, "it does not answer"
    is_local = is_alive(before.pid, before.identity)
    while time.monotonic() < end:
        if is_local and not is_alive(before.pid, before.identity):
            raise SigcError(Diagnostic("E901", "the daemon ended instead of restarting", hint="see its log"))
        try:
            now = client.get("status", reply=StatusReply)
        except (NoDaemonError, SigcError) as gone:
            last = str(gone)
        else:
            last = now.reason or now.status
            if now.life != before.life and now.is_ready:
                return now
        time.sleep(_LOOK_EVERY_S)
    raise SigcError(Diagnostic("E901", f"the daemon is not ready again after {_READY_WITHIN_S:.0f} s: {last}"))


@dataclass(frozen=True, slots=True)
class RunTarget:
    """A run that is wanted: a strategy's name, or the path of a file."""

    what: str
    date: str = ""
    portfolio: str = ""
    is_dry: bool = False
    params: Mapping[str, float] = field(default_factory=dict)
    slot: str = ""
    is_forced: bool = False
    accepts_differences: bool = False
    reason: str = ""

    def request(self) -> RunRequest:
        """Return the request as it is sent. Paths of files are sent as absolute paths."""
        from sigc.rpc.messages.requests import RunRequest

        path = Path(self.what)
        is_file = path.suffix == ".sig" or path.is_file()
        return RunRequest(
            strategy=None if is_file else self.what,
            file=str(path.absolute()) if is_file else "",
            portfolio=self.portfolio,
            date=date.fromisoformat(self.date) if self.date else None,
            is_dry=self.is_dry,
            params=self.params,
            slot=self.slot,
            is_forced=self.is_forced,
            accepts_differences=self.accepts_differences,
            reason=self.reason,
        )


def run_over_rpc(
    client: Client,
    wanted: RunTarget,
    *,
    is_detached: bool = False,
    is_patient: bool = True,
    follow: Callable[[RunStatus], None] | None = None,
) -> RunStatus:
    """Have the daemon run it. Return the run's end, or with is_detached its beginning. follow: called with each change.

    is_patient: False returns the run as soon as its orders wait for the open of their session.

    Raises E900, E901. A connection that breaks is taken up again: the run goes on meanwhile.
    """
    status = client.post("run/dry" if wanted.is_dry else "run", wanted.request(), reply=RunStatus)
    if is_detached:
        return status
    with hints(DaemonWaits(client, reads_of_run(status.id))):
        while status.state != "ended":
            for event in client.events("runs/events", {"id": status.id}):
                status = _status(event)
                if follow is not None:
                    follow(status)
                if status.waiting is not None and not is_patient:
                    return status
            if status.state == "interrupted":
                break
    return status


def _status(event: Any) -> RunStatus:
    from sigc.rpc.schema import decode

    return decode(RunStatus, event, is_lenient=True)
