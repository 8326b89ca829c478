"""A live broker starts halted: real money is traded only after a person has said so, once for a ledger.

first start with a live broker     everything is halted, and the ledger remembers that it was
`sigc safety resume --reason ...`  trading begins; later starts, and restarts after a crash, go on
a start with another broker        forgets it: the way back to a live one begins halted again
"""

from __future__ import annotations

from sigc.store.ledger import control, halting
from sigc.store.ledger.ledger import Ledger
from sigc_pipelines.brokers.protocol import Broker

LIVE = "live"  # a decision of the ledger: value, the live broker that it was halted for
WHO = "start"


def halt_before_live(ledger: Ledger, broker: Broker) -> bool:
    """Halt everything if the broker trades real money and did not when the ledger was last opened. Return True then.

    Call it before anything that could send an order.
    """
    can = broker.capabilities()
    with ledger.reading() as connection:
        before = control.get(connection, LIVE, "")
    if not can.is_live:
        if before is not None:
            with ledger.transaction("control") as tx:
                control.drop(tx, LIVE, "", WHO, f"the broker is '{can.name}' now")
        return False
    if before is not None and before.value == can.name:
        return False
    reason = f"'{can.name}' trades real money: sigc safety resume --reason '...' lets it begin"
    with ledger.transaction("control") as tx:
        control.put(tx, LIVE, "", can.name, WHO, "a person must let it begin, once")
        if control.get(tx.connection, control.HALTED, "") is None:
            halting.halt(tx, "", LIVE, WHO, reason)
    return True
