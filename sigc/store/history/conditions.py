"""Conditions of a query, only those given: SQLite ignores an index for a condition like `? IN ('', strategy)`."""

from __future__ import annotations

from collections.abc import Mapping


def conditions(given: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the conditions that have a value, as text of a query, and their values."""
    return "".join(f" AND {text}" for text, value in given.items() if value), [v for v in given.values() if v]
