"""Ledgers with audit records, for tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sigc.clock import HandClock
from sigc.store.audit.chain import AuditEvent, Sign
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.ledger import Ledger

START = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
EVENTS = ("run.opened", "order.sent", "order.filled", "order.denied", "user.paused")

# What a next version might be: a column, rows that are moved, an index.
SECOND = """
ALTER TABLE control ADD COLUMN note TEXT NOT NULL DEFAULT '';
CREATE TABLE copied (seq INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
INSERT INTO copied SELECT seq, record FROM audit;
CREATE INDEX copied_records ON copied (record);
"""


def event(number: int) -> AuditEvent:
    """The record of that number: odd texts and numbers among what is plain."""
    payload = {
        "number": number,
        "asset": ("AAPL", "BRK/B", "Ünïcode \u2028")[number % 3],
        "slippage_bps": Decimal(number) / 4,
        "exposure": number * 0.1,
        "text": 'a "quoted" line\n' * (number % 3),
        "nested": {"assets": ["MSFT", f"T{number}"], "none": None, "yes": True},
    }
    name = EVENTS[number % len(EVENTS)]
    who = "ann" if name.startswith("user") else ""
    return AuditEvent(name, payload, f"run-{number // 5}", ("momentum", "value")[number % 2], "main", who)


def write(directory: Path, records: int, *, every: timedelta = timedelta(minutes=1), sign: Sign | None = None) -> Path:
    """A ledger of so many records, so far apart; more are added to one that is there."""
    with Ledger.open(directory, HandClock(START), sign=sign, durable=False) as ledger:
        with ledger.reading() as connection:
            (before,) = connection.execute("SELECT count(*) FROM audit").fetchone()
        for number in range(before + 1, before + records + 1):
            add(ledger, number, every)
    return directory / FILE


def add(ledger: Ledger, number: int, every: timedelta = timedelta(minutes=1)) -> None:
    """One more record, so long after the start as its number says."""
    assert isinstance(ledger.clock, HandClock)
    ledger.clock.turn(START + number * every)
    with ledger.transaction("control") as tx:
        tx.audit(event(number))


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads a ledger, closed behind the block."""
    with closing(connect_reader(path)) as connection:
        yield connection
