"""Who may call: tokens and their roles, the token file, host names, wrong guesses.

A token is at least 128 random bits, so no rate of guessing finds one; the limit on wrong tokens keeps noise out of
the log. It answers wrong tokens only: whoever sits on the same machine must not lock the operator out by guessing.

The thin client reads the token file from here: what only the server needs is imported where it is used.
"""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sigc.errors import Diagnostic, SigcError
from sigc.rpc.verb import Role

TOKEN_FILE = "rpc.token"  # noqa: S105 -- its name
_SHORTEST = 16
_TOKEN = re.compile(r"[!-~]+")
_MOST_PEERS = 10_000
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token by its digest: the text itself is kept nowhere."""

    name: str
    role: Role
    digest: bytes

    @classmethod
    def of(cls, name: str, text: str, role: Role) -> AccessToken:
        """Raises E402 for a text that is empty, short, or not plain."""
        _judge(name, text)
        return cls(name, role, _digest(text))


@dataclass(slots=True, eq=False)
class Access:
    """The tokens, and the host names a caller may know us by (without ports).

    tokens: those that count now; others put in their place count from the next request on, all at once.
    """

    tokens: tuple[AccessToken, ...]
    hosts: frozenset[str]

    def token(self, header: str | None) -> AccessToken | None:
        """The token of an Authorization header. Every token is compared, in constant time."""
        import hmac

        kind, _, text = (header or "").partition(" ")
        digest = _digest(text) if kind.lower() == "bearer" else b""
        matches = [token for token in self.tokens if hmac.compare_digest(token.digest, digest)]
        return matches[0] if matches else None

    def is_host(self, header: str | None) -> bool:
        """Whether the Host header names us, at any port: a tunnel may have its own.

        A page of another site whose name was made to point here still sends the name of that site.
        """
        match = _HOST.fullmatch((header or "").lower())
        return match is not None and match.group(1).strip("[]") in self.hosts


def hosts_of(host: str, more: Iterable[str] = ()) -> frozenset[str]:
    """The names of a server that listens on `host`: itself, this machine's own, and those configured."""
    return frozenset({host.lower(), "localhost", "127.0.0.1", "::1", *(name.lower() for name in more)})


def is_foreign(origin: str | None, site: str | None, host: str | None, scheme: str) -> bool:
    """Whether a browser says that a page of another origin asks: by Origin, or by Sec-Fetch-Site.

    >>> is_foreign(None, None, "localhost:5555", "http"), is_foreign("http://evil", None, "localhost:5555", "http")
    (False, True)
    """
    if site is not None and site.lower() not in ("same-origin", "none"):
        return True
    return origin is not None and origin.lower() != f"{scheme}://{(host or '').lower()}"


def read_token(path: Path) -> str:
    """The token in a file. Raises E402 when others may read it, or it is none; FileNotFoundError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "r", encoding="ascii", errors="replace") as source:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
            message = f"the token file {path} can be read by others"
            raise SigcError(Diagnostic("E402", message, hint=f"chmod 600 {path}, and replace the token in it"))
        text = source.read(4096).strip()
    _judge(str(path), text)
    return text


def _judge(name: str, text: str) -> None:
    if len(text) < _SHORTEST or not _TOKEN.fullmatch(text):
        message = f"the token '{name}' of daemon.rpc is empty, shorter than {_SHORTEST} characters, or has blanks"
        hint = "unset, a token is made in the work directory; or make one by `openssl rand -hex 32`"
        raise SigcError(Diagnostic("E402", message, hint=hint))


def make_token(directory: Path) -> str:
    """The token in `directory`/rpc.token, made of 256 random bits when there is none. Raises E402.

    The file appears whole or not at all, under its name for the first of several that make it at once.
    """
    import secrets

    path = directory / TOKEN_FILE
    temporary = directory / f".{TOKEN_FILE}.{secrets.token_hex(8)}"
    try:
        if not path.exists():
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as out:
                out.write(secrets.token_urlsafe(32) + "\n")
                out.flush()
                os.fsync(descriptor)
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        return read_token(path)
    except OSError as failure:
        message = f"the token file {path} can't be made or read: {failure.strerror}"
        raise SigcError(Diagnostic("E402", message)) from failure


class Throttle:
    """Counts wrong tokens by peer; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float], most: int = 10, within_s: float = 60.0) -> None:
        self._clock, self._most, self._within_s = clock, most, within_s
        self._wrong: dict[str, deque[float]] = {}

    def is_over(self, peer: str) -> bool:
        """Count a wrong token of `peer`; whether it had as many as it may already."""
        now = self._clock()
        times = self._wrong.pop(peer, deque())
        while times and times[0] <= now - self._within_s:
            times.popleft()
        is_over = len(times) >= self._most
        if not is_over:
            times.append(now)
        self._wrong[peer] = times  # the latest last
        while len(self._wrong) > _MOST_PEERS:
            self._wrong.pop(next(iter(self._wrong)))
        return is_over


def _digest(text: str) -> bytes:
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
