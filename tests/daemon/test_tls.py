"""A daemon that speaks TLS: its own command line knows its authority, and others do not come in."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.daemon.daemons import Daemon, Site


def certificate(folder: Path, name: str = "daemon", days: int = 1) -> tuple[Path, Path]:
    """A certificate of its own authority for 127.0.0.1 that lasts so many days, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    private.chmod(0o600)
    return cert, private


def test_over_tls(site: Site) -> None:
    cert, key = certificate(site.folder)
    other, _ = certificate(site.folder, "other")
    site.settings["daemon"]["rpc"] = {
        "address": f"0.0.0.0:{site.port}",
        "tls": {"cert": str(cert), "key": str(key), "ca": str(cert)},
    }
    site.write()
    with Daemon(site):
        # It listens everywhere; from here it is reached by loopback, whoever says so.
        for arguments in ((), ("--address", f"127.0.0.1:{site.port}"), ("--address", f"0.0.0.0:{site.port}")):
            shown = site.sigc("status", *arguments)
            assert shown.returncode == 0, shown.stderr
        site.settings["daemon"]["rpc"]["tls"]["ca"] = str(other)
        site.write()
        refused = site.sigc("status")
        assert refused.returncode == 10
        assert "certificate" in refused.stderr
        site.settings["daemon"]["rpc"]["tls"]["ca"] = str(cert)
        site.write()
        assert site.sigc("stop").returncode == 0


def test_a_certificate_that_is_none(site: Site) -> None:
    site.settings["daemon"]["rpc"]["tls"] = {"cert": str(site.config), "key": str(site.config)}
    site.write()
    refused = site.sigc("daemon", "--config", str(site.config))
    assert refused.returncode == 6
    assert "daemon.rpc.tls" in refused.stderr
    assert site.left_behind() == []
