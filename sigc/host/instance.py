"""The name of a daemon among several on one machine, and the places and ports that follow from it.

    sigc daemon                                   sigc    /var/lib/sigc          /var/run/sigc.pid
    sigc daemon --config sigc.paper.yaml          paper   /var/lib/sigc-paper    /var/run/sigc-paper.pid

A user who is not root gets XDG directories; a systemd unit those of StateDirectory= and RuntimeDirectory=.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sigc.errors import Diagnostic, SigcError
from sigc.private import keep_private

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
DEFAULT = "sigc"
SYSTEM_RUNTIME = Path("/run/sigc")
# The default ports, by setting.
PORTS: Mapping[str, int] = MappingProxyType(
    {
        "daemon.rpc.address": 5555,
        "daemon.health.port": 8080,
        "daemon.metrics.port": 9090,
        "daemon.dashboard.port": 5006,
    }
)


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of a daemon: its state, its PID file, and the folder of its entry for `sigc ps`."""

    work_dir: Path
    pid_file: Path
    runtime_dir: Path


def instance_name(explicit: str | None, config: Path | None) -> str:
    """Return the daemon's name: the one given, else the one in its configuration file's name. Raise E402.

    >>> instance_name(None, Path("conf/sigc.paper.yaml")), instance_name(None, Path("/etc/sigc/config.yaml"))
    ('paper', 'sigc')
    """
    if explicit is not None:
        if not NAME.fullmatch(explicit):
            raise SigcError(Diagnostic("E402", f"invalid name of a daemon '{explicit}'", expected=NAME.pattern))
        return explicit
    stem = DEFAULT if config is None else config.name
    stem = re.sub(r"\.ya?ml$", "", stem).removeprefix(f"{DEFAULT}.")
    if stem in (DEFAULT, "config"):
        return DEFAULT
    name = re.sub(r"[^a-z0-9_-]", "-", stem.lower())
    if not NAME.fullmatch(name):
        raise SigcError(Diagnostic("E402", f"can't make a daemon's name from {config}", hint="give one by --name"))
    return name


def places(name: str, environment: Mapping[str, str], uid: int) -> Places:
    """Return the default places of daemon `name`.

    >>> places("paper", {}, 0).work_dir.as_posix()
    '/var/lib/sigc-paper'
    >>> places("sigc", {"HOME": "/home/ann", "XDG_RUNTIME_DIR": "/run/user/7"}, 7).pid_file.as_posix()
    '/run/user/7/sigc/sigc.pid'
    """
    own = DEFAULT if name == DEFAULT else f"{DEFAULT}-{name}"
    runtime = runtime_dir(environment, uid)
    made = _of_unit(environment, "STATE_DIRECTORY")
    if made is not None:
        # Daemons of several names in one unit's directory would share a ledger: each other name gets a folder below.
        work = made if name == DEFAULT or made.name in (name, own) else made / name
    else:
        work = Path("/var/lib") / own if uid == 0 else _state_home(environment, uid) / own
    system = uid == 0 and _of_unit(environment, "RUNTIME_DIRECTORY") is None
    return Places(work, Path("/var/run") / f"{own}.pid" if system else runtime / f"{name}.pid", runtime)


def runtime_dir(environment: Mapping[str, str], uid: int) -> Path:
    """Return the folder with the entries of this user's daemons."""
    made = _of_unit(environment, "RUNTIME_DIRECTORY")
    if made is not None:
        return made
    if uid == 0:
        return SYSTEM_RUNTIME
    base = _absolute(environment.get("XDG_RUNTIME_DIR"))
    return base / DEFAULT if base is not None else _state_home(environment, uid) / DEFAULT / "run"


def runtime_dirs(environment: Mapping[str, str], uid: int) -> tuple[Path, ...]:
    """Return the folders to search for daemons: the user's own, then the system's."""
    own = runtime_dir(environment, uid)
    return (own,) if own == SYSTEM_RUNTIME else (own, SYSTEM_RUNTIME)


def make_directory(path: Path, setting: str) -> None:
    """Create a directory and its parents, mode 0700; close one of ours that others can read. Raise E402."""
    try:
        keep_private(path, setting)
        writable = os.access(path, os.W_OK | os.X_OK)
    except OSError as failure:
        message = f"the directory {path} ({setting}) can't be created: {failure.strerror}"
        raise SigcError(Diagnostic("E402", message)) from failure
    if not writable:
        raise SigcError(Diagnostic("E402", f"the directory {path} ({setting}) can't be written"))


def _of_unit(environment: Mapping[str, str], variable: str) -> Path | None:
    """Return the first of the directories that systemd made for the unit."""
    return _absolute(environment.get(variable, "").split(":")[0])


def _state_home(environment: Mapping[str, str], uid: int) -> Path:
    given = _absolute(environment.get("XDG_STATE_HOME"))
    if given is not None:
        return given
    home = _absolute(environment.get("HOME"))
    return (home if home is not None else Path(pwd.getpwuid(uid).pw_dir)) / ".local" / "state"


def _absolute(path: str | None) -> Path | None:
    """Return the path if it is absolute, else None: the XDG specification says to ignore relative ones."""
    return Path(path) if path and path.startswith("/") else None
