"""One can always get out: books ten times over a limit, or worth nothing, are reduced by their own next run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.store.ledger.records import IntentState, Outcome
from tests.trading.script import D1, D2, D3, D4, D5, Column, free, scene, written

WIDE = {"max_position": 9.0, "max_change": 9.0, "max_turnover": 9.0, "max_gross": 9.0, "min_cash": -9.0}
LONG: Mapping[str, Column] = {"A": [2.0, 0.1], "B": [1.0, 0.05]}
BOTH: Mapping[str, Column] = {"A": [2.0, 0.1], "B": [-1.9, -0.05]}
ALL_OUT: Mapping[str, Column] = {"A": [2.0, 0.0], "B": [-1.9, 0.0]}
TURNED: Mapping[str, Column] = {"A": [2.0, 0.1], "B": [-1.9, -0.05], "C": [0.0, 0.1]}

LIMITS: list[tuple[dict[str, Any], Mapping[str, Column]]] = [
    ({"max_position": 0.2}, BOTH),
    ({"max_position": 0.2}, ALL_OUT),
    ({"max_gross": 0.39}, BOTH),
    ({"max_gross": 0.39, "max_gross_in_flight": 0.39}, ALL_OUT),
    ({"max_gross": 0.39, "max_gross_in_flight": 0.39, "max_net_in_flight": 0.2}, BOTH),
    ({"max_net": 0.3}, LONG),
    ({"max_net_in_flight": 0.3}, LONG),
    ({"max_sector": 0.3}, LONG),
    ({"max_sector_in_flight": 0.3}, LONG),
    ({"max_turnover": 0.39}, BOTH),
    ({"max_turnover": 0.39}, ALL_OUT),
    ({"max_turnover": 0.39, "max_gross": 0.39, "max_position": 0.2}, BOTH),
    ({"max_change": 0.2}, BOTH),
    ({"min_cash": 0.9}, BOTH),
    ({"min_cash_in_flight": 0.9}, BOTH),
    ({"neutral": True}, {"A": [2.0, 0.1], "B": [-1.0, -0.1]}),
    ({"max_deviation": 0.1, "min_history": 2}, BOTH),
    ({"max_missing_pct": 0.0, "max_anomalies_pct": 0.0}, BOTH),
]


@pytest.mark.parametrize(("safety", "weights"), LIMITS, ids=lambda v: "-".join(v) if isinstance(v, dict) else "")
def test_a_book_ten_times_over_gets_out_by_its_next_run(
    safety: dict[str, Any], weights: Mapping[str, Column], tmp_path: Path
) -> None:
    floor = written(tmp_path, weights, config=free(safety=WIDE))
    with scene(floor, D1) as desk:
        assert desk.run("build").run.outcome is Outcome.DONE
    with scene(replace(floor, config=free(safety=safety)), D2) as desk:
        ended = desk.run("out")
        assert ended.run.outcome is Outcome.DONE, ended.run.message
        assert set(desk.states("out").values()) == {IntentState.ACKNOWLEDGED}
    with scene(floor, D3) as desk:
        desk.run("after")
        wanted = {n: Decimal(round(w[1] * 10_000)) for n, w in weights.items() if not isinstance(w, float)}
        assert desk.held() == {n: q for n, q in wanted.items() if q}


def test_reductions_go_and_what_adds_is_denied(tmp_path: Path) -> None:
    """Its change is beyond the turnover of a session: what adds waits for the next one."""
    floor = written(tmp_path, TURNED, config=free(safety=WIDE))
    tight = replace(floor, config=free(safety={"max_turnover": 0.39, "max_position": 0.2}))
    with scene(floor, D1) as desk:
        desk.run("build")
    with scene(tight, D2) as desk:
        desk.run("out")
        states = desk.states("out")
        assert (states["A"], states["B"]) == (IntentState.ACKNOWLEDGED, IntentState.ACKNOWLEDGED)
        assert states["C"] is IntentState.DENIED
    with scene(tight, D3) as desk:
        desk.run("add")
        assert desk.states("add") == {"C": IntentState.ACKNOWLEDGED}


@pytest.mark.parametrize(
    "safety", [{"max_order_value": 400_000.0}, {"max_order_shares": 4_000.0}, {"max_adv_pct": 0.1}], ids=str
)
def test_a_reduction_larger_than_an_order_may_be_goes_in_parts(safety: dict[str, float], tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": [1.0, 0.0]}, volumes={"A": 40_000.0})
    tight = replace(floor, config=free(safety=safety))
    with scene(floor, D1) as desk:
        desk.run("build")
    for day, left in ((D2, 10_000), (D3, 6_000), (D4, 2_000)):
        with scene(tight, day) as desk:
            ended = desk.run(day)
            assert desk.held() == {"A": Decimal(left)}
            (order,) = ended.orders
            assert order.quantity == min(4_000, left)
            cut = [f.assets for s in ended.stages for f in s.findings if f.check == "cut"]
            assert cut == ([("A",)] if left > 4_000 else [])
    with scene(tight, D5) as desk:
        desk.run(D5)
        assert desk.held() == {}


@pytest.mark.parametrize("safety", [{"max_order_value": 400_000.0}, {"max_adv_pct": 0.1}], ids=str)
def test_what_adds_is_not_cut_but_denied(safety: dict[str, float], tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 1.0}, volumes={"A": 40_000.0}, config=free(safety=safety))
    with scene(floor, D1) as desk:
        desk.run("one")
        assert desk.states() == {"A": IntentState.DENIED}


@pytest.mark.parametrize("sizing", ["capital", "nav"])
@pytest.mark.parametrize(
    ("wanted", "left"), [(0.0, 0), (-0.5, 0), (0.5, 20_000), (float("nan"), 20_000)], ids=["none", "short", "long", "?"]
)
def test_a_book_of_negative_worth_reduces_what_is_not_wanted(
    wanted: float, left: int, sizing: str, tmp_path: Path
) -> None:
    """20,000 at 100 with 1,000,000 borrowed, now at 45: worth -100,000, as the second close at 45 confirms."""
    floor = written(tmp_path, {"A": [2.0, wanted], "B": [0.0, 0.0]}, prices={"A": [100.0, 100.0, 45.0]})
    floor = replace(floor, config=free(execution={"sizing": sizing}, safety=WIDE))
    with scene(floor, D1) as desk:
        desk.run("build")
    with scene(floor, D4) as desk:
        ended = desk.run("out")
        assert ended.run.outcome in (Outcome.DONE, Outcome.UNCHANGED), ended.run.message
        assert "worth" in [f.check for s in ended.stages for f in s.findings], desk.held()
    with scene(floor, D5) as desk:
        desk.run("after")
        assert desk.held().get("A", 0) == left
