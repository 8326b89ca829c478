"""Delivery of one message from the outbox to a channel: marked before the request, marked after it.

In order: while the oldest delivery of a channel is not taken, none after it is sent. At least once: a delivery that was
marked and whose answer is unknown (the process died, the answer was lost) is sent again, under the same key.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sigc.alerts.channels.declare import DeliveryError, Send
from sigc.alerts.message import Message, digest
from sigc.alerts.sending import MINUTE, MOST_TRIES, again, batch, room
from sigc.store.ledger.ledger import Ledger
from sigc.store.outbox import deliveries
from sigc.store.outbox.deliveries import RESOLVED, Delivery
from sigc.words import zone_of

_MOST = 10_000  # deliveries in one digest
_TRANSACTION = "control"
log = logging.getLogger("sigc.alerts")


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """An open channel: its name, the messages it takes a minute, and the function that sends."""

    name: str
    per_minute: int
    send: Send


def message_of(one: Delivery, ledger: str, daemon: str, zone: str = "UTC") -> Message:
    """Return a delivery as the message to send. ledger: its id, which keeps the keys of two daemons apart. zone: of
    the time that it shows.
    """
    alert, is_over = one.alert, one.kind == RESOLVED
    text = f"{alert.reason or 'it is over'}\n{alert.title}" if is_over else alert.text
    return Message(
        key=f"{ledger}-{one.id}",
        about=f"{ledger}-alert-{alert.id}",
        kind=one.kind,
        severity=alert.severity,
        title=alert.title,
        text=text,
        at=(alert.changed if is_over and alert.changed is not None else alert.at).astimezone(zone_of(zone)),
        daemon=daemon,
        rule=alert.rule,
        strategy=alert.strategy,
        run=alert.run,
    )


def deliver(ledger: Ledger, channel: OpenChannel, daemon: str, *, only_critical: bool = False) -> int:
    """Send the next message of a channel if one is due and the rate allows it. Return the number of alerts in it.

    Raise SigcError E310 when the ledger fails: then the message may be sent again.
    """
    now = ledger.clock.now()
    with ledger.reading() as connection:
        waiting = deliveries.due(connection, channel.name, 1, only_critical=only_critical)
        if not waiting or (waiting[0].next_attempt is not None and waiting[0].next_attempt > now):
            return 0
        places = room(deliveries.times_sent(connection, channel.name, now - MINUTE), now, channel.per_minute)
        if places == 1:
            waiting = deliveries.due(connection, channel.name, _MOST, only_critical=only_critical)
    chosen = waiting[: batch(len(waiting), places)]
    return _send(ledger, channel, chosen, daemon) if chosen else 0


def _send(ledger: Ledger, channel: OpenChannel, chosen: Sequence[Delivery], daemon: str) -> int:
    ids = [one.id for one in chosen]
    messages = [message_of(one, ledger.id, daemon, ledger.zone) for one in chosen]
    message = messages[0] if len(messages) == 1 else digest(messages, f"{ledger.id}-{ids[0]}-{ids[-1]}")
    # Marked and committed before the request, so that a crash in between leaves a trace and the receiver, which knows
    # the key, can drop the second copy.
    with ledger.transaction(_TRANSACTION) as tx:
        deliveries.sending(tx, ids)
    failure = attempt(channel, message)
    with ledger.transaction(_TRANSACTION) as tx:
        if failure is None:
            deliveries.sent(tx, ids)
        else:
            tries = chosen[0].attempts + 1
            is_hopeless = failure.is_malformed and tries >= MOST_TRIES
            at = None if is_hopeless else again(tx.at, tries, failure.retry_after_s)
            deliveries.failed(tx, ids, str(failure), at)
            said = {"channel": channel.name, "why": ledger.hide(str(failure)), "tries": tries, "alerts": len(ids)}
            log.error("an alert is given up" if is_hopeless else "can't deliver an alert yet", extra=said)
    return len(ids) if failure is None else 0


def attempt(channel: OpenChannel, message: Message) -> DeliveryError | None:
    """Send a message. Return None if it arrived, else why not."""
    try:
        channel.send(message)
    except DeliveryError as failure:
        return failure
    except Exception as mistake:
        log.exception("internal error in a channel", extra={"channel": channel.name})
        return DeliveryError(f"internal error: {type(mistake).__name__}")
    return None
