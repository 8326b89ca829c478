"""HTTP as the thin client reads it, from real sockets that send it in pieces, whole, wrong, and cut off."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sigc.rpc.wire import BrokenOffError, Connection, DisconnectedError, WireError, WireResponse

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def answering(*answers: bytes, step: int = 1 << 20) -> Iterator[tuple[Connection, list[bytes]]]:
    """A server that takes one connection for each answer, reads a request, sends the answer in pieces, and closes."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answer in answers:
                taken, _ = listening.accept()
                with taken:
                    heard.append(taken.recv(65_536))
                    for start in range(0, len(answer), step):
                        taken.sendall(answer[start : start + step])

        thread = threading.Thread(target=serve)
        thread.start()
        connection = Connection("127.0.0.1", listening.getsockname()[1], 30.0)
        yield connection, heard
        connection.close()
        thread.join()


def ask(connection: Connection) -> WireResponse:
    connection.send("POST", "/v1/x", b"{}", {"Accept": "application/json"})
    return connection.answer()


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (SIZED, 404, b"hello"),
        (CHUNKED + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: 1\r\n\r\n", 200, b"hello world"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED, 404, b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil it closes", 200, b"until it closes"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, b""),
    ],
)
def test_an_answer_is_read_however_it_is_cut(sent: bytes, status: int, body: bytes, step: int) -> None:
    with answering(sent, step=step) as (connection, heard):
        answer = ask(connection)
        assert (answer.status, answer.read(100)) == (status, body)
    assert heard[0].startswith(b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert heard[0].endswith(b"\r\n\r\n{}")
    assert b"\r\nContent-Length: 2\r\n" in heard[0]


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_lines_come_whole_and_end_where_the_stream_breaks_off(step: int) -> None:
    whole = b"6\r\none\ntw\r\n2\r\no\n\r\n"
    for sent, lines in (
        (whole + b"0\r\n\r\n", [b"one\n", b"two\n"]),
        (whole + b"9\r\nthr", [b"one\n", b"two\n"]),
        (whole, [b"one\n", b"two\n"]),
        (b"3\r\none\r\n0\r\n\r\n", [b"one"]),
    ):
        with answering(CHUNKED + sent, step=step) as (connection, _):
            assert list(ask(connection).lines()) == lines


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", DisconnectedError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", WireError),
        (b"HTTP/1.1 abc\r\n\r\n", WireError),
        (b"HTTP/1.1 200 OK\r\nContent-Le", BrokenOffError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", WireError),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n", WireError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", BrokenOffError),
        (CHUNKED + b"zz\r\n", WireError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200, WireError),
    ],
)
def test_what_is_no_answer_is_told(sent: bytes, error: type[Exception]) -> None:
    with answering(sent) as (connection, _), pytest.raises(error):
        ask(connection).read(100)


def test_a_connection_is_opened_again_after_it_was_closed_and_no_header_makes_another() -> None:
    with answering(SIZED, SIZED) as (connection, _):
        assert ask(connection).read(100) == b"hello"
        connection.close()
        assert ask(connection).read(100) == b"hello"
        with pytest.raises(WireError, match="line break"):
            connection.send("GET", "/", b"", {"X": "a\r\nEvil: yes"})
