"""Buttons of controls: the question before each action, and the reason for a disabled one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sigc.rpc.verb import Role
from sigc_dashboard.html import Html, tag
from sigc_dashboard.view_api import Look

# By action: the button, the title of the question, what it means.
TEXTS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "pause": (
            "Pause",
            "Pause {name}?",
            "No new run of it begins until it is resumed, and what runs sends nothing.",
        ),
        "resume": ("Resume", "Resume {name}?", "It runs on its schedule again."),
        "pause_all": (
            "Pause all",
            "Pause everything?",
            "No new run begins until it is resumed, and what runs sends nothing.",
        ),
        "resume_all": ("Resume all", "Resume everything?", "What is not paused by itself runs on schedule again."),
        "run": ("Run", "Run {name} and trade?", "It computes with the newest data and sends orders to the broker."),
        "dry_run": ("Dry run", "Run {name} dry?", "It computes and checks; nothing is traded."),
        "cancel": ("Cancel", "Cancel the run of {name}?", "It ends as soon as it can; its open orders are withdrawn."),
        "halt": ("Halt", "Halt trading of {name}?", "No order of it is sent from now on; what waits ends unsent."),
        "unhalt": ("Allow trading", "Let {name} trade again?", "Its next run may send orders."),
        "halt_all": (
            "Halt trading",
            "Halt all trading?",
            "No order is sent from now on; what waits ends unsent.",
        ),
        "unhalt_all": ("Allow trading", "Let it trade again?", "The next runs may send orders."),
        "ack": ("Acknowledge", "Look after {name}?", "It stays open until it is over; others see that you look at it."),
        "enable": ("Enable", "Enable the job {name}?", "It fires again."),
        "disable": ("Disable", "Disable the job {name}?", "It fires no more until it is enabled."),
    }
)
_STRONG = frozenset({"run", "halt", "halt_all", "unhalt", "unhalt_all", "cancel"})


def button(look: Look, action: str, name: str, role: Role, *, id: str = "") -> Html:
    """Return a control for a thing. name: the text that the person must type. id: of a run or an alert."""
    label, title, words = TEXTS[action]
    may = look.may(role)
    return tag(
        "button",
        label,
        type="button",
        class_="strong" if action in _STRONG else "quiet",
        data_do=action,
        data_name=name,
        data_id=id or None,
        data_title=title.format_map({"name": name}),
        data_words=words,
        data_key=f"{action} {name} {id}",
        disabled=not may,
        title=None if may else f"takes the role {role}; yours is {look.role}",
        aria_label=f"{label} {name}",
    )
