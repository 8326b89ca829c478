"""View of a run's account for its page."""

from __future__ import annotations

from decimal import Decimal

from sigc.errors import Severity
from sigc.rpc.messages.status import unfilled
from sigc.store.ledger.records import ZERO, Outcome
from sigc.words import local_time
from sigc_dashboard.reports.run_report import RunView, Table
from sigc_dashboard.reports.run_report import render as draw
from sigc_pipelines.records.artifacts import RunArtifacts

_TONES = {Outcome.DONE: "good", Outcome.UNCHANGED: "good", Outcome.OPEN: "open"}


def render(account: RunArtifacts) -> str:
    """Return the page of a run."""
    return draw(view(account))


def view(account: RunArtifacts) -> RunView:
    """Everything the page of a run shows."""
    run = account.run
    traded = sum((f.quantity * f.price for f in account.fills), ZERO)
    gross = sum(abs(w["target"]) for w in account.weights.values())
    net = sum(w["target"] for w in account.weights.values())
    ended = local_time(run.finished, "UTC") if run.finished else "not yet"
    return RunView(
        title=f"{run.key.strategy} ({run.key.portfolio})",
        subtitle=f"{run.broker} {run.key.kind} {run.id}, as of {run.as_of}, for the session {run.key.session}",
        verdict=f"{run.outcome}: {run.message}" + unfilled(account.filled),
        tone=_TONES.get(run.outcome, "bad"),
        findings=tuple(
            (f"{stage.name}: {f.check}", f.message)
            for stage in account.stages
            for f in stage.findings
            if f.severity is not Severity.INFO
        ),
        tiles=(
            ("Assets wanted", str(sum(1 for w in account.weights.values() if w["wanted"]))),
            ("Gross target", f"{gross:.3f}"),
            ("Net target", f"{round(net, 3) + 0.0:+.3f}"),
            ("Orders", str(len(account.intents))),
            ("Filled value", f"{traded:,.2f}"),
        ),
        stages=_stages(account),
        weights=_weights(account),
        orders=_orders(account),
        fills=_fills(account),
        made_of=(
            ("asked for by", run.who + (f": {run.reason}" if run.reason else "")),
            ("revision", str(run.revision)),
            ("began, ended", f"{local_time(run.started, 'UTC')}, {ended}"),
            *sorted(run.digests.items()),
        ),
    )


def _stages(account: RunArtifacts) -> Table:
    rows = (
        (str(s.name), s.outcome, f"{1000 * s.seconds:.1f} ms", str(len(s.findings)) if s.findings else "")
        for s in account.stages
    )
    return (("stage", "outcome", "time", "findings"), *rows)


def _weights(account: RunArtifacts) -> Table:
    ordered = sorted(account.weights.items(), key=lambda w: (-abs(w[1]["target"]), w[0]))
    rows = ((n, f"{w['wanted']:+.6f}", f"{w['target']:+.6f}", f"{w['held']:+.6f}") for n, w in ordered)
    return (("asset", "wanted", "target", "held before"), *rows)


def _orders(account: RunArtifacts) -> Table:
    head = ("asset", "side", "quantity", "price", "value", "state", "filled", "said")
    priced = ((o, o.reference if o.limit is None else o.limit) for o in account.intents)
    rows = (
        (
            *(o.asset, str(o.side), _text(o.quantity), _text(price)),
            *(f"{o.quantity * price:,.2f}", str(o.state), _text(o.filled), o.message),
        )
        for o, price in priced
    )
    return (head, *rows)


def _fills(account: RunArtifacts) -> Table:
    head = ("at (UTC)", "asset", "side", "quantity", "price", "commission")
    rows = (
        (
            *(f.at.strftime("%Y-%m-%d %H:%M:%S"), f.asset, str(f.side)),
            *(_text(f.quantity), _text(f.price), _text(f.commission)),
        )
        for f in account.fills
    )
    return (head, *rows)


def _text(value: Decimal) -> str:
    return f"{value.normalize():,f}"
