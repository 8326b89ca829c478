"""What is shipped for monitoring against a daemon that runs: names that there are, expressions that parse, a real scrape."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from sigc.metrics import METRICS, MetricKind
from sigc_cli import grafana
from tests.daemon.daemons import DAYS, Daemon, Site, free_port
from tests.daemon.processes import PATIENCE_S, ROOT
from tests.system.test_dask import _announced, _process

CONF = ROOT / "conf"
SHIPPED = CONF / "grafana" / "dashboards" / "sigc.json"
PAGE = ROOT / "docs" / "monitoring.md"
FILLED = {
    "$__rate_interval": "1m",
    "$instance": ".*",
    "$strategy": ".*",
    "$daemon": ".*",
}
SUFFIX = re.compile(r"_(bucket|sum|count)$")
needs_prometheus = pytest.mark.needs("prometheus", "promtool")


def expressions() -> list[str]:
    """Every expression of the dashboard, with its variables filled in."""
    found = []
    for text in grafana.expressions():
        for name, value in FILLED.items():
            text = text.replace(name, value)
        found.append(text)
    return found


def alerts() -> list[str]:
    groups = yaml.safe_load((CONF / "prometheus" / "rules.yml").read_text())["groups"]
    return [str(rule["expr"]) for group in groups for rule in group["rules"]]


def base(name: str) -> str:
    """The metric that a series is of."""
    return name if any(metric.name == name for metric in METRICS) else SUFFIX.sub("", name)


def documented() -> dict[str, str]:
    """The table of metrics: kind by name."""
    rows = re.findall(r"^\| `(sigc_\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows
    return dict(rows)


def panels() -> list[dict[str, Any]]:
    return [panel for panel in grafana.dashboard()["panels"] if panel["type"] != "row"]


def test_the_file_is_what_the_command_prints(site: Site) -> None:
    done = site.sigc("monitoring", "export-dashboard")
    assert done.stdout == SHIPPED.read_text() == grafana.text()
    assert site.sigc("monitoring", "export-dashboard", "-o", "mine.json").returncode == 0
    assert (site.folder / "mine.json").read_text() == done.stdout


def test_grafana_would_place_every_panel() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in grafana.dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in grafana.dashboard()["panels"]}) == len(grafana.dashboard()["panels"])


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_says_its_unit_what_it_is_and_where_from(panel: dict[str, Any]) -> None:
    assert panel["description"]
    unit = panel["fieldConfig"]["defaults"]["unit"]
    names = {base(name) for target in panel["targets"] for name in re.findall(r"\bsigc_\w+", target["expr"])}
    if any(name.endswith("_bytes") for name in names):
        assert unit == "bytes"
    if any(name.endswith("_ratio") for name in names):
        assert unit == "percentunit"
    if any(name.endswith("_seconds") for name in names):
        assert unit == "s"
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert "$instance" in target["expr"] or "$daemon" in target["expr"]


def test_labels_of_the_dashboard_are_those_of_the_metrics() -> None:
    known = {metric.name: metric for metric in METRICS}
    for text in grafana.expressions():
        for name, matchers in re.findall(r"\b(sigc_\w+)\{([^}]*)\}", text):
            labels = set(re.findall(r"(\w+)=~?", matchers)) - {"instance"}
            assert labels <= set(known[base(name)].labels), text
            assert (name != base(name)) <= (known[base(name)].kind is MetricKind.HISTOGRAM)


def test_every_name_is_in_a_live_scrape_and_every_live_name_is_documented(daemon: Daemon) -> None:
    status, body = daemon.site.page("metrics", "/metrics")
    assert status == 200
    live = dict(re.findall(r"^# TYPE (\S+) (\w+)$", body.decode(), re.MULTILINE))
    used = {base(name) for text in (*grafana.expressions(), *alerts()) for name in re.findall(r"\bsigc_[a-z_]+", text)}
    assert used <= set(live)
    assert documented() == {name: kind for name, kind in live.items() if name.startswith("sigc_")}
    assert {metric.name for metric in METRICS} == set(documented())
    # Nothing that is counted is left out of the dashboard.
    assert {metric.name for metric in METRICS} <= used


def test_the_page_tells_what_each_metric_says() -> None:
    assert PAGE.read_text().endswith(grafana.metrics_table())
    for metric in METRICS:
        assert metric.help in grafana.metrics_table()


@needs_prometheus
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"checked:{number}", "expr": text} for number, text in enumerate(expressions())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "checked", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint=none", "rules.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout + done.stderr


# A real Prometheus.


@contextmanager
def cluster(folder: Path, port: int) -> Iterator[None]:
    """A scheduler and a worker that serve their metrics, as anyone starts them."""
    own = ("--dashboard-address", "127.0.0.1:0")
    with _process("scheduler", "--host", "127.0.0.1", "--port", str(port), *own) as process:
        address = _announced(process, "Scheduler at:")
        more = ("--host", "127.0.0.1", "--nthreads", "1", "--local-directory", str(folder), *own)
        with _process("worker", address, *more) as worker:
            _announced(worker, "Registered to:")
            yield


@contextmanager
def prometheus(folder: Path, metrics_port: int) -> Iterator[str]:
    """Prometheus on the configuration that is shipped, its ports and its patience changed; its address."""
    config = (CONF / "prometheus" / "prometheus.yml").read_text().replace("127.0.0.1:9090", f"127.0.0.1:{metrics_port}")
    config = config.replace("interval: 15s", "interval: 1s")
    (folder / "prometheus.yml").write_text(config)
    shutil.copy(CONF / "prometheus" / "rules.yml", folder)
    port = free_port()
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def ask(address: str, path: str, **query: str) -> Any:
    """The API's data; None while it does not answer yet."""
    try:
        with urllib.request.urlopen(f"{address}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=5) as reply:  # noqa: S310
            return json.load(reply)["data"]
    except urllib.error.HTTPError as refusal:
        refusal.close()  # else its connection is found open whenever garbage is looked for
        return None
    except OSError:
        return None


def until(address: str, path: str, is_so: Any, **query: str) -> Any:
    """Ask until it is so."""
    end, found = time.monotonic() + PATIENCE_S, None
    while time.monotonic() < end:
        found = ask(address, path, **query)
        if found is not None and is_so(found):
            return found
    raise AssertionError(f"{path} {query}: {found}")


def value(address: str, expression: str) -> list[float]:
    found = ask(address, "query", query=expression)
    return [float(one["value"][1]) for one in found["result"]]


@needs_prometheus
@pytest.mark.xdist_group("dask")
def test_a_real_prometheus_scrapes_the_daemon_and_dask(site: Site, tmp_path: Path) -> None:
    port = free_port()
    reached = {"type": "address", "address": f"tcp://127.0.0.1:{port}", "security": "none", "connect_timeout_s": 5}
    site.settings["cluster"] = reached
    site.write()
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with ExitStack() as stack:
        stack.enter_context(cluster(tmp_path, port))
        stack.enter_context(Daemon(site))
        assert site.run(date=DAYS[0]).outcome == "done"
        with site.client() as client:
            ports = client.get("status", {"is_detailed": True})["detailed"]["ports"]
        address = stack.enter_context(prometheus(folder, ports["daemon.metrics.port"]))

        def are_up(found: Any) -> bool:
            up = [t for t in found["activeTargets"] if t["health"] == "up"]
            return sorted(t["scrapePool"] for t in up) == ["dask", "dask", "sigc"]

        targets = until(address, "targets", are_up, state="active")["activeTargets"]
        assert {t["labels"]["job"] for t in targets} == {"sigc", "dask"}
        until(address, "query", lambda found: found["result"], query="sigc_nav_dollars")
        assert value(address, "sigc_daemon_ready") == [1.0]
        assert value(address, 'sigc_run_total{outcome="done", strategy="momentum"}') == [1.0]
        assert value(address, "count(dask_scheduler_tasks) > 0") != []
        # Every expression that Grafana would ask is answered; those that have numbers by now have them.
        for text in expressions():
            assert ask(address, "query", query=text) is not None, text
        health = {rule["name"]: rule["health"] for group in ask(address, "rules")["groups"] for rule in group["rules"]}
        assert set(health.values()) <= {"ok", "unknown"}
        assert len(health) == len(alerts())
