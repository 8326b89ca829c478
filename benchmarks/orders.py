"""Processor time to send an order, with 1,000 and with 1,000,000 orders in the ledger: it must not grow with them.

Runs of a hundred orders each, judged, marked, sent to a broker that takes everything, acknowledged: the path of a live
run from its plan to the broker's answer. Both ledgers in one process, asked in turn, so that the ratio holds on a noisy
machine. The history is one strategy's, whose book the orders are judged by; a tenth of its orders ended without a fill.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sigc.clock import HandClock
from sigc.config.settings import ExecutionSettings
from sigc.store.ledger import books, orders, price_marks, runs
from sigc.store.ledger.connection import FILE, connect_writer
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Intent, IntentState, Outcome, Run, RunKey, RunKind, Side
from sigc_pipelines.brokers.protocol import BrokerOrder, OrderRequest, OrderStatus
from sigc_pipelines.live.judging import judge_of
from sigc_pipelines.live.order_window import SendingEnd
from sigc_pipelines.live.send_orders import Desk, Execution

FEW, MANY = 1_000, 1_000_000
MOST = 1.2  # times as much processor time at MANY as at FEW
_ORDERS, _PER_RUN, _RUNS = 100, 400, 21
BOOK = BookKey("momentum", "main")
NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)

# A history of :orders, in SQL: as the ledger writes it, in a thousandth of the time. An order has four audit records.
_HISTORY = (
    "INSERT INTO runs (id, strategy, portfolio, session, kind, slot, revision, as_of, started, who, reason, broker,"
    " outcome, traded) WITH n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :orders / :each + 1)"
    " SELECT 'r' || i, 'momentum', 'main', date('2000-01-03', i || ' days'), 'trade', '', 0, date('2000-01-02', i || ' days'),"
    " date('2000-01-03', i || ' days') || 'T14:00:00+00:00', 'job', '', 'paper', 'done', 1 FROM n",
    "INSERT INTO intents (client_order_id, run, place, asset, side, quantity, reference, order_type, time_in_force, parent,"
    " slice, state, filled, broker_order_id, attempts)"
    " WITH n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :orders)"
    " SELECT 'o' || i, 'r' || (i / :each), i % :each, 'A' || (i % 500), iif(i % 2, 'buy', 'sell'), '10', '100', 'market',"
    " 'day', '', 0, CASE i % 10 WHEN 0 THEN 'cancelled' ELSE 'filled' END, iif(i % 10, '10', '0'), 'b' || i, 1 FROM n",
    "INSERT INTO fills (execution_id, client_order_id, asset, side, quantity, price, commission, at)"
    " SELECT 'e' || i.number, client_order_id, asset, side, quantity, '100', '0', r.started"
    " FROM intents i JOIN runs r ON r.id = i.run WHERE i.state = 'filled' ORDER BY i.number",
    "INSERT INTO audit (at, event, run, strategy, record, digest, signature)"
    " SELECT r.started, e.column1, i.run, 'momentum', '{\"payload\":\"' || hex(zeroblob(100)) || '\"}', hex(zeroblob(32)), ''"
    " FROM intents i JOIN runs r ON r.id = i.run"
    " JOIN (VALUES ('order.planned'), ('order.sending'), ('order.acknowledged'), ('')) e ORDER BY i.number",
    "UPDATE audit SET event = iif(seq / 4 % 10, 'fill', 'order.cancelled') WHERE event = ''",
)


class Taker:
    """A broker that takes every order, and costs next to nothing."""

    def submit(self, request: OrderRequest) -> BrokerOrder:
        """Taken."""
        return BrokerOrder(request, f"b-{request.client_order_id}", OrderStatus.NEW)


@dataclass(frozen=True, slots=True)
class Desks:
    """A ledger with a history."""

    ledger: Ledger
    clock: HandClock

    def send_s(self, number: int) -> float:
        """Seconds of processor time an order, over the orders of one run. Their end is not counted."""
        run = self._planned(number)
        desk = Desk(self.ledger, Taker(), self.clock, ExecutionSettings(fill_wait_s=0.0))  # type: ignore[arg-type]
        execution = Execution(
            desk, run, judge_of(self.ledger, run, self.clock), SendingEnd(NOON + timedelta(hours=1), "")
        )
        begun = time.process_time()
        while execution._turn():
            pass
        seconds = time.process_time() - begun
        with self.ledger.transaction("resolve") as tx:
            sent = orders.of_run(tx.connection, run.id)
            assert {i.state for i in sent} == {IntentState.ACKNOWLEDGED}, sent[0]
            for intent in sent:
                orders.moved(tx, intent, IntentState.EXPIRED, "the day is over")
            runs.close_run(tx, run, NOON, Outcome.DONE, "")
        return seconds / _ORDERS

    def _planned(self, number: int) -> Run:
        day = (NOON + timedelta(days=number)).date().isoformat()
        run = Run(
            f"run-{number}",
            RunKey(*BOOK_KEY, day, RunKind.TRADE, ""),
            day,
            0,
            NOON,
            "job",
            cut_off=NOON + timedelta(hours=1),
        )
        names = [f"A{n}" for n in range(_ORDERS)]
        with self.ledger.transaction("intents") as tx:
            books.open_book(tx, BOOK, Decimal(10**9), NOON)
            runs.open_run(tx, run, {"max_orders_per_run": 10**6})
            price_marks.put_marks(tx, run.id, {name: price_marks.Mark(Decimal(100), "X") for name in names})
            runs.mark_decided(tx, run)
            orders.plan(tx, [self._order(run, place, name) for place, name in enumerate(names)])
        return run

    def _order(self, run: Run, place: int, name: str) -> Intent:
        id = f"{run.id}-{place}"
        return Intent(id, run.id, run.key, place, name, Side.BUY, Decimal(10), Decimal(100))


BOOK_KEY = (BOOK.strategy, BOOK.portfolio)


@contextmanager
def side(folder: Path, count: int) -> Iterator[Desks]:
    """A ledger with so many orders."""
    folder.mkdir(mode=0o700)
    with closing(connect_writer(folder / FILE, "OFF")) as connection:
        connection.execute("BEGIN")
        for text in _HISTORY:
            connection.execute(text, {"orders": count, "each": _PER_RUN} if ":orders" in text else {})
        connection.execute("COMMIT")
    clock = HandClock(NOON)
    with Ledger.open(folder, clock, durable=False) as ledger:
        yield Desks(ledger, clock)


def main() -> dict[str, float]:
    """Microseconds an order, and the median of the ratios of runs that followed each other. Raises beyond MOST."""
    with (
        tempfile.TemporaryDirectory() as name,
        side(Path(name, "few"), FEW) as few,
        side(Path(name, "many"), MANY) as many,
    ):
        pairs = [(few.send_s(n), many.send_s(n)) for n in range(_RUNS + 1)][1:]
    ratio = statistics.median(b / a for a, b in pairs)
    figures = {
        f"an order at {FEW:,} in the ledger, us CPU": 1e6 * statistics.median(a for a, _ in pairs),
        f"an order at {MANY:,} in the ledger, us CPU": 1e6 * statistics.median(b for _, b in pairs),
        f"ratio (at most {MOST})": ratio,
    }
    if ratio > MOST:
        raise SystemExit(
            f"sending an order costs {ratio:.2f} times as much at {MANY:,} orders as at {FEW:,}: {figures}"
        )
    return figures
