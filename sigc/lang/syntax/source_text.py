"""Reading the text of a .sig file."""

from __future__ import annotations

from pathlib import Path

from sigc.errors import Diagnostic, SigcError, did_you_mean
from sigc.lang.syntax.tokens import MOST_BYTES


def read_text(path: Path) -> str:
    """Return the text of a source file. Raise E200, or E001 if it is too large or not text."""
    try:
        if path.is_dir():
            raise SigcError(Diagnostic("E200", f"'{path}' is a folder", hint="name a .sig file"))
        if path.stat().st_size > MOST_BYTES:
            raise SigcError(Diagnostic("E001", f"'{path}' is larger than {MOST_BYTES:,} bytes"))
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        parent = path.parent if path.parent.is_dir() else Path()
        hint = did_you_mean(path.name, [p.name for p in parent.glob("*.sig")])
        raise SigcError(Diagnostic("E200", f"there is no file '{path}'", hint=hint)) from None
    except UnicodeDecodeError as broken:
        raise SigcError(Diagnostic("E001", f"'{path}' is not UTF-8: byte {broken.start}")) from broken
    except OSError as failure:
        raise SigcError(Diagnostic("E200", f"'{path}' can't be read: {failure.strerror}")) from failure
