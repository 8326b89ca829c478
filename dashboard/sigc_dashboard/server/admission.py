"""Admission of requests, and the headers of replies: every request is judged before a handler sees it.

    Host not ours                                  403
    Origin not exactly ours, or a browser says
    that a page of another site asks               403, but a link that a person followed: `is_followed`
    a path that is none of ours                    404

Every answer carries headers that keep it in its place: nothing from other hosts, in no frame of others, not cached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from sigc.rpc.access import Access, hosts_of

_STATIC = re.compile(r"/static/js/bokeh(-[a-z]+)?\.min\.js|/assets/[a-z_]+\.(css|js|svg)|/favicon\.ico")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The head of a request."""

    method: str
    path: str
    headers: Mapping[str, str]
    scheme: str


@dataclass(frozen=True, slots=True)
class RequestGate:
    """Admission of requests. names: of the views. origins: further origins of the page, such as
    https://sigc.example.com.
    """

    access: Access
    origins: frozenset[str]
    names: frozenset[str]

    @classmethod
    def of(cls, host: str, origins: Iterable[str], names: Iterable[str]) -> RequestGate:
        """Return the gate of a page that listens on `host`."""
        more = frozenset(origin.lower().rstrip("/") for origin in origins)
        hosts = hosts_of(host, (urlsplit(origin).hostname or "" for origin in more))
        return cls(Access((), hosts), more, frozenset(names))

    def refusal(self, asked: RequestHead) -> tuple[int, str] | None:
        """Return status and words of a refusal, None for a request that may come in."""
        host = asked.headers.get("host", "")
        if not self.access.is_host(host):
            return 403, "the Host header does not name this page (daemon.dashboard.origins)"
        if self.is_foreign(asked) and not self.is_followed(asked):
            return 403, "pages of another origin get nothing here"
        if not self._is_route(asked.path):
            return 404, "there is no such page"
        return None

    def is_foreign(self, asked: RequestHead) -> bool:
        """Return True if the browser says that a page of another origin asks."""
        origin, site = asked.headers.get("origin"), asked.headers.get("sec-fetch-site", "none").lower()
        if origin is not None and origin.lower() not in self.origins | {self._own(asked)}:
            return True
        return site not in ("same-origin", "none")

    def is_followed(self, asked: RequestHead) -> bool:
        """Return True if a person followed a link from another site to one of our views: that site learns nothing
        of it.
        """
        headers = asked.headers
        is_view = asked.path.strip("/") in self.names | {""}
        is_navigation = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return asked.method == "GET" and is_view and is_navigation and "origin" not in headers

    def _own(self, asked: RequestHead) -> str:
        return f"{asked.scheme}://{asked.headers.get('host', '').lower()}"

    def _is_route(self, path: str) -> bool:
        first, _, rest = path[1:].partition("/")
        is_view = first in self.names and rest in ("", "ws")
        return is_view or path in ("/", "/login", "/logout", "/do", "/alive") or _STATIC.fullmatch(path) is not None


LOOPBACK_FRAMES = ("http://127.0.0.1:*", "http://localhost:*")  # where Dask's own pages are


def headers_of(asked: RequestHead, frames: Iterable[str]) -> Mapping[str, str]:
    """Return the headers of every reply. frames: origins that may be shown in a frame (Dask's own pages).

    Styles are inline in Bokeh's components; scripts never are.
    """
    host = asked.headers.get("host", "")
    socket = f"{'wss' if asked.scheme == 'https' else 'ws'}://{host}" if re.fullmatch(r"[\w.:\[\]-]+", host) else ""
    shown = " ".join(sorted(frames))
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        f"connect-src 'self' {socket}; frame-src {shown or chr(39) + 'none' + chr(39)}; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'self'"
    )
    found = {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",  # with no-referrer our own forms would come from the origin `null`
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }
    if _STATIC.fullmatch(asked.path):
        found["Cache-Control"] = "no-cache"  # kept, and asked for again each time: a new version has the same name
    if asked.scheme == "https":
        found["Strict-Transport-Security"] = "max-age=31536000"
    return found
