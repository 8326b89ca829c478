"""One run and what it leaves: its record, its refusals, its changes; each figure by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sigc.errors import Severity, SigcError
from sigc.store.ledger import books, control, price_marks, runs
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import BookKey, Outcome, RunKind, Side, StageName
from sigc_pipelines.brokers.faulty import Faults
from sigc_pipelines.brokers.protocol import OrderRequest
from sigc_pipelines.live import run as run_module
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.trading import Ended
from sigc_pipelines.records.artifacts import read_weights
from tests.trading.floor import Floor
from tests.trading.script import (
    D1,
    D2,
    D3,
    D4,
    DAYS,
    TEXT,
    Scene,
    before_cut_off,
    free,
    scene,
    written,
)
from tests.world import write_strategy

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
        assert decided["payload"]["weights"] == record.digests["weights"]
        assert all(0.0 <= s.seconds < 600.0 for s in ended.stages)


def test_a_dry_run_shows_orders_and_changes_nothing(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        hold(desk, control.HALTED, "")
        for id in ("one", "two"):
            ended = desk.run(id, kind=RunKind.DRY)
            since = f"{desk.clock.now():%Y-%m-%d %H:%M:%S} UTC"
            told = (
                f"2 orders would go out; a run now would be refused: everything is halted since {since} by ann: by hand"
            )
            assert (ended.run.outcome, ended.run.message) == (Outcome.DONE, told)
            assert (ended.run.revision, len(ended.orders)) == (0, 2)
        assert desk.intents() == {}
        assert desk.booked() == []
        assert book(desk) is None
        assert not (floor.work_dir / "runs" / "one" / "account.json").exists()


@pytest.mark.parametrize(("scope", "what"), [("", "everything"), ("scripted", "scripted")])
def test_what_holds_a_run_is_said(floor: Floor, scope: str, what: str) -> None:
    with scene(floor, D1) as desk:
        since = f"{desk.clock.now():%Y-%m-%d %H:%M:%S} UTC"
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


def test_a_share_is_not_sold_to_rounding(tmp_path: Path) -> None:
    """1,000 shares at 100 are a seventh of 700,000; by the decimals of that double, which lie below it, 999 would be."""
    seventh = 1 / 7
    floor = written(tmp_path, {"A": [0.1429, seventh]}, config=free(execution={"capital": 700_000.0}))
    with scene(floor, D1) as desk:
        assert bought(desk.run("one")) == {"A": 1000}
    with scene(floor, D2) as desk:
        ended = desk.run("two")
        assert ended.held is not None
        assert (ended.run.outcome, bought(ended), ended.held.tolist()) == (Outcome.UNCHANGED, {}, [seventh])


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
    assert {"weights.json", "decision.json"} <= found
    assert "account.json" not in found


# Stages


def stage(ended: Ended, name: StageName) -> Any:
    (found,) = [s for s in ended.stages if s.name is name]
    return found


def rewritten(floor: Floor, *, how: str = "", more: str = "", end: str = "") -> Floor:
    """The same market with another text of the strategy."""
    text = TEXT.format(target="scripted", how=how, more=more) + end
    return replace(floor, strategy=write_strategy(floor.work_dir.parent, text, "scripted"))


def test_a_stage_is_timed_and_late_by_its_own_deadline_alone(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is two seconds later: a stage looks when it begins and when it ends.

    A deadline is one of real time (`test_deadlines.py`).
    """
    ticks = count(0, 2)
    monkeypatch.setattr(run_module, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    with scene(replace(floor, config=free(execution={"validate_deadline_s": 60.0})), D1) as desk:
        ended = desk.run("one")
        assert [(s.name, s.outcome, s.seconds) for s in ended.stages] == [(name, "done", 2.0) for name in StageName]
    with scene(replace(floor, config=free(execution={"compute_deadline_s": 1e-9})), D2) as desk:
        ended = desk.run("two")
        assert (ended.run.outcome, ended.stages[-1].name, ended.stages[-1].outcome) == (
            Outcome.REFUSED,
            StageName.COMPUTE,
            "late",
        )


def test_a_stage_that_left_an_order_in_doubt_has_failed(floor: Floor) -> None:
    with scene(floor, D1, at=before_cut_off(floor, D1, 90.0), rates=Faults(unknown=1.0)) as desk:
        desk.broker.hook = lambda _number, _request: setattr(desk.broker, "is_silent", True)
        ended = desk.run("one")
        assert ended.run.outcome is Outcome.UNRESOLVED
        assert [(s.name, s.outcome) for s in ended.stages[-2:]] == [
            (StageName.EXECUTE, "failed"),
            (StageName.AUDIT, "done"),
        ]
        # Warnings fail none.
        assert {f.severity for f in stage(ended, StageName.LOAD).findings} == {Severity.WARNING}
        assert stage(ended, StageName.LOAD).outcome == "done"


def test_the_end_of_a_run_is_in_the_mirror_of_the_audit(floor: Floor) -> None:
    with scene(floor, D1) as desk:
        desk.run("one")
        assert len(desk.audit("run.closed")) == 1
        mirrored = "".join(p.read_text("utf-8") for p in (floor.work_dir / "audit").rglob("*") if p.is_file())
    assert mirrored.count('"run.closed"') == 1


def test_an_audit_that_can_not_be_copied_is_told_and_stops_no_run(floor: Floor) -> None:
    floor.work_dir.mkdir()
    (floor.work_dir / "audit").write_text("a file stands where the folder should be")
    with scene(floor, D1) as desk:
        ended = desk.run("one")
        assert (ended.run.outcome, stage(ended, StageName.AUDIT).outcome) == (Outcome.DONE, "failed")
        told = stage(ended, StageName.AUDIT).findings
        assert [(f.check, f.severity) for f in told] == [("mirror", Severity.ERROR), ("anchor", Severity.ERROR)]
        assert f"the mirror {floor.work_dir / 'audit'} is behind" in told[0].message


def test_what_is_odd_about_the_data_is_told_by_the_run(tmp_path: Path) -> None:
    actions = f"date,ticker,kind,cash,pay_date\n{D1},A,dividend,1,{D2}\n{D1},A,dividend,2,{D3}\n"
    with scene(written(tmp_path, {"A": 0.1}, actions=actions), D1) as desk:
        (told,) = stage(desk.run("one"), StageName.LOAD).findings
        assert (told.check, told.severity) == ("W007", Severity.WARNING)
        assert f"2 dividends of 'A' on {D1} are paid on different days: they count as one, paid on {D3}" in told.message


def test_prices_that_are_adjusted_are_looked_at_and_not_traded(floor: Floor) -> None:
    adjusted = rewritten(floor, how=" adjusted=true")
    with scene(adjusted, D1) as desk:
        ended = desk.run("one")
        assert (ended.run.outcome, [d.code for d in ended.problems]) == (Outcome.REFUSED, ["E801"])
        assert "says adjusted=true" in ended.run.message
        assert [s.name for s in ended.stages] == [StageName.LOAD]
        assert len(desk.run("dry", kind=RunKind.DRY).orders) == 2
        replayed = carry_out(desk.trading, adjusted.asked("two"), adjusted.replayed(D1))
        assert replayed.run.outcome is Outcome.DONE


def test_weights_that_are_infinite_are_refused_as_they_are_computed(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 1.0, "B": 0.0})
    text = TEXT.format(target="scripted", how="", more="").replace("emit target", "emit target * 1e308 * 1e308")
    with scene(replace(floor, strategy=write_strategy(tmp_path, text, "scripted")), D1) as desk:
        ended = desk.run("one")
        assert (ended.run.outcome, ended.stages[-1].name) == (Outcome.REFUSED, StageName.COMPUTE)
        assert ended.run.message == f"on the row of {D1} weights are infinite: A"


def test_a_refused_run_leaves_its_target(tmp_path: Path) -> None:
    """Beside an error there is a warning: the data end a day before."""
    floor = written(tmp_path, {"A": 0.1}, days=1, config=free(safety={"max_gross": 0.05, "on_stale_data": "alert"}))
    with scene(floor, D2) as desk:
        ended = desk.run("one")
        assert ended.run.outcome is Outcome.REFUSED
        assert {f.severity for f in stage(ended, StageName.VALIDATE).findings} >= {Severity.ERROR, Severity.WARNING}
        assert read_weights(floor.work_dir, "one") == {"A": {"wanted": 0.1, "target": 0.1, "held": 0.0}}


# Rebalance rows


def by_rows(floor: Floor) -> Floor:
    """Rebalanced on every second row."""
    return rewritten(floor, end=f"  backtest rebal=2 from {DAYS[0]} to {DAYS[9]}\n")


def bought(ended: Ended) -> dict[str, int]:
    return {i.asset: int(i.side.sign * i.quantity) for i in ended.orders}


def test_a_schedule_trades_on_rebalance_rows_and_a_person_on_any(tmp_path: Path) -> None:
    floor = by_rows(written(tmp_path, {"A": [0.1, 0.2, 0.3]}))
    with scene(floor, D1) as desk:
        assert bought(desk.run("one", is_scheduled=True)) == {"A": 1000}
    with scene(floor, D2) as desk:
        ended = desk.run("two", is_scheduled=True)
        assert ended.run.outcome is Outcome.UNCHANGED
        assert ended.run.message.startswith("no rebalance row (")
        assert [s.name for s in ended.stages] == [StageName.LOAD, StageName.COMPUTE, StageName.AUDIT]
        assert stage(ended, StageName.COMPUTE).findings == ()
        assert bought(desk.run("dry", kind=RunKind.DRY, is_scheduled=True)) == {"A": 1000}
        assert bought(desk.run("by hand")) == {"A": 1000}
    with scene(floor, D3) as desk:
        assert bought(desk.run("three", is_scheduled=True)) == {"A": 1000}


def test_a_run_that_has_nothing_to_trade_tells_that_data_are_old(tmp_path: Path) -> None:
    """Who trades is told by its checks."""
    config = free(safety={"on_stale_data": "alert"})
    floor = by_rows(written(tmp_path, {"A": 0.1}, days=1, config=config))
    with scene(floor, D1) as desk:
        desk.run("one", is_scheduled=True)
    with scene(floor, D2) as desk:
        ended = desk.run("two", is_scheduled=True)
        assert ended.run.outcome is Outcome.UNCHANGED
        told = [(f.check, f.severity, f.message) for f in stage(ended, StageName.COMPUTE).findings]
        assert told == [("fresh", Severity.WARNING, f"the newest row is of {D1}")]
        ended = desk.run("by hand")
        assert stage(ended, StageName.COMPUTE).findings == ()
        assert "fresh" in {f.check for f in stage(ended, StageName.VALIDATE).findings}


def test_what_waited_for_a_price_is_made_up_for_between_rebalances(tmp_path: Path) -> None:
    """B has its first price on the second row, C on the third: the run between buys B alone, though A is wanted more."""
    nan = np.nan
    floor = by_rows(
        written(
            tmp_path,
            {"A": [0.1, 0.2], "B": 0.1, "C": 0.1},
            {"B": [nan, 100.0], "C": [nan, nan, 100.0]},
            config=free(safety={"max_missing_pct": 1.0}),
        )
    )
    with scene(floor, D1) as desk:
        assert bought(desk.run("one", is_scheduled=True)) == {"A": 1000}
        assert desk.audit("run.decided")[-1]["payload"]["pending"] == {"B": 0.1, "C": 0.1}
    with scene(floor, D2) as desk:
        assert bought(desk.run("dry", kind=RunKind.DRY)) == {"A": 1000, "B": 1000}
        assert bought(desk.run("two", is_scheduled=True)) == {"B": 1000}
        assert desk.audit("run.decided")[-1]["payload"]["pending"] == {"C": 0.1}


# What is held


def test_a_difference_to_the_broker_is_accepted_by_a_person_alone(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1})
    with scene(floor, D1) as desk:
        desk.run("one")
        desk.paper.submit(OrderRequest("mine", "A", Side.BUY, D(10)))
    with scene(floor, D2) as desk:
        refused = desk.run("two", who="ann", reason="no")
        assert (refused.run.outcome, [d.code for d in refused.problems]) == (Outcome.FAILED, ["E602"])
        assert [f.check for f in stage(refused, StageName.LOAD).findings] == ["actions", "E602"]
        dry = desk.run("dry", kind=RunKind.DRY)
        told = [f.message for f in stage(dry, StageName.LOAD).findings if f.check == "E602"]
        assert dry.run.message == f"0 orders would go out; {told[0]}"
        assert "ledger and broker differ: A: ledger 1000, broker 1010" in told[0]
        ended = desk.run("three", accepts_differences=True, who="ann", reason="mine")
        assert (ended.run.outcome, [(o.side, o.quantity) for o in ended.orders]) == (Outcome.DONE, [(Side.SELL, D(10))])


def test_a_dry_run_looks_at_a_book_that_is_some_sessions_behind(tmp_path: Path) -> None:
    """1,000 bought, valued on the second day, and split 2:1 on the third, of which the ledger knows nothing: 2,000."""
    actions = f"date,ticker,kind,ratio\n{D3},A,split,2\n"
    floor = written(tmp_path, {"A": 0.1}, {"A": [100.0, 100.0, 50.0]}, actions=actions)
    for day in (D1, D2):
        with scene(floor, day) as desk:
            desk.run(day)
            assert desk.held() == ({} if day == D1 else {"A": D(2000)} if day == D3 else {"A": D(1000)})
    with scene(floor, D4) as desk:
        assert bought(desk.run("dry", kind=RunKind.DRY)) == {}


def test_orders_are_judged_by_prices_and_sectors_of_what_is_ordered(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1, "B": 0.1, "C": 0.0}, {"B": 50.0}, sectors={"A": "Oil"})
    with scene(floor, D1) as desk:
        desk.run("one")
        with desk.trading.ledger.reading() as connection:
            found = price_marks.marks_of(connection, "one")
    assert found == {"A": Mark(D(100), "Oil"), "B": Mark(D(50), "X")}


def test_without_sectors_orders_are_judged_by_their_prices_alone(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1})
    text = TEXT.format(target="scripted", how="", more="").replace('  sectors: load sector from "sectors.csv"\n', "")
    with scene(replace(floor, strategy=write_strategy(tmp_path, text, "scripted")), D1) as desk:
        assert bought(desk.run("one")) == {"A": 1000}
        with desk.trading.ledger.reading() as connection:
            assert price_marks.marks_of(connection, "one") == {"A": Mark(D(100), "")}


# When slices go out


@pytest.mark.parametrize("cut_off", ["close-5m", "open"])
def test_slices_begin_at_the_open_or_at_once_where_sending_ends_by_then(tmp_path: Path, cut_off: str) -> None:
    """Two slices over an hour, of a run in the evening."""
    twap = {"style": "twap", "slices": 2, "window_minutes": 60.0, "cut_off": cut_off}
    floor = written(tmp_path, {"A": 0.1}, config=free(execution=twap))
    with scene(floor, D1) as desk:
        now = desk.clock.now()
        session = floor.calendar.after(floor.calendar.before_or_on(now.date()).day)
        begin = session.open if cut_off == "close-5m" else now
        found = [i.not_before for i in desk.run("one").orders]
    assert found == [begin, begin + timedelta(minutes=30)]


def test_slices_of_a_run_within_the_session_begin_at_once(tmp_path: Path) -> None:
    twap = {"style": "twap", "slices": 2, "window_minutes": 60.0}
    floor = written(tmp_path, {"A": 0.1}, config=free(execution=twap))
    at = before_cut_off(floor, D1, 7200.0)
    with scene(floor, D1, at=at) as desk:
        found = [i.not_before for i in desk.run("one").orders]
    assert found == [at, at + timedelta(minutes=30)]
