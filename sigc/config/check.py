"""Checks a configuration and merges it with the defaults: every error at once, each with file, line and column.

Found at --config, $SIGC_CONFIG, ./sigc.yaml, ~/.sigc/config.yaml, /etc/sigc/sigc.yaml, /etc/sigc/config.yaml.
Precedence: command line, environment (SIGC_DATA__DIRECTORY), file, defaults. `${VAR}` and `${VAR:-default}`.
Reading: `read.py`. E400: the file can't be read; E401: an unknown key; E402: an invalid value.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from sigc.config.find import ConfigSource, Location, find
from sigc.config.secret import hidden, secrets_of
from sigc.config.settings import Config
from sigc.errors import Diagnostic, Severity, SigcError, Span, did_you_mean

_PREFIX = "SIGC_"
# Variables that are not settings: of commands, of processes that sigc starts, of the compose file.
_OTHER_VARIABLES = frozenset(
    {
        *("SIGC_CONFIG", "SIGC_RPC_TOKEN", "SIGC_RESTARTED", "SIGC_SUPERVISOR", "SIGC_DATA"),
        *("SIGC_RUN", "SIGC_JOB", "SIGC_STRATEGY"),
    }
)
# And of sigc's own tests and benchmarks.
_OF_TESTS = re.compile("SIGC_(FULL|LACKS|SEED|SOAK_DIR|NIGHTS|WRITE_CASES|(TEST|BENCH)(_.*)?)")
# Retired settings that files may still have, and their replacement: read, reported (W008), without effect.
RETIRED: Mapping[str, str] = MappingProxyType(
    {
        "data.validation.max_stale_hours": "safety.on_stale_data judges the newest row of each source that a run reads "
        "against the session that it should be of",
    }
)
Examine = Callable[[Mapping[str, Any], Mapping[Location, Span]], Iterable[Diagnostic]]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration, the origin of each setting (`path:line`, `$VAR`, `command line`), its file, its secrets.

    findings: warnings about settings without effect.
    """

    config: Config
    origins: Mapping[str, str]
    path: Path | None
    secrets: frozenset[str] = frozenset()
    findings: tuple[Diagnostic, ...] = ()

    def shown(self) -> dict[str, Any]:
        """Return all settings as plain data for people, without secrets."""
        shown: dict[str, Any] = hidden(self.config.model_dump(mode="json", by_alias=True), self.secrets)
        return shown


def load_config(
    path: Path | None,
    environment: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    examine: Examine | None = None,
) -> LoadedConfig:
    """Return the configuration in force. overrides: by dotted key. Raise every error of it at once.

    examine: checks what only upper layers can judge (cron expressions, names of jobs).
    """
    found = find(path, environment)
    source = ConfigSource({}, {}, [], set()) if found is None else _read(found, environment)
    data, spans, errors = source.data, source.spans, source.errors
    origins = {".".join(at): f"{span.path}:{span.line}" for at, span in spans.items()}
    # Later ones win, so the command line comes last.
    errors += _unknown(environment)
    for key, value, origin in [*_from_environment(environment), *_from_overrides(overrides or {})]:
        _put(data, key.split("."), value)
        origins[key] = origin
        spans[tuple(key.split("."))] = Span(origin, 0, 0)
    findings = tuple(_retired(data, spans))
    try:
        config = Config.model_validate(data)
    except ValidationError as invalid:
        # A setting whose variable is missing has an error of its own already.
        wrong = [e for e in invalid.errors() if tuple(str(p) for p in e["loc"]) not in source.unset]
        errors += [_diagnostic(e, spans, str(found or "configuration")) for e in wrong]
        # So that `examine` can go on and every error is reported at once.
        config = Config()
    if examine is not None:
        errors += examine(data, spans)
    if errors:
        raise SigcError(*sorted(errors, key=lambda d: (d.span is None, d.span)))
    return LoadedConfig(config, origins, found, frozenset(source.secrets | secrets_in(config)), findings)


def _retired(data: dict[str, Any], spans: Mapping[Location, Span]) -> Iterator[Diagnostic]:
    """Take the retired settings out of the data, and tell of each."""
    for key, instead in RETIRED.items():
        *sections, name = at = tuple(key.split("."))
        inner: Any = data
        for section in sections:
            inner = inner.get(section) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and name in inner:
            del inner[name]
            yield Diagnostic("W008", f"setting '{key}' has no effect", spans.get(at), Severity.WARNING, hint=instead)


def _read(path: Path, environment: Mapping[str, str]) -> ConfigSource:
    from sigc.config.read import read

    return read(path, environment)


def secrets_in(config: Config) -> set[str]:
    """Return the values under secret names in free-form settings, and passwords of URLs anywhere."""
    free = {"broker": config.broker.options, "cluster": config.cluster.options, "jobs": config.schedule.jobs}
    return secrets_of(free) | secrets_of(config.model_dump(mode="json"), by_name=False)


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    for name, value in sorted(environment.items()):
        if not name.startswith(_PREFIX) or name in _OTHER_VARIABLES:
            continue
        key = _key_of(name.removeprefix(_PREFIX).lower())
        if key is not None:
            yield key, _parsed(value), f"${name}"


def _unknown(environment: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Yield an error for each variable that looks like a setting and is none. Values may be secrets: not told."""
    known = [_PREFIX + key.upper().replace(".", "__") for key in keys()]
    for name in sorted(environment):
        if not name.startswith(_PREFIX) or name in _OTHER_VARIABLES or _OF_TESTS.fullmatch(name):
            continue
        if _key_of(name.removeprefix(_PREFIX).lower()) is None:
            hint = did_you_mean(name, known) or "`sigc config reference` lists the settings"
            yield Diagnostic("E401", f"the environment variable {name} is no setting", hint=hint)


def _parsed(text: str) -> object:
    """Return the text, which the setting's type converts; a list or mapping is written as in YAML, null is none."""
    if text.lstrip()[:1] not in ("[", "{") and text not in ("null", "~"):
        return text
    import yaml

    try:
        parsed: object = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return parsed


def _key_of(words: str) -> str | None:
    """Return the dotted key that `data__directory` or `data_directory` means, None if there is none."""
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
    span = _span(tuple(str(p) for p in error["loc"]), spans)
    key = ".".join(str(p) for p in error["loc"])
    if error["type"] == "extra_forbidden":
        parent, name = key.rpartition(".")[0], key.rpartition(".")[2]
        siblings = [
            k.removeprefix(parent + ".").split(".")[0] for k in keys() if not parent or k.startswith(parent + ".")
        ]
        return Diagnostic("E401", f"unknown setting '{key}'", span, hint=did_you_mean(name, siblings))
    message = f"{key}: {error['msg'][0].lower()}{error['msg'][1:]}"
    return Diagnostic("E402", message if span else f"{where}: {message}", span)


def _span(location: Location, spans: Mapping[Location, Span]) -> Span | None:
    """Return the place of an error: the setting's own, else that of the section it is in."""
    while location:  # pydantic names the branch of a union too
        for known in (location, *(location[:n] + location[n + 1 :] for n in range(1, len(location) - 1))):
            if known in spans:
                return spans[known]
        location = location[:-1]
    return None


@functools.cache
def keys() -> tuple[str, ...]:
    """Return the dotted key of every setting."""
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
    """Return the section class of an annotation, None for a setting (which may offer a section among others)."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def reference_yaml() -> str:
    """Return the text of conf/sigc.yaml: every setting with its default and description."""
    lines = ["# Every setting of sigc with its default. Generated from the declarations in sigc/config/settings.py."]
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
    import yaml

    value = field.get_default(call_default_factory=True)
    value = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(value, default_flow_style=True, width=1000).replace("\n...", "").strip()
