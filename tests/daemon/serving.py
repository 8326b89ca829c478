"""A server of a few verbs on a real socket, its loop in a thread of this process, and requests without a client."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from sigc.errors import Diagnostic, SigcError, Span
from sigc.host.ports import Port, listen
from sigc.rpc.access import Access, AccessToken, hosts_of
from sigc.rpc.dispatch import CallRecord, Hooks
from sigc.rpc.schema import Bounds, Name
from sigc.rpc.server import RequestLimits, RpcServer
from sigc.rpc.verb import Nothing, Role, Verb, VerbCall, by_route, verb

PATIENCE_S = 60.0
TOKENS = {role: f"{role}-token-0123456789abcdef" for role in Role}


@dataclass
class Book:
    """The state that the verbs are about, and what its hooks were told."""

    changes: list[str] = field(default_factory=list)
    audit: list[CallRecord] = field(default_factory=list)
    seen: list[tuple[str, float]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    gate: str = ""
    is_audit_broken: bool = False
    begun: threading.Event = field(default_factory=threading.Event)
    stream_ended: threading.Event = field(default_factory=threading.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    next_event: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Show:
    last: Annotated[int, Bounds(1, 100)] = 10
    strategies: tuple[Name, ...] = ()
    full: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    strategy: Name | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Paused:
    strategy: str | None
    times: int


@verb("status", "GET", Role.READ)
def status(call: VerbCall[Book], request: Nothing) -> Mapping[str, Any]:
    """How it is."""
    return {"changes": len(call.daemon.changes), "who": call.who, "role": call.role, "token": call.token}


@verb("runs/list", "GET", Role.READ)
async def runs(call: VerbCall[Book], request: Show) -> Show:
    """The runs: here, what was asked for."""
    return request


@verb("pause", "POST", Role.OPERATE)
async def pause(call: VerbCall[Book], request: Pause) -> Paused:
    """Pause a strategy."""
    call.daemon.changes.append("pause")
    return Paused(request.strategy, call.daemon.changes.count("pause"))


@verb("kill", "POST", Role.TRADE, is_urgent=True)
def kill(call: VerbCall[Book], request: Nothing) -> Nothing:
    """Stop trading, whatever else is broken."""
    call.daemon.changes.append("kill")
    return Nothing()


@verb("slow", "POST", Role.OPERATE, timeout_s=0.01)
async def slow(call: VerbCall[Book], request: Nothing) -> Paused:
    """Takes longer than its time limit."""
    call.daemon.begun.set()
    await call.daemon.go.wait()
    call.daemon.changes.append("slow")
    return Paused("slow", call.daemon.changes.count("slow"))


@verb("fail", "POST", Role.OPERATE)
def fail(call: VerbCall[Book], request: Pause) -> Nothing:
    """Fails as its request says."""
    match request.reason:
        case "refused":
            raise SigcError(Diagnostic("E901", "it is paused"))
        case "source":
            raise SigcError(Diagnostic("E002", "unknown name 'x'", Span("m.sig", 1, 2, 3)))
        case _:
            raise RuntimeError("a secret of the inside")


@verb("watch", "GET", Role.READ)
async def watch(call: VerbCall[Book], request: Show) -> AsyncIterator[Paused]:
    """Events, one by one."""
    try:
        for number in range(request.last):
            yield Paused("watched", number)
            if number == 1:
                await call.daemon.next_event.wait()
        raise SigcError(Diagnostic("E901", "that is all"))
    finally:
        call.daemon.stream_ended.set()


VERBS: tuple[Verb[Book], ...] = by_route([status, runs, pause, kill, slow, fail, watch])


@dataclass
class Served:
    """A server that runs: where, about what, and its loop."""

    host: str
    port: int
    book: Book
    server: RpcServer[Book]
    loop: asyncio.AbstractEventLoop

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def request(
        self, method: str, path: str, body: bytes | None = None, role: Role | None = Role.TRADE, **headers: str
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        """Status, JSON and headers of one request. A header's underscores are dashes; an empty one is left out."""
        token = {"Authorization": f"Bearer {TOKENS[role]}"} if role is not None else {}
        given = {"Content-Type": "application/json"} if body is not None else {}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**token, **given, **more}.items() if value}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None, response.headers
        finally:
            connection.close()

    def call(self, method: str, name: str, fields: object = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a call that is well made."""
        body = None if method == "GET" else json.dumps(fields or {}).encode()
        found, reply, _ = self.request(method, f"/v1/{name}", body, Role.TRADE, **headers)
        return found, reply

    def in_loop(self, what: Any) -> Any:
        """The result of a coroutine, run by the server's loop."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(PATIENCE_S)

    def set(self, event: asyncio.Event) -> None:
        """Set an event of the loop from here."""
        self.loop.call_soon_threadsafe(event.set)


@contextmanager
def served(limits: RequestLimits | None = None) -> Iterator[Served]:
    """A server while the block runs."""
    book = Book()

    async def audit(entry: CallRecord) -> None:
        if book.is_audit_broken:
            raise OSError("the disk is full")
        book.audit.append(entry)

    hooks = Hooks(
        audit=audit,
        gate=lambda asked: book.gate if asked.method == "POST" else "",
        observe=lambda name, seconds: book.seen.append((name, seconds)),
        refused=book.refused.append,
    )
    tokens = tuple(AccessToken.of(role, text, role) for role, text in TOKENS.items())
    access = Access(tokens, hosts_of("127.0.0.1"))
    listening = listen(Port("daemon.rpc.address", "127.0.0.1", 0, True))
    port = listening.getsockname()[1]
    started: list[tuple[RpcServer[Book], asyncio.AbstractEventLoop]] = []
    is_up, is_done = threading.Event(), asyncio.Event()

    async def serve() -> None:
        server = RpcServer(book, VERBS, access, hooks, limits=limits)
        server.start([listening])
        started.append((server, asyncio.get_running_loop()))
        is_up.set()
        await is_done.wait()
        book.go.set()
        await server.stop(PATIENCE_S)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert is_up.wait(PATIENCE_S)
    server, loop = started[0]
    try:
        yield Served("127.0.0.1", port, book, server, loop)
    finally:
        loop.call_soon_threadsafe(is_done.set)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
