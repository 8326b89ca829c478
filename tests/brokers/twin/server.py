"""The twin over real sockets: keys, a limit on requests, and the ways in which a connection fails."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sigc_pipelines.brokers.faulty import OF_SUBMIT, Fault, Faults
from tests.brokers.twin.api import answer
from tests.brokers.twin.book import TwinAccount

KEYS = ("PKTWIN", "not a secret")


class TwinServer:
    """An account behind a port. faults: rates; `fail_next` makes a request fail for certain."""

    def __init__(self, account: TwinAccount, *, per_minute: int = 1_000_000, port: int = 0) -> None:
        self.account, self.per_minute = account, per_minute
        self.faults, self.random = Faults(), random.Random(0)
        self.planned: deque[Fault] = deque()
        self.late: list[tuple[datetime, Mapping[str, Any]]] = []
        self.seen: list[tuple[str, str]] = []  # method and path of each request
        self._times: deque[float] = deque()
        self._connections: set[socket.socket] = set()
        self._turn = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.port = port
        self.listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def listen(self) -> None:
        """Begin to take connections, at the same port as before."""
        if self._server is None:
            twin = self

            class Handler(_Handler):
                server_of = twin

            self._server = _Listener(("127.0.0.1", self.port), Handler)
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def hang_up(self) -> None:
        """Take no connection any more, and drop those that are there."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        with self._turn:
            for connection in self._connections:
                _reset(connection)
            self._connections.clear()

    def deliver(self) -> None:
        """Take the orders that were on their way."""
        due = [body for at, body in self.late if at <= self.account.now()]
        self.late = [(at, body) for at, body in self.late if at > self.account.now()]
        for body in due:
            self.account.submit(body)

    def fault(self, method: str) -> Fault | None:
        """The way in which this request fails."""
        with self._turn:
            is_submit = method == "POST"
            for planned in self.planned:
                if (planned in OF_SUBMIT) is is_submit:
                    self.planned.remove(planned)
                    return planned
            draw = self.random.random()
            if is_submit:
                return self.faults.of_submit(draw)
            return Fault.UNREACHABLE if draw < self.faults.unreachable else None

    def is_over(self) -> bool:
        """One request more; whether it is one too many."""
        with self._turn:
            now = time.monotonic()
            while self._times and self._times[0] < now - 60:
                self._times.popleft()
            if len(self._times) >= self.per_minute:
                return True
            self._times.append(now)
            return False

    def left(self) -> int:
        return max(0, self.per_minute - len(self._times))

    def joined(self, connection: socket.socket) -> None:
        with self._turn:
            self._connections.add(connection)

    def left_by(self, connection: socket.socket) -> None:
        with self._turn:
            self._connections.discard(connection)


class _Listener(ThreadingHTTPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that we or the client broke is no news."""


class _Handler(BaseHTTPRequestHandler):
    server_of: TwinServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server_of.joined(self.connection)

    def finish(self) -> None:
        self.server_of.left_by(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_DELETE(self) -> None:
        self._handle("DELETE")

    def _handle(self, method: str) -> None:
        twin, parts = self.server_of, urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
        twin.seen.append((method, parts.path))
        twin.deliver()
        if (self.headers.get("APCA-API-KEY-ID"), self.headers.get("APCA-API-SECRET-KEY")) != KEYS:
            return self._say(401, {"message": "unauthorized."})
        if twin.is_over():
            return self._say(429, {"code": 42910000, "message": "rate limit exceeded"})
        fault = twin.fault(method)
        match fault:
            case Fault.THROTTLED:
                return self._say(429, {"code": 42910000, "message": "rate limit exceeded"})
            case Fault.BLOCKED:
                with twin.account.turn:
                    twin.account.trading_blocked = True
                    status, said = twin.account.submit(body)
                    twin.account.trading_blocked = False
                return self._say(status, said)
            case Fault.LOST:
                return self._break()
            case Fault.LATE:
                due = twin.account.now() + timedelta(seconds=twin.faults.late_s)
                twin.late.append((due, body))
                return self._say(504, "<html>504 Gateway Time-out</html>")
            case Fault.UNREACHABLE if method == "GET":
                return self._say(503, "<html>503</html>") if twin.random.random() < 0.5 else self._break()
        status, said = answer(twin.account, method, parts.path, dict(parse_qsl(parts.query)), body)
        if fault is None:
            return self._say(status, said)
        # The order is taken, or the cancel done, and no answer comes.
        return self._say(504, "<html>504 Gateway Time-out</html>") if twin.random.random() < 0.5 else self._break()

    def _say(self, status: int, said: Any) -> None:
        content = b"" if said is None else (said if isinstance(said, str) else json.dumps(said)).encode()
        twin = self.server_of
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.send_header("X-RateLimit-Limit", str(twin.per_minute))
        self.send_header("X-RateLimit-Remaining", str(twin.left()))
        self.send_header("X-RateLimit-Reset", str(int(time.time()) + 2))
        self.end_headers()
        self.wfile.write(content)

    def _break(self) -> None:
        self.close_connection = True
        _reset(self.connection)


def _reset(connection: socket.socket) -> None:
    """Close a connection so that the other side is told of a reset."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    except OSError:
        pass
