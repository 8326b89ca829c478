"""What a channel is, and how it says that a message did not arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sigc.alerts.message import Message
from sigc.config.alert_settings import ChannelBase

S = TypeVar("S", bound=ChannelBase)
Send = Callable[[Message], None]
Secret = Callable[[Any, str], str]  # a secret setting and its key to the text


class DeliveryError(Exception):
    """A message did not arrive, or no answer says that it did.

    retry_after_s: how long the channel asks to wait. is_malformed: the channel will not take this message.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, is_malformed: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.is_malformed = is_malformed


MAKERS: dict[type[ChannelBase], Callable[[Any, Secret], Send]] = {}


def channel(settings: type[S]) -> Callable[[Callable[[S, Secret], Send]], Callable[[S, Secret], Send]]:
    """Declare what sends over channels of that class of settings."""

    def declare(make: Callable[[S, Secret], Send]) -> Callable[[S, Secret], Send]:
        MAKERS[settings] = make
        return make

    return declare
