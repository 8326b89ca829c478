"""A run as text: its stages with their findings, its orders, its weights."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sigc.errors import Severity
from sigc.store.ledger.records import Finding, Intent, RunKind
from sigc_cli.text.ledger_view import told
from sigc_pipelines.live.trading import Ended
from sigc_pipelines.text import results_text as show

_MOST = 40


def text(ended: Ended) -> str:
    """Return a run as text."""
    run = ended.run
    kind = "dry run" if run.key.kind is RunKind.DRY else f"{run.broker} run"
    lines = [
        *([f"scratch account: {ended.scratch}"] if ended.scratch else []),
        f"{run.key.strategy} ({run.key.portfolio}), {kind} {run.id}",
        f"as of {run.as_of}, for the session {run.key.session}: {run.outcome}, {run.message}",
        *_weights(ended),
    ]
    for stage in ended.stages:
        lines.append(f"  {stage.name:<9} {stage.outcome:<8} {1000 * stage.seconds:8.1f} ms")
        lines += [f"    {f.severity}: {told(f)}" for f in stage.findings if _is_shown(f)]
    if ended.orders:
        lines += ["", orders(ended.orders)]
    return "\n".join(lines)


def _is_shown(finding: Finding) -> bool:
    """Return True for findings that are shown: warnings, errors, and limits that are off."""
    return finding.severity is not Severity.INFO or finding.check == "off"


def orders(found: tuple[Intent, ...], most: int = _MOST) -> str:
    """Return orders as a table."""
    rows = [("asset", "side", "quantity", "price", "value", "state", "filled")]
    for o in found[:most]:
        price = o.reference if o.limit is None else o.limit
        about = (o.asset, str(o.side), str(o.quantity), str(price), f"{o.quantity * price:.2f}")
        rows.append((*about, str(o.state), str(o.filled)))
    more = f"\n... and {len(found) - most} more (--json prints all)" if len(found) > most else ""
    return show.table(rows) + more


def result(ended: Ended) -> dict[str, Any]:
    """Return a run as plain data, with its text."""
    return {**as_data(ended), "text": text(ended)}


def as_data(ended: Ended) -> dict[str, Any]:
    """Return a run as plain data."""
    run = ended.run
    return {
        "id": run.id,
        "strategy": run.key.strategy,
        "portfolio": run.key.portfolio,
        "kind": str(run.key.kind),
        "as_of": run.as_of,
        "session": run.key.session,
        "revision": run.revision,
        "broker": run.broker,
        "outcome": str(run.outcome),
        "message": run.message,
        "scratch": ended.scratch,
        "waiting": None if ended.waiting is None else asdict(ended.waiting) | {"at": ended.waiting.at.isoformat()},
        "digests": dict(sorted(run.digests.items())),
        "weights": held(ended),
        "seconds": {str(s.name): s.seconds for s in ended.stages},
        "findings": [
            {
                "stage": str(s.name),
                "check": f.check,
                "severity": str(f.severity),
                "message": f.message,
                "assets": f.assets,
            }
            for s in ended.stages
            for f in s.findings
        ],
        "orders": [
            {
                "client_order_id": o.client_order_id,
                "asset": o.asset,
                "side": str(o.side),
                "quantity": str(o.quantity),
                "reference": str(o.reference),
                "state": str(o.state),
                "filled": str(o.filled),
                "message": o.message,
            }
            for o in ended.orders
        ],
    }


def held(ended: Ended) -> dict[str, float]:
    """Return the wanted weights that are not zero, by asset."""
    if ended.sight is None:
        return {}
    pairs = zip(ended.sight.names, ended.sight.wanted.tolist(), strict=True)
    return {name: weight for name, weight in pairs if weight != 0.0 and weight == weight}


def _weights(ended: Ended) -> list[str]:
    if ended.sight is None:
        return []
    wanted = held(ended)
    gross, net = sum(abs(w) for w in wanted.values()), sum(wanted.values())
    told = f"wanted: {len(wanted)} of {len(ended.sight.names)} assets, gross {gross:.4f}, net {net:+.4f}"
    return [f"{told}, digest {ended.sight.digest[:16]}"]
