"""Orders, fills and books for the tests of checks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sigc.config.settings import SafetySettings
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import ZERO, Fill, Intent, RunKey, Side
from sigc_pipelines.checks.exposure import Exposure
from sigc_pipelines.checks.orders import judge

NOW = datetime(2024, 1, 2, 15, tzinfo=UTC)
CUT_OFF = datetime(2024, 1, 2, 20, 55, tzinfo=UTC)
KEY = RunKey("momentum", "main", "2024-01-02")
# Limits so wide that a test meets only the one it narrows.
WIDE = {
    "max_position": 1e9,
    "max_gross_in_flight": 1e9,
    "max_net_in_flight": 1e9,
    "max_turnover": 1e9,
    "max_change": 1e9,
    "max_order_pct": 0.0,
    "max_adv_pct": 0.0,
    "min_cash": -1e9,
    "min_cash_in_flight": -1e9,
}


def limits(**narrowed: Any) -> SafetySettings:
    return SafetySettings.model_validate(WIDE | narrowed)


def order(
    id: str,
    side: str,
    quantity: Decimal | int | str,
    asset: str = "A",
    reference: Decimal | int | str = 100,
    **more: Any,
) -> Intent:
    return Intent(
        id, more.pop("run", "run-1"), KEY, 0, asset, Side(side), Decimal(quantity), Decimal(reference), **more
    )


def fill(id: str, of: Intent, quantity: Decimal, price: Decimal | None = None, commission: Decimal = ZERO) -> Fill:
    at = of.reference if price is None else price
    return Fill(id, of.client_order_id, of.asset, of.side, quantity, at, commission, NOW)


def book(
    nav: Decimal | int | str = 10_000,
    cash: Decimal | int | str = 10_000,
    positions: Mapping[str, int] | None = None,
    prices: Mapping[str, Decimal | int | None] | None = None,
    **more: Any,
) -> Exposure:
    """A book of assets A (sector x), B and C (sector y) at 100, unless told otherwise."""
    known = {"A": Decimal(100), "B": Decimal(100), "C": Decimal(100)}
    known |= {a: p if p is None else Decimal(p) for a, p in (prices or {}).items()}  # type: ignore[misc]
    marks = {a: Mark(p, "x" if a == "A" else "y") for a, p in known.items()}
    held = {a: Decimal(q) for a, q in (positions or {}).items()}
    return Exposure.of(Decimal(nav), Decimal(cash), held, marks, **more)


def denied(at: Exposure, one: Intent, **narrowed: Any) -> tuple[str, ...]:
    """The names of the checks that deny an order."""
    return tuple(f.check for f in judge(one, at, limits(**narrowed), NOW, CUT_OFF))
