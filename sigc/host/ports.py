"""Listening ports: an explicit port is bound or refused, a default one moves on to the next free port.

The socket is bound and listens here, so nobody can take the port between finding it free and using it.
"""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass

import psutil

from sigc.errors import Diagnostic, SigcError

_MOST_TRIES = 100
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Port:
    """A port to listen on, its setting, and whether a person asked for this very port."""

    setting: str
    host: str
    number: int
    is_explicit: bool


def listen(port: Port) -> socket.socket:
    """Return a listening socket. Raise E403 if the port is taken: the explicit one, or a hundred from the default on.

    Number 0 is any free port.
    """
    tries = 1 if port.is_explicit or port.number == 0 else _MOST_TRIES
    numbers = range(port.number, min(port.number + tries, 65_536))
    for number in numbers:
        try:
            return _listen(port.host, number)
        except OSError as failure:
            if failure.errno != errno.EADDRINUSE:
                message = f"{port.host}:{number} ({port.setting}) can't be listened on: {failure.strerror or failure}"
                raise SigcError(Diagnostic("E403", message)) from failure
    raise SigcError(_taken(port, numbers))


def _listen(host: str, number: int) -> socket.socket:
    found = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Lets a restart bind while old connections time out; a second listener is still refused.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _taken(port: Port, numbers: range) -> Diagnostic:
    which = f"port {numbers[0]}" if len(numbers) == 1 else f"every port from {numbers[0]} to {numbers[-1]}"
    message = f"{which} ({port.setting}) is in use{_holder(numbers[0])}"
    hint = f"find the holder by `lsof -i :{numbers[0]}`, or set {port.setting} to another port"
    return Diagnostic("E403", message, hint=hint)


def _holder(number: int) -> str:
    """Return who listens on the port, as far as the system tells: root sees all processes, others their own."""
    try:
        for found in psutil.net_connections(kind="tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr.port == number and found.pid:
                name = "this process" if found.pid == os.getpid() else psutil.Process(found.pid).name()
                return f" by PID {found.pid} ({name})"
    except psutil.Error:
        pass
    return ""
