"""One order against the whole account: each limit at its boundary, reductions, and what can't be evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from sigc.config.settings import AccountSettings, SafetySettings
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import Intent, RunKey
from sigc_pipelines.checks.account import AccountExposure, is_later, judge_account
from sigc_pipelines.checks.exposure import Exposure
from tests.checks.orders import limits, order

OTHERS = RunKey("value", "main", "2024-01-02")


def whole(held: Mapping[str, int], *flying: Intent, nav: Decimal | int = 20_000, price: int | None = 100) -> Exposure:
    """All books: worth 20,000, prices of 100."""
    marks = {asset: Mark(None if price is None else Decimal(price)) for asset in "ABC"}
    positions = {asset: Decimal(quantity) for asset, quantity in held.items()}
    return Exposure.of(Decimal(nav), Decimal(nav), positions, marks, intents=flying)


def said(
    one: Intent, account: AccountExposure, own: Mapping[str, int] | None = None, **account_limits: Any
) -> list[str]:
    """The checks that have something against an order. own: what its book holds."""
    found = judge_account(one, whole(own or {}, nav=10_000), account, limits(account=account_limits))
    return [f.check for f in found]


@pytest.mark.parametrize(("quantity", "is_denied"), [(99, False), (100, False), (101, True)])
def test_the_position_of_all_books(quantity: int, is_denied: bool) -> None:
    """100 are held by another book, and 50 more are on their way: 250 x 100 is 1.25 of 20,000."""
    account = AccountExposure(whole({"A": 100}, order("o1", "buy", 50)))
    denied = said(order("o2", "buy", quantity), account, max_position=1.25)
    assert denied == (["account_position"] if is_denied else [])


@pytest.mark.parametrize(("quantity", "is_denied"), [(99, False), (100, False), (101, True)])
def test_the_gross_of_all_books(quantity: int, is_denied: bool) -> None:
    """100 long in A, 50 short in B, 50 of C on their way: with 100 more 300 x 100, which is 1.5 of 20,000."""
    account = AccountExposure(whole({"A": 100, "B": -50}, order("o1", "buy", 50, "C")))
    denied = said(order("o2", "sell", quantity, "C"), account, max_gross=1.5)
    # A sale of what may come is no addition up to 50: the reach of C is the larger of both.
    assert denied == []
    denied = said(order("o3", "buy", quantity, "C"), account, max_gross=1.5)
    assert denied == (["account_gross"] if is_denied else [])


@pytest.mark.parametrize(("quantity", "is_denied"), [(149, False), (150, False), (151, True)])
def test_the_net_of_all_books(quantity: int, is_denied: bool) -> None:
    """100 long, 50 short: 50 net; the open sale of 70 does not count for a purchase."""
    account = AccountExposure(whole({"A": 100, "B": -50}, order("o1", "sell", 70, "B")))
    denied = said(order("o2", "buy", quantity, "C"), account, max_net=1.0)
    assert denied == (["account_net"] if is_denied else [])


def test_reductions_pass_whatever_is_exceeded() -> None:
    tight: dict[str, Any] = {"max_gross": 0.1, "max_net": 0.1, "max_position": 0.1}
    account = AccountExposure(whole({"A": 100, "B": -50}))
    assert said(order("o1", "sell", 40), account, own={"A": 100}, **tight) == []
    assert said(order("o2", "buy", 50, "B"), account, own={"B": -50}, **tight) == []
    # A way out of its own book, though all books together come to be short of it.
    assert said(order("o3", "sell", 100), AccountExposure(whole({"A": 0})), own={"A": 100}, **tight) == []
    # A reduction of the account that opens a short position in its own book passes too: all of it comes down.
    assert said(order("o4", "sell", 40), account, **tight) == []
    assert said(order("o5", "buy", 1), account, **tight) == ["account_gross", "account_net", "account_position"]


@pytest.mark.parametrize("nav", ["nan", "inf", "0", "-5"])
def test_an_account_that_can_not_be_valued_lets_only_reductions_pass(nav: str) -> None:
    account = AccountExposure(whole({"A": 100}, nav=Decimal(nav)))
    wide: dict[str, Any] = {"max_gross": 9.0, "max_net": 9.0, "max_position": 9.0}
    every = ["account_gross", "account_net", "account_position"]
    assert said(order("o1", "buy", 1), account, **wide) == every
    assert said(order("o2", "sell", 1), account, own={"A": 100}, **wide) == []
    unpriced = AccountExposure(whole({"A": 100}, price=None))
    assert said(order("o3", "buy", 1), unpriced, **wide) == every


@pytest.mark.parametrize(("quantity", "is_denied"), [(49, False), (50, False), (51, True)])
def test_the_buying_power_that_the_broker_tells(quantity: int, is_denied: bool) -> None:
    """Half of 20,000; 5,000 are taken by orders that were sent since."""
    account = AccountExposure(whole({}), power=Decimal(20_000), used=Decimal(5_000))
    denied = said(order("o1", "buy", quantity), account, max_buying_power=0.5)
    assert denied == (["account_power"] if is_denied else [])
    for unknown in (None, Decimal("nan"), Decimal("inf")):
        silent = AccountExposure(whole({"A": 9}), power=unknown)
        assert said(order("o2", "buy", 1), silent, max_buying_power=0.5) == ["account_power"]
        assert said(order("o3", "sell", 1), silent, own={"A": 9}, max_buying_power=0.5) == []
    assert said(order("o4", "buy", 1), AccountExposure(whole({}), power=Decimal(-1)), max_buying_power=1.0) == [
        "account_power"
    ]


@pytest.mark.parametrize(("sent", "waits"), [(8, False), (9, False), (10, True), (11, True)])
def test_orders_beyond_a_minutes_number_wait(sent: int, waits: bool) -> None:
    found = judge_account(
        order("o1", "buy", 1),
        whole({}),
        AccountExposure(whole({}), sent=sent),
        limits(account={"max_orders_a_minute": 10}),
    )
    assert is_later(found) is waits
    assert len(found) == waits


def test_an_opposite_order_of_another_book_is_waited_for() -> None:
    other = replace(order("o1", "sell", 5), key=OTHERS)
    account = AccountExposure(whole({}), opposite=(other,))
    found = judge_account(order("o2", "buy", 1), whole({}), account, limits())
    assert [f.message for f in found] == ["an opposite order in A is open, of value"]
    assert is_later(found)
    assert said(order("o3", "sell", 1), account) == []
    assert said(order("o4", "buy", 1, "B"), account) == []
    # It is no excuse: what is beyond a limit besides is denied.
    both = judge_account(order("o5", "buy", 999), whole({}), account, limits(account={"max_position": 0.1}))
    assert not is_later(both)
    assert not is_later(())


def test_an_account_of_which_nothing_was_sent_takes_a_first_order() -> None:
    fresh = AccountExposure(whole({}), power=Decimal(100))
    assert said(order("o1", "buy", 1), fresh, max_orders_a_minute=1, max_buying_power=1.0) == []


def test_an_order_that_is_too_early_for_two_reasons_waits_and_names_three_rivals() -> None:
    rivals = tuple(
        replace(order(f"o{name}", "sell", 5), key=RunKey(name, "main", "2024-01-02")) for name in ("d", "b", "a", "c")
    )
    account = AccountExposure(whole({}), sent=10, opposite=rivals)
    found = judge_account(order("o5", "buy", 1), whole({}), account, limits(account={"max_orders_a_minute": 10}))
    assert [f.message for f in found] == [
        "order 11 of all books within a minute; the limit is 10",
        "an opposite order in A is open, of a, b, c and 1 more",
    ]
    assert is_later(found)


def test_limits_that_are_off_judge_nothing() -> None:
    account = AccountExposure(whole({"A": 10**6}, nav=Decimal("nan")))
    assert said(order("o1", "buy", 10**6), account) == []
    assert SafetySettings().account == AccountSettings()


@pytest.mark.parametrize("name", ["max_gross", "max_net", "max_position", "max_orders_a_minute", "max_buying_power"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_a_limit_is_a_number(name: str, value: float) -> None:
    with pytest.raises(ValidationError):
        AccountSettings.model_validate({name: value})
