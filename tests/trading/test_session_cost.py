"""A session costs what the session costs, not what the ledger holds: counted in statements and the steps they take.

SQLite calls back at each turn of a statement's loops: a row that is read, passed over or sorted is a step, whatever the
machine. Two sessions with the same orders are compared, one early and one late in the life of a small book; nothing is
timed.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sigc.metrics import DaemonMetrics
from sigc.store.ledger import books, orders, runs
from sigc.store.ledger.connection import connect_reader
from sigc.store.ledger.proof import prove
from sigc.store.ledger.records import BookKey
from sigc_pipelines.service.metrics_feed import tell_book
from tests.trading.floor import Floor
from tests.trading.script import DAYS, free, written

EARLY, LATE = 6, 24
# What is of the whole ledger: the proof at a start, which is what it is for.
OF_ALL = ("PRAGMA quick_check", "SELECT record, json_extract(record, '$.event')")


@dataclass
class Steps:
    """Statements and their steps, by text."""

    made: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        self.made.clear()
        self.steps.clear()


class Counting(sqlite3.Connection):
    """A connection that counts what its statements do."""

    seen: Steps

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._text = ""
        self.set_progress_handler(self._step, 1)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self._begin(sql)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        self._begin(sql)
        return super().executemany(sql, parameters)

    def _begin(self, sql: str) -> None:
        self._text = " ".join(sql.split())
        self.seen.made[self._text] += 1

    def _step(self) -> int:
        self.seen.steps[self._text] += 1
        return 0


def traded(floor: Floor, day: str, metrics: DaemonMetrics) -> None:
    """A process that begins, proves its ledger, trades a session, and tells its figures."""
    with floor.open(day) as trading:
        with trading.ledger.transaction("control") as tx:
            prove(tx)
        ended = floor.run(trading, f"run-{day}")
        assert ended.run.outcome.is_success, ended.run.message
        assert len(ended.orders) == 4
        tell_book(metrics, trading.ledger, BookKey(floor.strategy.name, "main"))


def counted(floor: Floor, day: str, metrics: DaemonMetrics) -> Steps:
    """A session, and what its statements did."""
    seen = Steps()
    with pytest.MonkeyPatch.context() as patch:
        factory = type("Counted", (Counting,), {"seen": seen})
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=factory))
        traded(floor, day, metrics)
    return seen


def test_a_late_session_does_what_an_early_one_did(tmp_path: Path) -> None:
    """Four orders each, fills of four, an account of two runs, a NAV."""
    turns = [0.1, -0.1] * 20
    weights = {"A": turns, "B": [-w for w in turns], "C": turns, "D": [-w for w in turns]}
    floor, metrics = written(tmp_path, weights, config=free({"borrow_bps": 50.0}), days=40), DaemonMetrics()
    seen: dict[int, Steps] = {}
    for number, day in enumerate(DAYS[:LATE], 1):
        if number in (EARLY, LATE):
            seen[number] = counted(floor, day, metrics)
        else:
            traded(floor, day, metrics)
    early, late = seen[EARLY], seen[LATE]
    assert early.made == late.made
    assert early.steps.total() > 1_000
    # An id that is drawn by chance lies now here, now there in an index: a step more or less each time it is looked for.
    grown = {
        text: (early.steps[text], late.steps[text], early.made[text])
        for text in late.steps
        if late.steps[text] > early.steps[text] + early.made[text] and not text.startswith(OF_ALL)
    }
    assert not grown
    assert turnovers(floor) == by_hand(floor)
    assert {text for text in late.steps if text.startswith(OF_ALL) and late.steps[text] > 2 * early.steps[text]}


def turnovers(floor: Floor) -> list[float]:
    """Of the newest runs, from what triggers keep."""
    with closing(connect_reader(floor.work_dir / "ledger.sqlite")) as connection:
        found = runs.past_turnovers(connection, floor.strategy.name, "main", 7)
    assert len(found) == 7
    return [round(value, 9) for value in found]


def by_hand(floor: Floor) -> list[float]:
    """The same in Decimal: what the orders of a run come to, over the NAV of its day."""
    with closing(connect_reader(floor.work_dir / "ledger.sqlite")) as connection:
        navs = {n.session: n.nav for n in books.navs(connection, BookKey(floor.strategy.name, "main"))}
        found = [
            float(sum(i.quantity * i.reference for i in orders.of_run(connection, run.id)) / navs[run.as_of])
            for run in runs.recent(connection, 7)
        ]
    return [round(value, 9) for value in reversed(found)]


def test_a_statement_that_reads_the_past_is_seen(tmp_path: Path) -> None:
    """The counter is no blind one: each row that is read is a step."""
    seen = Steps()
    connection = type("Counted", (Counting,), {"seen": seen})(tmp_path / "some.sqlite")
    connection.execute("CREATE TABLE t (n INTEGER)")
    read = []
    for _ in range(2):
        connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(50)])
        seen.clear()
        connection.execute("SELECT sum(n) FROM t").fetchall()
        read.append(seen.steps.total())
    connection.close()
    assert read[1] - read[0] >= 50
