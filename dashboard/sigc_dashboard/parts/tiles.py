"""Tiles, bars, badges, tables. A colour never stands without its word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sigc.rpc.messages.status import UNFILLED
from sigc_dashboard.html import NONE, Html, join, tag

_GOOD = frozenset(
    {
        "ok",
        "done",
        "unchanged",
        "success",
        "active",
        "running",
        "ready",
        "idle",
        "filled",
        "enabled",
        "open for trading",
    }
)
_BAD = frozenset(
    {
        "failed",
        "nothing filled",
        "error",
        "refused",
        "rejected",
        "halted",
        "lost",
        "timeout",
        "not reached",
        "missed",
        "nothing traded",
        "partial",
        "unresolved",
        "denied",
    }
)
_WARN = frozenset(
    {"filled in part", "paused", "degraded", "starting", "stopping", "interrupted", "cancelled", "disabled", "skipped"}
)


def tone(word: str) -> str:
    """Return the tone of a state: good, bad, warn, or plain.

    >>> tone("done"), tone("Failed"), tone("paused"), tone("never run"), tone("failed: no data")
    ('good', 'bad', 'warn', 'plain', 'bad')
    """
    said = word.lower().partition(":")[0].strip().replace("_", " ")
    for name, words in (("good", _GOOD), ("bad", _BAD), ("warn", _WARN)):
        if said in words:
            return name
    return "plain"


def badge(word: str, of: str = "", title: str = "") -> Html:
    """Return a state as a dot in its tone and its word."""
    return tag("span", word, class_=f"badge {of or tone(word)}", title=title or None)


def fills(filled: str) -> Html:
    """Draw the filled share of a run's orders as a badge beside its outcome; nothing if all of it was filled."""
    word = UNFILLED.get(filled)
    return NONE if word is None else join([" ", badge(word)])


def edited(text: str) -> Html:
    """Draw a badge that a strategy's file is not what was loaded; text: more of it, '' if it is."""
    return join([" ", badge("edited, not loaded", "warn", text)]) if text else NONE


def tile(label: str, value: object, *, more: object = NONE, bar: float | None = None, tone: str = "") -> Html:
    """Return a number with its label. bar: fill level in percent."""
    gauge = NONE if bar is None else meter(label, bar)
    below = tag("small", more) if more else NONE
    return tag("div", tag("span", label), tag("b", value), below, gauge, class_=f"tile {tone}".strip())


def meter(label: str, full: float) -> Html:
    """Draw a fill level in percent; its tone turns at 80 and at 95."""
    level = "bad" if full >= 95 else "warn" if full >= 80 else "good"
    return tag("meter", f"{full:.0f} %", value=f"{full:.1f}", min="0", max="100", class_=level, aria_label=label)


def tiles(found: Iterable[Html]) -> Html:
    """Return tiles beside one another."""
    return tag("div", *found, class_="tiles")


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table. key: identifies the row from one push to the next. The first cell is the row's head."""

    key: str
    cells: tuple[object, ...]


def table(
    name: str, heads: Sequence[str], rows: Iterable[TableRow], numbers: Iterable[int] = (), *, has_cards: bool = False
) -> Html:
    """Return a table that scrolls inside itself. name: for screen readers. numbers: columns of numbers.

    has_cards: on a narrow screen each row is a card with its labels, so that its controls are in reach.
    """
    right = frozenset(numbers)
    top = [tag("th", head, scope="col", class_="num" if n in right else None) for n, head in enumerate(heads)]
    labels = tuple(heads) if has_cards else ("",) * len(heads)
    body = [
        tag("tr", *(_cell(n, c, n in right, labels[n]) for n, c in enumerate(r.cells)), data_key=r.key) for r in rows
    ]
    inner = tag(
        "table", tag("thead", tag("tr", *top)), tag("tbody", *body), class_="rows cards" if has_cards else "rows"
    )
    return tag("div", inner, class_="wide", tabindex="0", role="region", aria_label=name)


def _cell(number: int, cell: object, is_right: bool, label: str) -> Html:
    kind = "num" if is_right else None
    if number == 0:
        return tag("th", cell, scope="row", class_=kind)
    return tag("td", cell, class_=kind, data_label=label or None)


def nothing(words: str) -> Html:
    """Draw the notice of a part without content."""
    return tag("p", words, class_="nothing")
