"""Links between views."""

from __future__ import annotations

from urllib.parse import urlencode

from sigc_dashboard.html import NONE, Html, tag
from sigc_dashboard.view_api import Where


def address(where: Where, view: str, what: str = "") -> str:
    """Return the address of a view of the same daemon.

    >>> address(Where("paper"), "run", "r1")
    '/run?daemon=paper&what=r1'
    """
    return f"/{view}?{urlencode({'daemon': where.daemon} | ({'what': what} if what else {}))}"


def link(where: Where, view: str, what: str, words: object) -> Html:
    """Return a link to a view about a thing."""
    return tag("a", words, href=address(where, view, what))


def why(where: Where, strategy: str, run: str = "", asset: str = "") -> Html:
    """Return a link to the explanation of a session, a run, or one asset of it; '' without a strategy."""
    if not strategy:
        return NONE
    about = f"{asset or run or strategy}"
    return tag("a", "why", href=address(where, "why", f"{strategy}:{run}:{asset}"), aria_label=f"why: {about}")


def why_parts(what: str) -> tuple[str, str, str]:
    """Return the subject of such a link: strategy, run, asset.

    >>> why_parts("momentum:r1:BRK:B"), why_parts("momentum")
    (('momentum', 'r1', 'BRK:B'), ('momentum', '', ''))
    """
    strategy, run, asset = [*what.split(":", 2), "", ""][:3]
    return strategy, run, asset
