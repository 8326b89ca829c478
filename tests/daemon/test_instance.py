"""Several daemons on one machine: names, places, ports, and the registry of who runs."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from sigc.errors import SigcError, exit_code
from sigc.host.identity import is_alive, started
from sigc.host.instance import instance_name, make_directory, places, runtime_dirs
from sigc.host.instances import register, running, this_process, unregister
from sigc.host.ports import Port, listen
from sigc.rpc.address import address_text, is_loopback, parse_address
from tests.daemon.processes import Script


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (None, "sigc"),
        ("sigc.yaml", "sigc"),
        ("/etc/sigc/config.yaml", "sigc"),
        ("sigc.paper.yaml", "paper"),
        ("sigc.prod.yml", "prod"),
        ("conf/paper.yaml", "paper"),
        ("sigc.Prod EU.yaml", "prod-eu"),
    ],
)
def test_the_name_follows_from_the_configuration_file(config: str | None, name: str) -> None:
    assert instance_name(None, Path(config) if config else None) == name


def test_names_are_checked() -> None:
    assert instance_name("live-2", Path("sigc.paper.yaml")) == "live-2"
    for bad in ("", "2", "A", "a/b", "..", "a" * 64, "a\n"):
        with pytest.raises(SigcError, match="invalid name"):
            instance_name(bad, None)
    with pytest.raises(SigcError, match=r"2024\.yaml") as refused:
        instance_name(None, Path("2024.yaml"))
    assert "--name" in refused.value.diagnostics[0].hint


def test_places_follow_from_the_name_and_the_user() -> None:
    assert places("sigc", {}, 0).pid_file == Path("/var/run/sigc.pid")
    assert places("sigc", {}, 0).work_dir == Path("/var/lib/sigc")
    assert places("paper", {}, 0).pid_file == Path("/var/run/sigc-paper.pid")
    ann = {"HOME": "/home/ann", "XDG_STATE_HOME": "relative/is/ignored"}
    assert places("paper", ann, 7).work_dir == Path("/home/ann/.local/state/sigc-paper")
    assert places("paper", ann, 7).pid_file == Path("/home/ann/.local/state/sigc/run/paper.pid")
    xdg = {"XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"}
    assert places("paper", xdg, 7).work_dir == Path("/s/sigc-paper")
    assert places("paper", xdg, 7).pid_file == Path("/r/sigc/paper.pid")
    unit = {"STATE_DIRECTORY": "/var/lib/sigc:/var/lib/other", "RUNTIME_DIRECTORY": "/run/sigc"}
    assert places("sigc", unit, 7).work_dir == Path("/var/lib/sigc")
    assert places("paper", unit, 7).work_dir == Path("/var/lib/sigc/paper")
    assert places("sigc", unit, 7).pid_file == Path("/run/sigc/sigc.pid")
    assert runtime_dirs(xdg, 7) == (Path("/r/sigc"), Path("/run/sigc"))
    assert runtime_dirs({}, 0) == (Path("/run/sigc"),)


def test_directories_are_made_private(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b", "daemon.work_dir")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(SigcError, match=r"daemon\.work_dir"):
        make_directory(tmp_path / "file" / "b", "daemon.work_dir")


def test_an_explicit_port_never_moves_and_a_default_one_does() -> None:
    with listen(Port("daemon.rpc.address", "127.0.0.1", 0, True)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(SigcError) as refused:
            listen(Port("daemon.rpc.address", "127.0.0.1", number, True))
        found = refused.value.diagnostics[0]
        assert exit_code([found]) == 6
        assert f"port {number} (daemon.rpc.address) is in use by PID {os.getpid()}" in found.message
        assert f"lsof -i :{number}" in found.hint
        with listen(Port("daemon.rpc.address", "127.0.0.1", number, False)) as moved:
            assert moved.getsockname()[1] > number


def test_a_port_that_may_not_be_had_is_told() -> None:
    with pytest.raises(SigcError, match=r"daemon\.rpc\.address.*can't be listened on") as refused:
        listen(Port("daemon.rpc.address", "192.0.2.1", 5555, False))
    assert exit_code(refused.value.diagnostics) == 6


def test_addresses_are_read_and_written() -> None:
    for text in ("127.0.0.1:5555", "[::1]:5555", "localhost:0"):
        assert address_text(*parse_address(text, "s")) == text
    for bad in ("", "5555", ":5555", "a:", "a:b", "a:70000", "::1:5555", "a:-1"):
        with pytest.raises(SigcError):
            parse_address(bad, "s")
    assert is_loopback("127.8.8.8")
    assert is_loopback("::1")
    assert not is_loopback("example.com")


def test_a_process_is_known_by_its_start() -> None:
    start = started(os.getpid())
    assert start is not None
    assert is_alive(os.getpid(), start)
    assert not is_alive(os.getpid(), start + "1")
    with Script("print('up'); input()") as other:
        other.line()
        began = started(other.process.pid)
        assert began is not None
        other.process.kill()
        os.waitid(os.P_PID, other.process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(other.process.pid, began)  # a zombie is dead
    assert started(0) is None


_ENTRY = """
import sys
from pathlib import Path
from sigc.host.instances import register, this_process
register(Path(sys.argv[1]), this_process(sys.argv[2], "127.0.0.1:" + sys.argv[3], Path("."), {"daemon.rpc.address": 1}))
print("up")
input()
"""


def test_several_daemons_are_listed_and_the_killed_one_leaves(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Script(_ENTRY, str(folder), "prod", "5555") as prod, Script(_ENTRY, str(folder), "paper", "5556") as paper:
        assert (prod.line(), paper.line()) == ("up", "up")
        found = running([folder, tmp_path / "none"])
        assert [(d.name, d.address, d.pid) for d in found] == [
            ("paper", "127.0.0.1:5556", paper.process.pid),
            ("prod", "127.0.0.1:5555", prod.process.pid),
        ]
        assert found[0].ports == {"daemon.rpc.address": 1}
        with pytest.raises(SigcError, match=f"PID {prod.process.pid}") as refused:
            register(folder, this_process("prod", "127.0.0.1:5557", tmp_path, {}))
        assert exit_code(refused.value.diagnostics) == 12
        prod.process.kill()
        prod.process.wait()
        assert [d.name for d in running([folder])] == ["paper"]
        assert not (folder / "prod.json").exists()


def test_a_stale_entry_is_written_over_and_only_ours_is_removed(tmp_path: Path) -> None:
    ours = this_process("prod", "127.0.0.1:1", tmp_path, {})
    register(tmp_path, replace(ours, started="an earlier boot"))
    register(tmp_path, ours)
    assert running([tmp_path]) == (ours,)
    unregister(tmp_path, replace(ours, pid=1))
    assert running([tmp_path]) == (ours,)
    unregister(tmp_path, ours)
    unregister(tmp_path / "none", ours)
    assert running([tmp_path]) == ()


def test_what_is_no_entry_is_passed_over(tmp_path: Path) -> None:
    ours = this_process("prod", "127.0.0.1:1", tmp_path, {})
    for name, text in {"a": "", "b": "[]", "c": "{}", "d": json.dumps({"name": 1})}.items():
        (tmp_path / f"{name}.json").write_text(text)
    register(tmp_path, replace(ours, name="else", host="another-host"))
    register(tmp_path, ours)
    assert running([tmp_path]) == (ours,)
    assert (tmp_path / "else.json").exists()


def test_two_listeners_of_one_port_are_refused_on_every_address() -> None:
    with listen(Port("s", "0.0.0.0", 0, True)) as wide:  # noqa: S104
        number = wide.getsockname()[1]
        with pytest.raises(SigcError, match="in use"):
            listen(Port("s", "127.0.0.1", number, True))
        with socket.create_connection(("127.0.0.1", number)):
            pass
