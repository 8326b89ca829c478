"""The declaration of a channel, and the error that a message did not arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sigc.alerts.message import Message
from sigc.config.alert_settings import ChannelBase

S = TypeVar("S", bound=ChannelBase)
Send = Callable[[Message], None]
Secret = Callable[[Any, str], str]  # (a secret setting, its key) -> the secret


class DeliveryError(Exception):
    """The error that a message did not arrive, or that no answer confirms it.

    retry_after_s: the wait the channel asks for. is_malformed: the channel will never take this message.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, is_malformed: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.is_malformed = is_malformed


MAKERS: dict[type[ChannelBase], Callable[[Any, Secret], Send]] = {}


def channel(settings: type[S]) -> Callable[[Callable[[S, Secret], Send]], Callable[[S, Secret], Send]]:
    """Declare the function that opens channels of that class of settings."""

    def declare(make: Callable[[S, Secret], Send]) -> Callable[[S, Secret], Send]:
        MAKERS[settings] = make
        return make

    return declare
