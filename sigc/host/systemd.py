"""Notifications to systemd, in its datagram protocol, without its library.

    notifier = Notifier.of(os.environ)
    notifier.ready("2 strategies")       # Type=notify: the unit counts as started
    notifier.watchdog()                  # at least every `watchdog_interval_s`

Without systemd every call does nothing. A message that can't be sent is dropped: it must not stop the daemon.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

_PATIENCE_S = 0.02  # longest time a notification may block the event loop
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends to the socket at `address`: a path, or an abstract name behind `@`. '': to nobody."""

    address: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Notifier:
        """Return the notifier of the service manager that started us, if one did."""
        return cls(environment.get("NOTIFY_SOCKET", ""))

    def ready(self, status: str = "") -> bool:
        """Notify that the daemon serves: after the start, and after a reload."""
        return self._send("READY=1", f"MAINPID={os.getpid()}", *_status(status))

    def reloading(self) -> bool:
        """Notify that the configuration is being read again; `ready` must follow."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> bool:
        """Notify that the shutdown has begun."""
        return self._send("STOPPING=1", *_status(status))

    def watchdog(self) -> bool:
        """Notify that the loop turns."""
        return self._send("WATCHDOG=1")

    def status(self, text: str) -> bool:
        """Send a line for `systemctl status`."""
        return self._send(*_status(text))

    def extend_timeout(self, seconds: float) -> bool:
        """Ask for more seconds, from now, to start or stop."""
        return self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def _send(self, *fields: str) -> bool:
        if not self.address.startswith(("/", "@")) or not fields:
            return False
        # An abstract socket's name begins with a zero byte, written as @ in the variable.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.settimeout(_PATIENCE_S)
            sender.connect(address)
            sender.sendall("\n".join(fields).encode())
            return True
        return False


def watchdog_interval_s(environment: Mapping[str, str]) -> float | None:
    """Return how often to call `watchdog`: half of what systemd allows. None if it does not watch this process.

    >>> watchdog_interval_s({"WATCHDOG_USEC": "30000000"})
    15.0
    """
    allowed, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not allowed.isdecimal() or int(allowed) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(allowed) / 2e6


def is_manager(environment: Mapping[str, str]) -> bool:
    """Return True if systemd started this very process, and so restarts it too.

    INVOCATION_ID alone does not prove it: every process below a service inherits it, a desktop's terminals included.
    """
    if environment.get("NOTIFY_SOCKET") or environment.get("SYSTEMD_EXEC_PID") == str(os.getpid()):
        return True
    return bool(environment.get("INVOCATION_ID")) and os.getppid() == 1


def _status(text: str) -> tuple[str, ...]:
    return (f"STATUS={_CONTROL.sub(' ', text)}",) if text else ()
