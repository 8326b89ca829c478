"""Refusal of adjusted prices for a run that trades, and its findings about corporate actions."""

from __future__ import annotations

from sigc.errors import Diagnostic, Severity, SigcError
from sigc.store.ledger.records import Finding
from sigc_pipelines.compute import Loaded

_HINT = "name the column or source that holds them: traded=close; research and --dry-run go without"


def refuse_adjusted(loaded: Loaded) -> None:
    """Raise E801 for a strategy with adjusted prices only: they don't give the cost of an order."""
    name = loaded.money
    source = loaded.catalog.sources[name]
    if source.spec.options.adjusted:
        message = f"source '{name}' says adjusted=true, and no other holds the prices as traded"
        raise SigcError(Diagnostic("E801", message, source.spec.span, hint=_HINT))
    if loaded.judged.evidence:
        message = f"source '{name}' looks adjusted, not as traded: {loaded.judged.evidence}"
        hint = f"say adjusted=true, and {_HINT}"
        raise SigcError(Diagnostic("E801", message, source.spec.span, hint=hint))


def told_of_actions(loaded: Loaded) -> tuple[Finding, ...]:
    """Return a warning if no source declares the corporate actions."""
    if loaded.catalog.has_actions:
        return ()
    text = "no corporate actions are declared: splits are held, dividends are not booked"
    return (Finding("actions", Severity.WARNING, text),)
