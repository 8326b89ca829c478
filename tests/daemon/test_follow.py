"""A run that is followed: every follower sees its end, whenever it comes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from sigc.daemon.lifecycle.phase import LastRun
from sigc.daemon.live_run import note_last
from sigc.daemon.runner import RunEnd, Runner, RunOrder
from sigc.daemon.runs import LiveRun, _followed
from sigc.data.being_read import being_read
from sigc.store.ledger.records import Outcome
from sigc_cli.text.daemon_text import progress

DONE = RunEnd(Outcome.DONE, "3 orders: 3 filled")


def under_way() -> LiveRun:
    return LiveRun(RunOrder("id", "momentum", Path("momentum.sig")), cast(Runner, None), datetime.now(UTC), "running")


def end(live: LiveRun) -> None:
    live.end, live.state = DONE, "ended"
    live.tell()


def seen(ends_while: str) -> list[str]:
    """The states that a follower sees of a run that ends while the follower holds a status, or waits for the next."""

    async def follow() -> list[str]:
        live, states = under_way(), []
        if ends_while == "before":
            end(live)
        async for status in live.follow():
            states.append(status.state)
            if ends_while == "held" and live.end is None:
                end(live)
            if ends_while == "waiting" and live.end is None:
                asyncio.get_running_loop().call_soon(end, live)
        return states

    return asyncio.run(asyncio.wait_for(follow(), 10))


def test_the_end_is_seen_whenever_it_comes() -> None:
    assert seen("before") == ["ended"]
    assert seen("held") == ["running", "ended"]
    assert seen("waiting") == ["running", "ended"]


def test_what_a_run_reads_is_told_while_it_reads_and_for_that_run_alone() -> None:
    live, other = under_way(), under_way()
    live.stage = "load"

    def work() -> RunEnd:
        with being_read("sectors", "data/pipe.csv"):
            (read,) = live.status().reads
            assert (read.name, 0.0 <= read.seconds < 60.0) == ("sectors (pipe.csv)", True)
            assert progress(live.status()).startswith("running, load, reading sectors (pipe.csv) for ")
            assert other.status().reads == ()
        return DONE

    assert _followed(live, work)() is DONE
    assert (live.status().reads, progress(live.status())) == ((), "running, load")


def test_a_scratch_run_is_not_the_last_one() -> None:
    before = LastRun("earlier", datetime(2024, 1, 2, 14, tzinfo=UTC), "success")
    for earlier in (None, before):
        last: dict[str, LastRun] = {"momentum": LastRun("id", datetime(2024, 1, 3, 14, tzinfo=UTC), "running")}
        live = under_way()
        live.earlier = earlier
        note_last(last, live, replace(DONE, is_scratch=True))
        assert last == ({} if earlier is None else {"momentum": before})
        note_last(last, live, DONE)
        assert (last["momentum"].id, last["momentum"].status) == ("id", "success")
