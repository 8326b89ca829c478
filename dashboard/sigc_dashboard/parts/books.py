"""Orders, fills and positions as tables."""

from __future__ import annotations

from sigc.rpc.messages.history import FillsReply, OrdersReply, PositionsReply
from sigc.store.history.history import PastFill
from sigc_dashboard.daemon_feed import Ask
from sigc_dashboard.html import Html, join, tag
from sigc_dashboard.parts.links import link, why
from sigc_dashboard.parts.tiles import TableRow, badge, nothing, table
from sigc_dashboard.view_api import Look
from sigc_dashboard.words import NOTHING, change, count, moment

OPEN = Ask("orders/list", OrdersReply, (("state", "open"), ("most", 100)), every_s=2.0)
FILLS = Ask("fills/list", FillsReply, (("most", 12),), every_s=4.0)
_MOST_POSITIONS = 12
_WAITING = "Waiting for the daemon."


def book_of(strategy: str) -> Ask[PositionsReply]:
    """Return the ask for a strategy's largest positions."""
    fields = (("strategy", strategy), ("most", _MOST_POSITIONS))
    return Ask("positions/list", PositionsReply, fields, every_s=8.0)


def open_orders(look: Look) -> Html:
    """Draw the orders that may still be filled: sent, or about to be."""
    found = look.get(OPEN)
    if found is None:
        return nothing(look.refusal(OPEN) or _WAITING)
    if not found.orders:
        return nothing("Nothing is on its way to the broker.")
    more = tag("p", "There are more: `sigc orders` lists all.", class_="nothing") if found.before else ""
    return join([_orders(look, "Open orders", found), more])


def latest_fills(look: Look) -> Html:
    """Return the newest executions."""
    found = look.get(FILLS)
    if found is None:
        return nothing(look.refusal(FILLS) or _WAITING)
    if not found.fills:
        return nothing("Nothing has been filled yet.")
    zone = look.status.zone if look.status is not None else ""
    heads = ("Asset", "Side", "Quantity", "Price", "Slippage", "Commission", "Strategy", "When")
    return table("Latest fills", heads, [_fill(look, one, zone) for one in found.fills], range(2, 6))


def _fill(look: Look, one: PastFill, zone: str) -> TableRow:
    strategy = link(look.where, "strategy", one.strategy, one.strategy) if one.strategy else NOTHING
    money = (f"{one.price:,.2f}", f"{one.slippage_bps:+.1f} bps", f"{one.commission:,.2f}")
    cells = (one.asset, one.side, f"{one.quantity:,g}", *money, strategy, moment(one.at, zone))
    return TableRow(one.execution_id, cells)


def _orders(look: Look, name: str, found: OrdersReply) -> Html:
    zone = look.status.zone if look.status is not None else ""
    heads = ("Asset", "Side", "Quantity", "Filled", "Price", "State", "Strategy", "Session", "Sent", "Why")
    rows = [
        TableRow(
            one.client_order_id,
            (
                one.asset,
                one.side,
                f"{one.quantity:,g}",
                f"{one.filled:,g}",
                f"{one.price:,.2f}",
                badge(one.state.replace("_", " "), title=one.message),
                link(look.where, "strategy", one.strategy, one.strategy),
                one.session,
                moment(one.sent, zone),
                why(look.where, one.strategy, one.run, one.asset),
            ),
        )
        for one in found.orders
    ]
    return table(name, heads, rows, (2, 3, 4))


def positions(look: Look) -> Html:
    """Return the largest positions of each book, wanted beside held."""
    status = look.status
    if status is None:
        return nothing(_WAITING)
    books = [(one.name, look.get(book_of(one.name))) for one in status.strategies]
    rows = [
        _position(look, name, book, n) for name, book in books if book is not None for n in range(len(book.positions))
    ]
    if not rows:
        return nothing("No position is held.")
    left = sum(book.total - len(book.positions) for _, book in books if book is not None)
    more = tag("p", f"{count(left, 'smaller position')} not shown.", class_="nothing") if left > 0 else ""
    heads = ("Asset", "Strategy", "Quantity", "Price", "Value", "Weight", "Target", "Drift", "Unrealised")
    return join([table("Positions", heads, rows, range(2, 9)), more])


def _position(look: Look, strategy: str, book: PositionsReply, number: int) -> TableRow:
    one = book.positions[number]
    cells = (
        one.asset,
        link(look.where, "strategy", strategy, strategy),
        f"{one.quantity:,g}",
        _number(one.price, ",.2f") + (f" of {one.priced}" if one.is_older_than(book.as_of) else ""),
        _number(one.value, ",.0f"),
        _number(one.weight, "z.1%"),
        f"{one.target:z.1%}",
        _number(one.drift, "+z.1%"),
        change(one.unrealised, ",.0f"),
    )
    return TableRow(f"{strategy} {one.asset}", cells)


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)
