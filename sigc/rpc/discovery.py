"""Discovery of the daemon a command means: address, token and name, from the configuration.

Part of the thin client: YAML is read, pydantic is not imported. Errors in other settings, or variables that are not
set, must not keep a command from finding the daemon.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sigc.config.find import find
from sigc.config.secret import reveal
from sigc.errors import SigcError
from sigc.host.instance import instance_name, places, runtime_dirs
from sigc.rpc.client import Client, DaemonQuery, Target, find_daemon

TOKEN_VARIABLE = "SIGC_RPC_TOKEN"  # noqa: S105 -- its name
DEFAULT_ZONE = "America/New_York"  # of schedule.timezone
_OVERRIDES = {"address": "SIGC_DAEMON__RPC__ADDRESS", "token": "SIGC_DAEMON__RPC__TOKEN"}


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """The daemon options of a command line."""

    config: Path | None = None
    address: str | None = None
    name: str | None = None


def wish_of(asked: DaemonOptions, environment: Mapping[str, str]) -> DaemonQuery:
    """Return the daemon wanted. Raise E400 for a named configuration file that does not exist or is not YAML."""
    path = find(asked.config, environment)
    daemon = _section(_data(path, environment), "daemon")
    rpc, tls = _section(daemon, "rpc"), _section(_section(daemon, "rpc"), "tls")
    name = instance_name(asked.name, path)
    work = environment.get("SIGC_DAEMON__WORK_DIR") or _text(daemon.get("work_dir"))
    return DaemonQuery(
        address=asked.address,
        name=name,
        configured_address=environment.get(_OVERRIDES["address"]) or _text(rpc.get("address")) or None,
        token=_token(_text(rpc.get("token")), environment),
        work_dir=Path(work).expanduser() if work else places(name, environment, os.getuid()).work_dir,
        ca=Path(ca).expanduser() if (ca := _text(tls.get("ca"))) else None,
        config=path,
        is_named=asked.name is not None,
    )


def target_of(asked: DaemonOptions, environment: Mapping[str, str]) -> Target:
    """Return the daemon wanted with its address. Raise E900, E402."""
    return find_daemon(wish_of(asked, environment), runtime_dirs(environment, os.getuid()))


def zone_here(config: Path | None, environment: Mapping[str, str] | None = None) -> str:
    """Return the zone in which the configuration has times shown (`schedule.timezone`), as it is written there."""
    known = os.environ if environment is None else environment
    try:
        written = _section(_data(find(config, known), known), "schedule").get("timezone")
    except SigcError:
        written = None
    return known.get("SIGC_SCHEDULE__TIMEZONE") or _text(written) or DEFAULT_ZONE


def connect(asked: DaemonOptions, environment: Mapping[str, str], timeout_s: float = 60.0) -> Client:
    """Return a client of the daemon wanted."""
    return Client(target_of(asked, environment), timeout_s)


def _data(path: Path | None, environment: Mapping[str, str]) -> Mapping[str, Any]:
    if path is None:
        return {}
    from sigc.config.read import read

    return read(path, environment).data


def _section(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _token(configured: str, environment: Mapping[str, str]) -> str | None:
    """Return the configured token if this user may read it, else the environment's; None: use the token file's."""
    given = environment.get(_OVERRIDES["token"]) or configured
    try:
        return reveal(given, "daemon.rpc.token", environment) or environment.get(TOKEN_VARIABLE) or None
    except SigcError:
        return environment.get(TOKEN_VARIABLE) or None
