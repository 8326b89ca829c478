"""Every statement that is made of a ledger or a paper broker's book: where it is made, and how SQLite carries it out.

with recording(monkeypatch) as made: ...     every connection of sqlite3 that is opened meanwhile
sites()                                      every place of the code that makes one, found in its syntax tree
"""

from __future__ import annotations

import ast
import re
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("sigc", "pipelines", "cli", "dashboard")
_MAKES = ("execute", "executemany", "executescript")
_PLANNED = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH)\b", re.I)
_STEP = re.compile(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")


@dataclass(frozen=True, order=True)
class Site:
    """A call that makes a statement: its file, the function it stands in, its line."""

    file: str
    function: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}"


@dataclass(frozen=True, order=True)
class Statement:
    """A statement's text, and of which file (`application_id`)."""

    site: Site
    text: str
    application: int


@dataclass
class Made:
    """Statements and their plans: the steps that SQLite tells."""

    plans: dict[Statement, tuple[str, ...]] = field(default_factory=dict)
    sites: set[Site] = field(default_factory=set)


class Recording(sqlite3.Connection):
    """A connection that has each statement explained before it makes it."""

    made: Made

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self._note(sql, parameters)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        rows = list(parameters)
        self._note(sql, rows[0] if rows else None)
        return super().executemany(sql, rows)

    def _note(self, sql: str, parameters: Sequence[Any] | None) -> None:
        frame = sys._getframe(2)
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(ROOT) or path.relative_to(ROOT).parts[0] not in FOLDERS:
            return
        # The line on which the call begins: that of its statement may be an earlier one.
        line = next(iter(list(frame.f_code.co_positions())[frame.f_lasti // 2 :]))[0]
        site = Site(str(path.relative_to(ROOT)), frame.f_code.co_name, line or 0)
        self.made.sites.add(site)
        if parameters is None or not _PLANNED.match(sql):
            return
        (application,) = super().execute("PRAGMA application_id").fetchone()
        statement = Statement(site, " ".join(sql.split()), application)
        if statement not in self.made.plans:
            rows = super().execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
            self.made.plans[statement] = tuple(row[3] for row in rows)


def record(patch: pytest.MonkeyPatch) -> Made:
    """Have all connections that are opened from now on recorded."""
    made = Made()
    factory = type("OfThese", (Recording,), {"made": made})
    patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=factory))
    return made


def sites() -> set[Site]:
    """Return every call that makes a statement; not those that only begin, end or set something."""
    found = set()
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "sqlite3" in text or ".connection.execute" in text:
                found |= set(_sites(str(path.relative_to(ROOT)), ast.parse(text)))
    return found


def _sites(file: str, tree: ast.Module) -> Iterable[Site]:
    owners = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=made), args=[first, *_]) if made in _MAKES:
                if not _is_control(first):
                    inside = [f for f in owners if f.lineno <= node.lineno <= (f.end_lineno or 0)]
                    yield Site(file, max(inside, key=lambda f: f.lineno).name, node.lineno)


def _is_control(argument: ast.expr) -> bool:
    """BEGIN, COMMIT, ROLLBACK and PRAGMA read no table."""
    match argument:
        case ast.Constant(value=str(text)) | ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            return text.startswith(("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA"))
    return False


_SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|WHERE|ORDER BY|GROUP BY|JOIN|LIMIT)\b|(^| )AND [a-z(]|[=<>] \?")


def fragments() -> dict[str, Site]:
    """Return every literal piece of SQL in the files that make statements, with where it stands.

    A statement that is put together of pieces is made by one call in many ways: by its pieces each way is known.
    """
    found: dict[str, Site] = {}
    for file in sorted({site.file for site in sites()}):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        said = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
                text = " ".join(node.value.split())
                if _SQL.search(text) and not text.startswith("CREATE"):
                    found.setdefault(text, Site(file, "", node.lineno))
    return found
