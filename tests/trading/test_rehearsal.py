"""A dry run denies what the run right after it denies, on the same state, and changes nothing; each figure by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.store.ledger import control
from sigc.store.ledger.records import IntentState, Outcome, RunKind, StageName
from sigc_pipelines.live.trading import Ended
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, Column, Scene, free, scene, written

D = Decimal
DONE, PARTIAL, NOTHING = Outcome.DONE, Outcome.PARTIAL, Outcome.NOTHING_TRADED
DENIED = IntentState.DENIED


def market(folder: Path, safety: dict[str, Any], **weights: Column) -> Floor:
    return written(folder, weights, config=free(safety=safety))


def bounded(floor: Floor, **safety: Any) -> Floor:
    """The same floor with other limits."""
    limits = floor.config.safety.model_validate(floor.config.safety.model_dump() | safety)
    return replace(floor, config=floor.config.model_copy(update={"safety": limits}))


def lost(ended: Ended) -> list[tuple[str, str]]:
    return [(i.asset, i.message) for i in ended.orders if i.state is DENIED]


def both(desk: Scene) -> tuple[Ended, Ended]:
    """A dry run, then the run; they plan the same orders, and want the same to the bit."""
    before = desk.booked()
    dry = desk.run("dry", kind=RunKind.DRY)
    assert desk.booked() == before
    real = desk.run("real")
    assert [(i.asset, i.side, i.quantity) for i in dry.orders] == [(i.asset, i.side, i.quantity) for i in real.orders]
    assert dry.sight is not None
    assert real.sight is not None
    assert dry.sight.wanted.tobytes() == real.sight.wanted.tobytes()
    return dry, real


@pytest.mark.parametrize(
    ("safety", "outcome", "denied"),
    [
        ({}, DONE, ""),
        ({"max_order_value": 300_000.0}, DONE, ""),  # the largest is 30 % of a million
        ({"max_order_value": 299_999.0}, PARTIAL, "B"),
        ({"max_order_value": 1.0}, NOTHING, "ABC"),
        ({"max_orders_per_run": 1}, PARTIAL, "AB"),
        ({"restricted": ["A", "B", "C"]}, NOTHING, "ABC"),
        ({"account": {"max_gross": 0.35}}, PARTIAL, "AB"),  # what is denied frees its share for the last
    ],
)
def test_a_first_session(tmp_path: Path, safety: dict[str, Any], outcome: Outcome, denied: str) -> None:
    with scene(market(tmp_path, safety, A=0.1, B=0.3, C=0.2), D1) as desk:
        dry, real = both(desk)
        assert [ended.run.outcome for ended in (dry, real)] == [outcome, outcome]
        assert sorted(asset for asset, _ in lost(dry)) == [*denied]
        assert lost(dry) == lost(real)
        assert dry.run.message.startswith(
            {3: "3 orders", 2: "2 orders", 1: "1 order", 0: "0 orders"}[3 - len(denied)] + " would go out"
        )
        assert (f"{len(denied)} would be denied" in dry.run.message) is bool(denied)


def test_the_limit_is_named_by_its_setting(tmp_path: Path) -> None:
    with scene(market(tmp_path, {"max_order_value": 1.0}, A=0.1), D1) as desk:
        dry = desk.run("dry", kind=RunKind.DRY)
        told = "A: the order's value is 100000.0; the limit is 1.0 (safety.max_order_value)"
        assert dry.run.message == f"0 orders would go out; 1 would be denied; {told}"
        (execute,) = [s for s in dry.stages if s.name is StageName.EXECUTE]
        assert [(f.check, f.assets) for f in execute.findings] == [("order_value", ("A",))]


@pytest.mark.parametrize(
    ("safety", "outcome", "denied"),
    [
        ({}, DONE, ""),
        # 1,000 of A are held by then: what is bought of it is worth 50,000, all that B has is 450,000.
        ({"max_order_value": 50_000.0}, PARTIAL, "B"),
        ({"max_order_value": 449_999.0}, PARTIAL, "B"),
        ({"max_order_value": 450_000.0}, DONE, ""),
        # Gross 0.6 is what the book comes to: orders of D1 that counted on top of their fills would be beyond it.
        ({"max_gross": 0.6}, DONE, ""),
        ({"max_turnover": 0.5}, DONE, ""),
        ({"restricted": ["A", "B"]}, NOTHING, "AB"),
    ],
)
def test_a_second_session_after_fills_that_the_ledger_does_not_have(
    tmp_path: Path, safety: dict[str, Any], outcome: Outcome, denied: str
) -> None:
    floor = market(tmp_path, {"max_position": 1.0}, A=[0.1, 0.15], B=[0.0, 0.45])
    with scene(floor, D1) as desk:
        assert desk.run("first").run.outcome is DONE
    with scene(bounded(floor, **safety), D2, is_recovering=False) as desk:
        assert desk.held() == {}  # the fill is at the close of D2, and no sweep has seen it
        dry, real = both(desk)
        assert [(i.asset, i.quantity) for i in dry.orders] == [("A", D(500)), ("B", D(4500))]
        assert [ended.run.outcome for ended in (dry, real)] == [outcome, outcome]
        assert "".join(asset for asset, _ in lost(dry)) == denied
        assert lost(dry) == lost(real)


def test_an_order_of_the_session_before_that_expired(tmp_path: Path) -> None:
    """Ten shares were traded on D2, a tenth of them ours: the rest of the order expired, and is not in flight."""
    floor = written(
        tmp_path,
        {"A": [0.1, 0.1]},
        volumes={"A": [1e6, 10.0, 1e6]},
        config=free({"max_volume_pct": 0.1}),
    )
    with scene(floor, D1) as desk:
        assert desk.run("first").run.outcome is DONE
    with scene(bounded(floor, max_gross=0.1), D2, is_recovering=False) as desk:
        dry, real = both(desk)
        assert [(i.asset, i.quantity) for i in dry.orders] == [("A", D(999))]
        assert (dry.run.outcome, real.run.outcome) == (DONE, DONE)
        assert lost(dry) == lost(real) == []


def test_an_order_of_today_in_flight_counts(tmp_path: Path) -> None:
    floor = market(tmp_path, {"max_position": 1.0}, A=0.4, B=0.3)
    with scene(floor, D1) as desk:
        assert desk.run("first").run.outcome is DONE
        dry = desk.run("dry", kind=RunKind.DRY)
        assert dry.orders == ()  # both are on their way
        assert f"a run now would be refused: scripted (main) was traded for the session {D2} already" in dry.run.message


@pytest.mark.parametrize("name", [control.HALTED, control.PAUSED])
def test_a_stop_is_told(tmp_path: Path, name: str) -> None:
    with scene(market(tmp_path, {}, A=0.1), D1) as desk:
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, name, "scripted", "by hand", "ann", "look")
        dry = desk.run("dry", kind=RunKind.DRY)
        since = f"{desk.clock.now():%Y-%m-%d %H:%M:%S} UTC"
        told = f"a run now would be refused: scripted is {name} since {since} by ann: look"
        assert dry.run.message == f"1 order would go out; {told}"
        assert lost(dry) == []


def test_nothing_is_denied_where_the_fills_are_not_known(tmp_path: Path) -> None:
    floor = market(tmp_path, {"max_order_value": 1.0}, A=0.1)
    with scene(floor, D1, is_silent=True, is_recovering=False) as desk:
        dry = desk.run("dry", kind=RunKind.DRY)
        assert (dry.run.outcome, lost(dry)) == (DONE, [])
        assert "the fills since are not known, so the orders are not judged by the limits of orders" in dry.run.message


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name.startswith("paper.sqlite")}


def test_the_paper_broker_is_not_advanced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    floor = market(tmp_path, {}, A=[0.1, 0.2])
    with scene(floor, D1) as desk:
        assert desk.run("first").run.outcome is DONE
    left = tmp_path / "temporary"
    left.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(left))
    with scene(floor, D2, is_recovering=False) as desk:
        before = files(floor.work_dir)
        assert len(desk.run("dry", kind=RunKind.DRY).orders) == 1
        assert files(floor.work_dir) == before
        assert desk.held() == {}
        assert list(left.iterdir()) == []  # the copies are gone


def test_a_session_of_the_past_is_not_judged(tmp_path: Path) -> None:
    floor = market(tmp_path, {}, A=[0.1, 0.2])
    for day in (D1, D2):
        with scene(floor, day) as desk:
            assert desk.run(day).run.outcome is DONE
    with scene(bounded(floor, max_order_value=1.0), D1, is_recovering=False) as desk:
        dry = desk.run("dry", kind=RunKind.DRY)
        assert (dry.run.outcome, lost(dry)) == (DONE, [])
        assert "its session is past: the orders are not judged" in dry.run.message


@pytest.mark.parametrize(
    "safety",
    [
        {},
        {"max_gross_in_flight": 1.05},  # 1.0 is held after the fills; both sides of the turn in flight would be 2.0
        {"min_cash_in_flight": 0.0},
        {"max_order_value": 350_000.0},
        {"max_turnover": 0.5},
        {"account": {"max_gross": 1.05}},
    ],
)
def test_orders_of_the_session_before_count_as_filled(tmp_path: Path, safety: dict[str, Any]) -> None:
    """4,000 of A and 6,000 of B were ordered; they are filled at the close that this run is as of."""
    floor = written(tmp_path, {"A": [0.4, 0.6], "B": [0.6, 0.2]}, config=free(safety=safety))
    with scene(floor, D1) as desk:
        desk.run("first")
    with scene(floor, D2) as desk:
        dry, real = both(desk)
        assert lost(dry) == lost(real)
        assert dry.run.outcome is real.run.outcome
        if not safety:
            assert [(i.asset, str(i.side), i.quantity) for i in dry.orders] == [
                ("B", "sell", D(4000)),
                ("A", "buy", D(2000)),
            ]


def test_a_split_between_is_in_the_orders_and_in_their_limits(tmp_path: Path) -> None:
    """A thousand at 100 were ordered; after 4:1 it is 4,000 at 25, and half of it is sold: 2,000 for 50,000."""
    floor = written(
        tmp_path,
        {"A": [0.1, 0.05]},
        prices={"A": [100.0, 100.0, 25.0]},
        actions=f"date,ticker,kind,ratio\n{D3},A,split,4\n",
        config=free(safety={"max_order_value": 100_000.0, "max_order_shares": 2000.0}),
    )
    with scene(floor, D1) as desk:
        desk.run("first")
    with scene(floor, D2) as desk:
        dry, real = both(desk)
        assert lost(dry) == lost(real)
        (sale,) = dry.orders
        assert (sale.side, sale.quantity, sale.state) == ("sell", D(2000), IntentState.PLANNED)
