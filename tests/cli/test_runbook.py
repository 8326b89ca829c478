"""`sigc runbook` finds the section of every alert, by whatever its message calls it, and nothing of it is lost."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner, Result

from sigc.alerts.rules import RULES
from sigc.alerts.words import explained
from sigc.errors import SigcError
from sigc.lang.codes import CODES
from sigc_cli.main import cli
from sigc_cli.shipped import shipped
from sigc_cli.text.runbook_text import asked, index, sections
from tests.daemon.processes import ROOT

TEXT = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^### (.*)$", TEXT, re.MULTILINE)


def runbook(*words: str) -> Result:
    return CliRunner().invoke(cli, ["runbook", *words], standalone_mode=False)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_leads_to_its_section(rule: str) -> None:
    found = runbook(rule)
    assert found.exit_code == 0, found.exception
    assert runbook(f"docs/runbook.md#{rule}").output == found.output
    assert runbook(explained("no prices", rule).splitlines()[-1]).output == found.output
    before = TEXT.index(f"### {rule}" if f"### {rule}\n" in TEXT else f'<a id="{rule}"></a>')
    assert found.output.splitlines()[0] == TEXT[before:].split("### ", 1)[1].splitlines()[0]


@pytest.mark.parametrize("code", sorted(code for code in CODES if code.startswith("E")))
def test_an_error_code_leads_to_a_section_that_says_what_to_do_about_it(code: str) -> None:
    found = runbook(code)
    assert found.exit_code == 0, found.exception
    assert runbook(code.lower()).output == found.output
    named = re.findall(r"E\d{3}(?: to E\d{3})?", found.output)
    ranges = [name.split(" to ") for name in named]
    assert any(first <= code <= last for first, last in ((r[0], r[-1]) for r in ranges)), "the section does not name it"
    assert re.search(r"^    sigc \w", found.output, re.MULTILINE), "no command to begin with"


@pytest.mark.parametrize(
    ("code", "title", "command"),
    [
        ("E803", "A stage passed its deadline", "    sigc status --detailed"),
        ("E601", "The broker does not answer, or its book is locked", "    sigc ps"),
        ("E002", "The strategy does not compile", "    sigc check FILE"),
        ("E103", "The strategy does not compile", "    sigc check FILE"),
        ("E310", "ledger_damaged", "    sigc audit verify"),
        ("E602", "Ledger and broker differ", "    sigc reconcile"),
    ],
)
def test_the_section_of_a_code(code: str, title: str, command: str) -> None:
    lines = runbook(code).output.splitlines()
    assert lines[0] == title
    assert any(line.startswith(command) for line in lines)


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_leads_to_its_section_in_any_case(heading: str) -> None:
    body = TEXT.split(f"### {heading}\n", 1)[1]
    body = re.split(r"^(?:#|<a id=)", body, maxsplit=1, flags=re.MULTILINE)[0]
    for name in (heading, heading.lower(), heading.upper()):
        shown = runbook(name).output
        assert shown.splitlines()[:2] == [heading, "=" * len(heading)]
        for line in body.splitlines():
            if line.startswith("    "):
                assert line in shown.splitlines()


def test_every_word_of_a_section_is_printed() -> None:
    """Link targets aside: they are named as commands."""
    for section in sections(TEXT):
        words = re.findall(r"\w+", re.sub(r"\]\([^)]*\)", "]", section.body))
        printed = re.findall(r"\w+", runbook(section.names[0]).output)
        left = iter(printed)
        assert all(word in left for word in words), section.title


def test_links_lead_to_sections_that_there_are() -> None:
    names = index(TEXT)
    for section in sections(TEXT):
        for target in re.findall(r"sigc runbook ([\w-]+)\)", runbook(section.names[0]).output):
            assert target.lower() in names, (section.title, target)


def test_the_list_has_every_section_once() -> None:
    listed = runbook().output
    assert [s.title for s in sections(TEXT)] == HEADINGS
    for section in sections(TEXT):
        line = section.title if " " not in section.title else section.names[0]
        assert len(re.findall(rf"^  {line}(?:  \(|$)", listed, re.MULTILINE)) == 1
    assert all(re.search(rf"\b{rule}\b", listed) for rule in RULES)


def test_another_word_is_an_error_with_the_nearest() -> None:
    failed = runbook("disk_ful").exception
    assert isinstance(failed, SigcError)
    assert failed.diagnostics[0].code == "E002"
    near = runbook("halte").exception
    assert isinstance(near, SigcError)
    assert "halted" in near.diagnostics[0].hint


def test_the_runbook_is_that_of_the_checkout() -> None:
    assert shipped("docs/runbook.md") == TEXT
    assert asked(" Disk full ") == "disk-full"
