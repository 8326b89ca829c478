"""The messages of the kill switch: open orders cancelled, positions closed, and what is left of both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class KilledOrder:
    """An order as it stands now. Quantities are decimals as text; new_fill: what was filled while it was cancelled."""

    id: str
    run: str
    strategy: str
    asset: str
    side: str
    quantity: str
    filled: str
    new_fill: str
    state: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class KeptPosition:
    """A position, or a part of one, that no order closes. quantity: signed, a decimal as text."""

    strategy: str
    portfolio: str
    asset: str
    quantity: str
    why: str


@dataclass(frozen=True, slots=True)
class ClosingSession:
    """The session that closing orders are for. is_open: they may be filled now; else from `opens` on."""

    session: str
    opens: datetime
    cut_off: datetime
    is_open: bool


@dataclass(frozen=True, slots=True)
class KillReply:
    """The effect of the kill switch.

    cancelled: orders that the broker took back. filled: orders that were filled before it could. left: orders that are
    open still, or without a known outcome. closing: the orders that close positions; kept: what they do not close.
    """

    cancelled: tuple[KilledOrder, ...] = ()
    filled: tuple[KilledOrder, ...] = ()
    left: tuple[KilledOrder, ...] = ()
    closing: tuple[KilledOrder, ...] = ()
    kept: tuple[KeptPosition, ...] = ()
    session: ClosingSession | None = None

    @property
    def is_done(self) -> bool:
        """Return True if no order is left open, and the broker has every closing order."""
        placed = all(one.state not in ("denied", "rejected", "expired", "cancelled", "unknown") for one in self.closing)
        return not self.left and not self.kept and placed
