"""Which account a run by hand trades, on a ledger written row by row; and the scratch account while it is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.errors import SigcError
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.records import ZERO, Fill, Intent, Outcome, Run, RunKey, RunKind, Side
from sigc.store.ledger.waiting_orders import WaitingOrders
from sigc_pipelines.brokers.protocol import UnreachableError
from sigc_pipelines.live.scratch import TradedAccount, backwards, in_its_time
from sigc_pipelines.live.session import instant_of, moment
from sigc_pipelines.live.trading import Ended, Request, Trading
from tests.trading.script import D1, D2, D3, D4
from tests.trading.test_close_out_by_hand import CALENDAR, Desk, opened

CLOSE = datetime(2016, 1, 6, 21, tzinfo=UTC)  # of D3, for which is traded on the evening of D2
SECOND = timedelta(seconds=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The evening of D2, with an account that has never traded."""
    with opened(tmp_path) as found:
        yield found


def asked(**how: Any) -> Request:
    return Request(
        **({"id": "x", "strategy": "scripted", "portfolio": "main", "kind": RunKind.TRADE, "who": "ann"} | how)
    )


def decided(desk: Desk, session: str, *, filled: datetime | None = None, strategy: str = "scripted") -> None:
    """A run that traded for a session, of one share if it is filled at an instant."""
    run = Run(f"for {session}", RunKey(strategy, "main", session), D1, 0, desk.begun, "ann")
    with desk.trading.ledger.transaction("plan") as tx:
        runs.open_run(tx, run, {})
        runs.mark_decided(tx, run)
        if filled is not None:
            orders.plan(tx, [Intent(run.id, run.id, run.key, 0, "A", Side.BUY, Decimal(1), Decimal(100))])
            books.take_in(tx, (Fill(run.id, run.id, "A", Side.BUY, Decimal(1), Decimal(100), ZERO, filled),), (), "")
        runs.close_run(tx, run, desk.begun, Outcome.DONE, "")


def why(desk: Desk, **how: Any) -> str:
    with in_its_time(desk.trading, asked(**how)) as account:
        assert (account.trading is desk.trading) is (account.why == "")
        return account.why


@pytest.mark.parametrize(
    ("filled", "says"),
    [
        (None, ""),
        (CLOSE - SECOND, ""),
        (CLOSE, ""),
        (
            CLOSE + SECOND,
            f"time goes forward in an account: its newest fill is of {D3} 21:00:01 UTC, and the session {D3} is before it",
        ),
    ],
)
def test_a_session_is_past_when_a_fill_is_newer_than_its_close(desk: Desk, filled: datetime | None, says: str) -> None:
    if filled is not None:
        decided(desk, D2, filled=filled)
    at = moment(CALENDAR, desk.trading.clock.now(), "close-5m")
    with desk.trading.ledger.reading() as connection:
        assert backwards(connection, at) == says
    assert why(desk) == (says and f"{says}: this run traded a scratch account, and changed no book")


@pytest.mark.parametrize(("session", "is_scratch"), [(D2, False), (D3, False), (D4, True)])
def test_a_session_is_past_when_the_book_has_decided_for_a_later_one(
    desk: Desk, session: str, *, is_scratch: bool
) -> None:
    decided(desk, session)
    says = f"scripted (main) has traded for the session {D4} already: this run traded a scratch account, and changed no book"
    assert why(desk) == (says if is_scratch else "")
    assert why(desk, strategy="another") == ""


def test_of_two_reasons_the_account_s_is_told(desk: Desk) -> None:
    decided(desk, D4, filled=CLOSE + SECOND)
    assert why(desk).startswith("time goes forward in an account")


@pytest.mark.parametrize("how", [{"is_scheduled": True}, {"kind": RunKind.DRY}])
def test_a_run_that_is_not_a_trade_by_hand_keeps_its_account(desk: Desk, how: dict[str, Any]) -> None:
    decided(desk, D4, filled=CLOSE + SECOND)
    assert why(desk, **how) == ""


def test_a_broker_that_is_not_paper_keeps_its_account(desk: Desk) -> None:
    decided(desk, D4, filled=CLOSE + SECOND)
    broker = desk.trading.config.broker.model_copy(update={"type": "another"})
    config = desk.trading.config.model_copy(update={"broker": broker})
    with in_its_time(replace(desk.trading, config=config), asked()) as account:
        assert (account.why, account.trading.config) == ("", config)


def test_a_scratch_account_is_empty_private_and_closed_afterwards(desk: Desk) -> None:
    decided(desk, D4)
    with in_its_time(desk.trading, asked()) as account:
        trading = account.trading
        folder = trading.ledger.directory
        assert folder != desk.trading.ledger.directory
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (trading.config.audit.mirror, trading.config.audit.anchor) == (False, "")
        assert trading.broker.positions() == {}
        assert trading.broker.account().cash == 0
        with trading.ledger.reading() as connection:
            assert books.books(connection) == ()
        assert (trading.ledger.hide, trading.render) == (desk.trading.ledger.hide, None)
    assert not folder.exists()
    with pytest.raises(UnreachableError, match="closed database"):
        trading.broker.positions()
    with pytest.raises(SigcError, match="closed database"), trading.ledger.transaction("control"):
        pass


def test_a_scratch_account_is_closed_after_a_failure_too(desk: Desk) -> None:
    decided(desk, D4)
    seen: list[Trading] = []

    def fails() -> None:
        with in_its_time(desk.trading, asked()) as account:
            seen.append(account.trading)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fails()
    (trading,) = seen
    assert not trading.ledger.directory.exists()
    with pytest.raises(UnreachableError, match="closed database"):
        trading.broker.positions()


def test_a_run_of_a_scratch_account_is_told_as_one_that_waits_for_nothing(desk: Desk) -> None:
    waiting = WaitingOrders(1, 0, instant_of(CALENDAR, D3))
    run = Run("x", RunKey("scripted", "main", D3), D2, 0, desk.begun, "ann")
    ended = Ended(run, (), (), None, None, (), waiting=waiting)
    assert TradedAccount(desk.trading).told(ended) is ended
    told = TradedAccount(desk.trading, "it is past").told(ended)
    assert (told.scratch, told.waiting, told.run) == ("it is past", None, run)
