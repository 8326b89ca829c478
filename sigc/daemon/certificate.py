"""When certificates run out: of a file, and of the daemon at an address."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path


def file_ends(path: Path) -> datetime:
    """Return when the first of a PEM file's certificates runs out. Raises OSError, ValueError."""
    from cryptography.x509 import load_pem_x509_certificates

    return min(one.not_valid_after_utc for one in load_pem_x509_certificates(path.expanduser().read_bytes()))


def peer_ends(host: str, port: int, tls: ssl.SSLContext, timeout_s: float) -> datetime | None:
    """Return when the certificate of who listens there runs out. Raises OSError (ssl.SSLError is one)."""
    with (
        socket.create_connection((host, port), timeout_s) as raw,
        tls.wrap_socket(raw, server_hostname=host) as secured,
    ):
        said = secured.getpeercert() or {}
    ends = said.get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None
