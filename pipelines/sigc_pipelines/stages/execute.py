"""Execute: size the orders, write them down with all inputs of their checks in one transaction, then send them.

That transaction is the instant at which a run *decides*. Before it, a run that dies is as if it had never been; after
it, `sigc_pipelines.live.recover` brings it to its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sigc.errors import SigcError
from sigc.store.ledger import orders, price_marks, runs
from sigc.store.ledger.records import ZERO, Finding, Intent, IntentState, Outcome
from sigc_pipelines.checks.declare import listed
from sigc_pipelines.live import waiting
from sigc_pipelines.live.decision import Decision, bounds, within_size
from sigc_pipelines.live.finish import finish
from sigc_pipelines.live.judging import bounds_record, with_setting
from sigc_pipelines.live.order_window import (
    end_of,
    misfit,
    newer_session,
    not_before_opening,
    opening_of,
)
from sigc_pipelines.live.reversals import account_positions, split_reversals
from sigc_pipelines.live.sizing import decimal, lot_of, size, window_end, write_down
from sigc_pipelines.live.slice_times import Window, window_record
from sigc_pipelines.live.valuing import BookValue
from sigc_pipelines.records.artifacts import write_weights
from sigc_pipelines.records.decision_record import Sized
from sigc_pipelines.records.recording import decided_record, record_decision
from sigc_pipelines.stages.compute import ComputedTargets
from sigc_pipelines.stages.load import LoadedBook
from sigc_pipelines.stages.run_context import RunContext
from sigc_pipelines.stages.validate import JudgedTargets
from sigc_pipelines.targets import TargetSnapshot

_MOST_REASONS = 5  # of denied orders, in the message of a dry run; its findings have all


@dataclass(frozen=True, slots=True, eq=False)
class DecidedOrders:
    """The orders of a run as they ended, or as a dry run would send them; and the run's outcome in words."""

    orders: tuple[Intent, ...]
    outcome: Outcome
    message: str


def execute(
    context: RunContext, loaded: LoadedBook, computed: ComputedTargets, judged: JudgedTargets, findings: list[Finding]
) -> DecidedOrders:
    """Size, write down, send and resolve the orders; a dry run stops before anything is written down."""
    trading, made, now, snapshot = context.trading, judged.decision, loaded.value, computed.snapshot
    settings, can = trading.config.execution, trading.broker.capabilities()
    in_flight = _in_flight(context)
    step = can.quantity_step
    lot, short_lot = lot_of(settings, step), lot_of(settings, can.short_step or step)
    changes, least = _changes(snapshot, made, in_flight), decimal(settings.min_order_value)
    whole = size(changes, now.positions, in_flight, now.prices, made.basis.money, lot, least, short_lot)
    measured = bounds(snapshot, made, now, in_flight, whole, lot)
    sized, small = within_size(whole, measured, now.positions, trading.config.safety, lot)
    findings += small
    kept = Sized(whole, sized, changes, in_flight, lot)
    record_decision(context.ledger, context.run, snapshot, made, now, kept, context.feed)
    at, asked = context.at, trading.clock.now()
    leaves = opening_of(trading.calendar, at.session, can)
    # Slices begin with the session, unless they must be out before it.
    begins = max(asked, leaves, at.session.open if at.session.open < at.cut_off else leaves)
    intents = write_down(sized, context.run, context.ledger.id, settings, step, begins)
    if not can.crosses_zero:
        with context.account.reading() as connection:
            account = account_positions(connection)
        intents = split_reversals(intents, context.run, context.ledger.id, account, short_lot)
    intents = not_before_opening(intents, leaves, asked)
    first = min((i.not_before or asked for i in intents), default=asked)
    ends = end_of(context.run, max(context.run.started, first), settings, context.ledger.zone).at
    newer = newer_session(trading.calendar, context.run)
    no = misfit(intents, leaves, asked, ends, can.orders_per_minute, newer, context.ledger.zone, settings.cut_off)
    if no is not None:
        raise SigcError(no)
    marks = _marks(snapshot, now, {o.asset for o in sized})
    if context.is_dry:
        intents, denied = context.rehearsal.judged(intents, marks, bounds_record(measured, made.off))
        findings += denied
        return _would_go_out(context, loaded, intents, denied)
    write_weights(
        context.ledger.directory, context.run.id, snapshot.names, snapshot.wanted, made.target, made.basis.held
    )
    with context.ledger.transaction("intents") as tx:
        runs.mark_decided(tx, context.run)
        price_marks.put_marks(tx, context.run.id, marks)
        orders.plan(tx, intents)
        more: dict[str, object] = {"rebalance": computed.turn.due, "opens": at.session.open.isoformat()}
        more |= {"pending": _pending(computed, made), "coverage": {s.name: s.values for s in snapshot.sources}}
        more |= {"shown": judged.told.record(context.feed, loaded.data, marks)}
        more |= bounds_record(measured, made.off)
        if settings.style == "twap":
            more |= window_record(Window(begins, window_end(context.run, settings, begins)))
        tx.audit(runs.event("run.decided", context.run, decided_record(snapshot, made.target, intents) | more))
    outcome, message, found = finish(trading, context.run, context.watch)
    findings += found
    with context.ledger.reading() as connection:
        return DecidedOrders(orders.of_run(connection, context.run.id), outcome, message)


def _would_go_out(
    context: RunContext, loaded: LoadedBook, intents: tuple[Intent, ...], denied: Sequence[Finding]
) -> DecidedOrders:
    """Return the outcome of a dry run by what its orders would come to, with what would keep a trade from going on."""
    lost = sum(intent.state is IntentState.DENIED for intent in intents)
    left = len(intents) - lost
    told = [f"{left} order{'' if left == 1 else 's'} would go out"]
    if lost:
        told.append(f"{lost} would be denied")
        told += [_reason(finding) for finding in denied[:_MOST_REASONS]]
        told += [f"and {len(denied) - _MOST_REASONS} more reasons"] if len(denied) > _MOST_REASONS else []
    if context.rehearsal.refused:
        told.append(f"a run now would be refused: {context.rehearsal.refused}")
    told += [*filter(None, [context.rehearsal.unknown]), *(f.message for f in loaded.doubts)]
    outcome = Outcome.DONE
    if lost:
        outcome = Outcome.NOTHING_TRADED if lost == len(intents) else Outcome.PARTIAL
    return DecidedOrders(intents, outcome, "; ".join(told))


def _reason(denied: Finding) -> str:
    return f"{listed(denied.assets, 3)}: {with_setting(denied)}"


def _in_flight(context: RunContext) -> dict[str, Decimal]:
    """Return what open orders of the book may still change, by asset, signed."""
    with context.account.reading() as connection:
        flying = orders.in_flight(connection, context.book)
    left: dict[str, Decimal] = {}
    for one in flying:
        left[one.asset] = left.get(one.asset, ZERO) + one.side.sign * one.remaining
    return left


def _changes(snapshot: TargetSnapshot, made: Decision, in_flight: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return the target weight of every asset that is not kept as it is. Positions outside the universe are kept.

    A target that equals what is held, to the bit, is a wish to keep it: rounding to shares must not trade it.
    """
    return {
        name: decimal(t)
        for name, t, h in zip(snapshot.names, made.target.tolist(), made.basis.held.tolist(), strict=True)
        if name not in made.kept and (t != h or name in in_flight)
    }


def _pending(computed: ComputedTargets, made: Decision) -> dict[str, float]:
    """Return what waits for a price after this decision."""
    if computed.ready:
        return {n: w for n, w in computed.waiting.items() if n not in computed.ready or n in made.odd}
    return waiting.pending(computed.snapshot, made.target, made.odd)


def _marks(snapshot: TargetSnapshot, now: BookValue, ordered: set[str]) -> dict[str, price_marks.Mark]:
    sectors = dict(zip(snapshot.names, snapshot.sectors, strict=True)) if snapshot.sectors else {}
    return {n: price_marks.Mark(now.prices.get(n), sectors.get(n, "")) for n in sorted({*now.positions, *ordered})}
