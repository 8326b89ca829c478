"""Jobs read from configuration: what is taken, and that every mistake is told at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.daemon.configured.job_entries import JobDefaults, check_dependencies, read_jobs
from sigc.errors import render
from sigc.schedule.job import Condition, Job, JobKind, MarketWindow, Misfire, Overlap
from sigc.schedule.triggers import Cron, Relative


def told(*entries: dict[str, Any]) -> list[str]:
    return [render(d, {}) for d in read_jobs(entries)[1]]


def test_a_job_with_everything() -> None:
    entry = {
        "name": "rebalance_eu",
        "kind": "rebalance",
        "trigger": "close-15m",
        "zone": "Europe/Berlin",
        "calendar": "XETR",
        "skip_holidays": False,
        "window": "open+10m..close",
        "conditions": ["market_open", "data_fresh"],
        "depends_on": ["signals"],
        "retries": 2,
        "backoff_s": 5,
        "deadline_s": 1800,
        "jitter_s": 1.5,
        "misfire": "all",
        "misfire_window_s": 60,
        "grace_s": 10,
        "overlap": "queue",
        "enabled": False,
        "strategy": "momentum",
    }
    jobs, wrong = read_jobs([{"name": "signals", "trigger": "0 9 * * 1-5"}, entry])
    assert not wrong
    assert jobs[1] == Job(
        "rebalance_eu",
        JobKind.REBALANCE,
        Relative("close", timedelta(minutes=-15)),
        "Europe/Berlin",
        "XETR",
        False,
        MarketWindow(Relative("open", timedelta(minutes=10)), Relative("close")),
        frozenset(Condition),
        ("signals",),
        2,
        5,
        1800,
        1.5,
        Misfire.ALL,
        60,
        10,
        Overlap.QUEUE,
        False,
        "momentum",
    )


def test_what_an_entry_does_not_say() -> None:
    (job, after), wrong = read_jobs(
        [{"name": "a", "trigger": "0 9 * * *"}, {"name": "b", "depends_on": "a", "window": "market_hours"}],
        JobDefaults("Asia/Tokyo", "XTKS", False),
    )
    assert not wrong
    assert job == Job(
        "a", trigger=Cron("0 9 * * *", "Asia/Tokyo"), zone="Asia/Tokyo", calendar="XTKS", skip_holidays=False
    )
    assert after.depends_on == ("a",)
    assert after.trigger is None
    assert after.window == MarketWindow()


def test_all_mistakes_are_told_at_once() -> None:
    found = told(
        {"name": "Signals", "trigger": "0 9 * * *"},
        {"name": "a", "trigger": "0 25 * * *", "retires": 3, "kind": "compte", "zone": "Europe/Berln"},
        {"name": "a", "trigger": "open+5", "deadline_s": -1, "enabled": "yes", "retries": 1.5},
        {"name": "trade", "kind": "execute", "depends_on": ["signal"], "retries": 1, "conditions": ["market_opened"]},
        {
            "name": "signals",
            "misfire": "none",
            "overlap": "kill",
            "window": "9-17",
            "jitter_s": True,
            "backoff_s": float("nan"),
        },
        {"name": "x", "trigger": 900, "depends_on": 3, "calendar": None, "window": "open..closed"},
    )
    text = "\n".join(found)
    for part in (
        "invalid name in job 'Signals'",
        "did you mean 'retries'?",
        "did you mean 'compute'?",
        "did you mean 'Europe/Berlin'?",
        "invalid cron expression '0 25 * * *'",
        "two jobs are named 'a'",
        "invalid time of a session 'open+5' in job 'a'",
        "deadline_s: -1",
        "enabled: yes",
        "retries: 1.5",
        "never tried again",
        "did you mean 'signals'?",
        "did you mean 'market_open'?",
        "misfire: none",
        "overlap: kill",
        "window: 9-17",
        "jitter_s: True",
        "backoff_s: nan",
        "no trigger in job 'signals'",
        "trigger: 900",
        "depends_on: 3",
        "calendar: None",
        "invalid time of a session 'closed'",
    ):
        assert part in text, part
    assert sum("E401" in line for line in found) == 1


def test_an_execute_job_gets_no_retries() -> None:
    (job,), wrong = read_jobs([{"name": "trade", "kind": "execute", "trigger": "open", "retries": 3}])
    assert len(wrong) == 1
    assert job.retries == 0


def circle(*links: str) -> list[str]:
    jobs = [Job(name, depends_on=tuple(others.split(","))) for name, others in (link.split(":") for link in links)]
    return [d.message for d in check_dependencies([*jobs, Job("end")])]


@pytest.mark.parametrize(
    ("links", "ways"),
    [
        (["a:a"], ["a -> a"]),
        (["a:b", "b:c,end", "c:a"], ["a -> b -> c -> a"]),
        (["a:b", "b:c", "c:b"], ["b -> c -> b"]),
        (["a:b", "b:a", "c:d", "d:c"], ["a -> b -> a", "c -> d -> c"]),
        (["a:b,c", "b:end", "c:b,end"], []),
    ],
)
def test_circles(links: list[str], ways: list[str]) -> None:
    assert circle(*links) == [f"jobs depend on each other in a circle: {way}" for way in ways]


@given(st.lists(st.dictionaries(st.sampled_from(["name", "kind", "trigger", "depends_on", "zone", "window", "retries", "deadline_s", "conditions", "x"]), st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.text(max_size=3)) | st.sampled_from(["a", "b", "compute", "open+5m", "UTC"])), max_size=4))  # fmt: skip
def test_any_entries_are_read_or_told(entries: list[dict[str, Any]]) -> None:
    jobs, wrong = read_jobs(entries)
    if not wrong:
        assert [job.name for job in jobs] == [entry["name"] for entry in entries]
        assert all(job.trigger is not None or job.depends_on for job in jobs)
    assert all(d.code in ("E401", "E402") for d in wrong)
