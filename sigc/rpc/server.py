"""The HTTP server of the verbs: sockets and heads here, admission in `admission`, replies in `dispatch`.

    server = RpcServer(daemon, verbs, access, Hooks(audit=...))
    server.start([listen(port)])                 # refuses an address beyond this machine without TLS
    ...
    await server.stop(timeout_s=60)

One message at a time on a connection, all connections on the daemon's loop. A refused request is read to its end and
dropped: closing earlier would reset the connection, and the caller would lose the refusal.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from sigc import __version__
from sigc.errors import Diagnostic, SigcError
from sigc.rpc.access import Access, Throttle
from sigc.rpc.address import address_text, is_loopback
from sigc.rpc.admission import Granted, Guard, Head, Refusal
from sigc.rpc.dispatch import Dispatcher, Hooks, error_body
from sigc.rpc.idempotency import Replies, Reply
from sigc.rpc.openapi import document
from sigc.rpc.verb import Nothing, Role, Verb, VerbCall, by_route, verb

D = TypeVar("D")
_SECURITY = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
log = logging.getLogger("sigc.rpc")


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The limits of a caller: bytes, seconds, streams at once, wrong tokens a minute."""

    body_bytes: int = 1_000_000
    head_bytes: int = 16_384
    head_s: float = 60.0
    body_s: float = 20.0
    streams: int = 50
    heartbeat_s: float = 15.0
    wrong_tokens: int = 10


class RpcServer(Generic[D]):
    """The server of verbs about one daemon."""

    def __init__(
        self,
        daemon: D,
        verbs: Iterable[Verb[D]],
        access: Access,
        hooks: Hooks,
        *,
        limits: RequestLimits | None = None,
        replies: Replies | None = None,
    ) -> None:
        self.limits = limits or RequestLimits()
        described = _describing(verbs)
        throttle = Throttle(time.monotonic, self.limits.wrong_tokens)
        self.guard = Guard(described, access, throttle, self.limits.body_bytes)
        self.desk = Dispatcher(daemon, hooks, replies)
        self._servers: list[HTTPServer] = []
        self._exchanges: set[asyncio.Task[None]] = set()
        self._streams: set[asyncio.Task[None]] = set()

    def start(self, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None = None) -> None:
        """Serve on listening sockets, in the running loop. Raise E402 for an exposed address without TLS."""
        for listening in sockets:
            host, port = listening.getsockname()[:2]
            refuse_exposed(host, port, tls is not None)
        server = HTTPServer(
            _Door(self, "http" if tls is None else "https"),
            ssl_options=tls,
            max_header_size=self.limits.head_bytes,
            # Twice our limit: up to there we reply 413 ourselves, beyond it tornado closes the connection.
            max_body_size=2 * self.limits.body_bytes,
            idle_connection_timeout=self.limits.head_s,
            body_timeout=self.limits.body_s,
        )
        server.add_sockets(sockets)
        self._servers.append(server)

    async def stop(self, timeout_s: float) -> bool:
        """Accept nothing new, wait for calls under way, close. Return True if all of them ended within the time."""
        for server in self._servers:
            server.stop()
        for stream in self._streams:
            # A stream may have no end of its own.
            stream.cancel()
        end = time.monotonic() + timeout_s
        is_done = await self.desk.finish(timeout_s)
        if self._exchanges:  # replies of finished calls must be sent too
            await asyncio.wait(self._exchanges, timeout=max(0.0, end - time.monotonic()))
        for server in self._servers:
            await server.close_all_connections()
        self._servers.clear()
        return is_done

    def begin(self, exchange: _Exchange) -> None:
        """Answer a complete request in a task of its own."""
        task = asyncio.get_running_loop().create_task(exchange.answer())
        granted = exchange.judged
        is_stream = isinstance(granted, Granted) and granted.verb.is_stream
        kept = self._streams if is_stream else self._exchanges
        kept.add(task)
        task.add_done_callback(kept.discard)
        exchange.task = task

    @property
    def has_room(self) -> bool:
        """Return True if one more stream may begin; the one that asks is already counted."""
        return len(self._streams) <= self.limits.streams


def refuse_exposed(host: str, port: int, has_tls: bool, setting: str = "daemon.rpc.address") -> None:
    """Raise E402 if other machines could read tokens off the wire."""
    if not has_tls and not is_loopback(host):
        where = address_text(host, port)
        message = f"{setting} {where} can be reached from other machines, so it needs TLS"
        section = setting.rpartition(".")[0]
        raise SigcError(Diagnostic("E402", message, hint=f"set {section}.tls, or listen on 127.0.0.1"))


def _describing(verbs: Iterable[Verb[D]]) -> tuple[Verb[D], ...]:
    """Return the verbs and one that describes them all."""

    @verb("openapi", "GET", Role.READ)
    def openapi(call: VerbCall[D], request: Nothing) -> Mapping[str, Any]:  # noqa: ARG001
        """Return the OpenAPI document of all verbs."""
        return described

    every: tuple[Verb[D], ...] = by_route([*verbs, openapi])
    described = document(every, __version__)
    return every


class _Door(HTTPServerConnectionDelegate):
    """The delegate that makes an exchange of each request."""

    def __init__(self, server: RpcServer[Any], scheme: str) -> None:
        self._server, self._scheme = server, scheme

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:  # noqa: ARG002
        return _Exchange(self._server, self._scheme, cast(HTTP1Connection, request_conn))


class _Exchange(HTTPMessageDelegate):
    """One request and its reply."""

    def __init__(self, server: RpcServer[Any], scheme: str, connection: HTTP1Connection) -> None:
        self._server, self._scheme, self._connection = server, scheme, connection
        self._body = bytearray()
        self._query = ""
        self._head = Head("", "", {}, scheme, "")
        self.judged: Granted | Refusal = Refusal(400, "no request")
        self.task: asyncio.Task[None] | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Judge the head."""
        if isinstance(start_line, RequestStartLine):
            path, _, self._query = start_line.path.partition("?")
            context: Any = getattr(self._connection, "context", None)
            found = {name.lower(): value for name, value in headers.items()}
            peer = str(getattr(context, "remote_ip", ""))
            self._head = Head(start_line.method, path, found, self._scheme, peer)
            self.judged = self._server.guard.judge(self._head)
            if isinstance(self.judged, Refusal) and self.judged.status == 413:
                self._server.begin(self)
                return self.task  # answered now: tornado reads no body before this task is done
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a piece of the body if the head was admitted and the limit is not reached."""
        if isinstance(self.judged, Granted):
            self._body += chunk
            if len(self._body) > self._server.limits.body_bytes:
                self._body.clear()
                most = self._server.limits.body_bytes
                self.judged = Refusal(413, f"a request has at most {most} bytes", token=self.judged.token.name)
        return None

    def finish(self) -> None:
        """Begin the reply: the request is complete."""
        if self.task is None:
            self._connection.set_close_callback(self.on_connection_close)
            self._server.begin(self)

    def on_connection_close(self) -> None:
        """End a stream whose caller is gone; other work goes on."""
        if self.task is not None and isinstance(self.judged, Granted) and self.judged.verb.is_stream:
            self.task.cancel()

    async def answer(self) -> None:
        """Send the reply, whatever happens on the way."""
        with contextlib.suppress(StreamClosedError):
            match self.judged:
                case Refusal(status, message, headers, token):
                    await self._server.desk.refuse(token, self._head, status, message)
                    self._write(status, error_body(message), headers)
                case Granted() as granted if granted.verb.is_stream:
                    await self._stream(granted)
                case Granted() as granted:
                    reply = await self._server.desk.answer(granted, self._head, self._query, bytes(self._body))
                    self._write(reply.status, reply.body)

    def _write(self, status: int, body: bytes, more: Mapping[str, str] | None = None) -> None:
        headers = _headers({"Content-Type": "application/json", "Content-Length": str(len(body)), **(more or {})})
        body = b"" if self._head.method == "HEAD" else body
        # The future's error is read and dropped: it only says that the caller is gone.
        self._connection.write_headers(_line(status), headers, body).add_done_callback(lambda done: done.exception())
        self._connection.finish()

    async def _stream(self, granted: Granted) -> None:
        if not self._server.has_room:
            self._write(503, error_body("too many streams are open"))
            return
        events = self._server.desk.stream(granted, self._head, self._query)
        if isinstance(events, Reply):
            self._write(events.status, events.body)
            return
        try:
            await self._connection.write_headers(_line(200), _headers({"Content-Type": "text/event-stream"}))
            async with contextlib.aclosing(_with_heartbeat(events, self._server)) as paced:
                async for event in paced:
                    await self._connection.write(event)
        except SigcError as error:
            await self._connection.write(b"event: error\ndata: " + error_body(str(error)) + b"\n\n")
        except (StreamClosedError, asyncio.CancelledError):
            pass
        except Exception:
            log.exception("stream failed", extra={"verb": granted.verb.name})
            await self._connection.write(b"event: error\ndata: " + error_body("the stream failed") + b"\n\n")
        finally:
            self._connection.finish()


async def _with_heartbeat(events: AsyncIterator[Any], server: RpcServer[Any]) -> AsyncGenerator[bytes, None]:
    """Yield each event as bytes, and a comment if none came for a while, so that a gone caller is noticed."""
    upcoming: asyncio.Task[Any] | None = None
    try:
        while True:
            # Kept over a heartbeat: cancelling `anext` would end the generator and lose the event.
            upcoming = upcoming or asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait([upcoming], timeout=server.limits.heartbeat_s)
            if not done:
                yield b": still here\n\n"
                continue
            try:
                event = upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = None
            yield b"data: " + server.desk.said(event) + b"\n\n"
    finally:
        if upcoming is not None and not upcoming.done():
            upcoming.cancel()
            await asyncio.wait([upcoming])
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


def _line(status: int) -> ResponseStartLine:
    return ResponseStartLine("HTTP/1.1", status, http.HTTPStatus(status).phrase)


def _headers(fields: Mapping[str, str]) -> HTTPHeaders:
    return HTTPHeaders({**_SECURITY, **fields})
