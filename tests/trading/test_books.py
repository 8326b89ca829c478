"""Random target books through the real run against tight limits: whatever is filled in whatever turn, none is breached.

Three runs a session, each with another target, while the orders of the earlier ones are in flight; the paper broker has
little volume, so that much is filled in part and ordered again. What is held, in flight and filled is read from the
ledger, and every limit measured from positions alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from sigc.config.settings import SafetySettings
from sigc.store.ledger import books, orders, price_marks
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import WORKING, ZERO, BookKey, Intent, IntentState, RunKind, Side
from sigc_pipelines.live.run import carry_out
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Request, Trading
from sigc_pipelines.target_feeds import ReplayFeed
from tests.trading.script import DAYS, free, scene, written

ASSETS = tuple("ABCDEFG")
SECTORS = dict(zip(ASSETS, ["x", "x", "y", "y", "z", "z", "z"], strict=True))
SLOTS = 3
# What an order that only reduces its position is not denied for.
EXCUSED = ("max_change", "max_turnover", "max_net_in_flight", "max_sector_in_flight", "min_cash_in_flight")
KEY = BookKey("scripted", "main")


@dataclass(slots=True)
class Count:
    """What came of the orders."""

    books: int = 0
    sent: int = 0
    denied: int = 0
    refused: int = 0


def narrow(dice: random.Random) -> dict[str, object]:
    """Limits of orders that bite; those of target weights are wide, so that runs come to orders."""
    return {
        "max_volume_ratio": 1e12,
        "max_return": 100.0,
        "max_position": dice.choice([0.3, 0.5, 1.0]),
        "max_change": dice.choice([0.2, 0.3, 0.6]),
        "max_gross_in_flight": dice.choice([0.8, 1.2, 2.0]),
        "max_net_in_flight": dice.choice([0.3, 0.6, 1.0]),
        "max_sector_in_flight": dice.choice([0.0, 0.3, 0.6]),
        "min_cash_in_flight": dice.choice([-1.0, 0.0, 0.2]),
        "max_turnover": dice.choice([0.8, 1.5, 3.0]),
        "max_order_value": dice.choice([0.0, 150_000.0, 300_000.0]),
        "max_order_shares": dice.choice([0.0, 2_000.0]),
        "max_orders_per_run": dice.choice([4, 100]),
        "max_orders_per_session": dice.choice([9, 100]),
        "allow_short": dice.random() < 0.7,
    }


@dataclass(frozen=True, slots=True)
class Seen:
    """A book as the ledger has it at a moment: what is held, and every order of the session."""

    nav: Decimal
    cash: Decimal
    held: Mapping[str, Decimal]
    marks: Mapping[str, Mark]
    session: tuple[Intent, ...]

    @classmethod
    def of(cls, trading: Trading, run: str, session: tuple[str, ...]) -> Seen:
        with trading.ledger.reading() as connection:
            marks, book = price_marks.marks_of(connection, run), books.book(connection, KEY)
            held = dict.fromkeys(ASSETS, ZERO) | books.quantities(connection, KEY)
            found = tuple(i for id in session for i in orders.of_run(connection, id))
        assert book is not None
        worth = book.cash + sum((q * (marks[a].price or ZERO) for a, q in held.items() if q), ZERO)
        return cls(worth, book.cash, held, marks, found)

    def price(self, asset: str) -> Decimal:
        mark = self.marks.get(asset)
        return ZERO if mark is None or mark.price is None else mark.price

    def measures(self, filled: list[Intent]) -> dict[str, Decimal]:
        """What each limit is of when these orders are filled and no others."""
        held, cash = dict(self.held), self.cash
        for one in filled:
            held[one.asset] += one.side.sign * one.quantity
            cash -= one.side.sign * one.quantity * one.reference
        value = {a: q * self.price(a) / self.nav for a, q in held.items()}
        sectors = {s: sum((v for a, v in value.items() if SECTORS[a] == s), ZERO) for s in set(SECTORS.values())}
        return (
            {f"max_position {a}": abs(v) for a, v in value.items()}
            | {f"max_change {a}": abs(v - self.held[a] * self.price(a) / self.nav) for a, v in value.items()}
            | {f"max_sector_in_flight {s}": abs(v) for s, v in sectors.items()}
            | {"max_gross_in_flight": sum(map(abs, value.values()), ZERO)}
            | {"max_net_in_flight": abs(sum(value.values(), ZERO)), "min_cash_in_flight": -cash / self.nav}
            | {"max_turnover": sum((o.quantity * o.reference for o in filled), ZERO) / self.nav}
            | {f"short {a}": max(ZERO, -q) for a, q in held.items()}
        )


def bound(name: str, limits: SafetySettings) -> Decimal | None:
    """The most a measure may be; None for one that is off."""
    setting = name.split(" ")[0]
    if setting == "short":
        return None if limits.allow_short else ZERO
    limit = Decimal(repr(getattr(limits, setting)))
    if setting == "max_sector_in_flight" and not limit:
        return None
    return -limit if setting == "min_cash_in_flight" else limit


def assert_kept(at: Seen, limits: SafetySettings, dice: random.Random, why: object) -> None:
    """No subset of what is in flight breaches a limit, but where the book without any of it did so already."""
    flying = [i for i in at.session if i.state in WORKING]
    before, ways = at.measures([]), _ways_out(at, flying)
    some = [[o for o in flying if dice.random() < 0.5] for _ in range(5)]
    for subset in (
        [],
        flying,
        [o for o in flying if o.side is Side.BUY],
        [o for o in flying if o.side is Side.SELL],
        *some,
    ):
        loose = at.measures([o for o in subset if o not in ways])
        for name, value in at.measures(subset).items():
            if name.split(" ")[0] in EXCUSED:
                value = loose[name]
            most = bound(name, limits)
            assert most is None or value <= max(most, before[name]), (why, name, value, most, before[name])
    sent = [i for i in at.session if i.state is not IntentState.DENIED]
    assert len(sent) <= limits.max_orders_per_session, why
    for one in sent:
        assert limits.max_order_value == 0 or one.quantity * one.reference <= limits.max_order_value, (why, one)
        assert limits.max_order_shares == 0 or one.quantity <= limits.max_order_shares, (why, one)
        assert sum(o.run == one.run for o in sent) <= limits.max_orders_per_run, why
        rivals = [o for o in flying if (o.asset, o.side) == (one.asset, one.side)]
        assert len(rivals) <= 1, (why, rivals)


def _ways_out(at: Seen, flying: list[Intent]) -> list[Intent]:
    """The orders that, whatever else is filled, only take their position nearer to zero."""
    open_ = {(o.asset, o.side): ZERO for o in flying}
    for one in flying:
        open_[one.asset, one.side] += one.quantity
    return [o for o in flying if open_[o.asset, o.side] <= -o.side.sign * at.held[o.asset]]


def play(folder: Path, seed: int, count: Count, days: int = 38) -> None:
    """One world: random prices, targets and limits over so many days, three books each."""
    dice, numbers = random.Random(seed), np.random.default_rng(seed)
    shape = (days, len(ASSETS))
    prices = np.round(np.exp(numbers.normal(4, 0.5, shape[1]) + numbers.normal(0, 0.03, shape).cumsum(axis=0)), 2)
    safety = narrow(dice)
    limits = SafetySettings.model_validate(safety)
    floor = written(
        folder,
        dict.fromkeys(ASSETS, 0.0),
        {a: prices[:, i].tolist() for i, a in enumerate(ASSETS)},
        dict.fromkeys(ASSETS, 8_000.0),
        config=free(
            {"max_volume_pct": 0.1, "leverage": 100.0, "slippage_bps": 0.0}, safety=safety, audit={"mirror": False}
        ),
        days=days,
        sectors=SECTORS,
    )
    feed = floor.replayed(DAYS[0])
    with scene(floor, DAYS[0]) as desk:
        for day in DAYS[:days]:
            desk.clock.turn(instant_of(floor.calendar, day))
            ids: list[str] = []
            for slot in range(SLOTS):
                wanted = numbers.normal(0, dice.choice([0.03, 0.08, 0.2]), shape)
                wanted = np.clip(wanted, -0.9 * limits.max_change / 2, 0.9 * limits.max_change / 2)
                if not limits.allow_short:
                    wanted = np.abs(wanted)
                fresh = ReplayFeed(replace(feed.outlook, wanted=np.round(wanted, 3)), feed.prices)
                ids.append(f"{day}-{slot}")
                request = Request(ids[-1], "scripted", "main", RunKind.TRADE, "player", slot=str(slot))
                ended = carry_out(desk.trading, request, fresh)
                count.books += 1
                if ended.problems:
                    assert {d.code for d in ended.problems} == {"E801"}, ended.problems
                    count.refused += 1
                    continue
                count.denied += sum(i.state is IntentState.DENIED for i in ended.orders)
                count.sent += sum(i.state is not IntentState.DENIED for i in ended.orders)
                assert_kept(Seen.of(desk.trading, ids[-1], tuple(ids)), limits, dice, (seed, day, slot, safety))


def test_four_hundred_books(tmp_path: Path) -> None:
    count, seed = Count(), 0
    while count.books < 400:
        play(tmp_path / str(seed), seed, count)
        seed += 1
    print(count)
    # The law is not kept by sending nothing, nor by limits that nothing reaches.
    assert count.sent > 300
    assert count.denied > 400
    assert count.refused < count.books / 2


@pytest.mark.soak
def test_a_hundred_thousand_books(tmp_path: Path) -> None:
    count, seed = Count(), 1_000
    while count.books < 100_000:
        play(tmp_path / str(seed), seed, count)
        seed += 1
    print(count)
    assert count.sent > 100_000
