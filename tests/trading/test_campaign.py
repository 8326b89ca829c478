"""300 kills at a broker that fails in a third of all calls: no order is doubled, none is lost, none is wrong."""

from __future__ import annotations

import os
from pathlib import Path

from sigc_pipelines.closes import closes
from sigc_pipelines.compute import load
from sigc_pipelines.feed import ReplayFeed
from sigc_pipelines.outlook import look
from tests.trading.campaign import Campaign, Tally, calm_history, kills, verify
from tests.trading.floor import Floor, floor

SEED = int(os.environ.get("SIGC_SEED", "20240115"))
FIRST, LAST = "2016-01-04", "2018-01-15"


def prepared(folder: Path) -> tuple[Floor, ReplayFeed]:
    """Data and weights of all days, computed before any fork."""
    here = floor(folder)
    loaded = load(here.strategy, here.space)
    dates = [str(d) for d in loaded.grid.dates.astype("datetime64[D]")]
    outlook = look(loaded, here.space, "main", dates.index(FIRST), len(dates))
    return here, ReplayFeed(outlook, closes(loaded, here.space, FIRST))


def test_three_hundred_kills(tmp_path: Path) -> None:
    here, feed = prepared(tmp_path)
    campaign, tally = Campaign(here, feed, tmp_path / "bad", SEED), Tally()
    waiting = kills(campaign.random, 1_000)
    done = []
    for day in here.days(FIRST, LAST):
        campaign.day(day, waiting, tally)
        done.append(day)
        if tally.kills >= 300:
            break
    campaign.settled(done[-1])
    calm_history(here, feed, tmp_path / "calm", done)
    number = verify(campaign, tmp_path / "calm")
    print(f"seed {SEED}: {tally.kills} kills, {tally.days} days, {number} orders, {len(tally.points)} points")
    assert tally.kills >= 200
