"""One asset of a run: each step beside figures worked out by hand; what older runs did not keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigc.store.ledger.records import RunKind
from sigc.why.assets import TraceStep
from sigc.why.text import asset_lines
from sigc_pipelines.brokers.protocol import OrderRequest
from sigc_pipelines.records.artifacts import folder_of
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, KilledError, free, scene, written
from tests.trading.test_stopping import without_recovery
from tests.why.scenes import answer, asset_answer, plan

TEXT_OF_A = """\
scripted A, session 2016-01-06: bought 2000 at 50
  by the run two

  signal             0.2, rank 1 of 3
  wanted             +0.200000 of the book
  after constraints  +0.200000 of the book
  held before        +0.100000 of the book
  price              50.0
  position before    2000
  sized              buy 2000, towards 4000
  order              buy 2000 at 50, sent 2016-01-05 16:01:00 EST, filled
  filled             2000 at 50, commission 0, last 2016-01-06 16:00:00 EST
  position after     4000

Look further: sigc runs show two"""


def steps(floor: Floor, run_of: str, session: str, asset: str) -> dict[str, str]:
    with scene(floor, run_of) as desk:
        found = asset_answer(floor.work_dir, plan(session, desk.clock.now()), asset)
    return {"verdict": found.verdict, **{step.name: step.text for step in found.steps}}


@pytest.fixture
def traded(tmp_path: Path) -> Floor:
    """A million: A at 50 is wanted at 0.1, then 0.2; B at 100 stays short a tenth; C is never wanted."""
    floor = written(tmp_path, {"A": [0.1, 0.2], "B": -0.1, "C": 0.0}, prices={"A": 50.0})
    for day, name in ((D1, "one"), (D2, "two"), (D3, "three")):
        with scene(floor, day) as desk:
            desk.run(name)
    return floor


def test_an_asset_that_was_bought(traded: Floor) -> None:
    """0.1 of 1,000,000 at 50 are 2,000; 0.2 are 4,000: 2,000 more."""
    with scene(traded, D3) as desk:
        found = asset_answer(traded.work_dir, plan(D3, desk.clock.now()), "A")
    assert "\n".join(asset_lines(found)) == TEXT_OF_A


def test_an_asset_that_is_held_as_wanted(traded: Floor) -> None:
    found = steps(traded, D3, D3, "B")
    assert found["verdict"] == "not traded: the target is what is held"
    assert found["position before"] == found["position after"] == "-1000"
    assert found["sized"] == "no order: the target is what is held"


def test_an_asset_that_is_not_wanted_and_one_that_is_none(traded: Floor) -> None:
    assert steps(traded, D3, D3, "C")["verdict"] == "not traded: it is neither wanted nor held"
    assert steps(traded, D3, D3, "D") == {"verdict": "D is not among the 3 assets of the run two"}


def test_a_run_of_an_older_version_kept_less(traded: Floor) -> None:
    for name in ("decision.json", "signal-values.json", "data.json"):
        (folder_of(traded.work_dir, "two") / name).unlink()
    found = steps(traded, D3, D3, "A")
    assert found == {
        "verdict": "bought 2000 at 50",
        "signal": "not kept",
        "wanted": "+0.200000 of the book",
        "after constraints": "+0.200000 of the book",
        "held before": "+0.100000 of the book",
        "price": "50",
        "position before": "not kept",
        "sized": "buy 2000",
        "order": "buy 2000 at 50, sent 2016-01-05 16:01:00 EST, filled",
        "filled": "2000 at 50, commission 0, last 2016-01-06 16:00:00 EST",
        "position after": "not kept",
    }


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b'{"names": 1}', b'{"names": ["A"], "values": {"weights": 3}}', b"\xff"]
)
def test_files_that_are_damaged_tell_nothing(traded: Floor, damage: bytes) -> None:
    for name in ("decision.json", "signal-values.json", "data.json", "weights.json"):
        (folder_of(traded.work_dir, "two") / name).write_bytes(damage)
    found = steps(traded, D3, D3, "A")
    assert (found["verdict"], found["signal"]) == ("bought 2000 at 50", "not kept")


def test_a_limit_and_a_cut(tmp_path: Path) -> None:
    """Of three orders of a run of one, the last in order is sent; the others say by which check they are denied."""
    floor = written(tmp_path, dict.fromkeys("AB", 0.1), config=free(safety={"max_orders_per_run": 1}))
    with scene(floor, D1) as desk:
        desk.run("one")
    denied = steps(floor, D1, D2, "A")
    check = "check orders_per_run: order 2 of the run; the limit is 1 (value 2, limit 1) (safety.max_orders_per_run)"
    assert denied["verdict"] == f"denied: {check}"
    assert denied["denied"] == check
    assert denied["filled"] == "nothing"
    cut = written(tmp_path / "cut", {"A": [0.1, 0.0]}, config=free(safety={"max_order_shares": 600}))
    with scene(cut, D1) as desk:
        desk.run("one")
    assert "600" in steps(cut, D1, D2, "A")["denied"]


def test_a_reduction_is_cut_to_the_limit(tmp_path: Path) -> None:
    """1,000 are held, none wanted, and an order may be 600."""
    floor = written(tmp_path, {"A": [0.1, 0.0]}, config=free())
    with scene(floor, D1) as desk:
        desk.run("one")
    from dataclasses import replace

    tight = replace(floor, config=free(safety={"max_order_shares": 600}))
    with scene(tight, D2) as desk:
        desk.run("two")
    found = steps(tight, D2, D3, "A")
    assert found["sized"] == "sell 600, cut from sell 1000 to the limits of an order's size, towards 0"


def test_a_change_of_less_than_a_lot(tmp_path: Path) -> None:
    """0.1004 of a million at 100 are 1,004 shares; in lots of 100 that is what is held."""
    floor = written(tmp_path, {"A": [0.1, 0.1004]}, config=free(execution={"lot": "100"}))
    for day, name in ((D1, "one"), (D2, "two")):
        with scene(floor, day) as desk:
            desk.run(name)
    found = steps(floor, D2, D3, "A")
    assert found["verdict"] == "not traded: the change is less than a lot, or than execution.min_order_value"


def test_a_price_that_jumps_is_kept(tmp_path: Path) -> None:
    """A doubles: its price is not accepted, and the position is kept; the finding is told."""
    config = free(safety={"on_anomaly": "hold", "max_return": 0.5, "max_anomalies_pct": 1.0})
    prices = {"A": [100.0, 100.0, 100.0, 170.0]}
    floor = written(tmp_path, {"A": [0.1, 0.1, 0.1, 0.3], **dict.fromkeys("BCDEF", 0.05)}, prices, config=config)
    for place, day in enumerate((D1, D2, D3, "2016-01-07")):
        with scene(floor, day) as desk:
            desk.run(f"run{place}")
    found = steps(floor, "2016-01-07", "2016-01-08", "A")
    assert found["verdict"].startswith("not traded: kept as it is")
    assert found["wanted"] == "+0.300000 of the book"


def test_dry_runs_and_refused_runs_say_what_they_wanted(tmp_path: Path) -> None:
    config = free(safety={"max_position": 0.05})
    floor = written(tmp_path, {"A": 0.1, "B": 0.01}, config=config)
    with scene(floor, D1) as desk:
        desk.run("one")
    found = steps(floor, D1, D2, "A")
    assert found["verdict"].startswith("no order was made. ran: refused. check: check position: A weighs 0.1")
    assert (found["wanted"], found["sized"]) == ("+0.100000 of the book", "not kept")
    dry = written(tmp_path / "dry", {"A": 0.1})
    with scene(dry, D1) as desk:
        desk.run("dry", kind=RunKind.DRY)
        found_dry = asset_answer(dry.work_dir, plan(D2, desk.clock.now()), "A")
    assert found_dry.verdict == "buy 1000 would be ordered"
    assert found_dry.steps[:2] == (
        TraceStep("signal", "0.1, rank 1 of 1"),
        TraceStep("wanted", "+0.100000 of the book"),
    )


def test_before_a_run_the_chain_is_told(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1})
    assert steps(floor, D1, D2, "A") == {
        "verdict": "did not run. schedule: no job trades it: it has no schedule, and nobody ran it"
    }


def test_an_order_at_the_broker_waits_and_is_not_filled(tmp_path: Path) -> None:
    with scene(written(tmp_path, {"A": 0.1}, prices={"A": 50.0}), D1) as desk:
        desk.run("one")
        found = asset_answer(desk.floor.work_dir, plan(D2, desk.clock.now()), "A")
    told = {step.name: step.text for step in found.steps}
    assert found.verdict == "waiting: buy 2000, 2000 open at the broker"
    assert told["waiting"] == "2000 open at the broker"
    assert "filled" not in told


def test_an_order_without_an_answer_waits_for_it_while_its_run_goes_on(tmp_path: Path) -> None:
    """A process that dies as it sends leaves the run under way, with an order that is marked as sent."""

    def hook(number: int, _: OrderRequest) -> None:
        raise KilledError

    floor = written(tmp_path, {"A": 0.1, "B": 0.1}, prices={"A": 50.0})
    with scene(floor, D1, hook=hook) as desk, pytest.raises(KilledError):
        desk.run("one")
    with without_recovery(floor) as desk:
        asked = plan(D2, desk.clock.now())
        whole, first, second = answer(floor.work_dir, asked), *(asset_answer(floor.work_dir, asked, a) for a in "AB")
    assert (whole.stopped_by, whole.state) == ("broker", "waiting")
    assert whole.verdict.endswith("broker: 1 order sent, not yet answered: A")
    assert first.verdict == "waiting: buy 2000, 2000 sent, not yet answered"
    assert second.verdict == "waiting: buy 1000, 1000 not sent yet"
    assert {step.name for step in (*first.steps, *second.steps)} & {"filled"} == set()
