"""The channels, by the class of their settings: one decorated function each, collected from the modules of this folder.

send = open_channel("ops", settings, reveal)
send(message)              raises DeliveryError
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from sigc.alerts.channels.declare import MAKERS, Send
from sigc.config.alert_settings import ChannelBase

Reveal = Callable[[str, str], str]  # (text of a secret setting, its key) -> the secret


def makers() -> Mapping[type[ChannelBase], Callable[[Any, Callable[[Any, str], str]], Send]]:
    """Return every channel declared in this folder, by the class of its settings."""
    # Found, not listed: a new module of this folder declares its channel by itself.
    for found in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(found.name)
    return MAKERS


def open_channel(name: str, settings: ChannelBase, reveal: Reveal) -> Send:
    """Return the function that sends over a channel. Raise E402 for a secret that can't be read."""

    def secret(value: Any, key: str) -> str:
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value or "")
        return reveal(text, f"alerts.channels.{name}.{key}")

    return makers()[type(settings)](settings, secret)
