"""The status page for tests: `sigc dashboard` as a process of its own, and people who look at it in real browsers."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import psutil
from playwright.sync_api import Browser, BrowserContext
from playwright.sync_api import Page as Window

from tests.daemon.daemons import Site, free_port
from tests.daemon.processes import PATIENCE_S

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in BROWSERS if (path := shutil.which(name))), "")
PATIENCE_MS = 1000 * PATIENCE_S / 3
READ_TOKEN = "a token that may only look"[:40].replace(" ", "-")


class PageServer:
    """`sigc dashboard` about the daemon of a site."""

    def __init__(self, site: Site, *arguments: str, port: int | None = None) -> None:
        self.site, self.port = site, port or free_port()
        words = arguments or ("--address", f"demo={site.address}")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sigc_cli.main", "dashboard", "--port", str(self.port), *words],
            cwd=site.folder,
            env=site.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said == f"the status page is at {self.url}\n", said

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/"

    def address(self, view: str, **query: str) -> str:
        """Of a view."""
        return f"{self.url}{view}?{urllib.parse.urlencode({'daemon': 'demo'} | query)}"

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """A request as anybody may send it: status, headers by lower-case name, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.putrequest(method, path, skip_host="Host" in (headers or {}))
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            return response.status, {n.lower(): v for n, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def log_in(self, token: str, user: str = "anna") -> tuple[int, Mapping[str, str], bytes]:
        """What the login form sends, and what comes back."""
        form = urllib.parse.urlencode({"daemon": "demo", "user": user, "token": token})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", "/login", form.encode(), kind)

    def cookie(self, token: str, user: str = "anna") -> str:
        """The cookie of somebody who is logged in."""
        status, headers, _ = self.log_in(token, user)
        assert status == 303
        return headers["set-cookie"].partition(";")[0]

    def do(self, cookie: str, what: str, name: str, **more: str) -> tuple[int, dict[str, Any]]:
        """An action, without a browser."""
        wish = {"daemon": "demo", "do": what, "name": name, "typed": name, "key": "0123456789abcdef"} | more
        headers = {"Content-Type": "application/json", "Cookie": cookie}
        status, _, body = self.ask("POST", "/do", json.dumps(wish).encode(), headers)
        found: dict[str, Any] = json.loads(body)
        return status, found

    def memory(self) -> int:
        """Resident bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)

    def __enter__(self) -> PageServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.communicate(timeout=PATIENCE_S / 4)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Reader:
    """Somebody in a browser of their own, and what their console said that it should not."""

    def __init__(self, context: BrowserContext, server: PageServer) -> None:
        self.context, self.server = context, server
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.window = self.open()

    def open(self) -> Window:
        """One more tab, still empty."""
        window = self.context.new_page()
        window.set_default_timeout(PATIENCE_MS)
        window.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        window.on("pageerror", lambda error: self.complaints.append(str(error)))
        window.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        window.on("request", lambda request: self._asked(request.url))
        return window

    def _asked(self, url: str) -> None:
        if urllib.parse.urlsplit(url).hostname != "127.0.0.1" and not url.startswith(("data:", "blob:", "about:")):
            self.foreign.append(url)

    def log_in(self, token: str, user: str = "anna") -> None:
        """By the form."""
        self.window.goto(self.server.url)
        self.window.fill("#user", user)
        self.window.fill("#token", token)
        self.window.click("form.card button")

    def look(self, view: str, **query: str) -> Window:
        """At a view, once it is live."""
        self.window.goto(self.server.address(view, **query))
        self.window.wait_for_selector("body[data-live]")
        return self.window

    def confirm(self, button: str, name: str, reason: str = "") -> str:
        """Press a button and confirm by the name: what the dialog says then."""
        self.window.click(button)
        self.window.fill("#typed", name)
        self.window.fill("#reason", reason)
        self.window.click("#ask-do")
        self.window.wait_for_selector("#ask-said:not(:empty)")
        return self.window.inner_text("#ask-said")


@contextmanager
def reader(browser: Browser, server: PageServer, **how: Any) -> Iterator[Reader]:
    """A person with a browser profile of their own. how: viewport, color_scheme, timezone_id."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "timezone_id": "Europe/Berlin"} | how)
    try:
        yield Reader(context, server)
    finally:
        context.close()
