"""The controls: CPU of a command from the shell, start of a daemon, latency of status and /live while the processors are
saturated by niced work, lateness of the loop, idle CPU, memory over many runs.

The peer of /live is a bare tornado server in a process of its own, asked in turn with ours, in the same minute.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

COMMANDS = 9
ASKED = 600  # requests a figure
RUNS = int(os.environ.get("SIGC_BENCH_RUNS", "200"))
IDLE_S = 20.0
_BARE = """
import asyncio, sys
import tornado.web
class Live(tornado.web.RequestHandler):
    def get(self): self.write({"status": "alive"})
async def main():
    server = tornado.web.Application([("/live", Live)]).listen(0, "127.0.0.1")
    print(next(iter(server._sockets.values())).getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
_BURN = "import os, numpy as np\nos.nice(10)\na = np.random.rand(400, 400)\nwhile True: (a @ a).sum()"


def main() -> dict[str, float]:
    """All figures: seconds, milliseconds, bytes and ratios by name."""
    with tempfile.TemporaryDirectory(prefix="sigc-bench-") as folder:
        place = Path(folder)
        _sigc(place, "init", "site")
        site = place / "site"
        found = {f"sigc --help: CPU s (of {COMMANDS})": _cpu_of(site, "--help")}
        begun = time.perf_counter()
        with _daemon(site) as (client, pid, http_s):
            found["daemon: start to HTTP s"] = http_s
            found["daemon: start to ready s"] = time.perf_counter() - begun
            found[f"sigc status: CPU s (of {COMMANDS})"] = _cpu_of(site, "status")
            found["idle: CPU share of the controller"] = _idle(pid)
            found |= _memory(site, pid)
            found |= {f"idle: {k}": v for k, v in _latencies(client).items()}
            with _saturated():
                found |= {f"saturated: {k}": v for k, v in _latencies(client).items()}
            found["loop lag p99 s (bucket)"] = _lag_p99(client.metrics)
    return found


def _sigc(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sigc_cli.main", *arguments]
    return subprocess.run(command, cwd=folder, env=_environment(folder), capture_output=True, text=True, check=True)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    state = {"STATE_DIRECTORY": str(folder / "state"), "RUNTIME_DIRECTORY": str(folder / "run")}
    return kept | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)} | state


def _cpu_of(site: Path, *arguments: str) -> float:
    """Median processor seconds of a command, by the operating system's account."""
    found = []
    for _ in range(COMMANDS):
        process = subprocess.Popen(
            [sys.executable, "-m", "sigc_cli.main", *arguments],
            cwd=site,
            env=_environment(site),
            stdout=subprocess.DEVNULL,
        )
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        found.append(usage.ru_utime + usage.ru_stime)
    return statistics.median(found)


class _Client:
    """Kept connections to the daemon's RPC, health and metrics."""

    def __init__(self, site: Path, ports: dict[str, int]) -> None:
        token = next(site.rglob("rpc.token")).read_text().strip()
        self.rpc = http.client.HTTPConnection("127.0.0.1", ports["daemon.rpc.address"])
        self.health = http.client.HTTPConnection("127.0.0.1", ports["daemon.health.port"])
        self.metrics_port = ports["daemon.metrics.port"]
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def status(self) -> None:
        """Ask the RPC how the daemon is."""
        self.rpc.request("GET", "/v1/status", headers=self._headers)
        _read(self.rpc)

    def live(self) -> None:
        """Ask whether it lives."""
        self.health.request("GET", "/live")
        _read(self.health)

    def metrics(self) -> str:
        """All metrics."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text


def _read(connection: http.client.HTTPConnection) -> bytes:
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, body
    return body


@contextmanager
def _daemon(site: Path) -> Iterator[tuple[_Client, int, float]]:
    """A daemon on embedded defaults; its client, PID, and seconds until HTTP answered."""
    (site / "run").mkdir(exist_ok=True)
    config = (site / "sigc.yaml").read_text()
    port = _free_port()
    rpc = f"daemon:\n  rpc: {{address: '127.0.0.1:{port}'}}\n  health: {{port: 0}}\n  metrics: {{port: 0}}\n"
    (site / "sigc.yaml").write_text(config.replace("daemon:\n", rpc, 1))
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "sigc_cli.main", "daemon", "--foreground"],
        cwd=site,
        env=_environment(site),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _answers(port):
            assert process.poll() is None, "the daemon has ended"
            time.sleep(0.005)
        http_s = time.perf_counter() - begun
        ports: dict[str, int] = {}
        while not ports:
            status = json.loads(_sigc(site, "status", "--detailed", "--json").stdout)
            ports = status["detailed"]["ports"] if status["is_ready"] else {}
        yield _Client(site, ports), status["pid"], http_s
        _sigc(site, "stop")
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/v1/status")
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _latencies(client: _Client) -> dict[str, float]:
    """Of status, of /live, and of a bare server's /live, asked in turn."""
    with _bare() as bare:
        times: dict[str, list[float]] = {"status": [], "live": [], "bare": []}
        calls: dict[str, Callable[[], object]] = {"status": client.status, "live": client.live, "bare": bare}
        for call in calls.values():
            call()
        for _ in range(ASKED):
            for name, call in calls.items():
                begun = time.perf_counter()
                call()
                times[name].append(1000 * (time.perf_counter() - begun))
    found = {f"{name} {part} ms": _share(values, share) for name, values in times.items() for part, share in _PARTS}
    return found | {"live p99 beyond the bare server's ms": found["live p99 ms"] - found["bare p99 ms"]}


_PARTS = (("p50", 0.5), ("p99", 0.99))


def _share(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@contextmanager
def _bare() -> Iterator[Callable[[], object]]:
    process = subprocess.Popen([sys.executable, "-c", _BARE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    connection = http.client.HTTPConnection("127.0.0.1", int(process.stdout.readline()))

    def ask() -> None:
        connection.request("GET", "/live")
        _read(connection)

    try:
        yield ask
    finally:
        connection.close()
        process.kill()
        process.wait()


@contextmanager
def _saturated() -> Iterator[None]:
    """Every processor busy with niced work, as workers are."""
    burning = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(2 * (os.cpu_count() or 1))]
    time.sleep(1.0)
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def _idle(pid: int) -> float:
    """Processor seconds of the controller over the seconds it was left alone."""
    process = psutil.Process(pid)
    before, begun = process.cpu_times(), time.perf_counter()
    time.sleep(IDLE_S)
    after = process.cpu_times()
    used = float(after.user + after.system - before.user - before.system)
    return used / (time.perf_counter() - begun)


def _memory(site: Path, pid: int) -> dict[str, float]:
    """Resident memory over dry runs: the last third beside the middle third."""
    process = psutil.Process(pid)
    seen: list[int] = []
    for _ in range(RUNS):
        _sigc(site, "run", "strategies/momentum.sig", "--dry-run", "--date", "2021-06-30")
        seen.append(process.memory_info().rss)
    third = max(1, RUNS // 3)
    middle, last = float(statistics.median(seen[third : 2 * third])), float(statistics.median(seen[-third:]))
    return {f"memory after {RUNS} runs MB": seen[-1] / 1e6, "memory: last third over middle third": last / middle}


def _lag_p99(metrics: Callable[[], str]) -> float:
    """The bucket below which 99 of 100 turns of the loop were."""
    found = re.findall(r'^sigc_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', metrics(), re.MULTILINE)
    buckets = [(float(bound), float(count)) for bound, count in found]
    total = buckets[-1][1]
    return min(bound for bound, count in buckets if count >= 0.99 * total)
