"""Servers that channels talk to: HTTP that answers as it is told, SMTP that keeps mails. Real sockets, in threads."""

from __future__ import annotations

import json
import socketserver
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hook:
    """What an HTTP server got, and how it answers: the next of `answers`, then 200.

    An answer: a status, a status with headers, or a function of the handler that answers by itself.
    """

    url: str = ""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: deque[int | tuple[int, dict[str, str]] | Callable[[BaseHTTPRequestHandler], None]] = field(
        default_factory=deque
    )
    body: bytes = b'{"ok": true}'
    taken: list[Any] = field(default_factory=list)  # bodies that were answered by 2xx

    def bodies(self) -> list[Any]:
        """Every body, as JSON."""
        return [json.loads(body) for _, _, body in self.got]


@contextmanager
def hook(port: int = 0) -> Iterator[Hook]:
    """An HTTP server on a free port (or that one)."""
    told = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.got.append((self.path, dict(self.headers), body))
            answer = told.answers.popleft() if told.answers else 200
            if callable(answer):
                answer(self)
                return
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            if status < 300:
                told.taken.append(json.loads(body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        told.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Mailbox:
    """Mails that an SMTP server took. refuses: what it answers to RCPT instead."""

    port: int = 0
    mails: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    refuses: str = ""


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """An SMTP server without encryption."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 test")
            while raw := self.rfile.readline():
                line = raw.decode().strip()
                box.commands.append(line)
                word = line.partition(" ")[0].upper()
                if word == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (raw := self.rfile.readline()) not in (b".\r\n", b""):
                        lines.append(raw.decode())
                    box.mails.append("".join(lines))
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                elif word == "RCPT" and box.refuses:
                    self.say(box.refuses)
                else:
                    self.say("250 ok")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()
