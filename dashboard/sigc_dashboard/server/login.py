"""Login and logout: a form takes a token, which the page verifies at the daemon.

The token stays in this process (`sessions`); the browser has a signed cookie, HttpOnly and SameSite=Strict. Ten wrong
tokens a minute from one address, then 429: the daemon counts for itself too.
"""

from __future__ import annotations

import asyncio
import http
import re
from typing import Any
from urllib.parse import parse_qs, urlencode

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler, decode_signed_value

from sigc.rpc.client import Client, NoDaemonError, RefusedError, Target
from sigc.rpc.messages.page import WhoReply
from sigc.rpc.verb import Role
from sigc_dashboard.layout import login_form
from sigc_dashboard.server.page import Page, Visit
from sigc_dashboard.server.places import Place
from sigc_dashboard.server.sessions import Pass, Person
from sigc_dashboard.view_api import Where

_PATIENCE_S = 5.0
_LONGEST = 4096
_TOO_MANY = "Too many wrong tokens: wait a minute."
_NEXT = re.compile(r"/[a-z]*(\?[^\s\\]*)?")  # of ours: no scheme, no host


def person_of(page: Page, request: HTTPServerRequest) -> Person | None:
    """Return the person who is logged in, by the cookie."""
    morsel = request.cookies.get(page.cookie)
    days = page.sessions.lasts_s / 86_400
    id = decode_signed_value(page.sessions.key, page.cookie, morsel.value, max_age_days=days) if morsel else None
    return None if id is None else page.sessions.find(id.decode())


def where_of(page: Page, request: HTTPServerRequest) -> Where | None:
    """Return the subject of a request: the daemon it names, else the first; None for an unknown one."""
    query = parse_qs(request.query or "")
    names = sorted(page.daemons())
    daemon = query.get("daemon", names[:1])[0] if names or "daemon" in query else ""
    return Where(daemon, query.get("what", [""])[0][:200]) if daemon in names else None


def visit_of(page: Page, request: HTTPServerRequest) -> Visit | None:
    """Return person and view of a request; None for a person not logged in at that daemon, or an unknown view."""
    person, where = person_of(page, request), where_of(page, request)
    view = page.views.get((request.path or "").strip("/").removesuffix("/ws"))
    if person is None or where is None or view is None or where.daemon not in person.passes:
        return None
    return Visit(person, person.passes[where.daemon], view, where)


class _Door(RequestHandler):
    """Common part of login and logout."""

    @property
    def page(self) -> Page:
        """The page."""
        found: Page = self.application.page  # type: ignore[attr-defined]
        return found

    def keep(self, person: Person) -> None:
        """Give the browser its cookie."""
        self.set_signed_cookie(
            self.page.cookie,
            person.id,
            expires_days=self.page.sessions.lasts_s / 86_400,
            httponly=True,
            samesite="Strict",
            secure=self.is_secure,
            path="/",
        )

    @property
    def is_secure(self) -> bool:
        """Return True if the browser speaks TLS, with us or with a proxy before us."""
        return self.request.protocol == "https" or self.request.headers.get("Origin", "").startswith("https://")

    def person(self) -> Person | None:
        """Return the person who is logged in."""
        return person_of(self.page, self.request)


class Login(_Door):
    """The login form and its handler."""

    def get(self) -> None:
        """Answer with the form, or with a redirect for a person who is logged in there already."""
        daemon, person = self.get_query_argument("daemon", ""), self.person()
        if person is not None and daemon in person.passes:
            self.redirect(self._next(daemon))
        else:
            self._form(daemon, "")

    async def post(self) -> None:
        """Verify the token, and redirect to the page that the person wanted."""
        daemon, user = self.get_body_argument("daemon", ""), self.get_body_argument("user", "").strip()[:80]
        token = self.get_body_argument("token", "", strip=True)[:_LONGEST]
        place = self.page.daemons().get(daemon)
        if place is None:
            self._form(daemon, "There is no such daemon here.", 404)
            return
        found = await self._prove(place, token, user)
        if isinstance(found, Pass):
            before = self.person()
            self.keep(self.page.sessions.log_in(before.id if before is not None else "", found))
            self.page.feed(daemon).hurry()
            self.redirect(self._next(daemon), status=303)
        else:
            status, why = found
            if status == 401 and self.application.throttle.is_over(str(self.request.remote_ip)):  # type: ignore[attr-defined]
                self.set_header("Retry-After", "60")
                status, why = 429, _TOO_MANY
            self._form(daemon, why, status)

    async def _prove(self, place: Place, token: str, user: str) -> Pass | tuple[int, str]:
        """Return a pass, or status and words of the refusal."""
        if not token.isascii() or not token.isprintable() or not token:
            return 401, "The token is wrong."
        try:
            who = await asyncio.get_running_loop().run_in_executor(None, _who, place, token)
        except NoDaemonError as gone:
            return 503, f"The daemon does not answer, so it can't say whether the token is right: {gone}"
        except RefusedError as refused:
            if refused.status == http.HTTPStatus.TOO_MANY_REQUESTS:
                return 429, _TOO_MANY
            return (
                (401, "The token is wrong.") if refused.status == http.HTTPStatus.UNAUTHORIZED else (503, str(refused))
            )
        return Pass(place.name, token, who.token, Role(who.role), user or who.token)

    def _next(self, daemon: str) -> str:
        wanted = self.get_argument("next", "")
        return wanted if _NEXT.fullmatch(wanted) else f"/overview?{urlencode({'daemon': daemon})}"

    def _form(self, daemon: str, problem: str, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        wanted = self.get_argument("next", "")
        self.write(login_form(sorted(self.page.daemons()), daemon, wanted, problem))

    def get_login_url(self) -> str:
        """Return the address of the login."""
        return "/login"


class Logout(_Door):
    """Logout from every daemon."""

    def post(self) -> None:
        """Forget the person and their tokens."""
        person = self.person()
        if person is not None:
            self.page.sessions.log_out(person.id)
        self.clear_cookie(self.page.cookie, path="/")
        self.redirect("/login", status=303)


def _who(place: Place, token: str) -> WhoReply:
    found: Any = place.target()
    with Client(Target(found.address, token, found.tls), _PATIENCE_S, who="page") as client:
        return client.get("whoami", reply=WhoReply)
