"""Errors in a notebook: file, line, caret and hint instead of frames of sigc.

`reported` stands on each function that a notebook calls. In IPython the error is shown alone, by `_render_traceback_`;
in plain Python below the caller's frames and one of sigc.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from sigc.errors import Diagnostic, SigcError, render

P = ParamSpec("P")
T = TypeVar("T")
_MOST = 20  # errors shown


class StrategyError(SigcError):
    """A `SigcError` whose text shows the places in the source, underlined."""

    def __init__(self, *diagnostics: Diagnostic, sources: Mapping[str, str] | None = None) -> None:
        super().__init__(*diagnostics)
        self.sources = dict(sources or {})

    def __str__(self) -> str:
        return "\n" + "\n".join(self._render_traceback_())

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows instead of a traceback."""
        lines = [line for d in self.diagnostics[:_MOST] for line in render(d, self.sources).split("\n")]
        more = len(self.diagnostics) - _MOST
        return [*lines, f"... and {more} more"] if more > 0 else lines


def reported(function: Callable[P, T]) -> Callable[P, T]:
    """Wrap a function so that its `SigcError`s are raised without the frames below it."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except SigcError as error:
            compiled = getattr(args[0], "_compiled", None) if args else None
            sources = error.sources or (compiled.checked.sources if compiled is not None else {})
            shown = StrategyError(*error.diagnostics, sources=sources)
        raise shown from None  # out of the except block: what it was caught from is not shown either

    return call
