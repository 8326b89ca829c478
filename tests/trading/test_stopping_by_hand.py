"""Stopping called directly: what is in force, and a book that is closed while a run of it or of another is under way."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from sigc.errors import SigcError
from sigc.host import kill_file
from sigc.host.kill_file import FileHalt
from sigc.store.ledger import control, runs
from sigc.store.ledger.records import Run, RunKey
from sigc_pipelines.stopping.close_book import close_book
from sigc_pipelines.stopping.halts import halt_in_force
from tests.trading.script import D2, D3
from tests.trading.test_close_out_by_hand import KEY, Desk, opened

AT = "2016-01-06T12:00:00+00:00"


def begun(desk: Desk, portfolio: str) -> None:
    """A run that is under way."""
    with desk.trading.ledger.transaction("plan") as tx:
        runs.open_run(tx, Run("going", RunKey("scripted", portfolio, D3, slot="x"), D2, 0, desk.begun, "ann"), {})


@pytest.mark.parametrize(("reason", "said"), [("enough", ": enough"), ("", ": by hand")])
def test_a_halt_of_the_ledger_is_in_force_for_its_strategy(tmp_path: Path, reason: str, said: str) -> None:
    with opened(tmp_path) as desk:
        assert halt_in_force(desk.trading.ledger, "scripted") == ""
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, control.HALTED, "scripted", "by hand", "ann", reason)
        assert halt_in_force(desk.trading.ledger, "scripted") == f"scripted is halted by ann{said}"
        assert halt_in_force(desk.trading.ledger, "other") == ""


def test_a_halt_of_the_file_is_in_force_before_the_ledger_is_asked(tmp_path: Path) -> None:
    with opened(tmp_path) as desk:
        kill_file.add_halt(desk.trading.ledger.directory, FileHalt("", "bob", "smoke", AT))
        with desk.trading.ledger.transaction("control") as tx:
            control.put(tx, control.HALTED, "", "by hand", "ann", "enough")
        assert halt_in_force(desk.trading.ledger, "scripted") == "everything is halted by bob: smoke"


def test_a_book_is_not_closed_while_a_run_of_it_is_under_way(tmp_path: Path) -> None:
    with opened(tmp_path) as desk:
        desk.bought("one", D2, {"A": (10, "100")})
        desk.decided("one", {"A": "100"})
        begun(desk, "main")
        with pytest.raises(SigcError, match="the run going is under way") as no:
            close_book(desk.trading, KEY, (), "ann", "x")
        assert no.value.diagnostics[0].code == "E804"
        assert desk.closing_runs() == []


def test_a_run_of_another_book_is_no_hindrance_and_fills_are_not_waited_for(tmp_path: Path) -> None:
    with opened(tmp_path) as desk:
        desk.bought("one", D2, {"A": (10, "100")})
        desk.decided("one", {"A": "100"})
        begun(desk, "other")
        desk.broker.positions = lambda: {"A": Decimal(10)}  # type: ignore[method-assign]
        desk.broker.can = {"simulated": False}
        before = desk.trading.clock.now()
        reply = close_book(desk.trading, KEY, (), "ann", "x")
        assert [(o.asset, o.quantity, o.state) for o in reply.closing] == [("A", "10", "acknowledged")]
        assert desk.trading.clock.now() == before
