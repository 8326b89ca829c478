"""A minimal HTTP/1.1 client over one connection: all that the thin client needs.

The standard library's client imports email and ssl, which takes a command longer than its whole call. Here ssl is
imported only for an address that has a certificate.

    connection = Connection(host, port, timeout_s, tls)
    connection.send("GET", "/v1/status", b"", headers)
    answer = connection.answer()            status, then answer.read(most) or answer.lines()
"""

from __future__ import annotations

import socket
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from io import BufferedReader

_MOST_LINE = 65_536
_MOST_HEADERS = 200
_PIECE = 65_536


class WireError(Exception):
    """The error that a reply is not HTTP, or too large."""


class BrokenOffError(WireError):
    """The error that a reply ends too early."""


class DisconnectedError(ConnectionResetError):
    """The error that the other side closed the connection without a reply."""


class WireResponse:
    """A reply. Its body can be read once, whole or by lines."""

    def __init__(self, connection: Connection, source: BufferedReader) -> None:
        self._connection, self._source = connection, source
        self.status, headers = _head(source)
        self._is_last = headers.get("connection", "").lower() == "close"
        self._is_chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        self._length = None if self._is_chunked else _length(headers)

    def read(self, most: int) -> bytes:
        """Return the whole body. Raise WireError for more than `most` bytes."""
        pieces, size = [], 0
        for piece in self._pieces():
            size += len(piece)
            if size > most:
                self._connection.close()
                raise WireError("its reply is too large")
            pieces.append(piece)
        return b"".join(pieces)

    def lines(self) -> Generator[bytes, None, None]:
        """Yield the body's lines as they come, each with its newline, until it ends or breaks off."""
        rest = b""
        try:
            for piece in self._pieces():
                *whole, rest = (rest + piece).split(b"\n")
                if len(rest) > _MOST_LINE * 1000:
                    raise WireError("a line is too long")
                for line in whole:
                    yield line + b"\n"
            if rest:
                yield rest
        except BrokenOffError:
            self._connection.close()
        except GeneratorExit:
            self._connection.close()  # the rest of the body must not be read as the next reply
            raise

    def _pieces(self) -> Iterator[bytes]:
        if self._is_chunked:
            yield from self._chunks()
        elif self._length is None:
            self._is_last = True
            while piece := self._source.read1(_PIECE):
                yield piece
        else:
            yield from self._exactly(self._length)
        if self._is_last:
            self._connection.close()

    def _chunks(self) -> Iterator[bytes]:
        while True:
            text = _line(self._source).split(b";")[0].strip()
            try:
                size = int(text, 16)
            except ValueError:
                raise WireError("a piece of its reply has no size") from None
            if size == 0:
                while _line(self._source).strip():
                    pass
                return
            yield from self._exactly(size)
            _line(self._source)

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size > 0:
            piece = self._source.read1(min(size, _PIECE))
            if not piece:
                raise BrokenOffError("its reply breaks off")
            size -= len(piece)
            yield piece


class Connection:
    """One connection: opened on demand, and reopened after it was closed."""

    def __init__(self, host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
        self._host, self._port, self._timeout_s, self._tls = host, port, timeout_s, tls
        self._socket: socket.socket | None = None
        self._source: BufferedReader | None = None

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a request. Raise OSError, WireError."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._named()}", "Accept-Encoding: identity"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method != "GET":
            lines.append(f"Content-Length: {len(body)}")
        # A value with a line break could smuggle in a header.
        if any("\r" in line or "\n" in line for line in lines):
            raise WireError("a header has a line break")
        self._opened().sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def answer(self) -> WireResponse:
        """Return the reply to the last request. Raise DisconnectedError, OSError, WireError."""
        if self._source is None:
            raise DisconnectedError("nothing was sent")
        return WireResponse(self, self._source)

    def close(self) -> None:
        """Close the connection."""
        for one in (self._source, self._socket):
            if one is not None:
                one.close()
        self._socket = self._source = None

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raw = socket.create_connection((self._host, self._port), self._timeout_s)
            try:
                # Head and body are sent in one write: waiting to fill a packet would only delay it.
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket = raw if self._tls is None else self._tls.wrap_socket(raw, server_hostname=self._host)
            except BaseException:
                raw.close()
                raise
            self._source = self._socket.makefile("rb")
        return self._socket

    def _named(self) -> str:
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"


def _head(source: BufferedReader) -> tuple[int, dict[str, str]]:
    while True:
        first = source.readline(_MOST_LINE)
        if not first:
            raise DisconnectedError("the connection was closed without an answer")
        version, _, rest = first.decode("latin-1").partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
            raise WireError("the server does not speak HTTP")
        headers = {}
        for _ in range(_MOST_HEADERS):
            line = _line(source).decode("latin-1").strip()
            if not line:
                break
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        else:
            raise WireError("its reply has too many headers")
        # Informational replies (1xx) come before the real one.
        if int(rest[:3]) >= 200:
            return int(rest[:3]), headers


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not text.isdecimal():
        raise WireError("its reply has no size")
    return int(text)


def _line(source: BufferedReader) -> bytes:
    line = source.readline(_MOST_LINE)
    if not line.endswith(b"\n"):
        raise BrokenOffError("its reply breaks off")
    return line
