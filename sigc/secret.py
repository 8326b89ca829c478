"""Secrets of a configuration: the value itself, a file only its owner reads, or a systemd credential.

    reveal("file:/etc/sigc/token", "daemon.rpc.token", os.environ)

Revealed where it is used, and told to the log's `Secrets` there, so that it appears nowhere.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from sigc.errors import Diagnostic, SigcError

_MOST_BYTES = 65_536
_CREDENTIAL = re.compile(r"[A-Za-z0-9_.-]+")


def reveal(text: str, setting: str, environment: Mapping[str, str]) -> str:
    """The secret that a setting's text means. Raises E402, naming the setting and never the value.

    >>> reveal("hunter22", "daemon.rpc.token", {})
    'hunter22'
    """
    kind, colon, rest = text.partition(":")
    if colon and kind == "file":
        return _read(Path(rest).expanduser(), setting, 0o077)
    if colon and kind == "credential":
        directory = environment.get("CREDENTIALS_DIRECTORY", "")
        if not directory or not _CREDENTIAL.fullmatch(rest):
            message = f"{setting} is a systemd credential, and systemd gave none of that name"
            raise SigcError(Diagnostic("E402", message, hint=f"put LoadCredential={rest}:/path into the unit"))
        return _read(Path(directory) / rest, setting, 0o037)  # systemd lets root's group read it
    return text


def _read(path: Path, setting: str, forbidden: int) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as failure:
        raise SigcError(Diagnostic("E402", f"{path} ({setting}) can't be read: {failure.strerror}")) from failure
    with os.fdopen(descriptor, "rb") as source:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & forbidden:
            message = f"the secret in {path} ({setting}) can be read by others"
            raise SigcError(Diagnostic("E402", message, hint=f"chmod 600 {path}, and replace the secret in it"))
        content = source.read(_MOST_BYTES + 1)
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise SigcError(Diagnostic("E402", f"{path} ({setting}) is no text")) from None
