"""The judge: decides which links of the chain held for a strategy and a session, and which one stopped it. Pure.

    answer = judge(facts)

Without a run, each piece of evidence (a miss, a refusal, an order that ended before its run) names the link that
stopped the session; the newest one is the verdict. Without evidence the plan decides: calendar, jobs, fires, the
daemon's life. With a run, `run_links.py` explains it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sigc.errors import did_you_mean
from sigc.store.ledger.control import HALTED, PAUSED
from sigc.store.ledger.jobs import Missed, OrderedRun
from sigc.store.ledger.records import Outcome
from sigc.why import cases, run_links
from sigc.why.cases import LINKS, Link, LinkState, Stop
from sigc.why.daemon_lives import JUST_NOW, down_at, unwritable_at
from sigc.why.session_facts import JobFacts, RunFacts, SessionFacts
from sigc.why.session_plan import PlannedJob, SessionPlan
from sigc.why.words import when

_LATE = frozenset({"missed", "missed too long ago", "a newer fire took its place"})  # of `schedule.misfire.Reason`
_BY_REASON = {
    "an earlier run was going on": cases.TURN,
    "too many fires were waiting": cases.TURN,
    "the deadline passed": cases.TURN,
    "the run was refused": cases.TURN,
    "the market was closed": cases.TURN,
    "paused": cases.PAUSE,
    "disabled": cases.SCHEDULE,
    "a job it depends on did not finish": cases.DEPENDENCY,
}


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run of the session in a line. job: of the schedule that ordered it, '' for a person."""

    id: str
    kind: str
    started: datetime
    who: str
    job: str
    outcome: str
    message: str
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of a strategy and a session.

    ran: the ledger has a trade of it. verdict: one sentence. stopped_by: the link that stopped it, '' for none;
    state: of that link (`waiting`: it may still run). look: the command to look further. data_from: the
    run that read `data`, if that was no trade of the session.
    """

    strategy: str
    session: str
    ran: bool
    verdict: str
    stopped_by: str
    state: str
    links: tuple[Link, ...]
    look: str
    zone: str
    runs: tuple[RunLine, ...] = ()
    data: tuple[run_links.DataLine, ...] = ()
    orders: run_links.RunOrders = run_links.NO_ORDERS
    data_from: str = ""


def judge(facts: SessionFacts) -> Explanation:
    """Return whether the strategy ran and what became of it, or which link stopped it."""
    found = _links_before(facts)
    if facts.trades:
        decisive = next((one for one in reversed(facts.trades) if one.is_decided), facts.trades[-1])
        links, stop = run_links.links(decisive, facts.plan.zone)
        found |= links
        verdict = f"ran: {run_links.verdict(decisive)}"
        if stop is not None and stop.text not in verdict:
            said = decisive.run.message
            verdict = f"ran: {decisive.run.outcome}" if said and said in stop.text else verdict
            verdict = f"{verdict}. {stop.link}: {stop.text}"
        look = stop.look if stop is not None else f"sigc runs show {decisive.run.id}"
        return _answer(facts, found, stop, verdict, look, decisive)
    stop = _stop(facts)
    dry = f" ({len(facts.dry)} dry)" if facts.dry else ""
    if stop.link == cases.STRATEGY and _is_unknown(facts):
        return _answer(facts, found, stop, stop.text, stop.look, None)  # "did not run" would be odd: it does not exist
    verb = "has not run yet" if stop.state is LinkState.WAITING else "did not run"
    return _answer(facts, found, stop, f"{verb}{dry}. {stop.link}: {stop.text}", stop.look, None)


def _answer(
    facts: SessionFacts, found: dict[str, Link], stop: Stop | None, verdict: str, look: str, decisive: RunFacts | None
) -> Explanation:
    links, read = [], decisive if decisive is not None else facts.before
    reached = LINKS.index(stop.link) if stop is not None else len(LINKS)
    of_runs = LINKS.index(cases.DATA)  # from this link on only a run's stages show that a link was reached
    for place, name in enumerate(LINKS):
        known = found.get(name)
        if stop is not None and name == stop.link:
            links.append(Link(name, str(stop.state), stop.text))
        elif place < reached and place < of_runs:
            links.append(known or Link(name, str(LinkState.OK)))
        elif known is not None and (place < reached or (decisive is not None and decisive.is_decided)):
            links.append(known)
        else:
            links.append(Link(name, str(LinkState.NOT_REACHED)))
    return Explanation(
        facts.plan.strategy,
        facts.plan.session,
        bool(facts.trades),
        verdict,
        stop.link if stop is not None else "",
        str(stop.state) if stop is not None else str(LinkState.OK),
        tuple(links),
        look,
        facts.plan.zone,
        tuple(_line(facts, one) for one in sorted((*facts.trades, *facts.dry), key=lambda one: one.run.started)),
        run_links.data_of(read) if read is not None else (),
        run_links.orders_of(decisive) if decisive is not None else run_links.NO_ORDERS,
        _read_by(facts.before) if decisive is None else "",
    )


def _read_by(one: RunFacts | None) -> str:
    """Return the words for the earlier or dry run that read data; '' if none kept what it read."""
    if one is None or not run_links.data_of(one):
        return ""
    return f"{one.run.key.kind} {one.run.id} for the session {one.run.key.session}"


def _line(facts: SessionFacts, one: RunFacts) -> RunLine:
    run, order = one.run, facts.orders.get(one.run.id)
    job = order.job if order is not None else ""
    return RunLine(*(run.id, str(run.key.kind), run.started, run.who, job, str(run.outcome), run.message, run.revision))


# What is known of the links before a run.


def _links_before(facts: SessionFacts) -> dict[str, Link]:
    plan, ok = facts.plan, str(LinkState.OK)
    where = f"{plan.file}" + (f", portfolio {plan.portfolio}" if plan.portfolio else "")
    found = {cases.STRATEGY: Link(cases.STRATEGY, ok, where if plan.is_configured else "not configured now")}
    found[cases.CALENDAR] = Link(cases.CALENDAR, ok, f"a session of {plan.calendar}" if plan.calendar else "")
    newest = facts.orders.get(facts.trades[-1].run.id) if facts.trades else None
    if newest is not None and newest.job:
        fire = f", due {when(newest.fire, plan.zone)}" if newest.fire is not None else ""
        found[cases.SCHEDULE] = Link(cases.SCHEDULE, ok, f"job {newest.job}{fire}")
    elif facts.trades:
        found[cases.SCHEDULE] = Link(cases.SCHEDULE, ok, f"asked for by {facts.trades[-1].run.who}")
    else:
        due = [_due(job, at, plan) for job in plan.jobs for at in job.fires]
        found[cases.SCHEDULE] = Link(cases.SCHEDULE, ok, "; ".join(due[:3]))
    if facts.trades:
        found[cases.DAEMON] = Link(cases.DAEMON, ok, "" if newest is not None else "it ran without a daemon")
    for name, hold in ((cases.PAUSE, PAUSED), (cases.HALT, HALTED)):
        holding = next((h for h in facts.holds if h.name == hold), None)
        if holding is not None:
            text = f"now: {_hold_text(holding.scope, hold, holding.at, holding.who, holding.reason, plan.zone)}"
            found[name] = Link(name, str(LinkState.WARNING), text)
    if facts.trades:  # it ran in the end: what stopped it before becomes a remark
        for _, stop in sorted(_evidence(facts), key=lambda pair: pair[0]):
            found[stop.link] = Link(stop.link, str(LinkState.WARNING), f"earlier: {stop.text}")
    return found


def _due(job: PlannedJob, at: datetime, plan: SessionPlan) -> str:
    trigger = f" ({job.trigger})" if job.trigger else f" (after {', '.join(job.depends_on)})"
    return f"job {job.name}{trigger} was due {when(at, plan.zone)}"


def _hold_text(scope: str, name: str, at: datetime, who: str, reason: str, zone: str) -> str:
    what = f"strategy {scope}" if scope else "everything"
    return f"{what} is {name} since {when(at, zone)} by {who or 'sigc'}" + (f": {reason}" if reason else "")


# What stopped a session without a run.


def _stop(facts: SessionFacts) -> Stop:
    plan = facts.plan
    evidence = sorted(_evidence(facts), key=lambda pair: pair[0])
    if evidence:
        return evidence[-1][1]
    if _is_unknown(facts) and plan.meant:
        text = f"'{plan.strategy}' is a job, of the strategy '{plan.meant}'"
        return Stop(cases.STRATEGY, text, f"sigc why {plan.meant}")
    if _is_unknown(facts):
        hint = did_you_mean(plan.strategy, plan.known)
        known = (
            f"; configured: {', '.join(plan.known[:10])}" if plan.known and not hint else f"; {hint}" if hint else ""
        )
        return Stop(cases.STRATEGY, f"there is no strategy '{plan.strategy}'{known}", "sigc config show")
    if not plan.is_session:
        more = f"; the next one is {plan.next_session}" if plan.next_session else ""
        return Stop(cases.CALENDAR, f"{plan.session} is not a session of {plan.calendar}{more}", "sigc schedule next")
    if not plan.is_configured:
        return Stop(cases.STRATEGY, f"'{plan.strategy}' is not configured now", "sigc config show")
    if not plan.is_enabled:
        return Stop(cases.STRATEGY, "it is disabled in the configuration (enabled: false)", "sigc config show")
    return _by_schedule(facts)


def _is_unknown(facts: SessionFacts) -> bool:
    """Return True for a name that is not a configured strategy and never was one in the ledger."""
    return not facts.plan.is_configured and not facts.is_in_ledger


def _by_schedule(facts: SessionFacts) -> Stop:
    plan = facts.plan
    if not plan.jobs:
        text = "no job trades it: it has no schedule, and nobody ran it"
        return Stop(cases.SCHEDULE, text, f"sigc run {plan.strategy} --dry-run")
    on = [job for job in plan.jobs if job.is_enabled and _off(facts, job) is None]
    if not on:
        return Stop(cases.SCHEDULE, _off_text(facts, plan.jobs[0]), f"sigc schedule history {plan.jobs[0].name}")
    fires = [(at, job) for job in on for at in job.fires]
    if not fires:
        told = [job.problem for job in on if job.problem]
        first = min((job.next for job in on if job.next is not None), default=None)
        then = f"; next {when(first, plan.zone)}" if first is not None else ""
        what = "; ".join(f"job {job.name} ({job.trigger or 'after ' + ', '.join(job.depends_on)})" for job in on[:3])
        text = told[0] if told else f"nothing was due for this session: {what}{then}"
        return Stop(cases.SCHEDULE, text, "sigc schedule next")
    past = [(at, job) for at, job in fires if at <= plan.now]
    if not past:
        at, job = min(fires, key=lambda pair: pair[0])
        what = f"job {job.name} is due {when(at, plan.zone)}"
        return Stop(cases.SCHEDULE, what, "sigc schedule next", LinkState.WAITING)
    at, job = max(past, key=lambda pair: pair[0])
    return _unanswered(facts, at, job)


def _unanswered(facts: SessionFacts, at: datetime, job: PlannedJob) -> Stop:
    """Return the stop of a due fire without any record: no daemon was there, or the fire is only moments old."""
    plan = facts.plan
    look = f"sigc schedule history {job.name}"
    if not job.trigger:
        text = f"it follows {', '.join(job.depends_on)}, which {_not_ended(facts, job)}"
        return Stop(cases.DEPENDENCY, text, f"sigc schedule history {job.depends_on[0]}")
    due = f"job {job.name} was due {when(at, plan.zone)}"
    down = down_at(facts, at)
    if down:
        return Stop(cases.DAEMON, f"{due}: {down}", look)
    if plan.trouble:
        return Stop(cases.DAEMON, f"{due}; no write to the ledger: {plan.trouble}", "sigc doctor", LinkState.WAITING)
    if plan.now - at <= JUST_NOW:
        return Stop(cases.DAEMON, f"{due}, a moment ago", look, LinkState.WAITING)
    if not facts.lives and facts.alive is None:
        return Stop(cases.DAEMON, f"{due}: no daemon has served this ledger", "sigc status")
    text = f"{due}, and nothing is recorded of it: the schedule may have been changed since"
    return Stop(cases.DAEMON, text, "sigc audit query --type config.reloaded")


def _off(facts: SessionFacts, job: PlannedJob) -> object | None:
    return facts.jobs.get(job.name, JobFacts()).off


def _off_text(facts: SessionFacts, job: PlannedJob) -> str:
    off = facts.jobs.get(job.name, JobFacts()).off
    if off is not None:
        why = f": {off.reason}" if off.reason else ""
        return f"job {job.name} is disabled since {when(off.at, facts.plan.zone)} by {off.who}{why}"
    return f"job {job.name} is disabled in the configuration (enabled: false)"


# Evidence: records of fires and orders that did not become a run.


def _evidence(facts: SessionFacts) -> Iterator[tuple[datetime, Stop]]:
    for name, job in facts.jobs.items():
        planned = next((one for one in facts.plan.jobs if one.name == name), PlannedJob(name, ""))
        for miss in job.misses:
            yield miss.at, _missed(facts, planned, job, miss)
        doing = _doing(facts, planned, job)
        if doing is not None:
            yield facts.plan.now, doing
    told = {refusal.id for refusal in facts.refusals}
    for refusal in facts.refusals:
        yield refusal.at, Stop(_of_refusal(refusal.message), refusal.message, _look(refusal.message, facts))
    for order in facts.asked:
        if order.id not in told:
            yield order.finished or order.asked, _ended_early(order)


def _missed(facts: SessionFacts, planned: PlannedJob, job: JobFacts, miss: Missed) -> Stop:
    due, given_up = (when(at, facts.plan.zone) for at in (miss.planned, miss.at))
    due, look = f"job {miss.job} was due {due}", f"sigc schedule history {miss.job}"
    if miss.reason in _LATE:
        held_up = unwritable_at(facts, miss.planned) or "the daemon was not running, or was held up"
        down = down_at(facts, miss.planned) or held_up
        more = " (a newer fire took its place)" if "newer" in miss.reason else ""
        return Stop(cases.DAEMON, f"{due}: {down}{more}", look)
    link = _BY_REASON.get(miss.reason, cases.TURN)
    if link == cases.PAUSE:
        return Stop(link, f"{due}: {_paused_at(facts, miss.planned)}", look)
    if link == cases.DEPENDENCY:
        return Stop(link, f"{due}: {_needs_text(facts, planned, job)}", look)
    if link == cases.SCHEDULE and not facts.plan.is_enabled:
        return Stop(cases.STRATEGY, f"{due}: the strategy is disabled in the configuration (enabled: false)", look)
    if link == cases.SCHEDULE and job.off is not None:
        return Stop(link, f"{due}: {_off_text(facts, planned)}", look)
    if link == cases.TURN and planned.waits_for_data and "deadline" in miss.reason:
        return Stop(cases.DATA, f"{due}: it waited for fresh data{_rows(facts)} until its deadline, {given_up}", look)
    return Stop(link, f"{due}: {miss.reason}" + (f", {given_up}" if "deadline" in miss.reason else ""), look)


def _paused_at(facts: SessionFacts, at: datetime) -> str:
    """Return what was paused at an instant, by whom and why."""
    held: dict[str, str] = {}
    for one in facts.decisions:
        if one.name != PAUSED or one.at > at:
            continue
        if one.is_set:
            held[one.scope] = _hold_text(one.scope, PAUSED, one.at, one.who, one.reason, facts.plan.zone)
        else:
            held.pop(one.scope, None)
    return next(iter(held.values()), "it was paused").replace(" is paused", " was paused")


def _needs_text(facts: SessionFacts, planned: PlannedJob, job: JobFacts) -> str:
    """Return the jobs it depends on that did not finish, and why."""
    zone = facts.plan.zone
    told = []
    for name in planned.depends_on:
        order, miss = job.needed.get(name), job.missed_needs.get(name)
        if miss is not None and (order is None or order.asked < miss.planned):
            told.append(f"{name} did not run ({miss.reason})")
        elif order is None:
            told.append(f"{name} has not run")
        elif not order.outcome.is_success:
            told.append(
                f"{name} {order.outcome} {when(order.finished or order.asked, zone)} ({order.id}): {order.message}"
            )
    return "; ".join(told) or f"a job it depends on did not finish ({', '.join(planned.depends_on)})"


def _not_ended(facts: SessionFacts, planned: PlannedJob) -> str:
    text = _needs_text(facts, planned, facts.jobs.get(planned.name, JobFacts()))
    return f"did not finish: {text}"


def _doing(facts: SessionFacts, planned: PlannedJob, job: JobFacts) -> Stop | None:
    """Return the stop of a job that still waits or retries for a fire of this session; None otherwise."""
    doing, plan = job.doing, facts.plan
    if doing is None or plan.start is None or plan.end is None or not plan.start <= doing.planned < plan.end:
        return None
    due = f"job {planned.name} was due {when(doing.planned, plan.zone)}"
    look = f"sigc schedule history {planned.name}"
    if doing.phase == "retrying":
        return Stop(
            cases.TURN,
            f"{due}: its run failed, and is tried again {when(doing.at, plan.zone)}",
            look,
            LinkState.WAITING,
        )
    if doing.phase != "waiting":
        return None
    if doing.needs:
        text = f"{due}: it waits for {', '.join(doing.needs)}: {_needs_text(facts, planned, job)}"
        return Stop(cases.DEPENDENCY, text, look, LinkState.WAITING)
    if planned.waits_for_data:
        text = f"{due}: it waits for fresh data{_rows(facts)}"
        return Stop(cases.DATA, text, f"sigc run {plan.strategy} --dry-run", LinkState.WAITING)
    return Stop(cases.TURN, f"{due}: it waits for its turn", look, LinkState.WAITING)


def _rows(facts: SessionFacts) -> str:
    return f" (rows of {facts.plan.as_of})" if facts.plan.as_of else ""


def _of_refusal(message: str) -> str:
    """Return the link that a refusal names."""
    if " is halted " in message:
        return cases.HALT
    if " paused" in message:
        return cases.PAUSE
    return cases.TURN


def _look(message: str, facts: SessionFacts) -> str:
    link = _of_refusal(message)
    if link in (cases.HALT, cases.PAUSE):
        return "sigc audit query --type control"
    return f"sigc runs list --strategy {facts.plan.strategy}"


def _ended_early(order: OrderedRun) -> Stop:
    """Return the stop of a run's order that ended before the ledger had its run."""
    show = f"sigc runs show {order.id}"
    match order.outcome:
        case Outcome.OPEN:
            return Stop(cases.TURN, f"the run {order.id} was asked for, and has not begun", show, LinkState.WAITING)
        case Outcome.CANCELLED:
            return Stop(cases.TURN, f"the run {order.id} was cancelled before it began", show)
        case Outcome.INTERRUPTED:
            return Stop(cases.DAEMON, f"the run {order.id} was cut off before it began: {order.message}", show)
        case Outcome.REFUSED:
            return Stop(_of_refusal(order.message), order.message, show)
        case Outcome.FAILED:
            link, text = _failed(order)
            return Stop(link, text, f"sigc check {order.file}" if link == cases.COMPILE else show)
        case _:
            return Stop(cases.TURN, f"the run {order.id} ended {order.outcome}: {order.message}", show)


def _failed(order: OrderedRun) -> tuple[str, str]:
    """Return link and text of a run that failed before it was opened: only compiling and the ledger can fail there."""
    link = cases.DAEMON if "ledger" in order.message else cases.COMPILE
    return link, order.message.strip().splitlines()[0] if order.message.strip() else f"the run {order.id} failed"
