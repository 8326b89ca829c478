"""Dask's own pages, of the scheduler and of each worker: for this machine, and for no page of another site."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from sigc.config.settings import ClusterSettings
from sigc.engine.executors.cluster import open_client

ROUTES = (
    "/status",
    "/json/counts.json",
    "/metrics",
    "/info/main/workers.html",
    "/health",
    "/individual-workers",
    "/nothing",
)
FOREIGN = (
    {"Host": "evil.example"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, ...]]:
    """Ports of the scheduler's and the workers' pages of a cluster as the daemon opens it."""
    with open_client(ClusterSettings(workers=1), tmp_path_factory.mktemp("cache")) as client:
        yield ports(client)


def ports(client: Client) -> tuple[int, ...]:
    info = client.scheduler_info(n_workers=-1)
    return (info["services"]["dashboard"], *(w["services"]["dashboard"] for w in info["workers"].values()))


def asked(port: int, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
def test_a_foreign_site_gets_nothing_of_dask(pages: tuple[int, ...], foreign: dict[str, str]) -> None:
    for port in pages:
        for route in ROUTES:
            assert asked(port, route, foreign) == 403


def test_prometheus_and_our_own_page_get_in(pages: tuple[int, ...]) -> None:
    framed = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    for port in pages:
        assert asked(port, "/metrics", {}) == 200
        assert asked(port, "/health", framed) == 200
        assert asked(port, "/health", {"Host": f"localhost:{port}"}) == 200


def test_the_websocket_of_dasks_dashboard_is_closed_to_others(pages: tuple[int, ...]) -> None:
    async def opened(origin: str) -> int:
        request = HTTPRequest(f"ws://127.0.0.1:{pages[0]}/status/ws", headers={"Origin": origin})
        try:
            connection = await websocket_connect(request, subprotocols=["bokeh", "x"])
        except HTTPClientError as refused:
            return int(refused.code)
        connection.close()
        while await connection.read_message() is not None:
            pass  # until the other side has closed it too
        return 101

    assert asyncio.run(opened("http://evil.example")) == 403
    assert asyncio.run(opened(f"http://127.0.0.1:{pages[0]}")) == 101


def test_it_listens_on_this_machine_alone(pages: tuple[int, ...], tmp_path: Path) -> None:
    import psutil

    listening = {c.laddr.port: c.laddr.ip for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert {listening[port] for port in pages} == {"127.0.0.1"}
