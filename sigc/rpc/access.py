"""Access control: tokens and their roles, the token file, host names, throttling of wrong tokens.

A token is at least 128 random bits, so no rate of guessing finds one; the limit on wrong tokens keeps noise out of
the log. It applies to wrong tokens only: another user of the machine must not lock the operator out by guessing.

The thin client reads the token file with this module, so the server's heavier imports are made where they are used.
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
    """A token by its digest; the text itself is kept nowhere."""

    name: str
    role: Role
    digest: bytes

    @classmethod
    def of(cls, name: str, text: str, role: Role) -> AccessToken:
        """Return the token of a text. Raise E402 if the text is empty, short, or has blanks."""
        _judge(name, text)
        return cls(name, role, _digest(text))


@dataclass(slots=True, eq=False)
class Access:
    """The valid tokens, and the host names (without ports) a caller may use for this server.

    tokens: a new tuple replaces the old one whole, from the next request on.
    """

    tokens: tuple[AccessToken, ...]
    hosts: frozenset[str]

    def token(self, header: str | None) -> AccessToken | None:
        """Return the token of an Authorization header, None if it is missing or wrong."""
        import hmac

        kind, _, text = (header or "").partition(" ")
        digest = _digest(text) if kind.lower() == "bearer" else b""
        # Every token is compared, each in constant time: the time tells nothing about a guess.
        matches = [token for token in self.tokens if hmac.compare_digest(token.digest, digest)]
        return matches[0] if matches else None

    def is_host(self, header: str | None) -> bool:
        """Return True if the Host header names this server, at any port: a tunnel may have its own.

        It stops DNS rebinding: a page of another site, whose name was made to point here, still sends that site's name.
        """
        match = _HOST.fullmatch((header or "").lower())
        return match is not None and match.group(1).strip("[]") in self.hosts


def hosts_of(host: str, more: Iterable[str] = ()) -> frozenset[str]:
    """Return the names of a server that listens on `host`: itself, this machine's own, and those configured."""
    return frozenset({host.lower(), "localhost", "127.0.0.1", "::1", *(name.lower() for name in more)})


def is_foreign(origin: str | None, site: str | None, host: str | None, scheme: str) -> bool:
    """Return True if a browser's Origin or Sec-Fetch-Site says that a page of another origin calls.

    >>> is_foreign(None, None, "localhost:5555", "http"), is_foreign("http://evil", None, "localhost:5555", "http")
    (False, True)
    """
    if site is not None and site.lower() not in ("same-origin", "none"):
        return True
    return origin is not None and origin.lower() != f"{scheme}://{(host or '').lower()}"


def read_token(path: Path) -> str:
    """Return the token in a file. Raise E402 if others may read the file or its token is invalid; FileNotFoundError."""
    # The mode is read from the open file, so the file can't be swapped between check and use.
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
    """Return the token in `directory`/rpc.token, made of 256 random bits if there is none. Raise E402.

    The file appears whole or not at all. Of several processes that make it at once, the first one wins.
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
            # A link fails if the name exists, a rename would replace it: so no process ever reads a token that is gone
            # a moment later.
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        return read_token(path)
    except OSError as failure:
        message = f"the token file {path} can't be written or read: {failure.strerror}"
        raise SigcError(Diagnostic("E402", message)) from failure


class Throttle:
    """The count of wrong tokens by peer. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float], most: int = 10, within_s: float = 60.0) -> None:
        self._clock, self._most, self._within_s = clock, most, within_s
        self._wrong: dict[str, deque[float]] = {}

    def is_over(self, peer: str) -> bool:
        """Count a wrong token of `peer`. Return True if the peer has reached its limit."""
        now = self._clock()
        times = self._wrong.pop(peer, deque())
        while times and times[0] <= now - self._within_s:
            times.popleft()
        is_over = len(times) >= self._most
        if not is_over:
            times.append(now)
        self._wrong[peer] = times  # re-inserted last, so that the longest silent peer is dropped first
        # Bounded memory, however many addresses call.
        while len(self._wrong) > _MOST_PEERS:
            self._wrong.pop(next(iter(self._wrong)))
        return is_over


def _digest(text: str) -> bytes:
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
