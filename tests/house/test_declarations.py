"""A declaration that is written and not wired is a failing test: its registry finds it, or the test here does."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import os
import shutil
import subprocess
import sys

import click
import pytest

from sigc.config.check import keys
from sigc.daemon.lifecycle.reload import _NEEDS_RESTART
from sigc.daemon.lifecycle.serve import VERBS
from sigc.lang.codes import CODES
from sigc.why import cases
from sigc_cli.main import COMMANDS, cli, summary
from sigc_cli.text.check_text import checks_text
from sigc_dashboard.views import VIEWS
from sigc_pipelines.brokers.protocol import Capabilities
from tests.house.declarations import KINDS, ROOT, asked, findings, judged, sources
from tests.house.plants import PLANTS, Plant, plant

Judged = dict[str, dict[str, list[str]]]
# Written for others than the program: authors of sources, tests, `make reference`.
FOR_OTHERS = {
    *(
        "sigc.data.contract.SourceContract",
        "sigc.failpoint.POINTS",
        "sigc.failpoint.arm",
        "sigc.host.logs.current_run",
        "sigc_cli.grafana.expressions",
    ),
    *("sigc.ops.reference.markdown", "sigc_cli.grafana.metrics_table"),
}


def test_what_is_declared_is_in_force() -> None:
    found = judged(ROOT)
    assert found.keys() == {*(kind.name for kind in KINDS), "definition"}
    for kind in KINDS:
        assert found[kind.name]["forgotten"] == [], f"{kind.name}: declared, and in no registry"
        assert found[kind.name]["in force"], f"no {kind.name} was found: its declarations look otherwise now"
    assert set(found["definition"]["forgotten"]) == FOR_OTHERS


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """What is said of a copy of the program in which each plant stands."""
    copy = tmp_path_factory.mktemp("planted")
    for name in ("sigc", "cli", "pipelines", "dashboard"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    plant(copy)
    places = [copy, *(copy / name for name in ("cli", "pipelines", "dashboard")), ROOT]  # ROOT has the tests
    done = subprocess.run(
        [sys.executable, "-m", "tests.house.declarations", str(copy)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))},
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Judged = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("one", PLANTS, ids=lambda one: one.name)
def test_a_plant_is_in_force_or_is_told(one: Plant, planted: Judged) -> None:
    where, other = ("in force", "forgotten") if one.is_found else ("forgotten", "in force")
    assert one.name in planted[one.kind][where]
    assert one.name not in planted[one.kind][other]


def test_every_kind_is_planted_and_nothing_else_is_told(planted: Judged) -> None:
    assert {one.kind for one in PLANTS} == planted.keys()
    told = {name for found in planted.values() for name in found["forgotten"]}
    assert {name for name in told - FOR_OTHERS if "planted" not in name.lower()} == set()


def test_what_is_asked_of_a_daemon_is_a_verb_and_read_as_its_reply() -> None:
    replies = {verb.name: verb.reply for verb in VERBS}
    found = list(asked(sources(ROOT)))
    assert len(found) > 40
    for where, verb, reply in found:
        module, _, name = reply.rpartition(".")
        assert verb in replies, f"{where}: there is no verb '{verb}'"
        assert getattr(importlib.import_module(module), name) is replies[verb], where


def test_what_a_run_finds_can_be_explained() -> None:
    """`sigc explain NAME` knows each finding: a check, one of its own text, or an error's code."""
    told, found = checks_text(), dict(findings(sources(ROOT)))
    assert len(found) > 12
    assert {name: where for name, where in found.items() if name not in told and name not in CODES} == {}


def test_every_capability_of_a_broker_is_asked_for() -> None:
    """By the program, or by the contract, which holds a broker to it."""
    asked_for = {
        node.attr
        for source in sources(ROOT)
        if source.module.startswith("sigc_pipelines")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    assert [field.name for field in dataclasses.fields(Capabilities) if field.name not in asked_for] == []


def test_settings_that_need_a_restart_are_settings() -> None:
    assert [key for key in _NEEDS_RESTART if not any(one.startswith(key) for one in keys())] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_line_in_the_help(name: str) -> None:
    """`sigc --help` reads it from the file's text, unseen by click."""
    assert isinstance(cli, click.Group)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert summary(name)
    assert summary(name) == command.short_help


def test_views_stand_in_the_order_of_their_places() -> None:
    places = [view.place for view in VIEWS]
    assert places == sorted(set(places))
    assert VIEWS[0].name == "overview"


def test_every_link_of_why_is_in_the_chain() -> None:
    texts = [value for name, value in vars(cases).items() if name.isupper() and isinstance(value, str)]
    assert sorted(texts) == sorted(cases.LINKS)
