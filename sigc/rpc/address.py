"""Network addresses as settings and commands write them: `127.0.0.1:5555`, `[::1]:5555`."""

from __future__ import annotations

import ipaddress

from sigc.errors import Diagnostic, SigcError


def parse_address(text: str, setting: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` or `[IPV6]:PORT`. Raise E402.

    >>> parse_address("[::1]:5555", "daemon.rpc.address")
    ('::1', 5555)
    """
    host, colon, number = text.rpartition(":")
    if not colon or not host or not number.isdecimal() or int(number) > 65_535 or (":" in host) != (host[0] == "["):
        raise SigcError(Diagnostic("E402", f"invalid {setting} '{text}'", expected="HOST:PORT"))
    return host.strip("[]"), int(number)


def address_text(host: str, number: int) -> str:
    """Return the text that `parse_address` reads."""
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach `host`.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def as_reached(host: str) -> str:
    """Return the address by which this machine reaches a server on `host`: loopback if it listens everywhere.

    >>> as_reached("0.0.0.0"), as_reached("::"), as_reached("10.0.0.7")
    ('127.0.0.1', '::1', '10.0.0.7')
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
