"""Bytes that are no requests, or nearly: whatever comes in at the RPC's port, the daemon answers 4xx or hangs up.

Requests are pipelined over few sockets, each batch a list of heads made worse: cut, doubled, swapped, overlong, with
bytes that HTTP has no use for. Between batches the daemon must answer a plain question as before.
"""

from __future__ import annotations

import random
import re
import select
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sigc.daemon.lifecycle.serve import VERBS
from tests.daemon.daemons import Daemon, Site
from tests.daemon.processes import PATIENCE_S
from tests.daemon.test_openapi import kept
from tests.world import write_world

BATCH = 40
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
METHODS = (b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"get", b"G\x00T", b"", b"CONNECT")
VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2", b"HTTP/9.9", b"", b"http/1.1")
BODIES = (b"{}", b"", b"[", b'{"a":1}', b"\xff\xfe", b"null", b'"' + b"a" * 2000, b"[" * 500)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, jit_directory: Path) -> Iterator[Daemon]:
    """One daemon for the module."""
    world, folder = tmp_path_factory.mktemp("world"), tmp_path_factory.mktemp("site")
    write_world(world)
    with Daemon(Site(folder, world, jit_directory)) as daemon:
        yield daemon


def request(pick: random.Random, token: bytes) -> bytes:
    """One request, right or wrong in some places."""
    path = pick.choice([verb.path.encode() for verb in VERBS] + [b"/", b"/v1/..%2f..", b"*", b"/\xff", b"//v1/status"])
    body = pick.choice(BODIES)
    length = pick.choice([str(len(body)).encode()] * 6 + [b"-1", b"0", b"+2", b"1e3", b"99999999999", b"\xb2"])
    fields = [
        b"Host: " + pick.choice([b"127.0.0.1"] * 8 + [b"evil", b"", b"a" * 300, b"127.0.0.1\x00"]),
        b"Content-Length: " + length,
        b"Content-Type: " + pick.choice([b"application/json", b"text/plain", b"", b"\r"]),
        b"Authorization: Bearer " + pick.choice([token, b"x" * 20, b"", b"\xff"]),
    ]
    odd = [
        b"Transfer-Encoding: chunked",
        b"Content-Length: 3",
        b" folded: x",
        b"no colon",
        b": empty",
        b"X: " + b"y" * 20_000,
    ]
    if pick.random() < 0.4:
        fields.insert(pick.randint(0, len(fields)), pick.choice(odd))
    pick.shuffle(fields)
    line = b" ".join((pick.choice(METHODS), path, pick.choice(VERSIONS)))
    whole = bytearray(pick.choice([b"\r\n", b"\r\n", b"\r\n", b"\n"]).join((line, *fields, b"", b"")) + body)
    for _ in range(pick.choice([0, 0, 1, 3])):
        at = pick.randrange(len(whole))
        whole[at : at + pick.randint(0, 3)] = pick.randbytes(pick.randint(0, 3))
    return bytes(whole if pick.random() < 0.95 else whole[: pick.randrange(len(whole))])


def exchange(site: Site, batch: list[bytes]) -> Counter[int]:
    """Send all of it down one socket as far as it goes; the statuses of what came back."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE_S) as wire:
        wire.setblocking(False)
        left, came = b"".join(batch), bytearray()
        while True:
            readable, writable, _ = select.select([wire], [wire] if left else [], [], PATIENCE_S)
            assert readable or writable, "the daemon neither reads nor answers"
            try:
                if writable:
                    left = left[wire.send(left) :]
                    if not left:
                        wire.shutdown(socket.SHUT_WR)
                if readable:
                    more = wire.recv(1 << 16)
                    came += more
                    if not more:
                        break
            except OSError:  # it has hung up
                break
    return Counter(int(status) for status in STATUS.findall(came))


def campaign(daemon: Daemon, seed: int, count: int) -> Counter[int]:
    """So many requests; the daemon is as it was, but for refusals in its audit."""
    site, pick = daemon.site, random.Random(seed)
    before, _ = kept(site)
    process, seen = psutil.Process(daemon.pid), Counter[int]()
    handles = process.num_fds()
    token = b"wrong-but-well-formed-token"
    left = count
    while left > 0:
        batch = [request(pick, token) for _ in range(BATCH)]
        left -= BATCH
        while batch:  # what came after a hang-up was not read: it goes again, on a fresh socket
            came = exchange(site, batch)
            seen += came
            batch = batch[came.total() + 1 :]
    assert site.status().pid == daemon.pid
    after, events = kept(site)
    assert after == before
    assert set(events) <= {"daemon.started", "rpc.refused"}
    assert process.num_fds() <= handles + 5
    return seen


def judged(seen: Counter[int]) -> None:
    assert not [status for status in seen if status >= 500 and status != 503], seen
    assert seen[401] + seen[429] > 0
    assert seen[400] > 0
    assert 200 not in seen


def test_bytes_break_nothing(running: Daemon) -> None:
    judged(campaign(running, 1, 20_000))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 20))
def test_bytes_break_nothing_at_length(running: Daemon, seed: int) -> None:
    judged(campaign(running, seed, 20_000))
