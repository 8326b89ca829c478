"""Ways to look, as laws over all commands and on real ledgers: --json and --name everywhere, times with their zone, logs,
completion, the doctor; runs of scripts and reports shown with what they said."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from sigc.errors import SigcError
from sigc.host.log_lines import last_lines
from sigc_cli import shell_completion as completing
from sigc_cli.doctor_checks import DoubtError, Live, clock
from sigc_cli.log_tail import followed
from sigc_cli.main import COMMANDS, cli
from tests.daemon.daemons import Daemon, Site
from tests.world import write_world

# What prints no data: files and scripts, a person's page, a process; and the JSON schema, which is JSON as it is.
NO_JSON = {
    *(
        "completions",
        "config reference",
        "config schema",
        "convert",
        "daemon",
        "dashboard",
        "demo",
        "diff",
        "explain",
        "fmt",
        "init",
    ),
    *("monitoring export-dashboard", "runbook", "watch"),
}
TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?P<zone> ?[A-Z]{1,4}\b| [+-]\d{2,4}|[+-]\d{2}:\d{2})?"
)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its words."""

    def walk(found: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
        if isinstance(found, click.Group):
            for name, inner in found.commands.items():
                yield from walk(inner, f"{words} {name}")
        else:
            yield words, found

    for name in COMMANDS:
        yield from walk(importlib.import_module(f"sigc_cli.commands.{name.replace('-', '_')}").command, name)


ALL = dict(commands())


def options(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts}


@pytest.mark.parametrize("words", ALL)
def test_every_command_that_prints_data_takes_json(words: str) -> None:
    assert ("--json" in options(ALL[words])) == (words not in NO_JSON)


@pytest.mark.parametrize("words", ALL)
def test_every_command_about_a_daemon_or_its_ledger_takes_a_name(words: str) -> None:
    given = options(ALL[words])
    if given & {"--address", "--work-dir"} and words != "dashboard":  # which serves several
        assert "--name" in given


@pytest.mark.parametrize("words", ALL)
def test_names_are_completed(words: str) -> None:
    """Strategies, jobs, runs and daemons, wherever a command takes one."""
    wanted = {"--name": completing.daemons, "strategy": completing.strategies, "job": completing.jobs}
    for parameter in ALL[words].params:
        name = "--name" if "--name" in parameter.opts else parameter.name
        if name in wanted and not (words in ("daemon", "audit query") or words.startswith("data")):
            assert parameter._custom_shell_complete is wanted[str(name)], (words, name)


# Real daemons and ledgers.


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, jit_directory: Path) -> Site:
    """A site whose daemon has run a trade, a script, a report and a refresh, and is gone."""
    world, folder = tmp_path_factory.mktemp("world"), tmp_path_factory.mktemp("site")
    write_world(world)
    site = Site(folder, world, jit_directory)
    never = "0 0 29 2 *"
    site.settings["strategies"][0]["schedule"] = never
    site.settings["schedule"]["jobs"] = [
        site.script("fetch", "/bin/sh", "-c", "echo fetched; echo twice >&2; exit 3"),
        {"name": "paper", "kind": "report", "trigger": never},
        {"name": "look", "kind": "data_refresh", "trigger": "30 12 15 * *"},
    ]
    site.write()
    with Daemon(site):
        assert site.run(date="2017-03-01").outcome == "done"
        for job in ("fetch", "paper", "look"):
            begun = site.sigc("schedule", "run", job, "--json")
            id = json.loads(begun.stdout)["run"]
            with site.client() as client:
                list(client.events("runs/events", {"id": id}))
        site.settings["list"] = json.loads(site.sigc("schedule", "list", "--json").stdout)
        site.settings["doctor"] = json.loads(site.sigc("doctor", "--json").stdout)
        assert site.sigc("stop").returncode == 0
    return site


@pytest.fixture
def here(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Within that site, without a daemon."""
    monkeypatch.chdir(site.folder)
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    return site


def sigc(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), standalone_mode=False, catch_exceptions=False)


def of(kind: str) -> dict[str, Any]:
    (found,) = json.loads(sigc("runs", "list", "--kind", kind, "--json").stdout)
    return dict(found)


@pytest.mark.usefixtures("here")
def test_scripts_reports_and_refreshes_are_shown_with_what_they_said() -> None:
    script = of("script")
    assert (script["outcome"], script["job"], script["message"]) == ("failed", "fetch", "the script ended with code 3")
    text = sigc("runs", "show", script["id"]).stdout.splitlines()
    assert text[0].startswith(f"script, run {script['id']}, job fetch")
    assert text[1] == "failed, the script ended with code 3"
    assert text[3:] == [
        "the job's command is now: /bin/sh -c 'echo fetched; echo twice >&2; exit 3'",
        *("", "fetched", "twice"),
    ]
    events = [record["event"] for record in json.loads(sigc("runs", "logs", script["id"], "--json").stdout)]
    assert (events[0], events[-1]) == ("run.ordered", "run.ended")
    assert sigc("orders", "--run", script["id"]).stdout == "no orders\n"
    assert sigc("runs", "show", script["id"], "--output").stdout == "fetched\ntwice\n"
    assert json.loads(sigc("runs", "show", script["id"], "--json").stdout)["output"] == "fetched\ntwice\n"
    report = of("report")
    assert sigc("runs", "show", report["id"], "--output").stdout.startswith("reports/momentum-")
    refresh = sigc("runs", "show", of("data_refresh")["id"], "--output").stdout
    assert refresh.startswith("momentum: newest row 20")
    trade = sigc("runs", "show", of("trade")["id"]).stdout
    assert "momentum (main), paper trade" in trade


def test_the_schedule_is_told_without_a_daemon(here: Site) -> None:
    """As the daemon told it, but for the next fires, which are of now."""
    done = sigc("schedule", "list", "--json")
    assert done.stderr == f"no daemon answers: reading the ledger in {here.folder / 'work'}\n"
    before = {job["name"]: job for job in here.settings["list"]["jobs"]}
    assert {job["name"]: job for job in json.loads(done.stdout)["jobs"]} == before
    (first,) = json.loads(sigc("schedule", "next", "-n", "1", "--json").stdout)["fires"]
    assert (first["job"], first["planned"][8:10]) == ("look", "15")
    (entry,) = json.loads(sigc("schedule", "history", "fetch", "--json").stdout)["entries"]
    assert (entry["outcome"], entry["message"]) == ("failed", "the script ended with code 3")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "words",
    [
        *(
            ("runs", "list"),
            ("runs", "show", "TRADE"),
            ("runs", "show", "SCRIPT"),
            ("runs", "logs", "TRADE"),
            ("orders",),
        ),
        *(("positions",), ("schedule", "list"), ("schedule", "next"), ("schedule", "history", "fetch"), ("logs",)),
        *(
            ("audit", "query"),
            ("audit", "report"),
            ("why", "momentum", "2017-03-02"),
            ("why", "momentum", "S000", "--run", "TRADE"),
        ),
        *(("alerts", "list"), ("alerts", "status"), ("cache", "status"), ("doctor",), ("book", "actions", "momentum")),
    ],
    ids=" ".join,
)
def test_every_time_has_its_zone(words: tuple[str, ...]) -> None:
    """Whatever looks like a time of day in the text of a command says on which clocks."""
    ids = {"TRADE": "trade", "SCRIPT": "script"}
    found = sigc(*(of(ids[word])["id"] if word in ids else word for word in words)).stdout
    times = list(TIME.finditer(found))
    assert [one.group() for one in times if not one["zone"]] == []
    if words[0] in ("runs", "schedule", "logs", "why") or words[:2] == ("audit", "query"):
        assert times


def test_logs(here: Site) -> None:
    run = of("script")["id"]
    lines = sigc("logs", "--run", run).stdout.splitlines()
    assert len(lines) == 2
    assert all(f"[{run}]" in line for line in lines)
    assert "run begins" in lines[0]
    assert "run ended" in lines[1]
    assert [json.loads(line)["run"] for line in sigc("logs", "--run", run, "--json").stdout.splitlines()] == [run, run]
    assert len(sigc("logs", "-n", "3").stdout.splitlines()) == 3
    path = here.folder / "daemon.log"
    assert list(last_lines(path, "", 1)) == path.read_text().splitlines()[-1:]


def test_a_log_is_followed_over_its_rotation(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    path.write_text("old\n")
    following = followed(path, "")
    lines: list[str] = []

    def add(text: str) -> None:
        with path.open("a") as log:
            log.write(text)

    import threading

    def first() -> None:
        lines.append(next(following))

    thread = threading.Thread(target=first)
    thread.start()
    while thread.is_alive():
        add("one\n")
        thread.join(0.05)
    path.rename(tmp_path / "daemon.log.1")
    path.write_text("two\n")
    while lines[-1] == "one":
        lines.append(next(following))
    assert lines[-1] == "two"
    assert set(lines) == {"one", "two"}


@pytest.mark.usefixtures("here")
def test_completion() -> None:
    def completed(words: str, incomplete: str = "") -> list[str]:
        from click.shell_completion import ShellComplete

        return [
            item.value
            for item in ShellComplete(cli, {}, "sigc", "_SIGC_COMPLETE").get_completions(words.split(), incomplete)
        ]

    assert completed("why", "mom") == ["momentum"]
    assert completed("pause") == ["momentum"]
    assert set(completed("schedule run")) == {"fetch", "paper", "look", "momentum"}
    ids = {run["id"] for run in json.loads(sigc("runs", "list", "--json").stdout)}
    assert set(completed("runs show", "r")) == {id for id in ids if id.startswith("r")}
    assert completed("status --name") == []


def test_the_doctor_looks_at_a_production(here: Site) -> None:
    found = {one["check"]: one for one in json.loads(sigc("doctor", "--json").stdout)}
    assert set(found) >= {"daemon", "token", "clock", "ports", "calendar", "broker", "disk", "strategies", "alerts"}
    assert found["daemon"]["text"] == "none runs: start one by `sigc daemon`"
    assert found["token"]["text"].endswith("rpc.token, mode 0600")
    assert found["strategies"] == {"check": "strategies", "ok": True, "state": "ok", "text": "1 compile"}
    assert found["calendar"]["text"].startswith("weekdays until 20")
    assert found["alerts"]["state"] == "warn"
    assert str(here.port) in found["ports"]["text"]


def test_the_doctor_asks_the_daemon_that_runs(site: Site) -> None:
    found = {one["check"]: one for one in site.settings["doctor"]}
    assert [one for one in found.values() if not one["ok"]] == []
    assert "PID" in found["daemon"]["text"]
    assert f"daemon.rpc.address {site.port}" in found["ports"]["text"]
    assert found["broker"]["text"].startswith("paper, ")


def test_the_doctor_finds_what_is_wrong(here: Site) -> None:
    text = (here.folder / "momentum.sig").read_text()
    token = here.folder / "work" / "rpc.token"
    try:
        (here.folder / "momentum.sig").write_text(text.replace("emit", "emti"))
        token.chmod(0o644)
        done = CliRunner().invoke(cli, ["doctor", "--json"])
    finally:
        (here.folder / "momentum.sig").write_text(text)
        token.chmod(0o600)
    assert done.exit_code == 1
    found = {one["check"]: one for one in json.loads(done.stdout)}
    assert [name for name, one in found.items() if one["state"] == "FAIL"] == ["daemon", "token", "strategies"]
    assert "chmod 600" in found["token"]["text"]
    assert found["strategies"]["text"].startswith("momentum: E001: ")
    assert "momentum.sig:" in found["strategies"]["text"]


def test_the_clock_is_in_step_or_doubted() -> None:
    try:
        said = clock()
    except DoubtError as doubt:
        said = str(doubt)
    assert said.endswith(("kept in step by the system", "run chrony or systemd-timesyncd"))


def test_a_port_that_is_taken_is_told(here: Site) -> None:
    import socket

    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", here.port))
        taken.listen()
        live = Live((None, None, None), with_alerts=False)
        with pytest.raises(DoubtError, match=f"daemon.rpc.address {here.port}"):
            dict(live.checks())["ports"]()


def test_backfill(here: Site) -> None:
    """Of a Wednesday to a Friday, Thursday was traded: two are listed, made once, and then told of by asset."""
    week = ("2017-03-01", "2017-03-03")
    listed = json.loads(sigc("backfill", *week, "--dry-run", "--json").stdout)
    assert [(gap["session"], gap["as_of"], gap["run"]) for gap in listed] == [
        ("2017-03-01", "2017-02-28", ""),
        ("2017-03-03", "2017-03-02", ""),
    ]
    assert {gap["stopped_by"] for gap in listed} == {"schedule"}
    assert sigc("backfill", *week, "--dry-run").stdout.endswith("2 not traded; without --dry-run 2 dry runs are made\n")
    made = json.loads(sigc("backfill", *week, "--json").stdout)
    assert [(gap["session"], gap["outcome"]) for gap in made] == [("2017-03-01", "done"), ("2017-03-03", "done")]
    assert json.loads(sigc("backfill", *week, "--json").stdout) == [
        gap | {"why": gap["why"].replace("did not run.", "did not run (1 dry).")} for gap in made
    ]
    told = sigc("why", "momentum", "S000", "2017-03-01").stdout
    assert "would be ordered" in told
    assert f"by the dry run {made[0]['run']}, which traded nothing" in told
    assert sigc("positions").stdout.startswith("momentum (main): cash ")
    for words, code in (
        (("2017-03-02", "2017-03-01"), "E500"),
        (("x", "y"), "E500"),
        ((*week, "--strategy", "m"), "E901"),
    ):
        with pytest.raises(SigcError) as wrong:
            sigc("backfill", *words)
        assert wrong.value.diagnostics[0].code == code


@pytest.mark.parametrize(
    "words", [("why", "momentum", "2017-03-02"), ("schedule", "list"), ("logs",), ("runs", "list")]
)
def test_to_look_imports_nothing_heavy(here: Site, words: tuple[str, ...]) -> None:
    script = (
        f"import sys; from sigc_cli.main import cli; cli.main({list(words)!r}, standalone_mode=False)\n"
        "print([m for m in ('numpy', 'pandas', 'dask', 'bokeh', 'tornado', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=here.environment,
        cwd=here.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
