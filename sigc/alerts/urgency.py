"""The urgency of an alert, on which routes, quiet hours and texts depend."""

from __future__ import annotations

from enum import StrEnum


class Urgency(StrEnum):
    """The urgency of an alert. Critical: somebody has to act now. Warning: somebody has to look today. Info: news."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return the order of urgency: 0 for info, 2 for critical."""
        return list(Urgency).index(self)


def most_urgent(found: list[Urgency]) -> Urgency:
    """Return the highest urgency, info if there is none.

    >>> str(most_urgent([Urgency.INFO, Urgency.CRITICAL, Urgency.WARNING]))
    'critical'
    """
    return max(found, key=lambda urgency: urgency.rank, default=Urgency.INFO)
