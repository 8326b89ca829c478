"""Checks of a run as text: what each measures, the setting of its limit, its policy."""

from __future__ import annotations

from sigc_pipelines.checks import account, data, orders, weights
from sigc_pipelines.checks.declare import Check

# Findings that no check measures; a test holds this table to every finding that the program makes.
_OTHERS = {
    "actions": "data: no corporate actions are declared, so splits are held and dividends are not booked",
    "anchor": "audit: the chain's head was not written to audit.anchor; the run itself is not concerned",
    "broker": "orders: the broker did not say what was filled; fills are taken in by the next look at it",
    "cancelled": "orders: the run was asked to end, or to halt, before these were sent",
    "cut": "orders: reductions larger than an order may be (safety.max_order_value, max_order_shares, "
    "max_adv_pct) are cut; later runs reduce the rest",
    "cut_off": "orders: the cut-off (execution.cut_off) passed before these were sent",
    "mirror": "audit: the JSON lines in work_dir/audit are behind the ledger, or of another chain",
    "record": "the plan and the signals can't be written into work_dir/runs; the run itself is not concerned",
    "rejected": "orders: the broker refused one, in its own words",
    "slices": "orders: nothing was sent at the time of these slices (a pause, a stopped process), so they are spread "
    "over the rest of their window, or ended unsent",
    "unresolved": "orders: no outcome is known at the cut-off, so the strategy is halted until they are looked up; "
    "see docs/runbook.md",
    "worth": "weights: the book is worth nothing or less, so it only reduces what it holds",
    "undefined": "weights: on the row that is traded no weight is defined, so nothing is decided and the book is kept",
    "use_cache": "data: the target is that of the last run (a policy of safety.* is use_cache)",
    "halted": "orders: everything, or the strategy, is halted; `sigc safety resume` ends it",
    "reduce_only": "orders: an order that closes a position under a halt could take it beyond zero, or a breaker lets "
    "only orders that reduce pass (`sigc safety status`), so it was not sent",
    "breaker": "a circuit breaker is tripped, or can't be evaluated; `sigc safety status` shows each with its value",
    "off": "a limit that nothing loaded can be judged by, so it is off",
    "restated": "data: old prices were restated by a constant ratio; a person accepts it by `sigc data accept`",
}
_POLICIES = {
    data.STALE: "safety.on_stale_data",
    data.DAMAGED: "safety.on_data_error",
    data.UNPRICED: "safety.on_missing_symbol",
    data.ODD: "safety.on_anomaly",
}


def checks_text() -> dict[str, str]:
    """Return every check by its name: of several parts of a run where they share it."""
    found: dict[str, list[str]] = {name: [f"{name}, of {text}"] for name, text in _OTHERS.items()}
    for what, checks in (
        ("data", data.CHECKS),
        ("weights", weights.CHECKS),
        ("orders", (*orders.SOUND, *orders.CHECKS, *account.CHECKS)),
    ):
        for check in checks:
            found.setdefault(check.name, []).append(_text(check, what))
    return {name: "\n\n".join(texts) for name, texts in found.items()}


def _text(check: Check[object], what: str) -> str:
    lines = [f"{check.name}, a check of {what}", "", check.text]
    policy = _POLICIES.get(check.group) if what == "data" else None
    if policy is not None:
        lines.append(f"what follows from it: {policy}")
    if check.setting and f"safety.{check.setting}" != policy:
        lines.append(f"limit: safety.{check.setting} (default: {check.default})")
    return "\n".join(lines)
