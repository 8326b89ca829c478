"""A rendered document as a person reads it: tables by name, tiles by label, the words of drawings."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from tests.dashboard.test_parts import VOID

Rows = list[tuple[str, ...]]


@dataclass
class _Open:
    """An element that is not closed yet, and its text so far."""

    name: str
    attributes: dict[str, str | None]
    text: str = ""
    inner: list[str] = field(default_factory=list)


class Document(HTMLParser):
    """tables: rows of texts, the heads first, by aria-label, caption or the heading above. tiles: what a tile says below its label.

    facts: pairs of a term and its value; pictures: the words of what is drawn; classes: of a text in a span, b or small.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, Rows] = {}
        self.tiles: dict[str, tuple[str, ...]] = {}
        self.facts: dict[str, str] = {}
        self.pictures: list[str] = []
        self.classes: dict[str, str] = {}
        self.words = ""
        self._open: list[_Open] = []
        self._rows: Rows = []
        self._name = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        if told.get("role") == "img":
            self.pictures.append(told.get("aria-label") or "")
        if told.get("role") == "region":
            self._name = told.get("aria-label") or ""
        if name not in VOID:
            self._open.append(_Open(name, told))

    def handle_data(self, data: str) -> None:
        self.words += data
        for one in self._open:
            one.text += data

    def handle_endtag(self, name: str) -> None:
        one = self._open.pop()
        kinds = (one.attributes.get("class") or "").split()
        if self._open:
            self._open[-1].inner.append(one.text)
        if kinds and one.text and one.name in ("span", "b", "small"):
            self.classes[one.text] = " ".join(kinds)
        match name:
            case "caption" | "h2":
                self._name = one.text
            case "tr":
                self._rows.append(tuple(one.inner))
            case "table":
                self.tables[self._name], self._rows, self._name = self._rows, [], ""
            case "div" if "tile" in kinds:
                self.tiles[one.inner[0]] = tuple(text for text in one.inner[1:] if text)
            case "div" if len(one.inner) == 2:
                self.facts[one.inner[0]] = one.inner[1]
