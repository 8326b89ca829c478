"""An outcome says what happened to the orders, and a session of which nothing was sent is free."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.errors import SigcError
from sigc.store.ledger import books, control, orders, runs
from sigc.store.ledger.records import BookKey, Intent, Outcome, Run, RunKey, Side
from sigc.store.ledger.records import IntentState as S
from sigc_pipelines.brokers.faulty import Fault
from sigc_pipelines.live.finish import completion, finish, verdict
from sigc_pipelines.live.run_watch import RunWatch
from sigc_pipelines.live.slice_times import Window, window_record
from tests.trading.script import D1, D2, before_cut_off, free, scene, written

AN_ORDER = Intent("id", "run", RunKey("s", "main", "2016-01-05"), 0, "A", Side.BUY, Decimal(1), Decimal(100))


def of(*states: tuple[S, str]) -> list[Intent]:
    """Orders in those states; the text is the broker's id of what it had, else the reason."""
    found = []
    for place, (state, said) in enumerate(states):
        order = replace(AN_ORDER, asset="ABCDE"[place], state=state)
        found.append(replace(order, broker_order_id=said) if said.isdigit() else replace(order, message=said))
    return found


@pytest.mark.parametrize(
    ("states", "outcome", "text"),
    [
        ([(S.ACKNOWLEDGED, "1"), (S.FILLED, "2")], Outcome.DONE, "2 orders: 1 acknowledged, 1 filled"),
        # In the book and ended there: wanted, and placed. Less was filled, which is told beside.
        ([(S.EXPIRED, "1"), (S.CANCELLED, "2")], Outcome.DONE, "2 orders: 1 cancelled, 1 expired"),
        ([(S.FILLED, "1"), (S.DENIED, "too large")], Outcome.PARTIAL, "2 orders: 1 denied, 1 filled; B: too large"),
        ([(S.EXPIRED, "1"), (S.EXPIRED, "late")], Outcome.PARTIAL, "2 orders: 2 expired; B: late"),
        ([(S.DENIED, "no")], Outcome.NOTHING_TRADED, "1 order: 1 denied; A: no"),
        ([(S.REJECTED, "no")], Outcome.NOTHING_TRADED, "1 order: 1 rejected; A: no"),
        (
            [(S.EXPIRED, "late"), (S.DENIED, "no")],
            Outcome.NOTHING_TRADED,
            "2 orders: 1 denied, 1 expired; A: late; B: no",
        ),
        ([(S.CANCELLED, "ann")], Outcome.CANCELLED, "1 order: 1 cancelled; A: ann"),
        (
            [(S.CANCELLED, "ann"), (S.DENIED, "no")],
            Outcome.NOTHING_TRADED,
            "2 orders: 1 cancelled, 1 denied; A: ann; B: no",
        ),
        ([(S.DENIED, "no")] * 5, Outcome.NOTHING_TRADED, "5 orders: 5 denied; A, B, C and 2 more: no"),
        ([(S.FILLED, "1"), (S.CANCELLED, "ann")], Outcome.PARTIAL, "2 orders: 1 cancelled, 1 filled; B: ann"),
        (
            [(S.DENIED, f"no {n}") for n in "abc"],
            Outcome.NOTHING_TRADED,
            "3 orders: 3 denied; A: no a; B: no b; C: no c",
        ),
        (
            [(S.DENIED, f"no {n}") for n in "abcde"],
            Outcome.NOTHING_TRADED,
            "5 orders: 5 denied; A: no a; B: no b; C: no c; and 2 more reasons",
        ),
    ],
)
def test_the_verdict_is_by_what_became_of_the_orders(states: list[tuple[S, str]], outcome: Outcome, text: str) -> None:
    assert verdict(of(*states)) == (outcome, text)
    assert outcome.is_success == (outcome is Outcome.DONE)


def test_a_session_of_which_nothing_was_sent_is_traded_again(tmp_path: Path) -> None:
    """Without force, as the next revision; once orders are in the book it is used up."""
    tight = written(tmp_path, {"A": 0.1, "B": -0.1}, config=free(safety={"max_order_value": 1.0}))
    with scene(tight, D1) as desk:
        ended = desk.run("one").run
        assert (ended.outcome, ended.revision) == (Outcome.NOTHING_TRADED, 0)
        assert ended.message.startswith("2 orders: 2 denied; B, A: the order's value is 100000.0; the limit is 1.0")
    with scene(replace(tight, config=free()), D1) as desk:
        again = desk.run("two").run
        assert (again.outcome, again.revision) == (Outcome.DONE, 1)
        with pytest.raises(SigcError, match="traded for the session 2016-01-05 already"):
            desk.run("three")
        assert len(desk.booked()) == 2


def test_what_the_broker_rejected_has_left(tmp_path: Path) -> None:
    """It has heard of the order: a repeat is a decision of a person."""
    floor = written(tmp_path, {"A": -0.1}, config=free({"shorting": False}))
    with scene(floor, D1) as desk:
        assert desk.run("one").run.outcome is Outcome.NOTHING_TRADED
        with pytest.raises(SigcError, match="already"):
            desk.run("two")


def test_what_never_came_before_the_cut_off_is_traded_by_the_next_session(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1})
    with scene(floor, D1, at=before_cut_off(floor, D1, 1.0)) as desk:
        desk.broker.fail_next(Fault.LOST)
        assert desk.run("one").run.outcome is Outcome.NOTHING_TRADED
    with scene(floor, D2) as desk:
        assert desk.run("two").run.outcome is Outcome.DONE
        assert len(desk.booked()) == 1


def test_halted_in_the_middle_and_again_after_it(tmp_path: Path) -> None:
    """Some orders had left: the session is used up, and what recovery says counts the same."""
    floor = written(tmp_path, {"A": 0.1, "B": 0.1, "C": 0.1})
    with scene(floor, D1) as desk:

        def halt(number: int, _: object) -> None:
            if number == 1:
                with desk.trading.ledger.transaction("control") as tx:
                    control.put(tx, control.HALTED, "scripted", "by hand", "ann", "enough")

        desk.broker.hook = halt
        ended = desk.run("one").run
        assert ended.outcome is Outcome.PARTIAL
        assert ended.message.startswith("3 orders: 1 acknowledged, 2 denied; B, C: ")
        with desk.trading.ledger.transaction("control") as tx:
            control.drop(tx, control.HALTED, "scripted", "ann", "again")
        with pytest.raises(SigcError, match="already"):
            desk.run("two")


def test_a_run_whose_cut_off_is_not_known_is_brought_to_its_end(tmp_path: Path) -> None:
    """Such as a ledger of before cut-offs has: nothing of it is sent any more, and it is over."""
    with scene(written(tmp_path, {"A": 0.1}), D1) as desk:
        run = Run("old", RunKey("scripted", "main", D2), D1, 0, desk.clock.now(), "ann")
        order = replace(AN_ORDER, client_order_id="order", run="old", key=run.key)
        with desk.trading.ledger.transaction("intents") as tx:
            books.open_book(tx, BookKey("scripted", "main"), Decimal(1_000_000), desk.clock.now(), D1)
            runs.open_run(tx, run, {})
            runs.mark_decided(tx, run)
            orders.plan(tx, [order])
        outcome, text, _ = finish(desk.trading, run)
        assert (outcome, desk.booked()) == (Outcome.NOTHING_TRADED, [])
        assert text.startswith("1 order: 1 denied; A: cut_off can't be evaluated: no cut-off is known")


@pytest.mark.parametrize(
    ("asked", "window", "first"),
    [
        ((60, 120), None, 60),
        ((120, 60), None, 60),
        ((), None, 0),
        ((None, 60), None, 60),
        ((60, 75), 30, 30),  # of slices that were spread again, in a window that began before
    ],
)
def test_the_time_to_send_runs_from_the_first_order_that_has_to_wait(
    tmp_path: Path, asked: tuple[int | None, ...], window: int | None, first: int
) -> None:
    """In minutes: ten from the first order, or from the window; a ledger of before windows has none."""
    with scene(written(tmp_path, {"A": 0.1}, config=free(execution={"execute_deadline_s": 600.0})), D1) as desk:
        now = desk.clock.now()
        run = Run("old", RunKey("scripted", "main", D2), D1, 0, now, "ann", cut_off=now + timedelta(days=1))
        due = [None if m is None else now + timedelta(minutes=m) for m in asked]
        of = replace(AN_ORDER, run="old", key=run.key, parent="" if window is None else "whole")
        with desk.trading.ledger.transaction("intents") as tx:
            runs.open_run(tx, run, {})
            runs.mark_decided(tx, run)
            orders.plan(tx, [replace(of, client_order_id=f"o{n}", place=n, not_before=at) for n, at in enumerate(due)])
            if window is not None:
                begins = now + timedelta(minutes=window)
                said = window_record(Window(begins, begins + timedelta(hours=1)))
                tx.audit(runs.event("run.decided", run, said))
        watch = RunWatch()
        completion(desk.trading, run, watch)
        assert watch.pulse.ends == now + timedelta(minutes=first + 10)
