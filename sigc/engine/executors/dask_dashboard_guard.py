"""Access control of Dask's own pages: browsers of this machine only, and no page of another site.

Dask serves its dashboard without a login, to any Host and Origin, so that a foreign page whose name resolves to this
machine could read it (DNS rebinding). On sigc's own cluster each HTTP server of Dask (scheduler, workers) is wrapped in
`DashboardGuard`: it refuses requests whose Host is not this machine, or that a page of another origin sends. Navigation
by a browser (a link, a frame of our own page) is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from typing import Any, cast

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?")
_OURS = frozenset({"localhost", "127.0.0.1", "::1"})


def is_refused(headers: Mapping[str, str], more: frozenset[str] = frozenset()) -> bool:
    """Return True if a request must be refused. headers: by lower-case name; more: allowed hosts beside loopback.

    >>> is_refused({"host": "127.0.0.1:8787"}), is_refused({"host": "evil.example"})
    (False, True)
    >>> is_refused({"host": "localhost:8787", "origin": "http://evil.example"})
    True
    """
    host = headers.get("host", "").lower()
    match = _HOST.fullmatch(host)
    if match is None or match.group(1).strip("[]") not in _OURS | more:
        return True
    origin = headers.get("origin", "").lower()
    if origin and origin not in (f"http://{host}", f"https://{host}"):
        return True
    site, mode = headers.get("sec-fetch-site", "none").lower(), headers.get("sec-fetch-mode", "")
    is_frame = mode == "navigate" and headers.get("sec-fetch-dest") in ("document", "iframe")
    is_near = site == "same-site" or headers.get("sec-fetch-dest") == "document"
    return site not in ("same-origin", "none") and not (is_frame and is_near)


class DashboardGuard(HTTPServerConnectionDelegate):
    """A wrapper of a server's application that checks each request."""

    def __init__(self, application: HTTPServerConnectionDelegate, hosts: frozenset[str] = frozenset()) -> None:
        self.application, self.hosts = application, hosts

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Check each request before the application sees it."""
        return _Visitor(self.application.start_request(server_conn, request_conn), request_conn, self.hosts)

    def on_close(self, server_conn: object) -> None:
        """Pass on that a connection closed."""
        self.application.on_close(server_conn)


class _Visitor(HTTPMessageDelegate):
    def __init__(self, inner: HTTPMessageDelegate, connection: HTTPConnection, hosts: frozenset[str]) -> None:
        self._inner, self._connection, self._hosts = inner, connection, hosts
        self._is_refused = False

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        found = {name.lower(): value for name, value in headers.items()}
        self._is_refused = is_refused(found, self._hosts)
        return None if self._is_refused else self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return None if self._is_refused else self._inner.data_received(chunk)

    def finish(self) -> None:
        if not self._is_refused:
            self._inner.finish()
            return
        body = b"pages of this machine only\n"
        said = {"Content-Type": "text/plain", "Content-Length": str(len(body)), "Connection": "close"}
        line = ResponseStartLine("HTTP/1.1", 403, "Forbidden")
        self._connection.write_headers(line, HTTPHeaders(said), body).add_done_callback(lambda done: done.exception())
        self._connection.finish()

    def on_connection_close(self) -> None:
        if not self._is_refused:
            self._inner.on_connection_close()


def guard(node: Any, hosts: frozenset[str] = frozenset()) -> None:
    """Wrap the HTTP server of a scheduler or worker in this process."""
    server = getattr(node, "http_server", None)
    if server is not None and not isinstance(server.request_callback, DashboardGuard):
        server.request_callback = DashboardGuard(cast(HTTPServerConnectionDelegate, server.request_callback), hosts)


class GuardScheduler(SchedulerPlugin):
    """A plugin that guards the scheduler."""

    name = "sigc-doors"

    def __init__(self, hosts: frozenset[str] = frozenset()) -> None:
        self.hosts = hosts

    async def start(self, scheduler: Any) -> None:
        """Guard the scheduler when the plugin is registered."""
        guard(scheduler, self.hosts)


class GuardWorker(WorkerPlugin):
    """A plugin that guards every worker, also those that join later."""

    name = "sigc-doors"

    def setup(self, worker: Any) -> None:
        """Guard the worker when it joins, or the plugin is registered."""
        guard(worker)
