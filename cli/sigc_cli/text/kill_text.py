"""The effect of the kill switch as text: what was cancelled, what was filled meanwhile, what closes, what is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sigc.words import local_time

if TYPE_CHECKING:
    from sigc.rpc.messages.kill import KilledOrder, KillReply


def kill_text(reply: KillReply, zone: str) -> str:
    """Return the effect in sentences, with a line for each order and position.

    >>> from sigc.rpc.messages.kill import KillReply
    >>> kill_text(KillReply(), "UTC")
    'no order was open'
    """
    lines: list[str] = []
    if reply.cancelled:
        lines += [f"{_orders(reply.cancelled)} cancelled:", *map(_line, reply.cancelled)]
    if reply.filled:
        lines += [f"{_orders(reply.filled)} filled before the cancel came:", *map(_line, reply.filled)]
    if reply.left:
        lines += [f"{_orders(reply.left)} LEFT, the broker has not said what became of it:", *map(_line, reply.left)]
    if not lines:
        lines.append("no order was open")
    if reply.session is not None:
        lines += _closing(reply, zone)
    return "\n".join(lines)


def _closing(reply: KillReply, zone: str) -> list[str]:
    session = reply.session
    if not reply.closing and not reply.kept:
        return ["no position was open"]
    lines = []
    if reply.closing:
        lines += [f"positions are closed by {_orders(reply.closing)}:", *map(_line, reply.closing)]
    if reply.closing and session is not None:
        when = "is open" if session.is_open else f"opens at {local_time(session.opens, zone)}"
        lines.append(f"for the session {session.session}, which {when}; `sigc positions` shows what is left then")
    if reply.kept:
        lines.append("NOT closed:")
        lines += [f"  {one.strategy}/{one.portfolio}  {one.asset}  {one.quantity}: {one.why}" for one in reply.kept]
    return lines


def _orders(found: Sequence[KilledOrder]) -> str:
    return "1 order" if len(found) == 1 else f"{len(found)} orders"


def _line(one: KilledOrder) -> str:
    filled = f", {one.filled} filled" if one.filled != "0" else ""
    now = f" ({one.new_fill} of it meanwhile)" if one.new_fill != "0" and one.new_fill != one.filled else ""
    said = f": {one.message}" if one.message and one.state not in ("filled", "acknowledged") else ""
    return f"  {one.strategy}  {one.side} {one.quantity} {one.asset}  {one.state}{filled}{now}{said}"
