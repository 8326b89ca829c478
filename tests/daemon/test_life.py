"""The life of a daemon: start, ready, stop by verb and by signal, crash, restart; what it leaves behind is nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat

import psutil
import pytest

from sigc.clock import SystemClock
from sigc.host.pidfile import read_pid_file
from sigc.rpc.messages.requests import RunsReply, StatusReply
from sigc.store.ledger import jobs, runs
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.ledger import Ledger
from tests.daemon.daemons import DAYS, Daemon, Gate, Site, free_port
from tests.daemon.processes import gone


def ledger(site: Site) -> sqlite3.Connection:
    return connect_reader(site.folder / "work" / FILE)


def test_a_daemon_is_started_looked_at_and_stopped(site: Site) -> None:
    with Daemon(site) as daemon:
        assert read_pid_file(site.folder / "sigc.pid") == daemon.pid
        assert stat.S_IMODE((site.folder / "work" / "rpc.token").stat().st_mode) == 0o600
        shown = site.sigc("status")
        assert shown.returncode == 0, shown.stderr
        lines = shown.stdout.splitlines()
        assert lines[:3] == ["sigc daemon status", "==================", "Status: running"]
        assert lines[3] == f"PID: {daemon.pid}"
        assert [line.split(":")[0] for line in lines[4:7]] == ["Uptime", "Memory", "CPU"]
        assert lines[7:10] == ["", "Strategies:", "  momentum: active"]
        assert lines[10:13] == ["    Last run: -", "    Next run: -", "    Status: never run"]
        found = json.loads(site.sigc("status", "--json", "--detailed").stdout)
        assert found["is_ready"]
        made = {"strategy_files", "data_connection", "broker_connection", "memory", "disk", "clock"}
        assert found["detailed"]["checks"].keys() >= made
        listed = json.loads(site.sigc("ps", "--json").stdout)
        assert [(e["name"], e["pid"], e["address"]) for e in listed] == [("sigc", daemon.pid, site.address)]
        stopped = site.sigc("stop")
        assert (stopped.returncode, stopped.stdout) == (0, f"the daemon has ended (PID {daemon.pid})\n")
        assert daemon.end()[0] == 0
    assert site.left_behind() == []
    nobody = site.sigc("status")
    assert nobody.returncode == 10
    assert "no daemon answers" in nobody.stderr
    assert "sigc daemon" in nobody.stderr


def test_its_pages(daemon: Daemon) -> None:
    site = daemon.site
    status, body = site.page("health", "/health")
    found = json.loads(body)
    assert status == 200
    assert found["status"] == "healthy"
    assert found["checks"].keys() >= {"strategy_files", "data_connection", "broker_connection", "memory", "disk"}
    assert found["uptime_seconds"] > 0
    assert site.page("health", "/live")[0] == 200
    assert json.loads(site.page("health", "/ready")[1]) == {"ready": True, "reason": ""}
    assert site.page("health", "/metrics")[0] == 404
    text = site.page("metrics", "/metrics")[1].decode()
    assert "sigc_daemon_uptime_seconds " in text
    assert "sigc_daemon_ready 1.0" in text
    assert json.loads(site.page("metrics", "/http_sd")[1]) == []


def test_a_run_dry_traded_refused(daemon: Daemon) -> None:
    site = daemon.site
    dry = site.run(date=DAYS[0], is_dry=True)
    assert (dry.outcome, dry.as_of, dry.session) == ("done", DAYS[0], DAYS[1])
    assert dry.result["orders"]
    traded = site.run(date=DAYS[0])
    assert (traded.outcome, traded.kind) == ("done", "trade")
    again = site.run(date=DAYS[0])
    assert (again.outcome, again.findings[0].code) == ("refused", "E800")
    by_file = site.run(str(site.folder / "momentum.sig"), date=DAYS[1])
    assert (by_file.outcome, by_file.strategy) == ("done", "momentum")
    with site.client() as client:
        listed = client.get("runs/list", reply=RunsReply)
    assert [(r.kind, r.outcome) for r in listed.runs] == [
        ("trade", "done"),
        ("trade", "refused"),
        ("trade", "done"),
        ("dry", "done"),
    ]
    with ledger(site) as connection:
        assert runs.find(connection, traded.id).who.startswith("main")
    records = [record for record in site.log() if record["run"] == traded.id]
    assert [record["text"] for record in records] == ["run begins", "run ended"]
    text = site.page("metrics", "/metrics")[1].decode()
    assert 'sigc_run_total{outcome="done",strategy="momentum"} 3.0' in text
    assert 'sigc_computation_total{strategy="momentum"}' in text


@pytest.mark.parametrize(
    ("what", "said"),
    [("/etc/passwd", "outside the folders"), ("nobody", "there is no strategy"), ("none.sig", "there is no file")],
)
def test_what_may_not_be_run(daemon: Daemon, what: str, said: str) -> None:
    site = daemon.site
    (site.folder / "link.sig").symlink_to("/etc/hostname")
    fields = {"strategy": what} if what == "nobody" else {"file": str(site.folder / what)}
    with site.client() as client:
        with pytest.raises(Exception, match=said):
            client.post("run/dry", fields)
        with pytest.raises(Exception, match="outside the folders"):
            client.post("run/dry", {"file": str(site.folder / "link.sig")})


def test_a_pause_outlives_kill_9(site: Site) -> None:
    with Daemon(site) as daemon:
        assert site.sigc("pause", "momentum", "--reason", "earnings").stdout == "strategy momentum is paused\n"
        daemon.kill()
    assert read_pid_file(site.folder / "sigc.pid") is None
    with Daemon(site):
        assert site.status().strategies[0].state == "paused"
        refused = site.sigc("schedule", "run", "momentum")
        assert refused.returncode == 11
        with site.client() as client, pytest.raises(Exception, match="is paused"):
            client.post("run", {"strategy": "momentum"})
        assert site.run(date=DAYS[0], is_dry=True).outcome == "done"
        assert site.run(date=DAYS[0], is_forced=True, reason="by hand").outcome == "done"
        assert "momentum is resumed" in site.sigc("resume", "momentum").stdout
        assert site.sigc("pause").stdout == "everything is paused\n"
        assert "Status: running (paused)" in site.sigc("status").stdout
        assert site.sigc("resume").stdout == "everything is resumed\n"
    with ledger(site) as connection:
        said = [
            json.loads(text) for (text,) in connection.execute("SELECT record FROM audit WHERE event = 'control.set'")
        ]
    assert [(r["payload"]["scope"], r["payload"]["reason"]) for r in said] == [("momentum", "earnings"), ("", "")]


def test_kill_9_under_load_leaves_no_run_open(site: Site) -> None:
    acknowledged: list[str] = []
    for day in DAYS[:3]:
        with Daemon(site) as daemon:
            with site.client() as client:
                for kind in ("run", "run/dry"):
                    acknowledged.append(client.post(kind, {"strategy": "momentum", "date": day})["id"])
            daemon.kill()
        with Daemon(site):
            with site.client() as client:
                client.get("status", reply=StatusReply)
            with ledger(site) as connection:
                assert jobs.left_open(connection) == ()
                assert runs.left_open(connection) == ()
                assert all(jobs.find(connection, id) is not None for id in acknowledged)
            assert site.sigc("stop").returncode == 0
    assert site.left_behind() == []


def test_sigterm_lets_a_run_finish(gated: tuple[Site, Gate]) -> None:
    site, gate = gated
    with Daemon(site) as daemon:
        assert site.sigc("schedule", "run", "gate").returncode == 0
        gate.wait()
        daemon.signal(signal.SIGTERM)
        daemon.until("STOPPING=1")
        with site.client() as client:
            assert client.get("status")["status"] == "stopping"
            with pytest.raises(Exception, match="stopping"):
                client.post("run/dry", {"strategy": "momentum"})
        gate.open()
        assert daemon.end()[0] == 0
    assert site.left_behind() == []
    with ledger(site) as connection:
        assert [order.outcome for order in jobs.recent(connection)] == ["done"]


def test_a_second_signal_forces(gated: tuple[Site, Gate]) -> None:
    site, gate = gated
    with Daemon(site) as daemon:
        site.sigc("schedule", "run", "gate")
        script = gate.wait()
        daemon.signal(signal.SIGTERM)
        daemon.until("STOPPING=1")
        daemon.signal(signal.SIGTERM)
        assert daemon.end()[0] == 0
    assert gone(script)
    assert site.left_behind() == []
    with ledger(site) as connection:
        assert [order.outcome for order in jobs.recent(connection)] == ["cancelled"]


def test_a_signal_while_it_starts_leaves_nothing(site: Site) -> None:
    pid_file = site.folder / "sigc.pid"
    with Daemon(site, wait=False) as daemon:
        while read_pid_file(pid_file) is None:
            assert daemon.process.poll() is None
        daemon.signal(signal.SIGTERM)
        assert daemon.end()[0] == 0
    assert site.left_behind() == []


def test_a_stop_with_a_timeout_cuts_off(gated: tuple[Site, Gate]) -> None:
    site, gate = gated
    with Daemon(site) as daemon:
        site.sigc("schedule", "run", "gate")
        script = gate.wait()
        assert site.sigc("stop", "--timeout", "0.2").returncode == 0
        assert daemon.end()[0] == 0
    assert gone(script)


def test_restart_keeps_the_pid(site: Site) -> None:
    with Daemon(site) as daemon:
        before = site.status()
        done = site.sigc("restart")
        assert (done.returncode, done.stdout) == (0, f"daemon 'sigc' is ready again: PID {daemon.pid}\n")
        after = site.status()
        assert after.pid == before.pid == daemon.pid
        assert after.uptime_seconds < before.uptime_seconds + 2
        assert read_pid_file(site.folder / "sigc.pid") == daemon.pid
        assert site.sigc("stop").returncode == 0
        assert daemon.end()[0] == 0


def test_in_the_background_it_returns_when_ready(site: Site) -> None:
    begun = site.sigc("daemon", "--daemonize")
    assert begun.returncode == 0, begun.stderr
    pid = read_pid_file(site.folder / "sigc.pid")
    assert pid is not None
    try:
        assert f"PID {pid}" in begun.stdout
        assert str(site.folder / "daemon.log") in begun.stdout
        assert os.getsid(pid) != os.getsid(0)
        assert site.status().is_ready
    finally:
        assert site.sigc("stop").returncode == 0
    assert gone(pid)
    assert site.left_behind() == []


def test_in_the_background_an_error_is_told(site: Site) -> None:
    (site.folder / "momentum.sig").write_text("signal s:\n  emit nothing_known\n")
    begun = site.sigc("daemon", "--daemonize")
    assert begun.returncode == 2
    assert "nothing_known" in begun.stdout + begun.stderr
    assert site.left_behind() == []


def test_a_killed_daemon_comes_back_under_its_supervisor(site: Site) -> None:
    site.settings["daemon"]["recovery"] = {"enabled": True, "max_restarts": 3, "restart_delay_seconds": 0.1}
    site.write()
    assert site.sigc("daemon", "--daemonize").returncode == 0
    first = read_pid_file(site.folder / "sigc.pid")
    assert first is not None
    supervisor = psutil.Process(first).ppid()
    site.settings["schedule"]["jobs"] = [site.script("tidy", "/bin/true")]
    site.write()
    assert "tidy" in site.sigc("reload").stdout
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    assert site.wait_until_ready().pid != first
    assert "tidy" in site.sigc("schedule", "list").stdout, "the configuration that was in force, not that of the start"
    assert site.sigc("restart").returncode == 0
    second = read_pid_file(site.folder / "sigc.pid")
    assert second not in (None, first)
    os.kill(supervisor, signal.SIGTERM)
    assert gone(supervisor)
    assert second is not None
    assert gone(second)
    assert site.left_behind() == []


def test_two_daemons_of_one_place_and_one_port(site: Site) -> None:
    with Daemon(site) as daemon:
        second = site.sigc("daemon", "--config", str(site.config), "--port", str(free_port()))
        assert second.returncode == 12
        assert str(daemon.pid) in second.stderr
        apart = {"--pid-file": site.folder / "other.pid", "--work-dir": site.folder / "other", "--name": "other"}
        options = [text for pair in apart.items() for text in map(str, pair)]
        taken = site.sigc("daemon", "--config", str(site.config), *options)
        assert taken.returncode == 6
        assert f"port {site.port}" in taken.stderr
        assert "daemon.rpc.address" in taken.stderr
        assert "lsof" in taken.stderr
        assert site.status().is_ready


def test_under_systemd_a_start_waits_for_whoever_has_the_work_dir(site: Site) -> None:
    with Ledger.open(site.folder / "work", SystemClock()):
        assert site.sigc("daemon", "--config", str(site.config)).returncode == 12
        with Daemon(site, wait=False) as daemon:
            daemon.until("EXTEND_TIMEOUT_USEC")
            site.until(lambda: f"in use by another process (PID {os.getpid()})" in site.status().reason, "it waits")
            daemon.signal(signal.SIGTERM)
            assert daemon.end()[0] == 0
        waiting = Daemon(site, wait=False)
        waiting.until("EXTEND_TIMEOUT_USEC")
    with waiting as daemon:
        daemon.until("READY=1")


def test_two_daemons_that_differ_in_their_port_alone(site: Site) -> None:
    for key in ("work_dir", "pid_file", "log_file", "rpc"):
        del site.settings["daemon"][key]
    site.write()
    ports = (free_port(), free_port())
    with Daemon(site, "--port", str(ports[0])) as one, Daemon(site, "--port", str(ports[1])) as two:
        listed = json.loads(site.sigc("ps", "--json").stdout)
        assert {(e["pid"], e["address"]) for e in listed} == {
            (one.pid, f"127.0.0.1:{ports[0]}"),
            (two.pid, f"127.0.0.1:{ports[1]}"),
        }
        assert len({e["work_dir"] for e in listed}) == 2
        for running, port in ((one, ports[0]), (two, ports[1])):
            found = json.loads(site.sigc("status", "--json", "--address", f"127.0.0.1:{port}").stdout)
            assert found["pid"] == running.pid
        several = site.sigc("status")
        assert several.returncode == 10
        assert f"several daemons of {site.config} run" in several.stderr


def test_a_token_that_others_can_read_is_refused(site: Site) -> None:
    token = site.folder / "work" / "rpc.token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    token.chmod(0o644)
    refused = site.sigc("daemon", "--config", str(site.config))
    assert refused.returncode == 6
    assert "can be read by others" in refused.stderr
    assert site.left_behind() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rpc": {"address": "0.0.0.0:0"}}, "needs TLS"),
        ({"rpc": {"address": "nowhere"}}, "invalid daemon.rpc.address"),
        ({"rpc": {"token": "short"}}, "shorter than 16"),
        ({"rpc": {"token": ""}}, "is empty"),
        ({"rpc": {"tokens": [{"name": "look", "token": "file:/nonexistent"}]}}, "daemon.rpc.tokens.0.token"),
    ],
)
def test_what_is_not_secure_is_not_started(site: Site, change: dict[str, object], said: str) -> None:
    site.settings["daemon"] = {**site.settings["daemon"], **change}
    site.write()
    refused = site.sigc("daemon", "--config", str(site.config))
    assert refused.returncode == 6
    assert said in refused.stderr
    assert site.left_behind() == []


def test_a_reload_with_an_error_keeps_what_is_in_force(site: Site) -> None:
    with Daemon(site) as daemon:
        site.settings["strategies"].append({"name": "second", "file": "second.sig"})
        site.write()
        (site.folder / "second.sig").write_text("signal s:\n  emit nothing_known\n")
        refused = site.sigc("reload")
        assert refused.returncode == 2
        assert "nothing_known" in refused.stderr
        daemon.until("READY=1")
        daemon.signal(signal.SIGHUP)
        daemon.until("RELOADING=1")
        daemon.until("READY=1")
        assert [s.name for s in site.status().strategies] == ["momentum"]
        (site.folder / "second.sig").write_text((site.folder / "momentum.sig").read_text())
        site.settings.setdefault("data", {})["validation"] = {"max_stale_hours": 24}
        site.write()
        plan = site.sigc("reload", "--plan")
        assert "added    strategies.second" in plan.stdout
        assert "warning[W008]: setting 'data.validation.max_stale_hours' has no effect" in plan.stderr
        assert [s.name for s in site.status().strategies] == ["momentum"]
        done = site.sigc("reload")
        assert done.returncode == 0, done.stderr
        assert [s.name for s in site.status().strategies] == ["momentum", "second"]
        assert site.run("second", date=DAYS[0], is_dry=True).outcome == "done"
        assert site.run("momentum", date=DAYS[0], is_dry=True).outcome == "done"
    with ledger(site) as connection:
        events = [*connection.execute("SELECT event FROM audit WHERE event = 'config.reloaded'")]
    assert len(events) == 1


def test_orders_of_a_run_are_cancelled_through_the_daemon(daemon: Daemon) -> None:
    site = daemon.site
    traded = site.run(date=DAYS[0])
    assert traded.result["orders"]
    done = site.sigc("runs", "cancel", traded.id, "--reason", "not today")
    orders = f"{len(traded.result['orders'])} orders"
    said = f"{traded.id} (momentum, trade): it had ended (done) when it was cancelled\n"
    said += f"  had gone out: {orders}; {orders.removesuffix(' orders')} cancelled at the broker\n"
    assert (done.returncode, done.stdout) == (0, said), done.stderr
    shown = json.loads(site.sigc("orders", "--json").stdout)
    assert {order["state"] for order in shown} == {"cancelled"}
    assert site.sigc("runs", "cancel", "r-none", "--reason", "x").returncode == 11


def test_the_watchdog_is_fed_and_the_log_is_opened_anew(site: Site) -> None:
    with Daemon(site, WATCHDOG_USEC="400000") as daemon:
        daemon.until("WATCHDOG=1")
        daemon.until("WATCHDOG=1")
        site.sigc("pause")
        (site.folder / "daemon.log").rename(site.folder / "moved.log")
        daemon.signal(signal.SIGUSR1)
        daemon.until("WATCHDOG=1")
        daemon.until("WATCHDOG=1")
        site.sigc("resume")
        assert site.sigc("stop").returncode == 0
        assert daemon.end()[0] == 0
    assert [record["verb"] for record in site.log() if record["text"] == "call"] == ["resume", "stop"]
