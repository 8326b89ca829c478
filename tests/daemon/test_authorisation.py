"""Who may do what: every route x every method x every kind of caller, from the table of routes itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from sigc.rpc.server import RequestLimits
from sigc.rpc.verb import Role
from tests.daemon.serving import TOKENS, VERBS, Served, served

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "SIGC")
ALLOWED: dict[tuple[str, str], Role] = {(verb.path, verb.method): verb.role for verb in VERBS}
ALLOWED["/v1/openapi", "GET"] = Role.READ
PATHS = (
    *sorted({path for path, _ in ALLOWED}),
    "/",
    "/v1",
    "/v1/",
    "/v1/status/",
    "/v1/none",
    "//v1/status",
    "/v1/%73tatus",
    "/v2/status",
    "/v1/../v1/status",
)


@dataclass(frozen=True)
class Caller:
    """A kind of caller: headers, the role proven, and the status that is answered before any route is looked at."""

    name: str
    headers: dict[str, str] = field(default_factory=dict)
    role: Role | None = None
    at_the_door: int = 0
    is_plain: bool = False


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


_TRADE = bearer(TOKENS[Role.TRADE])
CALLERS = (
    Caller("no token", {}, None, 401),
    Caller("wrong token", bearer("x" * 32), None, 401),
    Caller("empty token", bearer(""), None, 401),
    Caller("almost the token", bearer(TOKENS[Role.TRADE][:-1]), None, 401),
    Caller("another scheme", {"Authorization": f"Basic {TOKENS[Role.TRADE]}"}, None, 401),
    Caller("bare token", {"Authorization": TOKENS[Role.TRADE]}, None, 401),
    Caller("token in a cookie", {"Cookie": f"token={TOKENS[Role.TRADE]}"}, None, 401),
    Caller("two tokens", {"Authorization": f"Bearer {TOKENS[Role.READ]}, Bearer {TOKENS[Role.TRADE]}"}, None, 401),
    Caller("read", bearer(TOKENS[Role.READ]), Role.READ),
    Caller("operate", bearer(TOKENS[Role.OPERATE]), Role.OPERATE),
    Caller("trade", _TRADE, Role.TRADE),
    Caller("foreign host", {**_TRADE, "Host": "evil.example:5555"}, None, 403),
    Caller("host that begins as ours", {**_TRADE, "Host": "localhost.evil.example"}, None, 403),
    Caller("foreign origin", {**_TRADE, "Origin": "https://evil.example"}, None, 403),
    Caller("origin at another port", {**_TRADE, "Origin": "http://127.0.0.1:1"}, None, 403),
    Caller("no origin of its own", {**_TRADE, "Origin": "null"}, None, 403),
    Caller("cross-site page", {**_TRADE, "Sec-Fetch-Site": "cross-site"}, None, 403),
    Caller("text/plain", {**_TRADE, "Content-Type": "text/plain"}, Role.TRADE, is_plain=True),
    Caller("a form", {**_TRADE, "Content-Type": "application/x-www-form-urlencoded"}, Role.TRADE, is_plain=True),
)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(RequestLimits(wrong_tokens=1_000_000)) as running:
        running.set(running.book.go)
        running.set(running.book.next_event)
        yield running


def expected(path: str, method: str, caller: Caller) -> int:
    """The status of a refusal, 0 when the call comes through."""
    if caller.at_the_door:
        return caller.at_the_door
    if path not in {known for known, _ in ALLOWED}:
        return 404
    role = ALLOWED.get((path, method))
    if role is None:
        return 405
    if caller.role is None or not caller.role.includes(role):
        return 403
    return 415 if caller.is_plain else 0


def test_the_table_is_the_verbs(server: Served) -> None:
    assert set(server.server.guard.routes()) == set(ALLOWED)


@pytest.mark.parametrize("caller", CALLERS, ids=lambda c: c.name)
@pytest.mark.parametrize(("path", "method"), list(itertools.product(PATHS, METHODS)))
def test_every_route_and_method_for_every_caller(server: Served, path: str, method: str, caller: Caller) -> None:
    changes, audited = len(server.book.changes), len(server.book.audit)
    body = b"{}" if method not in ("GET", "HEAD") else None
    at = path if path != "/v1/watch" or method != "GET" else "/v1/watch?last=1"
    wanted = expected(path, method, caller)
    if (at != path) and wanted == 0:
        return  # a stream is no JSON: tested on its own
    status, reply, headers = server.request(method, at, body, None, **caller.headers)
    if wanted == 0:
        assert status in (200, 500, 504)  # it came through to the verb, which may fail or take its time
        return
    assert status == wanted
    assert len(server.book.changes) == changes
    assert all(entry.phase == "refused" for entry in server.book.audit[audited:])
    assert method == "HEAD" or reply["diagnostics"][0]["code"] == "E901"
    assert (status == 405) == ("Allow" in headers)
    assert (status == 401) == ("WWW-Authenticate" in headers)
    assert "Access-Control-Allow-Origin" not in headers
