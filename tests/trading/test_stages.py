"""The stages of a run: deadlines, what may be read, digests, the files it leaves."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sigc.failpoint import arm
from sigc.store.ledger.records import IntentState, Outcome, RunKind, StageName
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc_pipelines.brokers.protocol import OrderRequest
from sigc_pipelines.compute import load
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.run_watch import RunWatch
from sigc_pipelines.live.trading import Request
from sigc_pipelines.records.artifacts import RunArtifacts, folder_of
from tests.trading.floor import Floor, ordered
from tests.trading.floor import floor as small_floor
from tests.trading.script import D1, D2, D3, KilledError, before_cut_off, free, scene, written
from tests.world import write_world

DEADLINES = ("load_deadline_s", "compute_deadline_s", "validate_deadline_s")


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, {"A": [0.1, 0.2], "B": [-0.1, 0.0]})


@pytest.mark.parametrize("deadline", DEADLINES)
def test_a_stage_that_is_late_ends_the_run(floor: Floor, deadline: str) -> None:
    late = StageName(deadline.removesuffix("_deadline_s"))
    with scene(replace(floor, config=free(execution={deadline: 1e-9})), D1) as desk:
        ended = desk.run("one")
        assert [d.code for d in ended.problems] == ["E803"]
        assert (ended.run.outcome, ended.stages[-1].name, ended.stages[-1].outcome) == (Outcome.REFUSED, late, "late")
        assert (ended.orders, desk.booked()) == ((), [])
    with scene(floor, D1) as desk:
        assert desk.run("two").run.outcome is Outcome.DONE


def test_every_stage_is_recorded(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        assert [(s.name, s.outcome) for s in ended.stages] == [(name, "done") for name in StageName]
        assert all(s.seconds >= 0 for s in ended.stages)
        assert [r["payload"]["stage"] for r in desk.audit("run.stage")] == [str(name) for name in StageName]
        (decided,) = desk.audit("run.decided")
        assert decided["payload"]["gross"] == pytest.approx(0.2)
        assert decided["payload"]["weights"] == ended.run.digests["weights"]


def test_digests_of_what_went_in(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        first = desk.run("one", digests={"strategy": "text", "config": "yaml", "code": "1"}).run.digests
    assert set(first) == {
        "strategy",
        "config",
        "code",
        "weights",
        "data:prices",
        "data:volume",
        "data:target",
        "data:sectors",
    }
    with scene(floor, D2) as desk:
        second = desk.run("two").run.digests
    assert {n: d for n, d in first.items() if n.startswith("data:")} == {
        n: d for n, d in second.items() if n.startswith("data:")
    }
    assert first["weights"] != second["weights"]


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_no_row_after_the_date_is_read(tmp_path: Path, harm: str) -> None:
    """The same run on files that end at the date, or that say something else after it: the same bits."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "harmed").mkdir()
    whole, harmed = small_floor(tmp_path / "whole"), small_floor(tmp_path / "harmed")
    row = 345  # 2016-04-28; the last that counts
    if harm == "gone":
        write_world(tmp_path / "harmed", row + 1)
    else:
        write_world(tmp_path / "harmed", changed=(slice(row + 1, None), slice(None)))
    day = str(_days(whole)[row])
    for kind in (RunKind.DRY, RunKind.TRADE):
        one, two = whole.day(day, f"{kind}", kind=kind), harmed.day(day, f"{kind}", kind=kind)
        assert one.sight is not None
        assert two.sight is not None
        assert one.sight.wanted.tobytes() == two.sight.wanted.tobytes()
        assert one.sight.prices.tobytes() == two.sight.prices.tobytes()
        assert one.run.digests["weights"] == two.run.digests["weights"]
        assert ordered(one.orders) == ordered(two.orders)
        assert one.run.as_of == day
        assert len(one.orders) > 3


def _days(floor: Floor) -> list[object]:
    return [d.astype("datetime64[D]") for d in load(floor.strategy, floor.space).grid.dates]


def _render(account: RunArtifacts) -> str:
    return f"<p>{account.run.id}: {account.run.outcome}, {len(account.fills)} fills</p>"


def read(floor: Floor, run: str) -> dict[str, object]:
    data: dict[str, object] = json.loads((folder_of(floor.work_dir, run) / "account.json").read_text())
    return data


DRY = ["data.json", "decision.json", "plan.json", "signal-values.json", "signals.json", "weights.json"]
FILES = sorted([*DRY, "account.json", "report.html", "sources.npz"])


def test_the_files_of_a_run(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        trading = replace(desk.trading, render=_render)
        carry_out(trading, Request("one", "scripted", "main", RunKind.TRADE, "ann", "because"), floor.feed())
        folder = folder_of(floor.work_dir, "one")
        assert sorted(p.name for p in folder.iterdir()) == FILES
        assert json.loads((folder / "weights.json").read_text()) == {
            "A": {"wanted": 0.1, "target": 0.1, "held": 0.0},
            "B": {"wanted": -0.1, "target": -0.1, "held": 0.0},
        }
        told = read(floor, "one")
        assert told["run"]["outcome"] == "done"  # type: ignore[index]
        assert len(told["intents"]) == 2  # type: ignore[arg-type]
        assert (folder / "report.html").read_text() == "<p>one: done, 0 fills</p>"


def test_the_files_tell_of_fills_that_came_later(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
        assert read(floor, "one")["fills"] == []
    with scene(floor, D2) as desk:
        desk.run("two")
        told = read(floor, "one")
        assert len(told["fills"]) == 2  # type: ignore[arg-type]
        assert {i["state"] for i in told["intents"]} == {"filled"}  # type: ignore[attr-defined]
        written_at = (folder_of(floor.work_dir, "one") / "account.json").stat().st_mtime_ns
    with scene(floor, D3) as desk:
        desk.run("three")
        path = folder_of(floor.work_dir, "one") / "account.json"
        assert path.stat().st_mtime_ns == written_at
    path = folder_of(floor.work_dir, "three") / "account.json"
    path.write_text(path.read_text()[:100])  # somebody's editor
    with scene(floor, D3):
        assert read(floor, "three")["run"]["outcome"] == "unchanged"  # type: ignore[index]


def test_a_dry_run_leaves_its_plan_and_decision_and_no_orders(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        ended = desk.run("dry", kind=RunKind.DRY)
        assert len(ended.orders) == 2
        assert sorted(p.name for p in folder_of(floor.work_dir, "dry").iterdir()) == DRY
        assert desk.intents() == {}
        assert desk.booked() == []
        assert desk.paper.account().cash == 0


@pytest.mark.parametrize("passage", range(1, 6))
def test_files_are_whole_after_a_death_at_any_rename(floor: Floor, passage: int) -> None:
    """weights, then report and account once, with the verdict: each as it was, or as it becomes."""
    child = os.fork()
    if child == 0:
        left = [passage]

        def die(name: str) -> None:
            left[0] -= name == "artifact:rename"
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        code = 70
        try:
            with scene(floor, D1) as desk:
                arm(die)
                request = Request("one", "scripted", "main", RunKind.TRADE, "ann")
                carry_out(replace(desk.trading, render=_render), request, floor.feed())
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == (-signal.SIGKILL if passage <= 3 else 0)
    folder = folder_of(floor.work_dir, "one")
    for path in folder.glob("[!.]*.json") if folder.exists() else ():
        assert isinstance(json.loads(path.read_text()), dict)
    with scene(floor, D1) as desk:
        told = {o["id"]: o["outcome"] for o in [read(floor, "one")["run"]]}  # type: ignore[index]
        assert told == {"one": str(desk.record("one").outcome)}
        assert desk.record("one").outcome in (Outcome.DONE, Outcome.INTERRUPTED)
        if desk.record("one").outcome is Outcome.DONE:
            assert json.loads((folder / "weights.json").read_text())["A"]["target"] == 0.1
            assert len(read(floor, "one")["intents"]) == 2  # type: ignore[arg-type]


def test_an_account_that_cannot_be_written_is_told_and_written_by_the_next_session(floor: Floor) -> None:
    """Something stands in its place: what was traded is closed as it ended, and nothing of the ledger waits for it."""
    place = folder_of(floor.work_dir, "one") / "account.json"
    with scene(floor, D1) as desk:
        (place / "of somebody").mkdir(parents=True)
        ended = desk.run("one")
        assert [d.code for d in ended.problems] == ["E300"]
        assert (ended.run.outcome, desk.record("one").outcome) == (Outcome.DONE, Outcome.DONE)
        assert len(desk.booked()) == 2
    (place / "of somebody").rmdir()
    place.rmdir()
    with scene(floor, D2) as desk:
        desk.run("two")
        assert len(read(floor, "one")["fills"]) == 2  # type: ignore[arg-type]


def test_a_page_that_cannot_be_made_is_told_and_logged(floor: Floor, caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: RunArtifacts) -> str:
        raise ZeroDivisionError("by nothing")

    with scene(floor, D1) as desk:
        request = Request("one", "scripted", "main", RunKind.TRADE, "ann")
        ended = carry_out(replace(desk.trading, render=fails), request, floor.feed())
        assert ended.run.outcome is Outcome.DONE
        assert [(d.code, d.message) for d in ended.problems] == [
            ("E300", "the run's files can't be written: ZeroDivisionError: by nothing")
        ]
        (said,) = [r for r in caplog.records if r.name == "sigc.runs"]
        assert said.getMessage() == "the files of the run one can't be written"
        assert said.exc_info is not None


@pytest.mark.parametrize("has_files", [True, False])
def test_a_run_tells_the_orders_that_wait_for_the_open(floor: Floor, has_files: bool) -> None:
    """A replay, which leaves no files, does not ask."""
    with scene(floor, D1) as desk:
        request = Request("one", "scripted", "main", RunKind.TRADE, "ann")
        ended = carry_out(replace(desk.trading, has_files=has_files), request, floor.feed())
        opens = before_cut_off(floor, D1, 0.0) - timedelta(hours=6, minutes=25)
        assert ended.waiting == (WaitingOrders(0, 2, opens) if has_files else None)


def test_the_stage_that_sends_has_its_whole_deadline_and_shows_life_from_its_beginning(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1}, config=free(execution={"execute_deadline_s": 600.0}))
    seen: list[tuple[float, datetime]] = []

    def old(name: StageName) -> None:
        if name is StageName.EXECUTE:
            watch.pulse.last -= 1_000_000.0

    def planned(name: str) -> None:
        if name == "intents:committed":
            seen.append((watch.pulse.silent_s, watch.pulse.ends))

    watch = RunWatch(stage=old)
    with scene(floor, D1) as desk:
        begun = desk.clock.now()
        arm(planned)
        try:
            carry_out(desk.trading, Request("one", "scripted", "main", RunKind.TRADE, "ann"), floor.feed(), watch)
        finally:
            arm(None)
    ((silent_s, ends),) = seen
    assert silent_s < 1_000.0
    assert ends == begun + timedelta(seconds=600)


def test_a_strategy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Its data went away: an error of the data, the run failed, the key is free."""
    floor = written(tmp_path, {"A": 0.1})
    kept = (tmp_path / "scripted.parquet").read_bytes()
    (tmp_path / "scripted.parquet").unlink()
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        assert ended.run.outcome is Outcome.FAILED
        assert ended.problems[0].code.startswith("E2")
        (tmp_path / "scripted.parquet").write_bytes(kept)
        assert desk.run("two").run.outcome is Outcome.DONE


def test_a_run_is_judged_by_the_limits_it_was_opened_with(tmp_path: Path) -> None:
    """It died before its order was sent, and the limits were narrowed: it is brought to its end as it was decided."""
    floor = written(tmp_path, {"A": 0.1})
    narrow = replace(floor, config=free(safety={"max_order_value": 1_000.0}))

    def die(_number: int, _request: OrderRequest) -> None:
        raise KilledError

    with scene(floor, D1, hook=die) as desk, pytest.raises(KilledError):
        desk.run("one")
    with scene(narrow, D1) as desk:
        assert desk.states() == {"A": IntentState.ACKNOWLEDGED}
    with scene(replace(narrow, work_dir=tmp_path / "other"), D1) as desk:
        (order,) = desk.run("two").orders
        assert order.state is IntentState.DENIED
        assert "the limit is 1000" in order.message
