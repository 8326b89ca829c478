"""The inputs of a daemon's start: name, places, log, tokens and certificate, from command line and configuration.

Every mistake a person can make is found here, before the process goes to the background.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sigc.config.secret import reveal
from sigc.daemon.configured.configured import Configured, configured, examine
from sigc.errors import Diagnostic, SigcError
from sigc.host.instance import DEFAULT, PORTS, Places, instance_name, make_directory, places
from sigc.host.logs import LogSettings
from sigc.host.ports import Port
from sigc.host.redact import Secrets
from sigc.rpc.access import Access, AccessToken, hosts_of, make_token
from sigc.rpc.address import address_text, parse_address
from sigc.rpc.discovery import TOKEN_VARIABLE
from sigc.rpc.verb import Role

if TYPE_CHECKING:
    from sigc.config.settings import Config

MAIN = "main"  # the audit's name for the token of the role trade
RPC, HEALTH, METRICS = "daemon.rpc.address", "daemon.health.port", "daemon.metrics.port"
DASHBOARD = "daemon.dashboard.port"


@dataclass(frozen=True, slots=True)
class StartOptions:
    """The options of the command line; None: not given."""

    config: Path | None = None
    port: int | None = None
    pid_file: Path | None = None
    log_level: str | None = None
    work_dir: Path | None = None
    name: str | None = None
    is_background: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """A checked configuration of a daemon, ready to start."""

    options: StartOptions
    name: str
    configured: Configured
    places: Places
    log: LogSettings
    ports: tuple[Port, ...]

    @property
    def config(self) -> Config:
        """Return the settings."""
        return self.configured.loaded.config


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """The access to the daemon: tokens, secrets to hide, and the TLS context (None: plain HTTP)."""

    access: Access
    secrets: Secrets
    tls: ssl.SSLContext | None


def start_of(options: StartOptions, environment: Mapping[str, str]) -> Start:
    """Read and check everything. Raise all errors of the configuration at once."""
    found = read_config(options, environment)
    config, path = found.loaded.config, found.loaded.path
    name = instance_name(options.name, path)
    if name == DEFAULT and options.name is None and options.port not in (None, 0, PORTS[RPC]):
        name = f"{DEFAULT}-{options.port}"  # else two daemons that differ only in their port would share files
    base = places(name, environment, os.getuid())
    work_dir = _path(config.daemon.work_dir) or base.work_dir
    own = replace(base, work_dir=work_dir, pid_file=_path(config.daemon.pid_file) or base.pid_file)
    return Start(
        options, name, found, own, log_settings(config, work_dir, options.is_background), _ports(config, options)
    )


def read_config(options: StartOptions, environment: Mapping[str, str]) -> Configured:
    """Return the configuration, with the command line's changes."""
    from sigc.config.check import load_config

    given = {
        "daemon.pid_file": options.pid_file and str(options.pid_file.absolute()),
        "daemon.work_dir": options.work_dir and str(options.work_dir.absolute()),
        "daemon.log_level": options.log_level,
    }
    overrides = {key: value for key, value in given.items() if value is not None}
    return configured(load_config(options.config, environment, overrides, examine))


def log_settings(config: Config, work_dir: Path, is_background: bool) -> LogSettings:
    """Return the log's settings: the file that is set; else stderr, or in the background a file in the work dir."""
    daemon = config.daemon
    path = _path(daemon.log_file) or (work_dir / "daemon.log" if is_background else None)
    return LogSettings(path, daemon.log_level, daemon.log_format, daemon.log_max_mb * 1_000_000, daemon.log_files)


def open_doors(start: Start, environment: Mapping[str, str]) -> AccessSettings:
    """Return tokens and certificate; make a token if none is set. Raise E402."""
    rpc, secrets = start.config.daemon.rpc, Secrets()
    secrets.add_all(start.configured.loaded.secrets)
    tokens = read_tokens(start.config, start.places, secrets, environment)
    host, _ = parse_address(rpc.address or "127.0.0.1:0", RPC)
    return AccessSettings(Access(tokens, hosts_of(host, rpc.hosts)), secrets, _tls(start.config))


def read_tokens(
    config: Config, places: Places, secrets: Secrets, environment: Mapping[str, str]
) -> tuple[AccessToken, ...]:
    """Return the tokens of the configuration or of the token file, and hide each from now on. Raise E402."""
    given = environment.get(TOKEN_VARIABLE) if config.daemon.rpc.token is None else None
    if config.daemon.rpc.token is not None:
        given = config.daemon.rpc.token.get_secret_value()
    if given is None:
        make_directory(places.work_dir, "daemon.work_dir")
        text = make_token(places.work_dir)
    else:
        text = reveal(given, "daemon.rpc.token", environment)
    tokens = []
    for name, role, secret in [(MAIN, Role.TRADE, text), *_more_tokens(config, environment)]:
        tokens.append(AccessToken.of(name, secret, role))
        secrets.add(secret)
    return tuple(tokens)


def _more_tokens(config: Config, environment: Mapping[str, str]) -> list[tuple[str, Role, str]]:
    found = config.daemon.rpc.tokens
    return [
        (t.name, Role(t.role), reveal(t.token.get_secret_value(), f"daemon.rpc.tokens.{n}.token", environment))
        for n, t in enumerate(found)
    ]


def _tls(config: Config) -> ssl.SSLContext | None:
    files = config.daemon.rpc.tls
    if files is None:
        return None
    if not files.cert or not files.key:
        hint = "a file with `ca` alone is that of a client elsewhere"
        raise SigcError(Diagnostic("E402", "daemon.rpc.tls: the daemon needs its cert and key", hint=hint))
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(Path(files.cert).expanduser(), Path(files.key).expanduser())
    except (OSError, ssl.SSLError) as failure:
        message = f"the certificate of daemon.rpc.tls can't be used: {failure.strerror or failure}"
        raise SigcError(Diagnostic("E402", message, hint="cert and key are PEM files this user may read")) from failure
    return context


def _ports(config: Config, options: StartOptions) -> tuple[Port, ...]:
    daemon = config.daemon
    host, number = parse_address(daemon.rpc.address or address_text("127.0.0.1", PORTS[RPC]), RPC)
    chosen = number if options.port is None else options.port
    ports = [Port(RPC, host, chosen, bool(daemon.rpc.address) or options.port is not None)]
    for setting, section in ((HEALTH, daemon.health), (METRICS, daemon.metrics), (DASHBOARD, daemon.dashboard)):
        if section.enabled:
            default = PORTS[setting]
            ports.append(
                Port(setting, section.host, default if section.port is None else section.port, section.port is not None)
            )
    return tuple(ports)


def _path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None
