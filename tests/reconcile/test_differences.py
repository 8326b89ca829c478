"""Ways in which ledger and broker come apart at a broker that trades: each is found, named, refused; once a person has
adopted it, the ledger holds what the broker holds, and the next run trades the difference to its target alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.store.ledger import adjustments, books, proof
from sigc.store.ledger.adjustments import GapCause
from sigc.store.ledger.records import BookKey, Outcome, Side
from sigc_pipelines.brokers.protocol import BrokerOrder, OrderRequest, OrderStatus
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.reconcile.adopt import Adoption, adopt, compare
from tests.reconcile.street import Street
from tests.trading.floor import Floor
from tests.trading.script import D1, D2, D3, D4, written

KEY = BookKey("scripted", "main")
D = Decimal
WANTED = {"A": 0.1, "B": -0.1, "C": 0.05, "E": 0.0, "F": 0.0}
TARGET = {"A": 1000, "B": -1000, "C": 500, "E": 0, "F": 0}  # of a capital of 1,000,000, at 100


@contextmanager
def desk(floor: Floor, street: Street, day: str) -> Iterator[Trading]:
    """A process after the close of a day."""
    clock = HandClock(instant_of(floor.calendar, day))
    street.clock = clock
    with floor.open(day, street, clock) as trading:
        yield trading


@dataclass(frozen=True)
class Way:
    """One way. happens: what the street does; causes: by asset. actions: as the data list them.

    splits: new shares per old one; orders of these assets are none, as their weight is what it was.
    """

    happens: Callable[[Street], object]
    causes: dict[str, GapCause]
    actions: str = ""
    splits: dict[str, Decimal] = field(default_factory=dict)


def untold(street: Street, quantity: int) -> None:
    """More of the order in A is filled, and its fill is not told."""
    (id,) = [one.client_order_id for one in street.submits if one.asset == "A"]
    known = street.book[id]
    street.book[id] = BrokerOrder(
        known.request, known.broker_order_id, known.status, known.filled + quantity, known.submitted
    )
    street.gets("A", quantity, -100 * quantity)


def ours(street: Street) -> None:
    """A ledger that was put away has sent an order under an id of sigc's."""
    street.hand("A", 7, "sigc-" + "0" * 32)


def left_open(street: Street) -> None:
    request = OrderRequest("sigc-" + "1" * 32, "A", Side.BUY, D(5))
    street.book[request.client_order_id] = BrokerOrder(request, "b9", OrderStatus.NEW, D(0), street.now())


def emptied(street: Street) -> None:
    street.held.clear()


def merged(street: Street) -> None:
    street.gets("C", -500)
    street.gets("E", 250)


WAYS = {
    "a hand buy": Way(lambda s: s.hand("A", 10), {"A": GapCause.TRADE}),
    "a hand sale": Way(lambda s: s.hand("A", -300), {"A": GapCause.TRADE}),
    "another program opens a position": Way(lambda s: s.hand("E", 40), {"E": GapCause.TRADE}),
    "a hand trade turns a position": Way(lambda s: s.hand("A", -1400), {"A": GapCause.TRADE}),
    "a split that nobody lists": Way(lambda s: s.split("A", 4), {"A": GapCause.SPLIT}, splits={"A": D(4)}),
    "a reverse split that nobody lists": Way(
        lambda s: s.split("A", 1, 8), {"A": GapCause.SPLIT}, splits={"A": D("0.125")}
    ),
    "a split of a short position": Way(lambda s: s.split("B", 2), {"B": GapCause.SPLIT}, splits={"B": D(2)}),
    "a stock dividend, early": Way(
        lambda s: s.split("A", 5, 4),
        {"A": GapCause.SPLIT},
        f"date,ticker,kind,ratio,into\n{D4},A,split,1.25,\n",
        {"A": D("1.25")},
    ),
    "a renaming that nobody lists": Way(lambda s: s.renames("A", "E"), {"A": GapCause.RENAME, "E": GapCause.RENAME}),
    "a delisting": Way(lambda s: s.gets("C", -500, 900), {"C": GapCause.DELISTING}),
    "a merger, early": Way(
        merged,
        {"C": GapCause.MERGER, "E": GapCause.MERGER},
        f"date,ticker,kind,ratio,into\n{D4},C,merge,0.5,E\n",
    ),
    "a spin-off, early": Way(
        lambda s: s.gets("E", 125),
        {"E": GapCause.SPIN_OFF},
        f"date,ticker,kind,ratio,into\n{D4},A,spinoff,0.125,E\n",
    ),
    "a short is recalled": Way(lambda s: s.gets("B", 400, -40_000), {"B": GapCause.RECALL}),
    "shares are moved in": Way(lambda s: s.gets("F", 33), {"F": GapCause.TRANSFER}),
    "a fill that was not told": Way(lambda s: untold(s, 15), {"A": GapCause.FILL_MISSING}),
    "a fill that was told twice": Way(lambda s: untold(s, -15), {"A": GapCause.FILL_TWICE}),
    "an older ledger": Way(ours, {"A": GapCause.RESTORED}),
    "an order of ours that the ledger does not have": Way(left_open, {"sigc-" + "1" * 32: GapCause.ORDER_UNKNOWN}),
    "an account that is empty": Way(emptied, {"A": GapCause.ACCOUNT, "B": GapCause.ACCOUNT, "C": GapCause.ACCOUNT}),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def test_it_is_named_refused_and_adopted(way: Way, tmp_path: Path) -> None:
    old = [100.0] * (3 if way.actions else 2)  # an action that is listed is early at the broker
    prices = {asset: [*old, float(100 / ratio)] for asset, ratio in way.splits.items()}
    floor = written(tmp_path, WANTED, prices, actions=way.actions)
    street = Street()
    with desk(floor, street, D1) as trading:
        assert floor.run(trading, "one").run.outcome is Outcome.DONE
        assert street.positions() == {"A": D(1000), "B": D(-1000), "C": D(500)}
    sent = len(street.submits)
    with desk(floor, street, D2) as trading:
        way.happens(street)
        ended = floor.run(trading, "two")
        found = compare(trading).found
        assert {one.difference.asset: one.cause for one in found} == way.causes
        assert [d.code for d in ended.problems] == ["E602"]
        assert all(one.text in ended.problems[0].message for one in found[:5])
        assert len(street.submits) == sent
        adopt(trading, Adoption("ann", "looked at it"))
        assert compare(trading).found == ()
        with trading.ledger.reading() as connection:
            assert books.quantities(connection, KEY) == street.positions()
            assert proof.faults(connection) == ()
            entries = adjustments.of_book(connection, KEY)
        assert {(e.who, e.reason) for e in entries} <= {("ann", "looked at it")}
        assert len(street.submits) == sent
        wanted = {a: t - held(street, a) for a, t in TARGET.items() if a not in way.splits and t != held(street, a)}
        ended = floor.run(trading, "three")
        assert {o.asset: int(o.side.sign * o.quantity) for o in ended.orders} == wanted, ended.run.message
    for name, day in (("four", D3), ("five", D4)):
        with desk(floor, street, day) as trading:
            ended = floor.run(trading, name)
            assert ended.orders == (), (day, ended.run.message)
            assert compare(trading).found == ()


def held(street: Street, asset: str) -> int:
    return int(street.held.get(asset, D(0)))
