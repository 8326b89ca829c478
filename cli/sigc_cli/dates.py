"""Dates of the command line."""

from __future__ import annotations

import datetime

from sigc.errors import Diagnostic, SigcError


def day(text: str) -> str:
    """An ISO date as given, checked; '' stays ''. Raises E500."""
    if not text:
        return ""
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise SigcError(Diagnostic("E500", f"'{text}' is no date", hint="write YYYY-MM-DD")) from None
