"""An order under check, with the values that its checks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sigc.store.ledger.records import ZERO, Intent, Side
from sigc_pipelines.checks.declare import Breach, UnevaluableError
from sigc_pipelines.checks.exposure import Bound, Exposure, ExposureLine, worst_price


@dataclass(frozen=True, slots=True)
class Case:
    """An order under check. without, with_it: its asset's line without the order, and with all that it may still
    fill.
    """

    order: Intent
    at: Exposure
    now: datetime
    cut_off: datetime | None
    counted: Decimal
    without: ExposureLine
    with_it: ExposureLine

    @property
    def open(self) -> Decimal:
        """Quantity of the order that may still be filled."""
        return self.order.quantity - self.order.filled

    @property
    def is_way_out(self) -> bool:
        """True if the order can only take the position nearer to zero, whatever else is filled."""
        line = self.with_it
        return line.lowest >= 0 if self.order.side is Side.SELL else line.highest <= 0

    @property
    def whole(self) -> Decimal:
        """The quantity of the order, or of the parent that it is a slice of."""
        return self.at.parents.get(self.order.parent, self.order.quantity)


def unless_way_out(case: Case, measured: Callable[[], Breach | None]) -> Breach | None:
    """Return what `measured` finds. On the way out, a value that can't be evaluated is no obstacle."""
    try:
        return measured()
    except UnevaluableError:
        if case.is_way_out:
            return None
        raise


def beyond(value: Decimal, limit: Decimal, what: str) -> Breach | None:
    if value <= limit:
        return None
    return Breach(f"{what} is {value:f}; the limit is {limit:f}", value=float(value), limit=float(limit))


def dearest(order: Intent, bound: Bound) -> Decimal:
    """Return the price per share for limits in money: the highest known one, so that a wrong low price does not make an
    order small.
    """
    return max(worst_price(order), bound.high or ZERO)


def exact(limit: float) -> Decimal:
    """Return a limit as it was written: 0.1 is a tenth."""
    return Decimal(repr(limit))
