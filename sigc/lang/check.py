"""Check a file: everything the text alone decides, all errors at once. Opens no data file.

checked = check_file(Path("momentum.sig"))
checked.ok, checked.diagnostics, checked.program
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sigc.errors import Diagnostic, Severity, SigcError, Span, did_you_mean
from sigc.lang.grammar import MOST_BYTES
from sigc.lang.nodes import Definition, Module
from sigc.lang.parse import parse
from sigc.lang.resolve import MOST_STEPS, Resolver, TooLargeError
from sigc.lang.values import Program
from sigc.lang.vocabulary import BUILT_IN

_MOST_IMPORTS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A checked file. program is None when it has errors. sources: text by path, for carets."""

    module: Module
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]
    program: Program | None
    definitions: Mapping[str, Definition]

    @property
    def ok(self) -> bool:
        return self.program is not None


def check_file(path: Path, params: Mapping[str, float] | None = None, roots: tuple[Path, ...] = ()) -> Checked:
    """Check the file at `path`. Raises E200 when it can't be read."""
    return check_text(read_text(path), str(path), params, roots)


def read_text(path: Path) -> str:
    """A source file. Raises E200, E001 when it is too large or no text."""
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


def check_text(
    text: str, path: str, params: Mapping[str, float] | None = None, roots: tuple[Path, ...] = ()
) -> Checked:
    """Check a text. `path` is what errors name and where imports are looked for; roots: more folders for them."""
    sources = {path: text}
    module, errors = parse(text, path)
    found = list(errors)
    definitions = dict(built_in())
    definitions |= _imported(module, Path(path), roots, sources, found)
    definitions |= {d.name: d for d in module.definitions}
    resolver = Resolver(module, definitions, params or {})
    program: Program | None = None
    try:
        program = resolver.program()
    except TooLargeError:
        message = f"the file opens to more than {MOST_STEPS:,} values"
        found.append(Diagnostic("E005", message, Span(path, 1, 1), hint="do macros call one another too often?"))
    except RecursionError:
        message = "definitions or signals build on one another too deep"
        found.append(Diagnostic("E005", message, Span(path, 1, 1), hint="put some of them into one"))
    found += resolver.found
    unique = _unique(found, broken=bool(errors))
    failed = any(d.severity is Severity.ERROR for d in unique)
    return Checked(module, unique, sources, None if failed else program, definitions)


def _unique(found: list[Diagnostic], *, broken: bool) -> tuple[Diagnostic, ...]:
    """Each error once, in the order of the text. In a file that does not parse nothing is called unused."""
    first: dict[tuple[str, str, Span | None], Diagnostic] = {}
    for d in found:
        if not (broken and d.code == "W001"):
            first.setdefault((d.code, d.message, d.span), d)
    return tuple(sorted(first.values(), key=lambda d: (d.span or Span("", 0, 0), d.code)))


@cache
def built_in() -> Mapping[str, Definition]:
    """The macros that every file knows."""
    module, errors = parse(BUILT_IN, "built-in")
    if errors:
        raise ValueError(errors)
    return {d.name: d for d in module.definitions}


def _imported(
    module: Module, path: Path, roots: tuple[Path, ...], sources: dict[str, str], found: list[Diagnostic]
) -> dict[str, Definition]:
    """fns and macros of imported files, those of deeper ones first."""
    importer = _Importer(roots, sources, found)
    return importer.definitions(module, path, ())


class _Importer:
    def __init__(self, roots: tuple[Path, ...], sources: dict[str, str], found: list[Diagnostic]) -> None:
        self.roots = roots
        self.sources = sources
        self.found = found
        self.count = 0

    def definitions(self, module: Module, path: Path, chain: tuple[Path, ...]) -> dict[str, Definition]:
        here = path.resolve()
        found: dict[str, Definition] = {}
        for item in module.imports:
            try:
                target = (path.parent / item.path).resolve()
            except (OSError, ValueError):  # a name that no file can have
                self.found.append(Diagnostic("E200", f"there is no file '{item.path!r}'", item.span))
                continue
            error = self._refused(target, path, (*chain, here))
            if error:
                code, message, hint = error
                self.found.append(Diagnostic(code, message, item.span, hint=hint))
                continue
            try:
                text = read_text(target)
            except SigcError as failure:
                first = failure.diagnostics[0]
                message = first.message.replace(str(target), item.path)
                self.found.append(Diagnostic(first.code, message, item.span, hint=first.hint))
                continue
            shown = str(path.parent / item.path)
            self.sources[shown] = text
            inner, errors = parse(text, shown)
            self.found += errors
            found |= self.definitions(inner, target, (*chain, here))
            found |= {d.name: d for d in inner.definitions}
        return found

    def _refused(self, target: Path, path: Path, chain: tuple[Path, ...]) -> tuple[str, str, str] | None:
        self.count += 1
        allowed = [path.parent.resolve(), *(r.resolve() for r in self.roots)]
        if target in chain:
            names = " -> ".join(p.name for p in [*chain[chain.index(target) :], target])
            return "E005", f"import of '{target.name}' comes back to itself", f"cycle: {names}"
        if not any(root in target.parents for root in allowed):
            return "E200", f"import of '{target.name}' leaves the folder of the file", "copy it beside the file"
        if self.count > _MOST_IMPORTS:
            return "E005", f"more than {_MOST_IMPORTS} imports", ""
        return None
