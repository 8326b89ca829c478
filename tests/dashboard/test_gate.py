"""A foreign website gets nothing: not by its Origin, not by a name that it made to point here, on no route."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from sigc_dashboard.views import VIEWS
from tests.dashboard.browsers import PageServer

ROUTES = (
    *(f"/{view.name}?daemon=demo" for view in VIEWS),
    *(f"/{view.name}/ws" for view in VIEWS),
    *("/", "/login", "/logout", "/do", "/alive", "/assets/page.js", "/assets/page.css"),
    *("/static/js/bokeh.min.js", "/favicon.ico", "/nothing", "/overview/autoload.js", "/overview/metadata"),
)
FOREIGN = (
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": ""},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
)


@pytest.fixture
def cookie(shown: PageServer) -> str:
    """Of somebody who is logged in: the browser of a victim would send it, were it not for SameSite."""
    return shown.cookie(shown.site.token)


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
def test_a_foreign_site_gets_nothing_on_any_route(shown: PageServer, cookie: str, foreign: dict[str, str]) -> None:
    for method in ("GET", "POST", "PUT", "OPTIONS"):
        for route in ROUTES:
            status, headers, body = shown.ask(method, route, headers={"Cookie": cookie} | foreign)
            assert status in (400, 403), (method, route)
            assert b"momentum" not in body
            assert "access-control-allow-origin" not in headers


def test_routes_that_are_none_are_none(shown: PageServer, cookie: str) -> None:
    for route in ("/nothing", "/overview/autoload.js", "/overview/metadata", "/overview/x", "/static/js/bokeh.js",
                  "/static/../page.py", "/assets/../page.py", "/static/extensions/x", "//overview", "/%2e%2e/"):  # fmt: skip
        status, _, body = shown.ask("GET", route, headers={"Cookie": cookie})
        assert status == 404, route
        assert len(body) < 200


def test_every_answer_carries_what_keeps_it_in_its_place(shown: PageServer, cookie: str) -> None:
    for route in ROUTES:
        _, headers, _ = shown.ask("GET", route, headers={"Cookie": cookie})
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "server" not in headers


def test_a_link_that_a_person_follows_leads_in_by_a_second_step(shown: PageServer) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    status, _, body = shown.ask("GET", "/overview?daemon=demo", headers=followed)
    assert status == 200
    assert b'http-equiv="refresh"' in body
    assert shown.ask("POST", "/overview", headers=followed)[0] == 403
    assert shown.ask("GET", "/logout", headers=followed)[0] == 403


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}], ids=str)
def test_the_websocket_opens_for_our_own_pages_alone(shown: PageServer, cookie: str, headers: dict[str, str]) -> None:
    async def opened(more: dict[str, str]) -> int:
        request = HTTPRequest(f"ws://127.0.0.1:{shown.port}/overview/ws?daemon=demo", headers=more)
        try:
            connection = await websocket_connect(request, subprotocols=["bokeh", "no-token"])
        except HTTPClientError as refused:
            return int(refused.code)
        said = await connection.read_message()
        connection.close()
        while said is not None and await connection.read_message() is not None:
            pass  # until the other side has closed it too
        return 101 if said is not None else 1000

    def status(more: dict[str, str]) -> int:
        with ThreadPoolExecutor(1) as aside:  # the browser's driver has a loop in this thread
            return aside.submit(lambda: asyncio.run(opened(more))).result()

    # Ours comes through the gate, and is closed for want of Bokeh's token; others do not come in.
    assert status({"Cookie": cookie} | headers) == (1000 if not headers else 403)
    assert status(headers) == (1000 if not headers else 403)
    own = {"Origin": f"http://127.0.0.1:{shown.port}", "Cookie": cookie}
    assert status(own) == 1000


def test_what_is_posted_is_json_from_our_own_script(shown: PageServer, cookie: str) -> None:
    wish = json.dumps({"daemon": "demo", "do": "pause", "name": "momentum", "typed": "momentum", "key": "k" * 12})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        headers = {"Cookie": cookie} | ({"Content-Type": kind} if kind else {})
        assert shown.ask("POST", "/do", wish.encode(), headers)[0] == (400 if kind.startswith("multipart") else 415)
    assert {one.state for one in shown.site.status().strategies} == {"active"}
