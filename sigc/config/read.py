"""Reads a configuration file as data: parsed, variables filled in, with the place of every key. `find` finds it.

Nothing is validated here, and pydantic is not imported: the thin client reads addresses and places with this module,
even if other settings are invalid. `check` validates.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sigc.config.find import ConfigSource, Location
from sigc.config.secret import is_secret_name
from sigc.errors import Diagnostic, SigcError, Span

_MOST_BYTES = 1_000_000
_MOST_DEPTH = 20
# `${VAR}` is allowed unquoted in flow mappings, where YAML forbids braces. Before parsing they are replaced by
# characters of Unicode's private use area, one for one, so that every column stays the same.
_WRITTEN = re.compile(r"\$\{([A-Za-z_][^{}\n]*)\}")
_VARIABLE = re.compile("\ue000\ue001([A-Za-z_][A-Za-z0-9_]*)(:-([^\ue002]*))?\ue002")


def read(path: Path, environment: Mapping[str, str]) -> ConfigSource:
    """Return the file's data, with the errors of single values. Raise E400 if the file is not a configuration."""
    found = ConfigSource({}, {}, [], set())
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SigcError(Diagnostic("E400", f"{path} is larger than {_MOST_BYTES:,} bytes"))
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise SigcError(Diagnostic("E400", f"{path} can't be read: {failure}")) from failure
    try:
        text = _WRITTEN.sub("\ue000\ue001\\1\ue002", text)
        _refuse_bombs(text, path)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as broken:
        where = _at(broken.problem_mark, path)
        raise SigcError(Diagnostic("E400", broken.problem or "malformed YAML", where)) from broken
    except (yaml.YAMLError, RecursionError) as broken:
        raise SigcError(Diagnostic("E400", f"{path} is malformed YAML: {broken}")) from broken
    if node is None:
        return found
    if not isinstance(node, yaml.MappingNode):
        raise SigcError(Diagnostic("E400", "a configuration is a mapping of sections", _span(node, path)))
    found.data.update(_Reader(path, environment, found).mapping(node, ()))
    return found


def _refuse_bombs(text: str, path: Path) -> None:
    """Raise E400 for an alias, or for nesting beyond `_MOST_DEPTH`.

    Read event by event, so that the end of a text is not reached whose nesting costs PyYAML quadratic time.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            span = _at(event.start_mark, path)
            raise SigcError(Diagnostic("E400", "aliases are not allowed", span, hint="write the value out"))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_DEPTH:
            raise SigcError(Diagnostic("E400", "nested too deeply", _at(event.start_mark, path)))


def _at(mark: Any, path: Path) -> Span | None:
    # PyYAML counts lines and columns from 0.
    return Span(str(path), mark.line + 1, mark.column + 1) if mark is not None else None


def _span(node: yaml.Node, path: Path) -> Span:
    start, end = node.start_mark, node.end_mark
    length = max(1, end.column - start.column) if start.line == end.line else 1
    return Span(str(path), start.line + 1, start.column + 1, length)


class _Reader:
    """The reader of YAML nodes: fills in variables and notes the place of each key."""

    def __init__(self, path: Path, environment: Mapping[str, str], found: ConfigSource) -> None:
        self.path, self.environment = path, environment
        self.spans, self.errors, self.unset, self.secrets = found.spans, found.errors, found.unset, found.secrets
        self.scalars: Any = yaml.SafeLoader("")

    def mapping(self, node: yaml.MappingNode, at: Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            # PyYAML would silently keep the last one.
            if key in found:
                self.errors.append(Diagnostic("E400", f"'{key}' is given twice", _span(key_node, self.path)))
                continue
            here = (*at, key)
            self.spans[here] = _span(key_node, self.path)
            found[key] = self.value(value_node, here)
        return found

    def value(self, node: yaml.Node, at: Location) -> Any:
        self.spans.setdefault(at, _span(node, self.path))
        match node:
            case yaml.MappingNode():
                return self.mapping(node, at)
            case yaml.SequenceNode():
                return [self.value(v, (*at, str(i))) for i, v in enumerate(node.value)]
            case yaml.ScalarNode():
                return self.scalar(node, at)
        return None

    def scalar(self, node: yaml.ScalarNode, at: Location) -> Any:
        if "\ue000" not in node.value:
            return self.scalars.construct_object(node)
        text = _VARIABLE.sub(functools.partial(self.variable, node, at), node.value)
        # It stays text, which the setting's type converts: YAML would read 0123 as octal, yes as true, 12:30 as 750.
        return text if text or node.style in ("'", '"') else None

    def variable(self, node: yaml.Node, at: Location, match: re.Match[str]) -> str:
        name, has_default, default = match.group(1), match.group(2), match.group(3)
        value = self.environment.get(name)
        if value is not None:
            if value and is_secret_name(name):
                self.secrets.add(value)
            return value
        if has_default:
            return default
        self.unset.add(at)
        hint = f"set it, or write ${{{name}:-default}}"
        self.errors.append(Diagnostic("E402", f"variable {name} is not set", _span(node, self.path), hint=hint))
        return ""
