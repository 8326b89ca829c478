"""The document of the RPC and the daemon hold each other: requests made of the document, replies held against it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sigc.daemon.lifecycle.serve import VERBS
from sigc.rpc.client import Client, Target
from sigc.store.ledger.connection import FILE, connect_reader
from tests.daemon.daemons import Daemon, Site
from tests.daemon.processes import PATIENCE_S
from tests.world import write_world

ENDS = ("stop", "restart")
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, jit_directory: Path) -> Iterator[Daemon]:
    """One daemon for the module, without strategies of its own: what is asked of it may be granted."""
    world, folder = tmp_path_factory.mktemp("world"), tmp_path_factory.mktemp("site")
    write_world(world)
    site = Site(folder, world, jit_directory)
    site.settings["daemon"]["cache"] = {"enabled": False}
    site.settings["strategies"] = []
    site.write()
    with Daemon(site) as daemon:
        yield daemon
        assert site.status().is_ready
        site.sigc("stop")
        assert daemon.end()[0] == 0


def operations(site: Site) -> Iterator[Any]:
    with Client(Target(site.address, site.token)) as client:
        schema = schemathesis.openapi.from_dict(client.get("openapi"))
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        yield found.ok()


def asked(site: Site, operation: Any, mode: GenerationMode, count: int, token: str) -> list[tuple[Case[Any], Any]]:
    """So many requests of the operation, and their replies."""
    exchanges: list[tuple[Case[Any], Any]] = []
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        reply = case.call(base_url=f"http://{site.address}", headers=headers, session=session, timeout=PATIENCE_S)
        exchanges.append((case, reply))

    with requests.Session() as session:
        ask()
    return exchanges


def campaign(site: Site, total: int) -> int:
    """Every verb but those that end it, with requests as documented and as not; each reply is as documented.

    total: how many requests at least, shared by the verbs; some have less to ask than their share.
    """
    seen: Counter[int] = Counter()
    streams = {verb.path for verb in VERBS if verb.is_stream}
    asked_of = [
        operation
        for operation in operations(site)
        if operation.path not in streams and operation.path.removeprefix("/v1/") not in ENDS
    ]
    count = math.ceil(1.4 * total / (len(asked_of) * len(MODES)))
    for operation in asked_of:
        for mode in MODES:
            for case, reply in asked(site, operation, mode, count, site.token):
                assert reply.status_code < 500 or str(reply.status_code) in operation.definition.raw["responses"]
                assert reply.status_code not in (500, 502), (case.as_curl_command(), reply.text)
                case.validate_response(reply, checks=CHECKS)
                seen[reply.status_code] += 1
    assert {200, 409, 422} <= seen.keys()  # some were granted, some refused, some not understood
    return seen.total()


def test_replies_are_as_documented(running: Daemon) -> None:
    assert campaign(running.site, 700) >= 700


@pytest.mark.soak
def test_replies_are_as_documented_at_length(running: Daemon) -> None:
    assert campaign(running.site, 20_000) >= 20_000


def test_without_a_token_nothing_changes(running: Daemon) -> None:
    """What the ledger holds stays byte for byte; the chain grows by refusals of wrong tokens alone."""
    site = running.site
    before, first = kept(site)
    for operation in operations(site):
        for mode in MODES:
            for _, reply in asked(site, operation, mode, 5, ""):
                assert reply.status_code in (401, 429)  # who guesses is told to wait
    after, events = kept(site)
    assert after == before
    assert set(events[len(first) :]) <= {"rpc.refused"}
    assert site.status().pid == running.pid


def kept(site: Site) -> tuple[list[str], list[str]]:
    """Every statement that makes the ledger but for the chain's, and the events of the chain."""
    with closing(connect_reader(site.folder / "work" / FILE)) as connection:
        events = [name for (name,) in connection.execute("SELECT event FROM audit ORDER BY seq")]
        return [line for line in connection.iterdump() if not line.startswith('INSERT INTO "audit"')], events
