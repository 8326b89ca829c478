"""Checks of one order against the whole account: the sum of all books, with the orders in flight of all their runs.

Gross, net and position are those of `orders.py`, measured on that sum. An order that only reduces the position of its
own book passes: a strategy can always get out. An order that is only too early (`LATER`) is not denied: it waits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal, localcontext

from sigc.config.settings import SafetySettings
from sigc.errors import Severity
from sigc.store.ledger.records import Finding, Intent
from sigc_pipelines.checks import orders
from sigc_pipelines.checks.case import Case, exact
from sigc_pipelines.checks.declare import Breach, Check, UnevaluableError, check, collected, findings, listed
from sigc_pipelines.checks.exposure import EXACT, Exposure, worst_price

_FREE = 1e12  # a limit that is off, where another is judged


@dataclass(frozen=True, slots=True, eq=False)
class AccountExposure:
    """The account: the exposure of all books together. sent: orders of all books within the last minute.

    power: what the broker let us buy when the run began to send, None if it did not say; used: the value of the orders
    sent since then. opposite: by asset and side, orders of other books that are open on the other side.
    """

    whole: Exposure
    sent: int = 0
    power: Decimal | None = None
    used: Decimal = Decimal(0)
    opposite: tuple[Intent, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AccountCase:
    """An order under check, beside the account. whole: the order on the sum of all books."""

    order: Intent
    account: AccountExposure
    whole: Case


def judge_account(
    order: Intent, own: Exposure, account: AccountExposure, limits: SafetySettings
) -> tuple[Finding, ...]:
    """Return every finding of the account against sending `order` now. own: the exposure of its book.

    Call it for an order that its own book lets pass.
    """
    with localcontext(EXACT):
        case = AccountCase(order, account, orders.case_of(order, account.whole))
        if orders.case_of(order, own).is_way_out:
            return findings(LATER, case, limits, Severity.DENIAL, (order.asset,))
        return findings(CHECKS, case, limits, Severity.DENIAL, (order.asset,))


def is_later(found: tuple[Finding, ...]) -> bool:
    """Return True if an order is only too early: nothing else is wrong with it."""
    return bool(found) and {one.check for one in found} <= {one.name for one in LATER}


@check("account.max_gross")
def account_gross(case: AccountCase, limits: SafetySettings) -> Breach | None:
    """The sum of absolute weights of all books when all orders that add are filled and none that reduces."""
    return _of_all(orders.gross_in_flight, case, limits, limits.account.max_gross)


@check("account.max_net")
def account_net(case: AccountCase, limits: SafetySettings) -> Breach | None:
    """The absolute sum of weights of all books when only the orders on this order's side are filled."""
    return _of_all(orders.net_in_flight, case, limits, limits.account.max_net)


@check("account.max_position")
def account_position(case: AccountCase, limits: SafetySettings) -> Breach | None:
    """The asset's weight in all books together, in the worst case."""
    return _of_all(orders.position, case, limits, limits.account.max_position)


@check("account.max_buying_power")
def account_power(case: AccountCase, limits: SafetySettings) -> Breach | None:
    """The value of the orders that add, over the buying power that the broker told."""
    share, power = limits.account.max_buying_power, case.account.power
    if not share or case.whole.is_way_out:
        return None
    if power is None or not power.is_finite():
        raise UnevaluableError("the broker does not tell the buying power")
    value, most = case.account.used + case.whole.open * worst_price(case.order), exact(share) * power
    if value <= most:
        return None
    text = f"of all books: the orders may take {value:.2f} of buying power; the limit is {most:.2f}"
    return Breach(text, value=float(value), limit=float(most))


@check("account.max_orders_a_minute", group="later")
def account_orders_a_minute(case: AccountCase, limits: SafetySettings) -> Breach | None:
    """The number of orders that all books have sent within a minute, with this one."""
    number, most = case.account.sent + 1, limits.account.max_orders_a_minute
    if not most or number <= most:
        return None
    return Breach(f"order {number} of all books within a minute; the limit is {most}", value=number, limit=most)


@check(group="later")
def account_opposite(case: AccountCase, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """No order of another book is open on the other side of the asset."""
    rivals = [i for i in case.account.opposite if i.asset == case.order.asset and i.side is not case.order.side]
    if not rivals:
        return None
    whose = listed(sorted({one.key.strategy for one in rivals}), 3)
    return Breach(f"an opposite order in {case.order.asset} is open, of {whose}")


def _of_all(each: Check[Case], case: AccountCase, limits: SafetySettings, limit: float) -> Breach | None:
    """Measure a check of orders on the sum of all books, against a limit of the account; 0 is off."""
    if not limit:
        return None
    free = {"max_position": _FREE, "max_gross_in_flight": _FREE, "max_net_in_flight": _FREE}
    breach = each.measure(case.whole, limits.model_copy(update=free | {each.setting: limit}))
    return None if breach is None else replace(breach, message=f"of all books: {breach.message}")


LATER = collected(__name__, "later")  # keep at the end of the module: `collected` sees only checks declared above
CHECKS = collected(__name__)
