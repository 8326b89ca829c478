"""Texts that say nothing: a missing cell of a column of numbers, a name that is none. Of text only an empty cell is."""

from __future__ import annotations

import re

MISSING = ["", "NaN", "nan", "NAN", "NA", "N/A", "na", "n/a", "null", "NULL", "Null", "None", "none", "#N/A"]
_UNNAMED = re.compile(r"Unnamed: \d+(_level_\d+)?|__index_level_\d+__|")


def is_unnamed(name: str) -> bool:
    """True for the name of a column that nobody named: pandas' own, or none."""
    return _UNNAMED.fullmatch(name.strip()) is not None
