"""Every setting is read by something outside the configuration, or it is said here how it acts all the same."""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterator

from sigc.config.check import RETIRED, keys
from sigc.config.section import Section
from sigc.config.settings import Config, SafetySettings
from tests.house.declarations import ROOT, Source, sources

# No code reads them by name, and what has their effect in force is tested where it is said.
OTHERWISE = {
    "daemon.rpc.auth": "only one value is legal",
    "daemon.limits.max_memory_mb": "by DaemonSettings.memory_limit_mb: tests/daemon/test_settings.py",
    "daemon.max_cpu_pct": "by DaemonSettings.cpu_limit_pct: tests/daemon/test_settings.py",
    "daemon.limits.max_cpu_pct": "by DaemonSettings.cpu_limit_pct: tests/daemon/test_settings.py",
    "daemon.dashboard.origins": "by cli/sigc_cli/assembly/daemon.py: tests/daemon/test_effects.py",
    "daemon.dashboard.login_hours": "by cli/sigc_cli/assembly/daemon.py: tests/daemon/test_effects.py",
    "schedule.skip_holidays": "as it is written, by daemon/configured: tests/daemon/test_effects.py",
    "broker.options": "by brokers that are installed: tests/brokers/test_registry.py",
    "alerts.routes.info": "by the severity of an alert: tests/daemon/test_alerts.py",
}


class Safety(SafetySettings):
    """The limits, and one that nothing reads."""

    nobodys_limit: float = 0.0


def fields(model: type[Section], before: str = "") -> Iterator[tuple[str, str, type[Section], str]]:
    """Each setting: its key, its name in code, the class and the key of its section; `*` for names in a mapping."""
    for name, field in model.model_fields.items():
        key = before + (field.alias or name)
        inner = list(_sections(field.annotation))
        star = ".*" if typing.get_origin(field.annotation) is dict else ""
        for section in inner:
            yield from fields(section, f"{key}{star}.")
        if field.annotation not in inner:
            yield key, name, model, before.removesuffix(".*.").rstrip(".").rpartition(".")[2]


def _sections(annotation: object) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _sections(part)


def reads(texts: list[Source]) -> list[tuple[set[str], set[str]]]:
    """Of each module outside the configuration: the attributes it reads, the names it imports."""
    found = []
    for source in texts:
        if not source.module.startswith("sigc.config"):
            nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.Attribute)]
            found.append(({n.attr for n in nodes if isinstance(n.ctx, ast.Load)}, set(source.imported)))
    return found


def unread(model: type[Section], modules: list[tuple[set[str], set[str]]]) -> set[str]:
    """Settings whose name is read by no module that has to do with their section: by its class, or as its part."""
    return {
        key
        for key, name, section, of in fields(model)
        if not any(
            name in read and ({c.__name__ for c in section.__mro__} & imported or of in read or not of)
            for read, imported in modules
        )
    }


def test_every_setting_is_read_or_it_is_said_how_it_acts() -> None:
    assert unread(Config, reads(sources(ROOT))) == OTHERWISE.keys()


def test_a_planted_setting_is_told() -> None:
    class Planted(Config):
        """The configuration, with a setting that nothing reads."""

        nobodys: int = 1
        safety: Safety = Safety()

    told = unread(Planted, reads(sources(ROOT))) - OTHERWISE.keys()
    assert told == {"nobodys", "safety.nobodys_limit"}


def test_the_settings_are_those_of_the_reference() -> None:
    found = {key for key, *_ in fields(Config)}
    assert set(keys()) <= found
    assert len(found) > 190


def test_what_is_retired_is_no_setting() -> None:
    assert not RETIRED.keys() & {key for key, *_ in fields(Config)}
