"""A trial of the broker called directly: what keeps it from beginning."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.config.breaker_settings import BreakerSettings
from sigc.errors import SigcError
from sigc.host import kill_file
from sigc.host.kill_file import FileHalt
from sigc.store.ledger import books, breakers, control, runs
from sigc_pipelines.service.broker_trial import BOOK, try_orders
from tests.trading.script import D2
from tests.trading.test_close_out_by_hand import CALENDAR, Desk, opened

AT = "2016-01-06T20:00:00+00:00"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An hour before the cut-off of D3, at a broker that trades."""
    with opened(tmp_path) as found:
        clock = found.trading.clock
        assert isinstance(clock, HandClock)
        session = CALENDAR.after(CALENDAR.before_or_on(clock.now().date()).day)
        clock.turn(session.open)
        found.broker.can = {"simulated": False}
        yield found


def refused(desk: Desk) -> tuple[str, str, str]:
    with pytest.raises(SigcError) as no:
        try_orders(desk.trading, "A", Decimal(101), "ann", "to see")
    (found,) = no.value.diagnostics
    with desk.trading.ledger.reading() as connection:
        assert books.book(connection, BOOK) is None
        assert runs.recent(connection) == ()
    assert desk.broker.submits == 0
    return found.code, found.message, found.hint


@pytest.mark.parametrize(
    ("name", "scope", "lifts"),
    [
        (control.HALTED, "", "sigc safety resume --reason '...' lifts it"),
        (control.HALTED, "check", "sigc safety resume --reason '...' lifts it"),
        (control.PAUSED, "", "sigc resume lifts it"),
        (control.PAUSED, "check", "sigc resume lifts it"),
    ],
)
def test_nothing_is_tried_while_halted_or_paused(desk: Desk, name: str, scope: str, lifts: str) -> None:
    with desk.trading.ledger.transaction("control") as tx:
        control.put(tx, name, scope, "by hand", "ann", "lunch")
    since = f"{desk.trading.clock.now():%Y-%m-%d %H:%M:%S} UTC"
    assert refused(desk) == ("E802", f"{scope or 'everything'} is {name} since {since} by ann: lunch", lifts)


def test_nothing_is_tried_under_a_halt_of_the_kill_file(desk: Desk) -> None:
    kill_file.add_halt(desk.trading.ledger.directory, FileHalt("", "bob", "smoke", AT))
    lifts = "sigc safety resume --reason '...' lifts it"
    assert refused(desk) == ("E802", "everything is halted since 2016-01-06 20:00:00 UTC by bob: smoke", lifts)


def test_nothing_is_tried_while_a_breaker_of_all_books_has_tripped(desk: Desk) -> None:
    rule = {"name": "big", "type": "loss", "threshold": 0.02, "action": "halt_trading"}
    with desk.trading.ledger.transaction("fills") as tx:
        breakers.trip(tx, BreakerSettings.model_validate(rule), None, 0.03, D2, "it lost 3 %")
    assert refused(desk)[:2] == ("E802", "the breaker big has tripped: it lost 3 %")
