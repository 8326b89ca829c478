"""Errors about a file of a source."""

from __future__ import annotations

from sigc.data.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError


def problem(spec: SourceSpec, code: str, file: str, message: str, hint: str = "") -> SigcError:
    """An error about a file of a source, to be raised."""
    return SigcError(Diagnostic(code, f"source '{spec.name}': {file} {message}", spec.span, hint=hint))
