"""Each link of the chain from a run's data to its fills, made by a real run: what stopped it, in which words.

Links before a run (schedule, daemon, pause, dependency, ...) are made by a real daemon: tests/daemon/test_why.py.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.errors import SigcError
from sigc.store.ledger import control
from sigc.store.ledger.records import RunKind
from sigc.why.run_links import DATA_CHECKS
from sigc.why.text import lines
from sigc_pipelines.brokers.faulty import Fault, Faults
from sigc_pipelines.checks import data as data_checks
from sigc_pipelines.checks.declare import collected
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, D4, DAYS, Scene, before_cut_off, free, scene, written
from tests.why.scenes import answer, plan
from tests.world import write_strategy


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, dict.fromkeys("ABC", 0.1))


def halt(desk: Scene) -> None:
    with desk.trading.ledger.transaction("control") as tx:
        control.put(tx, control.HALTED, "", "by hand", "ann", "enough")


def said(desk: Scene, session: str = D2) -> tuple[bool, str, str, str]:
    """Whether it ran, the link that stopped it, the verdict, the command to look further."""
    found = answer(desk.floor.work_dir, plan(session, desk.clock.now()))
    stopped = [link for link in found.links if link.name == found.stopped_by]
    assert [link.state for link in stopped] == ([found.state] if found.stopped_by else [])
    assert found.look
    return found.ran, found.stopped_by, found.verdict, found.look


def test_all_filled(floor: Floor) -> None:
    """The whole text: each link, the run, its data, its orders."""
    with scene(floor, D1) as desk:
        desk.run("one")
    with scene(floor, D2) as desk:
        desk.run("two")  # takes in what was filled
        found = answer(floor.work_dir, plan(D2, desk.clock.now()))
    text = [line.rpartition(", content ")[0] or line for line in lines(found)]  # digests are of a version of formats
    assert text == [
        "scripted, session 2016-01-05: ran: done, 3 orders: 3 filled",
        "",
        "  ok          strategy: scripted.sig, portfolio main",
        "  ok          calendar: a session of weekdays",
        "  ok          schedule: asked for by tester",
        "  ok          daemon: it ran without a daemon",
        "  ok          pause, halt, turn, dependency, compile, deadline",
        "  ok          data: as of 2016-01-04",
        "  ok          compute, rebalance, check",
        "  ok          decision: 3 assets wanted, gross 0.3000, net +0.3000; 3 orders",
        "  ok          limits: no order denied",
        "  ok          broker: 3 sent, the first 2016-01-04 16:01:00 EST",
        "  ok          fills: 3 filled",
        "",
        "Runs:",
        "  one  trade  2016-01-04 16:01:00 EST by tester: done, 3 orders: 3 acknowledged",
        "",
        "Data:",
        "  prices: newest row 2016-01-04 (0 sessions old), 3 rows, 3 assets",
        "  sectors: without dates, 1 rows, 3 assets",
        "  target: newest row 2016-01-04 (0 sessions old), 3 rows, 3 assets",
        "  volume: newest row 2016-01-04 (0 sessions old), 3 rows, 3 assets",
        "",
        "Orders:",
        "  3 assets wanted, gross 0.3000, net +0.3000",
        "  3 sized, 3 sent, 3 filled",
        "",
        "Look further: sigc runs show one",
    ]


def test_orders_that_are_open(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
        verdict = "ran: done, 3 orders: 3 acknowledged. fills: 3 orders open at the broker: A, B, C"
        assert said(desk) == (True, "fills", verdict, "sigc orders --run one")


def test_stale_data(tmp_path: Path) -> None:
    with scene(written(tmp_path, {"A": 0.1}, days=1), D3) as desk:
        desk.run("one")
        check = "check fresh: the newest row of prices, target is of 2016-01-04; the run is as of the session 2016-01-06 (value 2, limit 0)"
        assert said(desk, D4) == (True, "data", f"ran: refused. data: {check}", "sigc runs show one")
        found = answer(desk.floor.work_dir, plan(D4, desk.clock.now()))
        assert [(line.newest, line.age) for line in found.data if line.name == "prices"] == [(D1, 2)]


def test_data_that_can_not_be_read(floor: Floor, tmp_path: Path) -> None:
    with scene(floor, D1) as desk:
        (tmp_path / "prices.parquet").write_bytes(b"PAR1 half of it")
        desk.run("one")
        ran, link, verdict, _ = said(desk)
    assert (ran, link) == (True, "data")
    assert "prices.parquet" in verdict


def test_a_check_of_the_weights(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1, "B": 0.01}, config=free(safety={"max_position": 0.05}))
    with scene(floor, D1) as desk:
        desk.run("one")
        check = "check position: A weighs 0.1; the limit is 0.05 (value 0.1, limit 0.05)"
        assert said(desk) == (True, "check", f"ran: refused. check: {check}", "sigc runs show one")


def test_no_weight_is_defined(tmp_path: Path) -> None:
    with scene(written(tmp_path, {"A": float("nan")}), D1) as desk:
        desk.run("one")
        text = "no weight is defined on the row of 2016-01-04: nothing is decided, and the book is kept"
        verdict = f"ran: refused. check: check undefined: {text}"
        assert said(desk) == (True, "check", verdict, "sigc runs show one")


def rewritten(floor: Floor, folder: Path, old: str, new: str) -> Floor:
    """The floor with another text of its strategy."""
    text = (folder / "scripted.sig").read_text()
    assert old in text
    return replace(floor, strategy=write_strategy(folder, text.replace(old, new), "scripted"))


def test_weights_that_are_infinite(floor: Floor, tmp_path: Path) -> None:
    with scene(rewritten(floor, tmp_path, "emit target", "emit (prices * 1e200) * (prices * 1e200)"), D1) as desk:
        desk.run("one")
        ran, link, verdict, _ = said(desk)
    assert (ran, link) == (True, "compute")
    assert "weights are infinite: A, B, C" in verdict


def test_no_rebalance_row(floor: Floor, tmp_path: Path) -> None:
    rule = "  weights = wanted\n  backtest rebal=5 from 2016-01-04 to 2016-01-12"
    floor = rewritten(floor, tmp_path, "  weights = wanted", rule)
    with scene(floor, D1) as desk:
        desk.run("one", is_scheduled=True)
    with scene(floor, D2) as desk:
        desk.run("two", is_scheduled=True)
        verdict = "ran: unchanged, no rebalance row (every 5 rows); next rebalance as of 2016-01-11, in 4 rows"
        assert said(desk, D3)[:3] == (True, "rebalance", verdict)


def test_nothing_had_to_change(tmp_path: Path) -> None:
    with scene(written(tmp_path, {"A": 0.0}), D1) as desk:
        desk.run("one")
        assert said(desk)[:3] == (True, "decision", "ran: unchanged, nothing had to change")


def test_orders_denied_by_a_limit(tmp_path: Path) -> None:
    floor = written(tmp_path, dict.fromkeys("ABC", 0.1), config=free(safety={"max_orders_per_run": 1}))
    with scene(floor, D1) as desk:
        desk.run("one")
        check = (
            "check orders_per_run: order 3 of the run; the limit is 1 (value 3, limit 1) (safety.max_orders_per_run)"
        )
        verdict = f"ran: partial, 3 orders: 1 acknowledged, 2 denied. limits: 2 of 3 orders denied: A: {check}"
        assert said(desk) == (True, "limits", verdict, "sigc orders --run one")
        found = answer(floor.work_dir, plan(D2, desk.clock.now())).orders
    assert (found.sized, found.denied, found.sent, found.filled, found.open) == (3, 2, 1, 0, 1)
    assert [(line.asset, line.state) for line in found.unwell] == [
        ("A", "denied"),
        ("B", "denied"),
        ("C", "acknowledged"),
    ]
    assert found.unwell[0].why == check


def test_a_halt_before_and_in_the_middle(floor: Floor, tmp_path: Path) -> None:
    with scene(floor, D1) as desk:
        desk.broker.hook = lambda number, _: halt(desk) if number == 2 else None
        desk.run("one")
        why = "halt: 1 of 3 orders denied: everything is halted by ann: enough"
        assert said(desk)[:3] == (True, "halt", f"ran: partial, 3 orders: 2 acknowledged, 1 denied. {why}")
    with scene(floor, D2) as desk:
        with pytest.raises(SigcError):
            desk.run("two")
        ran, link, verdict, look = said(desk, D3)
    assert (ran, link) == (False, "halt")
    assert verdict.startswith("did not run. halt: everything is halted since ")
    assert verdict.endswith("by ann: enough")
    assert look == "sigc audit query --type control"


def test_a_pause_by_hand(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, control.PAUSED, "scripted", "true", "ann", "lunch")
        with pytest.raises(SigcError):
            desk.run("one")
        ran, link, verdict, _ = said(desk)
    assert (ran, link) == (False, "pause")
    assert verdict.endswith("by ann: lunch")


def test_a_second_run_is_told_beside_the_first(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
        with pytest.raises(SigcError):
            desk.run("two")
        found = answer(floor.work_dir, plan(D2, desk.clock.now()))
    assert found.ran
    (turn,) = (link for link in found.links if link.name == "turn")
    text = "earlier: scripted (main) was traded for the session 2016-01-05 already"
    assert (turn.state, turn.text) == ("warning", text)


def test_the_cut_off(floor: Floor) -> None:
    with scene(floor, D1, at=before_cut_off(floor, D1, 1.0)) as desk:
        desk.trading.ledger.zone = "America/New_York"
        desk.broker.hook = lambda _number, _: desk.clock.sleep(2.0)
        desk.run("one")
        why = "broker: 2 orders never sent: the cut-off, 2016-01-05 15:55:00 EST, passed before this order was sent"
        verdict = f"ran: partial, 3 orders: 1 acknowledged, 2 expired. {why}"
        assert said(desk) == (True, "broker", verdict, "sigc orders --run one")


def test_a_broker_that_does_not_answer(floor: Floor) -> None:
    with scene(floor, D1, is_silent=True) as desk:
        desk.run("one")
        ran, link, verdict, _ = said(desk)
    assert (ran, link) == (True, "broker")
    assert verdict.startswith("ran: failed, the broker does not say what it holds: ")


def test_a_broker_that_differs(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
        desk.paper.deposit("gift", Decimal(5))
    with scene(floor, D2) as desk:
        desk.run("two")
        ran, link, verdict, _ = said(desk, D3)
    assert (ran, link) == (True, "broker")
    assert verdict.startswith("ran: failed, ledger and broker differ: ")


def test_an_order_without_a_known_outcome(floor: Floor) -> None:
    with scene(floor, D1, rates=Faults(late_s=1e9)) as desk:
        desk.broker.fail_next(Fault.UNKNOWN)
        desk.broker.hook = lambda _number, _: setattr(desk.broker, "is_silent", True)
        desk.run("one")
        ran, link, verdict, _ = said(desk)
    assert (ran, link) == (True, "broker")
    assert "without a known outcome" in verdict


def test_a_run_that_was_stopped(floor: Floor) -> None:
    from sigc_pipelines.live.run import carry_out
    from sigc_pipelines.live.trading import RunWatch

    watch = RunWatch()
    watch.stop.set()
    with scene(floor, D1) as desk:
        carry_out(desk.trading, floor.asked("one"), floor.feed(), watch)
        verdict = "ran: cancelled, cancelled before anything was decided"
        assert said(desk)[:3] == (True, "data", verdict)


def test_a_dry_run_is_no_run(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("dry", kind=RunKind.DRY)
        why = "schedule: no job trades it: it has no schedule, and nobody ran it"
        assert said(desk)[:3] == (False, "schedule", f"did not run (1 dry). {why}")


def test_a_day_without_a_session(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        why = "calendar: 2016-01-09 is not a session of weekdays; the next one is 2016-01-11"
        assert said(desk, "2016-01-09")[:3] == (False, "calendar", f"did not run. {why}")


def test_the_checks_of_data_are_those_that_are_declared() -> None:
    assert {check.name for check in collected(data_checks.__name__)} | {"use_cache"} == DATA_CHECKS


def test_days_are_as_they_are_written_here() -> None:
    assert DAYS[:4] == ("2016-01-04", "2016-01-05", "2016-01-06", "2016-01-07")
