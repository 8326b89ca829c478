"""The page's server: Bokeh's, with our admission before it and our handlers beside it.

    /            to the first daemon's overview          /NAME, /NAME/ws     a view, and its Bokeh session
    /login, /logout, /do, /alive                         /assets, /static    ours, and BokehJS

`admission` judges requests first. A view's page is written by `layout`; what changes in it comes over the websocket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.server.auth_provider import AuthProvider
from bokeh.server.server import BaseServer
from bokeh.server.session import ServerSession
from bokeh.server.tornado import BokehTornado
from bokeh.server.views.session_handler import SessionHandler
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import OutputTransform, RequestHandler

from sigc.rpc.access import Throttle
from sigc_dashboard.assets import asset
from sigc_dashboard.layout import frame, notice
from sigc_dashboard.server.admission import RequestGate, RequestHead, headers_of
from sigc_dashboard.server.controls import Do
from sigc_dashboard.server.login import Login, Logout, visit_of, where_of
from sigc_dashboard.server.page import Page, Visit
from sigc_dashboard.server.places import Places
from sigc_dashboard.server.sessions import Sessions
from sigc_dashboard.session_document import Tab
from sigc_dashboard.view_api import View
from sigc_dashboard.views import VIEWS

_BEAT_EVERY_MS = 1000
_PING_S = 15
_MOST_ANNOUNCED = 100
_UNUSED_MS = 3000  # after that a tab that is gone is forgotten
log = logging.getLogger("sigc.page")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the page's server. origins: further origins that reach it. lasts_s: length of a login."""

    host: str = "127.0.0.1"
    origins: tuple[str, ...] = ()
    lasts_s: float = 12 * 3600.0
    tls: ssl.SSLContext | None = None


class _Auth(AuthProvider):
    """Bokeh's check of the login, also before a websocket is opened."""

    def __init__(self, page: Page) -> None:
        self._page = page
        super().__init__()

    @property
    def get_user(self) -> Callable[[Any], Any]:
        return lambda handler: visit_of(self._page, handler.request)

    @property
    def login_url(self) -> str:
        return "/login"


class _Server(BokehTornado):
    """Bokeh's application behind our admission."""

    def __init__(self, page: Page, settings: Settings) -> None:
        self.page, self.settings_ = page, settings
        self.gate = RequestGate.of(settings.host, settings.origins, page.views)
        self.throttle = Throttle(time.monotonic)
        apps = {f"/{name}": Application(_Opener(page, view)) for name, view in page.views.items()}
        patterns: list[Any] = [
            ("/login", Login),
            ("/logout", Logout),
            ("/do", Do),
            ("/alive", _Alive),
            (r"/assets/([a-z_]+\.(?:css|js|svg))", _Asset),
        ]
        super().__init__(
            apps,
            extra_patterns=patterns,
            extra_websocket_origins=[],
            secret_key=page.sessions.key.encode(),
            sign_sessions=True,
            use_index=False,
            include_headers=[],
            include_cookies=[],
            auth_provider=_Auth(page),
            unused_session_lifetime_milliseconds=_UNUSED_MS,
            check_unused_sessions_milliseconds=_UNUSED_MS // 2,
            keep_alive_milliseconds=10_000,
            stats_log_frequency_milliseconds=3_600_000,
            websocket_max_message_size_bytes=1_000_000,
            websocket_compression_level=1,
            # A browser that vanished without a word is let go of.
            websocket_ping_interval=_PING_S,
            websocket_ping_timeout=_PING_S,
            transforms=[_Headers],
            log_function=_logged,
            cookie_secret=page.sessions.key,
        )

    @property
    def websocket_origins(self) -> set[str]:
        """The gate has judged origins exactly, with their scheme; here are their hosts."""
        return {"*"}

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> Any:
        """Return the handler of a request, or that of its refusal."""
        asked = asked_of(request)
        refused = self.gate.refusal(asked)
        if refused is not None:
            return self.get_handler_delegate(request, _Refused, {"status": refused[0], "words": refused[1]})
        if self.gate.is_foreign(asked):
            return self.get_handler_delegate(request, _Followed)
        name = (request.path or "")[1:]
        if not name:
            return self.get_handler_delegate(request, _First)
        context = self.applications.get(f"/{name}")
        if context is not None:
            about = {"application_context": context, "bokeh_websocket_path": f"/{name}/ws"}
            return self.get_handler_delegate(request, _ViewPage, about)
        return super().find_handler(request, **more)


class _Opener(FunctionHandler):
    """Handler that fills the document of a new tab."""

    def __init__(self, page: Page, view: View) -> None:
        self._page, self._view = page, view
        self._announced: dict[str, Visit] = {}
        super().__init__(self._open)

    def process_request(self, request: HTTPServerRequest) -> dict[str, Any]:
        """Return the fields of Bokeh's token. The browser sees them: they name the visit, not the person."""
        visit, word = visit_of(self._page, request), secrets.token_urlsafe(16)
        if visit is not None:
            self._announced[word] = visit
            while len(self._announced) > _MOST_ANNOUNCED:  # those whose document was never opened
                self._announced.pop(next(iter(self._announced)))
        return {"visit": word}

    def _open(self, document: Document) -> None:
        context = document.session_context
        if context is None:
            return
        visit = self._announced.pop(str(getattr(context, "token_payload", {}).get("visit")), None)
        if visit is None:
            return  # a websocket for a tab that is forgotten: the browser loads the page again
        document.title = f"{self._view.title} · {visit.where.daemon}"
        document.config.reconnect_session = False
        document.config.notify_connection_status = False
        self._page.opened(context.id, Tab(self._page, document, visit))
        document.on_session_destroyed(_Forget(self._page))


class _Forget:
    """Callback for a closed tab."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def __call__(self, context: Any) -> None:
        self._page.closed(context.id)


class _ViewPage(SessionHandler):
    """A view: its page, complete and readable before any script runs."""

    async def get(self) -> None:
        """Answer with the page, or redirect to the login."""
        page: Page = self.application.page  # type: ignore[attr-defined]
        found = where_of(page, self.request)
        if found is None:
            self.set_status(404)
            self.write(notice("No such daemon", "This page does not know that daemon.", again=False))
        elif visit_of(page, self.request) is None:
            self.redirect(f"/login?{urlencode({'daemon': found.daemon, 'next': self.request.uri or '/'})}")
        else:
            opening: Awaitable[ServerSession] = self.get_session()  # type: ignore[assignment]
            session = await opening
            tab = page.tabs[session.id]
            for name, value in headers_of(
                asked_of(self.request), page.frames(found.daemon) if tab.visit.view.has_frames else ()
            ).items():
                self.set_header(name, value)
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.write(frame(page, tab, session.token))


class _First(RequestHandler):
    """The first daemon's overview."""

    def get(self) -> None:
        """Redirect to the first daemon; while none runs, answer with a page that reloads itself."""
        page: Page = self.application.page  # type: ignore[attr-defined]
        names = sorted(page.daemons())
        if names:
            self.redirect(f"/overview?{urlencode({'daemon': names[0]})}")
        else:
            self.set_status(503)
            self.write(notice("No daemon runs here", "Start one by `sigc daemon`. This page looks again.", again=True))


class _Followed(RequestHandler):
    """Answer to a link followed from another site: the browser comes again from this page, then with its cookie."""

    def get(self) -> None:
        """Answer with a page that reloads itself."""
        self.write(notice("sigc", "One moment.", again=True, after_s=0))


class _Refused(RequestHandler):
    """Handler of refused requests."""

    def initialize(self, status: int, words: str) -> None:
        """Take status and words from the gate."""
        self._status, self._words = status, words

    def prepare(self) -> None:
        """Whatever the method."""
        self.set_status(self._status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self._words + "\n")


class _Alive(RequestHandler):
    """Liveness check of a browser that has lost the connection."""

    def get(self) -> None:
        """Answer that the page is alive."""
        self.write({"alive": True})


class _Asset(RequestHandler):
    """Our own files."""

    def get(self, name: str) -> None:
        """Answer with a file of static/; the stylesheet begins with the look of reports."""
        found = asset(name)
        if found is None:
            self.set_status(404)
            return
        kind, body, mark = found
        self.set_header("Content-Type", kind)
        self.set_header("Etag", mark)
        if self.check_etag_header():
            self.set_status(304)
            return
        self.write(body)


class _Headers(OutputTransform):
    """Transform that puts our headers on every answer."""

    def __init__(self, request: HTTPServerRequest) -> None:
        self._request = request

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool  # noqa: ARG002
    ) -> tuple[int, HTTPHeaders, bytes]:  # fmt: skip
        # What a handler has set itself stays: a view's page may frame Dask's.
        for name, value in headers_of(asked_of(self._request), ()).items():
            headers.setdefault(name, value)
        headers.pop("Server", None)
        return status_code, headers, chunk


def asked_of(request: HTTPServerRequest) -> RequestHead:
    """Return the head of a request, as the gate reads it."""
    found = {name.lower(): value for name, value in request.headers.items()}
    return RequestHead(request.method or "", request.path or "", found, request.protocol)


def _logged(handler: RequestHandler) -> None:
    status = handler.get_status()
    level = logging.WARNING if status >= 500 else logging.DEBUG
    # The path alone: a query may name things, and is no business of a log.
    said = {"status": status, "path": handler.request.path, "peer": handler.request.remote_ip}
    log.log(level, "request", extra=said)


def serve(places: Places, listening: socket.socket, settings: Settings, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT."""
    asyncio.run(_serve(places, listening, settings, ready))


async def _serve(places: Places, listening: socket.socket, settings: Settings, ready: Callable[[], None]) -> None:
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    cookie = f"sigc_page_{listening.getsockname()[1]}"
    page = Page(places, Sessions(time.monotonic, settings.lasts_s), by_name(VIEWS), cookie, loop)
    app = _Server(page, settings)
    http = HTTPServer(
        app,
        ssl_options=settings.tls,
        max_header_size=32_768,
        max_body_size=100_000,
        idle_connection_timeout=60,
        body_timeout=20,
    )
    http.add_sockets([listening])
    server = BaseServer(IOLoop.current(), app, http)
    server.start()
    beating = PeriodicCallback(page.beat, _BEAT_EVERY_MS)
    beating.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    ready()
    try:
        await asked.wait()
    finally:
        beating.stop()
        http.stop()
        with contextlib.suppress(Exception):
            server.stop(wait=False)
        page.close()
        await http.close_all_connections()


def by_name(views: Iterable[View]) -> Mapping[str, View]:
    """Return the views by their routes."""
    return {view.name: view for view in views}
