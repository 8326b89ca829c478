"""Ledger and broker compared, and differences adopted, as values that go over the wire."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from sigc.daemon.runner import Adopting
from sigc.errors import Diagnostic, SigcError
from sigc.rpc.messages.books import DifferenceTold, ReconcileReply, told_adjustment
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.reconcile.adopt import Adoption, adopt, compare
from sigc_pipelines.reconcile.causes import ExplainedDifference


def reconciled(trading: Trading, adopting: Adopting | None = None) -> ReconcileReply:
    """Compare, and adopt if somebody asks for it. Raises SigcError: E601 for a silent broker, E804, E312."""
    try:
        if adopting is None:
            return ReconcileReply(_told(compare(trading).found))
        done = adopt(trading, Adoption(adopting.who, adopting.reason, adopting.book))
    except UnreachableError as silent:
        hint = "nothing was adopted; orders that the ledger does not know may be cancelled at the broker"
        raise SigcError(Diagnostic("E601", str(silent), hint="" if adopting is None else hint)) from silent
    try:
        left = compare(trading).found
    except UnreachableError as silent:
        hint = f"{len(done.adopted)} entries are written; look again: `sigc reconcile`"
        raise SigcError(Diagnostic("E601", str(silent), hint=hint)) from silent
    return ReconcileReply(_told(done.found), tuple(map(told_adjustment, done.adopted)), _told(left))


def _amount(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _told(found: Iterable[ExplainedDifference]) -> tuple[DifferenceTold, ...]:
    return tuple(
        DifferenceTold(d.asset, _amount(d.ledger), _amount(d.broker), str(one.cause), one.text)
        for one, d in ((one, one.difference) for one in found)
    )
