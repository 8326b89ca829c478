"""The explanation of a run: its data, its decision, its orders, and what stopped it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sigc.errors import Severity
from sigc.store.ledger.records import Finding, Intent, IntentState, Outcome, RunStage, StageName
from sigc.why import cases
from sigc.why.cases import Link, LinkState, Stop
from sigc.why.session_facts import RunFacts
from sigc.why.words import counted, finding, named, plain, states, when

# The checks of data (`sigc_pipelines.checks.data`, which is a layer above); a test compares the two lists.
DATA_CHECKS = frozenset(
    {
        *("causal", "fresh", "repeats", "late", "covered", "unread", "splits", "universe", "unaccepted", "rows"),
        *("complete", "anomalies", "unusual", "missing", "use_cache"),
    }
)
_UNSENT = frozenset({IntentState.EXPIRED, IntentState.CANCELLED})
_MOST_LINES = 20
_NO_ROOM = ("can't be written", "can't take block")  # messages of a full or failed disk, in whatever stage
_NO_TURN = "no rebalance row"


@dataclass(frozen=True, slots=True)
class DataLine:
    """A source that a run read. newest: ISO date of its newest row, '' without dates; age: in sessions.

    content: the beginning of its digest. rows, assets: their number, -1 if it was not kept.
    """

    name: str
    content: str
    newest: str = ""
    age: int = -1
    rows: int = -1
    assets: int = -1
    changed: str = ""


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An order in a line. why: the message with which it was denied, refused or given up."""

    asset: str
    side: str
    quantity: str
    price: str
    state: str
    filled: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class RunOrders:
    """The orders of a run. wanted: assets with a weight, -1 if no decision was made.

    sent: orders sent to the broker; gross, net: of the target, as shares of the book. unwell: orders not filled in
    full;
    more: how many of these are not listed.
    """

    wanted: int = -1
    gross: float = 0.0
    net: float = 0.0
    sized: int = 0
    denied: int = 0
    sent: int = 0
    rejected: int = 0
    filled: int = 0
    part_filled: int = 0
    expired: int = 0
    cancelled: int = 0
    open: int = 0
    unwell: tuple[OrderLine, ...] = ()
    more: int = 0


NO_ORDERS = RunOrders()


def verdict(one: RunFacts) -> str:
    """Return a run's outcome in a sentence, with its orders as they stand now."""
    run = one.run
    word = "it goes on" if run.outcome is Outcome.OPEN else str(run.outcome)
    if not one.intents or not one.is_decided:
        return f"{word}, {run.message}" if run.message else word
    # The message begins with the counts at the run's end; the counts of now take their place.
    _, mark, more = run.message.partition("; ")
    if run.outcome in (Outcome.PARTIAL, Outcome.NOTHING_TRADED):
        mark = more = ""  # the message repeats the first reasons; the link that stopped the orders has all of them
    return f"{word}, {counted(len(one.intents), 'order')}: {states(one.intents)}{mark}{more}"


def links(one: RunFacts, zone: str) -> tuple[dict[str, Link], Stop | None]:
    """Return the known links from the data on, and what stopped the run; None if all orders were filled."""
    found = {link.name: link for link in _known(one, zone)}
    return found, _stop(one)


def data_of(one: RunFacts) -> tuple[DataLine, ...]:
    """Return the sources that were read, as far as the run kept them."""
    digests = one.run.digests
    kept = one.data.get("sources")
    kept = kept if isinstance(kept, Mapping) else {}
    names = sorted({name.removeprefix("data:") for name in digests if name.startswith("data:")} | set(kept))
    return tuple(_data_line(name, kept.get(name), digests) for name in names)


def _data_line(name: str, told: Any, digests: Mapping[str, str]) -> DataLine:
    content, changed = digests.get(f"data:{name}", "")[:12], digests.get(f"changed:{name}", "")
    if not isinstance(told, Mapping):
        return DataLine(name, content, changed=changed)
    age, rows, assets = (v if isinstance(v := told.get(key), int) else -1 for key in ("age", "rows", "assets"))
    return DataLine(name, content, str(told.get("newest", "")), age, rows, assets, changed)


def orders_of(one: RunFacts) -> RunOrders:
    """Return what became of a run's orders."""
    said, intents = one.decided, one.intents
    unwell = [i for i in intents if i.state is not IntentState.FILLED]
    wanted = said.get("wanted", -1)
    return RunOrders(
        wanted if isinstance(wanted, int) else -1,
        _float(said.get("gross")),
        _float(said.get("net")),
        len(intents),
        sum(i.state is IntentState.DENIED for i in intents),
        sum(i.attempts > 0 for i in intents),
        sum(i.state is IntentState.REJECTED for i in intents),
        sum(i.state is IntentState.FILLED for i in intents),
        sum(0 < i.filled < i.quantity for i in intents),
        sum(i.state is IntentState.EXPIRED for i in intents),
        sum(i.state is IntentState.CANCELLED for i in intents),
        sum(i.remaining > 0 for i in intents),
        tuple(order_line(one, i) for i in unwell[:_MOST_LINES]),
        max(0, len(unwell) - _MOST_LINES),
    )


def order_line(one: RunFacts, intent: Intent) -> OrderLine:
    """Return an order, with the check that denied it or the broker's message."""
    price = intent.reference if intent.limit is None else intent.limit
    about = (plain(intent.quantity), plain(price), intent.state.replace("_", " "), plain(intent.filled))
    return OrderLine(intent.asset, str(intent.side), *about, _why(one, intent))


def _why(one: RunFacts, intent: Intent) -> str:
    if intent.state is not IntentState.DENIED:
        return intent.message
    told = [f for f in _denials(one) if intent.asset in f.assets and f.message in intent.message]
    return "; ".join(finding(replace(f, assets=())) + _setting(f, intent) for f in told) or intent.message


def _setting(denied: Finding, intent: Intent) -> str:
    """Return the setting that the order's reason has behind the finding, in its brackets."""
    found = re.match(r" \(safety\.[a-z_.]+\)", intent.message.partition(denied.message)[2])
    return found[0] if found else ""


def _denials(one: RunFacts) -> list[Finding]:
    return [f for stage in one.stages for f in stage.findings if f.severity is Severity.DENIAL]


def _known(one: RunFacts, zone: str) -> list[Link]:
    ok, run = str(LinkState.OK), one.run
    stages = {stage.name: stage for stage in one.stages}
    found = [Link(cases.DATA, ok, f"as of {run.as_of}" + _sources(one))] if StageName.LOAD in stages else []
    if StageName.COMPUTE in stages:
        found.append(Link(cases.COMPUTE, ok))
        found += [Link(cases.REBALANCE, ok)] if stages[StageName.COMPUTE].outcome == "done" else []
    if StageName.VALIDATE in stages:
        told = [f for f in stages[StageName.VALIDATE].findings if f.severity is Severity.WARNING]
        state = LinkState.WARNING if told else LinkState.OK
        more = f" and {len(told) - 1} more" if len(told) > 1 else ""
        found.append(Link(cases.CHECK, str(state), finding(told[0]) + more if told else ""))
    if one.is_decided:
        found += _of_orders(one, zone)
    return found


def _sources(one: RunFacts) -> str:
    old = [line for line in data_of(one) if line.age > 0]
    return f"; {', '.join(f'{line.name} ends {line.newest}' for line in old[:3])}" if old else ""


def _of_orders(one: RunFacts, zone: str) -> list[Link]:
    ok, told, intents = str(LinkState.OK), orders_of(one), one.intents
    exposure = f", gross {told.gross:.4f}, net {told.net:+.4f}" if told.wanted >= 0 else ""
    text = f"{counted(told.wanted, 'asset')} wanted{exposure}; {counted(len(intents), 'order')}"
    found = [Link(cases.DECISION, ok, text)]
    limits = f"{told.denied} of {counted(len(intents), 'order')} denied" if told.denied else "no order denied"
    found.append(Link(cases.LIMITS, str(LinkState.WARNING if told.denied else LinkState.OK), limits))
    sent = [i.sent_at for i in intents if i.sent_at is not None]
    first = f", the first {when(min(sent), zone)}" if sent else ""
    refused = f", {told.rejected} refused" if told.rejected else ""
    found.append(
        Link(
            cases.BROKER, str(LinkState.WARNING if told.rejected else LinkState.OK), f"{told.sent} sent{first}{refused}"
        )
    )
    found.append(
        Link(cases.FILLS, str(LinkState.OK if told.filled == told.sized else LinkState.WARNING), states(intents))
    )
    return found


def _stop(one: RunFacts) -> Stop | None:
    run, look = one.run, f"sigc runs show {one.run.id}"
    if run.outcome is Outcome.OPEN and not one.is_decided:
        stage = one.stages[-1].name if one.stages else "the beginning"
        return Stop(_link_of(one), f"it goes on, after {stage}", f"sigc logs --run {run.id} -f", LinkState.WAITING)
    if not one.is_decided:
        return _undecided(one, look)
    if not one.intents:
        return Stop(cases.DECISION, run.message or "nothing had to change", look)
    return _of_states(one)


def _undecided(one: RunFacts, look: str) -> Stop:
    """Return what ended a run before it decided: a stage, a person, or the end of its process."""
    run = one.run
    if run.outcome is Outcome.UNCHANGED:
        is_turn = run.message.startswith(_NO_TURN)
        return Stop(cases.REBALANCE if is_turn else cases.DECISION, run.message, look)
    if run.outcome is Outcome.CANCELLED:
        return Stop(_link_of(one), run.message or "cancelled", look)
    if run.outcome is Outcome.INTERRUPTED:
        return Stop(_link_of(one), f"the process ended meanwhile: {run.message}", look)
    bad = next((stage for stage in one.stages if stage.outcome != "done"), None)
    if bad is None:
        return Stop(_link_of(one), run.message or f"it ended {run.outcome}", look)
    return Stop(*_of_stage(bad, run.message), look)


def _of_stage(stage: RunStage, message: str) -> tuple[str, str]:
    """Return the link for a stage that failed, and the reason."""
    errors = [f for f in stage.findings if f.severity is Severity.ERROR]
    # A check that measured something says more than the error it caused.
    measured = [f for f in errors if not _is_code(f.check)] or errors
    if not measured:
        return {StageName.LOAD: cases.DATA, StageName.COMPUTE: cases.COMPUTE}.get(stage.name, cases.CHECK), message
    first = measured[0]
    more = f" and {len(measured) - 1} more" if len(measured) > 1 else ""
    text = (first.message if _is_code(first.check) else finding(first)) + more
    if first.check == "E803" and stage.name is not StageName.EXECUTE:
        return cases.DEADLINE, text
    if first.check.startswith(("E6", "E804", "E805")):
        return cases.BROKER, text
    # From `sigc.calendar`: the calendar can't be computed, or does not cover the session. Its texts begin so, which
    # `tests/why/test_calendar_link.py` holds them to: E402 is the code of other settings too.
    if first.check == "E402" and text.startswith("calendar "):
        return cases.CALENDAR, text
    if any(words in text for words in _NO_ROOM):
        return cases.DAEMON, text
    match stage.name:
        case StageName.LOAD:
            return cases.CHECK if first.check.startswith("E8") else cases.DATA, text
        case StageName.COMPUTE:
            return cases.COMPUTE, text
        case StageName.VALIDATE:
            return cases.DATA if first.check in DATA_CHECKS else cases.CHECK, text
        case _:
            return cases.DECISION, text


def _is_code(check: str) -> bool:
    """Return True if a finding was made of an error: it is named by the error's code."""
    return len(check) == 4 and check[0] == "E" and check[1:].isdigit()


def _link_of(one: RunFacts) -> str:
    """Return the link after the last stage that succeeded."""
    done = {stage.name for stage in one.stages if stage.outcome == "done"}
    order = (
        (StageName.LOAD, cases.DATA),
        (StageName.COMPUTE, cases.COMPUTE),
        (StageName.VALIDATE, cases.CHECK),
    )
    return next((link for stage, link in order if stage not in done), cases.DECISION)


def _of_states(one: RunFacts) -> Stop | None:
    """Return the first thing that kept orders from being filled: halts, limits, broker, cut-off, market; or None."""
    intents, run = one.intents, one.run
    look = f"sigc orders --run {run.id}"
    # The order matters: an earlier cause explains the later states too.
    denied = [i for i in intents if i.state is IntentState.DENIED]
    if denied:
        halted = [i for i in denied if " is halted by " in i.message]
        what = f"{len(denied)} of {counted(len(intents), 'order')} denied"
        if halted:
            return Stop(cases.HALT, f"{what}: {halted[0].message}", look)
        return Stop(cases.LIMITS, f"{what}: {denied[0].asset}: {_why(one, denied[0])}", look)
    rejected = [i for i in intents if i.state is IntentState.REJECTED]
    if rejected:
        what = f"{len(rejected)} of {counted(len(intents), 'order')} refused by the broker"
        return Stop(cases.BROKER, f"{what}: {rejected[0].asset}: {rejected[0].message}", look)
    doubtful = [i for i in intents if i.state in (IntentState.SENDING, IntentState.UNKNOWN)]
    if doubtful:
        is_going = run.outcome is Outcome.OPEN
        what = "sent, not yet answered" if is_going else "without a known outcome"
        text = f"{counted(len(doubtful), 'order')} {what}: {named(i.asset for i in doubtful)}"
        return Stop(cases.BROKER, text, look, LinkState.WAITING if is_going else LinkState.STOPPED)
    # No attempt: given up before it was sent, at the cut-off or by a cancellation.
    unsent = [i for i in intents if i.state in _UNSENT and i.attempts == 0]
    if unsent:
        said = unsent[0].message or str(unsent[0].state)
        return Stop(cases.BROKER, f"{counted(len(unsent), 'order')} never sent: {said}", look)
    planned = [i for i in intents if i.state is IntentState.PLANNED]
    if planned:
        return Stop(cases.BROKER, f"{counted(len(planned), 'order')} not sent yet", look, LinkState.WAITING)
    working = [i for i in intents if i.remaining > 0]
    if working:
        text = f"{counted(len(working), 'order')} open at the broker: {named(i.asset for i in working)}"
        return Stop(cases.FILLS, text, look, LinkState.WAITING)
    short = [i for i in intents if i.filled < i.quantity]
    if short:
        first = short[0]
        text = f"{counted(len(short), 'order')} filled less than wanted: {named(i.asset for i in short)}"
        return Stop(cases.FILLS, f"{text} ({first.state}{': ' + first.message if first.message else ''})", look)
    return None


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
