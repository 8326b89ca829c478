"""Kills at a broker that fails in a third of all calls: no order is doubled, none is lost, none is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.killing import Tally, kills
from tests.trading.campaign import Campaign, calm_history, verify
from tests.trading.chunks import Chunks
from tests.trading.floor import floor

SEED = int(os.environ.get("SIGC_SEED", "20240115"))
FIRST, LAST = "2016-01-04", "2018-01-15"
SOAK = Path(os.environ.get("SIGC_SOAK_DIR", Path(__file__).parent.parent.parent / "build" / "soak"))


def test_a_hundred_kills(tmp_path: Path) -> None:
    here = floor(tmp_path)
    feed = here.replayed(FIRST)
    campaign, tally = Campaign(here, feed, tmp_path / "bad", SEED), Tally()
    waiting = kills(campaign.random, 400)
    done = []
    for day in here.days(FIRST, LAST):
        campaign.day(day, waiting, tally)
        done.append(day)
        if tally.kills >= 100:
            break
    campaign.settled(done[-1])
    calm_history(here, feed, tmp_path / "calm", done)
    number = verify(campaign, tmp_path / "calm")
    print(f"seed {SEED}: {tally.kills} kills, {tally.days} days, {number} orders, {len(tally.points)} points")
    assert tally.kills >= 100


def test_kills_among_corporate_actions(tmp_path: Path) -> None:
    """One chunk of the soak: thirty days, every tenth of which has actions of every other asset."""
    done = Chunks(tmp_path, SEED).work(kills=100, orders=1_000, processes=1)
    print(f"seed {SEED}: {done.kills} kills, {done.days} days, {done.orders} orders, by point: {dict(done.points)}")
    assert done.kills >= 100


@pytest.mark.soak
def test_ten_thousand_kills() -> None:
    """With actions on every tenth day. In chunks, each proven when it is done; an interrupted soak goes on behind the last one."""
    chunks = Chunks(SOAK / "kills", SEED)
    done = chunks.work(kills=10_000, orders=50_000, processes=2)
    print(f"seed {SEED}: {done.kills} kills, {done.days} days, {done.orders} orders, by point: {dict(done.points)}")
    assert done.kills >= 10_000
    assert done.orders >= 50_000


def test_a_chunk_is_not_done_twice(tmp_path: Path) -> None:
    """A small soak that is asked for more goes on behind what is proven, and proofs of other code do not count."""
    small = {"assets": 6, "days": 3}
    first = Chunks(tmp_path, SEED, **small).work(kills=1, orders=10, processes=1)
    proofs = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.json")}
    again = Chunks(tmp_path, SEED, **small).work(kills=1, orders=first.orders + 10, processes=2)
    assert again.orders > first.orders
    assert again.kills > first.kills
    assert {n: (tmp_path / n).stat().st_mtime_ns for n in proofs} == proofs
    assert Chunks(tmp_path, SEED + 1, **small).done().orders == 0
