"""Whose positions a tripped breaker closes, of two books that hold the same asset in one account."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from sigc.config.breaker_settings import BreakerSettings
from sigc.errors import SigcError
from sigc.store.ledger import breakers
from sigc.store.ledger.records import BookKey
from sigc_pipelines.stopping.breaker_closing import close_by_breakers
from sigc_pipelines.stopping.closing_out import ClosedBook
from tests.trading.script import D2, Scene, before_cut_off, scene
from tests.trading.test_kill_switch import two_books

ONE, TWO = BookKey("one", "main"), BookKey("two", "main")


def trips(desk: Scene, book: BookKey | None, action: str = "flatten") -> None:
    said = {"name": "big", "type": "loss", "threshold": 0.02, "action": action}
    with desk.trading.ledger.transaction("fills") as tx:
        breakers.trip(tx, BreakerSettings.model_validate(said), book, 0.03, D2, "it lost 3 %")


def told(closed: tuple[ClosedBook, ...]) -> list[tuple[str, str, int]]:
    """The signed quantities of the closing orders."""
    return [(c.key.strategy, i.asset, int(i.side.sign * i.quantity)) for c in closed for i in c.orders]


def kept(closed: tuple[ClosedBook, ...]) -> list[tuple[str, str, int]]:
    return [(c.key.strategy, k.asset, int(k.quantity)) for c in closed for k in c.kept]


@pytest.mark.parametrize("sign", [1, -1])
def test_what_one_book_closes_another_does_not_close_again(tmp_path: Path, sign: int) -> None:
    """A thousand each in the ledger, 1,500 at the broker: the second can close 500. It is done once a session."""
    floor = two_books(tmp_path, 0.1 * sign, 0.1 * sign)
    with scene(floor, D2) as desk:
        desk.broker.positions = lambda: {"A": Decimal(1500 * sign)}  # type: ignore[method-assign]
        trips(desk, None)
        closed = close_by_breakers(desk.trading)
        assert told(closed) == [("one", "A", -1000 * sign), ("two", "A", -500 * sign)]
        assert kept(closed) == [("two", "A", 500 * sign)]
        assert close_by_breakers(desk.trading) == ()


def test_a_breaker_of_a_book_closes_that_book_alone(tmp_path: Path) -> None:
    floor = two_books(tmp_path, 0.1, 0.1)
    with scene(floor, D2) as desk:
        trips(desk, ONE, "halt_trading")
        assert close_by_breakers(desk.trading) == ()
        trips(desk, TWO)
        assert told(close_by_breakers(desk.trading)) == [("two", "A", -1000)]


def test_a_broker_that_does_not_answer_is_told_and_asked_again(tmp_path: Path) -> None:
    floor = two_books(tmp_path, 0.1, 0.1)
    with scene(floor, D2) as desk:
        trips(desk, ONE)
        desk.broker.is_silent = True
        with pytest.raises(SigcError, match="positions that a breaker closes are open still"):
            close_by_breakers(desk.trading)
        desk.broker.is_silent = False
        assert told(close_by_breakers(desk.trading)) == [("one", "A", -1000)]


def test_fills_of_closing_orders_are_not_waited_for(tmp_path: Path) -> None:
    """Within the session, at a broker that trades."""
    floor = two_books(tmp_path, 0.1, 0.1)
    within = before_cut_off(floor, D2, 3_600.0)
    with scene(floor, D2, at=within, can={"simulated": False}) as desk:
        trips(desk, ONE)
        assert told(close_by_breakers(desk.trading)) == [("one", "A", -1000)]
        assert desk.clock.now() == within
