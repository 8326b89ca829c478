"""The HTML around the parts: head, navigation, sections, dialog; the form of the login; short notices.

Everything a reader needs is in the first answer. The script then keeps it fresh, and asks before it acts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from sigc_dashboard.html import NONE, Html, join, tag
from sigc_dashboard.parts.masthead import masthead
from sigc_dashboard.session_document import MASTHEAD
from sigc_dashboard.view_api import Look, Part, Plot, View, Where

if TYPE_CHECKING:
    from sigc_dashboard.server.page import Page
    from sigc_dashboard.session_document import Tab

_SCRIPTS = ("/static/js/bokeh.min.js", "/assets/page.js")


def frame(page: Page, tab: Tab, token: str) -> str:
    """Return the page of a view, as a tab first gets it. token: of its Bokeh session."""
    where, view, held = tab.visit.where, tab.visit.view, tab.visit.held
    look = Look(where, tab.snapshot, held.role)
    roots = {plot.model.id: f"plot-{plot.name}" for plot in tab.plots}
    told = {
        "token": token,
        "app": f"/{view.name}",
        "roots": {tab.source.id: "source", **roots},
        "order": [tab.source.id, *roots],
        "daemon": where.daemon,
        "user": held.user,
    }
    status = look.status
    body = [
        tag("a", "Skip to the content", class_="skip", href="#content"),
        tag("div", id="banner", role="alert", hidden=True),
        tag(
            "header",
            tag("div", masthead(look), id=f"part-{MASTHEAD}", class_="masthead"),
            _navigation(page, where, view),
            _account(page, where, held.user, str(held.role)),
            class_="top",
        ),
        tag("main", tag("h1", view.title, class_="unseen"), *_sections(tab), id="content", tabindex="-1"),
        _dialog(),
        tag("div", id="source", hidden=True),
        Html(f'<script type="application/json" id="told">{_in_script(told)}</script>'),
        *(tag("script", src=path) for path in _SCRIPTS),
    ]
    zone = status.zone if status is not None else ""
    return _document(f"{view.title} · {where.daemon}", join(body, "\n"), zone=zone)


def _sections(tab: Tab) -> list[Html]:
    after: dict[str, list[Plot]] = {}
    for plot in tab.plots:
        after.setdefault(plot.after, []).append(plot)
    found = [_plot(plot) for plot in after.get("", [])]
    for part in tab.parts:
        found.append(_section(part))
        found += [_plot(plot) for plot in after.get(part.name, [])]
    return found


def _section(part: Part) -> Html:
    heading = tag("h2", part.title, id=f"of-{part.name}") if part.title else NONE
    return tag(
        "section",
        heading,
        tag("div", part.html, id=f"part-{part.name}", class_="part"),
        class_=f"w{part.width}" if part.title else f"w{part.width} bare",
        aria_labelledby=f"of-{part.name}" if part.title else None,
        hidden=not part.html,
    )


def _plot(plot: Plot) -> Html:
    return tag(
        "section",
        tag("h2", plot.title, id=f"of-{plot.name}"),
        tag("div", id=f"plot-{plot.name}", class_="plot", role="img", aria_label=plot.words),
        class_=f"w{plot.width}",
        aria_labelledby=f"of-{plot.name}",
    )


def _navigation(page: Page, where: Where, view: View) -> Html:
    query = urlencode({"daemon": where.daemon})
    links = [
        tag("a", other.title, href=f"/{other.name}?{query}", aria_current="page" if other.name == view.name else None)
        for other in page.views.values()
        if other.is_listed or other.name == view.name
    ]
    return tag("nav", *links, aria_label="Views")


def _account(page: Page, where: Where, user: str, role: str) -> Html:
    names = sorted(page.daemons())
    switch = NONE
    if len(names) > 1:
        links = [
            tag(
                "a",
                name,
                href=f"/overview?{urlencode({'daemon': name})}",
                aria_current=_true(name == where.daemon),
            )
            for name in names
        ]
        switch = tag("details", tag("summary", f"{len(names)} daemons"), tag("div", *links), class_="switch")
    leave = tag("form", tag("button", "Log out", class_="quiet"), method="post", action="/logout")
    who = tag("span", user, tag("small", f" {role}"), class_="who", title=f"logged in with the role {role}")
    return tag("div", switch, who, leave, class_="account")


def _true(is_so: bool) -> str | None:
    return "true" if is_so else None


def _dialog() -> Html:
    """Return the confirmation dialog; page.js fills it."""
    typed = tag("input", id="typed", name="typed", autocomplete="off", spellcheck="false", autocapitalize="off")
    reason = tag("input", id="reason", name="reason", autocomplete="off", maxlength="500")
    return tag(
        "dialog",
        tag(
            "form",
            tag("h2", id="ask-title"),
            tag("p", id="ask-words"),
            tag("div",
            tag("label", "Type ", tag("b", id="ask-name"), " to confirm", for_="typed"),
            typed,
            tag("label", "Reason, for the record", for_="reason"),
            reason, id="ask-fields"),
            tag("p", id="ask-said", role="status"),
            tag(
                "div",
                tag("button", "Cancel", type="button", id="ask-close", class_="quiet"),
                tag("button", "Do it", type="submit", id="ask-do"),
                class_="row",
            ),
            id="ask-form",
            method="dialog",
        ),
        id="ask",
        aria_labelledby="ask-title",
    )  # fmt: skip


def login_form(names: list[str], daemon: str, wanted: str, problem: str) -> str:
    """Return the login page. names: of the daemons; wanted: the page that the person was going to."""
    if daemon not in names:
        daemon = names[0] if names else ""
    options = [tag("option", name, value=name, selected=name == daemon) for name in names]
    which = (
        join([tag("label", "Daemon", for_="daemon"), tag("select", *options, id="daemon", name="daemon")])
        if len(names) > 1
        else tag("input", type="hidden", name="daemon", value=daemon)
    )
    form = tag(
        "form",
        tag("h1", tag("span", "sigc", class_="brand"), " ", daemon if len(names) == 1 else "Log in"),
        tag("p", problem, role="alert", class_="problem") if problem else NONE,
        which,
        tag("label", "Your name, for the record", for_="user"),
        tag("input", id="user", name="user", autocomplete="username", required=True, maxlength="80"),
        tag("label", "Token", for_="token"),
        tag("input", id="token", name="token", type="password", autocomplete="current-password", required=True),
        tag("p", "The daemon's token is in rpc.token of its work directory, or what its configuration says.",
            class_="hint"),
        tag("input", type="hidden", name="next", value=wanted),
        tag("button", "Log in"),
        method="post",
        action="/login",
        class_="card",
    )  # fmt: skip
    return _document("Log in · sigc", tag("main", form, class_="alone"))


def notice(title: str, words: str, *, again: bool, after_s: int = 3) -> str:
    """Return a short page. again: it reloads itself."""
    return _document(
        title,
        tag("main", tag("div", tag("h1", title), tag("p", words), class_="card"), class_="alone"),
        more=Html(f'<meta http-equiv="refresh" content="{after_s}">') if again else NONE,
    )


def _document(title: str, body: Html, *, zone: str = "", more: Html = NONE) -> str:
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        more,
        tag("title", title),
        tag("link", rel="icon", href="/assets/mark.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href="/assets/page.css"),
    ]
    inner = join([tag("head", *head), tag("body", body)], "\n")
    return f"<!doctype html>\n{tag('html', inner, lang='en', data_zone=zone or None)}\n"


def _in_script(value: object) -> str:
    """JSON that no text in it can end the element of."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
