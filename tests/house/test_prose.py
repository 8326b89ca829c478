"""The law of prose that a program can check: a docstring says what a thing is or does, not a clause about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.house.test_circles import sources

CLAUSES = frozenset({"how", "that", "what", "when", "where", "whether", "which", "who", "whose", "why"})


def clauses(text: str) -> Iterator[str]:
    """The first lines of docstrings that begin with a clause."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = (ast.get_docstring(node) or "").partition("\n")[0]
        word = first.partition(" ")[0].rstrip(",:.").lower()
        if word in CLAUSES:
            yield f"{getattr(node, 'name', 'module')}: {first}"


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    assert not {name: found for name, text in sources().items() if (found := [*clauses(text)])}


@pytest.mark.parametrize("text", ['"""What it is."""', 'def f():\n    """Whether it is so."""'])
def test_a_planted_clause_is_found(text: str) -> None:
    assert [*clauses(text)]
