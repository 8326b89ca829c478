"""In one paper account time goes forward: what is refused, and what a run by hand of an earlier date trades instead."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sigc.errors import SigcError
from sigc.store.ledger import books
from sigc.store.ledger.records import Outcome, RunKind
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.scratch import in_its_time
from sigc_pipelines.live.trading import Request
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, D4, Scene, scene, written


def asked(id: str, strategy: str, **how: object) -> Request:
    return Request(id, strategy, "main", RunKind.TRADE, "tester", **how)  # type: ignore[arg-type]


def both(tmp_path: Path) -> tuple[Floor, Floor]:
    """Two strategies of one account."""
    return written(tmp_path, {"A": 0.1}, name="one"), written(tmp_path, {"A": 0.1}, name="two")


def traded_to(floor: Floor, *days: str) -> None:
    for day in days:
        with scene(floor, day) as desk:
            desk.run(f"{floor.strategy.name}-{day}")


def changes(desk: Scene) -> object:
    with desk.trading.ledger.reading() as connection:
        audit = connection.execute("SELECT max(seq) FROM audit").fetchone()
        return audit, books.positions(connection), desk.paper.positions(), desk.booked()


def test_a_run_before_the_newest_fill_is_refused_in_that_sentence_whatever_the_strategy(tmp_path: Path) -> None:
    one, two = both(tmp_path)
    traded_to(one, D2, D3)  # the orders of D2 are filled at the close of D3
    with scene(one, D1) as desk, pytest.raises(SigcError) as no:
        two.run(desk.trading, "two", is_scheduled=True)
    (found,) = no.value.diagnostics
    assert found.code == "E800"
    said = f"its newest fill is of {D3} 21:00:00 UTC, and the session {D2} is before it"
    assert found.message == f"time goes forward in an account: {said}"
    with scene(one, D2) as desk:  # for the session of the newest fill: not before it
        assert two.run(desk.trading, "now").run.outcome is Outcome.DONE


def test_a_fresh_account_begins_with_the_first_session_that_is_traded(tmp_path: Path) -> None:
    one, _ = both(tmp_path)
    with scene(one, D3) as desk:
        request = asked("begin", "one")
        with in_its_time(desk.trading, request) as account:
            assert account.why == ""
            assert account.trading is desk.trading


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_run_by_hand_before_it_trades_a_scratch_account_and_changes_no_book(tmp_path: Path, name: str) -> None:
    one, two = both(tmp_path)
    floor = {"one": one, "two": two}[name]
    traded_to(one, D2, D3)
    with scene(one, D1) as desk:
        before, files = changes(desk), sorted(one.work_dir.rglob("*"))
        request = asked("past", name)
        with in_its_time(desk.trading, request) as account:
            ended = carry_out(account.trading, request, floor.feed())
            folder = account.trading.ledger.directory
            assert len(account.trading.broker.orders(datetime(2010, 1, 1, tzinfo=UTC))) == 1
        assert ended.run.outcome is Outcome.DONE
        assert (ended.run.as_of, ended.run.key.session) == (D1, D2)
        assert [(i.asset, int(i.quantity)) for i in ended.orders] == [("A", 1000)]
        assert account.why.endswith("this run traded a scratch account, and changed no book")
        told = account.told(ended)
        assert ended.waiting is not None  # for the close, in the scratch account
        assert (told.scratch, told.waiting, told.orders) == (account.why, None, ended.orders)
        assert not folder.exists()
        assert changes(desk) == before
        assert sorted(one.work_dir.rglob("*")) == files
    with scene(one, D4) as desk:  # and the account goes on
        assert desk.run("later").run.outcome is Outcome.UNCHANGED


def test_a_run_of_the_present_a_scheduled_one_and_a_dry_one_keep_their_account(tmp_path: Path) -> None:
    one, _ = both(tmp_path)
    traded_to(one, D2, D3)
    with scene(one, D4) as desk, in_its_time(desk.trading, asked("now", "one")) as account:
        assert account.why == ""
        ended = desk.run("now")
        assert account.told(ended) is ended
    with scene(one, D1) as desk:
        for how in ({"is_scheduled": True}, {"kind": RunKind.DRY}):
            request = Request("x", "one", "main", **({"kind": RunKind.TRADE, "who": "a"} | how))
            with in_its_time(desk.trading, request) as account:
                assert account.why == ""
