"""Default rules over audit events. All of them are on; `alerts.disabled` turns some off.

Each function below is a declaration: collected in `RULES`, listed in docs/alerts.md, raised in a test by a real run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from types import MappingProxyType

from sigc.alerts.declare import (
    BY_EVENT,
    RULES,
    EventRule,
    EventRun,
    Found,
    OrderCounts,
    Raise,
    Reasons,
    Resolve,
    RuleEvent,
    rule,
)
from sigc.alerts.urgency import Urgency
from sigc.alerts.words import check_command, instant, lines_of, moment, some, span
from sigc.words import counted

__all__ = ["BY_EVENT", "RULES", "EventRule", "EventRun", "Found", "OrderCounts", "Raise", "Resolve", "RuleEvent"]

_ENDS = ("run.closed", "run.ended")
_KEEPING = ("book.not_kept", "book.kept")
_HEALTH = ("health.degraded", "health.healthy")  # payload: the text of each check that changed, by its name
_KEPT = "the book is up to date"
ABOUT_BOOKS = frozenset({"book_not_kept", "books_differ", "ledger_damaged"})  # resolved by the event book.kept
ABOUT_HEALTH = frozenset({"health_degraded", "runs_out"})  # their keys are names of checks
RUNNING_OUT = frozenset({"calendar", "certificate"})  # checks of things that expire on a known day
_TRADE, _DRY, _RECONCILE = "trade", "dry", "reconcile"
# The words of a title for each check of `on_stale_data`.
_STALE = MappingProxyType(
    {"fresh": "data are late", "late": "data are late", "covered": "data are missing", "repeats": "data are stale"}
)
_DIFFER, _DAMAGED = frozenset({"E600", "E602"}), ("E310", "E810", "E812")
_SHOWN, _UNTIL = 3, "Nothing was sent; the session can be traded until its cut-off"
FILLED_LESS = "filled_less"
# Events that may end a run's last open order: the rules see them once, at the end of their transaction.
ENDS_ORDERS = frozenset({"fill", "fill.excess", "order.expired", "order.cancelled", "order.rejected"})
_HALF, _THOUSANDTH = Decimal("0.5"), Decimal("0.001")
_BREAKER_DOES = MappingProxyType(
    {
        "halt_trading": "Nothing is sent until it is reset",
        "flatten": "Nothing is sent until it is reset, and the positions are closed",
        "reduce_exposure": "Only orders that reduce are sent until it is reset",
        "pause_30min": "No run begins for half an hour",
        "alert_only": "Nothing is held back",
    }
)
UNRESOLVED = "unresolved"  # the value of a halt set by an order without a known outcome; that has a rule of its own


# Runs.


@rule("run_failed", on=_ENDS, urgency=Urgency.CRITICAL, is_once=True, needs_run=True)
def run_failed(seen: RuleEvent) -> Iterator[Found]:
    """A run failed. Critical for a trade, a warning for other jobs; dry runs are not reported."""
    facts = _facts(seen)
    if seen.said("outcome") == "failed" and facts.kind != _DRY and not _is_told_otherwise(facts):
        urgency = None if facts.kind == _TRADE else Urgency.WARNING
        yield Raise(seen.run, f"{_of(seen)}: run failed", _run_text(seen), urgency)


@rule("run_refused", on=("run.refused", *_ENDS), urgency=Urgency.CRITICAL, is_once=True, needs_run=True)
def run_refused(seen: RuleEvent) -> Iterator[Found]:
    """A check, a limit or a decision refused a trade: nothing was sent."""
    facts = _facts(seen)
    if seen.event == "run.refused":
        yield Raise(seen.said("id"), f"{_of(seen)}: run refused", _run_text(seen, seen.said("id")))
    elif seen.said("outcome") == "refused" and facts.kind not in (_DRY, _RECONCILE) and not _is_told_otherwise(facts):
        yield Raise(seen.run, f"{_of(seen)}: run refused", _run_text(seen))


@rule("data_late", on=(*_ENDS, "job.waits"), urgency=Urgency.CRITICAL, is_once=True, needs_run=True)
def data_late(seen: RuleEvent) -> Iterator[Found]:
    """A trade was refused as its data are late, stale or missing, or a fire has waited for fresh data too long."""
    if seen.event == "job.waits":
        job, since = seen.said("job"), span(60.0 * float(seen.payload.get("minutes", 0)))
        text = f"The fire of {_fire(seen)} has waited for fresh data for {since}"
        awaits = f": {seen.said('awaits')}." if seen.said("awaits") else "."
        yield Raise(f"{job} {seen.said('planned')}", f"{job}: data are late", lines_of(text + awaits, _look(seen)))
    elif seen.said("outcome") == "refused" and _kind(seen) == _TRADE and _is_stale(_facts(seen)):
        what = next(_STALE[check] for check, _ in _facts(seen).errors if check in _STALE)
        yield Raise(seen.run, f"{_of(seen)}: {what}, nothing was traded", _run_text(seen))


@rule("reconciliation", on=_ENDS, urgency=Urgency.CRITICAL, is_once=True, needs_run=True)
def reconciliation(seen: RuleEvent) -> Iterator[Found]:
    """Ledger and broker differ, as a trade or a job of kind reconcile found; or the broker refused the account."""
    facts = _facts(seen)
    if facts.kind == _RECONCILE and seen.said("outcome") == "refused":
        yield Raise(seen.run, f"{_of(seen)}: ledger and broker differ", _run_text(seen))
    elif seen.said("outcome") in ("failed", "refused") and facts.kind == _TRADE and _differs(facts):
        is_refused = any(check == "E600" for check, _ in facts.errors)
        what = "the broker refused" if is_refused else "ledger and broker differ"
        yield Raise(seen.run, f"{_of(seen)}: {what}, nothing was traded", _run_text(seen))


@rule("run_interrupted", on=_ENDS, urgency=Urgency.CRITICAL, is_once=True, needs_run=True)
def run_interrupted(seen: RuleEvent) -> Iterator[Found]:
    """A run was cut off by the end of the process; recovery found it."""
    if seen.said("outcome") == "interrupted" and _kind(seen) != _DRY:
        urgency = None if _kind(seen) == _TRADE else Urgency.WARNING
        yield Raise(seen.run, f"{_of(seen)}: run interrupted", _run_text(seen), urgency)


@rule("traded_nothing", on=("run.closed",), urgency=Urgency.CRITICAL, is_once=True, needs_run=True)
def traded_nothing(seen: RuleEvent) -> Iterator[Found]:
    """A run wanted orders and none reached the broker's book: denied, rejected, or not sent before the cut-off."""
    facts = _facts(seen)
    if _has_orders(seen, facts) and facts.lost == facts.wanted:
        title = f"{_of(seen)}: nothing was traded, none of {counted(facts.wanted, 'order')} was placed"
        yield Raise(seen.run, title, _orders_text(seen, facts.reasons, command=_show(seen.run)))


@rule("traded_part", on=("run.closed",), urgency=Urgency.WARNING, is_once=True, needs_run=True)
def traded_part(seen: RuleEvent) -> Iterator[Found]:
    """Some orders of a run reached the broker's book and some were denied, rejected or not sent."""
    facts = _facts(seen)
    if _has_orders(seen, facts) and 0 < facts.lost < facts.wanted:
        title = f"{_of(seen)}: {facts.lost} of {facts.wanted} orders not placed"
        yield Raise(seen.run, title, _orders_text(seen, facts.reasons, command=_show(seen.run)))


@rule(
    FILLED_LESS,
    on=("run.closed", *sorted(ENDS_ORDERS)),
    urgency=Urgency.WARNING,
    is_once=True,
    needs_run=True,
)
def filled_less(seen: RuleEvent) -> Iterator[Found]:
    """A run's last order has ended, and some were not filled: expired, cancelled or rejected in the broker's book.

    Critical when less than half of the value that was ordered there was filled.
    """
    facts, placed = _facts(seen), _facts(seen).placed
    # While the run is open its closing event is still to come, and will be judged instead.
    is_over = facts.kind == _TRADE and facts.outcome not in ("", "open", "cancelled") and not placed.open
    if is_over and placed.short:
        share = f"{placed.share.quantize(_THOUSANDTH, ROUND_DOWN):.1%}"
        ended = f"{placed.short} of {facts.wanted} orders ended before they were filled"
        title = f"{_of(seen)}: {ended}; {share} of the value was"
        filled = f"{placed.filled.normalize():,f} of {placed.ordered.normalize():,f} shares"
        text = f"Filled: {filled}, {share} of the value that was ordered."
        urgency = Urgency.CRITICAL if placed.share < _HALF else None
        yield Raise(seen.run, title, _orders_text(seen, placed.reasons, text), urgency)


@rule("order_unresolved", on=("alert", "control.dropped"), urgency=Urgency.CRITICAL)
def order_unresolved(seen: RuleEvent) -> Iterator[Found]:
    """Orders have no known outcome at the cut-off: the strategy is halted until they are looked up."""
    if seen.event == "alert":
        assets = ", ".join(map(str, tuple(seen.payload.get("assets", ()))[:_SHOWN]))
        text = f"{seen.said('message')}: {assets}. The strategy is halted until the broker says what became of them."
        yield Raise(seen.strategy, f"{_of(seen)}: {seen.said('message')}", lines_of(text, _show(seen.run), seen.run))
    elif seen.said("name") == "halted" and seen.who == "sigc":
        yield Resolve(seen.said("scope"), seen.said("reason") or "every order's outcome is known")


# Decisions.


@rule("halted", on=("control.set", "control.dropped"), urgency=Urgency.CRITICAL)
def halted(seen: RuleEvent) -> Iterator[Found]:
    """A strategy, or everything, was halted by a person or a rule: no order is sent until it is taken back."""
    if seen.said("name") != "halted" or seen.said("value") == UNRESOLVED:
        return
    scope = seen.said("scope") or "everything"
    if seen.event == "control.dropped":
        yield Resolve(seen.said("scope"), f"resumed by {seen.who}" + _because(seen))
    else:
        text = f"{scope} is halted by {seen.who or 'a rule'}{_because(seen)}. No order is sent."
        yield Raise(seen.said("scope"), f"{scope}: trading halted", lines_of(text, "sigc status"))


@rule("breaker_tripped", on=("control.set", "control.dropped"), urgency=Urgency.CRITICAL)
def breaker_tripped(seen: RuleEvent) -> Iterator[Found]:
    """A circuit breaker tripped: a loss, a drawdown, a streak of losses or the volatility reached its threshold."""
    if seen.said("name") != "breaker":
        return
    name, _, book = seen.said("scope").partition(" ")
    if seen.event == "control.dropped":
        yield Resolve(seen.said("scope"), f"reset by {seen.who}" + _because(seen))
        return
    action = str(json.loads(seen.said("value"))["action"])
    title = f"{book.partition('/')[0] or 'all books'}: the breaker {name} has tripped"
    text = f"{seen.said('reason')}. {_BREAKER_DOES[action]}."
    urgency = Urgency.WARNING if action == "alert_only" else None
    yield Raise(seen.said("scope"), title, lines_of(text, "sigc safety status"), urgency)


# Schedule.


@rule("did_not_run", on=("job.did_not_run",), urgency=Urgency.CRITICAL, is_once=True)
def did_not_run(seen: RuleEvent) -> Iterator[Found]:
    """A job did not run, or not by its deadline. Critical for jobs that trade."""
    job, reason, detail = seen.said("job"), seen.said("reason"), seen.said("detail")
    text = f"The fire of {_fire(seen)} has not run: {reason}" + (f" ({detail})." if detail else ".")
    urgency = None if seen.payload.get("trades") else Urgency.WARNING
    title = f"{job}: did not run ({reason})"
    yield Raise(f"{job} {seen.said('planned')}", title, lines_of(text, _look(seen)), urgency)


# Books and ledger.


@rule("book_not_kept", on=_KEEPING, urgency=Urgency.CRITICAL)
def book_not_kept(seen: RuleEvent) -> Iterator[Found]:
    """A book could not be brought up to date after its session: fills, charges or NAV are missing."""
    why = seen.said("why")
    if seen.event == "book.kept":
        yield Resolve(seen.strategy, _KEPT)
    # Those have rules of their own: `books_differ` and `ledger_damaged`.
    elif not any(code in why for code in (*_DIFFER, *_DAMAGED)):
        text = f"{why}. It is tried again with growing waits."
        title = f"{seen.strategy}: the book is not up to date"
        yield Raise(seen.strategy, title, lines_of(text, "sigc status --detailed"))


@rule("books_differ", on=_KEEPING, urgency=Urgency.CRITICAL)
def books_differ(seen: RuleEvent) -> Iterator[Found]:
    """Ledger and broker differ in the upkeep of a book between its runs."""
    why = seen.said("why")
    if seen.event == "book.kept":
        yield Resolve(seen.strategy, _KEPT)
    elif any(code in why for code in _DIFFER):
        yield Raise(
            seen.strategy,
            f"{seen.strategy}: not kept, ledger and broker differ",
            lines_of(why, f"sigc positions --strategy {seen.strategy}"),
        )


@rule("ledger_damaged", on=_KEEPING, urgency=Urgency.CRITICAL)
def ledger_damaged(seen: RuleEvent) -> Iterator[Found]:
    """The ledger can't be used, or its books do not match their fills."""
    why = seen.said("why")
    if seen.event == "book.kept":
        yield Resolve(seen.strategy, _KEPT)
    elif any(code in why for code in _DAMAGED):
        yield Raise(seen.strategy, "the ledger is damaged, or can't be used", lines_of(why, "sigc audit verify"))


@rule("book_without_owner", on=("book.unowned", "book.owned"), urgency=Urgency.WARNING)
def book_without_owner(seen: RuleEvent) -> Iterator[Found]:
    """A book holds positions or open orders and no configured strategy owns it: nobody trades it."""
    if seen.event == "book.owned":
        yield Resolve(seen.strategy, "it has an owner again, or holds nothing")
        return
    held = f"The book of {seen.strategy} holds {counted(int(seen.payload.get('positions', 0)), 'position')}"
    text = f"{held}, and no strategy of that name is configured."
    yield Raise(seen.strategy, f"{seen.strategy}: a book without an owner", lines_of(text, "sigc positions"))


# The daemon.


@rule("daemon_recovered", on=("daemon.recovered",), urgency=Urgency.CRITICAL, is_once=True)
def daemon_recovered(seen: RuleEvent) -> Iterator[Found]:
    """The daemon was restarted after an end that nobody asked for."""
    alive, back, zone = instant(seen.payload.get("alive")), instant(seen.payload.get("back")), seen.said("zone")
    gone = f", gone for {span((back - alive).total_seconds())}" if alive is not None and back is not None else ""
    text = f"It was last alive at {moment(seen.payload.get('alive'), zone) or 'an unknown time'} and is back since"
    text = f"{text} {moment(seen.payload.get('back'), zone)}{gone}."
    runs = tuple(map(str, seen.payload.get("open", ())))
    left = f"Runs that were open: {some(runs)}; each gets its verdict now." if runs else "No run was open."
    more = "Fires that were missed meanwhile are told by themselves (did_not_run)."
    look = f"sigc runs show {runs[0]}" if len(runs) == 1 else "sigc runs list"
    title = "the daemon was restarted after a crash"
    yield Raise(seen.said("back"), title, lines_of(f"{text}\n{left} {more}", look))


@rule("health_degraded", on=_HEALTH, urgency=Urgency.WARNING)
def health_degraded(seen: RuleEvent) -> Iterator[Found]:
    """A check of the daemon's health failed: disk, memory, data, broker, clock, channels."""
    for name, text in _checks(seen).items():
        if name not in RUNNING_OUT and seen.event == "health.healthy":
            yield Resolve(name, f"the check '{name}' passes again")
        elif name not in RUNNING_OUT:
            yield Raise(name, f"health is degraded: {name}", lines_of(f"{name}: {text}", "sigc status --detailed"))


@rule("runs_out", on=_HEALTH, urgency=Urgency.WARNING)
def runs_out(seen: RuleEvent) -> Iterator[Found]:
    """A certificate expires within 14 days, or a calendar ends within 60 days."""
    for name, text in _checks(seen).items():
        if name in RUNNING_OUT and seen.event == "health.healthy":
            yield Resolve(name, f"the {name} was renewed")
        elif name in RUNNING_OUT:
            yield Raise(name, text.partition(";")[0], lines_of(text, "sigc status --detailed"))


@rule("cluster_lost", on=("cluster.lost", "cluster.found"), urgency=Urgency.CRITICAL)
def cluster_lost(seen: RuleEvent) -> Iterator[Found]:
    """The cluster that must be there does not answer: nothing runs until it does."""
    if seen.event == "cluster.found":
        yield Resolve("", "the cluster answers again")
    else:
        yield Raise("", "the cluster does not answer", lines_of(seen.said("why"), "sigc status --detailed"))


@rule("daily_summary", on=("daily.summary",), urgency=Urgency.INFO, is_once=True)
def daily_summary(seen: RuleEvent) -> Iterator[Found]:
    """Once a day: runs and their outcomes, orders, books, open alerts, ages of data, next fires."""
    yield Raise(seen.said("day"), seen.said("title"), lines_of(seen.said("text"), "sigc status"), is_notice=True)


@rule("condition", on=("condition.met", "condition.over"), urgency=Urgency.WARNING)
def condition(seen: RuleEvent) -> Iterator[Found]:
    """A condition over metrics that you wrote under `alerts.rules` is met."""
    name, key = seen.said("name"), f"{seen.said('name')} {seen.strategy}".strip()
    if seen.event == "condition.over":
        yield Resolve(key, f"no longer so: {seen.said('values')}")
        return
    text = f"{seen.said('when')} is so: {seen.said('values')}."
    urgency = Urgency(seen.said("severity")) if seen.said("severity") in list(Urgency) else None
    yield Raise(key, f"{seen.strategy or 'daemon'}: {name}", lines_of(text, "sigc status --detailed"), urgency)


# Words.


def _facts(seen: RuleEvent) -> EventRun:
    return seen.facts or EventRun()


def _checks(seen: RuleEvent) -> dict[str, str]:
    given = seen.payload.get("checks")
    return {str(name): str(text) for name, text in given.items()} if isinstance(given, dict) else {}


def _kind(seen: RuleEvent) -> str:
    return _facts(seen).kind


def _is_stale(facts: EventRun) -> bool:
    return any(check in _STALE for check, _ in facts.errors)


def _differs(facts: EventRun) -> bool:
    return any(check in _DIFFER for check, _ in facts.errors)


def _is_told_otherwise(facts: EventRun) -> bool:
    """Return True if a more specific rule reports the run."""
    return facts.kind == _TRADE and (_is_stale(facts) or _differs(facts))


def _has_orders(seen: RuleEvent, facts: EventRun) -> bool:
    return facts.kind == _TRADE and facts.wanted > 0 and seen.said("outcome") != "cancelled"


def _of(seen: RuleEvent) -> str:
    job = _facts(seen).job
    return seen.strategy or job or "sigc"


def _because(seen: RuleEvent) -> str:
    return f": {seen.said('reason')}" if seen.said("reason") else ""


def _fire(seen: RuleEvent) -> str:
    return moment(seen.payload.get("planned"), seen.said("zone"))


def _look(seen: RuleEvent) -> str:
    """Return the command that shows most about a fire: `why` if it trades a strategy, else the job's history."""
    if seen.strategy and seen.payload.get("trades"):
        return f"sigc why {seen.strategy} {seen.said('session')}".strip()
    return f"sigc schedule history {seen.said('job')}"


def _show(run: str) -> str:
    return f"sigc runs show {run}" if run else "sigc runs list"


def _run_text(seen: RuleEvent, run: str = "") -> str:
    facts, id = _facts(seen), run or seen.run
    message = seen.said("message") or f"it ended as {seen.said('outcome')}"
    lines = [f"Session {facts.session}. {message}" if facts.session else message]
    lines += [f"{check}: {text}" for check, text in facts.errors[:_SHOWN] if text != message]
    if facts.kind == _TRADE and not facts.wanted and seen.said("outcome") in ("failed", "refused", "interrupted"):
        lines.append(", ".join(filter(None, (_UNTIL, facts.cut_off))) + ".")
    command = f"sigc audit query --strategy {seen.strategy}" if seen.event == "run.refused" else _show(id)
    return lines_of("\n".join(lines), check_command(message) or command, id)


def _orders_text(seen: RuleEvent, reasons: Reasons, more: str = "", command: str = "") -> str:
    facts = _facts(seen)
    wanted = counted(facts.wanted, "order")
    counts = ", ".join(f"{number} {state}" for state, number in sorted(facts.orders.items()))
    lines = [
        f"Session {facts.session}: {wanted}, {counts}.",
        *([more] if more else []),
        *_first(reasons),
    ]
    return lines_of("\n".join(lines), command or f"sigc orders --run {seen.run}", seen.run)


def _first(reasons: Reasons) -> list[str]:
    found = [f"- {some(assets)}: {reason or 'no reason was given'}" for reason, assets in reasons.items()]
    return found[:_SHOWN] + ([f"- and {len(found) - _SHOWN} more reasons"] if len(found) > _SHOWN else [])
