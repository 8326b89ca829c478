"""The declaration of every metric: name, kind, labels, help text; and the registry that holds the values.

    metrics = DaemonMetrics()
    metrics.add(TRADES, strategy="momentum")
    metrics.observe(COMPUTATION_SECONDS, 1.7, strategy="momentum")
    metrics.render()                       # Prometheus text
    metrics.reach(TRADES, 17, strategy="momentum")       # a total counted elsewhere
    metrics.forget("momentum")             # drop the series of a strategy that is gone

A new metric is one declaration here. Labels are bounded: a value is cut, and a metric with `most` label sets refuses
new ones (counted in sigc_metrics_refused_total), so that no user text can fill the memory of the scraper.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import prometheus_client as prometheus

CONTENT_TYPE = prometheus.CONTENT_TYPE_PLAIN_0_0_4
Series = prometheus.Counter | prometheus.Gauge | prometheus.Histogram
_LONGEST_LABEL = 128
prometheus.disable_created_metrics()  # else each counter has a second series that nobody uses


class MetricKind(StrEnum):
    """The kind of a metric: a counter only grows, a gauge is a current value, a histogram counts values by size."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its Prometheus name, with unit; bounds of a histogram's buckets; the most label sets."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    most: int = 500


_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_QUICK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
_C, _G, _H = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM
_BY_STRATEGY = ("strategy",)
_BY_SOURCE = ("strategy", "source")

# The process.
UPTIME = Metric("sigc_daemon_uptime_seconds", _G, "Seconds since the daemon started.")
MEMORY = Metric("sigc_daemon_memory_bytes", _G, "Resident memory of the controller and its workers.")
INFO = Metric(
    "sigc_daemon_info",
    _G,
    "1; name, version and broker (such as paper, alpaca live) as labels.",
    ("name", "version", "broker"),
)
READY = Metric("sigc_daemon_ready", _G, "1 when the daemon is ready, else 0.")
CPU = Metric("sigc_daemon_cpu_ratio", _G, "Processor time of controller and workers over what they may use.")
LOOP_LAG = Metric("sigc_loop_lag_seconds", _H, "Delay of the daemon's event loop.", (), _QUICK_SECONDS)
CHECK = Metric("sigc_health_check_ok", _G, "1 when a health check passes, else 0.", ("check",), most=50)
RPC_SECONDS = Metric("sigc_rpc_duration_seconds", _H, "Time to answer a call.", ("verb",), _QUICK_SECONDS, 100)
RPC_REFUSED = Metric("sigc_rpc_refused_total", _C, "Calls refused before they reached a verb.", ("status",), most=50)
# Computing.
COMPUTATION_SECONDS = Metric(
    "sigc_computation_duration_seconds", _H, "Time to compute a strategy's signals.", _BY_STRATEGY, _SECONDS
)
COMPUTATIONS = Metric("sigc_computation_total", _C, "Computations of signals that were begun.", _BY_STRATEGY)
COMPUTATION_ERRORS = Metric("sigc_computation_errors_total", _C, "Computations of signals that failed.", _BY_STRATEGY)
RUN_SECONDS = Metric("sigc_run_duration_seconds", _H, "Time of a whole run.", _BY_STRATEGY, _SECONDS)
STAGE_SECONDS = Metric(
    "sigc_stage_duration_seconds", _H, "Time of one stage of a run.", ("strategy", "stage"), _SECONDS
)
RUNS = Metric("sigc_run_total", _C, "Runs by outcome.", ("strategy", "outcome"))
RUNS_ACTIVE = Metric("sigc_run_active_count", _G, "Runs under way.")
BLOCKS = Metric("sigc_blocks_computed_total", _C, "Blocks computed.")
CACHE_HITS = Metric("sigc_cache_hits_total", _C, "Blocks found in the cache.")
CACHE_MISSES = Metric("sigc_cache_misses_total", _C, "Blocks that were not in the cache.")
CACHE_BYTES = Metric("sigc_cache_bytes", _G, "Size of the cache on disk.")
WORKERS = Metric("sigc_workers_count", _G, "Workers of the cluster that answer.")
WORKER_MEMORY = Metric("sigc_worker_memory_bytes", _G, "Resident memory of a worker.", ("worker",))
# Schedule and data.
LAST_FIRE = Metric("sigc_schedule_last_fire_timestamp_seconds", _G, "Time of a job's last start.", ("job",))
NEXT_FIRE = Metric("sigc_schedule_next_fire_timestamp_seconds", _G, "Time of a job's next fire.", ("job",))
MISSES = Metric("sigc_schedule_missed_total", _C, "Fires of a job that did not run.", ("job",))
DATA_AGE = Metric("sigc_data_age_seconds", _G, "Age of the newest row of a data source.", _BY_SOURCE)
DATA_ROWS = Metric("sigc_data_rows", _G, "Rows of a data source.", _BY_SOURCE)
# Trading.
POSITIONS = Metric("sigc_positions_count", _G, "Positions held.", _BY_STRATEGY)
TRADES = Metric("sigc_trades_total", _C, "Fills of orders.", _BY_STRATEGY)
ORDERS = Metric("sigc_orders_total", _C, "Orders by final status.", ("strategy", "status"))
NAV = Metric("sigc_nav_dollars", _G, "Net asset value.", _BY_STRATEGY)
DAILY_RETURN = Metric("sigc_daily_return_ratio", _G, "Return since the last session's close.", _BY_STRATEGY)
DRAWDOWN = Metric("sigc_drawdown_ratio", _G, "Loss from the highest net asset value, positive.", _BY_STRATEGY)
GROSS = Metric("sigc_gross_exposure_ratio", _G, "Sum of absolute weights.", _BY_STRATEGY)
NET = Metric("sigc_net_exposure_ratio", _G, "Sum of weights.", _BY_STRATEGY)
TURNOVER = Metric("sigc_turnover_ratio", _G, "Sum of absolute changes of weight at the last rebalance.", _BY_STRATEGY)
BREAKER_VALUE = Metric(
    "sigc_breaker_value",
    _G,
    "Value of a circuit breaker at the newest close: a fraction, or sessions of a streak; NaN where there is none.",
    ("strategy", "breaker"),
)
BREAKER_TRIPPED = Metric(
    "sigc_breaker_tripped", _G, "1 while a circuit breaker is tripped, else 0.", ("strategy", "breaker")
)
ALERTS = Metric("sigc_alerts_total", _C, "Events that an operator must know of.", ("event", "severity"), most=50)
ALERTS_OPEN = Metric("sigc_alerts_open", _G, "Alerts that are not resolved.", ("severity",), most=5)
ALERTS_UNDELIVERED = Metric("sigc_alerts_undelivered", _G, "Alerts not delivered to a channel yet.", ("channel",))
ALERTS_SENT = Metric("sigc_alerts_sent_total", _C, "Messages that a channel took.", ("channel",))
# Of this module.
REFUSED = Metric("sigc_metrics_refused_total", _C, "Label sets refused because a metric was full.", ("metric",))

METRICS: tuple[Metric, ...] = tuple(value for value in dict(globals()).values() if isinstance(value, Metric))


class DaemonMetrics:
    """The metrics of one daemon. Safe to use from several threads."""

    def __init__(self) -> None:
        self._registry = prometheus.CollectorRegistry()
        self._lock = threading.Lock()
        self._sets: dict[str, set[tuple[str, ...]]] = {metric.name: set() for metric in METRICS}
        self._reached: dict[tuple[str, tuple[str, ...]], float] = {}
        self._series = {metric.name: _series(metric, self._registry) for metric in METRICS}

    def add(self, metric: Metric, amount: float = 1.0, /, **labels: str) -> None:
        """Add to a counter. Raise ValueError for a negative amount, wrong labels or a metric of another kind."""
        with self._lock:
            series = self._one(metric, MetricKind.COUNTER, labels)
            if isinstance(series, prometheus.Counter):
                series.inc(amount)

    def begin_at(self, metric: Metric, total: float, /, **labels: str) -> None:
        """Begin a counter at 0 although the total counted elsewhere is `total` already: it grows by the difference."""
        self.add(metric, 0.0, **labels)
        with self._lock:
            self._reached[metric.name, _values(metric, labels)] = total

    def reach(self, metric: Metric, total: float, /, **labels: str) -> None:
        """Raise a counter to a total counted elsewhere. Raise ValueError as `add` does."""
        key = metric.name, _values(metric, labels)
        with self._lock:
            # A total that restarts elsewhere must not make the counter fall.
            grown = max(0.0, total - self._reached.get(key, 0.0))
            self._reached[key] = self._reached.get(key, 0.0) + grown
        self.add(metric, grown, **labels)

    def follow(self, metric: Metric, read: Callable[[], float], /, **labels: str) -> None:
        """Set the function that a gauge calls when it is scraped. Raise ValueError for wrong labels or kind."""
        with self._lock:
            series = self._one(metric, MetricKind.GAUGE, labels)
            if isinstance(series, prometheus.Gauge):
                series.set_function(read)

    def put(self, metric: Metric, value: float, /, **labels: str) -> None:
        """Set a gauge. Raise ValueError for wrong labels or a metric of another kind."""
        with self._lock:
            series = self._one(metric, MetricKind.GAUGE, labels)
            if isinstance(series, prometheus.Gauge):
                series.set(value)

    def observe(self, metric: Metric, value: float, /, **labels: str) -> None:
        """Add a value to a histogram. Raise ValueError for wrong labels or a metric of another kind."""
        with self._lock:
            series = self._one(metric, MetricKind.HISTOGRAM, labels)
            if isinstance(series, prometheus.Histogram) and math.isfinite(value):  # NaN would make the sum NaN for ever
                series.observe(value)

    def forget(self, strategy: str) -> None:
        """Drop every series of a strategy that is gone."""
        self.leave("strategy", strategy)

    def leave(self, label: str, value: str) -> None:
        """Drop every series whose `label` is `value`: of a worker, job or source that is gone."""
        with self._lock:
            for metric in METRICS:
                if label not in metric.labels:
                    continue
                known, at = self._sets[metric.name], metric.labels.index(label)
                for values in [v for v in known if v[at] == value[:_LONGEST_LABEL]]:
                    known.remove(values)
                    self._series[metric.name].remove(*values)

    def value(self, metric: Metric, /, **labels: str) -> float | None:
        """Return the value of a gauge, None if it was never set for these labels."""
        known = not metric.labels or _values(metric, labels) in self._sets[metric.name]
        return self._registry.get_sample_value(metric.name, labels) if known else None

    def values(self, metric: Metric) -> dict[tuple[str, ...], float]:
        """Return the values of a gauge, by labels in the order of their declaration."""
        with self._lock:
            known = sorted(self._sets[metric.name])
        labelled = ((values, dict(zip(metric.labels, values, strict=True))) for values in known)
        found = ((values, self._registry.get_sample_value(metric.name, labels)) for values, labels in labelled)
        return {values: value for values, value in found if value is not None}

    def total(self, metric: Metric) -> float:
        """Return a counter's sum over all labels."""
        found = (sample for family in self._series[metric.name].collect() for sample in family.samples)
        return sum(sample.value for sample in found if sample.name == metric.name)

    def keep_only(self, metric: Metric, label: str, there: Collection[str], /, **others: str) -> None:
        """Drop every series of a metric with these other labels whose `label` is not in `there`."""
        cut = {value[:_LONGEST_LABEL] for value in there}
        with self._lock:
            for values in list(self._sets[metric.name]):
                found = dict(zip(metric.labels, values, strict=True))
                if found[label] not in cut and all(found[k] == v[:_LONGEST_LABEL] for k, v in others.items()):
                    self._sets[metric.name].remove(values)
                    self._series[metric.name].remove(*values)

    def render(self) -> bytes:
        """Return all metrics as Prometheus' text (`CONTENT_TYPE`)."""
        return prometheus.generate_latest(self._registry)

    def _one(self, metric: Metric, kind: MetricKind, labels: Mapping[str, str]) -> Series | None:
        """Return the series of these labels, None if the metric is full. Raise ValueError for wrong labels or kind."""
        if metric.kind is not kind or set(labels) != set(metric.labels):
            raise ValueError(f"{metric.name} is a {metric.kind} with labels {metric.labels}, not {sorted(labels)}")
        series = self._series[metric.name]
        if not metric.labels:
            return series
        values, known = _values(metric, labels), self._sets[metric.name]
        if values not in known:
            if len(known) >= metric.most:
                # Never full itself: it has one label set for each metric.
                refused = self._one(REFUSED, MetricKind.COUNTER, {"metric": metric.name})
                if isinstance(refused, prometheus.Counter):
                    refused.inc()
                return None
            known.add(values)
        return series.labels(*values)


def _values(metric: Metric, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(str(labels.get(name, ""))[:_LONGEST_LABEL] for name in metric.labels)


def _series(metric: Metric, registry: prometheus.CollectorRegistry) -> Series:
    match metric.kind:
        case MetricKind.COUNTER:
            return prometheus.Counter(metric.name, metric.help, metric.labels, registry=registry)
        case MetricKind.GAUGE:
            return prometheus.Gauge(metric.name, metric.help, metric.labels, registry=registry)
        case MetricKind.HISTOGRAM:
            return prometheus.Histogram(
                metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets
            )
