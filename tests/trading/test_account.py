"""Two books in one account: limits over both, the pace of orders, and opposite orders that never are open together."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.store.ledger.records import IntentState, Outcome
from sigc_pipelines.live.account_judge import whole_exposure
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, Scene, before_cut_off, free, scene, written

S = IntentState


def floors(folder: Path, one: dict[str, Any], two: dict[str, Any], **account: Any) -> tuple[Floor, Floor]:
    """Two strategies with a million each, at 100 a share, in one ledger."""
    config = free(safety={"max_position": 2.0, "account": account})
    names = dict.fromkeys([*one, *two], 0.0)  # of one universe: its files are those of both
    wanted = (("one", names | one), ("two", names | two))
    made = [written(folder, weights, config=config, name=name) for name, weights in wanted]
    return made[0], made[1]


def carried(desk: Scene, floor: Floor, id: str) -> dict[str, IntentState]:
    floor.run(desk.trading, id)
    return desk.states(id)


@pytest.mark.parametrize(("most", "state"), [(0.3, S.ACKNOWLEDGED), (0.29, S.DENIED)])
def test_a_position_of_both_books(tmp_path: Path, most: float, state: IntentState) -> None:
    """40 % of one million and 20 % of the other: 30 % of both, while the first orders are still open."""
    first, second = floors(tmp_path, {"A": 0.4}, {"A": 0.2, "B": 0.1}, max_position=most)
    with scene(first, D1) as desk:
        assert carried(desk, second, "two") == {"A": S.ACKNOWLEDGED, "B": S.ACKNOWLEDGED}
        assert carried(desk, first, "one") == {"A": state}
        if state is S.DENIED:
            told = "of all books: the weight of A may come to 0.3; the limit is 0.29 (safety.account.max_position)"
            assert desk.intents("one")["A"].message == told
        with desk.trading.ledger.reading() as connection:
            whole = whole_exposure(connection, desk.record("one"))
        bought = 6_000 if state is S.ACKNOWLEDGED else 2_000
        assert whole.nav == 2_000_000
        assert whole.line("A").buying == bought
    with scene(first, D2) as desk:  # held, and no more in flight
        second.run(desk.trading, "three")
        with desk.trading.ledger.reading() as connection:
            line = whole_exposure(connection, desk.record("three")).line("A")
        assert line.quantity == bought
        assert line.buying == 0


def test_a_book_may_leave_what_the_account_has_too_much_of(tmp_path: Path) -> None:
    first, second = floors(tmp_path, {"A": [0.4, 0.1]}, {"A": 0.4})
    with scene(first, D1) as desk:
        carried(desk, first, "one")
        carried(desk, second, "two")
    tight = free(safety={"max_position": 2.0, "account": {"max_position": 0.1, "max_gross": 0.1, "max_net": 0.1}})
    strict = Floor(first.strategy, first.space, first.work_dir, tight, first.calendar)
    with scene(strict, D2) as desk:
        assert strict.run(desk.trading, "three").run.outcome is Outcome.DONE
        (sold,) = desk.intents("three").values()
        assert (sold.side, sold.quantity) == ("sell", Decimal(3_000))


def test_orders_beyond_a_minutes_number_wait_and_all_leave(tmp_path: Path) -> None:
    first, second = floors(tmp_path, dict.fromkeys("ABCDE", 0.1), {"A": 0.1}, max_orders_a_minute=2)
    with scene(first, D1) as desk:
        assert set(carried(desk, first, "one").values()) == {S.ACKNOWLEDGED}
        assert carried(desk, second, "two") == {"A": S.ACKNOWLEDGED}
        sent = sorted(at for name, at in desk.broker.calls if name == "submit")
        assert len(sent) == 6
        for earliest, third in zip(sent, sent[2:], strict=False):
            assert third - earliest >= timedelta(minutes=1)
        assert sent[-1] - sent[0] < timedelta(minutes=3)


def test_buying_power_is_what_the_broker_tells(tmp_path: Path) -> None:
    """A million at a leverage of 4: an eighth of it is 500,000, of which A takes 400,000 and B wants 200,000 more."""
    first, _ = floors(tmp_path, {"A": 0.4, "B": 0.2, "C": 0.1}, {}, max_buying_power=0.125)
    with scene(first, D1) as desk:
        assert carried(desk, first, "one") == {"A": S.ACKNOWLEDGED, "B": S.DENIED, "C": S.ACKNOWLEDGED}
        assert "the orders may take 600000.00 of buying power; the limit is 500000" in desk.intents()["B"].message


def apart(desk: Scene) -> None:
    """Have the broker be none that is told the market, as a live one."""
    can = desk.broker.capabilities()
    desk.broker.capabilities = lambda: replace(can, simulated=False)  # type: ignore[method-assign]
    desk.paper.deposit("for the second book", Decimal(1_000_000))


def test_an_opposite_order_waits_until_the_other_is_over(tmp_path: Path) -> None:
    first, second = floors(tmp_path, {"A": 0.1}, {"A": -0.1, "B": 0.1})
    with scene(first, D1, at=before_cut_off(first, D1, 600.0)) as desk:
        assert carried(desk, first, "one") == {"A": S.ACKNOWLEDGED}  # and open: it fills at the close
        apart(desk)
        begun = desk.clock.now()

        def later(number: int, _: object) -> None:
            if number == 2:  # B has left: the rival is cancelled while A waits
                (open_,) = [o for o in desk.booked() if o.request.asset == "A"]
                desk.paper.cancel(open_.request.client_order_id)

        desk.broker.hook = later
        assert carried(desk, second, "two") == {"A": S.ACKNOWLEDGED, "B": S.ACKNOWLEDGED}
        sent = [at for name, at in desk.broker.calls if name == "submit"]
        assert len(sent) == 3
        assert desk.intents("one")["A"].state is S.CANCELLED
        assert timedelta(0) < sent[-1] - begun <= timedelta(seconds=30)


def test_an_opposite_order_that_waits_to_the_cut_off_ends_unsent(tmp_path: Path) -> None:
    first, second = floors(tmp_path, {"A": 0.1}, {"A": -0.1})
    with scene(first, D1, at=before_cut_off(first, D1, 60.0)) as desk:
        carried(desk, first, "one")
        apart(desk)
        assert carried(desk, second, "two") == {"A": S.EXPIRED}
        assert len(desk.booked()) == 1
