"""The alerting task of a running daemon: delivers the outbox over the channels and watches conditions.

    route       make deliveries of new alerts, by the routes of the configuration in force
    deliver     send over each channel in a thread of its own: one that hangs delays no other
    conditions  evaluate `alerts.rules` over metrics
    waits       report fires that wait for fresh data, and books without a strategy
    summary     send the day in one message, at its time
    heartbeat   send a sign of life to a service elsewhere while the daemon is ready

A broken ledger is reported over the channels directly (`ledger_alert.py`), because the outbox is in the ledger.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

from sigc import metrics as m
from sigc.alerts.channels import open_channel
from sigc.alerts.channels.declare import DeliveryError
from sigc.alerts.channels.posting import post
from sigc.alerts.condition import NUMBERS, parse
from sigc.alerts.message import Message
from sigc.alerts.rules import ABOUT_HEALTH
from sigc.alerts.sending import QuietHours
from sigc.alerts.urgency import Urgency
from sigc.config.alert_settings import AlertSettings, PagerDutySettings
from sigc.config.secret import reveal
from sigc.daemon.alerting.courier import OpenChannel, attempt, deliver
from sigc.daemon.alerting.summary import Summary
from sigc.daemon.health import OK
from sigc.daemon.ledger_alert import LedgerAlert
from sigc.daemon.ledger_threads import trouble_of
from sigc.daemon.lifecycle.phase import Phase
from sigc.errors import SigcError
from sigc.schedule.job import TRADING, Condition
from sigc.schedule.state import Waiting
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger import books, orders
from sigc.store.outbox import alert_query as looking
from sigc.store.outbox import deliveries
from sigc.store.outbox.alert_query import Alert
from sigc.words import counted, local_time

if TYPE_CHECKING:
    import sqlite3

    from sigc.daemon.controller import Controller, InForce

_LOOK_EVERY_S = 1.0
_WATCH_EVERY_S = 5.0
_GOOD_BYE_S = 2.0
_MOST = 1000
_AT_A_TIME = 16  # threads: channels that hang must leave some for the others
_BEAT_TIMEOUT_S = 10.0
T = TypeVar("T")
log = logging.getLogger("sigc.alerts")


class Alerting:
    """The alerting of one daemon."""

    def __init__(self, daemon: Controller) -> None:
        self._daemon = daemon
        self.channels: dict[str, OpenChannel] = {}
        self.trouble: Mapping[str, str] = {}  # by channel: why it takes no alerts
        self._broken: Mapping[str, str] = {}  # by channel: why it can't be opened
        self._opened_for: InForce | None = None
        self._going: dict[str, asyncio.Task[None]] = {}
        self._summary = Summary(daemon)
        self._waited: set[tuple[str, datetime]] = set()
        self._watched_at = -_WATCH_EVERY_S
        self._threads = ThreadPoolExecutor(_AT_A_TIME, "sigc-alert")
        self._ledger = LedgerAlert(daemon, self._in_thread)
        self._beat: asyncio.Task[None] | None = None
        self._beat_at = float("-inf")
        for urgency in Urgency:
            daemon.metrics.put(m.ALERTS_OPEN, 0, severity=str(urgency))

    @property
    def settings(self) -> AlertSettings:
        """Return the settings in force."""
        return self._daemon.configured.loaded.config.alerts

    async def turn(self) -> None:
        """Look for ever, once a second."""
        while True:
            trouble = ""
            try:
                if self._daemon.phase is Phase.RUNNING:
                    await self.look()
            except SigcError as error:
                log.error("can't read or route alerts: %s", error)
                trouble = trouble_of(error)
            await self._ledger.look(trouble or self._daemon.books.trouble, self.channels)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> None:
        """Route new alerts, begin the deliveries that are due, and watch. Raise SigcError E310."""
        daemon = self._daemon
        # A reload puts a new object in force: then the channels are opened again, with its secrets.
        if self._opened_for is not daemon.in_force:
            self._open()
        self._beat_when_due()
        if time.monotonic() - self._watched_at >= _WATCH_EVERY_S:
            self._watched_at = time.monotonic()
            await self._watch()
        if await daemon.books.read(deliveries.has_unrouted):
            await daemon.books.write(lambda tx: deliveries.route(tx, self.channels_of))
        await self._count()
        for name, channel in self.channels.items():
            # One task a channel, so that its deliveries are sent in order.
            if name not in self._going and daemon.metrics.value(m.ALERTS_UNDELIVERED, channel=name):
                self._going[name] = asyncio.get_running_loop().create_task(self._deliver(channel))

    async def end(self) -> bool:
        """Begin no more. Return True if nothing is under way; a delivery cut off keeps its mark and is sent again."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._going:
            await asyncio.wait(list(self._going.values()), timeout=_GOOD_BYE_S)
        return not self._going

    def check(self) -> str:
        """Return `ok`, or the channels that have taken no alert for too long, with the reason."""
        return "; ".join(f"{name}: {why}" for name, why in sorted(self.trouble.items())) or OK

    def channels_of(self, alert: Alert) -> tuple[str, ...]:
        """Return the names of the channels that an alert goes to."""
        settings = self.settings
        if alert.rule in settings.disabled:
            return ()
        wanted: tuple[str, ...] | None = getattr(settings.routes, str(alert.severity))
        if wanted is None and alert.is_notice:  # a notice must not page the person on duty, unless a route says so
            return tuple(n for n in self.channels if not isinstance(settings.channels.get(n), PagerDutySettings))
        return tuple(self.channels) if wanted is None else tuple(name for name in wanted if name in self.channels)

    async def test(self, name: str = "") -> dict[str, str]:
        """Send a test message over one channel or all at once. Return `ok` or what is wrong, by channel."""
        if self._opened_for is not self._daemon.in_force:
            self._open()
        message = self._message("test", Urgency.INFO, "test of this channel", "Sent by `sigc alerts test`.")
        found: dict[str, str] = {}
        for channel in self.channels.values():
            if name in ("", channel.name):
                failure = await self._in_thread(partial(attempt, channel, message))
                found[channel.name] = OK if failure is None else self._daemon.doors.secrets.hide(str(failure))
        return found

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # Channels.

    def _open(self) -> None:
        """Open the channels of the configuration in force. One whose secret can't be read is reported, not fatal."""
        daemon, used = self._daemon, self._daemon.in_force
        opened: dict[str, OpenChannel] = {}
        broken: dict[str, str] = {}

        def secret(text: str, key: str) -> str:
            found = reveal(text, key, os.environ)
            daemon.doors.secrets.add(found)
            return found

        for name, settings in self.settings.channels.items():
            try:
                opened[name] = OpenChannel(name, settings.per_minute, open_channel(name, settings, secret))
            except SigcError as error:
                broken[name] = str(error)
                log.error("can't open the channel: %s", error, extra={"channel": name})
        for gone in set(self.channels) - set(opened):
            daemon.metrics.leave("channel", gone)
        for name in opened:
            daemon.metrics.add(m.ALERTS_SENT, 0, channel=name)
        self.channels, self._broken, self._opened_for = opened, broken, used

    async def _deliver(self, channel: OpenChannel) -> None:
        daemon = self._daemon
        try:
            while daemon.phase is Phase.RUNNING:
                only_critical = self._is_quiet(daemon.clock.now())
                work = partial(deliver, daemon.books.ledger, channel, daemon.start.name, only_critical=only_critical)
                if not await self._in_thread(work):
                    return
                daemon.metrics.add(m.ALERTS_SENT, channel=channel.name)
        except SigcError as error:
            log.error("can't deliver alerts: %s", error, extra={"channel": channel.name})
        finally:
            del self._going[channel.name]

    def _is_quiet(self, now: datetime) -> bool:
        quiet = self.settings.quiet
        if not quiet.begin or not quiet.end:
            return False
        zone = ZoneInfo(self._daemon.configured.loaded.config.schedule.timezone)
        hours = QuietHours(time_of_day.fromisoformat(quiet.begin), time_of_day.fromisoformat(quiet.end))
        return hours.holds(now.astimezone(zone))

    async def _count(self) -> None:
        daemon, names = self._daemon, tuple(self.channels)

        def count(connection: sqlite3.Connection) -> tuple[dict[Urgency, int], list[deliveries.ChannelLoad]]:
            return looking.count_open(connection), [deliveries.load_of(connection, name) for name in names]

        open_, loads = await daemon.books.read(count)
        longest = timedelta(minutes=self.settings.undelivered_minutes)
        trouble = dict(self._broken)
        for urgency, number in open_.items():
            daemon.metrics.put(m.ALERTS_OPEN, number, severity=str(urgency))
        for load in loads:
            daemon.metrics.put(m.ALERTS_UNDELIVERED, load.undelivered, channel=load.channel)
            # Without an error the channel is only held back by its rate or by quiet hours.
            if load.error and load.oldest is not None and daemon.clock.now() - load.oldest > longest:
                since = local_time(load.oldest, daemon.configured.loaded.config.schedule.timezone)
                waiting = f"{counted(load.undelivered, 'alert')} wait{'s' if load.undelivered == 1 else ''}"
                trouble[load.channel] = f"{waiting} since {since}: {load.error}"
        self.trouble = trouble

    def _beat_when_due(self) -> None:
        settings, now = self.settings.heartbeat, time.monotonic()
        is_going = self._beat is not None and not self._beat.done()
        is_due = settings.url is not None and now - self._beat_at >= settings.every_seconds
        if is_due and not is_going and self._daemon.is_ready:
            self._beat_at = now
            self._beat = asyncio.get_running_loop().create_task(self._send_beat())

    async def _send_beat(self) -> None:
        secrets, given = self._daemon.doors.secrets, self.settings.heartbeat.url
        if given is None:
            return
        try:
            url = reveal(given.get_secret_value(), "alerts.heartbeat.url", os.environ)
            secrets.add(url)
            await self._in_thread(partial(post, url, b"", {}, _BEAT_TIMEOUT_S))
        except (DeliveryError, SigcError) as failure:
            log.warning("can't send the heartbeat: %s", failure)

    # Watches: alerts that no other part of the daemon raises.

    async def _watch(self) -> None:
        for watch in (self._watch_waits, self._tell_summary, self._watch_ledger):
            try:
                await watch()
            except SigcError:
                raise
            except Exception:  # one that fails must stop neither the others nor deliveries
                log.exception("internal error in a watch of the alerts")

    async def _tell_summary(self) -> None:
        await self._summary.tell_when_due(self.settings.summary)

    async def _watch_ledger(self) -> None:
        """Audit books without a strategy, and health, cluster and conditions that turned bad or well again."""
        daemon = self._daemon
        names = {strategy.name for strategy in daemon.configured.strategies}

        def look(connection: sqlite3.Connection) -> tuple[dict[str, int], dict[str, int], tuple[Alert, ...]]:
            flying: dict[str, int] = {}
            for intent in orders.in_flight(connection):
                flying[intent.key.strategy] = flying.get(intent.key.strategy, 0) + 1
            held: dict[str, int] = {}
            for book in books.books(connection):
                if book.key.strategy not in names:
                    number = len(books.quantities(connection, book.key))
                    held[book.key.strategy] = held.get(book.key.strategy, 0) + number
            return flying, held, looking.listed(connection, _MOST)

        flying, held, open_ = await daemon.books.read(look)
        unowned = {name: number for name, number in held.items() if number or flying.get(name)}
        before = {alert.key for alert in open_ if alert.rule == "book_without_owner"}
        for name in sorted(unowned.keys() - before):
            await daemon.books.audit(AuditEvent("book.unowned", {"positions": unowned[name]}, strategy=name))
        for name in sorted(before - unowned.keys()):
            await daemon.books.audit(AuditEvent("book.owned", {}, strategy=name))
        rules = {alert.rule for alert in open_}
        checks = daemon.health.checks
        named = {alert.key for alert in open_ if alert.rule in ABOUT_HEALTH}
        # Not before the first checks are in (`checks` is empty then); a check that no longer exists counts as well.
        well = {name: OK for name in sorted(named) if checks and checks.get(name, OK) == OK}
        if well:
            await daemon.books.audit(AuditEvent("health.healthy", {"checks": well}))
        if "cluster_lost" in rules and daemon.is_ready:  # the alert is of an earlier daemon, which ended meanwhile
            await daemon.books.audit(AuditEvent("cluster.found", {}))
        await self._watch_conditions(flying, {alert.key for alert in open_ if alert.rule == "condition"})

    async def _watch_waits(self) -> None:
        """Audit fires that wait too long for fresh data, once each."""
        daemon = self._daemon
        now, longest = daemon.clock.now(), timedelta(minutes=self.settings.late_data_minutes)
        for name, state in daemon.job_states().items():
            if not isinstance(state.phase, Waiting) or Condition.DATA_FRESH not in state.job.conditions:
                continue
            one = state.phase.pending.fire
            if now - one.at > longest and (name, one.planned) not in self._waited:
                self._waited.add((name, one.planned))
                said = {"job": name, "planned": one.planned, "minutes": round((now - one.at).total_seconds() / 60, 1)}
                said |= {"zone": state.job.zone, "trades": state.job.kind in TRADING}
                said |= {"session": daemon.session_at(one.planned)}
                said |= {"awaits": await asyncio.to_thread(_awaited, daemon, state.job.strategy)}
                await daemon.books.audit(AuditEvent("job.waits", said, strategy=state.job.strategy))

    async def _watch_conditions(self, flying: Mapping[str, int], open_: set[str]) -> None:
        for rule in self.settings.rules:
            expression = parse(rule.when)
            scopes = [s.name for s in self._daemon.configured.strategies] if expression.is_per_strategy else [""]
            for strategy in scopes:
                values = self._values(strategy, flying)
                is_met, key = expression.holds(values), f"{rule.name} {strategy}".strip()
                if is_met is None or is_met == (key in open_):
                    continue
                shown = ", ".join(f"{name} = {values[name]:.6g}" for name in expression.names if name in values)
                said = {"name": rule.name, "when": rule.when, "severity": rule.severity, "values": shown}
                event = "condition.met" if is_met else "condition.over"
                await self._daemon.books.audit(AuditEvent(event, said, strategy=strategy))

    def _values(self, strategy: str, flying: Mapping[str, int]) -> dict[str, float]:
        """Return the known values of a condition, by name."""
        metrics = self._daemon.metrics
        own = {
            "daily_pnl_pct": m.DAILY_RETURN,
            "drawdown_pct": m.DRAWDOWN,
            "nav": m.NAV,
            "gross_pct": m.GROSS,
            "net_pct": m.NET,
            "turnover_pct": m.TURNOVER,
            "positions": m.POSITIONS,
        }
        found = {name: metrics.value(metric, strategy=strategy) for name, metric in own.items()} if strategy else {}
        found |= {"open_orders": float(flying.get(strategy, 0))} if strategy else {}
        memory, open_ = metrics.value(m.MEMORY), [metrics.value(m.ALERTS_OPEN, severity=str(u)) for u in Urgency]
        found |= {
            "memory_mb": None if memory is None else memory / (1 << 20),
            "cpu_pct": metrics.value(m.CPU),
            "loop_lag_ms": 1000 * self._daemon.lag_s,
            "runs_active": float(len(self._daemon.under_way())),
            "open_alerts": sum(number or 0.0 for number in open_),
            "uptime_hours": (time.monotonic() - self._daemon.began) / 3600,
        }
        return {name: float(value) for name, value in found.items() if value is not None and name in NUMBERS}

    def _message(self, kind: str, urgency: Urgency, title: str, text: str) -> Message:
        daemon = self._daemon
        now, hide = daemon.clock.now(), daemon.doors.secrets.hide
        key = f"{daemon.start.name}-{daemon.life}-{kind}-{now.isoformat()}"
        return Message(key, key, kind, urgency, title, hide(text), now, daemon.start.name)


def _awaited(daemon: Controller, strategy: str) -> str:
    """Return which row of the data is awaited, or why the data can't be read."""
    try:
        return daemon.in_force.runner.awaited(strategy)
    except SigcError as error:
        return error.diagnostics[0].message
