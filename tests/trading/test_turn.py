"""Whether a scheduled run trades: rows counted from the book's anchor, what stays due, rows that the data lack."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from sigc.clock import HandClock
from sigc.data.dates.exchange import NYSE
from sigc.errors import SigcError
from sigc.lang.semantics.rebalance import EVERY_ROW, Rebalance
from sigc.store.ledger import books
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey
from sigc_pipelines.portfolio.rebalance import RowDays
from sigc_pipelines.portfolio.rebalance_turn import RebalanceTurn, turn_of

KEY = BookKey("s", "main")
NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
SESSIONS = [str(d) for d in NYSE.of().days if "2024-01-02" <= str(d) <= "2024-06-28"]


class Desk:
    """A ledger with one book, and the runs that a test says traded."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def open(self, anchor: str) -> None:
        with self.ledger.transaction("run-open") as tx:
            books.open_book(tx, KEY, Decimal(1), NOON, anchor)

    def traded(self, as_of: str, *states: str) -> None:
        """A run that decided as of a day; states: of its orders, `:sent` behind those that the broker knew."""
        with self.ledger.transaction("run-open") as tx:
            tx.connection.execute(
                "INSERT INTO runs (id, strategy, portfolio, session, kind, slot, as_of, revision, started, who, reason,"
                " broker, outcome, traded) VALUES (?, 's', 'main', ?, 'trade', '', ?, 0, '', '', '', '', 'done', 1)",
                (as_of, as_of, as_of),
            )
            for place, text in enumerate(states):
                state, _, sent = text.partition(":")
                tx.connection.execute(
                    "INSERT INTO intents (client_order_id, run, place, asset, side, quantity, reference, order_type,"
                    " time_in_force, parent, slice, state, broker_order_id) VALUES (?, ?, ?, 'A', 'buy', '1', '1',"
                    " 'market', 'day', '', 0, ?, ?)",
                    (f"{as_of}-{place}", as_of, place, state, sent),
                )

    def turn(self, rule: Rebalance, days: list[str], as_of: str, of_sessions: str = "sessions") -> RebalanceTurn:
        rows = RowDays(np.array(days, "datetime64[D]"), NYSE.of(), of_sessions)
        with self.ledger.reading() as connection:
            return turn_of(connection, KEY, rule, rows, as_of)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Ledger.open(tmp_path, HandClock(NOON), durable=False) as ledger:
        yield Desk(ledger)


def test_a_book_that_is_not_open_opens_now(desk: Desk) -> None:
    assert desk.turn(Rebalance(21), SESSIONS, SESSIONS[50]).due == SESSIONS[50]


@pytest.mark.parametrize(
    ("states", "still_due"),
    [
        ((), False),
        (("filled:x",), False),
        (("denied", "acknowledged:x"), False),
        (("expired:x",), False),
        (("unknown",), False),
        (("denied", "rejected"), True),
        (("expired", "cancelled"), True),
    ],
)
def test_what_traded_nothing_stays_due(desk: Desk, states: tuple[str, ...], still_due: bool) -> None:
    desk.open(SESSIONS[0])
    desk.traded(SESSIONS[5], *states)
    assert desk.turn(Rebalance(5), SESSIONS, SESSIONS[6]).due == (SESSIONS[5] if still_due else "")


def test_of_several_that_were_missed_the_newest_is_made_up_for(desk: Desk) -> None:
    desk.open(SESSIONS[0])
    desk.traded(SESSIONS[0], "filled:x")
    turn = desk.turn(Rebalance(5), SESSIONS, SESSIONS[13])
    assert turn.due == SESSIONS[10]
    assert (
        turn.told(SESSIONS[13])
        == f", for the rebalance of {SESSIONS[10]}; next rebalance as of {SESSIONS[15]}, in 2 rows"
    )


def test_another_run_on_the_same_row_trades_too(desk: Desk) -> None:
    """Two fires a day: the second has the as-of row of the first."""
    desk.open(SESSIONS[0])
    desk.traded(SESSIONS[5], "filled:x")
    assert desk.turn(Rebalance(5), SESSIONS, SESSIONS[5]).due == SESSIONS[5]


def test_history_that_was_cut_off_does_not_move_the_rows(desk: Desk) -> None:
    """The file begins after the anchor now: rows between are counted by the calendar."""
    desk.open(SESSIONS[0])
    for cut in range(1, 12):
        found = [day for day in SESSIONS[12:60] if desk.turn(Rebalance(7), SESSIONS[cut:], day).due == day]
        assert found == [day for day in SESSIONS[::7] if SESSIONS[12] <= day <= SESSIONS[59]]
    with pytest.raises(SigcError, match="rows are counted from 2024-01-02, when the book was opened"):
        desk.turn(Rebalance(7), SESSIONS[9::5], SESSIONS[20], "")


def test_the_as_of_session_counts_though_its_row_is_late(desk: Desk) -> None:
    """So that the run goes on to the checks, which refuse stale data; the row stays due."""
    desk.open(SESSIONS[0])
    desk.traded(SESSIONS[0], "filled:x")
    assert desk.turn(Rebalance(5), SESSIONS[:5], SESSIONS[5]).due == SESSIONS[5]
    assert desk.turn(Rebalance.of_word("month_end"), SESSIONS[:20], "2024-01-31").due == "2024-01-31"


def test_weekly_rows_are_traded_once(desk: Desk) -> None:
    fridays = [day for day in SESSIONS if np.datetime64(day).astype("i8") % 7 == 1]
    desk.open(fridays[0])
    desk.traded(fridays[3], "filled:x")
    between = [day for day in SESSIONS if fridays[3] < day < fridays[4]]
    assert [desk.turn(EVERY_ROW, fridays, day, "").due for day in between] == [""] * len(between)
    assert desk.turn(EVERY_ROW, fridays, fridays[4], "").due == fridays[4]


def test_the_next_rebalance_is_told_by_the_calendar(desk: Desk) -> None:
    desk.open(SESSIONS[0])
    assert desk.turn(Rebalance.of_word("month_end"), SESSIONS, "2024-03-27").next == "as of 2024-03-28"
    assert desk.turn(Rebalance.of_word("month_end"), SESSIONS, "2024-03-28").next == "as of 2024-04-30"
    assert desk.turn(Rebalance.of_word("year_start"), SESSIONS, "2024-03-28").next == "as of 2025-01-02"
    assert desk.turn(EVERY_ROW, SESSIONS, "2024-03-28").next == ""
