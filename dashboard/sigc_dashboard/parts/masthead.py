"""Line above every view: the daemon, its state, its broker, the age of the data."""

from __future__ import annotations

from sigc.rpc.messages.status import has_no_money
from sigc_dashboard.html import Html, join, tag
from sigc_dashboard.parts.tiles import badge
from sigc_dashboard.view_api import Look


def masthead(look: Look) -> Html:
    """Brand, name, state, mode, age."""
    status = look.status
    pieces = [tag("span", "sigc", class_="brand"), tag("b", look.where.daemon, class_="name")]
    if status is not None:
        pieces += [badge(state_of(look)), mode(status.broker)]
        pieces += [badge("breaker tripped", "bad", ", ".join(status.breakers))] if status.breakers else []
    pieces.append(tag("span", class_="age", id="age"))
    return join(pieces, " ")


def state_of(look: Look) -> str:
    """Return the daemon's state as a word."""
    status = look.status
    if status is None:
        return "unknown"
    if status.is_halted:
        return "halted"
    if status.is_paused:
        return "paused"
    return "running" if status.is_ready else status.status if status.status != "running" else "not ready"


def mode(broker: str) -> Html:
    """Paper or live: by word, and by how loud it is."""
    is_paper = has_no_money(broker)
    words = "Paper" if is_paper else "Live"
    title = "orders go to a simulation" if is_paper else f"orders go to {broker}, with real money"
    return tag("span", words, class_="mode paper" if is_paper else "mode live", title=title)
