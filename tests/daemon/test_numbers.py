"""The metrics of a real daemon after real runs: none is declared for show, and each equals what is known otherwise."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sigc.cache.upkeep import size
from sigc.metrics import METRICS
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.connection import FILE, connect_reader
from tests.daemon.daemons import DAYS, Site
from tests.daemon.hand_daemon import turn
from tests.daemon.test_tending import BOOK, at, close_of, hand_daemon

# Without a sample after a calm life: there are no workers; no metric has refused a label.
_ABSENT = {
    *("sigc_worker_memory_bytes", "sigc_metrics_refused_total"),
    *("sigc_breaker_value", "sigc_breaker_tripped"),  # none is set: tests/daemon/test_breakers.py
}
Samples = dict[str, dict[tuple[str, ...], float]]


def scraped(site: Site) -> Samples:
    """Values by name and labels, those in the order of their names."""
    found: Samples = {}
    for family in text_string_to_metric_families(site.page("metrics", "/metrics")[1].decode()):
        for sample in family.samples:
            labels = tuple(value for key, value in sorted(sample.labels.items()) if key != "le")
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def test_every_metric_has_a_sample_that_is_true(site: Site) -> None:
    """Runs of three days, a job by hand, a refused token: then a scrape, beside the ledger, the files and the cache."""
    site.settings["schedule"]["jobs"] = [site.script("tidy", "/bin/true") | {"trigger": "0 0 2 1 *"}]
    site.settings["daemon"]["health"]["interval_seconds"] = 0.2
    site.settings["daemon"]["max_memory_mb"] = 512  # what runs fine is never refused
    site.settings["alerts"] = {"channels": {"ops": {"type": "webhook", "url": "http://127.0.0.1:9"}}}
    ledger = site.folder / "work" / FILE
    with hand_daemon(site, at(DAYS[0], 12)) as clock:
        for day in DAYS[:3]:
            turn(clock, at(day, 12))
            assert site.run().outcome == "done"
        assert site.run(is_dry=True).outcome == "done"  # finds what the last run has stored
        assert site.sigc("schedule", "run", "tidy").returncode == 0
        now = close_of(DAYS[2]) + timedelta(minutes=2)
        turn(clock, now)

        def is_valued() -> bool:
            with connect_reader(ledger) as connection:
                last = books.last_nav(connection, BOOK)
            return last is not None and last.session == DAYS[2] and scraped(site)["sigc_trades_total"]["momentum",] > 0

        site.until(is_valued, "the last session is valued")
        with connect_reader(ledger) as connection:
            navs = [float(nav.nav) for nav in books.navs(connection, BOOK)]
            last = books.last_nav(connection, BOOK)
            filled = books.fills_of_book(connection, BOOK)
            held = [p for p in books.positions(connection, BOOK) if p.quantity]
            counts = orders.counts(connection, BOOK)
            newest = orders.of_run(connection, runs.last_decided(connection, BOOK.strategy, BOOK.portfolio))
            worth = {nav.session: float(nav.nav) for nav in books.navs(connection, BOOK)}
            as_of = runs.find(connection, runs.last_decided(connection, BOOK.strategy, BOOK.portfolio)).as_of
        assert last is not None
        site.until(lambda: scraped(site)["sigc_nav_dollars"]["momentum",] == navs[-1], "the numbers follow")
        on_disk = size(site.folder / "cache")
        site.until(lambda: scraped(site)["sigc_cache_bytes"][()] == on_disk > 0, "the size of the cache follows")
        found = scraped(site)

    def one(name: str, *labels: str) -> float:
        return found[name][labels or ("momentum",)]

    declared = {metric.name for metric in METRICS}
    with_samples = {name.removesuffix("_sum") for name in found}
    assert declared - with_samples == _ABSENT
    assert one("sigc_trades_total") == len(filled)
    assert one("sigc_positions_count") == len(held)
    ended = {state: count for state, count in counts.items() if state in ("filled", "cancelled", "expired", "rejected")}
    assert {labels[0]: n for labels, n in found["sigc_orders_total"].items() if n} == ended
    assert one("sigc_daily_return_ratio") == pytest.approx(navs[-1] / navs[-2] - 1)
    assert one("sigc_drawdown_ratio") == pytest.approx(1 - navs[-1] / max(navs))
    assert one("sigc_gross_exposure_ratio") == pytest.approx(float(last.gross / last.nav))
    assert one("sigc_net_exposure_ratio") == pytest.approx(float(last.net / last.nav))
    turnover = sum(float(i.quantity) * float(i.reference) for i in newest) / worth[as_of]
    assert one("sigc_turnover_ratio") == pytest.approx(turnover)
    for source in ("prices", "volume"):
        assert found["sigc_data_rows"][source, "momentum"] == rows(site.folder / f"{source}.parquet")
    dates = pq.read_table(site.folder / "prices.parquet").column(0).to_pylist()
    newest_row = max(dates)
    age = (now - at(str(newest_row), 0)).total_seconds()
    assert found["sigc_data_age_seconds"]["prices", "momentum"] == pytest.approx(age, abs=1)
    assert "sectors" not in {labels[0] for labels in found["sigc_data_age_seconds"]}
    assert found["sigc_cache_misses_total"][()] == found["sigc_blocks_computed_total"][()] > 0
    assert found["sigc_cache_hits_total"][()] > 0
    assert found["sigc_alerts_total"]["run.failed", "critical"] == 0
    assert found["sigc_alerts_sent_total"]["ops",] == 0  # nobody is there
    assert {labels[0] for labels in found["sigc_alerts_open"]} == {"critical", "info", "warning"}


def test_what_has_failed_is_an_alert(site: Site) -> None:
    """A failed script is a warning, a trade that failed by a mistake is critical; a source that is gone leaves."""
    site.settings["schedule"]["jobs"] = [site.script("bad", "/bin/false")]
    with hand_daemon(site, at(DAYS[0], 12), "send:begun", "1"):
        assert site.sigc("schedule", "run", "bad").returncode == 0
        assert site.run().outcome == "failed"
        site.until(lambda: scraped(site)["sigc_alerts_total"]["run.failed", "warning"] == 1, "the script's alert")
        found = scraped(site)
        assert found["sigc_alerts_total"]["run.failed", "critical"] == 1
        assert ("volume", "momentum") in found["sigc_data_rows"]
        text = (site.folder / "momentum.sig").read_text()
        (site.folder / "momentum.sig").write_text("\n".join(x for x in text.splitlines() if "volume" not in x) + "\n")
        assert site.sigc("reload").returncode == 0
        assert site.run(is_dry=True).outcome == "done"
        left = scraped(site)
        assert {labels[0] for labels in left["sigc_data_rows"]} == {"prices", "sectors"}
