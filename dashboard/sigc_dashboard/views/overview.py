"""The overview: shows in five seconds if all is well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sigc.rpc.messages.history import NavReply
from sigc.rpc.messages.requests import NextReply, RunsReply, RunStatus, StrategyStatus
from sigc.rpc.messages.status import told_as
from sigc.rpc.verb import Role
from sigc_dashboard.daemon_feed import DETAILS, Ask
from sigc_dashboard.html import Html, join, tag
from sigc_dashboard.parts.alerts import ASKS, alerts
from sigc_dashboard.parts.buttons import button
from sigc_dashboard.parts.links import link
from sigc_dashboard.parts.spark import spark
from sigc_dashboard.parts.tiles import TableRow, badge, edited, fills, nothing, table, tile, tiles, tone
from sigc_dashboard.view_api import Look, Part, Plot, Where
from sigc_dashboard.words import CLUSTERS, NOTHING, change, count, duration, moment, opening, share, size

RUNS = Ask("runs/list", RunsReply, (("most", 60),), every_s=2.0)
_MOST_SPARKS = 40
NEXT = Ask("schedule/next", NextReply, (("most", 6),), every_s=10.0)


def nav_of(strategy: str) -> Ask[NavReply]:
    """Return the ask for a strategy's NAV, with as many points as a sparkline shows."""
    return Ask("history/nav", NavReply, (("strategy", strategy), ("points", 60)), every_s=20.0)


class Overview:
    """State of the daemon, its strategies and its latest runs."""

    name, title, is_listed, has_frames = "overview", "Overview", True, False
    place = 1

    def asks(self, where: Where) -> Sequence[Ask[Any]]:
        """Ask for the status in full, the newest runs, the next fires, the open alerts."""
        del where
        return (DETAILS, RUNS, NEXT, *ASKS)

    def follow(self, look: Look) -> Sequence[Ask[Any]]:
        """Ask for the NAV of each strategy."""
        status = look.status
        return [nav_of(one.name) for one in status.strategies[:_MOST_SPARKS]] if status is not None else ()

    def parts(self, look: Look) -> Sequence[Part]:
        """Return the parts, from the whole to the single run."""
        return (
            Part("figures", "", _figures(look)),
            Part("alerts", "Alerts", alerts(look)),
            Part("strategies", "Strategies", _strategies(look)),
            Part("recent", "Recent runs", _recent(look), 8),
            Part("fires", "Next fires", _fires(look), 4),
            Part("checks", "Health checks", _checks(look), 12),
        )

    def plots(self, where: Where) -> Sequence[Plot]:
        """Return no plots: the overview has words and numbers only."""
        del where
        return ()


def _figures(look: Look) -> Html:
    status, full = look.status, look.get(DETAILS)
    if status is None:
        return nothing("Waiting for the daemon.")
    details = full.detailed if full is not None else None
    checks = details.checks if details is not None else {}
    bad = sorted(name for name, said in checks.items() if said != "ok")
    health = "all well" if not bad else count(len(bad), "problem")
    memory = share(status.memory_bytes, status.memory_limit_bytes)
    under_way = len(details.queue) if details is not None else None
    return tiles(
        [
            tile("State", status.status if status.is_ready or status.status != "running" else "not ready",
                 more=status.reason or f"up {duration(status.uptime_seconds)}",
                 tone="good" if status.is_ready else "warn"),
            tile("Health", health if checks else NOTHING, more=", ".join(bad).replace("_", " ") or "of all checks",
                 tone="bad" if bad else "good"),
            tile("Memory", size(status.memory_bytes), more=f"of {size(status.memory_limit_bytes)}", bar=memory),
            tile("Processor", f"{status.cpu_pct:.0f} %", more="of all it may use", bar=status.cpu_pct),
            tile("Workers", len(details.workers) if details is not None else NOTHING,
                 more=CLUSTERS.get(details.cluster, details.cluster) if details is not None else ""),
            tile("Under way", NOTHING if under_way is None else count(under_way, "run"),
                 more=_going(details.queue) if details is not None else ""),
        ]
    )  # fmt: skip


def _going(queue: Sequence[RunStatus]) -> str:
    if not queue:
        return "nothing to do"
    first = queue[0]
    done = f" {first.done}/{first.total}" if first.total else ""
    return f"{first.strategy or first.job}: {first.stage or first.state}{done}"


def _strategies(look: Look) -> Html:
    status = look.status
    if status is None:
        return nothing("Waiting for the daemon.")
    if not status.strategies:
        return nothing("No strategy is configured. Add one under strategies: of the configuration.")
    rows = [
        TableRow(
            one.name,
            (
                join(
                    [
                        link(look.where, "strategy", one.name, tag("b", one.name)),
                        " ",
                        badge(one.state),
                        edited(one.edited),
                    ]
                ),
                _money(look, one.name),
                _last(look, one),
                moment(one.next_run, status.zone, "about"),
                _controls(look, one),
            ),
        )
        for one in status.strategies
    ]
    heads = ("Strategy", "Net asset value", "Last run", "Next run", "Controls")
    return table("Strategies", heads, rows, has_cards=True)


def _name(look: Look, one: StrategyStatus) -> Html:
    """Draw name and state, and that its file is edited."""
    name = link(look.where, "strategy", one.name, tag("b", one.name))
    return join([name, " ", badge(one.state), edited(one.edited)])


def _last(look: Look, one: StrategyStatus) -> Html:
    """Draw outcome and time of the last run."""
    zone = look.status.zone if look.status is not None else ""
    word = join([badge(one.status), fills(one.filled), opening(one.waiting, zone)])
    ended = link(look.where, "run", one.run, word) if one.run else badge(one.status)
    return tag("span", ended, moment(one.last_run, zone, "about") if one.last_run else "", class_="last")


def _money(look: Look, strategy: str) -> Html:
    """NAV, how much of it was won or lost, and the line of it."""
    found = look.get(nav_of(strategy))
    if found is None or not found.nav:
        return tag("span", NOTHING, class_="none")
    total = found.figures.total_return
    line = spark(found.nav, f"NAV of {strategy} over {count(found.sessions, 'session')}")
    won = change(total, ".1%", "small")
    return tag("span", tag("span", f"{found.nav[-1]:,.0f}", won), line, class_="money")


def _controls(look: Look, one: StrategyStatus) -> Html:
    hold = (
        button(look, "resume", one.name, Role.OPERATE)
        if one.state == "paused" and not (look.status is not None and look.status.is_paused)
        else button(look, "pause", one.name, Role.OPERATE)
    )
    dry = button(look, "dry_run", one.name, Role.OPERATE)
    run = button(look, "run", one.name, Role.TRADE)
    return tag("div", hold, dry, run, class_="row")


def _recent(look: Look) -> Html:
    found, status = look.get(RUNS), look.status
    if found is None or status is None:
        return nothing(look.refusal(RUNS) or "Waiting for the daemon.")
    if not found.runs:
        return nothing("No run yet.")
    marks = [_mark(run) for run in reversed(found.runs)]
    strip = tag("ol", *marks, class_="strip", aria_label="Outcomes, oldest first")
    rows = [
        TableRow(
            run.id,
            (
                run.strategy or run.job,
                join([badge(_outcome(run), title=run.message), fills(run.filled)]),
                run.kind,
                moment(run.asked, status.zone),
                _took(run),
                link(look.where, "run", run.id, tag("small", run.id)),
            ),
        )
        for run in found.runs[:8]
    ]
    return join([strip, table("Runs", ("Strategy", "Outcome", "Kind", "Asked", "Took", "Run"), rows, (4,))])


def _mark(run: RunStatus) -> Html:
    word = _outcome(run)
    return tag(
        "li",
        tag("span", f"{run.strategy or run.job} {run.kind}: {word}", class_="unseen"),
        class_=tone(word),
        title=f"{run.strategy or run.job} · {run.kind} · {word}",
        data_key=run.id,
    )


def _outcome(run: RunStatus) -> str:
    return told_as(run.outcome or run.state, run.waiting).replace("_", " ")


def _took(run: RunStatus) -> str:
    return duration((run.finished - run.asked).total_seconds()) if run.finished is not None else NOTHING


def _fires(look: Look) -> Html:
    found = look.get(NEXT)
    if found is None:
        return nothing(look.refusal(NEXT) or "Waiting for the daemon.")
    if not found.fires:
        return nothing("Nothing is scheduled.")
    items = [
        tag("li", tag("b", fire.job), " ", moment(fire.at, found.zone, "about"), data_key=f"{fire.job} {fire.at}")
        for fire in found.fires
    ]
    return tag("ol", *items, class_="list")


def _checks(look: Look) -> Html:
    full = look.get(DETAILS)
    if full is None or full.detailed is None:
        return nothing("Waiting for the daemon.")
    checks = sorted(full.detailed.checks.items(), key=lambda item: (item[1] == "ok", item[0]))
    if not checks:
        return nothing("No check has been made yet.")
    items = [
        tag("li", badge("ok" if said == "ok" else "failed"), " ", tag("b", name.replace("_", " ")),
            tag("span", said, class_="why") if said != "ok" else "", data_key=name)
        for name, said in checks
    ]  # fmt: skip
    return tag("ul", *items, class_="checks")
