"""What the parts of the contract stand on: the fixtures, and the two sums they check by."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sigc.store.ledger.records import ZERO, Fill
from sigc_pipelines.brokers.contract_bench import Bench, Customer

__all__ = ["PRICE", "Bench", "Contract", "Customer", "close", "held"]
PRICE = Decimal(100)


def close(bench: Bench, price: Decimal | None = PRICE, volume: Decimal | None = None) -> None:
    """End a session at one price for all."""
    bench.close(dict.fromkeys(bench.assets, price), dict.fromkeys(bench.assets, volume))


def held(fills: tuple[Fill, ...]) -> dict[str, Decimal]:
    """The positions that these fills lead to, each counted once."""
    found: dict[str, Decimal] = {}
    for fill in {fill.execution_id: fill for fill in fills}.values():
        found[fill.asset] = found.get(fill.asset, ZERO) + fill.side.sign * fill.quantity
    return {asset: quantity for asset, quantity in sorted(found.items()) if quantity}


class Contract:
    """What the parts of the contract stand on: two fixtures."""

    @pytest.fixture
    def bench(self) -> Bench:
        """The author's."""
        raise NotImplementedError("override the fixture 'bench' with the broker that is to be tested")

    @pytest.fixture
    def customer(self, bench: Bench) -> Customer:
        """Who speaks to it."""
        return Customer(bench)
