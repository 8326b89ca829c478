"""No module imports itself by way of others, counting imports inside functions; those for type checkers are left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCES = {"sigc": ".", "sigc_cli": "cli", "sigc_pipelines": "pipelines", "sigc_dashboard": "dashboard"}


def sources() -> dict[str, str]:
    """The text of each module by its dotted name."""
    found = {}
    for package, root in SOURCES.items():
        for path in sorted((ROOT / root / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT / root).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        yield from imports(child)


def graph(texts: dict[str, str]) -> dict[str, set[str]]:
    """The modules that each module imports."""
    found: dict[str, set[str]] = {}
    for name, text in texts.items():
        wanted = set()
        for node in imports(ast.parse(text)):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif node.module:
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= {one if one in texts else node.module for one in whole}
        found[name] = {one for one in wanted if one in texts and one != name}
    return found


def test_no_circles() -> None:
    TopologicalSorter(graph(sources())).prepare()


def test_a_planted_circle_is_found() -> None:
    texts = sources()
    texts["sigc.errors"] += "\ndef late() -> None:\n    from sigc.daemon import runner\n"
    with pytest.raises(CycleError):
        TopologicalSorter(graph(texts)).prepare()
