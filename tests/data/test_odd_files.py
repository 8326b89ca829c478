"""Each odd file is told of as its declaration says; the page of them is what sigc says today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.odd_files import ODD, Odd, page, told

PAGE = Path(__file__).parent.parent.parent / "docs" / "odd-data.md"


@pytest.mark.parametrize("odd", ODD, ids=[f"{i}-{o.title}" for i, o in enumerate(ODD)])
def test_what_is_said_of(odd: Odd) -> None:
    code, text = told(odd)
    wanted, _, part = odd.says.partition(" ")
    assert (code, part in text) == (wanted, True), text


def test_the_page_is_true() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make it anew: python -m tests.data.odd_files > docs/odd-data.md"
