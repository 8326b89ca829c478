"""Pre-trade checks: one order, before it is sent, against all orders in flight. Exact decimals.

`judge` returns the findings against an order, right before it is sent. An order that is counted in the exposure already
is judged against all others.

An order beyond a limit is denied, with one exception: an order that reduces an exposure which is beyond its limit. An
order that can't be evaluated (the book is worth nothing) is denied too, unless it only takes its position nearer to
zero: closing a position must stay possible. Such an order is not denied for change, turnover or cash; where the held
book exceeds a limit, not for net or sector in flight either, as the other side may have to wait. Assets without a price
are left out of sums, so that they do not block orders of others.

Read `exposure.py` first, for the worst case.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, localcontext

from sigc.config.settings import SafetySettings
from sigc.errors import Severity
from sigc.store.ledger.records import ZERO, Finding, Intent, Side
from sigc_pipelines.checks.case import Case, beyond, exact, unless_way_out
from sigc_pipelines.checks.declare import Breach, UnevaluableError, check, collected, findings, listed
from sigc_pipelines.checks.exposure import EXACT, Exposure, MoneyRange, worst_price
from sigc_pipelines.checks.size import SIZES

_NEVER = datetime.min.replace(tzinfo=UTC)
FORM = "form"  # the group of checks that an order must pass before anything else can be measured


def judge(
    order: Intent, at: Exposure, limits: SafetySettings, now: datetime, cut_off: datetime | None
) -> tuple[Finding, ...]:
    """Return every finding against sending `order` now, with value and limit; empty: it may be sent."""
    assets = (order.asset,)
    with localcontext(EXACT):
        broken = findings(SOUND, order, limits, Severity.DENIAL, assets)
        if broken:
            return broken  # with an invalid quantity or price nothing else can be measured
        return findings(CHECKS, case_of(order, at, now, cut_off), limits, Severity.DENIAL, assets)


def only_reduces(order: Intent, at: Exposure) -> bool:
    """Return True if an order can only take its position nearer to zero, whatever else is filled."""
    with localcontext(EXACT):
        return case_of(order, at).is_way_out


def case_of(order: Intent, at: Exposure, now: datetime = _NEVER, cut_off: datetime | None = None) -> Case:
    """Return an order with the values that its checks share."""
    # A planned order is counted in the exposure already: measure without it, then with all it may still fill.
    counted = at.in_flight(order.client_order_id)
    without = at.line(order.asset).open(order.side, -counted)
    with_it = without.open(order.side, order.quantity - order.filled)
    return Case(order, at, now, cut_off, counted, without, with_it)


@check(group=FORM)
def quantity(order: Intent, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """The quantity is a number above zero, and not all of it is filled."""
    if order.quantity.is_finite() and order.filled.is_finite() and order.quantity > order.filled >= 0:
        return None
    return Breach(
        f"a quantity of {order.quantity} with {order.filled} filled can't be sent", value=_number(order.quantity)
    )


@check(group=FORM)
def price(order: Intent, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """The price the order was sized by, and its limit if it has one, are numbers above zero."""
    prices = {"price": order.reference} | ({} if order.limit is None else {"limit": order.limit})
    for name, value in prices.items():
        if not (value.is_finite() and value > 0):
            return Breach(f"invalid {name} {value} of {order.asset}: it must be above zero", value=_number(value))
    return None


@check("restricted")
def restricted(case: Case, limits: SafetySettings) -> Breach | None:
    """The asset may be traded."""
    return Breach(f"{case.order.asset} is restricted") if case.order.asset in limits.restricted else None


@check()
def cut_off(case: Case, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """The order is sent before the session's cut-off."""
    if case.cut_off is None:
        raise UnevaluableError("no cut-off is known")
    due = case.now if case.order.not_before is None else max(case.now, case.order.not_before)
    if due < case.cut_off:
        return None
    told = due.astimezone(case.cut_off.tzinfo), case.cut_off
    return Breach("due at {:%Y-%m-%d %H:%M:%S %Z}, and the cut-off is {:%Y-%m-%d %H:%M:%S %Z}".format(*told))


@check("max_orders_per_run")
def orders_per_run(case: Case, limits: SafetySettings) -> Breach | None:
    """The number of orders that the run has sent, with this one."""
    return _count(case, case.at.orders_of_run[case.order.run], limits.max_orders_per_run, "run")


@check("max_orders_per_session")
def orders_per_session(case: Case, limits: SafetySettings) -> Breach | None:
    """The number of orders that the book has sent in the session, with this one."""
    return _count(case, case.at.orders, limits.max_orders_per_session, "session")


@check()
def duplicate(case: Case, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """No other order on this side of the asset is in flight, except slices of the same parent."""
    rivals = case.at.rivals(case.order)
    return (
        Breach(f"{case.order.asset} is being {_verb(case.order)} already, by {listed(rivals, 3)}") if rivals else None
    )


@check()
def children(case: Case, limits: SafetySettings) -> Breach | None:  # noqa: ARG001
    """The slices of a parent add up to no more than the parent."""
    parent = case.order.parent
    if not parent:
        return None
    if parent not in case.at.parents:
        raise UnevaluableError(f"the parent {parent} is not known")
    total = case.at.sliced.get(parent, ZERO) - case.counted + case.open
    return beyond(total, case.at.parents[parent], f"the slices of {parent} come to a quantity that")


@check("allow_short")
def short(case: Case, limits: SafetySettings) -> Breach | None:
    """A sale leaves no negative position where none is allowed."""
    if limits.allow_short or case.order.side is Side.BUY or case.with_it.lowest >= 0:
        return None
    text = f"{case.order.asset} may come to {case.with_it.lowest}, and short positions are not allowed"
    return Breach(text, value=float(case.with_it.lowest), limit=0.0)


@check("max_position")
def position(case: Case, limits: SafetySettings) -> Breach | None:
    """The asset's weight in the worst case."""

    def measured() -> Breach | None:
        worst = _side(case, case.with_it.lowest, case.with_it.highest) * _price(case)
        now = abs(case.without.quantity) * _price(case)
        return _share(case, worst, limits.max_position, f"the weight of {case.order.asset}", now)

    return unless_way_out(case, measured)


@check("max_change")
def change(case: Case, limits: SafetySettings) -> Breach | None:
    """The change of the asset's weight in the session, in the worst case."""

    if case.is_way_out:
        return None

    def measured() -> Breach | None:
        line = case.with_it
        worst = _side(case, line.changed - line.selling, line.changed + line.buying) * _price(case)
        now = abs(line.changed) * _price(case)
        return _share(case, worst, limits.max_change, f"the change of {case.order.asset} in the session", now)

    return unless_way_out(case, measured)


@check("max_gross_in_flight")
def gross_in_flight(case: Case, limits: SafetySettings) -> Breach | None:
    """The sum of absolute weights when all orders that add are filled and none that reduces."""

    def measured() -> Breach | None:
        counted = case.at.line(case.order.asset)
        others = case.at.gross_in_flight - counted.reach * _price(case)
        # An order that does not widen the asset's reach can't raise the gross, even beyond the limit.
        if case.with_it.reach <= case.without.reach:
            return None
        worst = others + case.with_it.reach * _price(case)
        return _share(case, worst, limits.max_gross_in_flight, "the gross in flight")

    return unless_way_out(case, measured)


@check("max_net_in_flight")
def net_in_flight(case: Case, limits: SafetySettings) -> Breach | None:
    """The absolute sum of weights when only the orders on this order's side are filled."""

    def measured() -> Breach | None:
        if case.is_way_out and _is_held_beyond(case, limits):
            return None
        return _net(case, case.at.net, limits.max_net_in_flight, "the net in flight")

    return unless_way_out(case, measured)


@check("max_sector_in_flight")
def sector_in_flight(case: Case, limits: SafetySettings) -> Breach | None:
    """The absolute net weight of the asset's sector when only the orders on this order's side are filled."""
    if limits.max_sector_in_flight == 0:
        return None

    def measured() -> Breach | None:
        if case.is_way_out and _is_held_beyond(case, limits):
            return None
        sector = case.with_it.sector
        if not sector:
            raise UnevaluableError(f"the sector of {case.order.asset} is not known")
        range = case.at.sectors.get(sector, MoneyRange())
        return _net(case, range, limits.max_sector_in_flight, f"the net of sector {sector} in flight")

    return unless_way_out(case, measured)


@check("max_turnover")
def turnover(case: Case, limits: SafetySettings) -> Breach | None:
    """The value of the session's fills and of all orders in flight."""
    if case.is_way_out:
        return None

    def measured() -> Breach | None:
        at = case.at
        value = at.turnover + at.buying + at.selling + (case.open - case.counted) * worst_price(case.order)
        return _share(case, value, limits.max_turnover, "the session's turnover")

    return unless_way_out(case, measured)


@check("min_cash")
def cash(case: Case, limits: SafetySettings) -> Breach | None:
    """The cash once all orders are filled, over the book's worth."""
    return _cash(case, case.at.proceeds, limits.min_cash, "the cash once all is filled")


@check("min_cash_in_flight")
def cash_in_flight(case: Case, limits: SafetySettings) -> Breach | None:
    """The cash when all buys are filled and no sells, over the book's worth."""
    return _cash(case, ZERO, limits.min_cash_in_flight, "the cash with no sale filled")


def _share(case: Case, value: Decimal, limit: float, what: str, now: Decimal | None = None) -> Breach | None:
    """Return a breach if `value` exceeds the limit as a share of the book, unless it reduces a `now` that exceeds it
    too.
    """
    nav = _nav(case)
    most = exact(limit) * nav
    # Beyond the limit is strict: a limit may be met. `now` lets an order through that brings an excess down.
    if value <= most or (now is not None and now > most and value < now):
        return None
    return Breach(
        f"{what} may come to {value / nav:.6g}; the limit is {limit:g}", value=float(value / nav), limit=limit
    )


def _net(case: Case, range: MoneyRange, limit: float, what: str) -> Breach | None:
    worst = _side(case, range.lowest, range.highest) + (case.open - case.counted) * _price(case)
    return _share(case, worst, limit, what, abs(range.now))


def _cash(case: Case, proceeds: Decimal, limit: float, what: str) -> Breach | None:
    """Return a breach if a buy leaves too little cash. proceeds: cash from open sells. Sells never breach."""
    if case.order.side is Side.SELL or case.is_way_out:
        return None

    def measured() -> Breach | None:
        nav = _nav(case)
        if not case.at.cash.is_finite():
            raise UnevaluableError("the book's cash is not known")
        left = case.at.cash + proceeds - case.at.buying - (case.open - case.counted) * worst_price(case.order)
        if left >= exact(limit) * nav:
            return None
        text = f"{what} may come to {left / nav:.6g} of the book; the least is {limit:g}"
        return Breach(text, value=float(left / nav), limit=limit)

    return unless_way_out(case, measured)


def _count(case: Case, sent: int, limit: int, of: str) -> Breach | None:
    number = sent + (not case.at.is_counted(case.order.client_order_id))
    return (
        Breach(f"order {number} of the {of}; the limit is {limit}", value=number, limit=limit)
        if number > limit
        else None
    )


def _side(case: Case, lowest: Decimal, highest: Decimal) -> Decimal:
    """Return the exposure that this order adds to: upwards for a buy, downwards for a sell."""
    return highest if case.order.side is Side.BUY else -lowest


def _nav(case: Case) -> Decimal:
    nav = case.at.nav
    if not (nav.is_finite() and nav > 0):
        raise UnevaluableError(f"the book is worth {nav}")
    return nav


def _price(case: Case) -> Decimal:
    price = case.with_it.price
    if price is None:
        raise UnevaluableError(f"no price of {case.order.asset} is known")
    return price


def _is_held_beyond(case: Case, limits: SafetySettings) -> bool:
    """Return True if the book, or the asset in it, exceeds a limit already: then reductions must stay possible.

    Raise UnevaluableError if the book's worth or the price is not known.
    """
    nav, held = _nav(case), abs(case.without.quantity) * _price(case)
    gross = case.at.gross_in_flight
    return held > exact(limits.max_position) * nav or gross > exact(limits.max_gross_in_flight) * nav


def _number(value: Decimal) -> float | None:
    return float(value) if value.is_finite() else None


def _verb(order: Intent) -> str:
    return "bought" if order.side is Side.BUY else "sold"


SOUND = collected(__name__, FORM)  # keep at the end of the module: `collected` sees only checks declared above
CHECKS = (*collected(__name__, ""), *SIZES)
