"""Every verb of a real daemon: who may call it, and that no request, however made, breaks it or changes its state."""

from __future__ import annotations

import dataclasses
import http.client
import json
import random
import string
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sigc.daemon.lifecycle.serve import VERBS
from sigc.rpc.client import Client, Target
from sigc.rpc.verb import Role, Verb
from tests.daemon.daemons import Daemon, Site
from tests.daemon.processes import PATIENCE_S
from tests.world import write_world

TOKENS = {role: f"token-{role}-0123456789abcdef" for role in Role}
ENDS = ("stop", "restart")
DECLARED = frozenset({503, 504})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, jit_directory: Path) -> Iterator[Site]:
    """One daemon for the module: nothing here may change it."""
    world, folder = tmp_path_factory.mktemp("world"), tmp_path_factory.mktemp("site")
    write_world(world)
    site = Site(folder, world, jit_directory)
    site.settings["daemon"]["rpc"]["tokens"] = [
        {"name": r.value, "role": r.value, "token": t} for r, t in TOKENS.items()
    ]
    site.settings["schedule"]["jobs"] = [site.script("nothing", "/bin/true")]
    site.write()
    with Daemon(site):
        yield site


def send(site: Site, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def head(role: Role | None, **more: str) -> dict[str, str]:
    token = {"Authorization": f"Bearer {TOKENS[role]}"} if role is not None else {}
    return {"Content-Type": "application/json", **token, **{k.replace("_", "-"): v for k, v in more.items()}}


def state(site: Site) -> Any:
    with Client(Target(site.address, TOKENS[Role.READ])) as client:
        found = client.get("status")
        jobs = client.get("schedule/list")
    return [found["strategies"], found["is_paused"], [(job["name"], job["is_enabled"]) for job in jobs["jobs"]]]


@pytest.mark.parametrize("verb", VERBS, ids=lambda v: f"{v.method}-{v.name}")
def test_who_may_not(running: Site, verb: Verb[Any]) -> None:
    body = None if verb.method == "GET" else b"{}"
    before = state(running)
    wrong = "POST" if verb.method == "GET" else "GET"
    refused: list[tuple[int, dict[str, str], str]] = [
        (401, head(None), verb.method),
        (401, head(None, Authorization="Bearer wrong-wrong-wrong-wrong"), verb.method),
        (403, head(Role.TRADE, Host="evil.example"), verb.method),
        (403, head(Role.TRADE, Origin="http://evil.example"), verb.method),
        (405, head(Role.TRADE), wrong),
        (405, head(Role.TRADE), "DELETE"),
    ]
    if verb.method == "POST":
        refused.append((415, head(Role.TRADE) | {"Content-Type": "text/plain"}, "POST"))
    refused += [(403, head(role), verb.method) for role in Role if not role.includes(verb.role)]
    for status, headers, method in refused:
        found, _ = send(running, method, verb.path, body if method == "POST" else None, headers)
        # Wrong tokens are counted a minute long: that a later one is told to wait is as good.
        assert found in ((status, 429) if status == 401 else (status,)), (verb.name, headers, found)
    assert state(running) == before


def test_the_document_knows_every_verb(running: Site) -> None:
    status, body = send(running, "GET", "/v1/openapi", None, head(Role.READ))
    paths = json.loads(body)["paths"]
    assert status == 200
    assert {(path, method.upper()) for path, by in paths.items() for method in by} == {
        (verb.path, verb.method) for verb in VERBS
    } | {("/v1/openapi", "GET")}


WORDS = ("momentum", "nothing", "", "../../etc/passwd", "\x00", "a" * 300, "💥", "null", "-1", "2017-03-01", "r1")


def value(pick: random.Random, depth: int = 0) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: pick.choice(WORDS),
        lambda: pick.randint(-(10**20), 10**20),
        lambda: pick.random() * 10 ** pick.randint(-300, 300),
        lambda: pick.choice([None, True, False]),
        lambda: [value(pick, depth + 1) for _ in range(pick.randint(0, 3))] if depth < 3 else [],
        lambda: {pick.choice(WORDS): value(pick, depth + 1) for _ in range(pick.randint(0, 3))} if depth < 3 else {},
    ]
    return pick.choice(kinds)()


def fields(pick: random.Random, verb: Verb[Any]) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(verb.request)] or ["none"]
    return {pick.choice([*names, pick.choice(string.ascii_lowercase)]): value(pick) for _ in range(pick.randint(0, 4))}


@pytest.mark.parametrize("seed", range(4))
def test_no_request_breaks_it(running: Site, seed: int) -> None:
    fuzz(running, random.Random(seed), 500)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_no_request_breaks_it_at_length(running: Site, seed: int) -> None:
    fuzz(running, random.Random(seed), 2000)


def fuzz(site: Site, pick: random.Random, count: int) -> None:
    """Requests with any fields, as one who may look; none that looks is answered by an error of the daemon's own."""
    before = state(site)
    verbs = [verb for verb in VERBS if verb.name not in ENDS and not verb.is_stream]
    for _ in range(count):
        verb = pick.choice(verbs)
        given = fields(pick, verb)
        body = json.dumps(given).encode() if pick.random() < 0.8 else bytes(pick.randbytes(pick.randint(0, 50)))
        role = pick.choice([None, Role.READ])
        if verb.method == "GET":
            query = urllib.parse.urlencode({k: str(v) for k, v in given.items()})
            status, text = send(site, "GET", f"{verb.path}?{query}", None, head(role))
        else:
            status, text = send(site, "POST", verb.path, body, head(role))
            assert status >= 400
        assert status < 500 or status in DECLARED, (verb.name, given, text)
    assert state(site) == before


def test_what_a_trader_sends_wrong_changes_nothing(running: Site) -> None:
    pick = random.Random(7)
    before = state(running)
    for verb in (v for v in VERBS if v.method == "POST"):
        for _ in range(10):
            given = fields(pick, verb) | {"no such field": 1}
            status, text = send(running, "POST", verb.path, json.dumps(given).encode(), head(Role.TRADE))
            assert status in (400, 422), (verb.name, given, text)
    assert state(running) == before
