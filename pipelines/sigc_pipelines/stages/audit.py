"""Audit: refresh the files of the book's earlier runs, mirror and anchor the audit."""

from __future__ import annotations

from sigc.store.ledger.records import Finding
from sigc_pipelines.live.publish import publish
from sigc_pipelines.records.artifacts import refresh
from sigc_pipelines.stages.run_context import RunContext


def audit(context: RunContext, findings: list[Finding]) -> None:
    """Refresh the files of the book's earlier runs, and publish the audit. A failed write of the audit is a finding.

    The run's own files are written with its verdict. Raises E300.
    """
    trading = context.trading
    if not context.is_dry and trading.has_files:
        refresh(context.ledger, context.book, trading.render, but=context.run.id)
    findings += publish(context.ledger, trading.config.audit)
