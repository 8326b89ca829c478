"""A daemon that speaks TLS: its own command line knows its authority, and others do not come in."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sigc.daemon.alerting.certificate import ServedCertificates
from tests.alerts.servers import hook
from tests.daemon.daemons import Daemon, Site


def certificate(folder: Path, name: str = "daemon", days: int = 1, now: datetime | None = None) -> tuple[Path, Path]:
    """A certificate of its own authority for 127.0.0.1 that lasts so many days from now on, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = now or datetime.now(UTC)
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


def test_the_watch_looks_over_tls_and_tells_of_a_certificate_that_ends(site: Site) -> None:
    """By the command, of a daemon that runs: as a watch elsewhere is configured, with the authority alone."""
    cert, key = certificate(site.folder, days=9)
    site.settings["daemon"]["rpc"]["tls"] = {"cert": str(cert), "key": str(key), "ca": str(cert)}
    site.write()
    with Daemon(site), hook() as told:
        rpc = {"address": site.address, "token": site.token, "tls": {"ca": str(cert)}}
        channels = {"ops": {"type": "webhook", "url": told.url}}
        own = site.folder / "watch.yaml"
        own.write_text(yaml.safe_dump({"daemon": {"rpc": rpc}, "alerts": {"channels": channels}}))
        once = ("watch", "--config", str(own), "--state", str(site.folder / "watch.json"), "--once")
        seen = site.sigc(*once)
        assert seen.returncode == 1, seen.stderr
        assert "certificate of the daemon runs out in 8 days" in seen.stdout
        assert [(one["kind"], one["rule"]) for one in told.taken] == [("raise", "watch_certificate")]
        rpc["tls"] = {"ca": str(certificate(site.folder, "other")[0])}
        own.write_text(yaml.safe_dump({"daemon": {"rpc": rpc}, "alerts": {"channels": channels}}))
        distrusted = site.sigc(*once)
        assert distrusted.returncode == 1
        assert "certificate verify failed" in distrusted.stdout


def test_a_certificate_that_is_none(site: Site) -> None:
    site.settings["daemon"]["rpc"]["tls"] = {"cert": str(site.config), "key": str(site.config)}
    site.write()
    refused = site.sigc("daemon", "--config", str(site.config))
    assert refused.returncode == 6
    assert "daemon.rpc.tls" in refused.stderr
    assert site.left_behind() == []


def test_a_renewed_file_is_not_what_is_served(tmp_path: Path) -> None:
    """A daemon serves what its files held at its start: the alarm ends with a restart, not with the file."""
    now = datetime.now(UTC)
    old, _ = certificate(tmp_path, days=8)
    served = ServedCertificates({"RPC": old})
    assert served.check(now).startswith("the certificate of RPC runs out in 7 days; it ends at ")
    certificate(tmp_path, days=300)
    assert served.check(now) == (
        f"the certificate of RPC runs out in 7 days; {old} has a newer one, which is served after a restart of the daemon"
    )
    assert ServedCertificates({"RPC": old}).check(now) == "ok"
    old.write_text("no certificate")
    assert served.check(now).startswith("the certificate of RPC can't be read: ")
