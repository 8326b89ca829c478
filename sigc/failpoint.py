"""Named points at which a process may die: armed by tests, passed through in production.

Every place where a crash matters (before and after a commit, a request, a rename) calls `failpoint(NAME)` with a name
of `POINTS`. A campaign kills the process at each of them and shows that recovery resolves what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

# The transactions of the ledger by name; each has three points of its own.
TRANSACTIONS = (
    "run-open",
    "stage",
    "intents",
    "send",
    "acknowledge",
    "resolve",
    "respread",
    "fills",
    "cancel",
    "expire",
    "control",
    "adopt",
    "actions",
    "run-close",
)

_OTHERS = {
    "post:before": "an order is marked as sending, and not sent yet",
    "post:after": "the broker has answered, and nothing of it is recorded",
    "lookup:before": "an order without an outcome is about to be looked up",
    "lookup:after": "an order was looked up, and the answer is not recorded",
    "cancel-call:before": "a cancel is about to be asked for",
    "cancel-call:after": "a cancel was asked for, and that is not recorded",
    "sweep:before": "fills are about to be fetched",
    "sweep:after": "fills were fetched, and are not recorded",
    "act:before": "a simulated broker is about to be told of corporate actions",
    "act:after": "it has applied them, and the ledger has not",
    "artifacts:before": "the run's files are about to be written",
    "artifact:rename": "a file is written beside its place",
    "artifacts:after": "the run's files are written, and the ledger does not know them",
    "mirror:append": "audit lines are written and not flushed",
    "mirror:rotate": "a day's audit lines are compressed, and the old file is still there",
    "anchor": "the head of the audit chain is about to be anchored",
}

POINTS: Mapping[str, str] = MappingProxyType(
    {
        f"{name}:{step}": f"transaction '{name}': {what}"
        for name in TRANSACTIONS
        for step, what in (
            ("begun", "begun, nothing written"),
            ("written", "all is written, nothing committed"),
            ("committed", "committed, the caller does not know yet"),
        )
    }
    | _OTHERS
)

_hook: Callable[[str], None] | None = None


def failpoint(name: str) -> None:
    """Call the armed hook with this point's name; do nothing outside tests."""
    if _hook is not None:
        _hook(name)


def arm(hook: Callable[[str], None] | None) -> None:
    """Call `hook` with the name of each point that is passed; None disarms."""
    global _hook
    _hook = hook
