"""The watcher of `sigc watch`: looks at a daemon at intervals and sends alerts over its own channels.

    watcher = Watcher(asked, settings, channels, state_file, environment)
    watcher.look()        one look: the result is saved, then sent

A message is saved before it is sent and until a channel took it, so a restart neither repeats nor forgets it. A
message whose answer was lost is sent again under the same key.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sigc.alerts.channels import open_channel
from sigc.alerts.message import Message, digest
from sigc.alerts.sending import MOST_TRIES, again
from sigc.clock import Clock
from sigc.config.alert_settings import AlertSettings
from sigc.config.secret import reveal
from sigc.daemon.alerting.certificate import file_ends, peer_ends
from sigc.daemon.alerting.courier import OpenChannel, attempt
from sigc.daemon.watch.outside import (
    CERTIFICATE,
    CONDITIONS,
    GONE,
    LATE,
    NOT_READY,
    REFUSED,
    Observation,
    PendingMessage,
    Trouble,
    WatchState,
    certificate_trouble,
    step,
    troubles_of,
)
from sigc.daemon.watch.watch_state import read_state, write_state
from sigc.errors import Diagnostic, SigcError
from sigc.rpc.address import parse_address
from sigc.rpc.client import Client, NoDaemonError, Target
from sigc.rpc.discovery import DaemonOptions, target_of, wish_of
from sigc.rpc.messages.status import StatusReply

_TIMEOUT_S = 10.0
_MOST_SINGLE = 10  # waiting messages of a channel; more become one digest
_IF_GONE = frozenset({REFUSED, NOT_READY, LATE, CERTIFICATE})
log = logging.getLogger("sigc.watch")


@dataclass(frozen=True, slots=True)
class WatchedDaemon:
    """The daemon to watch, the interval, and how long a problem must last before it is reported."""

    asked: DaemonOptions
    every_s: float = 10.0
    patience_s: float = 60.0
    state: Path = Path("watch.json")


class Watcher:
    """Looks, saves, sends. Not thread-safe: one thread calls it."""

    def __init__(
        self, watched: WatchedDaemon, settings: AlertSettings, clock: Clock, environment: Mapping[str, str]
    ) -> None:
        """Read the state and open the channels. Raise SigcError E402 without a channel, or if one can't be opened."""
        self._watched, self._settings, self._clock, self._environment = watched, settings, clock, environment
        self._wish = wish_of(watched.asked, environment)
        if not settings.channels:
            hint = "name one under alerts.channels; sigc config reference has every setting"
            raise SigcError(Diagnostic("E402", "no channel is configured: the watch could alert nobody", hint=hint))
        self._channels = {name: _opened(name, settings, environment) for name in settings.channels}
        self._state = read_state(watched.state)
        write_state(watched.state, self._state)
        self.name = watched.asked.name or watched.asked.address or self._wish.configured_address or "sigc"
        self.last = Observation(clock.now(), {}, frozenset(CONDITIONS))

    def look(self) -> Observation:
        """Look once, save the result, send what is due. Raise SigcError E402 if the state can't be saved."""
        self.last = self._sight()
        patience = timedelta(seconds=self._watched.patience_s)
        state, messages = step(self._state, self.last, patience, self.name)
        for message in messages:
            log.warning("%s: %s", message.subject, message.text.partition("\n")[0])
        new = tuple(PendingMessage(name, message) for message in messages for name in self._route(message))
        self._keep(replace(state, waiting=(*state.waiting, *new)))
        self._send()
        return self.last

    def run(self, end: threading.Event) -> None:
        """Look until `end` is set."""
        while not end.is_set():
            self.look()
            end.wait(self._watched.every_s)

    def _keep(self, state: WatchState) -> None:
        if state != self._state:
            write_state(self._watched.state, state)
            self._state = state

    def _route(self, message: Message) -> Sequence[str]:
        wanted: tuple[str, ...] | None = getattr(self._settings.routes, str(message.severity))
        return tuple(self._channels) if wanted is None else [name for name in wanted if name in self._channels]

    def _send(self) -> None:
        """Send each channel's waiting messages in order; after a failure the rest of that channel waits."""
        for channel in self._channels.values():
            while own := [one for one in self._state.waiting if one.channel == channel.name]:
                now = self._clock.now()
                if own[0].at is not None and own[0].at > now:
                    break
                chosen = own if len(own) > _MOST_SINGLE else own[:1]
                messages = [one.message for one in chosen]
                message = messages[0] if len(chosen) == 1 else digest(messages, f"{messages[0].key}-{len(chosen)}")
                failure = attempt(channel, message)
                tries = own[0].attempts + 1
                if failure is None or (failure.is_malformed and tries >= MOST_TRIES):
                    if failure is not None:
                        log.error("an alert is given up", extra={"channel": channel.name, "why": str(failure)})
                    self._keep(replace(self._state, waiting=_without(self._state.waiting, chosen)))
                    continue
                log.error("can't deliver an alert yet", extra={"channel": channel.name, "why": str(failure)})
                later = replace(own[0], attempts=tries, at=again(now, tries, failure.retry_after_s))
                kept = tuple(later if one is own[0] else one for one in self._state.waiting)
                self._keep(replace(self._state, waiting=kept))
                break
        # Messages for channels that a new configuration no longer has can't ever be sent.
        left = tuple(one for one in self._state.waiting if one.channel in self._channels)
        self._keep(replace(self._state, waiting=left))

    # Looking.

    def _sight(self) -> Observation:
        now = self._clock.now()
        try:
            asked = self._watched.asked
            if asked.name is None and asked.address is None:
                # A watch has a configuration of its own, which names the daemon by its address alone.
                asked = replace(asked, address=self._wish.configured_address)
            target = target_of(asked, self._environment)
            with Client(target, _TIMEOUT_S, who="sigc watch") as client:
                status = client.get("status", reply=StatusReply)
        except NoDaemonError as gone:
            text = f"{gone}\nRuns that are due do not happen. Look at its machine: sigc status, its log"
            return Observation(now, {GONE: Trouble("no daemon answers", text)}, _IF_GONE)
        except SigcError as refused:
            text = f"{refused}\nThe watch sees nothing until it is let in."
            found = {REFUSED: Trouble("the daemon refuses the watch", text)}
            return Observation(now, found, frozenset({NOT_READY, LATE, CERTIFICATE}))
        except OSError as failure:  # the certificate authority's file can't be read
            text = f"{type(failure).__name__}: {failure}"
            return Observation(now, {REFUSED: Trouble("the watch can't look at the daemon", text)}, _IF_GONE | {GONE})
        now = self._clock.now()
        found = troubles_of(status, now)
        unknown: frozenset[str] = frozenset()
        try:
            trouble = self._certificates(target, now)
        except (OSError, ValueError) as failure:
            log.warning("can't check the certificate: %s", failure)
            trouble, unknown = None, frozenset({CERTIFICATE})
        return Observation(now, found | ({CERTIFICATE: trouble} if trouble is not None else {}), unknown)

    def _certificates(self, target: Target, now: datetime) -> Trouble | None:
        """Return the problem with the daemon's certificate or its authority's, the worse of both."""
        if not isinstance(target.tls, ssl.SSLContext):
            return None
        host, port = parse_address(target.address, "--address")
        ends = {"of the daemon": peer_ends(host, port, target.tls, _TIMEOUT_S)}
        ends |= {"of the daemon's authority": file_ends(self._wish.ca)} if self._wish.ca is not None else {}
        known = [(at, whose) for whose, at in ends.items() if at is not None]
        return certificate_trouble(min(known)[1], min(known)[0], now) if known else None


def _without(waiting: tuple[PendingMessage, ...], gone: Sequence[PendingMessage]) -> tuple[PendingMessage, ...]:
    ids = {id(one) for one in gone}
    return tuple(one for one in waiting if id(one) not in ids)


def _opened(name: str, settings: AlertSettings, environment: Mapping[str, str]) -> OpenChannel:
    own = settings.channels[name]
    return OpenChannel(name, own.per_minute, open_channel(name, own, lambda text, key: reveal(text, key, environment)))
