"""The kill switch from the command line, once the halt is in force: by the daemon, or in this process without one.

answers        the verbs `safety/cancel` and `safety/flatten`
is silent      for three seconds (a halt waits for a third of one): its process is ended by SIGKILL, which it can't
               refuse; the work dir's lock says which process that is, and the kernel must confirm it
none           the ledger is opened here: `sigc_pipelines.stopping.kill_switch`
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc.errors import Diagnostic, SigcError
from sigc.host.identity import started
from sigc.host.pidfile import lock_holder
from sigc.rpc.client import Client, NoDaemonError, RefusedError, Target
from sigc.rpc.messages.kill import KillReply
from sigc.rpc.messages.requests import HoldRequest, StatusReply

if TYPE_CHECKING:
    from sigc_cli.halting import HaltDone, StopPlace

_LOCK = "lock"  # of a work dir: `sigc.store.ledger.connection.LOCK`
_ENDS_WITHIN_S = 10.0
_LOOK_S = 0.02
_RESTARTED_WITHIN_S = 60.0
_UNAVAILABLE = 503
_READY_WITHIN_S = 10.0
_PATIENCE_S = 3.0  # for a sign of life, before a process is ended
_ANSWERS_WITHIN_S = 90.0  # a broker that is slow to cancel


def kill(
    place: StopPlace,
    halted: HaltDone,
    strategy: str | None,
    reason: str,
    config: Path | None,
    *,
    is_flatten: bool,
    is_sure: bool,
) -> KillReply:
    """Cancel open orders, and with is_flatten close positions. Raise SigcError.

    halted: the halt that is in force. is_sure: ask nothing before a process is ended.
    """
    verb, asked = "safety/flatten" if is_flatten else "safety/cancel", HoldRequest(strategy, reason)
    if place.target is not None and (not halted.by_file or _answers(place.target)):
        try:
            return _by_daemon(place.target, verb, asked)
        except NoDaemonError as gone:
            if not place.is_here:
                raise
            click.echo(str(gone), err=True)
    _end_holder(place.work_dir, is_sure)
    try:
        return _here(place, strategy or "", reason, config, is_flatten)
    except SigcError as taken:
        if taken.diagnostics[0].code != "E311" or place.target is None:
            raise
    click.echo("another process has the work dir by now (a supervisor restarts the daemon): it is asked", err=True)
    until = time.monotonic() + _RESTARTED_WITHIN_S
    while True:
        try:
            return _by_daemon(place.target, verb, asked)
        except (NoDaemonError, RefusedError) as no:  # it starts
            is_starting = not isinstance(no, RefusedError) or no.status == _UNAVAILABLE
            if not is_starting or time.monotonic() > until:
                raise
        time.sleep(_LOOK_S)


def _answers(target: Target) -> bool:
    """Return True if a daemon that was too slow for a halt answers after all: it need not be ended.

    One that starts is waited for: what it recovers ends by the halt.
    """
    until = time.monotonic() + _READY_WITHIN_S
    try:
        with Client(target, _PATIENCE_S) as client:
            while not client.get("status", reply=StatusReply).is_ready:
                if time.monotonic() > until:
                    return False
                time.sleep(_LOOK_S)
    except SigcError:
        return False
    return True


def _by_daemon(target: Target, verb: str, asked: HoldRequest) -> KillReply:
    with Client(target, _ANSWERS_WITHIN_S) as client:
        return client.post(verb, asked, reply=KillReply)


def says_yes(question: str) -> bool:
    """Ask a question on stderr. Return True for yes; where nobody can answer, False."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo("", err=True)
        return False


def _end_holder(work_dir: Path, is_sure: bool) -> None:
    """End the process that holds the work dir, after a question. Raise SigcError E900 if it is not ended."""
    pid = lock_holder(work_dir / _LOCK)
    if pid is None:
        return
    what = f"PID {pid} ({_command(pid)}) has {work_dir} and does not answer"
    if not is_sure and not says_yes(f"{what}. End it by SIGKILL?"):
        hint = "what is halted stays so, and nothing was cancelled; say --yes, or end it yourself"
        raise SigcError(Diagnostic("E900", f"{what}, and was not ended", hint=hint))
    click.echo(f"{what}: ended by SIGKILL", err=True)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError as no:
        raise SigcError(Diagnostic("E900", f"{what}, and belongs to another user", hint="be that user")) from no
    until = time.monotonic() + _ENDS_WITHIN_S
    while started(pid) is not None and time.monotonic() < until:
        time.sleep(_LOOK_S)


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
    except OSError:
        return "unknown"
    return " ".join(words)[:120]


def _here(place: StopPlace, strategy: str, reason: str, config: Path | None, is_flatten: bool) -> KillReply:
    from sigc.store.ledger.connection import FILE
    from sigc_cli.halting import be_owner_of, who
    from sigc_cli.text.run_view import render
    from sigc_pipelines.assembly.parts import Choices, configuration
    from sigc_pipelines.assembly.trading import TradeOptions, trading
    from sigc_pipelines.stopping.kill_switch import kill as kill_here

    if not (place.work_dir / FILE).is_file():
        raise SigcError(Diagnostic("E310", f"there is no ledger in {place.work_dir}: nothing was traded there"))
    be_owner_of(place.work_dir)
    click.echo(f"no daemon answers: done in this process, with the ledger of {place.work_dir}", err=True)
    settings = configuration(Choices(config=config)).config
    with trading(settings, place.work_dir, TradeOptions(), render, is_recovering=False) as (desk, _):
        return kill_here(desk, strategy, who(), reason, is_flatten=is_flatten, is_alone=True)
