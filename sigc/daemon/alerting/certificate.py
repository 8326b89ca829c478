"""The expiry of TLS certificates: of a file, and of a daemon at an address."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sigc.daemon.health import OK

RUNS_OUT_WITHIN = timedelta(days=14)


def file_ends(path: Path) -> datetime:
    """Return when the first of a PEM file's certificates expires. Raise OSError, ValueError."""
    from cryptography.x509 import load_pem_x509_certificates

    return min(one.not_valid_after_utc for one in load_pem_x509_certificates(path.expanduser().read_bytes()))


def trouble(whose: str, ends: datetime, now: datetime) -> tuple[str, str, int] | None:
    """Return title, text and whole days left for a certificate that expires within 14 days; None for any other.

    >>> from datetime import UTC
    >>> trouble("of the page", datetime(2024, 1, 10, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))[0]
    'the certificate of the page runs out in 8 days'
    """
    if ends - now > RUNS_OUT_WITHIN:
        return None
    days = (ends - now) // timedelta(days=1)
    title = f"the certificate {whose} " + (f"runs out in {days} days" if ends > now else "has run out")
    text = f"it ends at {ends:%Y-%m-%d %H:%M} UTC; renew it and restart the daemon: nobody can call it after that"
    return title, text, days


class ServedCertificates:
    """The certificates that a daemon serves: those its files held at its start, whatever they hold since.

    files: PEM files by owner, such as `RPC`.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._served: dict[str, datetime] = {}  # the expiry, by owner

    def check(self, now: datetime) -> str:
        """Return `ok`, or the certificate that expires soon or can't be read. The first call is the daemon's start."""
        for whose, path in self._files.items():
            try:
                held = file_ends(path)
            except (OSError, ValueError) as failure:
                return f"the certificate of {whose} can't be read: {failure} ({path})"
            ends = self._served.setdefault(whose, held)
            found = trouble(f"of {whose}", ends, now)
            if found is not None:
                title, text, _ = found
                if held > ends:
                    text = f"{path} has a newer one, which is served after a restart of the daemon"
                return f"{title}; {text}" + (f" ({path})" if held <= ends else "")
        return OK


def peer_ends(host: str, port: int, tls: ssl.SSLContext, timeout_s: float) -> datetime | None:
    """Return when the certificate served at an address expires. Raise OSError (ssl.SSLError is one)."""
    with (
        socket.create_connection((host, port), timeout_s) as raw,
        tls.wrap_socket(raw, server_hostname=host) as secured,
    ):
        said = secured.getpeercert() or {}
    ends = said.get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None
