"""Daemons that the page shows, and their addresses: the named ones, or all that run on this machine."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sigc.host.instance import runtime_dirs
from sigc.host.instances import running
from sigc.rpc.client import DaemonQuery, Target, find_daemon


@dataclass(frozen=True, slots=True)
class Place:
    """A daemon on the page. name: in links and the switcher. target: its present address, without a token."""

    name: str
    target: Callable[[], Target]


Places = Callable[[], Mapping[str, Place]]


def named(addresses: Sequence[str], ca: Path | None = None) -> Places:
    """Return daemons by address, such as 127.0.0.1:5555 or paper=127.0.0.1:5556."""
    found = {}
    for given in addresses:
        name, is_named, address = given.rpartition("=")
        address = address if is_named else given
        found[name or address] = Place(name or address, _by_address(address, ca))
    return lambda: found


def local() -> Mapping[str, Place]:
    """Return every daemon that runs on this machine now, by name."""
    entries = running(runtime_dirs(os.environ, os.getuid()))
    return {entry.name: Place(entry.name, _by_address(entry.address, None)) for entry in entries}


def _by_address(address: str, ca: Path | None) -> Callable[[], Target]:
    def target() -> Target:
        found = find_daemon(DaemonQuery(address=address, ca=ca), runtime_dirs(os.environ, os.getuid()))
        tls: ssl.SSLContext | None = found.tls
        return Target(found.address, "", tls)  # a token that lies about is for the command line, not for a page

    return target
