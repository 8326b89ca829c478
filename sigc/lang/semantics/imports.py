"""Imports: the fns and macros that each file can call, and the scope of their bodies.

A body is resolved in its own file: it sees that file's definitions, imports and parameters, never those of the
importing file. So two libraries may each have a `base`, and importing a library does not change it.

    names of a file, nearest first:  its own definitions; those of files it imports; those of files that these import,
                                     as long as only one of them has the name; the built-in macros

If two imported files define the same name, or the file itself and an imported one do, it is E004. A file reached in two
ways is one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sigc.errors import Diagnostic, SigcError, Span
from sigc.lang.syntax.nodes import Definition, Import, Module
from sigc.lang.syntax.parse import parse
from sigc.lang.syntax.source_text import read_text
from sigc.lang.vocabulary import BUILT_IN

_MOST_IMPORTS = 100
BUILT_IN_PATH = "<built-in>"  # not a file of a user


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """The names of one file. definitions: those it can call; own: those it defines; params: its parameters and values.

    ambiguous: names that it can't call because several imports of its imports define them, with these files.
    """

    path: str
    definitions: Mapping[str, Definition]
    own: Mapping[str, Definition]
    params: Mapping[str, float]
    ambiguous: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """The names of a program: of the main file, and of each file by its path in errors."""

    main: Names
    files: Mapping[str, Names]

    def home(self, definition: Definition) -> Names:
        """Return the names that a definition's body sees."""
        return self.files[definition.span.path]


def library(
    module: Module,
    path: Path,
    roots: tuple[Path, ...],
    sources: dict[str, str],
    found: list[Diagnostic],
    imported: Mapping[str, str],
) -> Library:
    """Return the names of a file and all its imports. Texts are added to `sources`, errors to `found`.

    imported: texts of imports that are known, by their path in `sources`.
    """
    importer = _Importer(roots, sources, found, imported)
    main = importer.names(module, path, ())
    return Library(main, {n.path: n for n in (built_in(), *importer.known.values(), main)})


@cache
def built_in() -> Names:
    """Return the built-in macros."""
    module, errors = parse(BUILT_IN, BUILT_IN_PATH)
    if errors:
        raise ValueError(errors)
    own = {d.name: d for d in module.definitions}
    return Names(module.path, own, own, {}, {})


class _Importer:
    def __init__(
        self,
        roots: tuple[Path, ...],
        sources: dict[str, str],
        found: list[Diagnostic],
        imported: Mapping[str, str],
    ) -> None:
        self.roots = roots
        self.imported = imported
        self.sources = sources
        self.found = found
        self.count = 0
        self.known: dict[Path, Names] = {}  # by resolved path: each file is read once

    def names(self, module: Module, path: Path, chain: tuple[Path, ...]) -> Names:
        """Return the names of a file; its imports are read first."""
        chain = (*chain, path.resolve())
        imported = [(i, n) for i in module.imports if (n := self._file(i, path, chain)) is not None]
        own = self._own(module)
        direct = self._direct(imported, own)
        deeper, ambiguous = _deeper([n for _, n in imported])
        definitions = {**built_in().own, **deeper, **direct, **own}
        params = {p.name: p.values[0] for p in module.params}
        hidden = {k: v for k, v in ambiguous.items() if k not in direct and k not in own}
        return Names(module.path, definitions, own, params, hidden)

    def _own(self, module: Module) -> dict[str, Definition]:
        own: dict[str, Definition] = {}
        for d in module.definitions:
            if d.name in own:
                first = f"the first is in line {own[d.name].span.line}"
                self.found.append(Diagnostic("E004", f"'{d.name}' is defined twice", d.span, hint=first))
            own[d.name] = d
        return own

    def _direct(self, imported: list[tuple[Import, Names]], own: Mapping[str, Definition]) -> dict[str, Definition]:
        """Return the definitions of imported files; report E004 for each name defined twice."""
        direct: dict[str, Definition] = {}
        for item, names in imported:
            for name, definition in names.own.items():
                before = direct.setdefault(name, definition)
                if before is not definition:
                    places = f"in {_place(before)} and in {_place(definition)}"
                    self._clash(f"'{name}' is defined {places}, and both are imported", item.span)
        for name in sorted(own.keys() & direct.keys()):
            self._clash(f"'{name}' is defined here and in {_place(direct[name])}, which is imported", own[name].span)
        return direct

    def _clash(self, message: str, span: Span) -> None:
        self.found.append(Diagnostic("E004", message, span, hint="rename one of them"))

    def _file(self, item: Import, path: Path, chain: tuple[Path, ...]) -> Names | None:
        """Return the names of an imported file; None after an error."""
        try:
            target = (path.parent / item.path).resolve()
        except (OSError, ValueError):  # not a valid file name
            self.found.append(Diagnostic("E200", f"there is no file '{item.path!r}'", item.span))
            return None
        error = self._refused(target, path, chain)
        if error:
            code, message, hint = error
            self.found.append(Diagnostic(code, message, item.span, hint=hint))
            return None
        if target not in self.known:
            self._read(item, target, path, chain)
        return self.known.get(target)

    def _read(self, item: Import, target: Path, path: Path, chain: tuple[Path, ...]) -> None:
        shown = str(path.parent / item.path)
        try:
            text = self.imported[shown] if shown in self.imported else read_text(target)
        except SigcError as failure:
            first = failure.diagnostics[0]
            message = first.message.replace(str(target), item.path)
            self.found.append(Diagnostic(first.code, message, item.span, hint=first.hint))
            return
        self.sources[shown] = text
        inner, errors = parse(text, shown)
        self.found += errors
        self.known[target] = self.names(inner, target, chain)

    def _refused(self, target: Path, path: Path, chain: tuple[Path, ...]) -> tuple[str, str, str] | None:
        self.count += 1
        allowed = [path.parent.resolve(), *(r.resolve() for r in self.roots)]
        if target in chain:
            names = " -> ".join(p.name for p in [*chain[chain.index(target) :], target])
            return "E005", f"import of '{target.name}' is circular", f"cycle: {names}"
        if not any(root in target.parents for root in allowed):
            return "E200", f"import of '{target.name}' leaves the folder of the file", "copy it beside the file"
        if self.count > _MOST_IMPORTS:
            return "E005", f"more than {_MOST_IMPORTS} imports", ""
        return None


def _deeper(imported: list[Names]) -> tuple[dict[str, Definition], dict[str, tuple[str, ...]]]:
    """Return the names that imported files take from their own imports: unambiguous ones, and ambiguous ones."""
    meant: dict[str, dict[int, Definition]] = {}
    for names in imported:
        for name, definition in names.definitions.items():
            if definition.span.path not in (names.path, BUILT_IN_PATH):
                meant.setdefault(name, {})[id(definition)] = definition
    one = {name: next(iter(found.values())) for name, found in meant.items() if len(found) == 1}
    several = {name: tuple(sorted(_place(d) for d in f.values())) for name, f in meant.items() if len(f) > 1}
    for names in imported:
        several |= {k: v for k, v in names.ambiguous.items() if k not in one}
    return one, several


def _place(definition: Definition) -> str:
    return f"{definition.span.path}, line {definition.span.line}"
