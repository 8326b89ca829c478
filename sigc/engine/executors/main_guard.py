"""The check that a script which starts processes can be imported: each process imports it first.

`multiprocessing` imports it to find the script's definitions. Code outside of `if __name__ == "__main__":` runs again
in every process, the call that started it included.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import FrameType, ModuleType

from sigc.errors import Diagnostic, SigcError


def check_main() -> None:
    """Refuse to start processes for a script that each of them would run again. Raise `SigcError` (E402)."""
    main = sys.modules["__main__"]
    path = _imported_again(main)
    if path is None:
        return
    try:
        guarded = guarded_lines(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return  # not readable as Python source
    line = _line_of(sys._getframe(), main)
    if any(line in lines for lines in guarded) if line else guarded:
        return
    message = (
        f"a cluster of processes was asked for, and each of them would run {path.name} again from its first line: put "
        'what the script does under `if __name__ == "__main__":`'
    )
    raise SigcError(Diagnostic("E402", message, hint="or leave out engine= to compute in threads"))


def guarded_lines(text: str) -> list[range]:
    """Return the lines of a script that only its own process runs.

    >>> guarded_lines('import sigc' + chr(10) + 'if __name__ == "__main__":' + chr(10) + '    print(1)')
    [range(2, 4)]
    """
    guards = [node for node in ast.parse(text).body if isinstance(node, ast.If) and _asks_for_main(node.test)]
    return [range(node.lineno, (node.body[-1].end_lineno or node.lineno) + 1) for node in guards]


def _asks_for_main(test: ast.expr) -> bool:
    names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
    values = {n.value for n in ast.walk(test) if isinstance(n, ast.Constant)}
    return "__name__" in names and "__main__" in values


def _imported_again(main: ModuleType) -> Path | None:
    """Return the file that a new process imports as its main module; None if there is none, as in a notebook."""
    spec = getattr(main, "__spec__", None)
    file = getattr(main, "__file__", None)
    if file is None or (spec is not None and spec.name.rpartition(".")[2] == "__main__"):
        return None
    return Path(file)


def _line_of(frame: FrameType | None, main: ModuleType) -> int:
    """Return the current line of the main module; 0 in a thread that the module did not call."""
    line = 0
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals is main.__dict__:
            line = frame.f_lineno
        frame = frame.f_back
    return line
