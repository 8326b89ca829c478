"""The secrets of a configuration: given as a value, a file only its owner reads, or a systemd credential.

    reveal("file:/etc/sigc/token", "daemon.rpc.token", os.environ)

A secret is revealed where it is used, and registered there with the log's `Secrets`, so that it appears nowhere. Other
secrets are recognised by their name (`is_secret_name`) or place (the password of a URL): `hidden` removes them from
shown data, `masked` from the text of a file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sigc.errors import Diagnostic, SigcError

_MOST_BYTES = 65_536
HIDDEN = "**********"
_NAME = re.compile(
    r"token|secret|passw|passphrase|credential|private|(api|access|auth|account)_?key|(^|_)(key|auth)$", re.I
)
_URL_PASSWORD = re.compile(r"(?<=://)([^/@\s:\"']*):([^/@\s\"']+)(?=@)")
# The query of a URL may hold a signature, which is as good as a password.
_URL_QUERY = re.compile(r"(?<=://)([^\s\"'?#<>]*\?)[^\s\"'<>]+")
# An entry of YAML or JSON: a key, a colon, a quoted or bare value.
_ENTRY = re.compile(r"""([\w.-]+)(["']?\s*:\s*)("[^"]*"|'[^']*'|[^\s,}\]#\[{"'][^\s,}\]#]*)""")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_.-]+")


def reveal(text: str, setting: str, environment: Mapping[str, str]) -> str:
    """Return the secret that a setting's text means. Raise E402, naming the setting and never the value.

    >>> reveal("hunter22", "daemon.rpc.token", {})
    'hunter22'
    """
    kind, colon, rest = text.partition(":")
    if colon and kind == "file":
        return _read(Path(rest).expanduser(), setting, 0o077)
    if colon and kind == "credential":
        directory = environment.get("CREDENTIALS_DIRECTORY", "")
        if not directory or not _CREDENTIAL.fullmatch(rest):
            message = f"{setting} names a systemd credential, but systemd passed none of that name"
            raise SigcError(Diagnostic("E402", message, hint=f"put LoadCredential={rest}:/path into the unit"))
        return _read(Path(directory) / rest, setting, 0o037)  # systemd lets root's group read it
    return text


def _read(path: Path, setting: str, forbidden: int) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as failure:
        raise SigcError(Diagnostic("E402", f"{path} ({setting}) can't be read: {failure.strerror}")) from failure
    with os.fdopen(descriptor, "rb") as source:
        # Of the open file, so that it can't be swapped between check and use.
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & forbidden:
            message = f"the secret in {path} ({setting}) can be read by others"
            raise SigcError(Diagnostic("E402", message, hint=f"chmod 600 {path}, and replace the secret in it"))
        content = source.read(_MOST_BYTES + 1)
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise SigcError(Diagnostic("E402", f"{path} ({setting}) is not UTF-8 text")) from None


def is_secret_name(name: str) -> bool:
    """Return True if a setting of this name must not be shown.

    >>> [is_secret_name(name) for name in ("api_key", "DB_PASSWORD", "base_url", "keyboard")]
    [True, True, False, False]
    """
    return _NAME.search(name) is not None


def passwords_of(text: str) -> list[str]:
    """Return the passwords of the URLs in a text.

    >>> passwords_of("https://ann:hunter22@host/prices.csv")
    ['hunter22']
    """
    return [match.group(2) for match in _URL_PASSWORD.finditer(text)] if "://" in text else []


def without_passwords(text: str) -> str:
    """Return the text with the passwords of its URLs removed.

    >>> without_passwords("can't reach https://ann:hunter22@host/prices.csv")
    "can't reach https://ann:**********@host/prices.csv"
    """
    return _URL_PASSWORD.sub(rf"\1:{HIDDEN}", text) if "://" in text else text


def without_url_secrets(text: str) -> str:
    """Return the text with passwords and queries of its URLs removed: a signed URL is a key to its target.

    >>> without_url_secrets("can't reach 'https://host/prices.csv?sig=hunter22&e=1'")
    "can't reach 'https://host/prices.csv?**********'"
    """
    return _URL_QUERY.sub(rf"\1{HIDDEN}", without_passwords(text)) if "://" in text else text


def secrets_of(data: Any, *, by_name: bool = True, is_named: bool = False) -> set[str]:
    """Return every secret text in plain data: passwords of URLs and, with by_name, values under a secret name.

    >>> sorted(secrets_of({"api_key": "hunter22", "url": "https://ann:hunter23@host", "retries": 3}))
    ['hunter22', 'hunter23']
    """
    match data:
        case Mapping():
            parts = ((value, is_named or (by_name and is_secret_name(str(key)))) for key, value in data.items())
        case list() | tuple():
            parts = ((value, is_named) for value in data)
        case str() if data:
            return {data} if is_named else set(passwords_of(data))
        case _:
            return set()
    return {text for part, named in parts for text in secrets_of(part, by_name=by_name, is_named=named)}


def hidden(data: Any, secrets: Iterable[str]) -> Any:
    """Return plain data with the secrets removed from every text.

    >>> hidden({"command": ["login", "--with=hunter22"], "retries": 3}, ["hunter22"])
    {'command': ['login', '--with=**********'], 'retries': 3}
    """
    # A secret that begins with another one must be replaced first, or its end would be left.
    longest_first = sorted(secrets, key=lambda text: (-len(text), text))
    return _hidden(data, longest_first)


def _hidden(data: Any, secrets: list[str]) -> Any:
    match data:
        case Mapping():
            return {key: _hidden(value, secrets) for key, value in data.items()}
        case list() | tuple():
            return [_hidden(value, secrets) for value in data]
        case str():
            for secret in secrets:
                data = data.replace(secret, HIDDEN)
    return data


def masked(text: str, *, by_name: bool = True) -> str:
    """Return the text of a file with its secrets blanked out, character by character: columns stay the same.

    by_name: of a configuration, where what follows a secret name is one; else passwords of URLs alone.

    >>> masked('rpc: {adress: a, token: hunter22}')
    'rpc: {adress: a, token: ********}'
    """

    def blank(match: re.Match[str]) -> str:
        name, colon, value = match.groups()
        return name + colon + ("*" * len(value) if is_secret_name(name) else value)

    text = _ENTRY.sub(blank, text) if by_name else text
    return _URL_PASSWORD.sub(lambda found: f"{found[1]}:{'*' * len(found[2])}", text)
