"""What is shipped in conf/ is what the program has: metrics, settings, commands, ports; and its tools accept it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from sigc.config.check import load_config
from sigc.daemon.background_tasks import ALERTS
from sigc.daemon.configured.configured import examine
from sigc.metrics import METRICS, MetricKind
from sigc.store.ledger.records import IntentState, Outcome
from tests.daemon.processes import ROOT
from tests.house.lines import parse

CONF = ROOT / "conf"
UNIT = CONF / "systemd" / "sigc.service"
VALUES = {"outcome": set(Outcome), "status": {*IntentState, "401", "429"}, "severity": {"critical", "warning"}}
VALUES["event"] = {event for event, _ in ALERTS}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def rules() -> list[dict[str, Any]]:
    return [rule for group in read(CONF / "prometheus" / "rules.yml")["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_is_over_what_the_daemon_counts(rule: dict[str, Any]) -> None:
    known = {metric.name: metric for metric in METRICS}
    found = re.findall(r"\b(sigc_[a-z_]+)(?:\{([^}]*)\})?", rule["expr"])
    assert found or "up{" in rule["expr"]
    for name, matchers in found:
        base = re.sub(r"_(bucket|sum|count)$", "", name) if name not in known else name
        assert base in known, name
        assert (base != name) <= (known[base].kind is MetricKind.HISTOGRAM)
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            assert label in known[base].labels
            assert set(values.split("|")) <= VALUES[label]
    own = {label for name, _ in found for label in known[re.sub(r"_bucket$", "", name)].labels}
    told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert told <= own | {"instance", *(f"exported_{label}" for label in own)}
    assert "job" not in told  # Prometheus' own label has the name


def test_an_alert_has_its_page_in_the_runbook() -> None:
    titles = re.findall(r"^### (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    named = [rule["alert"] for rule in rules()]
    assert [title for title in titles if title.startswith("Sigc")] == named
    assert [rule["annotations"]["runbook"] for rule in rules()] == [f"docs/runbook.md#{n.lower()}" for n in named]


@pytest.mark.needs("promtool")
def test_prometheus_accepts_it(tmp_path: Path) -> None:
    shutil.copytree(CONF / "prometheus", tmp_path, dirs_exist_ok=True)
    shutil.copy(ROOT / "tests" / "conf" / "rules_test.yml", tmp_path)
    for command in (("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")):
        done = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", ["systemd/sigc.yaml", "container/sigc.yaml"])
def test_a_configuration_loads(file: str) -> None:
    daemon = load_config(CONF / file, {}, examine=examine).config.daemon
    assert daemon.rpc.address == "127.0.0.1:5555"
    scraped = read(CONF / "prometheus" / "prometheus.yml")["scrape_configs"]
    assert scraped[0]["static_configs"][0]["targets"] == [f"127.0.0.1:{daemon.metrics.port}"]
    assert scraped[1]["http_sd_configs"][0]["url"] == f"http://127.0.0.1:{daemon.metrics.port}/http_sd"
    assert f"http://127.0.0.1:{daemon.health.port}/live" in (CONF / "container" / "Dockerfile").read_text()


def test_the_containers_fit_together() -> None:
    folder = CONF / "container"
    compose = read(folder / "compose.yaml")
    services = compose["services"]
    assert services.keys() == {"sigc", "prometheus", "grafana"}
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            is_path = source.startswith(".")
            assert (folder / source).exists() if is_path else source in compose["volumes"] or source.startswith("${")
    listening = next(a for a in services["prometheus"]["command"] if a.startswith("--web.listen-address="))
    source = read(CONF / "grafana" / "datasource.yaml")["datasources"][0]
    assert source["url"] == f"http://{listening.partition('=')[2]}"
    lines = (folder / "Dockerfile").read_text().splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    tops = {entry if "." in entry else entry.split("/")[0] for entry in packed["only-include"]}
    assert tops | {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"} == set(copied)
    assert all((ROOT / name).exists() for name in copied)


def test_the_units_commands_are_commands() -> None:
    lines = re.findall(r"^Exec\w+=/usr/local/bin/(sigc .*)$", UNIT.read_text(), re.MULTILINE)
    assert lines == ["sigc daemon --config /etc/sigc/sigc.yaml", "sigc reload", "sigc stop"]
    assert [parse(line).info_name for line in lines] == ["daemon", "reload", "stop"]


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("name", ["sigc.service", "sigc-watch.service"])
def test_systemd_accepts_the_unit_and_finds_it_closed(tmp_path: Path, name: str) -> None:
    unit = tmp_path / name
    unit.write_text(UNIT.with_name(name).read_text().replace("/usr/local/bin/sigc", sys.executable))
    for command in (("verify",), ("security", "--offline=true", "--no-pager", "--threshold=20")):
        done = subprocess.run(
            ["systemd-analyze", *command, str(unit)],
            env={"PATH": os.environ["PATH"], "SYSTEMD_LOG_LEVEL": "warning"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if command == ("verify",):
            assert done.stdout + done.stderr == ""
