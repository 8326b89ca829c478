"""The explanation of one asset of a run: signals, rank, wanted, constrained, held, sized, sent, filled. Pure.

    answer = judge_asset(facts, files, asset)

Data that a run did not keep appear as "not kept": runs of an older sigc kept less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sigc.errors import did_you_mean
from sigc.store.ledger.records import UNRESOLVED, ZERO, Fill, Finding, Intent, IntentState, RunKind, StageName
from sigc.why import session_facts as of
from sigc.why.chain import Explanation, judge
from sigc.why.run_links import order_line
from sigc.why.session_facts import RunFacts, SessionFacts
from sigc.why.words import finding, plain, when

NOT_KEPT = "not kept"
WEIGHTS = "weights"  # the name of the wanted weights among the values of signals


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One step from the signal to the position: its name and its value, or `not kept`."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class AssetAnswer:
    """The explanation of an asset in a session.

    run: the run explained, '' without one; is_dry: it traded nothing, and no trade of the session is known. steps: in
    order.
    """

    strategy: str
    session: str
    asset: str
    run: str
    verdict: str
    steps: tuple[TraceStep, ...]
    look: str
    zone: str
    is_dry: bool = False


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a run: values of signals, weights by asset, the sizes of its decision; {} for each not kept."""

    values: Mapping[str, Any]
    weights: Mapping[str, Any]
    decision: Mapping[str, Any]


def told_run(facts: SessionFacts) -> RunFacts | None:
    """Return the run to explain: the newest that decided, else the newest, else the newest dry one."""
    decided = [one for one in facts.trades if one.is_decided]
    return next(iter([*reversed(decided), *reversed(facts.trades), *reversed(facts.dry)]), None)


def files_of(work_dir: Path, run: str) -> Files:
    """Return the files of a run."""
    return Files(*(of.read_file(work_dir, run, name) for name in (of.VALUES, of.WEIGHTS, of.DECISION)))


def judge_asset(facts: SessionFacts, files: Files | None, asset: str) -> AssetAnswer:
    """Return what became of an asset, or why the session had no run."""
    one, plan, whole = told_run(facts), facts.plan, judge(facts)
    if one is None or files is None:
        return AssetAnswer(plan.strategy, plan.session, asset, "", whole.verdict, (), whole.look, plan.zone)
    look, is_dry = f"sigc runs show {one.run.id}", one.run.key.kind is not RunKind.TRADE
    # From every file: an old run kept only some of them.
    known = _universe(one, files)
    if asset not in known:
        text = f"{asset} is not among the {len(known)} assets of the run {one.run.id}"
        hint = did_you_mean(asset, sorted(known))
        verdict = f"{text}; {hint}" if hint else text
        return AssetAnswer(plan.strategy, plan.session, asset, one.run.id, verdict, (), look, plan.zone, is_dry)
    intents = tuple(i for i in one.intents if i.asset == asset)
    fills = tuple(f for f in one.fills if f.asset == asset)
    steps = (
        *_signals(files, asset),
        *_weights(files, asset),
        *_sizes(one, files, asset, intents),
        *_orders(one, intents, plan.zone),
        *_filled(fills, plan.zone, is_over=not any(i.remaining for i in intents)),
        *_waiting(intents, plan.zone),
        *((_after(files, asset, fills),) if one.run.key.kind is RunKind.TRADE else ()),
    )
    verdict = _verdict(whole, one, files, asset, intents, fills)
    return AssetAnswer(plan.strategy, plan.session, asset, one.run.id, verdict, steps, look, plan.zone, is_dry)


def _universe(one: RunFacts, files: Files) -> set[str]:
    names = files.values.get("names")
    listed = {str(name) for name in names} if isinstance(names, list) else set()
    sized = files.decision.get("assets")
    return (
        listed | set(files.weights) | set(sized if isinstance(sized, Mapping) else ()) | {i.asset for i in one.intents}
    )


# Signals and weights.


def _signals(files: Files, asset: str) -> Sequence[TraceStep]:
    values = _values(files)
    if not values:
        return (TraceStep("signal", NOT_KEPT),)
    found = []
    for name, own in sorted(values.items()):
        if name != WEIGHTS:
            found.append(TraceStep(f"signal {name}", _ranked(own, asset)))
    # A portfolio may have no signal but its weights.
    return found or (TraceStep("signal", _ranked(values.get(WEIGHTS, {}), asset)),)


def _values(files: Files) -> dict[str, dict[str, float | None]]:
    """Return the value of each asset, by signal."""
    names, values = files.values.get("names"), files.values.get("values")
    if not isinstance(names, list) or not isinstance(values, Mapping):
        return {}
    listed = ((str(name), own) for name, own in values.items() if isinstance(own, list) and len(own) == len(names))
    return {name: {str(n): v for n, v in zip(names, own, strict=True)} for name, own in listed}


def _ranked(values: Mapping[str, float | None], asset: str) -> str:
    """Return a value and its rank: 1 is the highest; equal values share the best rank.

    >>> _ranked({"A": 2.0, "B": None, "C": 3.0}, "A")
    '2, rank 2 of 2'
    """
    value = values.get(asset)
    if value is None:
        return "no value (missing, or the asset has no price)"
    known = [v for v in values.values() if v is not None]
    return f"{value:.6g}, rank {1 + sum(v > value for v in known)} of {len(known)}"


def _weights(files: Files, asset: str) -> Sequence[TraceStep]:
    raw, told = _values(files).get(WEIGHTS), files.weights.get(asset)
    is_kept = bool(files.weights) or bool(files.decision)
    wanted = None if raw is None else raw.get(asset)
    if isinstance(told, Mapping):
        return (
            TraceStep("wanted", _weight(told.get("wanted")) if wanted is None else _weight(wanted)),
            TraceStep("after constraints", _weight(told.get("target"))),
            TraceStep("held before", _weight(told.get("held"))),
        )
    if raw is None:
        text = _weight(0.0) if is_kept else NOT_KEPT  # the file lists only assets that are wanted or held
        return (TraceStep("wanted", text), TraceStep("after constraints", text), TraceStep("held before", text))
    left = _weight(0.0) if is_kept else NOT_KEPT
    # NaN is null in the file: the strategy defined no weight there.
    known = "no weight is defined" if wanted is None else _weight(wanted)
    return (TraceStep("wanted", known), TraceStep("after constraints", left), TraceStep("held before", left))


def _weight(value: object) -> str:
    return f"{float(value) + 0.0:+.6f} of the book" if isinstance(value, int | float) else NOT_KEPT


# Sizes and orders.


def _size(files: Files, asset: str) -> Mapping[str, Any] | None:
    """Return the decision's record of an asset; {} if it was neither wanted nor held, None if no record was kept."""
    sized = files.decision.get("assets")
    if not isinstance(sized, Mapping):
        return None
    found = sized.get(asset, {})
    return found if isinstance(found, Mapping) else {}


def _sizes(one: RunFacts, files: Files, asset: str, intents: Sequence[Intent]) -> Sequence[TraceStep]:
    told = _size(files, asset)
    ordered = sum((i.side.sign * i.quantity for i in intents), ZERO)
    if told is None:
        reference = plain(intents[0].reference) if intents else NOT_KEPT
        sized = _signed(ordered) if intents else "no order" if one.is_decided else NOT_KEPT
        return (TraceStep("price", reference), TraceStep("position before", NOT_KEPT), TraceStep("sized", sized))
    if not told:
        return (TraceStep("position before", "0"), TraceStep("sized", "nothing: it is neither wanted nor held"))
    position = plain(_decimal(told.get("held")))
    order, whole = _decimal(told.get("order")), _decimal(told.get("whole"))
    text = _signed(order) if order else f"no order: {_why_none(one, told, asset)}"
    # `whole` is the order before the limits on its size.
    if order and order != whole:
        text += f", cut from {_signed(whole)} to the limits of an order's size"
    aim = f", towards {plain(_decimal(told.get('quantity')))}" if told.get("quantity") is not None else ""
    return (
        TraceStep("price", str(told.get("price") or "none")),
        TraceStep("position before", position),
        TraceStep("sized", text + aim),
    )


def _why_none(one: RunFacts, told: Mapping[str, Any], asset: str) -> str:
    """Return why an asset that is wanted or held has no order."""
    if told.get("kept"):
        about = _about(one, asset)
        return f"kept as it is: {finding(about[0])}" if about else "kept as it is"
    if not told.get("price"):
        return "it has no price"
    if told.get("quantity") is None:
        return "the target is what is held"
    if _decimal(told.get("in_flight")):
        return f"{_signed(_decimal(told.get('in_flight')))} is on its way already"
    return "the change is less than a lot, or than execution.min_order_value"


def _about(one: RunFacts, asset: str) -> list[Finding]:
    stages = (stage for stage in one.stages if stage.name is StageName.VALIDATE)
    return [f for stage in stages for f in stage.findings if asset in f.assets]


def _orders(one: RunFacts, intents: Sequence[Intent], zone: str) -> Sequence[TraceStep]:
    if not intents:
        return (TraceStep("sent", "no order"),)
    found = []
    for intent in intents:
        line = order_line(one, intent)
        name = f"order {intent.slice + 1}" if intent.parent else "order"
        if intent.state is IntentState.DENIED:
            found.append(TraceStep("denied", line.why))
            continue
        sent = f"sent {when(intent.sent_at, zone)}" if intent.sent_at is not None else "not sent"
        why = f": {line.why}" if line.why else ""
        found.append(TraceStep(name, f"{line.side} {line.quantity} at {line.price}, {sent}, {line.state}{why}"))
    return found


def _waiting(intents: Sequence[Intent], zone: str) -> Sequence[TraceStep]:
    """Return what open orders wait for: their time, the broker's answer, or fills."""
    return tuple(TraceStep("waiting", _waits_for(i, zone)) for i in intents if i.remaining)


def _waits_for(intent: Intent, zone: str) -> str:
    if intent.state is IntentState.PLANNED:
        at = f", leaves {when(intent.not_before, zone)}" if intent.not_before is not None else ""
        return f"{plain(intent.remaining)} not sent yet{at}"
    if intent.state in UNRESOLVED:
        return f"{plain(intent.remaining)} sent, not yet answered"
    return f"{plain(intent.remaining)} open at the broker"


def _filled(fills: Sequence[Fill], zone: str, *, is_over: bool) -> Sequence[TraceStep]:
    if not fills:
        return (TraceStep("filled", "nothing"),) if is_over else ()
    quantity = sum((f.quantity for f in fills), ZERO)
    value = sum((f.quantity * f.price for f in fills), ZERO)
    cost = sum((f.commission for f in fills), ZERO)
    many = f" in {len(fills)} fills" if len(fills) > 1 else ""
    text = f"{plain(quantity)} at {plain(round(value / quantity, 6))}{many}, commission {plain(cost)}"
    return (TraceStep("filled", f"{text}, last {when(max(f.at for f in fills), zone)}"),)


def _after(files: Files, asset: str, fills: Sequence[Fill]) -> TraceStep:
    told = _size(files, asset)
    if told is None:
        return TraceStep("position after", NOT_KEPT)
    # Of this run alone: later runs, charges and corporate actions are not in it.
    done = sum((f.side.sign * f.quantity for f in fills), ZERO)
    return TraceStep("position after", plain(_decimal(told.get("held")) + done))


def _verdict(
    whole: Explanation, one: RunFacts, files: Files, asset: str, intents: Sequence[Intent], fills: Sequence[Fill]
) -> str:
    if not one.is_decided and one.run.key.kind is RunKind.TRADE:
        return f"no order was made. {whole.verdict}"
    if not intents:
        told = _size(files, asset)
        if told:
            order = _decimal(told.get("order"))
            return f"{_signed(order)} would be ordered" if order else f"not traded: {_why_none(one, told, asset)}"
        return "not traded: it is neither wanted nor held" if told is not None else "not traded: no order was made"
    bad = [i for i in intents if i.state is IntentState.DENIED]
    if bad:
        return f"denied: {order_line(one, bad[0]).why}"
    done = sum((f.quantity for f in fills), ZERO)
    asked = sum((i.quantity for i in intents), ZERO)
    side = "bought" if intents[0].side.sign > 0 else "sold"
    if done:
        value = sum((f.quantity * f.price for f in fills), ZERO)
        part = "" if done >= asked else f" of {plain(asked)}"
        return f"{side} {plain(done)}{part} at {plain(round(value / done, 6))}"
    waiting = next((i for i in intents if i.remaining), None)
    if waiting is not None:
        return f"waiting: {waiting.side} {plain(asked)}, {_waits_for(waiting, whole.zone)}"
    last = intents[-1]
    return f"{last.side} {plain(asked)}: {last.state.replace('_', ' ')}" + (f", {last.message}" if last.message else "")


def _signed(value: Decimal) -> str:
    side = "buy" if value > 0 else "sell"
    return f"{side} {plain(abs(value))}"


def _decimal(value: object) -> Decimal:
    try:
        return Decimal(str(value)) if value is not None else ZERO
    except InvalidOperation:
        return ZERO
