"""Redaction for the log: secret values, and characters that would make a text look like another one.

Secrets are registered by value when they are read; from then on they are removed from every logged text, wherever
they are: in a message, an argument, a traceback, a URL. Control characters (a line break that would begin a new
record, a terminal's escape sequence, a change of writing direction) are written out: `\\n`, `\\x1b`.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import unicodedata
import urllib.parse
from collections.abc import Iterable, Iterator

from sigc.config.secret import without_url_secrets

HIDDEN = "[secret]"
_SHORTEST_LINE = 8
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_PLAIN = re.compile(r"[ -~]*")


class Secrets:
    """The values that must not appear anywhere. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        """Hide `value` from now on, and the forms it takes inside other texts. '' hides nothing."""
        self.add_all((value,))

    def add_all(self, values: Iterable[str]) -> None:
        """Hide each value."""
        with self._lock:
            self._forms |= {form for value in values for form in _forms(value)}
            # Longest first: else of a secret that begins with another one the end would be left.
            longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def hide(self, text: str) -> str:
        """Return the text without the secrets, and without the password and query of any URL.

        >>> secrets = Secrets()
        >>> secrets.add("hunter22")
        >>> secrets.hide("login with hunter22 failed")
        'login with [secret] failed'
        """
        pattern = self._pattern
        return without_url_secrets(text if pattern is None else pattern.sub(HIDDEN, text))

    def __repr__(self) -> str:
        return f"Secrets({len(self._forms)} forms)"


def escape(text: str) -> str:
    """Return the text with every control and formatting character written out; a backslash stays as it is.

    >>> escape("a\\nb\\x1b[31m")
    'a\\\\nb\\\\x1b[31m'
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_written_out(c) if unicodedata.category(c) in _HIDDEN_CATEGORIES else c for c in text)


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _forms(value: str) -> Iterator[str]:
    """Yield the value, each longer line of it, and both as JSON, repr, a URL and base64 write them."""
    if not value:
        return
    lines = [line.strip() for line in value.splitlines() if len(line.strip()) >= _SHORTEST_LINE]
    # Long lines too: a log may show one line of a private key.
    for text in {value, value.strip(), *lines} - {""}:
        yield text
        yield json.dumps(text)[1:-1]
        yield repr(text)[1:-1]
        yield escape(text)
        yield urllib.parse.quote(text, safe="")
        yield urllib.parse.quote_plus(text)
        encoded = text.encode("utf-8", "surrogatepass")
        if len(encoded) >= _SHORTEST_LINE:
            yield base64.b64encode(encoded).decode().rstrip("=")
            yield base64.urlsafe_b64encode(encoded).decode().rstrip("=")
