"""One run and what it leaves: its record, its refusals, its changes; each figure by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.errors import SigcError
from sigc.store import books, control, runs
from sigc.store.records import BookKey, Outcome, RunKind, Side, StageName
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, Scene, free, scene, written

KEY = BookKey("scripted", "main")
D = Decimal


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return written(tmp_path, {"A": [0.1, 0.1, 0.2], "B": [-0.1, 0.0, 0.0]})


def hold(desk: Scene, name: str, scope: str, reason: str = "") -> None:
    with desk.trading.ledger.transaction("control") as tx:
        control.put(tx, name, scope, "by hand", "ann", reason)


def book(desk: Scene) -> books.Book | None:
    with desk.trading.ledger.reading() as connection:
        return books.book(connection, KEY)


def test_the_record_of_a_run(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        session = floor.calendar.after(floor.calendar.before_or_on(desk.clock.now().date()).day)
        ended = desk.run("one", who="ann", reason="to see", slot="s", digests={"strategy": "text"})
        record = desk.record("one")
        assert ended.run == record
        assert (record.key.strategy, record.key.portfolio, record.key.session) == ("scripted", "main", D2)
        assert (record.key.kind, record.key.slot) == (RunKind.TRADE, "s")
        assert (record.as_of, record.revision, record.who, record.reason) == (D1, 0, "ann", "to see")
        assert record.started == ended.stages[0].started
        assert record.cut_off is not None
        assert record.cut_off < session.close
        assert record.digests["strategy"] == "text"
        opened = book(desk)
        assert opened is not None
        assert (opened.capital, opened.opened) == (D(1_000_000), record.started)
        assert [(i.asset, i.side, i.quantity, i.run) for i in ended.orders] == [
            ("B", Side.SELL, D(1000), "one"),
            ("A", Side.BUY, D(1000), "one"),
        ]
        assert desk.audit("run.opened")[0]["run"] == "one"
        (decided,) = desk.audit("run.decided")
        assert ended.turn is not None
        assert decided["payload"]["rebalance"] == ended.turn.due != ""
        assert all(0.0 <= s.seconds < 600.0 for s in ended.stages)


def test_a_dry_run_shows_orders_and_changes_nothing(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        hold(desk, control.HALTED, "")
        for id in ("one", "two"):
            ended = desk.run(id, kind=RunKind.DRY)
            assert (ended.run.outcome, ended.run.message) == (Outcome.DONE, "2 orders would go out")
            assert (ended.run.revision, len(ended.orders)) == (0, 2)
        assert desk.intents() == {}
        assert desk.booked() == []
        assert book(desk) is None
        assert not (floor.work_dir / "runs" / "one" / "account.json").exists()


@pytest.mark.parametrize(("scope", "what"), [("", "everything"), ("scripted", "scripted")])
def test_what_holds_a_run_is_said(floor: Floor, scope: str, what: str) -> None:
    with scene(floor, D1) as desk:
        since = desk.clock.now().isoformat(timespec="seconds")
        hold(desk, control.HALTED, scope, "enough")
        for id, how in (("one", False), ("two", True)):
            with pytest.raises(SigcError) as no:
                desk.run(id, is_forced=how, reason="on purpose")
            assert [(d.code, d.message) for d in no.value.diagnostics] == [
                ("E802", f"{what} is halted since {since} by ann: enough")
            ]
        said = [r["payload"] for r in desk.audit("run.refused")]
        assert said[1] == {
            "id": "two",
            "session": D2,
            "slot": "",
            "reason": "on purpose",
            "code": "E802",
            "message": f"{what} is halted since {since} by ann: enough",
        }
        with desk.trading.ledger.reading() as connection:
            assert runs.left_open(connection) == ()


def test_a_pause_gives_way_to_force_alone(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        hold(desk, control.PAUSED, "scripted")
        with pytest.raises(SigcError, match="scripted is paused since .* by ann: by hand"):
            desk.run("one")
        assert desk.run("two", is_forced=True, reason="now").run.outcome is Outcome.DONE


def test_a_session_is_traded_once_and_again_on_purpose(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        assert desk.run("one").run.revision == 0
        with pytest.raises(SigcError, match=f"was traded for the session {D2} already"):
            desk.run("two")
        again = desk.run("three", is_forced=True, reason="again").run
        assert (again.revision, again.outcome) == (1, Outcome.UNCHANGED)
        assert desk.run("slot", slot="noon").run.revision == 0
    with scene(floor, D2) as desk:
        assert desk.run("later").run.outcome is Outcome.DONE
        assert {a: i.quantity for a, i in desk.intents("later").items()} == {"B": D(1000)}
    with (
        scene(floor, D1) as desk,
        pytest.raises(SigcError, match=f"has traded for the session {D3} already; {D2} is past"),
    ):
        desk.run("back", is_forced=True, reason="back")


def test_what_is_on_its_way_counts_as_held(floor: Floor) -> None:
    """Forced again before anything is filled, at other weights: the difference is traded."""
    with scene(floor, D1) as desk:
        desk.run("one")
    (floor.work_dir.parent / "other").mkdir()
    wants = written(floor.work_dir.parent / "other", {"A": 0.15, "B": 0.0}, days=10)
    moved = replace(floor, strategy=wants.strategy)
    with scene(moved, D1) as desk:
        desk.run("two", is_forced=True, reason="again")
        found = {a: (i.side, i.quantity) for a, i in desk.intents("two").items()}
        assert found == {"A": (Side.BUY, D(500)), "B": (Side.BUY, D(1000))}


def test_a_target_that_is_held_to_the_bit_trades_nothing(tmp_path: Path) -> None:
    """What is no longer wanted is sold to the last share; a weight that is as it was is kept."""
    floor = written(tmp_path, {"A": [0.1, 0.1, 0.0], "B": 0.1})
    with scene(floor, D1) as desk:
        desk.run("one")
    with scene(floor, D2) as desk:
        ended = desk.run("two")
        assert (ended.run.outcome, ended.run.message) == (Outcome.UNCHANGED, "nothing had to change")
        assert desk.held() == {"A": D(1000), "B": D(1000)}
    with scene(floor, D3) as desk:
        ended = desk.run("three")
        assert [(i.asset, i.side, i.quantity) for i in ended.orders] == [("A", Side.SELL, D(1000))]


def test_orders_wait_for_the_open(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        session = floor.calendar.after(floor.calendar.before_or_on(desk.clock.now().date()).day)
        assert {i.not_before for i in ended.orders} <= {None, session.open, desk.clock.now()}


def test_a_failure_is_told_once_and_leaves_the_session_free(floor: Floor) -> None:
    strict = replace(floor, config=free(safety={"max_gross": 0.05}))
    with scene(strict, D1) as desk:
        ended = desk.run("one")
        assert ended.run.outcome is Outcome.REFUSED
        assert [d.code for d in ended.problems] == ["E801"]
        assert ended.run.message == ended.problems[0].message
        last = ended.stages[-1]
        assert (last.name, last.outcome) == (StageName.VALIDATE, "failed")
        texts = [f.message for f in last.findings if f.message == ended.run.message]
        assert texts == [ended.run.message]
        assert desk.intents() == {}
    with scene(floor, D1) as desk:
        again = desk.run("two").run
        assert (again.outcome, again.revision) == (Outcome.DONE, 0)


def test_a_run_without_files_leaves_its_weights_alone(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk_of = replace(desk, trading=replace(desk.trading, has_files=False))
        assert desk_of.run("one").run.outcome is Outcome.DONE
    found = {p.name for p in (floor.work_dir / "runs" / "one").iterdir()}
    assert "weights.json" in found
    assert "account.json" not in found
