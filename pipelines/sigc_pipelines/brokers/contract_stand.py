"""Base of the contract's parts: the fixtures, and two sums to check by."""

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
    """Return the positions that these fills lead to, each fill counted once."""
    found: dict[str, Decimal] = {}
    for fill in {fill.execution_id: fill for fill in fills}.values():
        found[fill.asset] = found.get(fill.asset, ZERO) + fill.side.sign * fill.quantity
    return {asset: quantity for asset, quantity in sorted(found.items()) if quantity}


class Contract:
    """Base class of the contract's parts, with two fixtures."""

    @pytest.fixture
    def bench(self) -> Bench:
        """The broker author's bench."""
        raise NotImplementedError("override the fixture 'bench' with the broker that is to be tested")

    @pytest.fixture
    def customer(self, bench: Bench) -> Customer:
        """The customer of the bench."""
        return Customer(bench)
