"""Reading a ledger from the command line: of the work dir that the options and the configuration name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sigc_cli.build import Choices, configuration
from sigc_cli.workdir import work_dir as place_of

if TYPE_CHECKING:
    import sqlite3


@contextmanager
def ledger(config: Path | None, work_dir: Path | None) -> Iterator[tuple[sqlite3.Connection, Path]]:
    """A connection that only reads, and the work dir. Raises E310 without a ledger there."""
    from sigc.store.connection import FILE, connect_reader, told

    place = work_dir.expanduser() if work_dir is not None else place_of(configuration(Choices(config=config)))
    path = place / FILE
    connection = connect_reader(path)
    try:
        with told(path):
            yield connection, place
    finally:
        connection.close()
