"""The wheel, installed without the checkout: a demo, a project, its service and its containers. Real processes.

Its environment is a venv that has the wheel, and the dependencies of the environment that runs the tests, without what that
has of sigc (an editable install puts the checkout on the path).
"""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.daemon.processes import PATIENCE_S, ROOT

pytestmark = pytest.mark.xdist_group("wheel")
DATA = ("conf", "docs/runbook.md")
WHERE = "import sigc, sigc_cli, sigc_dashboard, sigc_pipelines as p; print(sigc.__file__, sigc_cli.__file__, sigc_dashboard.__file__, p.__file__)"


@dataclass(frozen=True, slots=True)
class Installed:
    """A venv with the wheel, a home of its own, and a folder to work in that is far from the checkout."""

    prefix: Path
    home: Path

    @property
    def sigc(self) -> str:
        return str(self.prefix / "bin" / "sigc")

    def run(self, *command: str, at: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        known = {"PATH": os.environ["PATH"], "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home / "run")}
        return subprocess.run(
            command,
            cwd=at or self.home,
            env=known | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S * 2,
        )

    def ok(self, *words: str, at: Path | None = None, **more: str) -> str:
        done = self.run(self.sigc, *words, at=at, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheel` makes."""
    folder = tmp_path_factory.mktemp("wheel")
    quiet = ("-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index")
    command = [sys.executable, "-m", "pip", "wheel", *quiet, "-w", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("sigc_daemon-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    prefix = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(prefix, symlinks=True)
    quiet = ("-q", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-compile")
    command = [sys.executable, "-m", "pip", "--python", str(prefix / "bin" / "python"), "install", *quiet, str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (packages,) = (prefix / "lib").glob("python*/site-packages")
    # A folder that a .pth file names is searched, and its own .pth files (the editable install's) are not read.
    (packages / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    home = tmp_path_factory.mktemp("home")
    (home / "run").mkdir(mode=0o700)
    (home / "jit").mkdir(mode=0o700)
    for cache in ("sigc-demo/cache", "my project/.sigc/cache"):  # kernels are compiled once
        (home / cache).mkdir(parents=True, mode=0o700)
        (home / cache / "jit").symlink_to(home / "jit")
    return Installed(prefix, home)


def test_what_a_wheel_has(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        for entry in DATA:
            listed = (
                [ROOT / entry] if (ROOT / entry).is_file() else [p for p in (ROOT / entry).rglob("*") if p.is_file()]
            )
            for path in listed:
                inside = f"sigc_cli/shipped/{path.relative_to(ROOT)}"
                assert packed.read(inside) == path.read_bytes()
        assert {name.split("/")[0] for name in names if "dist-info" not in name} == {
            *("sigc", "sigc_cli", "sigc_dashboard", "sigc_pipelines")
        }
        assert any(name.endswith("licenses/LICENSE") for name in names)


def test_nothing_of_the_checkout_is_imported(installed: Installed) -> None:
    done = installed.run(str(installed.prefix / "bin" / "python"), "-c", WHERE)
    assert done.returncode == 0, done.stderr
    assert all(Path(file).is_relative_to(installed.prefix) for file in done.stdout.split())


@pytest.fixture(scope="module")
def project(installed: Installed) -> Path:
    """A project of `sigc init`."""
    installed.ok("init", "my project")
    return installed.home / "my project"


def test_a_demo_runs(installed: Installed) -> None:
    out = installed.ok("demo", "--assets", "40", "--days", "320")
    assert "=== Backtest Results ===" in out
    assert "done, 16 orders" in out
    assert out.rstrip().splitlines()[-1].startswith("the daemon has ended")


def test_a_project_runs_and_serves(installed: Installed, project: Path) -> None:
    assert "=== Against market ===" in installed.ok("backtest", "strategies/momentum.sig", at=project)
    assert installed.ok("init", "--systemd", at=project).count("wrote ") == 7
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(project / "systemd" / "sigc.service")
    service = unit["Service"]
    start, stop = (shlex.split(service[key]) for key in ("ExecStart", "ExecStop"))
    assert start == [installed.sigc, "daemon", "--config", str(project / "sigc.yaml")]
    own = dict(pair.split("=", 1) for pair in shlex.split(service["Environment"])) | {
        "XDG_CACHE_HOME": str(installed.home)
    }
    for written in shlex.split(service["ReadWritePaths"]):
        assert Path(written).is_dir()
    place = Path(service["WorkingDirectory"])
    started = installed.run(*start, "--daemonize", "--port", "0", at=place, **own)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        assert "Status: running" in installed.ok("status", at=project)
    finally:
        stopped = installed.run(*stop, at=place, **own)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


def test_a_projects_containers_have_its_configuration(installed: Installed, project: Path) -> None:
    installed.ok("init", "--compose", at=project)
    folder = project / "container"
    service = yaml.safe_load((folder / "compose.yaml").read_text())["services"]["sigc"]
    variables: Mapping[str, str] = service["environment"]
    shown = yaml.safe_load(installed.ok("config", "show", "--config", "sigc.yaml", at=project, **variables))
    inside = yaml.safe_load((ROOT / "conf" / "container" / "sigc.yaml").read_text())
    assert shown["daemon"]["work_dir"] == "/var/lib/sigc"
    assert shown["daemon"]["cache"]["directory"] == inside["daemon"]["cache"]["directory"]
    assert shown["data"]["directory"] == inside["data"]["directory"]
    assert shown["daemon"]["recovery"]["enabled"] is False
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        assert not source.startswith(".") or (folder / source).exists()
    assert "\nnumpy==" in (folder / "constraints.txt").read_text()


def test_an_alert_is_explained_without_a_checkout(installed: Installed) -> None:
    assert installed.ok("runbook", "run_failed").startswith("SigcRunFailed\n")
