"""The server on real sockets: what verbs get and give, limits, keys, audit, streams, the end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from sigc.errors import SigcError
from sigc.host.ports import Port, listen
from sigc.rpc.server import RequestLimits, refuse_exposed
from sigc.rpc.verb import Nothing, Role, VerbCall, by_route, verb
from tests.daemon.serving import PATIENCE_S, TOKENS, VERBS, Book, Served, pause, served, status


@pytest.fixture
def server() -> Iterator[Served]:
    with served() as running:
        yield running


def raw(server: Served, sent: bytes, then_close: bool = False) -> bytes:
    """Everything the server answers to these bytes, until it closes."""
    with socket.create_connection((server.host, server.port), PATIENCE_S) as connection:
        with contextlib.suppress(OSError):  # hung up on already
            connection.sendall(sent)
            if then_close:
                connection.shutdown(socket.SHUT_WR)
        found = b""
        try:
            while piece := connection.recv(65_536):
                found += piece
        except ConnectionResetError:
            pass
        return found


def head(method: str, path: str, *more: str, role: Role = Role.TRADE) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKENS[role]}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_call_gets_its_fields_and_who_asks(server: Served) -> None:
    assert server.call("GET", "runs/list?last=5&strategies=a&strategies=b&full=true") == (
        200,
        {"last": 5, "strategies": ["a", "b"], "full": True},
    )
    _, reply = server.call("GET", "status", X_Sigc_User="ann@desk\x9b31m")
    assert reply == {"changes": 0, "who": r"ann@desk\x9b31m", "role": "trade", "token": "trade"}
    assert server.call("POST", "pause", {"strategy": "momentum"}) == (200, {"strategy": "momentum", "times": 1})
    assert [name for name, _ in server.book.seen] == ["runs/list", "status", "pause"]


@pytest.mark.parametrize(
    ("name", "body", "code", "text"),
    [
        ("pause", b"", 400, "malformed JSON"),
        ("pause", b"{", 400, "malformed JSON"),
        ("pause", b'{"strategy": NaN}', 400, "malformed JSON"),
        ("pause", b"[]", 422, "is not an object"),
        ("pause", b'{"strategy": "../etc"}', 422, "does not match"),
        ("pause", b'{"stratgy": "a"}', 422, "did you mean 'strategy'?"),
        ("pause", b'{"strategy": 1}', 422, "is not a text"),
        ("pause?strategy=a", b"{}", 400, "in the body"),
        ("kill", b'{"at": 1}', 422, "not a known field"),
    ],
)
def test_bad_requests_change_nothing(server: Served, name: str, body: bytes, code: int, text: str) -> None:
    found, reply, _ = server.request("POST", f"/v1/{name}", body)
    assert found == code
    assert text in reply["message"]
    assert (server.book.changes, server.book.audit) == ([], [])


@pytest.mark.parametrize("query", ["last=0", "last=x", "more=1", "last=1&last=2", "%ff=1", "a&b", "full=yes"])
def test_bad_queries_are_told(server: Served, query: str) -> None:
    assert server.call("GET", f"runs/list?{query}")[0] in (400, 422)


def test_a_get_has_no_body(server: Served) -> None:
    assert server.request("GET", "/v1/status", b"{}")[0] == 400


@pytest.mark.parametrize(
    ("reason", "code", "said"), [("refused", 409, "E901"), ("source", 422, "E002"), ("", 500, "E300")]
)
def test_failures_of_a_verb_are_told_as_diagnostics(server: Served, reason: str, code: int, said: str) -> None:
    found, reply = server.call("POST", "fail", {"reason": reason})
    assert (found, reply["diagnostics"][0]["code"]) == (code, said)
    assert "inside" not in json.dumps(reply)
    assert [(e.phase, e.status) for e in server.book.audit] == [("asked", 0), ("done", code)]


def test_changes_are_audited_with_who_and_from_where_and_looks_are_not(server: Served) -> None:
    server.call("GET", "status")
    server.call("POST", "pause", {"reason": "news"}, X_Sigc_User="ann", Idempotency_Key="key-12345")
    server.request("POST", "/v1/kill", b"{}", Role.OPERATE)
    asked, done, refused = server.book.audit
    assert (asked.phase, asked.verb, asked.token, asked.who, asked.peer) == (
        "asked",
        "pause",
        "trade",
        "ann",
        "127.0.0.1",
    )
    assert (asked.key, asked.request) == ("key-12345", {"strategy": None, "reason": "news"})
    assert (done.phase, done.status) == ("done", 200)
    assert (refused.phase, refused.verb, refused.token, refused.status) == ("refused", "/v1/kill", "operate", 403)
    assert server.book.refused == [403]


def test_what_cannot_be_audited_is_not_done_unless_it_is_urgent(server: Served) -> None:
    server.book.is_audit_broken = True
    code, reply = server.call("POST", "pause")
    assert (code, server.book.changes) == (503, [])
    assert "can't be audited" in reply["message"]
    assert server.call("POST", "kill")[0] == 200
    assert server.book.changes == ["kill"]


def test_the_gate_refuses_with_its_reason(server: Served) -> None:
    server.call("POST", "pause", Idempotency_Key="before-the-end")
    server.book.gate = "the daemon is stopping"
    code, reply = server.call("POST", "pause")
    assert (code, reply["message"], server.book.changes) == (503, "the daemon is stopping", ["pause"])
    assert server.call("GET", "status")[0] == 200
    # What was done may still be asked for.
    assert server.call("POST", "pause", Idempotency_Key="before-the-end") == (200, {"strategy": None, "times": 1})


def test_under_one_key_it_is_done_once(server: Served) -> None:
    first = server.call("POST", "pause", {"strategy": "a"}, Idempotency_Key="key-12345")
    assert server.call("POST", "pause", {"strategy": "a"}, Idempotency_Key="key-12345") == first
    assert server.call("POST", "pause", {"strategy": "b"}, Idempotency_Key="key-12345")[0] == 422
    assert server.book.changes == ["pause"]
    assert server.call("POST", "pause", {"strategy": "a"}, Idempotency_Key="key-12346")[1]["times"] == 2
    # Another token's key is another key.
    other = {"Authorization": f"Bearer {TOKENS[Role.OPERATE]}", "Idempotency_Key": "key-12345"}
    assert server.call("POST", "pause", {"strategy": "b"}, **other)[1]["times"] == 3
    assert server.call("POST", "pause", Idempotency_Key="short")[0] == 400


def test_a_failure_is_kept_under_its_key_too(server: Served) -> None:
    first = server.call("POST", "fail", {"reason": "refused"}, Idempotency_Key="key-12345")
    assert server.call("POST", "fail", {"reason": "refused"}, Idempotency_Key="key-12345") == first
    assert len(server.book.audit) == 2


def test_slow_work_goes_on_and_is_joined_under_its_key(server: Served) -> None:
    code, reply = server.call("POST", "slow", Idempotency_Key="key-12345")
    assert code == 504
    assert "same key" in reply["message"]
    assert server.call("POST", "slow", Idempotency_Key="key-12345")[0] == 504
    server.set(server.book.go)
    while server.call("POST", "slow", Idempotency_Key="key-12345") != (200, {"strategy": "slow", "times": 1}):
        pass
    assert server.book.changes == ["slow"]


def test_a_caller_who_hangs_up_stops_nothing_that_was_begun(server: Served) -> None:
    body = b"{}"
    more = ("Content-Type: application/json", "Content-Length: 2", "Idempotency-Key: key-12345")
    with socket.create_connection((server.host, server.port), PATIENCE_S) as connection:
        connection.sendall(head("POST", "/v1/slow", *more) + body)
        assert server.book.begun.wait(PATIENCE_S)
    server.set(server.book.go)
    while server.call("POST", "slow", Idempotency_Key="key-12345")[0] != 200:
        pass
    assert server.book.changes == ["slow"]


def test_ten_wrong_tokens_then_none_is_listened_to_save_the_right_one(server: Served) -> None:
    statuses = [server.request("GET", "/v1/status", None, None, Authorization=f"Bearer {n:032}")[0] for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert server.request("GET", "/v1/status", None, None)[0] == 401
    assert server.call("GET", "status")[0] == 200


def test_many_asking_at_once_under_one_key_are_one_change(server: Served) -> None:
    found = []

    def ask() -> None:
        found.append(server.call("POST", "pause", Idempotency_Key="key-12345"))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(200, {"strategy": None, "times": 1})] * 16


def test_bodies_are_bounded_however_they_come() -> None:
    with served(RequestLimits(body_bytes=1000)) as server:
        assert server.request("POST", "/v1/pause", b" " * 998 + b"{}")[0] == 200
        assert server.request("POST", "/v1/pause", b" " * 999 + b"{}")[0] == 413
        assert server.request("POST", "/v1/pause", b" " * 1500, None)[0] == 401
        kind = "Content-Type: application/json"
        chunked = head("POST", "/v1/pause", kind, "Transfer-Encoding: chunked", "Connection: close")
        assert b" 413 " in raw(server, chunked + b"3e9\r\n" + b" " * 1001 + b"\r\n0\r\n\r\n").split(b"\r\n")[0]
        too_long = head("POST", "/v1/pause", kind, "Content-Length: 99999999999")
        assert raw(server, too_long).startswith(b"HTTP/1.1 413 ")
        assert server.book.changes == ["pause"]
        assert server.request("POST", "/v1/pause", b"{}", Content_Encoding="gzip")[0] == 415


def test_a_caller_who_dawdles_is_hung_up_on() -> None:
    with served(RequestLimits(head_s=0.05, body_s=0.05)) as server:
        kind = "Content-Type: application/json"
        assert raw(server, b"GET /v1/sta") == b""
        assert raw(server, head("POST", "/v1/pause", kind, "Content-Length: 10") + b"{") == b""
        assert raw(server, b"") == b""
        assert server.call("GET", "status")[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v1/status HTTP/9.9\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        b"POST /v1/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_harms_nothing(server: Served, sent: bytes) -> None:
    found = raw(server, sent, then_close=True)
    assert not found or found.split(b" ")[1][:1] == b"4"
    assert server.call("GET", "status")[0] == 200
    assert server.book.changes == []


def test_several_requests_share_a_connection(server: Served) -> None:
    twice = head("GET", "/v1/status") + head("GET", "/v1/none") + head("GET", "/v1/status", "Connection: close")
    assert raw(server, twice).count(b"HTTP/1.1 200") == 2


def test_a_stream_gives_events_as_they_come(server: Served) -> None:
    with socket.create_connection((server.host, server.port), PATIENCE_S) as connection:
        connection.sendall(head("GET", "/v1/watch?last=3", "Connection: close"))
        found = connection.makefile("rb")
        lines = iter(found.readline, b"")
        events = (line for line in lines if line.startswith((b"data", b"event")))
        assert next(events) == b'data: {"strategy":"watched","times":0}\n'
        assert next(events) == b'data: {"strategy":"watched","times":1}\n'
        server.set(server.book.next_event)
        assert next(events) == b'data: {"strategy":"watched","times":2}\n'
        assert next(events) == b"event: error\n"
        assert b"that is all" in next(events)
        assert list(events) == []
        found.close()
    assert server.book.stream_ended.wait(PATIENCE_S)


def test_a_stream_ends_when_its_caller_is_gone(server: Served) -> None:
    with socket.create_connection((server.host, server.port), PATIENCE_S) as connection:
        connection.sendall(head("GET", "/v1/watch?last=9"))
        assert connection.recv(10)
    assert server.book.stream_ended.wait(PATIENCE_S)
    assert server.call("GET", "watch?last=x")[0] == 422


def test_streams_are_few_and_beat() -> None:
    with served(RequestLimits(streams=1, heartbeat_s=0.01)) as server:
        with socket.create_connection((server.host, server.port), PATIENCE_S) as connection:
            connection.sendall(head("GET", "/v1/watch?last=9"))
            found = b""
            while b": still here" not in found:
                found += connection.recv(4096)
            assert server.call("GET", "watch")[0] == 503
        assert server.book.stream_ended.wait(PATIENCE_S)


def test_the_end_waits_for_what_is_under_way_and_ends_streams() -> None:
    with served() as server:
        found: list[tuple[int, object]] = []
        with socket.create_connection((server.host, server.port), PATIENCE_S) as connection:
            connection.sendall(head("GET", "/v1/watch?last=9"))
            assert connection.recv(10)
            assert server.call("POST", "slow")[0] == 504
            stopping = threading.Thread(
                target=lambda: found.append((0, server.in_loop(server.server.stop(PATIENCE_S))))
            )
            stopping.start()
            assert server.book.stream_ended.wait(PATIENCE_S)
            server.set(server.book.go)
            stopping.join(PATIENCE_S)
        assert found == [(0, True)]
        assert server.book.changes == ["slow"]
        with pytest.raises(ConnectionRefusedError):
            server.call("GET", "status")


def test_the_end_does_not_wait_for_ever() -> None:
    with served() as server:
        assert server.call("POST", "slow")[0] == 504
        assert server.in_loop(server.server.stop(0.01)) is False


def test_the_document_describes_every_verb(server: Served) -> None:
    code, found = server.call("GET", "openapi")
    assert code == 200
    operations = {(path, method): op for path, by in found["paths"].items() for method, op in by.items()}
    assert set(operations) == {(v.path, v.method.lower()) for v in VERBS} | {("/v1/openapi", "get")}
    assert operations["/v1/pause", "post"]["x-role"] == "operate"
    assert operations["/v1/pause", "post"]["summary"] == "Pause a strategy."
    assert [p["name"] for p in operations["/v1/runs/list", "get"]["parameters"]] == ["last", "strategies", "full"]
    assert "text/event-stream" in operations["/v1/watch", "get"]["responses"]["200"]["content"]
    referred = {part.split('"')[0] for part in json.dumps(found).split("#/components/schemas/")[1:]}
    assert referred <= set(found["components"]["schemas"])
    assert server.call("GET", "openapi") == (code, found)


def test_an_address_beyond_this_machine_needs_tls() -> None:
    refuse_exposed("127.0.0.1", 5555, False)
    refuse_exposed("0.0.0.0", 5555, True)  # noqa: S104
    for host in ("0.0.0.0", "::", "192.168.1.1"):  # noqa: S104
        with pytest.raises(SigcError, match="needs TLS"):
            refuse_exposed(host, 5555, False)


def test_a_wide_socket_is_not_served_without_tls() -> None:
    with served() as server, listen(Port("s", "0.0.0.0", 0, True)) as wide:  # noqa: S104

        async def start() -> None:
            server.server.start([wide])

        with pytest.raises(SigcError, match="needs TLS"):
            server.in_loop(start())


def test_verbs_are_declared_well() -> None:
    with pytest.raises(ValueError, match="two verbs"):
        by_route([pause, status, pause])
    for name, method, role in (("Bad", "GET", Role.READ), ("a", "POST", Role.READ), ("a/../b", "GET", Role.READ)):
        with pytest.raises(ValueError, match="verb"):

            @verb(name, method, role)  # type: ignore[arg-type]
            def declared(call: VerbCall[Book], request: Nothing) -> Nothing:
                """Something."""
                return request

    with pytest.raises(ValueError, match="typed"):

        @verb("a", "GET", Role.READ)
        def untyped(call, request):  # type: ignore[no-untyped-def]
            """Something."""
