"""A book of which every figure was worked out by hand: long AAA, short BBB, seven orders, five fills, three closes.

Written by the store's own functions. What is said of it elsewhere is asserted from literals; the sums behind them:

    capital 100,000          session 01-09    buy 500 AAA sized at 100: 300 at 100.10, 200 at 100.40; fees 3 + 2
                                              sell 400 BBB sized at 50: 400 at 49.90; fee 4
                                              buy 10 CCC sized at 20: rejected
    cash  100,000 - 30,030 - 20,080 - 5 + 19,960 - 4 = 69,841         average price of AAA 50,110 / 500 = 100.22
    close AAA 102, BBB 49    NAV 69,841 + 51,000 - 19,600 = 101,241        +1.2410%, gross 70,600, net 31,400

                             session 01-10    sell 100 AAA sized at 102: 100 at 102.51; fee 1
                                              buy 50 BBB sized at 49, limit 48.50: expired
                                              borrow fee of BBB 5.50
    cash  69,841 + 10,251 - 1 - 5.50 = 80,085.50
    close AAA 99, BBB 51     NAV 80,085.50 + 39,600 - 20,400 = 99,285.50   -1.9315%, gross 60,000, net 19,200

                             session 01-11    nothing ordered; 2.00 of interest earned
    close AAA 101.5, BBB 50  NAV 80,087.50 + 40,600 - 20,000 = 100,687.50  +1.4121%, gross 60,600, net 20,600

                             session 01-12    a run that was refused, then
                                              buy 150 AAA sized at 101.5: 60 at 101.3985; fee 0.60; still open
                                              sell 20 BBB sized at 50, limit 50.25: acknowledged, still open
    cash  80,087.50 - 6,083.91 - 0.60 = 74,002.99    average price of AAA (40,088 + 6,083.91) / 460 = 100.3737173913

    slippage, worse is positive   +10, +40 (bought dearer), +20 (sold cheaper), -50 (sold dearer), -10 bps (bought cheaper)
    in money                      30 + 80 + 40 - 51 - 6.09 = 92.91 of 86,290 at sizing prices: 10.7672 bps
    ordered 99,075                70,200 for 01-09, 12,650 for 01-10, 16,225 for 01-12; traded 86,404.91
    commission 10.60              9, 1 and 0.60
    returns                       mean 0.240520 %, deviation 1.882994 %: volatility 29.89 %, Sharpe 2.03 a year
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np

from sigc.clock import HandClock
from sigc.errors import Severity
from sigc.store.ledger import books, jobs, orders, price_marks, runs
from sigc.store.ledger.jobs import OrderedRun
from sigc.store.ledger.ledger import Ledger, Transaction
from sigc.store.ledger.price_marks import Mark
from sigc.store.ledger.records import (
    BookKey,
    Charge,
    Fill,
    Finding,
    Intent,
    IntentState,
    Nav,
    OrderType,
    Outcome,
    Run,
    RunKey,
    RunKind,
    RunStage,
    Side,
    StageName,
)
from sigc_pipelines.records.artifacts import write_weights

BOOK = BookKey("momentum", "main")
FIRST, SECOND, DRY, REFUSED, LAST = "r0109-trade", "r0110-trade", "r0111-dry", "r0112-refused", "r0112-trade"
# Days after the last run: a daemon leaves a book alone whose newest run was carried out as of the past.
WRITTEN = datetime(2024, 1, 15, 12, tzinfo=UTC)
D = Decimal


def write(work_dir: Path) -> None:
    """The whole book, into a new ledger."""
    with Ledger.open(work_dir, HandClock(WRITTEN), durable=False) as ledger, ledger.transaction("control") as tx:
        books.open_book(tx, BOOK, D(100_000), at("2024-01-08", 9))
        _first(tx)
        _second(tx)
        books.take_in(tx, (), (Charge("c2", "interest", "", D("2.00"), at("2024-01-11", 20)),), "c2")
        _close(tx, "2024-01-11", "100687.50", "80087.50", "60600.00", "20600.00")
        _ended(tx, DRY, RunKind.DRY, "2024-01-12", "2024-01-11", Outcome.DONE, "2 orders, none of them sent")
        _ended(tx, REFUSED, RunKind.TRADE, "2024-01-12", "2024-01-11", Outcome.REFUSED, "prices of AAA are missing")
        _last(tx)
    wanted, target, held = np.array([0.55, -0.22, 0.03]), np.array([0.5, -0.21, 0.03]), np.array([0.4, -0.2, 0.0])
    write_weights(work_dir, LAST, ("AAA", "BBB", "CCC"), wanted, target, held)


def at(day: str, hour: int, minute: int = 0) -> datetime:
    """An instant, in UTC."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hour, minutes=minute)


def _first(tx: Transaction) -> None:
    run = _open(tx, FIRST, RunKind.TRADE, "2024-01-09", "2024-01-08")
    buy, sell, none = (
        _intent(run, 0, "AAA", Side.BUY, "500", "100"),
        _intent(run, 1, "BBB", Side.SELL, "400", "50"),
        _intent(run, 2, "CCC", Side.BUY, "10", "20"),
    )
    _decide(tx, run, {"AAA": "100", "BBB": "50", "CCC": "20"}, buy, sell, none)
    _send(tx, buy, sell)
    orders.sending(tx, none, at("2024-01-09", 13, 31))
    orders.moved(tx, none, IntentState.REJECTED, "CCC is not traded")
    when = at("2024-01-09", 14, 30)
    fills = (_fill(buy, 1, "300", "100.10", "3.00", when), _fill(sell, 1, "400", "49.90", "4.00", when))
    books.take_in(tx, (*fills, _fill(buy, 2, "200", "100.40", "2.00", when + timedelta(minutes=5))), (), "e3")
    _end(tx, run, Outcome.DONE, "3 orders")
    _close(tx, "2024-01-09", "101241.00", "69841.00", "70600.00", "31400.00")


def _second(tx: Transaction) -> None:
    run = _open(tx, SECOND, RunKind.TRADE, "2024-01-10", "2024-01-09")
    sell = _intent(run, 0, "AAA", Side.SELL, "100", "102")
    cover = replace(_intent(run, 1, "BBB", Side.BUY, "50", "49"), order_type=OrderType.LIMIT, limit=D("48.50"))
    _decide(tx, run, {"AAA": "102", "BBB": "49"}, sell, cover)
    _send(tx, sell, cover)
    borrow = Charge("c1", "borrow", "BBB", D("-5.50"), at("2024-01-10", 21))
    fill = _fill(sell, 1, "100", "102.51", "1.00", at("2024-01-10", 14, 30))
    books.take_in(tx, (fill,), (borrow,), "c1")
    orders.moved(tx, cover, IntentState.EXPIRED, "the session has ended")
    _end(tx, run, Outcome.DONE, "2 orders")
    _close(tx, "2024-01-10", "99285.50", "80085.50", "60000.00", "19200.00")


def _last(tx: Transaction) -> None:
    run = _open(tx, LAST, RunKind.TRADE, "2024-01-12", "2024-01-11")
    buy = _intent(run, 0, "AAA", Side.BUY, "150", "101.5")
    sell = replace(_intent(run, 1, "BBB", Side.SELL, "20", "50"), order_type=OrderType.LIMIT, limit=D("50.25"))
    few = Finding("data.missing", Severity.WARNING, "2 prices are missing", ("CCC",), 2.0, 1.0)
    runs.add_stage(tx, run, RunStage(run.id, StageName.LOAD, run.started, 0.125, "done"))
    runs.add_stage(
        tx, run, RunStage(run.id, StageName.VALIDATE, run.started + timedelta(seconds=1), 0.5, "done", (few,))
    )
    _decide(tx, run, {"AAA": "101.5", "BBB": "50", "CCC": "20"}, buy, sell)
    _send(tx, buy, sell)
    books.take_in(tx, (_fill(buy, 1, "60", "101.3985", "0.60", at("2024-01-12", 14, 30)),), (), "e5")
    _end(tx, run, Outcome.DONE, "2 orders")


def _ended(tx: Transaction, id: str, kind: RunKind, session: str, as_of: str, outcome: Outcome, message: str) -> None:
    _end(tx, _open(tx, id, kind, session, as_of), outcome, message)


def _open(tx: Transaction, id: str, kind: RunKind, session: str, as_of: str) -> Run:
    key = RunKey(BOOK.strategy, BOOK.portfolio, session, kind)
    run = Run(id, key, as_of, 0, at(session, 13, 30), "anna@cli", broker="paper", digests={"weights": f"w-{id}"})
    jobs.ask(tx, _order(run))
    runs.open_run(tx, run, {})
    return run


def _order(run: Run) -> OrderedRun:
    key = run.key
    return OrderedRun(
        *(run.id, key.strategy, str(key.kind), key.portfolio, "", "", "", "", None, run.who, "", run.started)
    )


def _end(tx: Transaction, run: Run, outcome: Outcome, message: str) -> None:
    runs.close_run(tx, run, run.started + timedelta(seconds=90), outcome, message)
    is_early = outcome is Outcome.REFUSED
    jobs.end(tx, _order(run), outcome, message, run.key.session, run.as_of, is_early)


def _intent(run: Run, place: int, asset: str, side: Side, quantity: str, reference: str) -> Intent:
    return Intent(f"{run.id}-{place}", run.id, run.key, place, asset, side, D(quantity), D(reference))


def _decide(tx: Transaction, run: Run, prices: dict[str, str], *intents: Intent) -> None:
    runs.mark_decided(tx, run)
    orders.plan(tx, intents)
    price_marks.put_marks(tx, run.id, {asset: Mark(D(price)) for asset, price in prices.items()})


def _send(tx: Transaction, *intents: Intent) -> None:
    for intent in intents:
        orders.sending(tx, intent, at(intent.key.session, 13, 31))
        orders.acknowledged(tx, intent, f"b-{intent.client_order_id}")


def _fill(intent: Intent, part: int, quantity: str, price: str, commission: str, when: datetime) -> Fill:
    id, side = intent.client_order_id, intent.side
    return Fill(f"e-{id}-{part}", id, intent.asset, side, D(quantity), D(price), D(commission), when)


def _close(tx: Transaction, session: str, nav: str, cash: str, gross: str, net: str) -> None:
    books.put_nav(tx, Nav(BOOK, session, D(nav), D(cash), D(gross), D(net)))
