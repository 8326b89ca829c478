"""The orders of a run that wait for the open of their session, as a value. Light: the thin client reads it too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WaitingOrders:
    """The orders of a run that wait for their session's open.

    planned: to be sent; sent: at the broker, nothing filled. at: when the first of them leaves, or else may be filled.
    """

    planned: int
    sent: int
    at: datetime
