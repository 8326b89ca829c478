"""Halts from the command line: by the daemon, or by the kill file when none answers in time.

    place = place_of(DaemonOptions(config, address, name), work_dir)
    done = halt(place, "momentum", "odd prices")     never waits for a daemon longer than `ASK_S`
    print_halt(place, done, "momentum")

Imports nothing heavy: a halt begins at once.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.host import kill_file
from sigc.host.instance import runtime_dirs
from sigc.host.instances import RunningDaemon, running
from sigc.rpc.client import Client, NoDaemonError, RefusedError, Target, find_daemon
from sigc.rpc.discovery import DaemonOptions, wish_of
from sigc.rpc.messages.page import HaltReply, SafetyReply, StopDecision
from sigc.rpc.messages.requests import HoldRequest
from sigc.words import local_time

if TYPE_CHECKING:
    from sigc.rpc.client import DaemonQuery

ASK_S = 0.3  # longest wait for a daemon's answer before the kill file is written
_NOT_SO = frozenset({400, 409, 422})  # the daemon is well and says no: there is no such strategy, say


@dataclass(frozen=True, slots=True)
class StopPlace:
    """The daemon that is to be stopped, and its work dir.

    target: None if no daemon is to be asked, because of `why`. entry: of its process, where it runs on this machine.
    is_here: the work dir is known to be that daemon's, so that there is another way than to ask it. config: the
    configuration file that was named.
    """

    target: Target | None
    work_dir: Path
    entry: RunningDaemon | None = None
    why: str = ""
    is_here: bool = True
    config: Path | None = None

    @property
    def patience_s(self) -> float:
        """Seconds to wait for the daemon's answer."""
        return ASK_S if self.is_here else 20 * ASK_S


@dataclass(frozen=True, slots=True)
class HaltDone:
    """A halt that is in force. by_file: why the daemon did not do it, '' if it did. in_force: what is halted now."""

    is_changed: bool
    by_file: str
    in_force: tuple[str, ...]


def place_of(asked: DaemonOptions, work_dir: Path | None) -> StopPlace:
    """Return the daemon and work dir that the options mean. Raise E900 if several are meant, E400, E402.

    work_dir: given by hand: no daemon is asked, one that runs there reads the kill file.
    """
    if work_dir is not None:
        return StopPlace(None, work_dir.expanduser().absolute(), why="a work dir was named", config=asked.config)
    folders = runtime_dirs(os.environ, os.getuid())
    query = wish_of(asked, os.environ)
    try:
        target = find_daemon(query, folders)
    except NoDaemonError as gone:
        if not gone.is_refused:  # several run: nobody knows which is meant
            raise
        return StopPlace(None, query.work_dir or Path(), why=str(gone), config=asked.config)
    entry = _entry_of(query, target, running(folders))
    if entry is not None:
        return StopPlace(target, Path(entry.work_dir), entry, config=asked.config)
    return StopPlace(target, query.work_dir or Path(), is_here=asked.address is None, config=asked.config)


def halt(place: StopPlace, strategy: str | None, reason: str) -> HaltDone:
    """Halt a strategy, or everything. Raise SigcError: E901 if there is no such strategy, E310, E900."""
    why = place.why
    if place.target is not None:
        with Client(place.target, place.patience_s) as client:
            try:
                reply = client.post("safety/halt", HoldRequest(strategy, reason), reply=HaltReply)
            except (NoDaemonError, RefusedError) as no:
                if not place.is_here or (isinstance(no, RefusedError) and no.status in _NOT_SO):
                    raise
                why = str(no)
            else:
                return HaltDone(reply.is_changed, "", reply.halted)
    scope, was = strategy or "", kill_file.halts_of(place.work_dir)
    refuse_unknown(place, scope)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    held = kill_file.add_halt(place.work_dir, kill_file.FileHalt(scope, who(), reason, now))
    return HaltDone(scope not in {one.scope for one in was}, why, tuple(one.scope for one in held))


def print_halt(place: StopPlace, done: HaltDone, strategy: str | None) -> None:
    """Print what is halted, which way it went, and what is in force."""
    what = _named(strategy or "")
    if not done.by_file:
        click.echo(f"{what} is halted, by the daemon" if done.is_changed else f"{what} was halted already")
    else:
        click.echo(f"the daemon was not asked: {done.by_file}" if place.target is None else done.by_file, err=True)
        file = place.work_dir / kill_file.FILE
        click.echo(f"{what} {'is' if done.is_changed else 'was'} halted, by the kill file {file}")
        if place.entry is not None:
            click.echo(f"PID {place.entry.pid} runs and reads it before each order it sends", err=True)
        elif not (place.work_dir / "ledger.sqlite").exists():
            click.echo(f"warning: there is no ledger in {place.work_dir}: is it the right work dir?", err=True)
    click.echo(f"halted now: {', '.join(_named(scope) for scope in done.in_force)}")


def stops_in_force(place: StopPlace) -> tuple[StopDecision, ...]:
    """Return the halts and pauses in force: as the daemon says, else by ledger and kill file. Raise SigcError."""
    if place.target is not None:
        try:
            with Client(place.target, place.patience_s) as client:
                return client.get("safety/status", reply=SafetyReply).decisions
        except (NoDaemonError, RefusedError) as no:
            if not place.is_here:
                raise
            click.echo(f"{no}: reading ledger and kill file in {place.work_dir}", err=True)
    return _stops_here(place.work_dir)


def stops_text(stops: Iterable[StopDecision], zone: str) -> str:
    """Return the halts and pauses as lines, one each. zone: of their times."""
    lines = [
        f"{one.kind}  {_named(one.strategy)}  since {local_time(one.since, zone)} by {one.who or 'sigc'}"
        + (f": {one.why}" if one.why else "")
        for one in stops
    ]
    return "\n".join(lines) or "nothing is halted or paused"


def refuse_unknown(place: StopPlace, strategy: str) -> None:
    """Raise SigcError E901 for a strategy that neither the configuration nor the ledger knows: a halt would be of none.

    Where neither can be read, nothing is refused.
    """
    known = _configured(place.config) | _traded(place.work_dir) if strategy else set()
    if known and strategy not in known:
        hint = did_you_mean(strategy, known) or f"there are: {', '.join(sorted(known))}"
        raise SigcError(Diagnostic("E901", f"there is no strategy '{strategy}': nothing was halted", hint=hint))


def be_owner_of(work_dir: Path) -> None:
    """Act as the owner of a work dir from now on, if we are root: the daemon must be able to read what we write."""
    try:
        owner = work_dir.stat()
    except OSError:
        return
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)


def who() -> str:
    """Return the person at the keyboard, for the record."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def _configured(config: Path | None) -> set[str]:
    from sigc.config.find import find
    from sigc.config.read import read

    try:
        path = find(config, os.environ)
        listed = [] if path is None else read(path, os.environ).data.get("strategies", [])
    except SigcError:
        return set()
    entries = listed if isinstance(listed, list) else []
    return {str(entry["name"]) for entry in entries if isinstance(entry, dict) and entry.get("name")}


def _traded(work_dir: Path) -> set[str]:
    from contextlib import closing

    from sigc.store.ledger import books
    from sigc.store.ledger.connection import FILE, connect_reader, told

    if not (work_dir / FILE).is_file():
        return set()
    try:
        with told(work_dir / FILE), closing(connect_reader(work_dir / FILE)) as connection:
            return {book.key.strategy for book in books.books(connection)}
    except SigcError:
        return set()


def _stops_here(work_dir: Path) -> tuple[StopDecision, ...]:
    from contextlib import closing

    from sigc.daemon.kill_file_halts import stops_of
    from sigc.store.ledger import breakers, control
    from sigc.store.ledger.connection import FILE, connect_reader, told

    found: tuple[control.Control, ...] = ()
    path = work_dir / FILE
    if path.is_file():
        try:
            with told(path), closing(connect_reader(path)) as connection:
                found = breakers.stops(connection)
        except SigcError as broken:
            click.echo(f"warning: {broken}", err=True)
    else:
        click.echo(f"there is no ledger in {work_dir}", err=True)
    return stops_of(found, kill_file.halts_of(work_dir))


def _entry_of(query: DaemonQuery, target: Target, entries: Iterable[RunningDaemon]) -> RunningDaemon | None:
    """Return the entry of the daemon at an address on this machine, None without one."""
    from sigc.rpc.address import as_reached, parse_address

    def reached(address: str) -> tuple[str, int]:
        host, number = parse_address(address, "--address")
        return as_reached(host), number

    at = reached(target.address)
    found = [entry for entry in entries if reached(entry.address) == at]
    return next((entry for entry in found if entry.name == query.name), found[0] if found else None)


def _named(scope: str) -> str:
    return f"strategy {scope}" if scope else "everything"
