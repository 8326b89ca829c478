"""The search for the configuration file, and the record it is read into. Imports none of its readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sigc.errors import Diagnostic, SigcError, Span

Location = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The data of a file, the place of each key, errors, settings whose variable is missing, and secret values."""

    data: dict[str, Any]
    spans: dict[Location, Span]
    errors: list[Diagnostic]
    unset: set[Location]
    secrets: set[str] = field(default_factory=set)


def find(path: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Return the configuration file: the one named, else the first that exists, else None. Raise E400."""
    named = path or (Path(environment["SIGC_CONFIG"]) if environment.get("SIGC_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise SigcError(Diagnostic("E400", f"there is no configuration file {named}"))
        return named
    home = Path(environment.get("HOME", "/nonexistent"))
    places = (Path("sigc.yaml"), home / ".sigc/config.yaml", Path("/etc/sigc/sigc.yaml"), Path("/etc/sigc/config.yaml"))
    return next((p for p in places if p.is_file()), None)
