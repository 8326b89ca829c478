"""The daemon's settings: the document's example, secrets that are shown nowhere, which daemon a command means."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sigc.config.check import LoadedConfig, load_config
from sigc.config.secret import reveal
from sigc.daemon.configured.configured import Configured, configured, examine
from sigc.daemon.lifecycle.start import Start, StartOptions, start_of
from sigc.errors import SigcError, render
from sigc.host.instances import register, this_process
from sigc.rpc.discovery import DaemonOptions, target_of, wish_of
from sigc.schedule.job import JobKind
from tests.daemon.daemons import DAYS, Daemon, Site

EXAMPLE = """
daemon:
  rpc: {address: "127.0.0.1:5555", auth: token, token: ${SIGC_RPC_TOKEN}}
  pid_file: /var/run/sigc.pid
  work_dir: /var/lib/sigc
  max_memory_mb: 4096          # also accepted under limits:
  max_cpu_pct: 80
  limits: {max_memory_mb: 4096, gc_threshold_mb: 3072, max_cpu_pct: 80, worker_threads: 4}
  log_file: /var/log/sigc/daemon.log
  log_level: info
  cache: {enabled: true, directory: /var/cache/sigc, max_size_gb: 10, ttl_hours: 24}
  connections: {data_pool_size: 10, broker_pool_size: 5, timeout_seconds: 30}
  health: {enabled: true, port: 8080, interval_seconds: 30}
  metrics: {enabled: true, port: 9090, path: /metrics}
  dashboard: {enabled: true, port: 5006}
  shutdown: {timeout_seconds: 60, save_state: true}
  recovery: {enabled: true, max_restarts: 3, restart_delay_seconds: 10}
  state: {persist: true, file: /var/lib/sigc/state.json}
cluster: {type: local, workers: 2}
data: {directory: ./data, url_prefixes: [], validation: {max_missing_pct: 0.05, max_stale_hours: 24}}
strategies:
  - {name: momentum_strategy, file: strategies/momentum.sig, portfolio: main, enabled: true, schedule: "0 9 * * 1-5", capital: 1000000}
schedule: {timezone: America/New_York, calendar: nyse, skip_holidays: true, jobs: []}
broker: {type: paper}
"""
TOKEN = "0123456789abcdef-0123456789"  # noqa: S105


def read(folder: Path, text: str, **environment: str) -> LoadedConfig:
    path = folder / "sigc.yaml"
    path.write_text(text)
    return load_config(path, environment, None, examine)


def told(folder: Path, text: str) -> list[str]:
    with pytest.raises(SigcError) as caught:
        read(folder, text)
    return [render(d, {}).splitlines()[0] for d in caught.value.diagnostics]


def test_the_example_of_the_document_loads(tmp_path: Path) -> None:
    loaded = read(tmp_path, EXAMPLE, SIGC_RPC_TOKEN=TOKEN)
    daemon = loaded.config.daemon
    assert daemon.rpc.token is not None
    assert daemon.rpc.token.get_secret_value() == TOKEN
    assert (daemon.memory_limit_mb, daemon.cpu_limit_pct, daemon.limits.gc_threshold_mb) == (4096, 80, 3072)
    found: Configured = configured(loaded)
    (strategy,) = found.strategies
    assert (strategy.file, strategy.capital) == (tmp_path / "strategies" / "momentum.sig", 1_000_000)
    (job,) = found.jobs
    assert (job.name, job.kind, job.strategy) == ("momentum_strategy", JobKind.REBALANCE, "momentum_strategy")
    started: Start = start_of(StartOptions(tmp_path / "sigc.yaml"), {"SIGC_RPC_TOKEN": TOKEN})
    assert started.places.pid_file == Path("/var/run/sigc.pid")
    assert [(port.setting, port.number, port.is_explicit) for port in started.ports] == [
        ("daemon.rpc.address", 5555, True),
        ("daemon.health.port", 8080, True),
        ("daemon.metrics.port", 9090, True),
        ("daemon.dashboard.port", 5006, True),
    ]
    dumped = json.dumps(loaded.config.model_dump(mode="json"))
    assert TOKEN not in dumped + repr(loaded.config) + str(loaded.config)


def test_every_mistake_of_jobs_and_strategies_has_its_place(tmp_path: Path) -> None:
    text = """strategies:
  - {name: mom, file: m.sig, schedule: "0 25 * * *"}
  - {name: mom, file: m.sig}
daemon: {max_memory_mb: 1, limits: {max_memory_mb: 2}}
schedule:
  timezone: America/New_Yrk
  jobs:
    - {name: a, kind: compute, triger: "0 9 * * *", strategy: mom}
    - {name: b, kind: execute, trigger: "open+5m", strategy: mum, depends_on: [c]}
"""
    found = told(tmp_path, text)
    assert [line.split("sigc.yaml:")[-1].split(": error")[0] for line in found] == [
        "2:30",
        "3:6",
        "4:1",
        "6:3",
        "8:7",
        "8:32",
        "9:52",
        "9:67",
    ]
    assert [line.split("error[")[1][:4] for line in found] == [
        "E402",
        "E402",
        "E402",
        "E402",
        "E402",
        "E401",
        "E402",
        "E402",
    ]


def test_secrets_come_from_files_and_credentials(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(TOKEN + "\n")
    secret.chmod(0o600)
    assert reveal(f"file:{secret}", "x", {}) == TOKEN
    assert reveal("credential:secret", "x", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == TOKEN
    assert reveal(TOKEN, "x", {}) == TOKEN
    secret.chmod(0o644)
    for text in (f"file:{secret}", "credential:secret"):
        with pytest.raises(SigcError, match="can be read by others") as caught:
            reveal(text, "x", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
        assert TOKEN not in str(caught.value)
    for text in ("credential:secret", "credential:../secret", "file:/nonexistent"):
        with pytest.raises(SigcError):
            reveal(text, "daemon.rpc.token", {})


def test_a_planted_secret_appears_nowhere(site: Site) -> None:
    canaries = {name: f"canary-{name}-0123456789abcdef" for name in ("main", "look", "file")}
    kept = site.folder / "kept"
    kept.write_text(canaries["file"])
    kept.chmod(0o600)
    site.settings["daemon"]["rpc"] |= {
        "token": "${CANARY}",
        "tokens": [
            {"name": "look", "role": "read", "token": canaries["look"]},
            {"name": "work", "role": "operate", "token": f"file:{kept}"},
        ],
    }
    site.settings["daemon"]["log_level"] = "debug"
    site.write()
    environment = {"CANARY": canaries["main"]}
    shown: list[str] = []
    with Daemon(site, CANARY=canaries["main"]) as daemon:
        for arguments in (
            ("status", "--detailed"),
            ("status", "--json"),
            ("config", "show", "--origins"),
            ("reload", "--plan"),
        ):
            done = site.sigc(*arguments, **environment)
            assert done.returncode == 0, done.stderr
            shown += [done.stdout, done.stderr]
        wrong = site.sigc("status", SIGC_DAEMON__RPC__TOKEN="x" * 20)
        assert wrong.returncode == 11
        shown += [wrong.stdout, wrong.stderr, site_page(site, daemon, canaries["main"])]
        daemon.process.terminate()
        shown.append(daemon.end()[1])
    for path in (p for p in site.folder.rglob("*") if p.is_file() and p not in (site.config, kept)):
        shown.append(path.read_bytes().decode("latin-1"))
    text = "\n".join(shown)
    assert "main" in text
    for canary in canaries.values():
        assert canary not in text


def site_page(site: Site, daemon: Daemon, token: str) -> str:
    """The numbers, looked up with a token that is not in the work dir."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request("GET", "/v1/status?is_detailed=true", headers={"Authorization": f"Bearer {token}"})
    body = connection.getresponse().read().decode()
    connection.close()
    assert json.loads(body)["pid"] == daemon.pid
    return body


def entry(name: str, address: str, work_dir: Path, config: Path | None = None) -> Any:
    work_dir.mkdir(exist_ok=True)
    (work_dir / "rpc.token").write_text(f"token-of-{name}-0123456789\n")
    (work_dir / "rpc.token").chmod(0o600)
    return this_process(name, address, work_dir, {}, config=config)


def test_which_daemon_a_command_means(tmp_path: Path) -> None:
    run = tmp_path / "run"
    environment = {"RUNTIME_DIRECTORY": str(run), "STATE_DIRECTORY": str(tmp_path), "HOME": str(tmp_path)}
    plain, paper = tmp_path / "sigc.yaml", tmp_path / "sigc.paper.yaml"
    for number, (name, config) in enumerate((("sigc", plain), ("paper", paper))):
        # Two entries of one process: which PID is asked about does not matter here.
        register(run, replace(entry(name, f"127.0.0.1:{6000 + number}", tmp_path / name, config)))
    # What is wrong elsewhere in the file, or not set, is no reason not to find the daemon.
    plain.write_text("daemon: {rpc: {token: ${NOT_SET}}}\ncluster: {nonsense: 1}\n")
    paper.write_text("")
    target = target_of(DaemonOptions(plain), environment)
    assert (target.address, target.token) == ("127.0.0.1:6000", "token-of-sigc-0123456789")
    target = target_of(DaemonOptions(paper), environment)
    assert (target.address, target.token) == ("127.0.0.1:6001", "token-of-paper-0123456789")
    target = target_of(DaemonOptions(plain, address="127.0.0.1:6001"), environment)
    assert (target.address, target.token) == ("127.0.0.1:6001", "token-of-paper-0123456789")
    assert target_of(DaemonOptions(plain, name="paper"), environment).address == "127.0.0.1:6001"
    plain.write_text('daemon: {rpc: {address: "127.0.0.1:7000", token: "a-token-of-its-own"}, work_dir: /x}\n')
    target = target_of(DaemonOptions(plain), environment)
    assert (target.address, target.token) == ("127.0.0.1:6000", "a-token-of-its-own")  # where the file's daemon is
    wish = wish_of(DaemonOptions(plain), environment | {"SIGC_DAEMON__RPC__ADDRESS": "127.0.0.1:7001"})
    assert (wish.configured_address, wish.work_dir) == ("127.0.0.1:7001", Path("/x"))
    wish = wish_of(DaemonOptions(None), {"SIGC_RPC_TOKEN": TOKEN, "HOME": str(tmp_path), "SIGC_CONFIG": str(paper)})
    assert wish.token == TOKEN


def test_an_explicit_port_alone_gives_a_name_of_its_own(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    config = tmp_path / "sigc.yaml"
    config.write_text("")
    named = {port: start_of(StartOptions(config, port=port), environment).name for port in (None, 0, 5555, 5556)}
    assert named == {None: "sigc", 0: "sigc", 5555: "sigc", 5556: "sigc-5556"}
    paper = tmp_path / "sigc.paper.yaml"
    paper.write_text("")
    assert start_of(StartOptions(paper, port=5556), environment).name == "paper"
    assert start_of(StartOptions(config, port=5556, name="mine"), environment).name == "mine"


def test_a_token_with_a_role_does_what_its_role_may(site: Site) -> None:
    texts = {role: f"token-{role}-0123456789abcdef" for role in ("read", "operate", "trade")}
    site.settings["daemon"]["rpc"]["tokens"] = [{"name": r, "role": r, "token": t} for r, t in texts.items()]
    site.write()
    with Daemon(site):
        allowed = {
            "read": ["status"],
            "operate": ["status", "pause", "resume"],
            "trade": ["status", "pause", "resume", "schedule run"],
        }
        for role, token in texts.items():
            environment = {"SIGC_DAEMON__RPC__TOKEN": token}
            for command in allowed["trade"][:3]:
                done = site.sigc(command, **environment)
                assert (done.returncode == 0) == (command in allowed[role]), (role, command, done.stderr)
        assert site.run(date=DAYS[0], is_dry=True).outcome == "done"


def test_the_control_commands_are_thin(site: Site) -> None:
    heavy = ("numpy", "pandas", "dask", "distributed", "pydantic", "bokeh", "tornado", "pyarrow", "numba", "psutil")
    script = (
        "import sys\nfrom sigc_cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        f"print(code, [name for name in {heavy!r} if name in sys.modules])"
    )
    with Daemon(site):
        for arguments in (
            ["--help"],
            ["status"],
            ["pause"],
            ["resume"],
            ["ps"],
            ["schedule", "list"],
            ["reload", "--plan"],
        ):
            done = subprocess.run(
                [sys.executable, "-c", script, *arguments],
                cwd=site.folder,
                env=os.environ | site.environment,
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout.splitlines()[-1] == "0 []", (arguments, done.stdout, done.stderr)
