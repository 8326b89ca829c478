"""The shipped Grafana dashboard, generated from the metrics' declarations, so that no name in it can be wrong.

`conf/grafana/dashboards/sigc.json` is this, written by `make reference`; `sigc monitoring export-dashboard` prints it.
To add a panel: one line in `ROWS`. Rows stand below one another, a row's panels beside one another, 24 units wide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sigc import metrics as m
from sigc.metrics import Metric

UID = "sigc-daemon"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_HERE = '{instance=~"$instance"}'
_OURS = '{instance=~"$instance", strategy=~"$strategy"}'
_DASK = '{job="dask", daemon=~"$daemon"}'
_WIDTH = 24
_GREEN_RED: tuple[tuple[str, float | None], ...] = (("red", None), ("green", 1.0))
_RED_ABOVE_0: tuple[tuple[str, float | None], ...] = (("green", None), ("red", 1.0))


@dataclass(frozen=True, slots=True)
class Chart:
    """A panel. lines: (expression, legend). kind: stat, timeseries or bars. steps: colours from values on."""

    title: str
    kind: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    about: str
    width: int = 8
    steps: tuple[tuple[str, float | None], ...] = ()
    names: tuple[tuple[str, str], ...] = ()


def here(metric: Metric) -> str:
    """Return the metric of the chosen instances."""
    return metric.name + _HERE


def ours(metric: Metric, more: str = "") -> str:
    """Return the metric of the chosen instances and strategies."""
    return metric.name + (_OURS if not more else f"{_OURS[:-1]}, {more}}}")


def rate(text: str) -> str:
    """Return the expression of a counter's growth per second."""
    return f"rate({text}[$__rate_interval])"


def grown(text: str, over: str = "$__rate_interval") -> str:
    """Return the expression of a counter's growth."""
    return f"increase({text}[{over}])"


def quantile(share: float, metric: Metric, by: str, labels: str = _HERE) -> str:
    """Return a quantile of a histogram."""
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({metric.name}_bucket{labels}[$__rate_interval])))"


def mean(metric: Metric, by: str, labels: str = _HERE) -> str:
    """Return the mean of a histogram."""
    total, count = (
        f"sum by ({by}) (rate({metric.name}_{part}{labels}[$__rate_interval]))" for part in ("sum", "count")
    )
    return f"{total} / {count}"


_PER_JOB = "{{instance}} {{exported_job}}"
_PER_STRATEGY = "{{strategy}}"
ROWS: tuple[tuple[str, tuple[Chart, ...]], ...] = (
    (
        "Overview",
        (
            Chart("Ready", "stat", "none", ((here(m.READY), "{{instance}}"),),
                  "Whether the daemon has recovered, has its cluster and is not stopping.", 4, _GREEN_RED,
                  (("0", "not ready"), ("1", "ready"))),
            Chart("Uptime", "stat", "s", ((here(m.UPTIME), "{{instance}}"),), "Since the process started.", 4),
            Chart("Checks that fail", "stat", "none", ((f"count({here(m.CHECK)} == 0) or vector(0)", ""),),
                  "Checks of health: see the row Process.", 4, _RED_ABOVE_0),
            Chart("Alerts, 24 h", "stat", "none", ((f"sum({grown(here(m.ALERTS), '24h')}) or vector(0)", ""),),
                  "Alerts the daemon itself has raised.", 4, _RED_ABOVE_0),
            Chart("NAV", "stat", "currencyUSD", ((f"sum({ours(m.NAV)})", ""),), "Of all chosen strategies.", 4),
            Chart("Deepest drawdown", "stat", "percentunit", ((f"max({ours(m.DRAWDOWN)})", ""),),
                  "From the highest NAV, of the strategy where it is deepest.", 4,
                  (("green", None), ("orange", 0.1), ("red", 0.2))),
        ),
    ),
    (
        "Runs",
        (
            Chart("Runs by outcome", "bars", "none",
                  ((f"sum by (outcome) ({grown(ours(m.RUNS))})", "{{outcome}}"),), "How runs ended."),
            Chart("Time of a run", "timeseries", "s",
                  ((mean(m.RUN_SECONDS, "strategy", _OURS), "{{strategy}} mean"),
                   (quantile(0.95, m.RUN_SECONDS, "strategy", _OURS), "{{strategy}} 95 %")), "From asked to ended."),
            Chart("Time of a stage", "timeseries", "s",
                  ((mean(m.STAGE_SECONDS, "stage", _OURS), "{{stage}}"),), "The mean of each stage."),
            Chart("Time to compute signals", "timeseries", "s",
                  ((mean(m.COMPUTATION_SECONDS, "strategy", _OURS), _PER_STRATEGY),), "The stage compute."),
            Chart("Computations", "bars", "none",
                  ((f"sum ({grown(ours(m.COMPUTATIONS))})", "begun"),
                   (f"sum ({grown(ours(m.COMPUTATION_ERRORS))})", "failed")), "Of signals: begun, and failed."),
            Chart("Runs under way", "timeseries", "none", ((here(m.RUNS_ACTIVE), "{{instance}}"),),
                  "Those that wait included."),
        ),
    ),
    (
        "Schedule",
        (
            Chart("Until the next fire", "timeseries", "s",
                  ((f"{here(m.NEXT_FIRE)} - time()", _PER_JOB),), "Below zero: it is overdue."),
            Chart("Since the last fire", "timeseries", "s",
                  ((f"time() - {here(m.LAST_FIRE)}", _PER_JOB),), "When a job last started."),
            Chart("Fires that did not run", "bars", "none",
                  ((f"sum by (instance, exported_job) ({grown(here(m.MISSES))})", _PER_JOB),),
                  "Why is in `sigc schedule history JOB`."),
        ),
    ),
    (
        "Trading",
        (
            Chart("NAV by strategy", "timeseries", "currencyUSD", ((ours(m.NAV), _PER_STRATEGY),),
                  "At the last close."),
            Chart("Drawdown", "timeseries", "percentunit", ((ours(m.DRAWDOWN), _PER_STRATEGY),),
                  "From the highest NAV."),
            Chart("Return of the last session", "timeseries", "percentunit", ((ours(m.DAILY_RETURN), _PER_STRATEGY),),
                  "Since the close before."),
            Chart("Exposure", "timeseries", "percentunit",
                  ((ours(m.GROSS), "{{strategy}} gross"), (ours(m.NET), "{{strategy}} net")), "Shares of NAV."),
            Chart("Turnover of the last rebalance", "timeseries", "percentunit", ((ours(m.TURNOVER), _PER_STRATEGY),),
                  "Sum of absolute changes of weight."),
            Chart("Circuit breakers", "timeseries", "none", ((here(m.BREAKER_VALUE), "{{strategy}} {{breaker}}"),),
                  "The value of each at the last close; of all books where no strategy is named."),
            Chart("Tripped breakers", "timeseries", "none", ((here(m.BREAKER_TRIPPED), "{{strategy}} {{breaker}}"),),
                  "1: it has tripped; see `sigc safety status`."),
            Chart("Positions", "timeseries", "none", ((ours(m.POSITIONS), _PER_STRATEGY),), "How many are held."),
            Chart("Orders by status", "bars", "none",
                  ((f"sum by (status) ({grown(ours(m.ORDERS))})", "{{status}}"),), "The status they came to."),
            Chart("Fills", "bars", "none", ((f"sum by (strategy) ({grown(ours(m.TRADES))})", _PER_STRATEGY),),
                  "Executions reported by the broker."),
        ),
    ),
    (
        "Data",
        (
            Chart("Age of the newest row", "timeseries", "s", ((here(m.DATA_AGE), "{{strategy}} {{source}}"),),
                  "By source.", 12),
            Chart("Rows", "timeseries", "none", ((here(m.DATA_ROWS), "{{strategy}} {{source}}"),), "By source.", 12),
        ),
    ),
    (
        "Cache",
        (
            Chart("Blocks a second", "timeseries", "none",
                  ((rate(here(m.BLOCKS)), "computed"), (rate(here(m.CACHE_HITS)), "found in the cache")),
                  "What had to be computed, and what had not."),
            Chart("Found in the cache", "timeseries", "percentunit",
                  ((f"{rate(here(m.CACHE_HITS))} / ({rate(here(m.CACHE_HITS))} + {rate(here(m.CACHE_MISSES))})",
                    "{{instance}}"),), "Share of blocks that were asked for."),
            Chart("Size", "timeseries", "bytes", ((here(m.CACHE_BYTES), "{{instance}}"),), "On disk."),
        ),
    ),
    (
        "Process",
        (
            Chart("Memory", "timeseries", "bytes", ((here(m.MEMORY), "{{instance}}"),), "Controller and workers."),
            Chart("Processor", "timeseries", "percentunit", ((here(m.CPU), "{{instance}}"),),
                  "Of what controller and workers may use."),
            Chart("Loop lag", "timeseries", "s",
                  ((quantile(0.99, m.LOOP_LAG, "instance"), "{{instance}} 99 %"),), "How late the loop comes."),
            Chart("Calls: time to answer", "timeseries", "s",
                  ((quantile(0.99, m.RPC_SECONDS, "verb"), "{{verb}} 99 %"),), "By verb."),
            Chart("Calls refused", "bars", "none",
                  ((f"sum by (status) ({grown(here(m.RPC_REFUSED))})", "{{status}}"),),
                  "Before they reached a verb: wrong tokens, foreign origins, too much."),
            Chart("Checks of health", "timeseries", "none", ((here(m.CHECK), "{{check}}"),), "1: it passes."),
            Chart("Open alerts", "timeseries", "none",
                  ((f"sum by (severity) ({here(m.ALERTS_OPEN)})", "{{severity}}"),), "See `sigc alerts list`."),
            Chart("Alerts undelivered", "timeseries", "none", ((here(m.ALERTS_UNDELIVERED), "{{channel}}"),),
                  "What a channel has yet to take: see `sigc alerts status`."),
            Chart("Alerts sent", "bars", "none",
                  ((f"sum by (channel) ({grown(here(m.ALERTS_SENT))})", "{{channel}}"),),
                  "Messages that a channel took."),
            Chart("Label sets refused", "bars", "none",
                  ((f"sum by (metric) ({grown(here(m.REFUSED))})", "{{metric}}"),),
                  "A metric has no room for more strategies, jobs or sources."),
            Chart("Version", "stat", "none", ((here(m.INFO), "{{name}} {{version}}, {{broker}}"),),
                  "Name, version and broker."),
        ),
    ),
    (
        "Workers",
        (
            Chart("Workers", "timeseries", "none", ((here(m.WORKERS), "{{instance}}"),), "Those that answer."),
            Chart("Memory of a worker", "timeseries", "bytes", ((here(m.WORKER_MEMORY), "{{worker}}"),), "Resident."),
            Chart("Dask: tasks by state", "timeseries", "none",
                  ((f"sum by (state) (dask_scheduler_tasks{_DASK})", "{{state}}"),), "From the scheduler itself."),
        ),
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports and provisions it."""
    return {
        "uid": UID,
        "title": "sigc",
        "description": "The sigc daemon: runs, schedule, trading, data, cache, process, workers.",
        "tags": ["sigc"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": [_restarts()]},
        "panels": list(_panels()),
        "links": [],
    }


def text() -> str:
    """Return the dashboard as JSON text; the same bytes each time."""
    return json.dumps(dashboard(), indent=1, sort_keys=True) + "\n"


def expressions() -> tuple[str, ...]:
    """Return every expression in the dashboard."""
    return tuple(expression for _, panels in ROWS for panel in panels for expression, _ in panel.lines)


def metrics_table() -> str:
    """Return every metric as a table of Markdown, for docs/monitoring.md."""
    rows = [f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.help} |" for one in m.METRICS]
    return "\n".join(["| metric | kind | labels | what |", "|---|---|---|---|", *rows]) + "\n"


def _variables() -> list[dict[str, Any]]:
    strategies = f'label_values({{__name__=~"{m.RUNS.name}|{m.NAV.name}", instance=~"$instance"}}, strategy)'
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}},
        _variable("instance", "Daemon", f"label_values({m.INFO.name}, instance)"),
        _variable("strategy", "Strategy", strategies),
        _variable("daemon", "Dask of", f"label_values({m.INFO.name}{_HERE}, name)") | {"hide": 2},
    ]


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _restarts() -> dict[str, Any]:
    return {
        "name": "Restarts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "orange",
        "expr": f"resets({here(m.UPTIME)}[2m]) > 0",
        "titleFormat": "restarted",
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for title, panels in ROWS:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1},
        }
        y += 1
        x, height = 0, max(_height(panel) for panel in panels)
        for panel in panels:
            number += 1
            if x + panel.width > _WIDTH:
                x, y = 0, y + height
            yield _panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": height})
            x += panel.width
        y += height


def _height(panel: Chart) -> int:
    return 4 if panel.kind == "stat" else 7


def _panel(panel: Chart, number: int, place: Mapping[str, int]) -> dict[str, Any]:
    is_stat = panel.kind == "stat"
    return {
        "id": number,
        "type": "stat" if is_stat else "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": dict(place),
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend or "__auto",
                "instant": is_stat,
                "range": not is_stat,
            }
            for place, (expression, legend) in enumerate(panel.lines)
        ],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _stat_options(panel) if is_stat else _line_options(),
    }


def _field(panel: Chart) -> dict[str, Any]:
    steps = panel.steps or (("green", None),)
    mappings = [
        {"type": "value", "options": {value: {"text": word, "index": index}}}
        for index, (value, word) in enumerate(panel.names)
    ]
    drawn = {"drawStyle": "bars", "fillOpacity": 60, "lineWidth": 0} if panel.kind == "bars" else {"lineWidth": 1}
    return {
        "unit": panel.unit,
        "mappings": mappings,
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": [{"color": colour, "value": at} for colour, at in steps]},
        "custom": {} if panel.kind == "stat" else {**drawn, "showPoints": "never", "spanNulls": True},
    }


def _stat_options(panel: Chart) -> dict[str, Any]:
    is_named = panel.title == "Version"
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "name" if is_named else "auto",
        "colorMode": "none" if is_named else "value",
        "graphMode": "none",
        "justifyMode": "auto",
    }


def _line_options() -> dict[str, Any]:
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
