"""Statements of the worked book, to the cent: what was realised, paid and earned, what is still held, and at what cost.

Sold on the 10th: 100 of the oldest 300 AAA, bought at 100.10, at 102.51: 241. At the close of the 11th, AAA 101.50 and
BBB 50: 200 at 100.10 and 200 at 100.40 are 500 better, 400 sold short at 49.90 are 40 worse.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc.store.history.statement import OpenLot, Statement, statement
from sigc.store.ledger import adjustments, books
from sigc.store.ledger.adjustments import Adjustment, GapCause
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey, Charge, Nav
from tests.store.worked_book import BOOK, WRITTEN, write

D = Decimal
LOTS = (
    OpenLot("AAA", "2024-01-09", D(200), D("20020.00")),
    OpenLot("AAA", "2024-01-09", D(200), D("20080.00")),
    OpenLot("BBB", "2024-01-09", D(-400), D("-19960.00")),
)
OLDER = OpenLot("AAA", "2024-01-09", D(300), D("30030.00"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worked")
    write(folder)
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    write(tmp_path)
    return tmp_path


def told(work: Path, since: str, until: str, key: BookKey = BOOK) -> Statement:
    with closing(connect_reader(work / FILE)) as connection:
        found = statement(connection, key, since, until)
    assert found is not None
    return found


def amounts(one: Statement) -> dict[str, str]:
    """The money of a statement, as it is printed."""
    money = {f.name: getattr(one, f.name) for f in fields(one)}
    return {name: str(value) for name, value in money.items() if isinstance(value, Decimal)}


@pytest.mark.parametrize(
    ("since", "until", "ends", "money", "charges", "lots"),
    [
        ("2024-01-09", "2024-01-09", "2024-01-09", "100000.00 101241.00 0.00 1250.00 -9.00", {}, (OLDER, *LOTS[1:])),
        ("2024-01-10", "2024-01-10", "2024-01-10", "101241.00 99285.50 241.00 -2190.00 -1.00", {"borrow": "-5.50"}, LOTS),
        ("2024-01-11", "2024-01-31", "2024-01-11", "99285.50 100687.50 0.00 1400.00 0.00", {"interest": "2.00"}, LOTS),
        (
            *("2024-01-01", "2024-01-31", "2024-01-11", "100000.00 100687.50 241.00 460.00 -10.00"),
            *({"borrow": "-5.50", "interest": "2.00"}, LOTS),
        ),
    ],
)  # fmt: skip
def test_days_and_a_month(
    written: Path, since: str, until: str, ends: str, money: str, charges: dict[str, str], lots: tuple[OpenLot, ...]
) -> None:
    one = told(written, since, until)
    assert (one.book, one.since, one.until) == (BOOK, since, ends)
    names = ("before", "after", "realised", "unrealised", "commissions")
    assert amounts(one) == dict(zip(names, money.split(), strict=True)) | {"dividends": "0.00", "transfers": "0.00"}
    assert {kind: str(amount) for kind, amount in one.charges.items()} == charges
    assert one.lots == lots


def test_the_blotter_has_each_execution_with_what_it_realised(written: Path) -> None:
    month = told(written, "2024-01-01", "2024-01-31")
    lines = [(e.session, e.fill.asset, e.fill.side.sign * e.fill.quantity, str(e.realised)) for e in month.executions]
    assert lines == [
        ("2024-01-09", "AAA", D(300), "0.00"),
        ("2024-01-09", "BBB", D(-400), "0.00"),
        ("2024-01-09", "AAA", D(200), "0.00"),
        ("2024-01-10", "AAA", D(-100), "241.00"),  # what was bought on the 12th is of no session that was valued
    ]
    assert told(written, "2024-01-11", "2024-01-11").executions == ()
    assert told(written, "2024-01-10", "2024-01-11").executions == month.executions[3:]


def test_a_book_without_a_value_in_those_days_has_no_statement(written: Path) -> None:
    with closing(connect_reader(written / FILE)) as connection:
        assert statement(connection, BOOK, "2024-01-12", "2024-01-31") is None
        assert statement(connection, BOOK, "2023-01-01", "2024-01-08") is None
        assert statement(connection, BookKey("nobody", "main"), "2024-01-01", "2024-01-31") is None


def test_only_what_is_of_the_days_counts(work: Path) -> None:
    """From the 12th, with a fill whose commission was 0.60, to the 16th. Of before: 500 paid in and 30 earned on the 11th.

    460 AAA become 560 without a trade: each lot has 560 parts of 460. Half cents are rounded to even.
    """

    def entry(session: str, cause: GapCause, cash: str, asset: str = "", change: str = "0") -> Adjustment:
        when = datetime(2024, 1, 16, tzinfo=UTC)
        return Adjustment(BOOK, asset, D(change), D(cash), cause, None, session, when, "ann", "")

    when = datetime(2024, 1, 16, 20, tzinfo=UTC)
    with Ledger.open(work, HandClock(WRITTEN), durable=False) as ledger, ledger.transaction("fills") as tx:
        adjustments.adjust(
            tx,
            [
                entry("2024-01-11", GapCause.TRANSFER, "500"),
                entry("2024-01-16", GapCause.TRANSFER, "70"),
                entry("2024-01-11", GapCause.DIVIDEND, "30"),
                entry("2024-01-16", GapCause.DIVIDEND, "7"),
                entry("2024-01-16", GapCause.SPLIT, "0", "AAA", "100"),
            ],
        )
        charges = (("fee", "-0.004"), ("interest", "0.375"), ("tax", "1"))
        books.take_in(tx, (), tuple(Charge(kind, kind, "", D(amount), when) for kind, amount in charges), "c3")
        books.put_nav(tx, Nav(BOOK, "2024-01-16", D(101_000), D(1), D(1), D(1)))
    one = told(work, "2024-01-12", "2024-01-16")
    assert amounts(one) == {
        "before": "100687.50",
        "after": "101000.00",
        "realised": "0.00",
        "unrealised": "234.72",  # 312.50 less -0.60 + 7 + 70 + 0.38 + 1
        "commissions": "-0.60",
        "dividends": "7.00",
        "transfers": "70.00",
    }
    assert {kind: str(amount) for kind, amount in one.charges.items()} == {
        "fee": "0.00",
        "interest": "0.38",
        "tax": "1.00",
    }
    assert [(lot.session, str(lot.quantity), str(lot.cost)) for lot in one.lots] == [
        ("2024-01-09", "243.478261", "20020.00"),
        ("2024-01-09", "243.478261", "20080.00"),
        ("2024-01-12", "73.043478", "6083.91"),
        ("2024-01-09", "-400", "-19960.00"),
    ]
    assert told(work, "2024-01-01", "2024-01-31").until == "2024-01-16"
