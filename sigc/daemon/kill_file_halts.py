"""Halts of the kill file, taken into the ledger by whoever holds it: audited, told, and kept over restarts.

The file stays until the halt is lifted: both must be gone before anything is sent (`sigc.store.ledger.halting`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sigc.daemon.ordering import refusal
from sigc.host import kill_file
from sigc.host.kill_file import FileHalt
from sigc.rpc.messages.page import StopDecision
from sigc.store.ledger import control, halting, proof
from sigc.store.ledger.control import Control
from sigc.store.ledger.ledger import Transaction


def take_in(tx: Transaction, work_dir: Path) -> tuple[str, ...]:
    """Take the halts of the kill file into the ledger. Return the scopes that are new there.

    Call it before recovery, so that nothing which was halted meanwhile is sent.
    """
    # Read in the transaction: a halt that is being lifted is not taken in again.
    found = [(one.scope, one.who, one.reason, one.since) for one in kill_file.halts_of(work_dir)]
    return halting.take_in(tx, found) if found else ()


def lift(tx: Transaction, work_dir: Path, scope: str, who: str, reason: str) -> bool:
    """End the halt of a scope, in the ledger and in the kill file. Return True if there was one.

    What a ledger could not prove at its start is accepted by it.

    Raise SigcError: E901 for a rule's halt; E310 for the file, which ends the transaction.
    """
    held = control.get(tx.connection, control.HALTED, scope)
    if held is not None and held.who == halting.RULE:
        raise refusal(f"'{scope}' was halted by a rule: {held.reason}", "it ends by itself, with its cause")
    if held is not None and held.value == proof.NOT_WHOLE:
        proof.accept(tx, who, reason)
    was_halted = control.drop(tx, control.HALTED, scope, who, reason)
    return kill_file.lift_halt(work_dir, scope) or was_halted


def stops_of(found: Iterable[Control], halts: Iterable[FileHalt]) -> tuple[StopDecision, ...]:
    """Return the stops in force: the ledger's, then the kill file's that the ledger has not."""
    stops = [StopDecision(one.name, one.scope, one.who, one.reason or one.value, one.at) for one in found]
    known = {one.strategy for one in stops if one.kind == control.HALTED}
    more = (one for one in halts if one.scope not in known)
    return (*stops, *(StopDecision(control.HALTED, one.scope, one.who, one.reason, one.since) for one in more))
