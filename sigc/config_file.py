"""Find, read and check a configuration: every error at once, each with file, line and column.

Found at --config, $SIGC_CONFIG, ./sigc.yaml, ~/.sigc/config.yaml, /etc/sigc/sigc.yaml, /etc/sigc/config.yaml.
Precedence: command line, environment (SIGC_DATA__DIRECTORY), file, defaults. `${VAR}` and `${VAR:-default}`.
E400: the file can't be read; E401: an unknown key; E402: a bad value.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from sigc.config import Config
from sigc.errors import Diagnostic, SigcError, Span, did_you_mean

_MOST_BYTES = 1_000_000
_MOST_DEPTH = 20
# `${VAR}` stands unquoted in flow mappings too, where YAML takes no braces: before parsing, they are replaced
# by characters of the private use area, one for one, so that every column stays where it was.
_WRITTEN = re.compile(r"\$\{([A-Za-z_][^{}\n]*)\}")
_VARIABLE = re.compile("\ue000\ue001([A-Za-z_][A-Za-z0-9_]*)(:-([^\ue002]*))?\ue002")
_PREFIX = "SIGC_"
_OTHER_VARIABLES = frozenset({"SIGC_CONFIG", "SIGC_RPC_TOKEN"})  # are no settings of this file
Location = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration, where each given setting came from (`path:line`, `$VAR`, `command line`), and its file."""

    config: Config
    origins: Mapping[str, str]
    path: Path | None


def load_config(
    path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> LoadedConfig:
    """The configuration in force. overrides: by dotted key. Raises every error of it at once."""
    found = find(path, environment)
    errors: list[Diagnostic] = []
    spans: dict[Location, Span] = {}
    data: dict[str, Any] = {}
    unset: set[Location] = set()  # settings whose variable is missing: told already
    if found is not None:
        data = _read(found, environment, spans, errors, unset)
    origins = {".".join(at): f"{span.path}:{span.line}" for at, span in spans.items()}
    for key, value, origin in [*_from_environment(environment), *_from_overrides(overrides or {})]:
        _put(data, key.split("."), value)
        origins[key] = origin
        spans[tuple(key.split("."))] = Span(origin, 0, 0)
    try:
        config = Config.model_validate(data)
    except ValidationError as invalid:
        wrong = [e for e in invalid.errors() if tuple(str(p) for p in e["loc"]) not in unset]
        errors += [_diagnostic(e, spans, str(found or "configuration")) for e in wrong]
        config = Config()
    if errors:
        raise SigcError(*sorted(errors, key=lambda d: (d.span is None, d.span)))
    return LoadedConfig(config, origins, found)


def find(path: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The configuration file: the one named, else the first there is, else none. Raises E400."""
    named = path or (Path(environment["SIGC_CONFIG"]) if environment.get("SIGC_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise SigcError(Diagnostic("E400", f"there is no configuration file {named}"))
        return named
    home = Path(environment.get("HOME", "/nonexistent"))
    places = (Path("sigc.yaml"), home / ".sigc/config.yaml", Path("/etc/sigc/sigc.yaml"), Path("/etc/sigc/config.yaml"))
    return next((p for p in places if p.is_file()), None)


def _read(
    path: Path,
    environment: Mapping[str, str],
    spans: dict[Location, Span],
    errors: list[Diagnostic],
    unset: set[Location],
) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SigcError(Diagnostic("E400", f"{path} is larger than {_MOST_BYTES:,} bytes"))
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise SigcError(Diagnostic("E400", f"{path} can't be read: {failure}")) from failure
    try:
        text = _WRITTEN.sub("\ue000\ue001\\1\ue002", text)
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
        aliases = [e for e in events if isinstance(e, yaml.AliasEvent)]
        if aliases:
            span = _at(aliases[0].start_mark, path)
            raise SigcError(Diagnostic("E400", "aliases are not allowed", span, hint="write the value out"))
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as broken:
        where = _at(broken.problem_mark, path)
        raise SigcError(Diagnostic("E400", broken.problem or "this is no YAML", where)) from broken
    except (yaml.YAMLError, RecursionError) as broken:
        raise SigcError(Diagnostic("E400", f"{path} is no YAML: {broken}")) from broken
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise SigcError(Diagnostic("E400", "a configuration is a mapping of sections", _span(node, path)))
    reader = _Reader(path, environment, spans, errors, unset)
    return dict(reader.mapping(node, ()))


def _at(mark: Any, path: Path) -> Span | None:
    return Span(str(path), mark.line + 1, mark.column + 1) if mark is not None else None


def _span(node: yaml.Node, path: Path) -> Span:
    start, end = node.start_mark, node.end_mark
    length = max(1, end.column - start.column) if start.line == end.line else 1
    return Span(str(path), start.line + 1, start.column + 1, length)


class _Reader:
    """Turns YAML nodes into data, filling in variables and noting where each key stands."""

    def __init__(
        self,
        path: Path,
        environment: Mapping[str, str],
        spans: dict[Location, Span],
        errors: list[Diagnostic],
        unset: set[Location],
    ) -> None:
        self.path, self.environment, self.spans = path, environment, spans
        self.errors, self.unset = errors, unset
        self.scalars: Any = yaml.SafeLoader("")

    def mapping(self, node: yaml.MappingNode, at: Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                self.errors.append(Diagnostic("E400", f"'{key}' is given twice", _span(key_node, self.path)))
                continue
            here = (*at, key)
            self.spans[here] = _span(key_node, self.path)
            found[key] = self.value(value_node, here)
        return found

    def value(self, node: yaml.Node, at: Location) -> Any:
        if len(at) > _MOST_DEPTH:
            self.errors.append(Diagnostic("E400", "nested too deep", _span(node, self.path)))
            return None
        match node:
            case yaml.MappingNode():
                return self.mapping(node, at)
            case yaml.SequenceNode():
                return [self.value(v, (*at, str(i))) for i, v in enumerate(node.value)]
            case yaml.ScalarNode():
                self.spans.setdefault(at, _span(node, self.path))
                return self.scalar(node, at)
        return None

    def scalar(self, node: yaml.ScalarNode, at: Location) -> Any:
        if "\ue000" not in node.value:
            return self.scalars.construct_object(node)
        text = _VARIABLE.sub(functools.partial(self.variable, node, at), node.value)
        if node.style in ("'", '"'):
            return text
        resolved = self.scalars.resolve(yaml.ScalarNode, text, (True, False))
        return self.scalars.construct_object(yaml.ScalarNode(resolved, text, node.start_mark, node.end_mark))

    def variable(self, node: yaml.Node, at: Location, match: re.Match[str]) -> str:
        name, has_default, default = match.group(1), match.group(2), match.group(3)
        value = self.environment.get(name)
        if value is not None:
            return value
        if has_default:
            return default
        self.unset.add(at)
        hint = f"set it, or write ${{{name}:-default}}"
        self.errors.append(Diagnostic("E402", f"variable {name} is not set", _span(node, self.path), hint=hint))
        return ""


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    for name, value in sorted(environment.items()):
        if not name.startswith(_PREFIX) or name in _OTHER_VARIABLES:
            continue
        key = _key_of(name.removeprefix(_PREFIX).lower())
        if key is not None:
            yield key, yaml.safe_load(value) if value else "", f"${name}"


def _key_of(words: str) -> str | None:
    """`data__directory` or `data_directory` as the dotted key it means, None if there is none."""
    known = {k.replace(".", "_"): k for k in keys()}
    return known.get(words.replace("__", "_"))


def _from_overrides(overrides: Mapping[str, object]) -> Iterator[tuple[str, object, str]]:
    for key, value in sorted(overrides.items()):
        yield key, value, "command line"


def _put(data: dict[str, Any], keys: list[str], value: object) -> None:
    for key in keys[:-1]:
        inner = data.setdefault(key, {})
        if not isinstance(inner, dict):
            inner = data[key] = {}
        data = inner
    data[keys[-1]] = value


def _diagnostic(error: Any, spans: Mapping[Location, Span], where: str) -> Diagnostic:
    location = tuple(str(p) for p in error["loc"])
    while location and location not in spans:
        location = location[:-1]  # pydantic names the branch of a union too
    span = spans.get(location)
    key = ".".join(str(p) for p in error["loc"])
    if error["type"] == "extra_forbidden":
        parent, name = key.rpartition(".")[0], key.rpartition(".")[2]
        siblings = [
            k.removeprefix(parent + ".").split(".")[0] for k in keys() if not parent or k.startswith(parent + ".")
        ]
        return Diagnostic("E401", f"unknown setting '{key}'", span, hint=did_you_mean(name, siblings))
    message = f"{key}: {error['msg'][0].lower()}{error['msg'][1:]}"
    return Diagnostic("E402", message if span else f"{where}: {message}", span)


@functools.cache
def keys() -> tuple[str, ...]:
    """Every setting's dotted key."""
    return tuple(key for key, _ in _fields(Config, ""))


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        section = section_of(field.annotation)
        if section is not None:
            yield from _fields(section, key + ".")
        else:
            yield key, field


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section class that an annotation is, None for a setting (which may offer a section among others)."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def reference_yaml() -> str:
    """conf/sigc.yaml: every setting with its default and text."""
    lines = ["# Every setting of sigc with its default. Generated from the declarations in sigc/config.py."]
    lines += _section_lines(Config, 0)
    return "\n".join(lines) + "\n"


def _section_lines(model: type[BaseModel], depth: int) -> list[str]:
    lines: list[str] = []
    pad = "  " * depth
    for name, field in model.model_fields.items():
        key = field.alias or name
        section = section_of(field.annotation)
        if depth == 0:
            lines.append("")
        lines.append(f"{pad}# {field.description}")
        if section is not None:
            lines += [f"{pad}{key}:", *_section_lines(section, depth + 1)]
        else:
            lines.append(f"{pad}{key}: {_default_text(name, field)}")
    return lines


def _default_text(name: str, field: Any) -> str:
    if name == "directory" and field.default is PydanticUndefined:
        return "~/.cache/sigc"
    value = field.get_default(call_default_factory=True)
    value = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(value, default_flow_style=True, width=1000).replace("\n...", "").strip()
