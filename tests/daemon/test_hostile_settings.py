"""Ten hostile configurations, given to the real daemon: each is refused at once, with its exit code and all its errors."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.daemon.daemons import Site

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b, *b]\n"
CONFIGURATION = 6


def refused(site: Site, code: int = CONFIGURATION, **environment: str) -> str:
    """What the daemon says when it does not start; it leaves nothing."""
    done = site.sigc("daemon", "--config", str(site.config), **environment)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert site.left_behind() == []
    return done.stderr


def places(text: str, site: Site) -> list[str]:
    """Where the errors are: `line:column code`."""
    lines = [line.removeprefix(f"{site.config}:") for line in text.splitlines() if ": error[" in line]
    return [f"{line.partition(': error[')[0]} {line.split('error[')[1][:4]}" for line in lines]


def test_unknown_settings(site: Site) -> None:
    site.config.write_text("daemon:\n  max_memory_mv: 4096\n  rpc: {adress: a}\nclutser: {}\nsafety: {max_gros: 1}\n")
    text = refused(site)
    assert places(text, site) == ["2:3 E401", "3:9 E401", "4:1 E401", "5:10 E401"]
    for near in ("max_memory_mb", "address", "cluster", "max_gross"):
        assert f"did you mean '{near}'" in text


def test_values_of_wrong_types(site: Site) -> None:
    site.config.write_text(
        "daemon:\n  max_runs: many\n  log_level: loud\n  rpc: [5555]\n  health: {port: 70000}\n"
        "strategies: {name: a}\nschedule:\n  skip_holidays: perhaps\nsafety: {max_missing_pct: 5}\n"
    )
    assert places(refused(site), site) == [
        *("2:3 E402", "3:3 E402", "4:3 E402", "5:12 E402", "6:1 E402", "8:3 E402", "9:10 E402")
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "aliases are not allowed"),
        ("daemon: " + "[" * 900_000, "nested too deep"),  # an hour in the scanner of PyYAML
        ("daemon: " + "{a: " * 40 + "1" + "}" * 40, "nested too deep"),
        ("# " + "x" * 1_000_001, "larger than 1,000,000 bytes"),
        ("daemon: !!python/object/apply:os.system ['touch pwned']\n", "error"),
        ("daemon: {log_level: info, log_level: debug}\n", "given twice"),
        ("\x00\x01\x02", "malformed YAML"),
        ("daemon:\n\tlog_level: info\n", "error"),
    ],
    ids=["aliases", "brackets", "nested", "large", "python", "twice", "bytes", "tab"],
)
def test_yaml_that_is_a_weapon(site: Site, text: str, said: str) -> None:
    site.config.write_text(text)
    told = refused(site)
    assert said in told
    assert len(told) < 2000  # a line of a megabyte is not printed
    assert not (site.folder / "pwned").exists()


def test_missing_variables(site: Site) -> None:
    site.config.write_text(
        "daemon:\n  rpc: {token: ${NO_TOKEN}}\n  log_file: ${NO_LOG}/d.log\n  log_level: ${LEVEL:-info}\ndata:\n  directory: ${NO_DATA}\n"
    )
    text = refused(site)
    assert places(text, site) == ["2:16 E402", "3:13 E402", "6:14 E402"]
    for name in ("NO_TOKEN", "NO_LOG", "NO_DATA"):
        assert f"variable {name} is not set" in text


def test_bad_cron_and_zones(site: Site) -> None:
    site.settings["strategies"] = [{"name": "one", "file": "momentum.sig", "schedule": "0 25 * * *"}]
    site.settings["schedule"] = {
        "calendar": "weekdays",
        "timezone": "Mars/Olympus",
        "jobs": [
            {"name": "a", "kind": "compute", "strategy": "one", "trigger": "every day"},
            {"name": "b", "kind": "compute", "strategy": "one", "trigger": "open+5x"},
            {"name": "c", "kind": "dance", "strategy": "one", "trigger": "0 9 * * *", "zone": "Nowhere/Here"},
            {"name": "d", "kind": "compute", "strategy": "none", "trigger": "* * * * * * * *"},
        ],
    }
    site.write()
    text = refused(site)
    assert len(places(text, site)) == 8
    for word in ("25", "Mars/Olympus", "every day", "open+5x", "dance", "Nowhere/Here", "'none'", "* * * * * * * *"):
        assert word in text


def test_a_strategy_is_not_named_as_the_book_of_what_nobody_claims(site: Site) -> None:
    site.settings["strategies"] = [{"name": "unassigned", "file": "momentum.sig"}]
    site.write()
    text = refused(site)
    assert len(places(text, site)) == 1
    assert "'unassigned' is the book of what nobody claims" in text


@pytest.fixture
def holder() -> Iterator[int]:
    """A port that somebody has."""
    with socket.socket() as holding:
        holding.bind(("127.0.0.1", 0))
        holding.listen()
        yield int(holding.getsockname()[1])


@pytest.mark.parametrize("setting", ["daemon.rpc.address", "daemon.health.port", "daemon.metrics.port"])
def test_a_port_in_use(site: Site, holder: int, setting: str) -> None:
    section, key = setting.split(".")[1:]
    value: Any = f"127.0.0.1:{holder}" if key == "address" else holder
    site.settings["daemon"][section] = {key: value}
    site.write()
    text = refused(site)
    assert f"port {holder} ({setting}) is in use by PID {os.getpid()}" in text
    assert f"lsof -i :{holder}" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rpc": {"token": "file:/nonexistent/token"}}, "/nonexistent/token (daemon.rpc.token) can't be read"),
        ({"rpc": {"token": "credential:token"}}, "systemd passed none"),
        (
            {"rpc": {"tls": {"cert": "/nonexistent/c.pem", "key": "/nonexistent/k.pem"}}},
            "certificate of daemon.rpc.tls",
        ),
        ({"log_file": "/proc/nonexistent/daemon.log"}, "daemon.log_file"),
        ({"work_dir": "/proc/nonexistent"}, "daemon.work_dir"),
        ({"pid_file": "/proc/nonexistent/sigc.pid"}, "/proc/nonexistent/sigc.pid"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_files_that_can_not_be_used(site: Site, change: dict[str, Any], said: str) -> None:
    site.settings["daemon"] |= change
    site.write()
    assert said in refused(site)


def test_a_configuration_that_is_none(site: Site) -> None:
    site.config.unlink()
    site.config.mkdir()
    assert "there is no configuration file" in refused(site)


def test_a_token_that_others_can_read(site: Site) -> None:
    token = site.folder / "kept"
    token.write_text("0123456789abcdef0123456789abcdef")
    token.chmod(0o640)
    site.settings["daemon"]["rpc"]["token"] = f"file:{token}"
    site.write()
    text = refused(site)
    assert "can be read by others" in text
    assert f"chmod 600 {token}" in text
    assert "0123456789abcdef" not in text


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_beyond_this_machine_without_tls(site: Site, address: str) -> None:
    site.settings["daemon"]["rpc"]["address"] = address
    site.write()
    assert "needs TLS" in refused(site)


def test_all_of_it_at_once(site: Site) -> None:
    site.config.write_text(
        yaml.safe_dump({"daemon": {"max_runs": 0, "unknown": 1}, "strategies": [{"name": "Bad Name"}], "more": {}})
        + "schedule: {timezone: Nowhere, jobs: [{name: a}]}\ndata: {directory: ${NOTHING}}\n"
    )
    found = places(refused(site), site)
    assert len(found) >= 7
    assert found == sorted(found, key=lambda place: [int(n) for n in place.split()[0].split(":")])


@pytest.mark.parametrize("change", [{"max_runs": 0}, {"rpc": {"address": "0.0.0.0:0"}}], ids=["read", "bound"])
def test_in_the_background_the_terminal_learns_the_same(site: Site, change: dict[str, Any]) -> None:
    site.settings["daemon"] |= change
    site.write()
    done = site.sigc("daemon", "--config", str(site.config), "--daemonize")
    assert (done.returncode, done.stdout) == (CONFIGURATION, "")
    assert done.stderr == refused(site)


def test_an_environment_of_settings_is_judged_too(site: Site) -> None:
    text = refused(site, SIGC_DAEMON__MAX_RUNS="none")
    assert "$SIGC_DAEMON__MAX_RUNS" in text
