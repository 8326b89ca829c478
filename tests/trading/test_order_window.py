"""The window of a run's orders, by the clock of one day: when it opens, when it ends, and what does not fit into it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigc.calendar.sessions import Session
from sigc.config.settings import ExecutionSettings
from sigc.errors import Diagnostic
from sigc.store.ledger.records import Intent, Run, RunKey, Side
from sigc_pipelines.brokers.protocol import Capabilities
from sigc_pipelines.live.order_window import end_of, misfit, newer_session, not_before_opening, opening_of
from tests.trading.floor import weekdays

OPEN = datetime(2016, 1, 5, 9, 30, tzinfo=UTC)
KEY = RunKey("s", "main", "2016-01-05")
RUN = Run("r", KEY, "2016-01-04", 0, OPEN, "ann")


def at(minutes: float) -> datetime:
    """An instant so many minutes after the open."""
    return OPEN + timedelta(minutes=minutes)


def order(number: int, due: datetime | None = None) -> Intent:
    return Intent(str(number), "r", KEY, number, "A", Side.BUY, Decimal(1), Decimal(10), not_before=due)


def due(*minutes: float | None) -> tuple[Intent, ...]:
    return tuple(order(n, None if m is None else at(m)) for n, m in enumerate(minutes))


def test_a_broker_that_queues_takes_mondays_orders_from_fridays_close_and_another_from_mondays_open() -> None:
    calendar = weekdays()
    friday, monday = (calendar.before_or_on(datetime(2016, 1, day, tzinfo=UTC).date()) for day in (8, 11))
    assert opening_of(calendar, monday, Capabilities("b", False, queues=True)) == friday.close
    assert opening_of(calendar, monday, Capabilities("b", False, queues=False)) == monday.open


def test_orders_take_the_opening_as_their_time_while_it_is_to_come_unless_they_have_a_later_one() -> None:
    orders = due(None, 30.0)
    assert [i.not_before for i in not_before_opening(orders, OPEN, at(-1))] == [OPEN, at(30)]
    for now in (OPEN, at(1)):
        assert not_before_opening(orders, OPEN, now) == orders


@pytest.mark.parametrize(
    ("cut_off", "ends", "check"),
    [(None, 10, "deadline"), (11, 10, "deadline"), (9, 9, "cut_off")],
)
def test_sending_ends_at_the_deadline_or_at_the_cut_off_whichever_is_first(
    cut_off: float | None, ends: float, check: str
) -> None:
    run = replace(RUN, cut_off=None if cut_off is None else at(cut_off))
    end = end_of(run, OPEN, ExecutionSettings(execute_deadline_s=600.0), "America/New_York")
    assert (end.at, end.check) == (at(ends), check)
    late = "execute took longer than its deadline of 600 s, until 2016-01-05 04:40:00 EST: this order was not sent"
    past = "the cut-off, 2016-01-05 04:39:00 EST, passed before this order was sent"
    assert end.why == (late if check == "deadline" else past)


@given(
    minutes=st.lists(st.one_of(st.none(), st.integers(-10, 40)), min_size=1, max_size=7),
    per_minute=st.sampled_from([1, 2, 3, 60]),
    now=st.integers(-20, 20),
    ends=st.integers(1, 45),
)
def test_what_a_broker_takes_one_after_another_fits_if_the_last_of_them_leaves_before_the_end(
    minutes: list[int | None], per_minute: int, now: int, ends: int
) -> None:
    """The last leaves a gap for each of those behind it after any that waits for its time."""
    orders, begins = due(*minutes), max(0, now)
    if begins >= ends:
        return
    times = sorted(max(begins, begins if m is None else m) for m in minutes)
    last = max(60 * time + (len(times) - 1 - place) * 60 / per_minute for place, time in enumerate(times))
    assert (misfit(orders, OPEN, at(now), at(ends), per_minute) is None) is (last < 60 * ends)


def hint_of(no: Diagnostic | None) -> tuple[str, str]:
    assert no is not None
    assert no.code == "E806"
    return no.message, str(no.hint)


def test_the_refusal_says_how_long_they_take_and_how_long_there_is() -> None:
    """Five at two a minute: the last of them leaves two minutes from now, when nothing is sent any more."""
    message, hint = hint_of(misfit(due(*[None] * 5), at(-9), OPEN, at(2), 2))
    assert "5 orders at 2 a minute, the most that the broker takes, need 2.5 minutes" in message
    assert "from 2016-01-05 09:30:00 UTC there are 2.0 minutes" in message
    assert "the last one would leave at 2016-01-05 09:32:00 UTC" in message
    assert "execution.slices" in hint
    assert misfit(due(*[None] * 5), at(-9), OPEN, at(2), None) is None
    assert misfit((), at(-9), OPEN, at(2), 2) is None
    message, _ = hint_of(misfit(due(None, None), OPEN, at(-30), at(0.5), 2))  # the open is awaited
    assert "from 2016-01-05 09:30:00 UTC there are 0.5 minutes" in message


@pytest.mark.parametrize(("opens", "is_refused"), [(1, False), (2, True), (3, True)])
def test_a_window_that_opens_no_sooner_than_it_ends_is_none(opens: float, is_refused: bool) -> None:
    for per_minute in (None, 60):
        no = misfit(due(None), at(opens), OPEN, at(2), per_minute)
        assert (no is not None) is is_refused
        if is_refused:
            message, hint = hint_of(no)
            assert "nothing is sent after 2016-01-05 09:32:00 UTC" in message
            assert "execution.cut_off" in hint
        assert misfit((), at(opens), OPEN, at(2), per_minute) is None


def test_what_ended_before_it_was_asked_is_refused_by_no_rate() -> None:
    """Its orders end unsent with the cut-off, which says why; there is no plan to be fitted."""
    assert misfit(due(None), OPEN, at(5), at(5), 1) is None
    assert misfit(due(None), OPEN, at(6), at(5), 1) is None


@pytest.mark.parametrize(("minutes", "is_refused"), [(-1, False), (0, True), (1, True)])
def test_orders_that_leave_when_a_newer_session_is_complete_are_decided_too_soon(
    minutes: float, is_refused: bool
) -> None:
    newer = Session(OPEN.date(), at(-390), OPEN)
    no = misfit(due(None), at(minutes), at(-60), at(600), None, newer, cut_off="close-5m")
    assert (no is not None) is is_refused
    if is_refused:
        message, hint = hint_of(no)
        assert "when the session 2016-01-05 is complete" in message
        assert (
            "the cut-off of 2016-01-05, 2016-01-05 09:25:00 UTC, has passed: run it after the close, 2016-01-05 09:30"
            in hint
        )
    assert misfit((), at(minutes), at(-60), at(600), None, newer) is None


@pytest.mark.parametrize(
    ("as_of", "session", "newer"),
    [
        ("2016-01-04", "2016-01-05", None),
        ("2016-01-04", "2016-01-06", "2016-01-05"),
        ("2016-01-08", "2016-01-11", None),
        ("2016-01-08", "2016-01-12", "2016-01-11"),
        ("1900-01-01", "2016-01-05", None),
    ],
)
def test_a_newer_session_lies_between_the_row_that_a_run_knows_and_the_session_it_is_for(
    as_of: str, session: str, newer: str | None
) -> None:
    found = newer_session(weekdays(), replace(RUN, as_of=as_of, key=replace(KEY, session=session)))
    assert (None if found is None else str(found.day)) == newer
