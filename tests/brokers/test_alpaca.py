"""The contract over Alpaca's twin, by real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from sigc_pipelines.brokers.contract import Bench, BrokerContract
from sigc_pipelines.brokers.faulty import Faults
from tests.brokers.alpaca_bench import LAG_S, LATE_S, AlpacaBench, Kind

KINDS = {
    "plain": Kind(),
    "fractions and fees": Kind(step="0.01", fee=Decimal("0.02")),
    "late reads": Kind(lag_s=LAG_S),
}
BAD = Faults(unknown=0.2, lost=0.1, late=0.1, throttled=0.1, unreachable=0.2, late_s=LATE_S)


class TestAlpaca(BrokerContract):
    @pytest.fixture(params=KINDS)
    def bench(self, request: pytest.FixtureRequest) -> Iterator[Bench]:
        bench = AlpacaBench(KINDS[request.param])
        yield bench
        bench.end()


class TestAlpacaBehindABadWire(BrokerContract):
    """Half of all orders have no answer, or a wrong one."""

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        bench = AlpacaBench(Kind(lag_s=LAG_S, faults=BAD))
        yield bench
        bench.end()
