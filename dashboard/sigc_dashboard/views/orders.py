"""View of orders and safety: orders in flight, positions, halts and pauses; and the controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sigc.rpc.messages.breakers import BreakersReply
from sigc.rpc.messages.page import SafetyReply, StopDecision
from sigc.rpc.messages.requests import JobsReply, JobStatus, RunStatus, StrategyStatus
from sigc.rpc.messages.status import has_no_money
from sigc.rpc.verb import Role
from sigc_dashboard.daemon_feed import DETAILS, Ask
from sigc_dashboard.html import Html, join, tag
from sigc_dashboard.parts.books import FILLS, OPEN, book_of, latest_fills, open_orders, positions
from sigc_dashboard.parts.buttons import button
from sigc_dashboard.parts.tiles import TableRow, badge, nothing, table, tile, tiles
from sigc_dashboard.view_api import Look, Part, Plot, Where
from sigc_dashboard.words import count, moment

_MOST_BOOKS = 20
BREAKERS = Ask("safety/breakers", BreakersReply, every_s=15.0)
SAFETY = Ask("safety/status", SafetyReply, every_s=1.0)
JOBS = Ask("schedule/list", JobsReply, every_s=3.0)


class OrdersView:
    """Trading at a glance: pauses and halts, open orders, runs, and the means to stop them."""

    name, title, is_listed, has_frames = "orders", "Orders and safety", True, False
    place = 4

    def asks(self, where: Where) -> Sequence[Ask[Any]]:
        """Ask for pauses, runs and jobs."""
        del where
        return (DETAILS, SAFETY, BREAKERS, JOBS, OPEN, FILLS)

    def follow(self, look: Look) -> Sequence[Ask[Any]]:
        """Ask for the book of each strategy."""
        status = look.status
        return [book_of(one.name) for one in status.strategies[:_MOST_BOOKS]] if status is not None else ()

    def parts(self, look: Look) -> Sequence[Part]:
        """Return the state of trading, then books, orders and fills."""
        return (
            Part("trading", "", _trading(look)),
            Part("control", "Controls", _controls(look), 7),
            Part("under_way", "Runs under way", _under_way(look), 5),
            Part("decisions", "What holds", _decisions(look)),
            Part("open", "Open orders and intents", open_orders(look)),
            Part("positions", "Positions", positions(look)),
            Part("jobs", "Jobs", _jobs(look)),
            Part("fills", "Latest fills", latest_fills(look)),
        )

    def plots(self, where: Where) -> Sequence[Plot]:
        """None."""
        del where
        return ()


def _trading(look: Look) -> Html:
    status, safety, full = look.status, look.get(SAFETY), look.get(DETAILS)
    if status is None:
        return nothing("Waiting for the daemon.")
    halted = [one for one in status.strategies if one.state == "halted"]
    paused = [one for one in status.strategies if one.state == "paused"]
    word, tone, more = "open", "good", "orders may be sent"
    if status.is_halted:
        word, tone, more = "halted", "bad", "no order is sent"
    elif halted:
        word, tone, more = "partly halted", "bad", ", ".join(one.name for one in halted)
    runs = len(full.detailed.queue) if full is not None and full.detailed is not None else 0
    is_paper = has_no_money(status.broker)
    held = "paused" if status.is_paused else f"{len(paused)} paused" if paused else "on"
    which = ", ".join(one.name for one in paused) or f"of {count(len(status.strategies), 'strategy', 'strategies')}"
    money = "a simulation" if is_paper else "real money"
    return tiles(
        [
            tile("Trading", word, more=more, tone=tone),
            tile("Broker", status.broker, more=money, tone="" if is_paper else "bad"),
            tile("Schedule", held, more=which, tone="warn" if status.is_paused or paused else ""),
            tile("Under way", count(runs, "run")),
            tile("Decisions that hold", len(safety.decisions) if safety is not None else 0),
            _breakers(look),
        ]
    )  # fmt: skip


def _breakers(look: Look) -> Html:
    found = look.get(BREAKERS)
    known = () if found is None else found.breakers
    tripped = sorted({one.name for one in known if one.since is not None})
    odd = [one for one in known if one.since is None and one.state == "can't be evaluated"]
    if tripped:
        return tile("Circuit breakers", "tripped", more=", ".join(tripped), tone="bad")
    if odd:
        return tile("Circuit breakers", "not evaluated", more=f"{odd[0].name}: {odd[0].why}", tone="warn")
    more = "none is tripped" if known else "none is set"
    return tile("Circuit breakers", len({one.name for one in known}), more=more)


def _controls(look: Look) -> Html:
    status = look.status
    if status is None:
        return nothing("Waiting for the daemon.")
    daemon = look.where.daemon
    hold = button(look, "resume_all" if status.is_paused else "pause_all", daemon, Role.OPERATE)
    halt = (
        button(look, "unhalt_all", daemon, Role.TRADE)
        if status.is_halted
        else button(look, "halt_all", daemon, Role.OPERATE)
    )
    whole = TableRow("", (join([tag("b", "everything")]), badge(_whole(look)), tag("div", hold, halt, class_="row")))
    rows = [whole, *(_strategy(look, one) for one in status.strategies)]
    reader = (
        tag("p", "Your token may look, and change nothing.", class_="nothing") if not look.may(Role.OPERATE) else ""
    )
    return join([reader, table("Controls", ("Strategy", "State", "Controls"), rows, has_cards=True)])


def _whole(look: Look) -> str:
    status = look.status
    return (
        "halted" if status is not None and status.is_halted else "paused" if status and status.is_paused else "active"
    )


def _strategy(look: Look, one: StrategyStatus) -> TableRow:
    found = look.get(SAFETY)
    kinds = {d.kind for d in found.decisions if d.strategy == one.name} if found is not None else set()
    hold = button(look, "resume" if "paused" in kinds else "pause", one.name, Role.OPERATE)
    halt = (
        button(look, "unhalt", one.name, Role.TRADE)
        if "halted" in kinds
        else button(look, "halt", one.name, Role.OPERATE)
    )
    dry = button(look, "dry_run", one.name, Role.OPERATE)
    run = button(look, "run", one.name, Role.TRADE)
    return TableRow(one.name, (one.name, badge(one.state), tag("div", hold, halt, dry, run, class_="row")))


def _decisions(look: Look) -> Html:
    found = look.get(SAFETY)
    if found is None:
        return nothing(look.refusal(SAFETY) or "Waiting for the daemon.")
    if not found.decisions:
        return nothing("Nothing is halted or paused.")
    zone = look.status.zone if look.status is not None else ""
    rows = [_decision(one, zone) for one in found.decisions]
    return table("Decisions", ("What", "State", "By", "Why", "Since"), rows)


def _decision(one: StopDecision, zone: str) -> TableRow:
    cells = (one.strategy or "everything", badge(one.kind), one.who, tag("span", one.why, class_="text"))
    return TableRow(f"{one.kind} {one.strategy}", (*cells, moment(one.since, zone, "about")))


def _under_way(look: Look) -> Html:
    found = look.get(DETAILS)
    if found is None or found.detailed is None:
        return nothing("Waiting for the daemon.")
    if not found.detailed.queue:
        return nothing("No run is under way.")
    rows = [_run(look, run, found.zone) for run in found.detailed.queue]
    return table("Runs under way", ("Strategy", "Kind", "Stage", "Asked", "Control"), rows)


def _run(look: Look, run: RunStatus, zone: str) -> TableRow:
    name = run.strategy or run.job
    cancel = button(look, "cancel", name, Role.OPERATE, id=run.id)
    stage = run.stage or run.state
    waits = f", {run.text}" if run.text and not run.total else ""
    return TableRow(run.id, (name, run.kind, stage + waits, moment(run.asked, zone, "about"), cancel))


def _jobs(look: Look) -> Html:
    found = look.get(JOBS)
    if found is None:
        return nothing(look.refusal(JOBS) or "Waiting for the daemon.")
    if not found.jobs:
        return nothing("No job is configured.")
    heads = ("Job", "Kind", "When", "State", "Next fire", "Last outcome", "Control")
    return table("Jobs", heads, [_job(look, job, found.zone) for job in found.jobs])


def _job(look: Look, job: JobStatus, zone: str) -> TableRow:
    state = "disabled" if not job.is_enabled else "paused" if job.is_paused else job.phase
    switch = button(look, "disable" if job.is_enabled else "enable", job.name, Role.OPERATE)
    last = badge(job.last_status) if job.last_status else ""
    when = tag("span", job.trigger, title=job.zone)
    return TableRow(
        job.name, (job.name, job.kind, when, badge(state), moment(job.next_fire, zone, "about"), last, switch)
    )
