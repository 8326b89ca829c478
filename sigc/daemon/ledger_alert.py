"""The alert that the ledger can't be used: sent past the outbox, because the outbox is in the ledger.

    alert = LedgerAlert(daemon, in_thread)
    await alert.look(trouble, channels)     every second: '' for none, else what is wrong

It is sent once over each channel of `routes.critical` and tried again where a channel does not take it; its end goes to
the channels that took it. It ends after some quiet time: a disk at its limit must not send an alert at each write.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from sigc.alerts.message import Message
from sigc.alerts.urgency import Urgency
from sigc.alerts.words import explained, moment
from sigc.daemon.alerting.courier import OpenChannel, attempt
from sigc.errors import SigcError
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger.meta import WROTE_AGAIN

if TYPE_CHECKING:
    from sigc.daemon.controller import Controller

RULE = "ledger_damaged"
CALM_S = 20.0
_TITLE = "the ledger is damaged, or can't be used"
_AGAIN_S = 30.0  # between two tries of a channel that fails
_PROBE_S = 5.0
InThread = Callable[[Callable[[], object]], Awaitable[object]]
log = logging.getLogger("sigc.alerts")


def look_further(trouble: str) -> str:
    """Return the command that shows more of what is wrong.

    >>> look_further("E310: the ledger /srv/full/ledger.sqlite can't be used: file is not a database")
    'sigc audit verify'
    >>> look_further("E310: the ledger /srv/w/ledger.sqlite can't be used: database or disk is full")
    'df -h'
    """
    return "df -h" if "disk is full" in trouble or "No space left" in trouble else "sigc audit verify"


class LedgerAlert:
    """The alert's state: raised or not, the channels that took it, since when the ledger can't be used."""

    def __init__(self, daemon: Controller, in_thread: InThread) -> None:
        self._daemon, self._in_thread = daemon, in_thread
        self._raised: Message | None = None
        self._took: set[str] = set()
        self._since: datetime | None = None
        self._seen_at = self._tried_at = self._probed_at = float("-inf")

    async def look(self, trouble: str, channels: Mapping[str, OpenChannel]) -> None:
        """Send what is due and probe whether the ledger can be written again. Never raise SigcError."""
        now = time.monotonic()
        if trouble:
            self._seen_at = now
            self._since = self._since or self._daemon.clock.now()
            await self._raise(trouble, channels, now)
            await self._probe(trouble, now)
        elif self._raised is not None and now - self._seen_at >= CALM_S:
            zone = self._daemon.configured.loaded.config.schedule.timezone
            text = f"the ledger can be used again\nIt could not since {moment(self._since, zone)}."
            about, self._raised, self._since = self._raised, None, None
            await self._send(self._message("resolve", text, about.about), channels, set(self._took))

    async def _raise(self, trouble: str, channels: Mapping[str, OpenChannel], now: float) -> None:
        if self._raised is None:
            command = look_further(trouble)
            log.error("the ledger can't be used: %s", trouble)
            text = f"{trouble}\nNothing is traded while the ledger can't be written.\nLook further: {command}"
            self._raised, self._took = self._message("raise", explained(text, RULE)), set()
            self._tried_at = float("-inf")
        wanted = self._daemon.configured.loaded.config.alerts.routes.critical
        left = {name for name in channels if wanted is None or name in wanted} - self._took
        if left and now - self._tried_at >= _AGAIN_S:
            self._tried_at = now
            self._took |= await self._send(self._raised, channels, left)

    async def _probe(self, trouble: str, now: float) -> None:
        """Write an audit record to find out whether the ledger can be written again."""
        if not self._daemon.books.trouble or now - self._probed_at < _PROBE_S:
            return
        self._probed_at = now
        try:
            await self._daemon.books.audit(AuditEvent(WROTE_AGAIN, {"since": self._since, "why": trouble}))
        except SigcError:
            return
        self._daemon.books.trouble = ""

    async def _send(self, message: Message, channels: Mapping[str, OpenChannel], names: set[str]) -> set[str]:
        """Send over several channels at once. Return the names of those that took the message."""
        asked = [channels[name] for name in sorted(names) if name in channels]
        failures = await asyncio.gather(*(self._in_thread(partial(attempt, one, message)) for one in asked))
        return {one.name for one, failure in zip(asked, failures, strict=True) if failure is None}

    def _message(self, kind: str, text: str, about: str = "") -> Message:
        daemon = self._daemon
        now = daemon.clock.now()
        key = f"{daemon.start.name}-{daemon.life}-{RULE}-{kind}-{now.isoformat()}"
        said = daemon.doors.secrets.hide(text)
        return Message(key, about or key, kind, Urgency.CRITICAL, _TITLE, said, now, daemon.start.name, RULE)
