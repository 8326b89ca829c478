"""Checks of the size of one order: in money, in shares, against the change that is wanted and the volume."""

from __future__ import annotations

from sigc.config.settings import SafetySettings
from sigc_pipelines.checks.case import Case, beyond, dearest, exact, unless_way_out
from sigc_pipelines.checks.declare import Breach, UnevaluableError, check, collected
from sigc_pipelines.checks.exposure import worst_price


@check("max_order_value")
def order_value(case: Case, limits: SafetySettings) -> Breach | None:
    """The order's value, at the highest of its price, its limit and the last two accepted prices."""
    if limits.max_order_value == 0:
        return None
    bound = case.at.bounds.get(case.order.asset)
    price = worst_price(case.order) if bound is None else dearest(case.order, bound)
    return beyond(case.order.quantity * price, exact(limits.max_order_value), "the order's value")


@check("max_order_pct")
def order_pct(case: Case, limits: SafetySettings) -> Breach | None:
    """The value of the order with all its slices, at the price that sized it, beyond the wanted change."""
    if limits.max_order_pct == 0:
        return None
    bound = case.at.bounds.get(case.order.asset)
    if bound is None:
        raise UnevaluableError(f"no change of {case.order.asset} is known to be wanted")
    # One lot of tolerance at least: rounding to the lot alone may exceed a small wanted change by a large share.
    most = bound.wanted + max(bound.wanted * exact(limits.max_order_pct), bound.lot)
    return beyond(case.whole * case.order.reference, most, "the order's value against the change that is wanted")


@check("max_adv_pct")
def adv_pct(case: Case, limits: SafetySettings) -> Breach | None:
    """The value of the order with all its slices, over the mean value traded in a session."""
    if limits.max_adv_pct == 0:
        return None

    def measured() -> Breach | None:
        bound = case.at.bounds.get(case.order.asset)
        if bound is None or bound.volume is None:
            raise UnevaluableError(f"the mean volume of {case.order.asset} is not known")
        value, most = case.whole * dearest(case.order, bound), exact(limits.max_adv_pct) * bound.volume
        return beyond(value, most, "the order's value against the mean volume")

    return unless_way_out(case, measured)


@check("max_order_shares")
def order_shares(case: Case, limits: SafetySettings) -> Breach | None:
    """The order's quantity."""
    if limits.max_order_shares == 0:
        return None
    return beyond(case.order.quantity, exact(limits.max_order_shares), "the order's quantity")


SIZES = collected(__name__)  # keep at the end of the module: `collected` sees only checks declared above
