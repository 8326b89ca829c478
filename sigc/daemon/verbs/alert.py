"""The verbs of alerts: list, status, acknowledge, resolve, test a channel."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

from sigc.config.alert_settings import ChannelBase
from sigc.daemon.controller import Controller
from sigc.daemon.ordering import refusal
from sigc.daemon.verbs.control import who_of
from sigc.errors import did_you_mean
from sigc.rpc.messages.alerts import (
    AlertLine,
    AlertReply,
    AlertRequest,
    AlertsReply,
    AlertsRequest,
    AlertStatusReply,
    AlertTestReply,
    AlertTestRequest,
    ChannelLine,
)
from sigc.rpc.verb import Nothing, Role, VerbCall, verb
from sigc.store.ledger.ledger import Transaction
from sigc.store.outbox import alert_query as looking
from sigc.store.outbox import deliveries
from sigc.store.outbox.alert_query import Alert


@verb("alerts/list", "GET", Role.READ)
async def alerts_list(call: VerbCall[Controller], request: AlertsRequest) -> AlertsReply:
    """List alerts, the newest first: those that are not resolved, or all."""
    return await call.daemon.books.read(lambda c: listed(c, request))


@verb("alerts/status", "GET", Role.READ)
async def alerts_status(call: VerbCall[Controller], request: Nothing) -> AlertStatusReply:  # noqa: ARG001
    """Count the open alerts, and what each channel has yet to take."""
    channels = call.daemon.configured.loaded.config.alerts.channels
    return await call.daemon.books.read(lambda c: status_of(c, channels))


@verb("alerts/ack", "POST", Role.OPERATE)
async def alerts_ack(call: VerbCall[Controller], request: AlertRequest) -> AlertReply:
    """Acknowledge an alert: somebody looks at it."""
    return await _change(call, request, looking.acknowledge)


@verb("alerts/resolve", "POST", Role.OPERATE)
async def alerts_resolve(call: VerbCall[Controller], request: AlertRequest) -> AlertReply:
    """Resolve an alert: it is over, and the channels are told."""
    return await _change(call, request, looking.resolve)


@verb("alerts/test", "POST", Role.OPERATE, timeout_s=300.0)
async def alerts_test(call: VerbCall[Controller], request: AlertTestRequest) -> AlertTestReply:
    """Send a test message over one channel, or over all."""
    alerting, known = call.daemon.alerting, call.daemon.configured.loaded.config.alerts.channels
    if not known or alerting is None:
        raise refusal("no channel is configured", "add one under alerts.channels, then `sigc reload`")
    if request.channel is not None and request.channel not in known:
        raise refusal(f"there is no channel '{request.channel}'", did_you_mean(request.channel, known))
    return AlertTestReply(await alerting.test(request.channel or ""))


async def _change(
    call: VerbCall[Controller], request: AlertRequest, change: Callable[[Transaction, int, str, str], bool]
) -> AlertReply:
    def write(tx: Transaction) -> AlertReply:
        is_changed = change(tx, request.id, who_of(call), request.reason)
        return AlertReply(is_changed, line(looking.find(tx.connection, request.id)))

    return await call.daemon.books.write(write)


def listed(connection: sqlite3.Connection, request: AlertsRequest) -> AlertsReply:
    """Return the alerts of a ledger, with or without a daemon."""
    found = looking.listed(connection, request.most, with_resolved=request.with_resolved)
    return AlertsReply(tuple(line(alert) for alert in found))


def status_of(connection: sqlite3.Connection, channels: Mapping[str, ChannelBase]) -> AlertStatusReply:
    """Return the open alerts and channel loads of a ledger, with or without a daemon."""
    lines = []
    for name, settings in channels.items():
        load = deliveries.load_of(connection, name)
        kind = str(getattr(settings, "type", ""))
        lines.append(ChannelLine(name, kind, load.undelivered, load.oldest, load.error))
    counts = {str(urgency): number for urgency, number in looking.count_open(connection).items()}
    return AlertStatusReply(counts, tuple(lines))


def line(alert: Alert) -> AlertLine:
    """Return an alert as it goes over the wire."""
    return AlertLine(
        id=alert.id,
        at=alert.at,
        severity=str(alert.severity),
        rule=alert.rule,
        state=alert.state,
        strategy=alert.strategy,
        run=alert.run,
        title=alert.title,
        text=alert.text,
        repeats=alert.repeats,
        latest=alert.latest,
        who=alert.who,
        reason=alert.reason,
        changed=alert.changed,
    )
