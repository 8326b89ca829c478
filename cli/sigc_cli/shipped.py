"""Files that are shipped beside the code: `conf/` and the runbook. One source, in a checkout as in an installed wheel.

In a wheel they lie in `sigc_cli/shipped/`, laid out as in the checkout (pyproject.toml puts them there); an editable
install reads those of the checkout itself.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from sigc.errors import Diagnostic, SigcError


def shipped(path: str) -> str:
    """Return the text of a shipped file. path: as in the checkout. Raises E200 where this installation lacks it.

    >>> shipped("docs/runbook.md").splitlines()[0]
    '# Runbook'
    """
    found = _root().joinpath(*path.split("/"))
    try:
        return found.read_text(encoding="utf-8")
    except OSError as failure:
        hint = "install sigc-daemon again, from its wheel"
        raise SigcError(Diagnostic("E200", f"this installation has no {path}", hint=hint)) from failure


def _root() -> Traversable:
    """Return the folder that has `conf` and `docs`: of the package, else of the checkout that it is in."""
    packed = files("sigc_cli").joinpath("shipped")
    return packed if packed.is_dir() else Path(__file__).parents[2]
