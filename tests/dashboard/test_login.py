"""The way in: a token that the daemon accepts, a cookie that holds none, an end to guessing, and the way out."""

from __future__ import annotations

import json
import urllib.parse

import pytest
from playwright.sync_api import Browser, expect

from tests.daemon.daemons import Daemon, Site
from tests.dashboard.browsers import READ_TOKEN, PageServer, reader

VIEWS = ("overview", "orders", "cluster")


def test_a_wrong_token_is_refused_and_the_right_one_leads_on(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown) as person:
        window = person.window
        window.goto(shown.address("cluster"))
        window.fill("#user", "anna")
        window.fill("#token", "certainly-not-the-token")
        window.click("form.card button")
        expect(window.locator("[role=alert]")).to_have_text("The token is wrong.")
        window.fill("#user", "anna")
        window.fill("#token", shown.site.token)
        window.click("form.card button")
        expect(window.locator("nav a[aria-current=page]")).to_have_text("Cluster and cache")


def test_who_guesses_has_to_wait(site: Site) -> None:
    with Daemon(site), PageServer(site) as server:
        found = [server.log_in(f"wrong-token-number-{n}")[0] for n in range(12)]
        assert found == [401] * 10 + [429] * 2
        assert server.log_in(site.token)[0] == 303  # who knows it is not locked out


def test_the_cookie_holds_no_token_and_is_for_this_site_alone(shown: PageServer) -> None:
    status, headers, _ = shown.log_in(shown.site.token)
    cookie = headers["set-cookie"]
    assert status == 303
    for word in ("HttpOnly", "SameSite=Strict", "Path=/", "expires="):
        assert word in cookie
    assert "Secure" not in cookie  # there is no TLS here
    assert shown.site.token not in urllib.parse.unquote(cookie)
    _, _, body = shown.ask("GET", "/overview?daemon=demo", headers={"Cookie": cookie.partition(";")[0]})
    assert shown.site.token.encode() not in body
    assert cookie.partition("=")[2].partition(";")[0].encode() not in body


@pytest.mark.parametrize("cookie", ["", "x", "2|1:0|10:1|3:a|4:YQ==|0", "forged"])
def test_nobody_comes_in_without_the_cookie(shown: PageServer, cookie: str) -> None:
    name = f"sigc_page_{shown.port}"
    good = shown.cookie(shown.site.token)
    if cookie == "forged":
        cookie = good.partition("=")[2][:-4] + "0000"
    headers = {"Cookie": f"{name}={cookie}"} if cookie else {}
    for view in VIEWS:
        status, found, body = shown.ask("GET", f"/{view}?daemon=demo", headers=headers)
        assert (status, body) == (302, b"")
        assert found["location"].startswith("/login?")
    status, _, body = shown.ask("POST", "/do", b"{}", headers | {"Content-Type": "application/json"})
    assert (status, json.loads(body)["ok"]) == (401, False)


def test_logging_out_ends_it_in_every_tab(shown: PageServer, browser: Browser) -> None:
    with reader(browser, shown) as person:
        person.log_in(shown.site.token)
        person.look("overview")
        second = person.open()
        second.goto(shown.address("orders"))
        second.wait_for_selector("body[data-live]")
        (cookie,) = (c for c in person.context.cookies() if c["name"] == f"sigc_page_{shown.port}")
        person.window.click("text=Log out")
        expect(person.window.locator("#token")).to_be_visible()
        expect(second.locator("#token")).to_be_visible()
        headers = {"Cookie": f"{cookie['name']}={cookie['value']}"}  # a copy of it is worth nothing any more
        assert shown.ask("GET", "/overview?daemon=demo", headers=headers)[0] == 302


def test_a_token_that_is_taken_away_ends_it_too(site: Site, browser: Browser) -> None:
    with PageServer(site) as server, Daemon(site), reader(browser, server) as person:
        person.log_in(READ_TOKEN, user="wall")
        person.look("overview")
        site.settings["daemon"]["rpc"]["tokens"] = []
        site.write()
        site.sigc("restart", "--config", str(site.config))
        expect(person.window.locator("#token")).to_be_visible()


@pytest.mark.parametrize(
    "wanted", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_the_login_leads_nowhere_else(shown: PageServer, wanted: str) -> None:
    form = urllib.parse.urlencode({"daemon": "demo", "user": "a", "token": shown.site.token, "next": wanted})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    status, headers, _ = shown.ask("POST", "/login", form.encode(), kind)
    assert (status, headers["location"]) == (303, "/overview?daemon=demo")
