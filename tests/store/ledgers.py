"""Ledgers with years of history, generated: quick to make, of any size, the same for the same seed."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

STATES = ("filled", "filled", "filled", "filled", "cancelled", "rejected", "expired", "acknowledged")


@dataclass(frozen=True)
class Size:
    """How much of everything; orders of all runs together."""

    sessions: int = 30
    strategies: int = 2
    orders: int = 400
    positions: int = 12
    seed: int = 1


LARGE = Size(sessions=2520, strategies=2, orders=100_000, positions=5000)


def weekdays(count: int) -> Iterator[str]:
    """So many sessions."""
    day = date(2014, 1, 1)
    while count:
        if day.weekday() < 5:
            count -= 1
            yield day.isoformat()
        day += timedelta(days=1)


def fill(connection: sqlite3.Connection, size: Size) -> None:
    """Write the history in one transaction."""
    draw = random.Random(size.seed)
    connection.execute("BEGIN IMMEDIATE")
    days = list(weekdays(size.sessions))
    books = [f"s{number}" for number in range(size.strategies)]
    each = size.orders // (len(books) * len(days))
    for name in books:
        columns = "strategy, portfolio, capital, cash, opened"  # of any version of the schema
        values = (name, "main", "1000000", "1000000", at(days[0]))
        connection.execute(f"INSERT INTO books ({columns}) VALUES (?, ?, ?, ?, ?)", values)  # noqa: S608
    navs = dict.fromkeys(books, 1e6)
    for number, day in enumerate(days):
        for name in books:
            navs[name] *= 1 + draw.gauss(0.0003, 0.01)
            gross = navs[name] * draw.uniform(0.5, 2)
            row = (
                name,
                "main",
                day,
                f"{navs[name]:.2f}",
                "0",
                f"{gross:.2f}",
                f"{gross * draw.uniform(-0.2, 0.2):.2f}",
            )
            columns = "strategy, portfolio, session, nav, cash, gross, net"
            connection.execute(f"INSERT INTO nav ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
            _run(
                connection, draw, name, day, number, each if number < len(days) - 1 else max(each, size.positions // 20)
            )
    for name in books:
        run = f"{name}-{days[-1]}"
        for asset in (f"A{n:04d}" for n in range(size.positions)):
            held = (name, "main", asset, str(draw.randint(-500, 500) or 1), f"{draw.uniform(5, 500):.4f}")
            connection.execute("INSERT INTO positions VALUES (?, ?, ?, ?, ?)", held)
            price = None if draw.random() < 0.01 else f"{draw.uniform(5, 500):.2f}"
            connection.execute("INSERT INTO marks VALUES (?, ?, ?, '')", (run, asset, price))
    connection.execute("COMMIT")


def at(day: str, seconds: int = 0) -> str:
    """An instant of a session."""
    return (datetime.fromisoformat(day).replace(hour=14, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()


def _run(connection: sqlite3.Connection, draw: random.Random, name: str, day: str, number: int, count: int) -> None:
    run, hurdle = f"{name}-{day}", draw.random()
    outcome = "done" if hurdle < 0.95 else "failed"
    start = at(day, draw.randint(0, 60))
    connection.execute(
        "INSERT INTO runs (id, strategy, portfolio, session, kind, slot, revision, as_of, started, who, reason, broker,"
        " outcome, traded) VALUES (?, ?, 'main', ?, 'trade', '', 0, ?, ?, 'job', '', 'paper', ?, 1)",
        (run, name, day, day, start, outcome),
    )
    if number % 3:  # the daemon's; the others were run without one
        _ordered(connection, run, name, "trade", start, outcome)
    for kind in ("compute", "dry"):
        _ordered(connection, f"{run}-{kind}", name, kind, at(day, draw.randint(0, 60)), "done")
    for place in range(count):
        _order(connection, draw, run, place, day)
    for event in ("run.opened", "run.decided", "run.closed"):
        _audit(connection, event, run, name, {"session": day}, start)


def _ordered(connection: sqlite3.Connection, id: str, name: str, kind: str, asked: str, outcome: str) -> None:
    connection.execute(
        "INSERT INTO run_orders (id, strategy, kind, portfolio, file, date, slot, job, fire, who, reason, asked, outcome)"
        " VALUES (?, ?, ?, 'main', '', '', '', '', '', 'job', '', ?, ?)",
        (id, name, kind, asked, outcome),
    )


def _order(connection: sqlite3.Connection, draw: random.Random, run: str, place: int, day: str) -> None:
    id, side, state = f"{run}-{place}", draw.choice(("buy", "sell")), draw.choice(STATES)
    quantity, price = draw.randint(1, 500), draw.uniform(5, 500)
    asset = f"A{draw.randint(0, 4999):04d}"
    connection.execute(
        "INSERT INTO intents (client_order_id, run, place, asset, side, quantity, reference, order_type, time_in_force,"
        " parent, slice, state, filled) VALUES (?, ?, ?, ?, ?, ?, ?, 'market', 'day', '', 0, ?, ?)",
        (id, run, place, asset, side, str(quantity), f"{price:.2f}", state, str(quantity if state == "filled" else 0)),
    )
    if state == "filled":
        for part in range(draw.randint(1, 2)):
            share = (f"{id}-{part}", id, asset, side, str(quantity), f"{price * draw.gauss(1, 0.001):.4f}", "1.5")
            connection.execute(
                "INSERT INTO fills (execution_id, client_order_id, asset, side, quantity, price, commission, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*share, at(day, 3600 + place)),
            )
    strategy = run.partition("-")[0]
    for event in ("order.planned", "order.sending", "order.acknowledged", "fill"):
        _audit(connection, event, run, strategy, {"client_order_id": id, "asset": asset}, at(day))


def _audit(
    connection: sqlite3.Connection, event: str, run: str, strategy: str, said: dict[str, str], when: str
) -> None:
    record = json.dumps({"at": when, "event": event, "who": "job", "payload": said})
    connection.execute(
        "INSERT INTO audit (at, event, run, strategy, record, digest, signature) VALUES (?, ?, ?, ?, ?, '', '')",
        (when, event, run, strategy, record),
    )
