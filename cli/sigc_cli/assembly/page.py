"""Assembly of the status page as a process: socket, certificate, daemons; also as a child of a daemon."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sigc.errors import Diagnostic, SigcError
from sigc.host.instance import PORTS
from sigc.host.ports import Port, listen
from sigc.host.supervisor import die_with_parent
from sigc.rpc.address import address_text, is_loopback

SETTING = "daemon.dashboard.port"


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Options of the command line. fd, parent: of a page that a daemon has started."""

    addresses: Sequence[str] = ()
    host: str = "127.0.0.1"
    port: int | None = None
    origins: Sequence[str] = ()
    hours: float = 12.0
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    fd: int | None = None
    parent: int | None = None


def run_page(page: PageOptions, say: Callable[[str], None]) -> None:
    """Serve until the end. Raises E402 for what can't be served, E403 for a port that is taken."""
    if page.parent is not None:
        die_with_parent(page.parent)
        os.nice(5)  # it is looked at; what it shows is what has to be in time
    tls = _tls(page)
    listening = _listening(page, tls is not None)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("bokeh").setLevel(logging.ERROR)  # a tab that was closed is no news
    from sigc_dashboard.server.places import local, named
    from sigc_dashboard.server.server import Settings, serve

    places = named(page.addresses, page.ca) if page.addresses else local
    settings = Settings(page.host, tuple(page.origins), 3600 * page.hours, tls)
    host, number = listening.getsockname()[:2]
    scheme = "http" if tls is None else "https"
    text = f"the status page is at {scheme}://{address_text(host, number)}/"
    serve(places, listening, settings, lambda: say(text))


def _listening(page: PageOptions, has_tls: bool) -> socket.socket:
    if page.fd is not None:
        return socket.socket(fileno=page.fd)
    if not has_tls and not is_loopback(page.host):
        message = f"the page at {page.host} can be reached from other machines, so it needs TLS"
        raise SigcError(Diagnostic("E402", message, hint="give --cert and --key, or listen on 127.0.0.1"))
    number = PORTS[SETTING] if page.port is None else page.port
    return listen(Port("--port", page.host, number, page.port is not None))


def _tls(page: PageOptions) -> ssl.SSLContext | None:
    if page.cert is None and page.key is None:
        return None
    try:
        if page.cert is None or page.key is None:
            raise SigcError(Diagnostic("E402", "a certificate needs both --cert and --key"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(page.cert.expanduser(), page.key.expanduser())
    except (OSError, ssl.SSLError) as failure:
        message = f"the certificate of the page can't be used: {failure.strerror or failure}"
        raise SigcError(Diagnostic("E402", message, hint="cert and key are PEM files this user may read")) from failure
    return context
