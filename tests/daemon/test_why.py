"""Each link before a run, made by real daemons whose clock is turned: what stopped a fire, with the daemon and without."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sigc.store.ledger.connection import FILE, connect_reader
from tests.daemon.daemons import DAYS, Site
from tests.daemon.hand_daemon import turn
from tests.daemon.processes import ROOT
from tests.daemon.test_tending import at, hand_daemon
from tests.trading.floor import TEXT
from tests.world import write_world

NINE = "0 9 * * 1-5"
FIRE = timedelta(hours=14)  # nine in New York, in winter
FIRST, SECOND, THIRD = DAYS[0], DAYS[1], DAYS[2]  # Wednesday to Friday
STRATEGIES = (*("momentum", "resting", "held", "old", "greedy", "waiting", "follower", "off", "idle", "absent"),)


@dataclass(frozen=True)
class Told:
    """What was said: of each strategy on the first day, of assets; of the days without a daemon when one was back."""

    site: Site
    first: Mapping[str, Mapping[str, Any]]
    assets: Mapping[str, Mapping[str, Any]]
    late: Mapping[str, Mapping[str, Any]]
    alone: Mapping[str, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, jit_directory: Path) -> Told:
    """Three days: on the first all fire; on the second, and on the third at nine, no daemon runs."""
    world, folder = tmp_path_factory.mktemp("world"), tmp_path_factory.mktemp("site")
    write_world(world)
    site = Site(folder, world, jit_directory)
    rows = pq.read_table(folder / "prices.parquet")
    pq.write_table(rows.slice(0, 400), folder / "old.parquet")
    for name, text in (
        ("old", TEXT.replace("prices.parquet", "old.parquet")),
        ("greedy", TEXT.replace("top=0.3, bottom=0.3)", "top=0.3, bottom=0.3) * 9")),
    ):
        (folder / f"{name}.sig").write_text(text)
    files = {"old": "old.sig", "waiting": "old.sig", "greedy": "greedy.sig"}
    by_job = ("waiting", "follower", "idle")
    site.settings["strategies"] = [
        {
            "name": name,
            "file": files.get(name, "momentum.sig"),
            "enabled": name != "absent",
            **({} if name in by_job else {"schedule": NINE}),
        }
        for name in STRATEGIES
    ]
    site.settings["schedule"]["jobs"] = [
        {"name": "fetch", "kind": "script", "trigger": NINE, "command": ["/bin/sh", "-c", "echo no route; exit 3"]},
        {"name": "wait", "kind": "execute", "strategy": "waiting", "trigger": NINE, "conditions": ["data_fresh"]},
        {"name": "follow", "kind": "execute", "strategy": "follower", "trigger": NINE, "depends_on": ["fetch"]},
    ]
    site.write()
    with hand_daemon(site, at(FIRST, 0) + FIRE - timedelta(seconds=1)) as clock:
        assert site.sigc("pause", "resting", "--reason", "lunch").returncode == 0
        with site.client() as client:
            client.post("safety/halt", {"strategy": "held", "reason": "enough"})
        assert site.sigc("schedule", "disable", "off", "--reason", "broken").returncode == 0
        turn(clock, at(FIRST, 0) + FIRE + timedelta(seconds=1))
        site.until(lambda: is_settled(site), "all fires are handled")
        turn(clock, at(FIRST, 0) + FIRE + timedelta(minutes=5))
        told = {name: asked(site, name, FIRST) for name in STRATEGIES}
        assert asked(site, "momentum", "") == told["momentum"]  # the last session that was due
        assets = {name: asked_asset(site, name) for name in ("S000", "S001", "NONE")}
    alone = {name: site.sigc("why", name, SECOND) for name in ("momentum", "off")}
    with hand_daemon(site, at(THIRD, 0) + FIRE + timedelta(hours=1)):
        late = {day: asked(site, "momentum", day) for day in (SECOND, THIRD)}
        site.until(lambda: filled(site) == 8, "the orders of the first day are filled")
    return Told(site, told, assets, late, alone)


def is_settled(site: Site) -> bool:
    """Nothing of the first day is under way."""
    with connect_reader(site.folder / "work" / FILE) as connection:
        (orders,) = connection.execute("SELECT count(*) FROM run_orders WHERE outcome <> 'open'").fetchone()
        (misses,) = connection.execute("SELECT count(*) FROM misses").fetchone()
    return bool(orders >= 5 and misses >= 2)


def filled(site: Site) -> int:
    with connect_reader(site.folder / "work" / FILE) as connection:
        return int(connection.execute("SELECT count(*) FROM intents WHERE state = 'filled'").fetchone()[0])


def asked(site: Site, strategy: str, day: str) -> Mapping[str, Any]:
    with site.client() as client:
        found: dict[str, Any] = client.get("why", {"strategy": strategy, **({"date": day} if day else {})})
    return found


def asked_asset(site: Site, asset: str) -> Mapping[str, Any]:
    with site.client() as client:
        found: dict[str, Any] = client.get("why/asset", {"strategy": "momentum", "asset": asset, "date": FIRST})
    return found


WHO = re.compile(r"by \S+ \(\S+\)")
SAID = {
    "momentum": (
        *(True, "fills", "waiting"),
        "ran: done, 8 orders: 8 acknowledged. fills: 8 orders open at the broker: S000, S003, S004, S012, S001 and 3 more",
        "sigc orders --run ID",
    ),
    "resting": (
        *(False, "pause", "stopped"),
        "did not run. pause: job resting was due 2017-03-01 09:00:00 EST: strategy resting was paused since"
        " 2017-03-01 08:59:59 EST by WHO: lunch",
        "sigc schedule history resting",
    ),
    "held": (
        *(False, "halt", "stopped"),
        "did not run. halt: held is halted since 2017-03-01 08:59:59 EST by WHO: enough",
        "sigc audit query --type control",
    ),
    "old": (
        *(True, "data", "stopped"),
        "ran: refused. data: check fresh: the newest row of prices is of 2016-07-14; the run is as of the session 2017-02-28"
        " (value 229, limit 0)",
        "sigc runs show ID",
    ),
    "greedy": (
        *(True, "check", "stopped"),
        "ran: refused. check: check position: S000 weighs 2.25, S001 weighs 2.25, S003 weighs 2.25, S004 weighs 2.25,"
        " S006 weighs 2.25, S009 weighs 2.25, S010 weighs 2.25, S012 weighs 2.25; the limit is 1"
        " (value 2.25, limit 1) and 3 more",
        "sigc runs show ID",
    ),
    "waiting": (
        *(False, "data", "waiting"),
        "has not run yet. data: job wait was due 2017-03-01 09:00:00 EST: it waits for fresh data (rows of 2017-02-28)",
        "sigc run waiting --dry-run",
    ),
    "follower": (
        *(False, "dependency", "stopped"),
        "did not run. dependency: job follow was due 2017-03-01 09:00:00 EST: fetch failed"
        " 2017-03-01 09:00:01 EST (ID): the script ended with code 3",
        "sigc schedule history follow",
    ),
    "off": (
        *(False, "schedule", "stopped"),
        "did not run. schedule: job off was due 2017-03-01 09:00:00 EST: job off is disabled since"
        " 2017-03-01 08:59:59 EST by WHO: broken",
        "sigc schedule history off",
    ),
    "idle": (
        *(False, "schedule", "stopped"),
        "did not run. schedule: no job trades it: it has no schedule, and nobody ran it",
        "sigc run idle --dry-run",
    ),
    "absent": (
        *(False, "strategy", "stopped"),
        "did not run. strategy: job absent was due 2017-03-01 09:00:00 EST: the strategy is disabled in the"
        " configuration (enabled: false)",
        "sigc schedule history absent",
    ),
}


def plain(night: Told, text: str) -> str:
    """Without what differs from machine to machine."""
    text = re.sub(r"r\d{8}-[0-9a-f]{16}", "ID", text.replace(str(night.site.folder), "FOLDER"))
    return WHO.sub("by WHO", text)


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_link_that_stops_a_fire(night: Told, name: str) -> None:
    found = night.first[name]
    told = (found["ran"], found["stopped_by"], found["state"])
    assert (*told, plain(night, found["verdict"]), plain(night, found["look"])) == SAID[name]


@pytest.mark.parametrize("name", ["resting", "old", "waiting", "follower", "off", "absent"])
def test_the_examples_of_the_documentation_are_these(name: str) -> None:
    assert f"`{SAID[name][3]}`" in (ROOT / "docs" / "why.md").read_text()


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "waiting"])
def test_without_the_daemon_it_says_the_same(night: Told, name: str) -> None:
    """Of what is over: a fire that waits is missed when the daemon goes away."""
    work = str(night.site.folder / "work")
    done = night.site.sigc("why", name, FIRST, "--work-dir", work, "--json")
    assert done.returncode == 0, done.stderr
    alone, first = json.loads(done.stdout), dict(night.first[name])
    if name == "momentum":  # its orders were filled since
        assert alone.pop("verdict") == "ran: done, 8 orders: 8 filled"
        changed = ("verdict", "links", "orders", "stopped_by", "state", "look")
        assert {k: v for k, v in alone.items() if k not in changed} == {
            k: v for k, v in first.items() if k not in changed
        }
    else:
        assert alone == first


def test_the_data_and_the_job_of_a_run_are_told(night: Told) -> None:
    found = night.first["momentum"]
    (run,) = found["runs"]
    assert (run["job"], run["kind"], run["outcome"]) == ("momentum", "trade", "done")
    schedule = next(link for link in found["links"] if link["name"] == "schedule")
    assert schedule["text"] == "job momentum, due 2017-03-01 09:00:00 EST"
    assert [(line["name"], line["newest"], line["age"], line["assets"]) for line in found["data"]] == [
        ("prices", "2017-02-28", 0, 13),
        ("sectors", "", -1, 12),
        ("volume", "2017-02-28", 0, 13),
    ]
    assert all(len(line["content"]) == 12 for line in found["data"])


def test_assets_are_told(night: Told) -> None:
    """A quarter of a million at 99.42 are 2,514 shares, at 143.31 they are 1,744."""
    steps = {step["name"]: step["text"] for step in night.assets["S000"]["steps"]}
    assert steps["wanted"] == "-0.250000 of the book"
    assert steps["sized"] == "sell 2514, towards -2514"
    assert night.assets["S000"]["verdict"] == "waiting: sell 2514, 2514 open at the broker"
    assert night.assets["S001"]["verdict"] == "waiting: buy 1744, 1744 open at the broker"
    assert plain(night, night.assets["NONE"]["verdict"]) == "NONE is not among the 13 assets of the run ID"


def test_no_daemon_was_running(night: Told) -> None:
    down = "the daemon was stopped 2017-03-01 09:05:00 EST"
    alone = night.alone["momentum"]
    assert alone.returncode == 0
    assert alone.stderr == f"no daemon answers: reading the ledger in {night.site.folder / 'work'}\n"
    due = "job momentum was due 2017-03-02 09:00:00 EST"
    assert alone.stdout.splitlines()[0] == (
        f"momentum, session 2017-03-02: did not run. daemon: {due}: {down}, and it has not been started again"
    )
    assert "schedule: job off is disabled since" in night.alone["off"].stdout
    for day, found in night.late.items():
        due = f"job momentum was due {day} 09:00:00 EST"
        back = "it was started again 2017-03-03 10:00:00 EST"
        assert (found["ran"], found["verdict"]) == (False, f"did not run. daemon: {due}: {down}, {back}")
        assert found["look"] == "sigc schedule history momentum"


def test_what_is_no_strategy_no_session_no_run(night: Told) -> None:
    work = ("--work-dir", str(night.site.folder / "work"))
    sigc = night.site.sigc
    first = sigc("why", "momentun", FIRST, *work).stdout.splitlines()[0]
    assert first == ("momentun, session 2017-03-01: there is no strategy 'momentun'; did you mean 'momentum'?")
    sunday = sigc("why", "momentum", "2017-03-05", *work).stdout.splitlines()[0]
    why = "calendar: 2017-03-05 is not a session of weekdays; the next one is 2017-03-06"
    assert sunday == f"momentum, session 2017-03-05: did not run. {why}"
    run = night.first["momentum"]["runs"][0]["id"]
    assert json.loads(sigc("why", "momentum", "--run", run, *work, "--json").stdout)["session"] == FIRST
    gone = sigc("why", "momentum", "--run", "r1", *work)
    assert (gone.returncode, "there is no run 'r1'" in gone.stderr) == (4, True) or gone.returncode != 0
    assert sigc("why", "momentum", "A", "B", *work).returncode == 2
