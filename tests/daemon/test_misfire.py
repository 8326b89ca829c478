"""Which fires run and which are missed: a small second writing of the policy, and laws of any sequence of questions."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.errors import SigcError
from sigc.schedule.job import Fire, Job, JobKind, MarketWindow, Misfire, fire, fires, next_job_fires
from sigc.schedule.misfire import MOST_FIRES, DueFires, Reason, due
from sigc.schedule.triggers import Cron, parse_relative, parse_trigger
from tests.daemon.play import NEW_YORK, S, nyse

START = datetime(2024, 3, 1, tzinfo=UTC)


def every(hours: int, **settings: object) -> Job:
    trigger = Cron(f"0 */{hours} * * *", "UTC")
    return Job("often", trigger=trigger, skip_holidays=False, **settings)  # type: ignore[arg-type]


# By hand: fires of every hour after half past six.

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("grace_s", "late", "policy", "runs", "too_old", "missed"),
    [
        # Eleven is late by the grace to the instant, nine by the window.
        (3600, timedelta(0), Misfire.ALL, [9, 10, 11, 12], [7, 8], []),
        (3600, timedelta(0), Misfire.LATEST, [11, 12], [7, 8], [9, 10]),
        (3600, timedelta(0), Misfire.SKIP, [11, 12], [7, 8], [9, 10]),
        (3600, INSTANT, Misfire.ALL, [10, 11, 12], [7, 8, 9], []),
        (3600, INSTANT, Misfire.SKIP, [12], [7, 8, 9], [10, 11]),
        (0, timedelta(0), Misfire.LATEST, [12], [7, 8], [9, 10, 11]),
        (0, INSTANT, Misfire.LATEST, [12], [7, 8, 9], [10, 11]),
        (0, INSTANT, Misfire.SKIP, [], [7, 8, 9], [10, 11, 12]),
    ],
)
def test_grace_and_window_end_where_they_say(
    grace_s: float, late: timedelta, policy: Misfire, runs: list[int], too_old: list[int], missed: list[int]
) -> None:
    job = every(1, grace_s=grace_s, misfire_window_s=3 * 3600, misfire=policy)
    now = NOON + late
    found = due(job, NOON.replace(hour=6, minute=30), now, None)
    assert [f.planned.hour for f in found.runs] == runs
    old, young = [(h, Reason.TOO_OLD) for h in too_old], [(h, Reason.LATE) for h in missed]
    assert [(m.fire.planned.hour, m.reason) for m in found.misses] == old + young
    assert (found.handled, found.more) == (now, False)


def test_a_fire_is_due_at_its_instant_and_after_the_last_one() -> None:
    job = every(1, grace_s=0)
    assert [f.planned for f in due(job, NOON - timedelta(hours=1), NOON, None).runs] == [NOON]
    assert outcomes(due(job, NOON - timedelta(hours=1), NOON - INSTANT, None)) == []
    assert outcomes(due(job, NOON, NOON + INSTANT, None)) == []
    assert outcomes(due(job, NOON, NOON, None)) == []


@pytest.mark.parametrize(("minutes", "told", "more"), [(999, 999, False), (1000, 1000, False), (1001, 1000, True)])
def test_a_thousand_fires_are_told(minutes: int, told: int, more: bool) -> None:
    job = Job("often", trigger=Cron("* * * * *", "UTC"), skip_holidays=False, misfire=Misfire.ALL, misfire_window_s=1e9)
    found = due(job, NOON - timedelta(minutes=minutes), NOON, None)
    assert (len(found.runs), found.more) == (told, more)
    assert found.runs[-1].planned == NOON
    assert found.runs[0].planned == NOON - timedelta(minutes=told - 1)


def test_there_may_be_more_where_the_looking_ended() -> None:
    """A thousand fires a day: those of the last day are enough, and there were others before."""
    job = Job("often", trigger=Cron("0-49 0-19 * * *", "UTC"), skip_holidays=False)
    found = due(job, NOON - timedelta(days=3), NOON, None)
    assert (len(outcomes(found)), found.more) == (1000, True)


# The policy, written a second time: one fire after the other, by hand.


def model(job: Job, hours: int, last: datetime, now: datetime) -> tuple[list[datetime], list[tuple[datetime, Reason]]]:
    runs, misses = [], []
    planned = START - timedelta(days=60)
    candidates = []
    while planned <= now:
        if planned > last:
            candidates.append(planned)
        planned += timedelta(hours=hours)
    newest = candidates[-1] if candidates else None
    for one in candidates:
        late_s = (now - one).total_seconds()
        if late_s <= job.grace_s:
            runs.append(one)
        elif late_s > job.misfire_window_s:
            misses.append((one, Reason.TOO_OLD))
        elif job.misfire is Misfire.ALL or (job.misfire is Misfire.LATEST and one == newest):
            runs.append(one)
        else:
            misses.append((one, Reason.LATE))
    return runs, misses


def test_a_thousand_histories_of_downtime() -> None:
    chance = random.Random(7)
    told: Counter[str] = Counter()
    for _ in range(1000):
        hours = chance.choice([1, 2, 3, 6, 12])
        job = every(
            hours,
            misfire=chance.choice(list(Misfire)),
            misfire_window_s=chance.choice([0, 3600, 4 * 3600, 86_400, 7 * 86_400]),
            grace_s=chance.choice([0, 60, 600]),
        )
        now = handled = START + timedelta(seconds=chance.randrange(86_400))
        for _ in range(12):
            # Awake for a while, asleep for minutes to days, or awake exactly at a fire.
            now += timedelta(seconds=chance.choice([1, 30, chance.randrange(3600), chance.randrange(4 * 86_400)]))
            if chance.random() < 0.2:
                now = now.replace(minute=0, second=0) + timedelta(hours=1)
            runs, misses = model(job, hours, handled, now)
            found = due(job, handled, now, None)
            assert [f.planned for f in found.runs] == runs
            assert [(m.fire.planned, m.reason) for m in found.misses] == misses
            assert not found.more
            told.update(["run"] * len(runs), late=len(misses))
            handled = found.handled
    assert min(told.values()) > 1000


def test_the_defaults_of_the_kinds() -> None:
    assert {k: Job("a", k).misfire_policy for k in JobKind} == {
        JobKind.COMPUTE: Misfire.LATEST,
        JobKind.EXECUTE: Misfire.SKIP,
        JobKind.REBALANCE: Misfire.SKIP,
        JobKind.DATA_REFRESH: Misfire.LATEST,
        JobKind.RECONCILE: Misfire.LATEST,
        JobKind.REPORT: Misfire.LATEST,
        JobKind.SCRIPT: Misfire.LATEST,
    }


def outcomes(found: DueFires) -> list[Fire]:
    return [*found.runs, *(miss.fire for miss in found.misses)]


JOBS = st.builds(
    Job,
    name=st.sampled_from(["a", "b"]),
    trigger=st.sampled_from(
        [parse_trigger(t, "America/New_York") for t in ("*/10 * * * *", "30 1,2,3 * * *", "close-15m", "open+5m")]
    ),
    skip_holidays=st.booleans(),
    window=st.sampled_from(
        [None, MarketWindow(), MarketWindow(parse_relative("open-1h"), parse_relative("close+30m"))]
    ),
    jitter_s=st.sampled_from([0.0, 20.0, 3000.0]),
    misfire=st.sampled_from([None, *Misfire]),
    misfire_window_s=st.sampled_from([0.0, 3600.0, 1e6]),
)


BEGINNINGS = st.datetimes(datetime(2024, 1, 2), datetime(2025, 12, 1))  # noqa: DTZ001


@given(JOBS, BEGINNINGS, st.lists(st.integers(-600, 50_000), max_size=20))
def test_every_fire_is_told_once_whenever_one_asks(job: Job, start: datetime, waits_s: list[int]) -> None:
    now = begin = handled = start.replace(tzinfo=UTC)
    latest = begin
    told: list[Fire] = []
    for wait_s in [*waits_s, 7200]:
        now += wait_s * S
        latest = max(latest, now)
        found = due(job, handled, now, nyse())
        assert found.handled >= handled
        assert all(f.at <= now for f in outcomes(found))
        assert list(found.runs) == sorted(found.runs)
        told += sorted(outcomes(found))
        handled = found.handled
    # An hour after the last question nothing is held back by jitter any more.
    told += sorted(outcomes(due(job, handled, latest + 3600 * S, nyse())))
    expected = (
        [f for f in fires(job, begin, latest + 3600 * S, nyse()) if f.planned <= told[-1].planned] if told else []
    )
    assert told == expected
    held = [f for f in fires(job, begin, latest + 3600 * S, nyse()) if f not in told]
    assert all(f.at > latest + 3600 * S - 3000 * S for f in held)


def test_a_clock_that_goes_back_repeats_nothing() -> None:
    first = due(every(1), START, START + timedelta(hours=2), None)
    again = due(every(1), first.handled, START + timedelta(hours=1), None)
    assert outcomes(again) == []
    assert again.handled == first.handled


def test_of_a_long_downtime_the_newest_are_told() -> None:
    job = Job("often", trigger=Cron("* * * * *", "UTC"), skip_holidays=False, misfire=Misfire.LATEST, grace_s=0)
    found = due(job, START - timedelta(days=365), START, None)
    assert found.more
    assert [f.planned for f in found.runs] == [START]
    assert len(outcomes(found)) == MOST_FIRES
    assert outcomes(due(job, found.handled, START + 59 * S, None)) == []


# Fires of a job.


def walls(found: tuple[Fire, ...]) -> list[str]:
    return [f"{f.planned.astimezone(NEW_YORK):%m-%d %H:%M}" for f in found]


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def test_holidays_are_skipped() -> None:
    job = Job("a", trigger=Cron("0 9 * * 1-5", "America/New_York"))
    week = local("2024-07-02"), local("2024-07-09")
    assert walls(fires(job, *week, nyse())) == ["07-02 09:00", "07-03 09:00", "07-05 09:00", "07-08 09:00"]
    assert walls(fires(Job("a", trigger=job.trigger, skip_holidays=False), *week, None))[2] == "07-04 09:00"
    assert walls(next_job_fires(job, local("2024-12-24"), 3, nyse())) == ["12-24 09:00", "12-26 09:00", "12-27 09:00"]


def test_the_exchanges_day_decides_what_is_a_holiday() -> None:
    # 06:00 in Tokyo is the afternoon before in New York.
    job = Job("a", trigger=Cron("0 6 * * *", "Asia/Tokyo"), zone="Asia/Tokyo")
    assert walls(fires(job, local("2024-07-03"), local("2024-07-08 23:00"), nyse())) == [
        "07-03 17:00", "07-05 17:00", "07-08 17:00",
    ]  # fmt: skip


def test_market_hours_follow_half_days() -> None:
    job = Job("a", trigger=Cron("0 * * * *", "America/New_York"), window=MarketWindow())
    assert walls(fires(job, local("2024-07-03"), local("2024-07-05"), nyse())) == [
        "07-03 10:00", "07-03 11:00", "07-03 12:00",
    ]  # fmt: skip
    assert walls(next_job_fires(job, local("2024-07-03 11:30"), 2, nyse())) == ["07-03 12:00", "07-05 10:00"]


def test_market_hours_include_their_start_and_not_their_end() -> None:
    job = Job(
        "a",
        trigger=Cron("*/30 * * * *", "America/New_York"),
        window=MarketWindow(parse_relative("open"), parse_relative("open+1h")),
    )
    assert walls(fires(job, local("2024-07-02"), local("2024-07-03"), nyse())) == ["07-02 09:30", "07-02 10:00"]


def test_fires_of_market_hours_are_those_of_the_trigger_within() -> None:
    job = Job("a", trigger=Cron("*/7 * * * *", "America/New_York"), window=MarketWindow())
    low, high = local("2024-10-30"), local("2024-11-07")
    free = fires(Job("a", trigger=job.trigger, skip_holidays=False), low, high, None)
    assert fires(job, low, high, nyse()) == tuple(f for f in free if nyse().is_open(f.planned))


def test_a_calendar_that_ends_is_told() -> None:
    job = Job("a", trigger=Cron("0 9 * * *", "America/New_York"))
    with pytest.raises(SigcError, match="E402"):
        due(job, local("2027-03-01"), local("2027-04-01"), nyse())
    assert walls(next_job_fires(job, local("2027-03-01"), 9, nyse())) == ["03-01 09:00"]
    with pytest.raises(ValueError, match="needs a calendar"):
        fires(job, local("2024-03-01"), local("2024-04-01"), None)


def test_jitter_is_stable_and_spread() -> None:
    job = Job("a", trigger=Cron("0 * * * *", "UTC"), skip_holidays=False, jitter_s=600)
    found = fires(job, START, START + timedelta(days=90), None)
    waits_s = [(f.at - f.planned).total_seconds() for f in found]
    assert 0 <= min(waits_s) < 10
    assert 590 < max(waits_s) <= 600
    assert 270 < sum(waits_s) / len(waits_s) < 330
    assert found == fires(job, START, START + timedelta(days=90), None)
    assert found[0].at == datetime(2024, 3, 1, 1, 9, 33, 155000, tzinfo=UTC)  # the same on every machine
    assert fire(Job("b", jitter_s=600), found[0].planned).at != found[0].at
    assert fire(job, found[0].planned.astimezone(NEW_YORK)) == found[0]


def test_what_jitter_holds_back_holds_back_what_follows() -> None:
    job = Job("a", trigger=Cron("* * * * *", "UTC"), skip_holidays=False, jitter_s=600, misfire=Misfire.ALL)
    planned = fires(job, START, START + timedelta(hours=3), None)
    handled, now = START, START
    told: list[Fire] = []
    while len(told) < 100:
        now += 10 * S
        found = due(job, handled, now, None)
        assert not found.misses
        told += found.runs
        handled = found.handled
    assert told == list(planned[: len(told)])
