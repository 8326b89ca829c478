"""Metrics as a scraper reads them: names, labels, bounds, and what leaves."""

from __future__ import annotations

import re
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sigc import metrics as declared
from sigc.metrics import METRICS, DaemonMetrics, Metric, MetricKind

_DOCUMENTED = {
    "sigc_daemon_uptime_seconds": (),
    "sigc_daemon_memory_bytes": (),
    "sigc_computation_duration_seconds": ("strategy",),
    "sigc_computation_total": ("strategy",),
    "sigc_computation_errors_total": ("strategy",),
    "sigc_positions_count": ("strategy",),
    "sigc_trades_total": ("strategy",),
}


def samples(metrics: DaemonMetrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by name and label values, as a scraper parses them."""
    text = metrics.render().decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_documented_names_are_there_with_their_labels() -> None:
    by_name = {metric.name: metric for metric in METRICS}
    assert {name: by_name[name].labels for name in _DOCUMENTED} == _DOCUMENTED


def test_every_metric_is_declared_well() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"sigc_[a-z_]+", metric.name)
        assert metric.help.endswith(".")
        assert (metric.kind is MetricKind.COUNTER) == metric.name.endswith("_total")
        assert bool(metric.buckets) == (metric.kind is MetricKind.HISTOGRAM)
        assert list(metric.buckets) == sorted(metric.buckets)


def test_every_metric_is_rendered_under_its_own_name() -> None:
    metrics = DaemonMetrics()
    for metric in METRICS:
        labels = {name: f"{name}-1" for name in metric.labels}
        match metric.kind:
            case MetricKind.COUNTER:
                metrics.add(metric, 2.0, **labels)
            case MetricKind.GAUGE:
                metrics.put(metric, 2.0, **labels)
            case MetricKind.HISTOGRAM:
                metrics.observe(metric, 2.0, **labels)
    found = samples(metrics)
    for metric in METRICS:
        values = tuple(f"{name}-1" for name in sorted(metric.labels))
        name = f"{metric.name}_sum" if metric.kind is MetricKind.HISTOGRAM else metric.name
        assert found[name, values] == 2.0
    types = dict(re.findall(r"# TYPE (\S+) (\S+)", metrics.render().decode()))
    assert types == {metric.name: str(metric.kind) for metric in METRICS}


def test_counters_of_the_whole_daemon_start_at_zero() -> None:
    assert samples(DaemonMetrics())["sigc_cache_hits_total", ()] == 0.0


def test_a_gone_strategy_and_a_gone_worker_leave() -> None:
    metrics = DaemonMetrics()
    for name in ("momentum", "value"):
        metrics.add(declared.TRADES, strategy=name)
        metrics.observe(declared.STAGE_SECONDS, 1.0, strategy=name, stage="load")
        metrics.put(declared.WORKER_MEMORY, 5.0, worker=name)
    metrics.forget("momentum")
    metrics.leave("worker", "value")
    metrics.forget("never seen")
    found = {key for key in samples(metrics) if key[1]}
    assert ("sigc_trades_total", ("value",)) in found
    assert ("sigc_worker_memory_bytes", ("momentum",)) in found
    assert not {key for key in found if key[1][0] == "momentum" and not key[0].startswith("sigc_worker")}
    metrics.add(declared.TRADES, strategy="momentum")
    assert samples(metrics)["sigc_trades_total", ("momentum",)] == 1.0


def test_a_count_that_somebody_else_keeps_is_reached_and_never_counted_twice() -> None:
    metrics = DaemonMetrics()
    metrics.begin_at(declared.TRADES, 100, strategy="old")
    for total in (100, 103, 103, 101, 104):
        metrics.reach(declared.TRADES, total, strategy="old")
    metrics.reach(declared.TRADES, 7, strategy="new")
    assert samples(metrics)["sigc_trades_total", ("old",)] == 4.0
    assert samples(metrics)["sigc_trades_total", ("new",)] == 7.0
    metrics.forget("old")
    metrics.reach(declared.TRADES, 105, strategy="old")
    assert samples(metrics)["sigc_trades_total", ("old",)] == 1.0


def test_a_gauge_may_be_read_when_it_is_scraped_and_leaves_with_its_source() -> None:
    metrics, age = DaemonMetrics(), [1.0]
    for strategy, source in (("a", "prices"), ("a", "volume"), ("b", "volume")):
        metrics.follow(declared.DATA_AGE, lambda: age[0], strategy=strategy, source=source)
    age[0] = 2.0
    assert samples(metrics)["sigc_data_age_seconds", ("prices", "a")] == 2.0
    metrics.keep_only(declared.DATA_AGE, "source", {"prices"}, strategy="a")
    found = {key[1] for key in samples(metrics) if key[0] == "sigc_data_age_seconds"}
    assert found == {("prices", "a"), ("volume", "b")}


def test_labels_are_bounded() -> None:
    metrics = DaemonMetrics()
    for number in range(declared.ALERTS.most + 5):
        metrics.add(declared.ALERTS, event=f"made up {number}" + "x" * 1000, severity="warning")
    found = samples(metrics)
    kept = [key for key in found if key[0] == "sigc_alerts_total"]
    assert len(kept) == declared.ALERTS.most
    assert all(len(key[1][0]) == 128 for key in kept)
    assert found["sigc_metrics_refused_total", ("sigc_alerts_total",)] == 5.0
    metrics.add(declared.ALERTS, event="made up 0" + "x" * 1000, severity="warning")  # a known one still counts
    metrics.leave("event", "made up 0" + "x" * 1000)
    metrics.add(declared.ALERTS, event="page", severity="warning")
    assert samples(metrics)["sigc_alerts_total", ("page", "warning")] == 1.0


def test_label_values_are_written_so_that_they_read_back() -> None:
    metrics = DaemonMetrics()
    evil = 'a"} 1\nsigc_trades_total{strategy="b\\'
    metrics.add(declared.TRADES, strategy=evil)
    assert samples(metrics)["sigc_trades_total", (evil,)] == 1.0
    assert ("sigc_trades_total", ("b\\",)) not in samples(metrics)


def test_mistakes_are_refused() -> None:
    metrics = DaemonMetrics()
    with pytest.raises(ValueError, match="is a counter"):
        metrics.put(declared.TRADES, 1.0, strategy="a")
    with pytest.raises(ValueError, match="labels"):
        metrics.add(declared.TRADES)
    with pytest.raises(ValueError, match="labels"):
        metrics.add(declared.TRADES, strategy="a", more="b")
    with pytest.raises(ValueError, match="non-negative"):
        metrics.add(declared.TRADES, -1.0, strategy="a")
    metrics.observe(declared.LOOP_LAG, float("nan"))
    assert samples(metrics)["sigc_loop_lag_seconds_count", ()] == 0.0


def test_threads_lose_no_count_while_others_forget() -> None:
    metrics = DaemonMetrics()

    def count() -> None:
        for _ in range(500):
            metrics.add(declared.TRADES, strategy="kept")
            metrics.add(declared.RUNS, strategy="going", outcome="done")
            metrics.forget("going")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = samples(metrics)
    assert found["sigc_trades_total", ("kept",)] == 2000.0
    assert ("sigc_run_total", ("done", "going")) not in found


def test_two_daemons_in_one_process_share_nothing() -> None:
    one, two = DaemonMetrics(), DaemonMetrics()
    one.add(declared.BLOCKS, 3)
    assert samples(two)["sigc_blocks_computed_total", ()] == 0.0


def test_a_metric_is_a_value() -> None:
    assert Metric("sigc_x", MetricKind.GAUGE, "X.") == Metric("sigc_x", MetricKind.GAUGE, "X.")
