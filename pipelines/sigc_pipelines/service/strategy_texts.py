"""The texts of the configured strategies that are in force, each with those of the files that it imports.

    texts = StrategyTexts(strategies, work_dir)
    texts.load(limits)                      read and check every file; what was read is compiled from then on
    texts.put_in_force()                    write down that these are in force, for a life after a crash
    texts.compiled("momentum", params)      the loaded text, whatever has become of the file
    texts.edited()                          which files differ now

An edited file is neither traded nor computed until a reload takes it, so that one that is half written reaches no run.
Each text is kept as WORK_DIR/strategies/DIGEST.json, an object of texts by path; IN_FORCE.json names the digest and the
file of each strategy. A daemon that was cut off goes on with these; one that is started anew takes the files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sigc.config.settings import SafetySettings
from sigc.daemon.runner import CheckedStrategy, EditedText, RunOrder, StrategyEntry
from sigc.errors import Diagnostic, Severity, SigcError
from sigc.lang.check import CheckedFile, check_text
from sigc.lang.syntax.source_text import read_text
from sigc_pipelines.assembly.parts import Compiled, compile_checked, compile_file
from sigc_pipelines.backtest.backtest import pick_of
from sigc_pipelines.live.decision import off_limits, why_off
from sigc_pipelines.records.artifacts import write_text

FOLDER = "strategies"
IN_FORCE = "IN_FORCE.json"


@dataclass(frozen=True, slots=True)
class StrategyText:
    """A strategy as text. path: of its file; texts: of this file and of all that it imports, by path."""

    path: str
    texts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the texts, the strategy's own first; of a file without imports, that of its text."""
        others = (text for path, text in sorted(self.texts.items()) if path != self.path)
        return hashlib.sha256("\0".join((self.texts[self.path], *others)).encode()).hexdigest()

    def check(self, params: Mapping[str, float]) -> CheckedFile:
        """Check the text without reading a file that it holds."""
        return check_text(self.texts[self.path], self.path, params, imported=self.texts)


class StrategyTexts:
    """The texts of one configuration. zone: of the times in texts about them. Safe to use from several threads."""

    def __init__(self, strategies: tuple[StrategyEntry, ...], work_dir: Path, zone: str) -> None:
        self._zone = zone
        self._entries = {entry.name: entry for entry in strategies}
        self._folder = work_dir / FOLDER
        self._loaded: dict[str, StrategyText] = {}
        self._turn = threading.Lock()

    def load(self, limits: SafetySettings, *, goes_on: bool = False) -> tuple[CheckedStrategy, ...]:
        """Read and check the file of every strategy, and keep its text.

        goes_on: take the texts that were in force when the daemon was cut off, where there are any.
        """
        kept = self._in_force() if goes_on else {}
        found = []
        for name, entry in self._entries.items():
            one, text = _checked(entry, kept.get(name), limits)
            found.append(one)
            if text is not None:
                self._loaded[name] = text
        return tuple(found)

    def put_in_force(self) -> None:
        """Write down the texts that are in force from now on. Raise E300."""
        named = {}
        for name, text in self._loaded.items():
            file = self._folder / f"{text.digest}.json"
            if not file.exists():
                write_text(file, _json(text.texts))
            named[name] = {"digest": text.digest, "file": text.path}
        write_text(self._folder / IN_FORCE, _json(named))

    def compiled(self, strategy: str, params: Mapping[str, float]) -> Compiled:
        """Compile the loaded text of a configured strategy. Raise its errors."""
        entry = self._entries[strategy]
        with self._turn:
            text = self._loaded.get(strategy)
            if text is None:
                text = self._loaded[strategy] = _read(entry)
        return compile_checked(text.check(params), params)

    def of(self, order: RunOrder) -> Compiled:
        """Compile what an order means: the loaded text of a strategy, a file that is none's, or one as it is now.

        Where a strategy's file is edited a warning says which text this is.
        """
        entry = self._entries.get(order.strategy)
        if entry is None or entry.file.resolve() != order.file.resolve():
            return compile_file(order.file, order.params)
        found = self.edited().get(entry.name)
        if found is None or not order.takes_file:
            compiled, this = self.compiled(entry.name, order.params), "this run took the loaded text"
        else:
            compiled, this = compile_file(order.file, order.params), "this run took the file as it is now"
        if found is None:
            return compiled
        message = f"edited, not loaded: {found.text}; {this}"
        warning = Diagnostic("W009", message, severity=Severity.WARNING, hint="`sigc reload` loads it")
        return replace(compiled, warnings=(*compiled.warnings, warning))

    def edited(self) -> Mapping[str, EditedText]:
        """Return, by strategy, the files that are not what was loaded. Reads them."""
        return {name: found for name, text in list(self._loaded.items()) if (found := self._edited(name, text))}

    def _edited(self, name: str, text: StrategyText) -> EditedText | None:
        for path, loaded in text.texts.items():
            file = Path(path)
            try:
                if read_text(file) == loaded:
                    continue
            except SigcError as broken:
                return EditedText(file, None, broken.diagnostics[0], self._zone)
            with contextlib.suppress(OSError):
                at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
                return EditedText(file, at, self._wrong(name), self._zone)
            return EditedText(file, None, self._wrong(name), self._zone)
        return None

    def _wrong(self, name: str) -> Diagnostic | None:
        """Return the first error of a strategy's file as it is now."""
        problems = checked(self._entries[name], SafetySettings()).problems
        return next((one for one in problems if one.severity is Severity.ERROR), None)

    def _in_force(self) -> Mapping[str, StrategyText]:
        """Return the texts that were in force, of the strategies that still have the same file."""
        found = {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # then the files are taken
            for name, one in json.loads((self._folder / IN_FORCE).read_text(encoding="utf-8")).items():
                text = _kept(self._folder, one["file"], one["digest"])
                if name in self._entries and str(self._entries[name].file) == text.path:
                    found[name] = text
        return found


def checked(entry: StrategyEntry, limits: SafetySettings) -> CheckedStrategy:
    """Check a strategy file. Return its digest and portfolio, the limits that are off for it, or its errors."""
    return _checked(entry, None, limits)[0]


def _checked(
    entry: StrategyEntry, kept: StrategyText | None, limits: SafetySettings
) -> tuple[CheckedStrategy, StrategyText | None]:
    """Return the check of a kept text, else of the file, and the text; None if it is wrong."""
    try:
        text = kept or _read(entry)
        found = text.check(entry.params)
        if not found.ok:
            return CheckedStrategy(entry.name, problems=found.diagnostics), None
        strategy = compile_checked(found, entry.params).strategy
        portfolio = pick_of(strategy, entry.portfolio).name
    except SigcError as error:
        return CheckedStrategy(entry.name, problems=error.diagnostics), None
    off = tuple(why_off(name) for name in off_limits(limits, {source.name for source in strategy.data}))
    return CheckedStrategy(entry.name, text.digest, portfolio, found.diagnostics, off), text


def _kept(folder: Path, path: str, digest: str) -> StrategyText:
    """Return a text that was kept. Raise ValueError if it is not the one of that digest."""
    texts = json.loads((folder / f"{digest}.json").read_text(encoding="utf-8"))
    text = StrategyText(path, {str(name): str(one) for name, one in texts.items()})
    if text.digest != digest:
        raise ValueError(digest)
    return text


def _read(entry: StrategyEntry) -> StrategyText:
    """Read a strategy's file and what it imports. Raise E200 or E001 if the file itself can't be read."""
    path = str(entry.file)
    return StrategyText(path, dict(check_text(read_text(entry.file), path, entry.params).sources))


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=1, sort_keys=True) + "\n"
