"""The stage that decides: what a dry run is told, what is changed, marked and left pending; and a few runs at odd brokers."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sigc.errors import Severity
from sigc.store.ledger import orders, runs
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import Finding, Intent, IntentState, Outcome, Run, RunKey, Side
from sigc_pipelines.stages import execute
from tests.trading.script import D1, D2, D3, before_cut_off, free, scene, written
from tests.trading.test_close_out_by_hand import KEY, opened

D = Decimal
DONE, PARTIAL, NOTHING = Outcome.DONE, Outcome.PARTIAL, Outcome.NOTHING_TRADED
WENT, DENIED = IntentState.PLANNED, IntentState.DENIED


def intents(*states: IntentState) -> tuple[Intent, ...]:
    key = RunKey("scripted", "main", D3)
    return tuple(
        Intent(f"o{n}", "one", key, n, f"A{n}", Side.BUY, D(1), D(1), state=state) for n, state in enumerate(states)
    )


def told(
    states: tuple[IntentState, ...],
    denied: int = 0,
    *,
    refused: str = "",
    unknown: str = "",
    doubts: tuple[str, ...] = (),
) -> tuple[Outcome, str]:
    """What a dry run comes to by its orders, its findings and its rehearsal."""
    rehearsal = SimpleNamespace(refused=refused, unknown=unknown)
    why = [Finding("order_value", Severity.DENIAL, f"why {n}", (f"A{n}",)) for n in range(denied)]
    loaded = SimpleNamespace(doubts=[Finding("data", Severity.WARNING, text) for text in doubts])
    context: Any = SimpleNamespace(rehearsal=rehearsal)
    ended = execute._would_go_out(context, loaded, intents(*states), why)  # type: ignore[arg-type]
    assert ended.orders == intents(*states)
    return ended.outcome, ended.message


@pytest.mark.parametrize(
    ("states", "outcome", "message"),
    [
        ((), DONE, "0 orders would go out"),
        ((WENT,), DONE, "1 order would go out"),
        ((WENT, WENT), DONE, "2 orders would go out"),
        ((WENT, DENIED, WENT), PARTIAL, "2 orders would go out; 1 would be denied"),
        ((DENIED, DENIED), NOTHING, "0 orders would go out; 2 would be denied"),
    ],
)
def test_a_dry_run_comes_to_what_its_orders_would(
    states: tuple[IntentState, ...], outcome: Outcome, message: str
) -> None:
    assert told(states) == (outcome, message)


@pytest.mark.parametrize(("denied", "more"), [(5, ""), (6, "; and 1 more reasons"), (7, "; and 2 more reasons")])
def test_a_dry_run_tells_the_first_five_reasons(denied: int, more: str) -> None:
    reasons = "; ".join(f"A{n}: why {n} (safety.max_order_value)" for n in range(5))
    message = f"0 orders would go out; 7 would be denied; {reasons}{more}"
    assert told((DENIED,) * 7, denied) == (NOTHING, message)


def test_a_dry_run_tells_what_would_keep_a_trade_from_going_on() -> None:
    message = "1 order would go out; a run now would be refused: it is halted; the fills are not known; old; odd"
    how = {"refused": "it is halted", "unknown": "the fills are not known"}
    assert told((WENT,), **how, doubts=("old", "odd")) == (DONE, message)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("check", "assets", "says"),
    [
        ("order_value", ("A",), "A: why (safety.max_order_value)"),
        ("halted", ("A", "B", "C", "D"), "A, B, C and 1 more: why"),
    ],
)
def test_a_reason_names_its_setting_if_it_has_one(check: str, assets: tuple[str, ...], says: str) -> None:
    assert execute._reason(Finding(check, Severity.DENIAL, "why", assets)) == says


def test_what_is_in_flight_is_summed_by_asset_with_its_sign(tmp_path: Path) -> None:
    """Of A 30 are bought, 10 of them filled, and 5 sold; of B 7 are sold; what other books order is not counted."""
    with opened(tmp_path) as desk:
        for number, (asset, side, quantity, strategy) in enumerate(
            [
                ("A", Side.BUY, 30, "scripted"),
                ("A", Side.SELL, 5, "scripted"),
                ("B", Side.SELL, 7, "scripted"),
                ("C", Side.BUY, 9, "other"),
            ]
        ):
            run = Run(f"r{number}", RunKey(strategy, "main", D3, slot=str(number)), D2, 0, desk.begun, "ann")
            with desk.trading.ledger.transaction("plan") as tx:
                runs.open_run(tx, run, {})
                orders.plan(tx, [Intent(run.id, run.id, run.key, 0, asset, side, D(quantity), D(1))])
                if not number:
                    tx.connection.execute("UPDATE intents SET filled = '10' WHERE client_order_id = 'r0'")
        context: Any = SimpleNamespace(account=desk.trading.ledger, book=KEY)
        assert execute._in_flight(context) == {"A": 15, "B": -7}


def snapshot(**more: Any) -> Any:
    return SimpleNamespace(names=("A", "B", "C", "D"), **more)


def decision(target: list[float], held: list[float], kept: tuple[str, ...] = (), odd: tuple[str, ...] = ()) -> Any:
    basis = SimpleNamespace(held=np.array(held))
    return SimpleNamespace(target=np.array(target), basis=basis, kept=frozenset(kept), odd=frozenset(odd))


def test_what_is_held_to_the_bit_or_kept_is_no_change_unless_it_is_in_flight() -> None:
    made = decision([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.25, 0.5], kept=("D",))
    assert execute._changes(snapshot(), made, {}) == {"C": D("0.3")}
    assert execute._changes(snapshot(), made, {"B": D(1), "D": D(1)}) == {"B": D("0.2"), "C": D("0.3")}


def test_what_waited_and_was_not_ready_or_is_odd_goes_on_waiting() -> None:
    waiting = {"A": 0.1, "B": 0.2, "C": 0.3}
    computed: Any = SimpleNamespace(waiting=waiting, ready={"A": 0.1, "B": 0.2}, snapshot=None)
    made = decision([0.0] * 4, [0.0] * 4, odd=("B",))
    assert execute._pending(computed, made) == {"B": 0.2, "C": 0.3}


def test_what_is_wanted_of_assets_without_a_price_waits() -> None:
    nan = float("nan")
    seen = snapshot(prices=np.array([1.0, nan, nan, 1.0]), wanted=np.array([0.1, 0.2, nan, 0.4]))
    computed: Any = SimpleNamespace(waiting={"C": 0.3}, ready={}, snapshot=seen)
    made = decision([0.1, 0.0, 0.0, 0.3], [0.0] * 4, odd=("D",))
    assert execute._pending(computed, made) == {"B": 0.2, "D": 0.4}


@pytest.mark.parametrize("has_sectors", [True, False])
def test_what_is_held_or_ordered_is_marked(*, has_sectors: bool) -> None:
    """C is neither; Z is held and no asset of the strategy any more, without a price."""
    seen = snapshot(sectors=("x", "y", "x", "z") if has_sectors else None)
    now: Any = SimpleNamespace(positions={"A": D(1), "Z": D(2)}, prices={"A": D(10), "B": D(20), "C": D(30)})
    assert execute._marks(seen, now, {"B"}) == {
        "A": Mark(D(10), "x" if has_sectors else ""),
        "B": Mark(D(20), "y" if has_sectors else ""),
        "Z": Mark(None, ""),
    }


# Runs


@pytest.mark.parametrize(("crosses", "expected"), [(True, [1_500]), (False, [1_000, 500])])
def test_an_order_beyond_zero_is_split_where_the_broker_takes_none(
    tmp_path: Path, expected: list[int], *, crosses: bool
) -> None:
    floor = written(tmp_path, {"A": [0.1, -0.05]})
    with scene(floor, D1) as desk:
        desk.run("one")
    with scene(floor, D2, can={"crosses_zero": crosses}) as desk:
        assert [int(i.quantity) for i in desk.run("two").orders] == expected


def test_a_part_of_a_share_is_sold_short_in_the_lots_of_shorts(tmp_path: Path) -> None:
    """A tenth of a million at 300 is 333 and a third: bought in hundredths, sold short in whole shares."""
    floor = written(tmp_path, {"A": 0.1, "B": -0.1}, {"A": 300.0, "B": 300.0})
    steps = {"quantity_step": D("0.01")}
    with scene(floor, D1, can=steps | {"short_step": D(1)}) as desk:
        found = {i.asset: i.quantity for i in desk.run("one").orders}
    assert found == {"A": D("333.33"), "B": D(333)}
    other = written(tmp_path / "other", {"A": 0.1, "B": -0.1}, {"A": 300.0, "B": 300.0})
    with scene(other, D1, can=steps) as desk:
        found = {i.asset: i.quantity for i in desk.run("one").orders}
    assert found == {"A": D("333.33"), "B": D("333.33")}


def test_the_deadline_runs_from_the_opening_that_orders_wait_for(tmp_path: Path) -> None:
    """Ten minutes to send, and half a day to the open: they fit."""
    floor = written(tmp_path, {"A": 0.1}, config=free(execution={"execute_deadline_s": 600.0}))
    with scene(floor, D1, can={"queues": False}) as desk:
        assert desk.run("one").run.outcome is Outcome.DONE


def test_the_deadline_runs_from_the_first_slice_on(tmp_path: Path) -> None:
    """One a minute, at 0, 20 and 40 minutes of an hour: the third is due ten minutes after the deadline."""
    twap = {"style": "twap", "slices": 3, "window_minutes": 60.0, "execute_deadline_s": 1_800.0}
    floor = written(tmp_path, {"A": 0.1}, config=free(execution=twap))
    at = before_cut_off(floor, D1, 7_200.0)
    with scene(floor, D1, at=at, can={"orders_per_minute": 1}) as desk:
        ended = desk.run("one")
        assert (ended.run.outcome, [d.code for d in ended.problems]) == (Outcome.REFUSED, ["E806"])
        assert desk.intents() == {}


@pytest.mark.parametrize("style", ["twap", "immediate"])
def test_a_decision_has_the_window_of_its_slices(tmp_path: Path, style: str) -> None:
    twap = {"style": style, "slices": 2, "window_minutes": 60.0}
    floor = written(tmp_path, {"A": 0.1}, config=free(execution=twap))
    at = before_cut_off(floor, D1, 7_200.0)
    with scene(floor, D1, at=at) as desk:
        desk.run("one")
        (said,) = desk.audit("run.decided")
    window = [at.isoformat(), (at + timedelta(hours=1)).isoformat()]
    assert said["payload"].get("window") == (window if style == "twap" else None)
