"""Twenty secrets, planted where people put them: whatever is read, shown, written or crashes, none of them comes out."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sigc.rpc.client import Client, Target
from tests.daemon.daemons import DAYS, Daemon, Site, free_port
from tests.daemon.processes import PATIENCE_S
from tests.needs import program
from tests.trading.floor import TEXT

NAMES = (
    *("token", "environment", "literal", "file", "credential", "tls", "sign"),
    *("api_key", "api_secret", "login", "passphrase", "nested", "listed", "variable", "cluster"),
    *("prefix", "source", "job", "reloaded", "wrong"),
)
CANARIES = {name: f"canary-{number:02d}-{name}-Zq7/pL+0x" for number, name in enumerate(NAMES)}
# A broker that is installed, and tells its secrets in every way a careless one does.
BROKER = """
import logging
from sigc_pipelines.brokers.paper import PaperBroker

log = logging.getLogger("careless")

class Careless:
    def __init__(self, settings, directory, clock):
        self._paper = PaperBroker(directory / "paper.sqlite", settings.paper, clock)
        self._options, self._locked = settings.options, directory / "locked"
        log.warning("opened with %s", settings.options)

    def submit(self, request):
        secrets = " ".join(map(str, [self._options, self._options["nested"]["token"]]))
        raise RuntimeError(f"POST https://ann:{self._options['passphrase']}@host/orders failed: {secrets}")

    def account(self):
        if self._locked.exists():
            raise ValueError(f"401 for key {self._options['api_key']}")
        return self._paper.account()

    def __getattr__(self, name):
        return getattr(self._paper, name)

def careless(settings, directory, clock):
    return Careless(settings, directory, clock)
"""


@pytest.fixture
def planted(site: Site) -> Iterator[tuple[Site, dict[str, Any]]]:
    """A site with every secret in its place, and the environment of its daemon."""
    folder = site.folder
    installed = folder / "installed"
    (installed / "careless-1.dist-info").mkdir(parents=True)
    (installed / "careless.py").write_text(BROKER)
    (installed / "careless-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: careless\nVersion: 1\n")
    (installed / "careless-1.dist-info" / "entry_points.txt").write_text(
        "[sigc.brokers]\ncareless = careless:careless\n"
    )
    for name in ("file", "credential"):
        (folder / name).write_text(CANARIES[name])
        (folder / name).chmod(0o600)
    site.settings["daemon"]["rpc"] |= {
        "token": "${CANARY_OF_ENVIRONMENT}",
        "tokens": [
            {"name": "literal", "role": "read", "token": CANARIES["literal"]},
            {"name": "file", "role": "operate", "token": f"file:{folder}/file"},
            {"name": "credential", "role": "read", "token": "credential:credential"},
        ],
    }
    site.settings["daemon"]["log_level"] = "debug"
    site.settings["daemon"]["rpc"]["tls"] = _certificate(folder)
    site.settings["audit"] = {"sign_key": _key(folder)}
    site.settings["data"] = {"url_prefixes": [f"https://bob:{quote(CANARIES['prefix'], safe='')}@127.0.0.1:1/"]}
    site.settings["broker"] |= {
        "type": "careless",
        "options": {
            **{name: CANARIES[name] for name in ("api_key", "api_secret", "passphrase")},
            "base_url": f"https://ann:{quote(CANARIES['login'], safe='')}@127.0.0.1:1/v2",
            "nested": {"token": CANARIES["nested"]},
            "accounts": [{"password": CANARIES["listed"]}],
            "plain": "${BROKER_PASSWORD}",
        },
    }
    site.settings["cluster"] |= {"options": {"scheduler_password": CANARIES["cluster"]}}
    site.settings["schedule"]["jobs"] = [site.script("job", "/bin/sh", "-c", "echo ${JOB_SECRET}; exit 3")]
    (folder / "remote.sig").write_text(
        TEXT.replace('"prices.parquet"', f'"https://bob:{quote(CANARIES["source"], safe="")}@127.0.0.1:1/p.parquet"')
    )
    site.write()
    environment = {
        "CANARY_OF_ENVIRONMENT": CANARIES["environment"],
        "SIGC_RPC_TOKEN": CANARIES["token"],
        "BROKER_PASSWORD": CANARIES["variable"],
        "JOB_SECRET": CANARIES["job"],
        "CREDENTIALS_DIRECTORY": str(folder),
        "PYTHONPATH": f"{site.environment['PYTHONPATH']}:{installed}",
    }
    yield site, environment
    shutil.rmtree(installed)


def _certificate(folder: Path) -> dict[str, str]:
    made = [
        program("openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", f"{folder}/tls.key", "-out", f"{folder}/tls.pem"]
    subprocess.run([*made, *names, *files], check=True, capture_output=True)
    return {"cert": f"{folder}/tls.pem", "key": f"{folder}/tls.key", "ca": f"{folder}/tls.pem"}


def _key(folder: Path) -> str:
    subprocess.run([program("openssl"), "genpkey", "-algorithm", "ed25519", "-out", f"{folder}/sign.key"], check=True)
    (folder / "sign.key").chmod(0o600)
    return f"{folder}/sign.key"


def secrets_of(site: Site) -> dict[str, str]:
    """Every text that must not come out, by the name of its secret; keys by the line that is in their files."""
    keys = {name: (site.folder / f"{name}.key").read_text().splitlines()[1] for name in ("tls", "sign")}
    known = {**CANARIES, **keys}
    coded = {f"{name}, in a URL": quote(text, safe="") for name, text in known.items()}
    coded |= {
        f"{name}, in base64": base64.b64encode(text.encode()).decode().rstrip("=") for name, text in known.items()
    }
    return known | coded


def test_none_of_twenty_secrets_comes_out(planted: tuple[Site, dict[str, Any]]) -> None:
    site, environment = planted
    own = {site.config, *(site.folder / name for name in ("file", "credential", "tls.key", "sign.key", "remote.sig"))}
    shown: dict[str, str] = {}

    def give(*arguments: str, code: int | None = 0) -> None:
        done = site.sigc(*arguments, **environment)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        shown[" ".join(arguments)] = done.stdout + done.stderr

    with Daemon(site, **environment) as daemon:
        give("status", "--detailed")
        give("status", "--json", "--detailed")
        give("config", "show", "--origins")
        give("config", "show", "--json")
        give("config", "show")
        give("config", "validate")
        give("run", "momentum", "--date", DAYS[0], code=None)
        (site.folder / "work" / "locked").touch()
        give("run", "momentum", "--date", DAYS[1], "--json", code=None)
        give("run", "momentum", "--date", DAYS[1], "--dry-run", "--json", code=None)
        give("run", "remote.sig", "--dry-run", code=None)
        give("schedule", "run", "job")
        give("schedule", "list")
        give("schedule", "history", "job")
        give("runs", "list", code=None)
        give("runs", "list", "--json", code=None)
        site.settings["broker"]["options"]["api_key"] = CANARIES["reloaded"]
        site.settings["daemon"]["log_level"] = "info"
        site.write()
        give("reload", "--plan")
        give("reload")
        shown["reloaded"] = shown["reload"]
        wrong = site.sigc("status", **environment | {"SIGC_DAEMON__RPC__TOKEN": CANARIES["wrong"]})
        assert wrong.returncode == 11
        shown["wrong token"] = wrong.stdout + wrong.stderr
        shown |= _pages(site)
        # What is wrong is told with its line; the secret on it is not.
        site.config.write_text(site.config.read_text().replace("log_level: info", "log_level: loud"))
        site.config.write_text(site.config.read_text().replace("api_secret:", "  api_secret:"))
        give("reload", code=None)
        give("config", "validate", code=6)
        site.write()
        give("stop")
        shown["printed"] = daemon.end()[1]
    give("audit", "query")
    give("audit", "query", "--json")
    give("audit", "verify")
    give("audit", "report")
    for path in site.folder.rglob("*"):
        if path.is_file() and path not in own and not path.is_symlink() and "jit" not in path.parts:
            shown[str(path.relative_to(site.folder))] = path.read_bytes().decode("latin-1")
    shown["ledger"] = "\n".join(sqlite3.connect(site.folder / "work" / "ledger.sqlite").iterdump())
    # The secrets were where they could have been told.
    assert "RuntimeError" in shown["daemon.log"]
    assert "opened with" in shown["daemon.log"]
    assert "api_key" in shown["config show"]
    assert "broker.options.api_key" in shown["reloaded"]
    assert "401 for key" in shown["daemon.log"]
    assert "127.0.0.1:1/p.parquet" in shown["run remote.sig --dry-run"]
    found = [
        (place, name)
        for name, secret in secrets_of(site).items()
        for place, text in shown.items()
        if secret in text or json.dumps(secret)[1:-1] in text
    ]
    assert found == []


def _pages(site: Site) -> dict[str, str]:
    """Every page and every look, over TLS, with the token of the environment."""
    import ssl
    import urllib.request

    tls = ssl.create_default_context(cafile=str(site.folder / "tls.pem"))
    with Client(Target(site.address, CANARIES["environment"], tls), PATIENCE_S) as client:
        detailed = client.get("status", {"is_detailed": True})
        found = {"openapi": json.dumps(client.get("openapi")), "status verb": json.dumps(detailed)}
        found["runs verb"] = json.dumps(client.get("runs/list"))
    ports = detailed["detailed"]["ports"]
    for port, path in (("health", "health"), ("health", "ready"), ("metrics", "metrics"), ("metrics", "http_sd")):
        url = f"http://127.0.0.1:{ports[f'daemon.{port}.port']}/{path}"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            found[path] = answer.read().decode()
    return found


def test_a_crash_at_the_start_tells_none(planted: tuple[Site, dict[str, Any]]) -> None:
    site, environment = planted
    careless = site.folder / "installed" / "careless.py"
    careless.write_text(
        BROKER + "\ndef careless(settings, directory, clock):\n    raise RuntimeError(settings.options)\n"
    )
    done = site.sigc("daemon", "--config", str(site.config), "--port", str(free_port()), **environment)
    assert done.returncode != 0
    log = (site.folder / "daemon.log").read_text()
    for name, secret in secrets_of(site).items():
        assert secret not in done.stdout + done.stderr, name
        assert secret not in log, name
