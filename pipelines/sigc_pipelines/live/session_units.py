"""A book in the units of the session that a run trades, before the ledger has booked that session's actions."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from sigc.store.ledger import action_rows
from sigc.store.ledger.records import ZERO, Fill, Run
from sigc_pipelines.live.valuing import BookValue
from sigc_pipelines.prices.units import added, owed_at, restated_positions, traded


def in_session(connection: sqlite3.Connection, run: Run, fills: Sequence[Fill], now: BookValue) -> BookValue:
    """Return a book in the units of the run's session, as its prices and orders are. Fills of that session are in these
    units already.

    The ledger books the actions of that session once it is over.
    """
    booked, step = action_rows.progress(connection)
    acts = [d.action for d in action_rows.between(connection, max(booked, run.as_of), run.key.session)]
    if not acts:
        return now
    # Fills of the session are in its units already: take them out, restate the rest, put them back.
    done = traded(fills)
    before = added(now.positions, {asset: -quantity for asset, quantity in done.items()})
    positions = added(restated_positions(before, acts, run.key.session, now.prices, step, now.adopted), done)
    money = now.book.cash + now.book.receivables + owed_at(before, acts, run.key.session, now.prices, step, now.adopted)
    worth = money + sum((q * now.prices[a] for a, q in positions.items() if a in now.prices), ZERO)
    return replace(now, worth=worth, positions=positions)
