"""The rows on which a book is rebalanced: every n rows, or those of a calendar word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ROWS: Mapping[str, int] = MappingProxyType({"daily": 1, "weekly": 5, "monthly": 21, "quarterly": 63, "annually": 252})
CALENDAR_WORDS = (
    "week_start", "week_end", "month_start", "month_end", "quarter_start", "quarter_end", "year_start", "year_end",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rebalance:
    """The rows on which a book is traded, from the first of its range on.

    rows: every n rows; None for a calendar word (`month_end`). word: as written, '' for a number. The words daily,
    weekly, monthly, quarterly, annually have rows: they count rows that are sessions.

    >>> Rebalance.of_word("monthly"), Rebalance.of_word("month_end").rows
    (Rebalance(rows=21, word='monthly'), None)
    """

    rows: int | None = 1
    word: str = ""

    @classmethod
    def of_word(cls, word: str) -> Rebalance:
        """Return the schedule of one of the words."""
        return cls(ROWS.get(word), word)


EVERY_ROW = Rebalance()
