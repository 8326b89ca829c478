"""Nights on which the machine, its disks, its workers or its exchange calendar fail."""

from __future__ import annotations

import shutil
import signal

from sigc.store.ledger.connection import FILE
from tests.daemon.test_tls import certificate
from tests.nights.night import Night
from tests.nights.nights import goes_through, way

_SMALL_MB = 8


def fills_at_nine(night: Night, examined_every_s: float = 600.0) -> None:
    """The disk of the work dir is full to the last byte a second before the job fires."""
    night.site.settings["daemon"]["health"]["interval_seconds"] = examined_every_s
    night.small_disk("work", _SMALL_MB)
    night.begin()
    night.fill("work")
    night.nine()
    night.until_told("ledger_damaged")


@way("ledger_damaged", "daemon", "1 problem ledger")
def the_disk_is_full(night: Night) -> None:
    """Nothing can be written down, so nothing is traded: told past the outbox, which is on that disk."""
    fills_at_nine(night, 0.5)
    night.nine(150.0)


@way("ledger_damaged did_not_run", "daemon", "never run")
def the_disk_is_full_past_the_deadline(night: Night) -> None:
    """It is cleared after the job's time: why says what held it up."""
    fills_at_nine(night)
    night.nine(3700.0)
    night.clear("work")


@way("ledger_damaged", "fills", "waiting")
def the_disk_is_full_and_cleared_in_time(night: Night) -> None:
    """The job runs, and the end of the trouble is told."""
    fills_at_nine(night)
    night.clear("work")
    night.until_over()
    night.until_resolved("ledger_damaged")


@way("ledger_damaged run_interrupted", "data", "interrupted")
def the_disk_fills_up_in_a_run(night: Night) -> None:
    """Its end can't be written down: it has its verdict when there is room again, and the job is free for its next fire."""
    night.small_disk("work", _SMALL_MB)
    night.begin()
    with night.broker_locked():
        night.nine()
        night.site.until(lambda: night.stage() != "", "it runs, and waits for the broker")
        night.fill("work")
    night.until_told("ledger_damaged")
    night.clear("work")
    night.nine(20 * 60.0)
    night.until_over()
    night.site.until(lambda: night.count("job_states WHERE record LIKE '%running%'") == 0, "the job is free")


@way("run_failed book_not_kept", "daemon", "failed")
def the_files_of_runs_cannot_be_written(night: Night) -> None:
    night.small_disk("work/runs", 1)
    night.fill("work/runs")
    goes_through(night)


@way("run_failed book_not_kept", "daemon", "failed")
def the_disk_of_the_cache_is_full(night: Night) -> None:
    night.site.settings["daemon"]["cache"]["directory"] = str(night.small_disk("small", 1))
    (night.site.folder / "small" / "jit").symlink_to(night.site.jit / "jit")
    night.fill("small")
    goes_through(night)


@way("start_refused", "daemon", "")
def the_ledger_is_on_a_disk_that_is_read_only(night: Night) -> None:
    disk = night.small_disk("work", _SMALL_MB)
    night.begin()
    assert night.site.sigc("stop").returncode == 0
    night.die()
    assert (disk / FILE).exists()
    night.remount_read_only("work")
    night.cannot_start()


@way("", "fills", "waiting")
def a_worker_is_lost(night: Night) -> None:
    """One of two, killed while the run computes: what it had is computed again."""
    with night.workers(2) as workers:
        night.begin()
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
        night.nine()
        night.site.until(lambda: night.stage() == "compute", "it computes")
        workers[0].kill()
        workers[1].send_signal(signal.SIGCONT)
        night.until_over()


@way("run_failed health_degraded", "compute", "1 problem cluster")
def all_workers_are_lost(night: Night) -> None:
    """Both, and none comes back."""
    night.site.settings["daemon"]["health"]["interval_seconds"] = 0.5
    with night.workers(2) as workers:
        night.begin()
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
        night.nine()
        night.site.until(lambda: night.stage() == "compute", "it computes")
        for worker in workers:
            worker.kill()
        night.until_over()
        night.until_told("health_degraded")


def without_calendars(night: Night) -> None:
    """exchange_calendars is gone from the machine (an upgrade that broke), and so is the file of its sessions."""
    for path in (night.site.folder / "work").glob("calendars/*"):
        path.unlink()
    shadow = night.site.folder / "shadow" / "exchange_calendars"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ImportError('No module named exchange_calendars')\n")


@way("", "fills", "waiting")
def the_holiday_file_is_gone(night: Night) -> None:
    """It is computed anew."""
    night.site.settings["schedule"]["calendar"] = "nyse"
    night.begin()
    shutil.rmtree(night.site.folder / "work" / "calendars")
    night.nine()
    night.until_over()


@way("run_failed book_not_kept", "calendar", "failed")
def the_holiday_file_is_gone_and_cannot_be_made(night: Night) -> None:
    night.site.settings["schedule"]["calendar"] = "nyse"
    night.begin(None, path="shadow")
    without_calendars(night)
    night.nine()
    night.until_over()


@way("start_refused", "daemon", "")
def the_holiday_file_is_gone_at_a_start(night: Night) -> None:
    night.site.settings["schedule"]["calendar"] = "nyse"
    night.begin()
    assert night.site.sigc("stop").returncode == 0
    night.die()
    without_calendars(night)
    night.cannot_start(PYTHONPATH=night.path_with("shadow"))


@way("runs_out", "fills", "1 problem certificate")
def the_certificate_ends_soon(night: Night) -> None:
    """That of the page, in nine days by the daemon's clock: told before anything fails."""
    cert, key = certificate(night.site.folder, days=9, now=night.at_nine())
    night.site.settings["daemon"]["health"]["interval_seconds"] = 0.5
    night.site.settings["daemon"]["dashboard"] = {
        "enabled": True,
        "port": 0,
        "tls": {"cert": str(cert), "key": str(key)},
    }
    goes_through(night)
