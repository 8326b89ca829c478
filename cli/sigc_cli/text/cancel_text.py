"""The cancel of a run as text: the stage it was in, what became of its orders, and what stays."""

from __future__ import annotations

from sigc.rpc.messages.requests import CancelReply
from sigc.words import counted


def cancel_text(id: str, done: CancelReply) -> str:
    """Return what a cancel did.

    >>> from sigc.rpc.messages.requests import CancelledOrderCounts
    >>> orders = CancelledOrderCounts(sent=3, unsent=2, taken_back=1, filled=1, open=1)
    >>> print(cancel_text("r1", CancelReply(True, 0, "momentum", "trade", "execute", orders=orders)))
    r1 (momentum, trade): cancelled in the stage execute
      not sent, and never will be: 2 orders
      had gone out: 3 orders; 1 cancelled at the broker, 1 filled, 1 that the broker has yet to confirm
      stays: what was filled of 1 order; `sigc orders --run r1`
    """
    kind = f"{done.strategy}, {done.kind}" if done.strategy else done.kind
    name = f"{id} ({kind})" if kind else id
    return "\n".join([f"{name}: {_how(done)}", *_orders(id, done)])


def _how(done: CancelReply) -> str:
    if not done.was_going:
        return f"it had ended ({done.outcome}) when it was cancelled" if done.outcome else "it was not under way"
    return f"cancelled in the stage {done.stage}" if done.stage else "cancelled before its first stage"


def _orders(id: str, done: CancelReply) -> list[str]:
    of = done.orders
    if of is None:
        return ["  it sends no orders"]
    if not (of.sent or of.unsent):
        return ["  no order of it was sent or planned"]
    lines = [f"  not sent, and never will be: {counted(of.unsent, 'order')}"] if of.unsent else []
    if of.sent:
        told = [
            f"{number} {what}"
            for number, what in (
                (of.taken_back, "cancelled at the broker"),
                (of.filled, "filled"),
                (of.open, "that the broker has yet to confirm"),
                (done.left, "NOT CANCELLED: not reached, or without a known outcome"),
            )
            if number
        ]
        lines.append("; ".join(filter(None, [f"  had gone out: {counted(of.sent, 'order')}", ", ".join(told)])))
    if of.filled or of.partly:
        lines.append(f"  stays: what was filled of {counted(of.filled + of.partly, 'order')}; `sigc orders --run {id}`")
    return lines
