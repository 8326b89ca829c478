"""An asset is renamed by hand at a simulated broker: what was filled and is not known yet is moved with the rest."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.config.settings import Config
from sigc.errors import SigcError
from sigc_pipelines.live.rename_asset import rename_asset
from sigc_pipelines.live.trading import Trading
from tests.trading.test_actions import CALENDAR, CAPITAL, DAYS, ONE, TWO, Market


def test_fills_that_nobody_asked_for_yet_are_taken_in_first(tmp_path: Path) -> None:
    with Market(tmp_path, ()) as market:
        market.follow(DAYS[0])
        trading = Trading(market.ledger, market.broker, market.clock, CALENDAR, Config())
        market.order(ONE, "A", 100)
        market.order(TWO, "A", -30)
        with pytest.raises(SigcError, match="does not hold 'A'"):
            rename_asset(trading, ONE, "A", "Z", "ann", "it is called so")
        market.clock.turn(DAYS[1].close + timedelta(minutes=1))
        market.broker.mark(str(DAYS[1].day), DAYS[1].close, {"A": Decimal(64)}, {})
        assert market.has(ONE)[0] == {}  # nobody has asked the broker
        entries = rename_asset(trading, ONE, "A", "Z", "ann", "it is called so")
        assert [(e.book, e.asset, e.into, e.amounts.into_change) for e in entries] == [
            (ONE, "A", "Z", Decimal(100)),
            (TWO, "A", "Z", Decimal(-30)),
        ]
        assert market.has(ONE) == ({"Z": 100}, CAPITAL - 6_400, 0)
        assert market.has(TWO) == ({"Z": -30}, CAPITAL + 1_920, 0)
        assert market.broker.positions() == {"Z": 70}
        market.agree()
