"""Ways in which a night goes wrong, each with what the operator is told: alerts, the link of `sigc why`, the page."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from sigc.config.settings import PaperSettings
from sigc_pipelines.brokers.paper import PaperBroker
from tests.daemon.hand_daemon import FileClock
from tests.nights.night import FIRST, SECOND, Night
from tests.trading.floor import TEXT

Values = np.ndarray[Any, Any]
Act = Callable[[Night], object]


@dataclass(frozen=True)
class Way:
    """One of them. alerts: rules that are told; why: the link that stopped it; page: words of the overview."""

    name: str
    act: Act
    alerts: frozenset[str]
    why: str
    page: str
    day: str = FIRST


WAYS: dict[str, Way] = {}


def way(alerts: str, why: str, page: str, day: str = FIRST) -> Callable[[Act], Act]:
    """Declare one: rules of alerts, the link, what the page shows."""

    def declared(act: Act) -> Act:
        name = act.__name__
        WAYS[name] = Way(name, act, frozenset(alerts.split()), why, page, day)
        return act

    return declared


def goes_through(night: Night) -> None:
    night.begin()
    night.nine()
    night.until_over()


# Data.


@way("data_late", "data", "refused")
def data_are_stale(night: Night) -> None:
    """The file ends a week before."""
    night.prices(lambda _values, _row: None, until="2017-02-21")
    goes_through(night)


@way("data_late did_not_run health_degraded", "data", "never run")
def data_are_late_and_waited_for(night: Night) -> None:
    """The job waits for fresh data, in vain."""
    night.prices(lambda _values, _row: None, until="2017-02-27")
    night.job["conditions"] = ["data_fresh"]
    night.begin()
    night.nine()
    night.site.until(lambda: night.count("job_states WHERE record LIKE '%aiting%'") > 0, "it waits")
    night.nine(20 * 60.0)
    night.until_told("data_late")
    night.nine(2 * 3600.0)
    night.until_told("did_not_run")
    texts = {said["rule"]: said["text"] for said in night.told.taken}
    awaits = "has waited for fresh data for 20 min: the newest row of 'prices' is of 2017-02-27, the row of 2017-02-28"
    assert awaits in texts["data_late"], texts
    assert (
        "the deadline passed (it was 2017-03-01 10:00:00 EST; it waited for fresh data in vain)" in texts["did_not_run"]
    ), texts
    for rule in ("data_late", "did_not_run"):
        assert "sigc why momentum 2017-03-01" in texts[rule], texts


@way("run_failed book_not_kept", "data", "failed")
def a_file_is_half_written(night: Night) -> None:
    path = night.site.folder / "prices.parquet"
    path.write_bytes(path.read_bytes()[:5000])
    goes_through(night)


@way("run_failed book_not_kept", "data", "failed")
def a_file_is_gone(night: Night) -> None:
    (night.site.folder / "volume.parquet").unlink()
    goes_through(night)


@way("data_late", "data", "refused")
def the_last_row_is_empty(night: Night) -> None:
    def empty(values: Values, row: int) -> None:
        values[row:] = np.nan

    night.prices(empty)
    goes_through(night)


@way("data_late", "data", "refused")
def a_third_of_the_universe_is_gone(night: Night) -> None:
    def drop(values: Values, row: int) -> None:
        values[row, :5] = np.nan

    night.safety(max_missing_pct=0.2)
    night.prices(drop)
    goes_through(night)


@way("", "fills", "waiting")
def a_price_is_a_thousandfold(night: Night) -> None:
    """That asset is held; the others are traded."""

    def odd(values: Values, row: int) -> None:
        values[row, 0] *= 1000.0

    night.prices(odd)
    goes_through(night)


@way("run_refused", "check", "refused")
def no_weight_is_defined(night: Night) -> None:
    night.site.folder.joinpath("momentum.sig").write_text(
        TEXT.replace("emit zscore", "emit ((prices - prices) / (prices - prices)) * zscore")
    )
    goes_through(night)


@way("did_not_run", "data", "running")
def a_read_hangs(night: Night) -> None:
    """A pipe in the place of a file: nobody writes into it."""
    path = night.site.folder / "volume.parquet"
    path.unlink()
    os.mkfifo(path)
    night.job["deadline_s"] = 5
    night.begin()
    night.nine()
    night.site.until(lambda: night.stage() == "load", "it reads")
    night.nine(10.0)
    night.until_told("did_not_run")


# Strategy and configuration.


@way("health_degraded", "fills", "waiting")
def the_strategy_was_edited_and_is_wrong(night: Night) -> None:
    """What was loaded is traded."""
    night.site.settings["daemon"]["health"]["interval_seconds"] = 0.5
    night.begin()
    night.site.folder.joinpath("momentum.sig").write_text(TEXT.replace("zscore", "zcsore"))
    night.until_told("health_degraded")
    night.nine()
    night.until_over()
    (said,) = (said for said in night.told.taken if said["rule"] == "health_degraded")
    assert "strategy_files: strategy 'momentum': momentum.sig was edited at " in said["text"]
    assert "and can't be loaded: E002: " in said["text"]


@way("start_refused", "daemon", "")
def the_strategy_is_wrong_at_a_start(night: Night) -> None:
    night.site.folder.joinpath("momentum.sig").write_text(TEXT.replace("zscore", "zcsore"))
    night.site.write()
    night.cannot_start()


@way("run_refused", "check", "refused")
def the_weights_are_too_large(night: Night) -> None:
    text = TEXT.replace("top=0.3, bottom=0.3)", "top=0.3, bottom=0.3) * 9")
    night.site.folder.joinpath("momentum.sig").write_text(text)
    goes_through(night)


@way("", "schedule", "never run")
def the_job_was_switched_off_and_forgotten(night: Night) -> None:
    night.begin()
    assert night.site.sigc("schedule", "disable", "trade", "--reason", "broken").returncode == 0
    night.nine()
    night.site.until(lambda: night.count("misses") > 0, "missed")
    night.nine(3700.0)


@way("", "calendar", "never run", "2017-03-04")
def it_is_a_holiday(night: Night) -> None:
    """A Saturday: nobody is told, and why says so."""
    night.begin(night.at_nine(-1.0, "2017-03-04"))
    night.turn(night.at_nine(7200.0, "2017-03-04"))


@way("run_failed did_not_run", "dependency", "never run")
def the_job_before_it_failed(night: Night) -> None:
    fetch = {"name": "fetch", "kind": "script", "trigger": "0 9 * * 1-5", "command": ["/bin/sh", "-c", "exit 3"]}
    night.job["depends_on"] = ["fetch"]
    night.site.settings["schedule"]["jobs"].insert(0, fetch)
    night.begin()
    night.nine()
    night.site.until(lambda: night.count("misses") > 0, "missed")
    night.until_told("did_not_run")
    (told,) = [said for said in night.told.taken if said["rule"] == "did_not_run"]
    assert "a job it depends on did not finish (fetch failed 2017-03-01 09:00:0" in told["text"], told
    assert " EST: the script ended with code 3 (sigc runs show " in told["text"], told


# Limits and the broker.


@way("traded_nothing", "limits", "nothing_traded")
def every_order_is_denied(night: Night) -> None:
    night.safety(max_order_value=1.0)
    goes_through(night)


@way("traded_part", "limits", "partial")
def some_orders_are_denied(night: Night) -> None:
    night.safety(max_orders_per_run=3)
    goes_through(night)


@way("traded_part", "broker", "partial")
def the_broker_rejects_short_sales(night: Night) -> None:
    night.site.settings["broker"]["paper"]["shorting"] = False
    goes_through(night)


@way("run_failed", "broker", "failed")
def the_broker_does_not_answer(night: Night) -> None:
    night.begin()
    with night.broker_locked():
        night.nine()
        night.until_over()


@way("reconciliation books_differ daemon_recovered", "broker", "failed", SECOND)
def ledger_and_broker_differ(night: Night) -> None:
    night.begin()
    night.nine()
    night.until_over()
    night.die()
    book = night.site.folder / "work" / "paper.sqlite"
    paper = PaperBroker(book, PaperSettings(), FileClock(night.site.folder / "clock"))
    paper.deposit("a gift", Decimal(5))
    paper.close()
    night.begin(night.at_nine(-1.0, SECOND))
    night.turn(night.at_nine(1.0, SECOND))
    night.site.until(lambda: night.count("run_orders") == 2, "it has begun")
    night.until_ended(2, SECOND)


@way("filled_less did_not_run", "fills", "success, filled in part")
def orders_are_filled_in_part_and_expire(night: Night) -> None:
    night.is_not_examined()
    night.site.settings["broker"]["paper"]["max_volume_pct"] = 1e-4
    night.begin()
    night.nine()
    night.until_over()
    night.turn(night.at_nine(10 * 3600.0, SECOND))
    night.until_told("filled_less")
    (told,) = [said for said in night.told.taken if said["rule"] == "filled_less"]
    assert "8 of 8 orders ended before they were filled" in told["title"], told
    assert "orders get at most max_volume_pct 0.0001 of the volume" in told["text"], told


# People.


@way("", "pause", "paused")
def a_pause_was_forgotten(night: Night) -> None:
    """A person's decision: nobody is told, and it is in sight."""
    night.begin()
    assert night.site.sigc("pause", "momentum", "--reason", "lunch").returncode == 0
    night.nine()
    night.site.until(lambda: night.count("misses") > 0, "missed")
    night.nine(3700.0)


@way("halted run_refused", "halt", "refused")
def somebody_halted_everything(night: Night) -> None:
    night.begin()
    with night.site.client() as client:
        client.post("safety/halt", {"reason": "enough"})
    night.nine()
    night.until_over()


@way("", "fills", "waiting")
def the_token_was_changed(night: Night) -> None:
    """Commands are refused; what is scheduled is traded."""
    night.begin()
    path = night.site.folder / "work" / "rpc.token"
    known = path.read_text()
    night.nine()
    night.until_over()
    path.write_text("another-token-that-is-long-enough-0123456789\n")
    refused = night.site.sigc("status")
    night.notes.append(f"exit {refused.returncode}: {refused.stderr.strip()[:120]}")
    path.write_text(known)


@way("", "fills", "waiting")
def a_second_daemon_is_started(night: Night) -> None:
    """It is refused, and the first goes on."""
    night.begin()
    second = night.site.sigc("daemon", "--config", str(night.site.config))
    night.notes.append(f"exit {second.returncode}: {second.stderr.strip()[:120]}")
    assert second.returncode == 12
    night.nine()
    night.until_over()


# The process and its machine.


def killed(night: Night, point: str, number: int) -> None:
    """It dies there, and is started again a minute later."""
    night.begin(None, point, str(number), "kill")
    night.nine()
    assert night.daemon is not None
    night.daemon.process.wait(60)
    night.die()
    night.begin(night.at_nine(60.0))
    night.until_told("daemon_recovered")
    night.site.until(lambda: night.count("run_orders WHERE outcome = 'open'") == 0, "all have a verdict")


@way("daemon_recovered run_interrupted", "data", "interrupted")
def killed_in_load(night: Night) -> None:
    killed(night, "stage:begun", 1)


@way("daemon_recovered run_interrupted", "compute", "interrupted")
def killed_in_compute(night: Night) -> None:
    killed(night, "stage:committed", 1)


@way("daemon_recovered run_interrupted", "decision", "interrupted")
def killed_in_validate(night: Night) -> None:
    killed(night, "intents:written", 1)


@way("daemon_recovered", "fills", "waiting")
def killed_in_execute(night: Night) -> None:
    killed(night, "post:after", 3)


@way("daemon_recovered", "fills", "waiting")
def killed_in_audit(night: Night) -> None:
    killed(night, "run-close:begun", 1)


@way("did_not_run daemon_recovered", "daemon", "never run")
def no_daemon_ran_at_nine(night: Night) -> None:
    """It is started two hours later, and the fire is too old by then."""
    night.job["misfire"] = "skip"
    night.begin(night.at_nine(-60.0))
    night.die()
    night.begin(night.at_nine(7200.0))
    night.site.until(lambda: night.count("misses") > 0, "missed")
    night.until_told("did_not_run", "daemon_recovered")
    texts = {said["rule"]: said["text"] for said in night.told.taken}
    assert "no daemon was running at the time: it was started 2017-03-01 11:00:0" in texts["did_not_run"], texts
    assert "sigc why momentum 2017-03-01" in texts["did_not_run"], texts
    assert "It was last alive at 2017-03-01 08:59:0" in texts["daemon_recovered"], texts
    assert " EST, gone for 2 h.\n" in texts["daemon_recovered"], texts
    assert "No run was open." in texts["daemon_recovered"], texts


@way("", "fills", "waiting")
def the_clock_jumps_forward(night: Night) -> None:
    """By forty days, and back, before nine."""
    night.begin()
    night.turn(night.at_nine(0.0) + timedelta(days=40))
    night.site.until(lambda: night.site.status().uptime_seconds >= 0, "it looked at the clock")
    night.turn(night.at_nine(-1.0))
    night.nine()
    night.until_over()


@way("start_refused", "", "")
def the_ledger_is_damaged(night: Night) -> None:
    """Its first pages are overwritten while no daemon runs: it does not start."""
    night.begin()
    assert night.site.sigc("stop").returncode == 0
    night.die()
    with (night.site.folder / "work" / "ledger.sqlite").open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 81_920)
    started = night.site.sigc("daemon", "--config", str(night.site.config))
    night.notes.append(f"exit {started.returncode}: {started.stderr.strip()[:160]}")
    assert started.returncode != 0
