"""An HTTP server at a port of this machine that answers what a test has written down, and notes what it was asked."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. body: bytes as they are, anything else as JSON. promised: a length that is not that of the body."""

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. params: of the query."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes


class ScriptedServer:
    """Answers in the order in which they were written down; without one more, 404."""

    def __init__(self) -> None:
        self.answers: deque[Said] = deque()
        self.asked: list[Asked] = []
        script = self

        class Handler(_Handler):
            server_of = script

        self._server = _Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def says(self, *answers: Said) -> None:
        self.answers.extend(answers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that the client broke is no news."""


class _Handler(BaseHTTPRequestHandler):
    server_of: ScriptedServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        script = self.server_of
        script.asked.append(Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, content))
        said = script.answers.popleft() if script.answers else Said(b"no such thing", 404)
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said.content) if said.promised is None else said.promised))
        self.end_headers()
        self.wfile.write(said.content)
        self.close_connection = said.promised is not None

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  # names of the base class
