"""Conditions of a query, only those that count: one that is written out and holds for every row hides the index."""

from __future__ import annotations

from collections.abc import Mapping


def conditions(given: Mapping[str, str]) -> tuple[str, list[str]]:
    """The conditions that have a value, as text of a query, and the values."""
    return "".join(f" AND {text}" for text, value in given.items() if value), [v for v in given.values() if v]
