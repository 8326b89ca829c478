"""HTTP POST with the standard library: one request, one deadline for all of it, no redirect followed.

A failure is a `DeliveryError`: with `retry_after_s` from 429 and 503, malformed for 400, 413 and 422.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from sigc.alerts.channels.declare import DeliveryError

_MOST_ANSWER = 65_536
_SHOWN = 300
_MALFORMED = frozenset({400, 413, 422})


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> bytes:
    """Return the answer's body. timeout_s: for the whole exchange. Raise DeliveryError for every answer but 2xx."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DeliveryError("invalid address: expected an http or https URL")
    connection = _connection(parts, timeout_s)
    # A socket's timeout limits each read only: a server that sends a byte now and then would block us for ever.
    is_cut = threading.Event()
    end = threading.Timer(timeout_s, _cut, (connection, is_cut))
    end.daemon = True
    end.start()
    try:
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        said = {"User-Agent": "sigc", "Connection": "close", **headers}
        # A proxy takes plain HTTP by the whole URL; https goes through a tunnel.
        connection.request("POST", url if _is_proxied(parts) and parts.scheme == "http" else path, body, said)
        with connection.getresponse() as answer:
            content = answer.read(_MOST_ANSWER)
    except (OSError, http.client.HTTPException, ValueError) as failure:
        why = f"no answer within {timeout_s:g} s" if isinstance(failure, TimeoutError) else _told(failure)
        raise DeliveryError(f"{parts.hostname}: {why}") from failure
    finally:
        end.cancel()
        connection.close()
    if is_cut.is_set():  # the answer may be cut short
        raise DeliveryError(f"{parts.hostname}: no whole answer within {timeout_s:g} s")
    if 200 <= answer.status < 300:
        return content
    text = content.decode("utf-8", "replace").strip()[:_SHOWN]
    wait = _seconds(answer.headers.get("Retry-After")) if answer.status in (429, 503) else None
    said_so = f"{parts.hostname} answered {answer.status} {answer.reason}" + (f": {text}" if text else "")
    raise DeliveryError(said_so, retry_after_s=wait, is_malformed=answer.status in _MALFORMED)


def _connection(parts: urllib.parse.SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    host, port = parts.hostname or "", parts.port
    proxy = urllib.request.getproxies().get(parts.scheme) if _is_proxied(parts) else None
    via = urllib.parse.urlsplit(proxy) if proxy else None
    to = (host, port) if via is None else (via.hostname or "", via.port)
    if parts.scheme == "http":
        return http.client.HTTPConnection(*to, timeout=timeout_s)
    connection = http.client.HTTPSConnection(*to, timeout=timeout_s, context=ssl.create_default_context())
    if via is not None:
        connection.set_tunnel(host, port)
    return connection


def _is_proxied(parts: urllib.parse.SplitResult) -> bool:
    """Return True if the environment names a proxy for the address (https_proxy, no_proxy)."""
    has_proxy = parts.scheme in urllib.request.getproxies()
    return has_proxy and not urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2])


def _cut(connection: http.client.HTTPConnection, is_cut: threading.Event) -> None:
    is_cut.set()
    open_socket = connection.sock
    if open_socket is not None:
        with suppress(OSError):
            # Shutdown wakes the read in the other thread; closing alone would not.
            open_socket.shutdown(socket.SHUT_RDWR)


def _told(failure: Exception) -> str:
    return str(getattr(failure, "strerror", None) or failure) or type(failure).__name__


def _seconds(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number, or a date. None if it is missing or invalid."""
    if text is None:
        return None
    with suppress(ValueError):
        return max(0.0, float(text))
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    return None
