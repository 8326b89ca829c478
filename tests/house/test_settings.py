"""Every setting is read by something outside the configuration, or it is said here how it acts all the same."""

from __future__ import annotations

import ast
import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from sigc.config.check import RETIRED, keys
from sigc.config.section import Section
from sigc.config.settings import Config, SafetySettings
from sigc.daemon.ordering import kind_of
from sigc.data.formats.table import FORMATS, SUFFIXES
from sigc.lang import vocabulary
from sigc.schedule.job import Job, JobKind
from sigc.source_options import SourceOptions
from sigc.store.ledger.records import RunKind
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


@pytest.mark.parametrize(
    ("declared", "homes"), [(Job, ("sigc.schedule.job",)), (SourceOptions, ("sigc.source_options",))]
)
def test_every_setting_of_a_job_and_option_of_a_source_is_read(declared: type[Any], homes: tuple[str, ...]) -> None:
    """Of a job also where it is declared, which says when it fires; its entry in the configuration is read by name."""
    texts = [s for s in sources(ROOT) if declared is Job or s.module not in homes]
    names = [field.name for field in dataclasses.fields(declared)]
    read = {
        n.attr for s in texts for n in ast.walk(s.tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)
    }
    assert [name for name in names if name not in read] == []
    if declared is Job:
        entries = next(s.tree for s in texts if s.module == "sigc.daemon.configured.job_entries")
        told = {n.value for n in ast.walk(entries) if isinstance(n, ast.Constant)}
        assert [name for name in names if name not in told] == []


def test_formats_of_files_are_words_of_the_language() -> None:
    assert FORMATS == vocabulary.FORMATS
    assert {*SUFFIXES.values()} == {*FORMATS}


def test_kinds_of_runs_are_those_that_the_runner_does() -> None:
    """A kind that the daemon takes and its runner does not know would fail at its first run."""
    (run,) = (
        node
        for source in sources(ROOT)
        if source.module == "sigc_pipelines.service.runner"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef) and node.name == "run"
    )
    cases = [case.pattern for match in ast.walk(run) if isinstance(match, ast.Match) for case in match.cases]
    kinds = [str(n.value) for pattern in cases for n in ast.walk(pattern) if isinstance(n, ast.Constant)]
    assert set(kinds) == {kind_of(Job("a", kind)) for kind in JobKind} | {str(RunKind.DRY)}
