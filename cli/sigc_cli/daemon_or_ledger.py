"""Reads and changes of books from the command line: by a daemon that answers, else in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from sigc_cli.assembly.workdir import work_dir as place_of
from sigc_cli.wait_hints import DaemonWaits, hints, reads_of_daemon
from sigc_pipelines.assembly.parts import Choices, configuration

if TYPE_CHECKING:
    import sqlite3

    from sigc.config.check import LoadedConfig
    from sigc.rpc.client import Client
    from sigc_pipelines.live.trading import Trading

T = TypeVar("T")
Target = tuple[Path | None, str | None, str | None]  # --config, --address, --name


def from_daemon(target: Target, work_dir: Path | None, ask: Callable[[Client], T]) -> T | None:
    """Return the daemon's reply; None if a work dir is named, or if there is no daemon (which is printed).

    Raises E900 for one that does not answer, or is not there at an address that was given or where no ledger is.
    """
    if work_dir is not None:
        return None
    from sigc.rpc.client import NoDaemonError
    from sigc.store.ledger.connection import FILE
    from sigc_cli.daemon_call import daemon

    config, address, name = target
    try:
        with daemon(config, address, name) as client, hints(DaemonWaits(client, reads_of_daemon)):
            return ask(client)
    except NoDaemonError as gone:
        if not gone.is_refused or address is not None:
            raise
        place = place_of(configuration(Choices(config=config)), None, name)
        if not (place / FILE).is_file():
            raise  # nor is there a ledger
        click.echo(f"no daemon answers: reading the ledger in {place}", err=True)
        return None


def by_daemon_or_here(
    target: Target, work_dir: Path | None, ask: Callable[[Client], T], here: Callable[[Trading], T]
) -> T:
    """Return the daemon's reply; if a work dir is named, or no daemon runs (which is printed), that of `here`, which
    gets the books and the broker of this process.

    Raises E900 for a daemon that does not answer, or is not there at an address that was given; E310 beside a daemon.
    """
    from sigc.rpc.client import NoDaemonError
    from sigc_cli.daemon_call import daemon
    from sigc_cli.text.run_view import render
    from sigc_pipelines.assembly.trading import TradeOptions, trading

    config, address, name = target
    if work_dir is None:
        try:
            with daemon(config, address, name) as client, hints(DaemonWaits(client, reads_of_daemon)):
                return ask(client)
        except NoDaemonError as gone:
            if not gone.is_refused or address is not None:
                raise
    loaded = configuration(Choices(config=config))
    place = place_of(loaded, work_dir, name)
    if work_dir is None:
        click.echo(f"no daemon answers: done in this process, with the ledger of {place}", err=True)
    with trading(loaded.config, place, TradeOptions(), render) as (desk, _):
        return here(desk)


@contextmanager
def ledger_of(target: Target, work_dir: Path | None) -> Iterator[tuple[sqlite3.Connection, Path, LoadedConfig]]:
    """Yield a read-only connection, the work dir and the configuration. Raises E310 without a ledger there."""
    from sigc.store.ledger.connection import FILE, connect_reader, told

    config, _, name = target
    loaded = configuration(Choices(config=config))
    place = place_of(loaded, work_dir, name)
    path = place / FILE
    connection = connect_reader(path)
    try:
        with told(path):
            yield connection, place, loaded
    finally:
        connection.close()


@contextmanager
def ledger(
    config: Path | None, work_dir: Path | None, name: str | None = None
) -> Iterator[tuple[sqlite3.Connection, Path]]:
    """Yield a read-only connection and the work dir. Raises E310 without a ledger there."""
    with ledger_of((config, None, name), work_dir) as (connection, place, _):
        yield connection, place
