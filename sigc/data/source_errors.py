"""Errors about a file of a source."""

from __future__ import annotations

from sigc.config.secret import without_url_secrets
from sigc.data.sources.spec import SourceSpec
from sigc.errors import Diagnostic, SigcError


def problem(spec: SourceSpec, code: str, file: str, message: str, hint: str = "") -> SigcError:
    """Return an error about a file of a source, for the caller to raise; secrets of URLs are removed."""
    text = without_url_secrets(f"source '{spec.name}': {file} {message}")
    return SigcError(Diagnostic(code, text, spec.span, hint=hint))
