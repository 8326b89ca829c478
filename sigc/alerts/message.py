"""The messages of channels: an alert, its resolution, a digest of many, or a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sigc.alerts.urgency import Urgency, most_urgent
from sigc.words import counted

_SHOWN = 10  # titles in a digest


@dataclass(frozen=True, slots=True)
class Message:
    """One message. key: the same for every try, so that receivers can drop copies.

    about: shared by an alert and its resolution. kind: raise, resolve, digest or test. number: of alerts in it.
    """

    key: str
    about: str
    kind: str
    severity: Urgency
    title: str
    text: str
    at: datetime
    daemon: str
    rule: str = ""
    strategy: str = ""
    run: str = ""
    number: int = 1

    @property
    def subject(self) -> str:
        """Return the first line: severity, title, and the daemon's name."""
        word = {"resolve": "resolved", "test": "test"}.get(self.kind, str(self.severity))
        return f"[{word}] {self.title} ({self.daemon})"

    @property
    def body(self) -> str:
        """Return the plain text: the subject, the text, and the time, in the zone that it has."""
        return f"{self.subject}\n{self.text}\n{self.at:%Y-%m-%d %H:%M:%S %Z}"


def digest(messages: Sequence[Message], key: str) -> Message:
    """Return one message for many: their number, their rules, the first titles."""
    counts: dict[str, int] = {}
    for one in messages:
        name = f"{one.rule} resolved" if one.kind == "resolve" else one.rule
        counts[name] = counts.get(name, 0) + 1
    told = ", ".join(f"{number} {name}" for name, number in sorted(counts.items(), key=lambda c: (-c[1], c[0])))
    urgent_first = sorted(messages, key=lambda one: -one.severity.rank)
    lines = [f"- {one.subject}" for one in urgent_first[:_SHOWN]]
    lines += [f"- and {len(messages) - _SHOWN} more"] if len(messages) > _SHOWN else []
    return Message(
        key=key,
        about=key,
        kind="digest",
        # Resolutions don't count: good news must not page anybody.
        severity=most_urgent([one.severity for one in messages if one.kind != "resolve"]),
        title=f"{counted(len(messages), 'more alert')}: {told}",
        text="\n".join([*lines, "Look further: sigc alerts list --all"]),
        at=messages[-1].at,
        daemon=messages[-1].daemon,
        number=len(messages),
    )
