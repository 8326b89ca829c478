"""Halts as the sender of orders sees them: in the ledger, and in the kill file beside it.

It is read right before each request leaves, when the order is marked as sending already: a process that was frozen in
between finds the halt that was set meanwhile.
"""

from __future__ import annotations

from sigc.host import kill_file
from sigc.store.ledger import breakers, halting
from sigc.store.ledger.ledger import Ledger


def halt_in_force(ledger: Ledger, strategy: str) -> str:
    """Return why nothing of a strategy may be sent, '' if it may."""
    # The file first: it is a look at a folder, and works when the ledger does not answer.
    by_file = kill_file.halt_for(ledger.directory, strategy)
    if by_file is not None:
        return halting.reason_of(by_file.scope, by_file.who, by_file.reason)
    with ledger.reading() as connection:
        held = breakers.halt_of(connection, strategy)
    return "" if held is None else halting.reason_of(held.scope, held.who, held.reason or held.value)
