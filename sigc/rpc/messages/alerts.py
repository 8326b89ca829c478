"""What goes over the wire about alerts: requests and replies of `verbs/alert.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from sigc.rpc.messages.requests import Count, Text
from sigc.rpc.schema import Bounds, Name

AlertId = Annotated[int, Bounds(1, 1 << 53)]


@dataclass(frozen=True, slots=True)
class AlertsRequest:
    """The newest so many; with_resolved: those that are over, too."""

    most: Count = 50
    with_resolved: bool = False


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert. repeats: how often it happened again, last at `latest`; who: acknowledged or resolved it, `changed`."""

    id: int
    at: datetime
    severity: str
    rule: str
    state: str
    strategy: str
    run: str
    title: str
    text: str
    repeats: int
    latest: datetime
    who: str
    reason: str
    changed: datetime | None


@dataclass(frozen=True, slots=True)
class AlertsReply:
    """Alerts, the newest first."""

    alerts: tuple[AlertLine, ...]


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """A channel: how many alerts it has yet to take, since when, and why its last try failed ('' for none)."""

    name: str
    type: str
    undelivered: int
    oldest: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class AlertStatusReply:
    """How many alerts are not resolved, by severity; the channels."""

    open: Mapping[str, int]
    channels: tuple[ChannelLine, ...]


@dataclass(frozen=True, slots=True)
class AlertRequest:
    """An alert by its number, and why it is acknowledged or resolved."""

    id: AlertId
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class AlertReply:
    """Whether anything changed; how the alert is now."""

    is_changed: bool
    alert: AlertLine


@dataclass(frozen=True, slots=True)
class AlertTestRequest:
    """Which channel is tested; none for all."""

    channel: Name | None = None


@dataclass(frozen=True, slots=True)
class AlertTestReply:
    """By channel: `ok`, or what is wrong."""

    found: Mapping[str, str]
