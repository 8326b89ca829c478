"""Halts of the kill file, taken into the ledger by whoever holds it: audited, told, and kept over restarts.

The file stays until the halt is lifted: both must be gone before anything is sent (`sigc.store.ledger.halting`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class LiftedHalt:
    """The result of a wish to end a halt. was_halted: there was one. not_seen: why it stays, with its new reason."""

    was_halted: bool
    not_seen: str = ""

    def seen(self) -> bool:
        """Return `was_halted`. Raise E901 for a halt that stays."""
        if self.not_seen:
            hint = "look at `sigc audit verify`; a second `sigc safety resume` accepts that"
            raise refusal(f"something else differs than the halt named, which names it now: {self.not_seen}", hint)
        return self.was_halted


def lift(tx: Transaction, work_dir: Path, scope: str, who: str, reason: str) -> LiftedHalt:
    """End the halt of a scope, in the ledger and in the kill file.

    What a ledger could not prove at its start is accepted by it, as far as the halt names it.

    Raise SigcError: E901 for a rule's halt; E310 for the file, which ends the transaction.
    """
    held = control.get(tx.connection, control.HALTED, scope)
    if held is not None and held.who == halting.RULE:
        raise refusal(f"'{scope}' was halted by a rule: {held.reason}", "it ends by itself, with its cause")
    if held is not None and proof.is_of_proof(held) and not proof.accept(tx, held, who, reason):
        again = control.get(tx.connection, control.HALTED, scope)
        return LiftedHalt(was_halted=True, not_seen="" if again is None else again.reason)
    was_halted = control.drop(tx, control.HALTED, scope, who, reason)
    return LiftedHalt(kill_file.lift_halt(work_dir, scope) or was_halted)


def stops_of(found: Iterable[Control], halts: Iterable[FileHalt]) -> tuple[StopDecision, ...]:
    """Return the stops in force: the ledger's, then the kill file's that the ledger has not."""
    stops = [StopDecision(one.name, one.scope, one.who, one.reason or one.value, one.at) for one in found]
    known = {one.strategy for one in stops if one.kind == control.HALTED}
    more = (one for one in halts if one.scope not in known)
    return (*stops, *(StopDecision(control.HALTED, one.scope, one.who, one.reason, one.since) for one in more))
