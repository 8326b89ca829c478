"""Circuit breakers on a scripted market: what trips them, what each holds back, and that they stay tripped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sigc.errors import SigcError
from sigc.store.history import book_worth
from sigc.store.history.breaker_standing import standing
from sigc.store.history.breaker_values import BreakerState
from sigc.store.ledger import adjustments, books, breakers, control, halting, proof
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.book_rename import rename_strategy
from sigc.store.ledger.breakers import TrippedBreaker
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import ZERO, BookKey, IntentState, Nav, Outcome
from sigc_pipelines.backtest.backtest import pick
from sigc_pipelines.backtest.replay import replay
from sigc_pipelines.compute import load
from sigc_pipelines.live.tripping import judge_breakers
from sigc_pipelines.stopping.breaker_closing import close_by_breakers
from tests.killing import Kill, Tally, child
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, D4, D5, Scene, free, scene, written

S = IntentState
BOOK = BookKey("scripted", "main")
FALL = [100.0, 100.0, 98.0, 98.0, 98.0]  # bought at the close of D2; 2 % are lost at that of D3


def floor_of(
    folder: Path, prices: list[float] | None = None, weights: Mapping[str, Any] | None = None, **safety: Any
) -> Floor:
    """All of a book's million in A, at 100 a share, unless other weights are given."""
    return written(
        folder,
        weights or {"A": [1.0, 1.0, 0.5, 0.9, 0.5]},
        {"A": prices or FALL},
        config=free(safety={"max_position": 2.0, **safety}),
    )


def breaker(action: str = "halt_trading", threshold: float = 0.02, **said: Any) -> dict[str, Any]:
    return {"circuit_breakers": [{"name": "big", "type": "loss", "threshold": threshold, "action": action, **said}]}


def bought(floor: Floor) -> None:
    """Orders of D1 that are filled at the close of D2."""
    with scene(floor, D1) as desk:
        assert desk.run("one").run.outcome is Outcome.DONE
    with scene(floor, D2) as desk:
        assert desk.run("two").run.outcome in (Outcome.UNCHANGED, Outcome.DONE)
        assert desk.held() == {"A": Decimal(10_000)}


def tripped(desk: Scene) -> dict[tuple[str, str], TrippedBreaker]:
    with desk.trading.ledger.reading() as connection:
        return {(one.name, one.strategy): one for one in breakers.tripped(connection)}


def reset(desk: Scene, name: str = "big") -> None:
    with desk.trading.ledger.transaction("control") as tx:
        one = next(o for o in breakers.tripped(tx.connection) if o.name == name)
        last = books.last_nav(tx.connection, BOOK)
        breakers.reset(tx, one, "" if last is None else last.session, "ann", "looked at it")


@pytest.mark.parametrize(
    ("price", "is_tripped"), [(98.0, True), (97.99, True), (98.01, False), (100.0, False), (103.0, False)]
)
def test_a_daily_loss_of_exactly_the_limit_trips(tmp_path: Path, price: float, is_tripped: bool) -> None:
    """10,000 shares at 100 that are worth 98: 20,000 of 1,000,000."""
    floor = floor_of(tmp_path, [100.0, 100.0, price], daily_loss=0.02)
    bought(floor)
    with scene(floor, D3) as desk:
        ended = desk.run("three")
        assert bool(tripped(desk)) is is_tripped
        if not is_tripped:
            assert ended.run.outcome is Outcome.DONE
            return
        one = tripped(desk)["daily_loss", "scripted"]
        assert (one.session, one.action) == (D3, "halt_trading")
        assert one.value == pytest.approx(1 - price / 100)
        assert (ended.run.outcome, ended.orders) == (Outcome.REFUSED, ())
        assert "the breaker daily_loss has tripped: the book lost 2" in ended.run.message
        # In one transaction: the NAV, then the breaker, with nothing in between.
        with desk.trading.ledger.reading() as connection:
            events = [e for (e,) in connection.execute("SELECT event FROM audit ORDER BY seq")]
        at = events.index("control.set")
        assert events[at - 1] == "nav"
        assert desk.audit("nav")[-1]["at"] == desk.audit("control.set")[-1]["at"]


def test_it_holds_over_a_restart_and_a_resume_until_it_is_reset(tmp_path: Path) -> None:
    floor = floor_of(tmp_path, **breaker())
    bought(floor)
    with scene(floor, D3) as desk:
        assert desk.run("three").run.outcome is Outcome.REFUSED
    with scene(floor, D4) as desk:
        for how in ({}, {"is_forced": True, "reason": "but I must"}):
            with pytest.raises(SigcError, match="the breaker big has tripped: the book lost 2 %") as no:
                desk.run("four", **how)
            assert no.value.diagnostics[0].code == "E802"
            assert "sigc safety reset big" in no.value.diagnostics[0].hint
        with desk.trading.ledger.transaction("control") as tx:  # a person's halt, and its end
            halting.halt_by_hand(tx, "scripted", "ann", "enough")
            control.drop(tx, control.HALTED, "scripted", "ann", "again")
        with pytest.raises(SigcError, match="breaker big"):
            desk.run("five")
        reset(desk)
        assert desk.run("six").run.outcome is Outcome.DONE  # what was lost before is not judged again
        assert not tripped(desk)
        assert [r["who"] for r in desk.audit("control.dropped")] == ["ann", "ann"]


def test_a_breaker_that_is_written_later_is_judged_before_the_next_run(tmp_path: Path) -> None:
    calm, strict = floor_of(tmp_path), free(safety={"max_position": 2.0, **breaker(type="drawdown")})
    bought(calm)
    with scene(calm, D3) as desk:
        assert desk.run("three").run.outcome is Outcome.DONE
    config = Floor(calm.strategy, calm.space, calm.work_dir, strict, calm.calendar)
    with scene(config, D3) as desk, pytest.raises(SigcError, match="2 % below the highest close"):
        desk.run("four", is_forced=True, reason="again")
    with scene(config, D3) as desk:
        assert set(tripped(desk)) == {("big", "scripted")}


def test_orders_that_wait_are_denied_when_it_trips(tmp_path: Path) -> None:
    floor = floor_of(tmp_path, weights={"A": 0.5, "B": 0.1})
    with scene(floor, D1) as desk:
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, control.PAUSED, "scripted", "by hand", "ann", "a moment")
        rule = free(safety=breaker()).safety.circuit_breakers[0]

        def trips(number: int, _: object) -> None:
            if number == 1:
                with desk.trading.ledger.transaction("control") as tx:
                    breakers.trip(tx, rule, None, 0.03, D1, "all books lost 3 %")

        desk.broker.hook = trips
        ended = desk.run("one", is_forced=True, reason="once")
        assert [i.state for i in ended.orders] == [S.ACKNOWLEDGED, S.DENIED]
        assert ended.orders[1].message == "everything is halted by the breaker big: all books lost 3 %"


def test_reduce_exposure_sends_only_what_reduces(tmp_path: Path) -> None:
    """10,000 of A are held; half of it goes, B is not bought; and a day later no more of A."""
    weights = {"A": [1.0, 1.0, 0.5, 0.9], "B": [0.0, 0.0, 0.3, 0.3]}
    floor = floor_of(tmp_path, weights=weights, **breaker("reduce_exposure"))
    bought(floor)
    with scene(floor, D3) as desk:
        ended = desk.run("three")
        assert ended.run.outcome is Outcome.PARTIAL
        assert desk.states("three") == {"A": S.ACKNOWLEDGED, "B": S.DENIED}
        assert "only orders that reduce are sent: the breaker big has tripped" in desk.intents()["B"].message
    with scene(floor, D4) as desk:
        assert desk.run("four").run.outcome is Outcome.NOTHING_TRADED
        assert set(desk.states("four").values()) == {S.DENIED}
        reset(desk)
        assert desk.run("five", is_forced=True, reason="again").run.outcome is Outcome.DONE


def test_a_pause_is_over_after_half_an_hour_and_comes_again_with_the_next_loss(tmp_path: Path) -> None:
    floor = floor_of(tmp_path, [100.0, 100.0, 98.0, 98.0, 95.0], {"A": 1.0}, **breaker("pause_30min"))
    bought(floor)
    with scene(floor, D3) as desk:
        begun = desk.clock.now()
        assert "no run begins until" in desk.run("three").run.message
        desk.clock.turn(begun + timedelta(minutes=30, seconds=-1))
        with pytest.raises(SigcError, match="no run begins until"):
            desk.run("four", is_forced=True, reason="now")
        desk.clock.turn(begun + timedelta(minutes=30))
        assert desk.run("five").run.outcome is Outcome.DONE
        assert tripped(desk)["big", "scripted"].session == D3  # and stays in the list until it is reset
    with scene(floor, D4) as desk:
        assert desk.run("six").run.outcome.is_success  # no loss
    with scene(floor, D5) as desk:
        assert desk.run("seven").run.outcome is Outcome.REFUSED
        assert tripped(desk)["big", "scripted"].session == D5


def test_alert_only_holds_nothing_back(tmp_path: Path) -> None:
    floor = floor_of(tmp_path, **breaker("alert_only"))
    bought(floor)
    with scene(floor, D3) as desk:
        ended = desk.run("three")
        assert ended.run.outcome is Outcome.DONE
        told = [f.message for s in ended.stages for f in s.findings if f.check == "breaker"]
        assert told == [f"the breaker big has tripped (alert_only): {tripped(desk)['big', 'scripted'].text}"]


def closing(desk: Scene) -> list[tuple[str, str, Decimal, IntentState]]:
    return [(i.key.slot, i.asset, i.side.sign * i.quantity, i.state) for i in desk.intents().values() if i.key.slot]


def test_flatten_halts_and_closes_what_is_held(tmp_path: Path) -> None:
    floor = floor_of(tmp_path, **breaker("flatten"))
    bought(floor)
    with scene(floor, D3) as desk:
        assert desk.run("three").run.outcome is Outcome.REFUSED
        (closed,) = close_by_breakers(desk.trading)
        assert (closed.key, closed.kept) == (BOOK, ())
        assert closing(desk) == [("flatten", "A", Decimal(-10_000), S.ACKNOWLEDGED)]
        assert close_by_breakers(desk.trading) == ()  # once a session
        record = next(r for r in desk.audit("run.opened") if "flatten" in r["run"])
        assert record["who"] == "the breaker big"
    with scene(floor, D4) as desk:
        with pytest.raises(SigcError, match="breaker big"):
            desk.run("four")
        floor.feed()
        desk.paper.mark(D4, desk.clock.now(), {"A": Decimal(98)}, {"A": Decimal(10**7)})
    with scene(floor, D4) as desk:
        assert desk.held() == {}
        assert close_by_breakers(desk.trading) == ()


def test_flatten_is_carried_out_wherever_the_process_was_killed(tmp_path: Path) -> None:
    """SIGKILL at each fail point between the close that is valued and the last word of the closing orders."""
    base = floor_of(tmp_path / "base", **breaker("flatten"))
    bought(base)
    import shutil

    point, tally = 1, Tally()
    while True:
        folder = tmp_path / f"at-{point}"
        shutil.copytree(base.work_dir, folder)
        floor = Floor(base.strategy, base.space, folder, base.config, base.calendar)

        def work(floor: Floor = floor) -> int:
            with scene(floor, D3) as desk:
                desk.run("three")
                close_by_breakers(desk.trading)
            return 0

        code = child(work, Kill(point=point), tally)
        with scene(floor, D3) as desk:  # the next start: it recovers, keeps the book, and closes
            if code != 0 and not tripped(desk):
                desk.run("again")
            assert set(tripped(desk)) == {("big", "scripted")}
            close_by_breakers(desk.trading)
            sold = [o for o in desk.booked() if o.request.side == "sell"]
            assert [o.request.quantity for o in sold] == [Decimal(10_000)]
            assert close_by_breakers(desk.trading) == ()
        shutil.rmtree(folder)
        if code == 0:
            break
        point += 1
    assert tally.points["fills:committed"] >= 1  # tripped, and nothing done about it
    assert tally.points["post:before"] >= 1
    assert point > 20


# Over all books.


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    from sigc.clock import HandClock
    from tests.trading.test_valuing import D1 as FIRST

    with Ledger.open(tmp_path, HandClock(FIRST.open), durable=False) as opened:
        yield opened


def valued(
    ledger: Ledger, key: BookKey, navs: Mapping[str, str], limit: Mapping[str, float], capital: int = 100
) -> list[str]:
    """Give a book its NAVs, each in a transaction of its own, as a daemon does; the breakers that tripped."""
    limits, found = free(safety=limit).safety, list[str]()
    for session, nav in navs.items():
        with ledger.transaction("fills") as tx:
            books.open_book(tx, key, Decimal(capital), tx.at)
            books.put_nav(tx, Nav(key, session, Decimal(nav), Decimal(nav), ZERO, ZERO))
            found += [
                f"{one.name} of {one.strategy or 'all'} at {one.session}"
                for one in judge_breakers(tx, limits, key, [session])
            ]
    return found


ONE, TWO = BookKey("one", "main"), BookKey("two", "main")


def test_one_book_may_lose_what_the_other_gains(ledger: Ledger) -> None:
    """One loses 6 % and the other gains 6 %: together nothing, whichever is valued first."""
    limit = {"daily_loss": 0.05}
    assert valued(ledger, ONE, {"d1": "100"}, limit) == []
    assert valued(ledger, TWO, {"d1": "100"}, limit) == []
    assert valued(ledger, ONE, {"d2": "94"}, limit) == ["daily_loss of one at d2"]
    assert valued(ledger, TWO, {"d2": "106"}, limit) == []
    with ledger.reading() as connection:
        assert breakers.halt_of(connection, "two") is None
        assert breakers.halt_of(connection, "one") is not None
    # Then both lose: 94 + 106 = 200 becomes 190, which is 5 % of all; neither book alone lost so much but the second.
    assert valued(ledger, ONE, {"d3": "92"}, limit) == []
    assert valued(ledger, TWO, {"d3": "98"}, limit) == ["daily_loss of two at d3", "daily_loss of all at d3"]
    with ledger.reading() as connection:
        assert breakers.halt_of(connection, "three") is not None


def test_a_book_that_is_opened_later_brings_no_gain(ledger: Ledger) -> None:
    limit = {"drawdown": 0.1}
    valued(ledger, ONE, {"d1": "100", "d2": "95"}, limit)
    valued(ledger, TWO, {"d2": "1000"}, limit, 1_000)
    with ledger.reading() as connection:
        found = book_worth.of_all(connection)
        closes = [(c.session, str(c.nav), str(c.flow)) for c in found.closes]
        assert closes == [("d1", "100", "0"), ("d2", "1095", "1000")]
        (of_all,) = [one for one in standing(connection, free(safety=limit).safety) if one.book is None]
        assert of_all.found.value == 0.05  # of one's: the other has neither won nor lost


def test_a_book_that_falls_behind_does_not_keep_all_from_being_judged(ledger: Ledger) -> None:
    limit = {"daily_loss": 0.05}
    for key in (ONE, TWO):
        valued(ledger, key, {"d1": "100"}, limit)
    assert valued(ledger, ONE, {"d2": "96"}, limit) == []  # two has a day to be valued
    with ledger.reading() as connection:
        assert [c.session for c in book_worth.of_all(connection).closes] == ["d1"]
        assert book_worth.of_all(connection).late == ()
    assert valued(ledger, ONE, {"d3": "84"}, limit) == ["daily_loss of one at d3", "daily_loss of all at d3"]
    with ledger.reading() as connection:
        assert book_worth.of_all(connection).late == ("two/main since d1",)


def test_money_that_was_transferred_is_no_loss(ledger: Ledger) -> None:
    limit = {"daily_loss": 0.05, "drawdown": 0.05}
    valued(ledger, ONE, {"d1": "100"}, limit)

    def entry(cause: GapCause, cash: str, session: str) -> None:
        made = Adjustment(
            *(ONE, "", ZERO, Decimal(cash), cause, None, session, ledger.clock.now(), "ann", "so the bank says")
        )
        with ledger.transaction("adopt") as tx:
            adjustments.adjust(tx, [made])

    entry(GapCause.TRANSFER, "-40", "d2")
    assert valued(ledger, ONE, {"d2": "59"}, limit) == []  # 1 of 100 was lost
    entry(GapCause.FEE, "-4", "d3")  # a fee is one
    assert valued(ledger, ONE, {"d3": "55"}, limit) == ["daily_loss of one at d3", "drawdown of one at d3"]


def test_navs_that_nobody_can_judge_are_told(ledger: Ledger) -> None:
    limits = free(safety={"daily_loss": 0.05}).safety
    assert valued(ledger, ONE, {"d1": "100", "d2": "NaN"}, {"daily_loss": 0.05}) == []
    with ledger.reading() as connection:
        (one,) = standing(connection, limits)
        assert (one.found.state, one.tripped) == (BreakerState.UNKNOWN, None)
        (none,) = standing(connection, limits, TWO)
        assert none.found.state is BreakerState.SHORT
    # The next known close is measured against the unknown one: not known either; then it is again.
    assert valued(ledger, ONE, {"d3": "50", "d4": "45"}, {"daily_loss": 0.05}) == ["daily_loss of one at d4"]


def test_a_renamed_strategy_keeps_its_breakers(ledger: Ledger) -> None:
    valued(ledger, ONE, {"d1": "100", "d2": "90"}, {"daily_loss": 0.05})
    with ledger.transaction("control") as tx:
        rename_strategy(tx, "one", "three", "ann", "a better name")
        assert breakers.halt_of(tx.connection, "one") is None
        (one,) = breakers.tripped(tx.connection)
        assert one.book == BookKey("three", "main")
        assert proof.faults(tx.connection, is_whole=False) == ()
        breakers.reset(tx, one, "d2", "ann", "seen")
        rename_strategy(tx, "three", "four", "ann", "a better one")
        assert breakers.reset_at(tx.connection, "daily_loss", BookKey("four", "main")) == "d2"
        assert proof.faults(tx.connection, is_whole=False) == ()


def test_a_breaker_that_vanishes_from_its_table_is_tripped_again(ledger: Ledger) -> None:
    valued(ledger, ONE, {"d1": "100", "d2": "90"}, {"daily_loss": 0.05})
    with ledger.transaction("control") as tx:
        before = breakers.tripped(tx.connection)
        tx.connection.execute("DELETE FROM control WHERE name = 'breaker'")
        assert breakers.halt_of(tx.connection, "one") is None
        proof.prove(tx)
        (again,) = breakers.tripped(tx.connection)
        assert (again.name, again.book, again.value) == (before[0].name, before[0].book, before[0].value)
        assert breakers.halt_of(tx.connection, "one") is not None


@pytest.mark.parametrize("action", ["flatten", "halt_trading"])
def test_a_replay_stops_where_the_breaker_trips(tmp_path: Path, action: str) -> None:
    """A backtest with orders: 98 at the close of D3 trips it; closed at D4's, or held down to the last price."""
    floor = floor_of(tmp_path, [100.0, 100.0, 98.0, 97.0, 90.0, 80.0], {"A": [1.0] * 5 + [0.5]}, **breaker(action))
    loaded = load(floor.strategy, floor.space)
    done = replay(loaded, floor.space, pick(loaded), floor.config, floor.calendar, capital=1_000_000.0)
    growth = float(np.prod(1.0 + done.result.returns))
    assert growth == pytest.approx(0.97 if action == "flatten" else 0.80, abs=1e-6)
    assert any("the breaker big has tripped" in found.message for found in done.result.findings)
