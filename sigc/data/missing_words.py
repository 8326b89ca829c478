"""Texts that stand for a missing value in columns of numbers, or for a missing name. In text columns only '' does."""

from __future__ import annotations

import re

MISSING = ["", "NaN", "nan", "NAN", "NA", "N/A", "na", "n/a", "null", "NULL", "Null", "None", "none", "#N/A"]
_UNNAMED = re.compile(r"Unnamed: \d+(_level_\d+)?|__index_level_\d+__|")


def is_unnamed(name: str) -> bool:
    """Return True for the name of an unnamed column: one that pandas made up, or an empty one."""
    return _UNNAMED.fullmatch(name.strip()) is not None
