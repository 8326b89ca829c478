"""View of a run: its progress, its stages, its plan with the time of each node, findings, orders, fills, log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sigc.rpc.messages.history import DetailReply, FillsReply, OrdersReply, RunsPageReply
from sigc.rpc.messages.requests import LogsReply, RunStatus
from sigc.rpc.messages.status import told_as
from sigc.rpc.verb import Role
from sigc_dashboard.daemon_feed import DETAILS, Ask
from sigc_dashboard.html import NONE, Html, join, tag, text
from sigc_dashboard.parts.buttons import button
from sigc_dashboard.parts.dag import drawing, node_table
from sigc_dashboard.parts.links import address, link, why
from sigc_dashboard.parts.tiles import TableRow, badge, fills, nothing, table, tile, tiles, tone
from sigc_dashboard.parts.waterfall import waterfall
from sigc_dashboard.view_api import Look, Part, Plot, Where
from sigc_dashboard.words import NOTHING, count, duration, moment, size

NEWEST = Ask("history/runs", RunsPageReply, (("most", 60),), every_s=3.0)
_WAITING = "Waiting for the daemon."
_MOST_LINES = 80


def detail_of(id: str) -> Ask[DetailReply]:
    """Everything about a run."""
    return Ask("runs/detail", DetailReply, (("id", id),), every_s=1.0)


def orders_of(id: str) -> Ask[OrdersReply]:
    """Return the ask for a run's orders."""
    return Ask("orders/list", OrdersReply, (("run", id), ("most", 100)), every_s=4.0)


def fills_of(id: str) -> Ask[FillsReply]:
    """Return the ask for a run's fills."""
    return Ask("fills/list", FillsReply, (("run", id), ("most", 100)), every_s=4.0)


def log_of(id: str) -> Ask[LogsReply]:
    """Return the ask for a run's last log lines."""
    return Ask("runs/logs", LogsReply, (("id", id), ("most", _MOST_LINES)), every_s=3.0)


class RunPage:
    """One run; without one, the newest."""

    name, title, is_listed, has_frames = "run", "Runs", True, False
    place = 3

    def asks(self, where: Where) -> Sequence[Ask[Any]]:
        """Ask for the run and its details."""
        id = where.what
        return (DETAILS, detail_of(id), orders_of(id), fills_of(id), log_of(id)) if id else (NEWEST,)

    def parts(self, look: Look) -> Sequence[Part]:
        """Return the parts, from the run's state to its output."""
        id = look.where.what
        if not id:
            return (Part("newest", "", _newest(look)),)
        found = look.get(detail_of(id))
        if found is None:
            said = nothing(look.refusal(detail_of(id)) or _WAITING)
            return tuple(Part(name, title, said if name == "head" else NONE, wide) for name, title, wide in _LAYOUT)
        made = {
            "head": _head(look, found),
            "figures": _figures(found),
            "stages": _stages(found),
            "findings": _findings(found),
            "plan": _plan(found),
            "orders": _orders(look, found),
            "fills": _fills(look),
            "files": _files(found),
            "dask": _dask(look, found),
            "log": _log(look),
        }
        return tuple(Part(name, title, made[name], wide) for name, title, wide in _LAYOUT)

    def plots(self, where: Where) -> Sequence[Plot]:
        """None: bars and the plan are drawn in the parts."""
        del where
        return ()


_LAYOUT = (
    ("head", "", 12),
    ("figures", "", 12),
    ("stages", "Stages", 12),
    ("findings", "Findings", 12),
    ("plan", "Plan", 12),
    ("orders", "Orders", 12),
    ("fills", "Fills", 12),
    ("files", "Files and digests", 6),
    ("dask", "Dask", 6),
    ("log", "Log", 12),
)


def outcome(run: RunStatus) -> str:
    """Return a word for the state or end of a run."""
    return told_as(run.outcome or run.state, run.waiting).replace("_", " ")


def run_table(look: Look, found: Sequence[RunStatus], *, of_one: bool = False) -> Html:
    """Return the newest runs as a table of links. of_one: all of them are of one strategy."""
    zone = look.status.zone if look.status is not None else ""
    rows = [
        TableRow(
            run.id,
            (
                link(look.where, "run", run.id, run.id),
                *(() if of_one else (_strategy(look, run),)),
                join([badge(outcome(run), title=run.message), fills(run.filled)]),
                run.kind,
                run.as_of or NOTHING,
                moment(run.asked, zone, "about"),
                _took(run),
                tag("span", run.message[:120], class_="text"),
                why(look.where, run.strategy, run.id),
            ),
        )
        for run in found
    ]
    heads = (
        "Run",
        *(() if of_one else ("Strategy",)),
        "Outcome",
        "Kind",
        "As of",
        "Asked",
        "Took",
        "Message",
        "Why",
    )
    return table("Newest runs", heads, rows, (len(heads) - 3,))


def _strategy(look: Look, run: RunStatus) -> Html:
    return link(look.where, "strategy", run.strategy, run.strategy) if run.strategy else text(run.job)


def _newest(look: Look) -> Html:
    found = look.get(NEWEST)
    if found is None:
        return nothing(look.refusal(NEWEST) or _WAITING)
    words = [outcome(run) for run in found.runs]
    bad = sum(1 for word in words if tone(word) == "bad")
    shown = tiles(
        [
            tile("Shown", len(words), more="the newest"),
            tile("Done", words.count("done"), tone="good" if words else ""),
            tile("Refused or failed", bad, tone="bad" if bad else ""),
            tile("Under way", sum(1 for run in found.runs if run.finished is None and run.state != "interrupted")),
        ]
    )
    return join([shown, run_table(look, found.runs) if found.runs else nothing("No run yet.")])


def _took(run: RunStatus) -> str:
    return duration((run.finished - run.asked).total_seconds()) if run.finished is not None else NOTHING


def _head(look: Look, found: DetailReply) -> Html:
    run = found.status
    zone = look.status.zone if look.status is not None else ""
    is_going = run.state in ("running", "waiting")
    name = run.strategy or run.job
    about = [
        ("Strategy", link(look.where, "strategy", run.strategy, run.strategy) if run.strategy else NOTHING),
        ("Portfolio", found.portfolio or NOTHING),
        ("Kind", f"{run.kind}{f', {found.broker}' if found.broker else ''}"),
        ("As of, for", f"{run.as_of or NOTHING}, {run.session or NOTHING}"),
        ("Asked", moment(run.asked, zone, "about")),
        ("Took", _took(run)),
        ("By", f"{run.who}{f': {run.reason}' if run.reason else ''}" or NOTHING),
    ]
    facts = [tag("div", tag("dt", key), tag("dd", value)) for key, value in about]
    control = button(look, "cancel", name, Role.OPERATE, id=run.id) if is_going else NONE
    reason = tag("p", why(look.where, run.strategy, run.id)) if run.strategy else NONE
    line = tag("div", tag("h2", run.id, class_="big"), badge(outcome(run)), fills(run.filled), control, class_="row")
    said = tag("p", run.message, class_=f"said {tone(outcome(run))}") if run.message else NONE
    return tag("div", line, said, reason, _progress(run), tag("dl", *facts, class_="facts-row"), class_="headline")


def _progress(run: RunStatus) -> Html:
    if run.state != "running":
        return NONE
    far = f": {run.done} of {count(run.total, 'block')}" if run.total else ""
    words = f"{run.stage or 'begins'}{far}"
    bar = tag("progress", words, value=run.done, max=run.total, aria_label=words) if run.total else NONE
    return tag("div", tag("b", words), bar, tag("small", run.text), class_="progress")


def _figures(found: DetailReply) -> Html:
    totals, plan = found.totals, found.plan
    shown = []
    if plan is not None:
        blocks = plan.blocks
        done, kept = blocks.get("computed", 0) + blocks.get("joined", 0), blocks.get("cached", 0)
        failed = 1 if found.status.outcome == "failed" and found.status.stage == "compute" else 0
        shown += [
            tile("Blocks computed", done, more=f"{plan.tasks} tasks, {plan.seconds:.2f} s"),
            tile("Blocks cached", kept, more="need not be computed"),
            tile("Blocks failed", failed, tone="bad" if failed else ""),
            tile("Assets", f"{plan.assets:,}", more=f"to {plan.dates[-1]}" if plan.dates else NONE),
        ]
    if totals.orders:
        states = ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in sorted(found.orders.items()))
        shown += [
            tile("Orders", totals.orders, more=states),
            tile("Filled", f"{totals.traded:,.0f}", more=f"of {totals.ordered:,.0f} ordered"),
            tile("Slippage", f"{totals.slippage_bps:+.1f} bps", more="against the sizing price")
            if totals.fills
            else NONE,
            tile("Commission", f"{totals.commission:,.2f}", more=count(totals.fills, "fill")),
        ]
    return tiles(shown) if shown else NONE


def _stages(found: DetailReply) -> Html:
    return waterfall(found.stages) if found.stages else nothing("No stage has begun.")


def _findings(found: DetailReply) -> Html:
    rows = [
        TableRow(
            f"{stage.name} {number}",
            (
                badge(one.severity, of={"error": "bad", "denial": "bad", "warning": "warn"}.get(one.severity, "plain")),
                stage.name,
                one.check,
                tag("span", one.message, class_="text"),
                ", ".join(one.assets) + (f" and {one.more} more" if one.more else ""),
            ),
        )
        for stage in found.stages
        for number, one in enumerate(stage.findings)
    ]
    rows += [
        TableRow(
            f"said {number}",
            (badge(d.severity, of="bad" if d.severity == "error" else "warn"), "", d.code, d.message, ""),
        )
        for number, d in enumerate(found.status.findings)
    ]
    if not rows:
        return nothing("No check found anything.") if found.stages else NONE
    return table("Findings", ("Severity", "Stage", "Check", "Message", "Assets"), rows)


def _plan(found: DetailReply) -> Html:
    plan = found.plan
    if plan is None:
        return nothing("Nothing has been computed yet." if found.status.state == "running" else "Nothing was computed.")
    drawn = drawing(plan)
    many = (
        nothing(f"The plan has {count(len(plan.nodes) + plan.more, 'node')}: too many to be drawn.")
        if not drawn
        else NONE
    )
    legend = tag(
        "p",
        tag("span", "source", class_="key source"),
        tag("span", "computed on the way", class_="key step"),
        tag("span", "stored in the cache", class_="key stored"),
        tag("span", "bar: share of the slowest node's time", class_="key hot"),
        class_="keys",
    )
    more = tag("details", tag("summary", "All nodes, the slowest first"), node_table(plan))
    mended = [tag("li", said) for said in plan.incidents]
    return join([legend if drawn else NONE, drawn, many, tag("ul", *mended, class_="list") if mended else NONE, more])


def _orders(look: Look, found: DetailReply) -> Html:
    ask = orders_of(look.where.what)
    page = look.get(ask)
    if page is None:
        return nothing(look.refusal(ask) or _WAITING)
    if not page.orders:
        return nothing("It sent no orders." if found.status.kind == "trade" else "Nothing is traded by such a run.")
    zone = look.status.zone if look.status is not None else ""
    rows = [
        TableRow(
            one.client_order_id,
            (
                one.asset,
                one.side,
                f"{one.quantity:,g}",
                f"{one.filled:,g}",
                f"{one.price:,.2f}",
                f"{one.quantity * one.price:,.0f}",
                badge(one.state.replace("_", " "), title=one.message),
                moment(one.sent, zone),
                why(look.where, found.status.strategy, one.run, one.asset),
            ),
        )
        for one in page.orders
    ]
    heads = ("Asset", "Side", "Quantity", "Filled", "Price", "Value", "State", "Sent", "Why")
    more = nothing("There are more: `sigc orders --run` lists all.") if page.before else NONE
    return join([table("Orders", heads, rows, (2, 3, 4, 5)), more])


def _fills(look: Look) -> Html:
    page = look.get(fills_of(look.where.what))
    if page is None or not page.fills:
        return NONE
    zone = look.status.zone if look.status is not None else ""
    rows = [
        TableRow(
            one.execution_id,
            (
                one.asset,
                one.side,
                f"{one.quantity:,g}",
                f"{one.price:,.4f}",
                f"{one.quantity * one.price:,.0f}",
                f"{one.slippage_bps:+.1f}",
                f"{one.commission:,.2f}",
                moment(one.at, zone),
            ),
        )
        for one in page.fills
    ]
    heads = ("Asset", "Side", "Quantity", "Price", "Value", "Slippage, bps", "Commission", "At")
    return join([table("Fills", heads, rows, (2, 3, 4, 5, 6)), nothing("There are more.") if page.before else NONE])


def _files(found: DetailReply) -> Html:
    files = [TableRow(one.name, (one.name, size(one.bytes))) for one in found.artifacts]
    digests = [TableRow(name, (name, tag("code", value[:20]))) for name, value in sorted(found.digests.items())]
    shown = [table("Files", ("File", "Size"), files, (1,)) if files else nothing("It left no files.")]
    if digests:
        shown.append(tag("details", tag("summary", "Digests"), table("Digests", ("Of", "Digest"), digests)))
    return join(shown)


def _dask(look: Look, found: DetailReply) -> Html:
    full = look.get(DETAILS)
    there = full.detailed.cluster_dashboard if full is not None and full.detailed is not None else ""
    cluster = link_to_cluster(look)
    if not there.startswith(("http://", "https://")):
        return tag(
            "p", "No Dask cluster is open: this was computed by threads of the daemon, or its cluster rests. ", cluster
        )
    base = there.removesuffix("/status")
    zone = look.status.zone if look.status is not None else ""
    compute = next((stage for stage in found.stages if stage.name == "compute"), None)
    when = join([" It computed at ", moment(compute.started, zone), "."]) if compute is not None else NONE
    links = [
        tag("a", words, href=f"{base}/{page}", rel="noreferrer noopener", target="_blank")
        for page, words in (
            ("individual-task-stream", "Task stream"),
            ("status", "Status"),
            ("individual-profile", "Profile"),
        )
    ]
    return join([tag("p", join(links, " · ")), tag("p", "Dask shows the last minutes.", when, " ", cluster)])


def link_to_cluster(look: Look) -> Html:
    """Return a link to the cluster view."""
    return tag("a", "Cluster and cache", href=address(look.where, "cluster"))


def _log(look: Look) -> Html:
    ask = log_of(look.where.what)
    found = look.get(ask)
    if found is None:
        return nothing(look.refusal(ask) or _WAITING)
    if not found.lines:
        return nothing("It wrote nothing into the log.")
    return tag("pre", "\n".join(_line(line) for line in found.lines), class_="log", tabindex="0")


def _line(line: str) -> str:
    """Return a line of the log: JSON as people read it, any other line unchanged."""
    try:
        told = json.loads(line)
    except ValueError:
        return line
    if not isinstance(told, dict):
        return line
    known = ("at", "time", "level", "logger", "text", "run")
    at, level = str(told.get("at") or told.get("time") or "")[11:23], str(told.get("level", ""))
    more = " ".join(f"{key}={value}" for key, value in told.items() if key not in known)
    return f"{at} {level:<8} {told.get('text', '')} {more}".rstrip()
