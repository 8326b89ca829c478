"""What the operators' chapters tell to do can be done: their commands are commands, their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.lines import parse

ROOT = Path(__file__).parent.parent.parent
PAGES = (
    "docs/alerts.md",
    "docs/dashboard.md",
    "docs/monitoring.md",
    "docs/operations.md",
    "docs/runbook.md",
    "docs/trading.md",
    "docs/why.md",
)
COMMAND = re.compile(r"^    (?:docker compose .* exec sigc )?(sigc .*)$|`(sigc [^`]*)`", re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for line, inline in COMMAND.findall((ROOT / page).read_text()):
            found += [(page, part.strip()) for part in (line or inline).split("&&") if part.strip().startswith("sigc ")]
    return found


def anchor(title: str) -> str:
    """The anchor that a heading has where Markdown is shown."""
    return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_a_command_of_a_page_is_a_command(page: str, line: str) -> None:
    assert parse(line).command is not None


@pytest.mark.parametrize(
    "page", [*PAGES, "docs/daemon.md", "docs/metrics.md", "docs/data.md", "docs/language.md", "README.md"]
)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        path, _, fragment = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), target
        if fragment:
            titles = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            assert fragment in {anchor(title) for title in titles}, target
