"""What `sigc init --systemd` and `--compose` write is conf/, filled in: systemd accepts it, nothing else of it differs."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from sigc.config.check import load_config
from sigc.daemon.configured.configured import examine
from sigc.errors import SigcError
from sigc_cli.deployment.project import project
from sigc_cli.deployment.unit import executable, unit
from sigc_cli.deployment.write import deployment
from sigc_cli.main import cli
from tests.conftest import ROOT

CONF = ROOT / "conf"
UNIT = (CONF / "systemd" / "sigc.service").read_text()
ODD = ["plain", "with space", "50% off", 'a "quoted" one', "dollar$HOME", "back\\slash", "größe"]


def sigc(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), standalone_mode=False)


def code(result: Result) -> str:
    assert isinstance(result.exception, SigcError), result.output
    return result.exception.diagnostics[0].code


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A project without data."""
    folder = tmp_path / "made"
    assert sigc("init", str(folder), "--no-data").exit_code == 0
    return folder


def settings(text: str) -> dict[str, str]:
    """The settings of a unit; of several under one name the last."""
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


@pytest.mark.needs("systemd-analyze")
@pytest.mark.parametrize("name", ODD)
def test_systemd_reads_the_places_of_any_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    assert sigc("init", str(folder), "--no-data", "--systemd").exit_code == 0
    for file in ("sigc.service", "sigc-watch.service"):
        path = folder / "systemd" / file
        text = path.read_text().replace("/usr/local/bin/sigc", str(executable()))
        path.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(folder / "systemd" / "sigc.service")],
        env={"PATH": os.environ["PATH"], "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    # systemd's own reading of a line: words of a shell, with specifiers and variables doubled.
    words = shlex.split(settings((folder / "systemd" / "sigc.service").read_text())["ExecStart"])
    assert words[-1].replace("%%", "%").replace("$$", "$") == str(folder / "sigc.yaml")


def test_a_unit_is_the_shipped_one_but_for_its_places(made: Path) -> None:
    text = unit(project(made), executable())
    ours, shipped = settings(text), settings(UNIT)
    changed = {key for key in ours.keys() | shipped.keys() if ours.get(key) != shipped.get(key)}
    needed = {"ExecStart", "ExecReload", "ExecStop", "WorkingDirectory", "Environment", "LoadCredential"}
    wider = {"ReadWritePaths", "ProtectHome", "PrivateTmp", "User", "Group"}
    assert needed <= changed <= needed | wider
    assert ours["User"] == getpass.getuser()
    is_temporary = made.is_relative_to("/tmp")  # noqa: S108
    assert shlex.split(ours["ReadWritePaths"]) == [str(made / ".sigc"), *(["/tmp", "/var/tmp"] if is_temporary else [])]  # noqa: S108
    assert ours["PrivateTmp"] == "false" if is_temporary else "true"
    assert "LoadCredential" not in text
    assert "credential:" not in text


def test_folders_that_are_written_are_there_and_private(made: Path) -> None:
    assert not (made / ".sigc").exists()
    deployment(made, ["systemd"])
    assert (made / ".sigc").stat().st_mode & 0o777 == 0o700


@pytest.mark.needs("root")  # who alone gives folders to others
@pytest.mark.parametrize(("uid", "name"), [(1, pwd.getpwuid(1).pw_name), (54_321, "54321")])
def test_root_writes_a_unit_for_the_owner(made: Path, uid: int, name: str) -> None:
    for path in [made, *made.rglob("*")]:
        os.chown(path, uid, uid)
    files = deployment(made, ["systemd"])
    assert settings(files[made / "systemd/sigc.service"])["User"] == name
    assert (made / ".sigc").stat().st_uid == uid


def test_credentials_of_the_configuration_are_loaded(made: Path) -> None:
    path = made / "sigc.yaml"
    path.write_text(path.read_text().replace("daemon:\n", 'daemon:\n  rpc: {token: "credential:my.token"}\n'))
    lines = re.findall(r"^LoadCredential=(.*)$", unit(project(made), executable()), re.MULTILINE)
    assert lines == ["my.token:/etc/sigc/my.token"]


def test_a_place_of_its_own_is_writable_and_the_port_is_scraped(made: Path, tmp_path: Path) -> None:
    text = (made / "sigc.yaml").read_text()
    text = text.replace("./.sigc/cache", str(tmp_path / "blocks")).replace(
        "daemon:\n", "daemon:\n  metrics: {port: 9555}\n"
    )
    (made / "sigc.yaml").write_text(text)
    files = deployment(made, ["systemd"])
    words = shlex.split(settings(files[made / "systemd/sigc.service"])["ReadWritePaths"])
    assert words[:2] == sorted([str(tmp_path / "blocks"), str(made / ".sigc")])
    scraped = yaml.safe_load(files[made / "prometheus/prometheus.yml"])["scrape_configs"]
    assert scraped[0]["static_configs"][0]["targets"] == ["127.0.0.1:9555"]
    assert scraped[1]["http_sd_configs"][0]["url"] == "http://127.0.0.1:9555/http_sd"


def test_a_ledger_has_one_place(made: Path) -> None:
    text = (made / "sigc.yaml").read_text()
    (made / "sigc.yaml").write_text(text.replace("  work_dir: ./.sigc/state\n", ""))
    failed = sigc("init", str(made), "--systemd")
    assert code(failed) == "E402"
    assert "daemon.work_dir" in str(failed.exception)


def test_what_is_there_stays_unless_it_is_forced(made: Path) -> None:
    kinds = ("--systemd", "--compose")
    assert sigc("init", str(made), *kinds).exit_code == 0
    assert sigc("init", str(made), "--compose").exit_code == 0  # the same text: nothing to refuse
    path = made / "systemd" / "sigc.service"
    path.write_text("mine")
    (made / "grafana" / "datasource.yaml").unlink()
    assert code(sigc("init", str(made), *kinds)) == "E200"
    assert path.read_text() == "mine"
    assert not (made / "grafana" / "datasource.yaml").exists()  # nothing is written where one is refused
    assert sigc("init", str(made), *kinds, "--force").exit_code == 0
    assert path.read_text() == unit(project(made), executable())


def test_force_is_of_these_files_alone(made: Path) -> None:
    (made / "sigc.yaml").write_text((made / "sigc.yaml").read_text() + "# mine\n")
    assert sigc("init", str(made), "--systemd", "--force").exit_code == 0
    assert (made / "sigc.yaml").read_text().endswith("# mine\n")
    assert code(sigc("init", str(made), "--force")) == "E200"


def test_containers_are_the_shipped_ones_with_the_projects_own_files(made: Path) -> None:
    assert sigc("init", str(made), "--compose").exit_code == 0
    ours = yaml.safe_load((made / "container/compose.yaml").read_text())
    shipped = yaml.safe_load((CONF / "container/compose.yaml").read_text())
    assert ours["services"]["prometheus"] == shipped["services"]["prometheus"]
    assert ours["services"]["grafana"] == shipped["services"]["grafana"]
    service, base = ours["services"]["sigc"], shipped["services"]["sigc"]
    variables = service.pop("environment")
    assert {key for key in service if service[key] != base[key]} == {"build", "volumes"}
    for one in ours["services"].values():
        for volume in one["volumes"]:
            source = volume.split(":")[0]
            assert source in ours["volumes"] or source.startswith("${") or (made / "container" / source).exists()
    mounted = [volume.split(":")[1] for volume in service["volumes"] if not volume.startswith("$")]
    assert mounted == ["/var/lib/sigc", "/var/cache/sigc", "/etc/sigc/sigc.yaml", "/etc/sigc/strategies"]
    config = load_config(made / "sigc.yaml", variables, examine=examine).config
    meant = load_config(CONF / "container/sigc.yaml", {}, examine=examine).config
    for setting in ("rpc", "cache", "health", "metrics", "recovery", "max_memory_mb"):
        assert getattr(config.daemon, setting) == getattr(meant.daemon, setting)
    assert config.data == meant.data
    assert [entry.name for entry in config.strategies] == ["momentum"]  # of the project
    assert (config.daemon.work_dir, config.daemon.pid_file) == ("/var/lib/sigc", "/run/sigc/sigc.pid")


def test_an_image_has_this_version_and_these_versions(made: Path) -> None:
    assert sigc("init", str(made), "--compose").exit_code == 0
    ours = (made / "container/Dockerfile").read_text().splitlines()
    shipped = (CONF / "container/Dockerfile").read_text().splitlines()
    second = shipped.index("FROM python:3.11-slim")
    assert ours[-(len(shipped) - second - 1) :] == shipped[second + 1 :]
    copied = [line.split()[1] for line in ours if line.startswith("COPY ") and "--from" not in line]
    assert copied == ["constraints.txt", "wheels"]
    assert all((made / "container" / name).exists() for name in copied)
    pins = (made / "container/constraints.txt").read_text()
    assert re.search(r"^numpy==\d", pins, re.MULTILINE)
    assert not re.search(r"^sigc|\+| @ ", pins, re.MULTILINE)
    assert any("sigc-daemon==" in line for line in ours)


@pytest.mark.parametrize("file", ["../elsewhere.sig", "/srv/elsewhere.sig"])
def test_a_strategy_outside_of_the_project_is_in_no_container(made: Path, file: str) -> None:
    text = (made / "sigc.yaml").read_text().replace("strategies/momentum.sig", file)
    (made / "sigc.yaml").write_text(text)
    failed = sigc("init", str(made), "--compose")
    assert code(failed) in ("E402", "E200")
    assert file in str(failed.exception)
    assert not (made / "container").exists()


def test_an_error_of_the_configuration_is_told_with_its_place(made: Path) -> None:
    (made / "sigc.yaml").write_text("daemon: {work_dri: x}\n")
    failed = sigc("init", str(made), "--systemd")
    assert code(failed) == "E401"
    assert not (made / "systemd").exists()


def test_a_project_of_another_shell_is_not_changed_by_its_variables(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGC_DAEMON__WORK_DIR", "/nowhere")
    assert project(made).written == (made / ".sigc",)
