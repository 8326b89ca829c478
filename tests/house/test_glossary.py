"""The glossary: one meaning a word, and every word of the records that people read."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from sigc.rpc.verb import Role
from sigc.schedule.job import JobKind
from sigc.store.ledger.records import Filled, IntentState, Outcome, StageName

TEXT = (Path(__file__).parent.parent.parent / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE)
WORDS = [word.strip() for head, _ in ROWS for word in head.split(",") if word != "word"]


def test_each_word_has_one_meaning() -> None:
    assert len(WORDS) > 70
    assert not {word for word, count in Counter(WORDS).items() if count > 1}


@pytest.mark.parametrize("kind", [Outcome, IntentState, Role])
def test_every_word_of_a_record_is_told(kind: type[Outcome] | type[IntentState] | type[Role]) -> None:
    assert not {str(member) for member in kind if f"`{member}`" not in TEXT}


def test_every_kind_of_job_that_runs_is_told() -> None:
    assert not {kind for kind in JobKind if f"`{kind}`" not in TEXT}


def test_stages_and_what_was_filled_are_told() -> None:
    assert ", ".join(str(stage) for stage in StageName) in TEXT
    assert ", ".join(str(word) for word in Filled) in TEXT
