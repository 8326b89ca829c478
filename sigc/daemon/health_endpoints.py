"""Plain HTTP pages without a token: /health, /live, /ready, /metrics. They are read-only and show nothing secret.

On a loopback address the Host header must name this machine, so that no web page reads them through a browser (DNS
rebinding); on other addresses whoever reaches the port may read.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine

from sigc.rpc.access import Access, hosts_of
from sigc.rpc.address import is_loopback

JSON = "application/json"
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class EndpointReply:
    """The reply of a page."""

    status: int
    kind: str
    body: bytes


Pages = Mapping[str, Callable[[], EndpointReply]]


def as_json(status: int, value: Any) -> EndpointReply:
    """Return a JSON page."""
    return EndpointReply(status, JSON, json.dumps(value, sort_keys=True).encode() + b"\n")


class PageServer:
    """An HTTP server of pages by path."""

    def __init__(self, pages: Pages, hosts: Sequence[str] = ()) -> None:
        self._pages = pages
        self._access = Access((), hosts_of("localhost", hosts))
        self._is_local = True
        self._server: HTTPServer | None = None

    def start(self, listening: socket.socket) -> None:
        """Serve on a listening socket, in the running loop."""
        self._is_local = is_loopback(listening.getsockname()[0])
        self._server = HTTPServer(
            self._answer, max_header_size=2 * _MOST_BYTES, max_body_size=_MOST_BYTES, idle_connection_timeout=60
        )
        self._server.add_sockets([listening])

    async def stop(self) -> None:
        """Close every connection and accept no new one."""
        if self._server is not None:
            self._server.stop()
            await self._server.close_all_connections()

    def _answer(self, request: HTTPServerRequest) -> None:
        page = self._page(request)
        headers = {"Content-Type": page.kind, "Content-Length": str(len(page.body))}
        headers |= {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if page.status == 405:
            headers["Allow"] = "GET, HEAD"
        connection = request.connection
        if connection is None:
            return
        body = b"" if request.method == "HEAD" else page.body
        line = ResponseStartLine("HTTP/1.1", page.status, "")
        connection.write_headers(line, HTTPHeaders(headers), body).add_done_callback(lambda done: done.exception())
        connection.finish()

    def _page(self, request: HTTPServerRequest) -> EndpointReply:
        if self._is_local and not self._access.is_host(request.headers.get("Host")):
            return _text(403, "the Host header does not name this machine")
        page = self._pages.get(request.path or "")
        if page is None:
            return _text(404, "there is no such page")
        if request.method not in ("GET", "HEAD"):
            return _text(405, "this page is only read")
        return page()


def _text(status: int, text: str) -> EndpointReply:
    return EndpointReply(status, "text/plain; charset=utf-8", text.encode() + b"\n")
