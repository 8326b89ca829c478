"""The messages about alerts: requests and replies of `verbs/alert.py`."""

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
    """The newest alerts, at most `most`. with_resolved: those that are over too."""

    most: Count = 50
    with_resolved: bool = False


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert. repeats: further occurrences, the last at `latest`; who: acknowledged or resolved it, at `changed`."""

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
    """Alerts, newest first."""

    alerts: tuple[AlertLine, ...]


@dataclass(frozen=True, slots=True)
class ChannelLine:
    """A channel: the number of undelivered alerts, the time of the oldest, the error of its last try ('' for none)."""

    name: str
    type: str
    undelivered: int
    oldest: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class AlertStatusReply:
    """The number of unresolved alerts by severity, and the channels."""

    open: Mapping[str, int]
    channels: tuple[ChannelLine, ...]


@dataclass(frozen=True, slots=True)
class AlertRequest:
    """An alert by its number, and the reason for acknowledging or resolving it."""

    id: AlertId
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class AlertReply:
    """The alert as it is now. is_changed: the call changed it."""

    is_changed: bool
    alert: AlertLine


@dataclass(frozen=True, slots=True)
class AlertTestRequest:
    """The channel to test; None for all."""

    channel: Name | None = None


@dataclass(frozen=True, slots=True)
class AlertTestReply:
    """The result by channel: `ok` or what is wrong."""

    found: Mapping[str, str]
