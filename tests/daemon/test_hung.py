"""A source that hangs in a daemon: the run ends at its deadline, its slot is free, and a health check says what hangs."""

from __future__ import annotations

import json
import os
from contextlib import closing

from sigc.store.ledger import runs
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.records import Outcome
from tests.daemon.daemons import Site
from tests.daemon.test_completing import books, handed
from tests.trading.floor import TEXT


def data_check(site: Site) -> str:
    detailed = site.sigc("status", "--detailed", "--json").stdout
    return str(json.loads(detailed)["detailed"]["checks"].get("data_connection"))


def test_a_hung_source_holds_no_slot_and_is_told_until_it_answers(site: Site) -> None:
    well, ill = books(site, 2)
    pipe, text = site.folder / "pipe.csv", (site.folder / "sectors.csv").read_text()
    (site.folder / f"{ill}.sig").write_text(TEXT.replace("sectors.csv", "pipe.csv"))
    os.mkfifo(pipe)
    site.settings["daemon"] |= {"max_runs": 1, "health": {"port": 0, "interval_seconds": 0.5}}
    site.settings["execution"] = {"load_deadline_s": 6.0, "fill_wait_s": 0.0}
    site.write()
    with handed(site, -30) as daemon:
        ran = site.sigc("run", ill)
        assert ran.returncode == 8, ran.stderr
        assert f"error[E803]: the stage load of {ill} took longer than its deadline of 6 s, reading " in ran.stderr
        assert "the daemon is reading sectors (pipe.csv) for " in ran.stderr  # meanwhile
        assert site.run(well, is_dry=False).outcome == "done"  # in the only slot
        hangs = f"of {ill} hangs reading sectors (pipe.csv), given up at"
        site.until(lambda: hangs in data_check(site), "the check says it")
        with pipe.open("w") as writer:
            pipe.unlink()
            pipe.write_text(text)
            writer.write(text)
        site.until(lambda: data_check(site) == "ok", "it is well again")
        assert site.run(ill, is_dry=False).outcome == "done"  # its session was free
        assert site.sigc("stop").returncode == 0
        assert daemon.end()[0] == 0
    with closing(connect_reader(site.folder / "work" / FILE)) as connection:
        found = runs.of_session(connection, ill, runs.last_session_of(connection, ill))
        ends = {run.outcome: runs.is_decided(connection, run.id) for run in found}
        assert ends == {Outcome.REFUSED: False, Outcome.DONE: True}


def test_a_daemon_ends_though_a_source_hangs(site: Site) -> None:
    (ill,) = books(site, 1)
    (site.folder / f"{ill}.sig").write_text(TEXT.replace("sectors.csv", "pipe.csv"))
    os.mkfifo(site.folder / "pipe.csv")
    site.settings["execution"] = {"load_deadline_s": 1.0}
    site.write()
    with handed(site, -30) as daemon:
        assert site.sigc("run", ill).returncode == 8
        assert site.sigc("stop", "--timeout", "5").returncode == 0
        assert daemon.end()[0] == 0
