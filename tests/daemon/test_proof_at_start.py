"""A daemon that starts on a ledger which somebody has changed by other means trades nothing until a person accepts it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.daemon.daemons import DAYS, Daemon, Site


def test_a_changed_ledger_halts_everything_until_a_person_accepts_it(site: Site) -> None:
    with Daemon(site):
        assert site.run("momentum", date=DAYS[0]).outcome == "done"
        assert site.run("momentum", date=DAYS[1]).outcome == "done"
        assert site.sigc("halt", "momentum", "--reason", "odd prices").returncode == 0
    with closing(sqlite3.connect(site.folder / "work" / "ledger.sqlite")) as connection:
        connection.execute("DELETE FROM control")
        connection.execute("UPDATE positions SET quantity = CAST(quantity AS REAL) + 10")
        connection.commit()
    told = site.sigc("audit", "verify", "--work-dir", str(site.folder / "work"))
    assert told.returncode == 8
    assert "halted momentum: set by" in told.stderr
    assert "in momentum/main: " in told.stderr
    with Daemon(site) as daemon:
        stops = site.sigc("safety", "status").stdout
        assert "halted  everything" in stops
        assert "the ledger is not what its audit comes to" in stops
        assert "odd prices (it had vanished from the ledger)" in stops
        ended = site.run("momentum", date=DAYS[2])
        assert ended.outcome == "refused"
        assert "everything is halted" in ended.message
        assert site.sigc("safety", "resume", "--reason", "a gift that I booked by hand").returncode == 0
        assert "halted  everything" not in site.sigc("safety", "status").stdout
        daemon.kill()
    with Daemon(site):  # accepted once is accepted
        assert site.sigc("safety", "status").stdout.count("halted") == 1
        whole = site.sigc("audit", "verify", "--work-dir", str(site.folder / "work"))
        assert whole.returncode == 0
        assert "a gift that I booked by hand" in whole.stderr


def test_a_backup_of_a_running_daemon_comes_back_halted(site: Site) -> None:
    """By the commands of the manual, in their order."""
    work = str(site.folder / "work")
    with Daemon(site):
        assert site.run("momentum", date=DAYS[0]).outcome == "done"
        made = site.sigc("backup", "copy", "--work-dir", work)
        assert made.returncode == 0, made.stderr
        assert site.sigc("audit", "verify", "--work-dir", str(site.folder / "copy")).returncode == 0
        assert site.run("momentum", date=DAYS[1]).outcome == "done"
        assert site.sigc("restore", "copy", "--reason", "x", "--work-dir", work).returncode != 0  # it runs
        assert site.sigc("stop").returncode == 0
    back = site.sigc("restore", "copy", "--reason", "the disk died", "--work-dir", work)
    assert back.returncode == 0, back.stderr
    assert "before-restore-" in back.stderr
    with Daemon(site):
        assert "restored from a copy of" in site.sigc("safety", "status").stdout
        assert site.run("momentum", date=DAYS[1]).outcome == "refused"
        assert site.sigc("reconcile").returncode == 0  # the paper broker's book went back with it
        assert site.sigc("safety", "resume", "--reason", "compared").returncode == 0
        assert site.run("momentum", date=DAYS[1]).outcome == "done"
