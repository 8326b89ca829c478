"""Urgency of an alert: which routes, quiet hours and texts go by it."""

from __future__ import annotations

from enum import StrEnum


class Urgency(StrEnum):
    """Critical: somebody has to act now. Warning: somebody has to look today. Info: good to know."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Order of urgency: 0 for info, 2 for critical."""
        return list(Urgency).index(self)


def most_urgent(found: list[Urgency]) -> Urgency:
    """Return the highest urgency, info for none.

    >>> str(most_urgent([Urgency.INFO, Urgency.CRITICAL, Urgency.WARNING]))
    'critical'
    """
    return max(found, key=lambda urgency: urgency.rank, default=Urgency.INFO)
