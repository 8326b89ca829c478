"""When a message leaves: the minute's places, quiet hours, waits that grow; by hand, second by second."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from sigc.alerts.sending import MOST_TRIES, QuietHours, again, batch, room
from sigc.alerts.urgency import Urgency, most_urgent

NOW = datetime(2024, 1, 2, 21, tzinfo=UTC)


def ago(*seconds: float) -> list[datetime]:
    return [NOW - timedelta(seconds=s) for s in seconds]


@pytest.mark.parametrize(
    ("sent", "per_minute", "places"),
    [
        ((), 3, 3),
        ((0, 30), 3, 1),
        ((0, 59.9, 60, 61), 3, 1),  # what left a minute ago to the second counts no more
        ((1, 2, 3), 3, 0),
        ((1, 2, 3, 4), 3, 0),  # the limit was lowered since
    ],
)
def test_places_of_a_minute(sent: tuple[float, ...], per_minute: int, places: int) -> None:
    assert room(ago(*sent), NOW, per_minute) == places


@pytest.mark.parametrize(
    ("waiting", "places", "told"),
    [(0, 0, 0), (0, 5, 0), (5, 0, 0), (1, 1, 1), (2, 1, 2), (5, 1, 5), (1, 2, 1), (5, 2, 1), (2, 2, 1)],
)
def test_the_last_place_tells_of_all_that_wait(waiting: int, places: int, told: int) -> None:
    assert batch(waiting, places) == told


@pytest.mark.parametrize(
    ("attempts", "asked", "wait"),
    [
        (1, None, 2.0),
        (2, None, 4.0),
        (4, None, 16.0),
        (5, None, 30.0),
        (2_000, None, 30.0),  # and no overflow
        (1, 1.0, 2.0),  # no sooner than it would be
        (1, 2.5, 2.5),
        (9, 45.0, 45.0),
        (1, 0.0, 2.0),
        (1, 61.0, 60.0),  # a channel that is back has its alerts within a minute
    ],
)
def test_waits_grow_and_a_channel_may_ask_for_more(attempts: int, asked: float | None, wait: float) -> None:
    assert again(NOW, attempts, asked) == NOW + timedelta(seconds=wait)


@pytest.mark.parametrize(
    ("begin", "end", "held"),
    [
        (time(22), time(7), "22:00 23:59 00:00 06:59"),
        (time(12), time(13), "12:00 12:30"),
        (time(0), time(0), ""),
        (None, time(7), ""),
        (time(22), None, ""),
        (None, None, ""),
    ],
)
def test_quiet_hours(begin: time | None, end: time | None, held: str) -> None:
    hours = ["00:00", "06:59", "07:00", "11:59", "12:00", "12:30", "13:00", "21:59", "22:00", "23:59"]
    quiet = QuietHours(begin, end)
    found = {h for h in hours if quiet.holds(datetime.combine(NOW, time.fromisoformat(h)))}
    assert found == set(held.split())


def test_urgencies_are_ordered() -> None:
    assert [u.rank for u in (Urgency.INFO, Urgency.WARNING, Urgency.CRITICAL)] == [0, 1, 2]
    assert most_urgent([Urgency.WARNING, Urgency.CRITICAL, Urgency.INFO]) is Urgency.CRITICAL
    assert most_urgent([Urgency.INFO, Urgency.WARNING]) is Urgency.WARNING
    assert most_urgent([]) is Urgency.INFO


def test_a_malformed_message_is_tried_five_times() -> None:
    assert MOST_TRIES == 5
