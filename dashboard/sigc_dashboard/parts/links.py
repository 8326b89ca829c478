"""Links between views."""

from __future__ import annotations

from urllib.parse import urlencode

from sigc_dashboard.html import Html, tag
from sigc_dashboard.sheet import Where


def address(where: Where, view: str, what: str = "") -> str:
    """Where a view of the same daemon is.

    >>> address(Where("paper"), "run", "r1")
    '/run?daemon=paper&what=r1'
    """
    return f"/{view}?{urlencode({'daemon': where.daemon} | ({'what': what} if what else {}))}"


def link(where: Where, view: str, what: str, words: object) -> Html:
    """A link to a view about a thing."""
    return tag("a", words, href=address(where, view, what))
