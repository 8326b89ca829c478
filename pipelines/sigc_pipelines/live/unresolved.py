"""Orders without a known outcome: when each is looked up again, and the halt of their strategy until all are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sigc.errors import Severity
from sigc.store.ledger import control, runs
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Finding, Intent, Run
from sigc.words import counted, local_time

UNRESOLVED_HALT = "unresolved"  # value of the halt of an order without an outcome; `recover.py` lifts only this one


@dataclass(slots=True)
class Doubt:
    """An order without an outcome: since when it is in doubt, the next lookup, and the wait (s) after that."""

    since: datetime
    at: datetime
    wait_s: float


def halt_unresolved(ledger: Ledger, run: Run, left: Sequence[Intent], when: str = "") -> Finding:
    """Halt the strategy until the orders of a run that are left are resolved. A person's halt is kept.

    when: they were given up, in words; '' at the cut-off.
    """
    assets = tuple(sorted(i.asset for i in left))
    cut_off = "" if run.cut_off is None else f", {local_time(run.cut_off, ledger.zone)}"
    why = f"{counted(len(left), 'order')} without a known outcome {when or f'at the cut-off{cut_off}'}"
    strategy = run.key.strategy
    with ledger.transaction("control") as tx:
        held = control.get(tx.connection, control.HALTED, strategy)
        if held is None or held.value == UNRESOLVED_HALT:
            control.put(tx, control.HALTED, strategy, UNRESOLVED_HALT, "sigc", why)
        tx.audit(runs.event("alert", run, {"severity": "critical", "message": why, "assets": assets}))
    return Finding("unresolved", Severity.ERROR, why, assets)
