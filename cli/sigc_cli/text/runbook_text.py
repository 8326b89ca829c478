"""The runbook by section, for a person who has the command and no checkout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

_ANCHOR = re.compile(r'<a id="(\w+)"></a>')
_ASKED = re.compile(r"(?:#|sigc runbook )([\w-]+)\W*$")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(#([^)\s]+)\)")
_PAGE = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class RunbookSection:
    """A section of the runbook. names: its anchors, as links and alerts name it. body: Markdown without the heading."""

    title: str
    chapter: str
    names: tuple[str, ...]
    body: str


def sections(text: str) -> tuple[RunbookSection, ...]:
    """Return the sections of the runbook in order."""
    found: list[RunbookSection] = []
    chapter = ""
    anchors: list[str] = []
    for part in re.split(r"^(?=#{2,3} )", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        level, _, title = heading.partition(" ")
        own, anchors = anchors, _ANCHOR.findall(body)
        if level == "##":
            chapter = title
        else:
            found.append(RunbookSection(title, chapter, (_slug(title), *own), _ANCHOR.sub("", body).strip("\n")))
    return tuple(found)


def index(text: str) -> Mapping[str, RunbookSection]:
    """Return sections by each of their names, in lower case."""
    return MappingProxyType({name.lower(): section for section in sections(text) for name in section.names})


def asked(name: str) -> str:
    """Return the name of a section from what a person types or copies from an alert.

    >>> asked("docs/runbook.md#run_failed"), asked("Rule: halted. Runbook: sigc runbook halted"), asked("Disk full")
    ('run_failed', 'halted', 'disk-full')
    """
    found = _ASKED.search(name)
    return _slug(found[1] if found else name.strip())


def shown(section: RunbookSection) -> str:
    """Return a section as text; links name the command that prints what they lead to."""
    body = _LINK.sub(lambda link: f"{link[1]} (sigc runbook {link[2]})", section.body)
    body = _PAGE.sub(lambda link: f"{link[1]} ({link[2]})", body)
    return f"{section.title}\n{'=' * len(section.title)}\n\n{body}"


def listed(found: Iterable[RunbookSection]) -> str:
    """Return the sections by chapter, each with the alerts that it is for."""
    lines: list[str] = []
    chapter = ""
    for section in found:
        if section.chapter != chapter:
            chapter = section.chapter
            lines += ["", chapter, ""] if lines else [chapter, ""]
        rules = ", ".join(section.names[1:])
        name = section.names[0] if " " in section.title else section.title
        lines.append(f"  {name}" + (f"  ({rules})" if rules else ""))
    return "\n".join(lines)


def _slug(title: str) -> str:
    """Return the anchor that a heading has where Markdown is shown."""
    return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
