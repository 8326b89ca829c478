"""Fills of the paper broker: prices, commissions, shares of volume, borrow fees. Pure functions, exact decimals.

A fill is never better than the market: slippage and the rounding of the price to six decimals are against us. Money is
rounded to cents, halves to even. All else is exact: `EXACT` has digits to spare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

from sigc.config.settings import PaperSettings
from sigc.store.ledger.records import ZERO, Side
from sigc_pipelines.brokers.protocol import OrderRequest

EXACT = Context(prec=80)
LARGEST = Decimal(10) ** 15  # a larger quantity, price or deposit is an input error
CENT = Decimal("0.01")
TICK = Decimal("0.000001")
_BPS = Decimal(10_000)
_YEAR_DAYS = Decimal(365)  # of borrow rates: actual/365


@dataclass(frozen=True, slots=True)
class Terms:
    """The broker's terms, as fractions (slippage 0.0005 is 5 bps) and money."""

    slippage: Decimal
    commission_rate: Decimal
    commission_per_share: Decimal
    min_commission: Decimal
    max_volume: Decimal
    leverage: Decimal
    shorting: bool
    borrow_rate: Decimal
    step: Decimal

    @classmethod
    def of(cls, settings: PaperSettings) -> Terms:
        """Return the settings as decimals of their text."""
        return cls(
            slippage=_decimal(settings.slippage_bps) / _BPS,
            commission_rate=_decimal(settings.commission_bps) / _BPS,
            commission_per_share=_decimal(settings.commission_per_share),
            min_commission=_decimal(settings.min_commission),
            max_volume=_decimal(settings.max_volume_pct),
            leverage=_decimal(settings.leverage),
            shorting=settings.shorting,
            borrow_rate=_decimal(settings.borrow_bps) / _BPS,
            step=Decimal(settings.quantity_step),
        )


@dataclass(frozen=True, slots=True)
class MatchedOrder:
    """The fill of one order at a mark."""

    quantity: Decimal
    price: Decimal
    commission: Decimal


def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def known(number: Decimal | None) -> Decimal | None:
    """Return a valid price or volume; None for one that is missing, infinite, NaN or absurd."""
    return number if number is not None and number.is_finite() and abs(number) <= LARGEST else None


def execution_price(mark: Decimal, side: Side, terms: Terms) -> Decimal:
    """Return the price paid or received when the market is at `mark`.

    >>> terms = Terms.of(PaperSettings(slippage_bps=5))
    >>> execution_price(Decimal(100), Side.BUY, terms), execution_price(Decimal(100), Side.SELL, terms)
    (Decimal('100.050000'), Decimal('99.950000'))
    """
    price = mark * (1 + side.sign * terms.slippage)
    return price.quantize(TICK, rounding=ROUND_CEILING if side is Side.BUY else ROUND_FLOOR)


def reaches(request: OrderRequest, price: Decimal) -> bool:
    """Return True if an order may be filled at that price: a positive price, no worse than the limit."""
    return price > ZERO and (request.limit is None or request.side.sign * (request.limit - price) >= ZERO)


def commission(quantity: Decimal, price: Decimal, terms: Terms) -> Decimal:
    """Return the commission of one fill, in cents.

    >>> commission(Decimal(100), Decimal("10.005"), Terms.of(PaperSettings(commission_bps=10, min_commission=0.5)))
    Decimal('1.00')
    """
    asked = quantity * (price * terms.commission_rate + terms.commission_per_share)
    return max(asked, terms.min_commission).quantize(CENT, rounding=ROUND_HALF_EVEN)


def borrow_fee(value: Decimal, since: str, until: str, terms: Terms) -> Decimal:
    """Return the fee for a short position of that value (positive) from one session to a later one, in cents.

    >>> borrow_fee(Decimal(73_000), "2024-01-05", "2024-01-08", Terms.of(PaperSettings(borrow_bps=100)))
    Decimal('6.00')
    """
    days = (date.fromisoformat(until) - date.fromisoformat(since)).days
    return (value * terms.borrow_rate * days / _YEAR_DAYS).quantize(CENT, rounding=ROUND_HALF_EVEN)


def shares(wanted: Sequence[Decimal], available: Decimal | None, step: Decimal) -> tuple[Decimal, ...]:
    """Share `available` among orders in proportion to the wanted quantities, in whole steps.

    Left-over steps go to the largest remainders, the earlier order first. available None: enough for all.

    >>> shares([Decimal(100), Decimal(300), Decimal(100)], Decimal(99), Decimal(1))
    (Decimal('20'), Decimal('59'), Decimal('20'))
    """
    # Largest remainder method (Hamilton), in integers of steps: shares add up to the supply exactly.
    units = [int(each // step) for each in wanted]
    whole = sum(units)
    if available is None or available >= sum(wanted, ZERO):
        return tuple(wanted)
    supply = min(int(max(available, ZERO) // step), whole)
    if not supply:
        return (ZERO,) * len(wanted)
    given = [supply * unit // whole for unit in units]
    by_remainder = sorted(range(len(units)), key=lambda at: (-(supply * units[at] % whole), at))
    for at in by_remainder[: supply - sum(given)]:
        given[at] += 1
    return tuple(step * units for units in given)


def why_short(request: OrderRequest, price: Decimal | None, volume: Decimal | None, number: int, terms: Terms) -> str:
    """Return the reason why a close did not fill an order in full. number: of the orders that share the asset's volume.

    >>> terms = Terms.of(PaperSettings(max_volume_pct=0.0001))
    >>> why_short(OrderRequest("o1", "A", Side.BUY, Decimal(99)), Decimal(5), Decimal("420195"), 1, terms)
    'orders get at most max_volume_pct 0.0001 of the volume 420195'
    """
    at = ZERO if price is None else execution_price(price, request.side, terms)
    if at <= ZERO:
        return f"{request.asset} had no price"
    if not reaches(request, at):
        return f"the price {_plain(at)} did not reach the limit {_plain(request.limit or ZERO)}"
    among = f", shared by {number} orders" if number > 1 else ""
    return f"orders get at most max_volume_pct {_plain(terms.max_volume)} of the volume {_plain(volume or ZERO)}{among}"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def match(
    wanted: Mapping[OrderRequest, Decimal], mark: Decimal, volume: Decimal | None, terms: Terms
) -> dict[OrderRequest, MatchedOrder]:
    """Return the fill of each order of one asset in a session. wanted: open quantities, in the order of submission."""
    prices = {request: execution_price(mark, request.side, terms) for request in wanted}
    reached = [request for request in wanted if reaches(request, prices[request])]
    available = None if volume is None else volume * terms.max_volume
    given = shares([wanted[request] for request in reached], available, terms.step)
    return {
        request: MatchedOrder(quantity, prices[request], commission(quantity, prices[request], terms))
        for request, quantity in zip(reached, given, strict=True)
        if quantity > ZERO
    }
