"""Statements of days and months add up to the NAVs that were told, and to each other; files hold what is printed."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sigc.errors import SigcError, exit_code
from sigc.store.history.statement import Statement, statement
from sigc.store.ledger import books
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.records import BookKey
from sigc_cli.main import cli
from tests.store.test_proof import whole as whole  # a work dir with every kind of event
from tests.trading.script import D2, D3, D4

KEY = BookKey("momentum", "main")


def parts(one: Statement) -> Decimal:
    charges = sum(one.charges.values(), Decimal(0))
    return one.realised + one.unrealised + one.commissions + one.dividends + charges + one.transfers


@pytest.fixture
def daily(whole: Path) -> list[Statement]:
    with closing(connect_reader(whole / FILE)) as connection:
        sessions = [nav.session for nav in books.navs(connection, KEY)]
        found = [statement(connection, KEY, session, session) for session in sessions]
    return [one for one in found if one is not None]


def test_days_follow_on_each_other_and_make_the_month(whole: Path, daily: list[Statement]) -> None:
    with closing(connect_reader(whole / FILE)) as connection:
        navs = books.navs(connection, KEY)
        month = statement(connection, KEY, "2016-01-01", "2016-01-31")
        assert statement(connection, KEY, "2015-01-01", "2015-12-31") is None
    assert [one.after for one in daily] == [nav.nav.quantize(Decimal("0.01")) for nav in navs]
    assert [one.before for one in daily[1:]] == [one.after for one in daily[:-1]]
    assert daily[0].before == 1_000_000
    assert all(one.before + parts(one) == one.after for one in daily)
    assert month is not None
    assert (month.before, month.after, month.lots) == (daily[0].before, daily[-1].after, daily[-1].lots)
    for name in ("realised", "commissions", "dividends", "transfers"):
        assert getattr(month, name) == sum(getattr(one, name) for one in daily)
    assert [e for one in daily for e in one.executions] == list(month.executions)
    assert len(month.executions) > 4


def test_prices_that_stand_still_bring_nothing_but_costs(daily: list[Statement]) -> None:
    """A at 100, a split, A at 50, B at 100: nobody gains; borrowing B costs 50 bp a year."""
    for one in daily:
        assert not any((one.realised, one.unrealised, one.commissions))
    assert sum(sum(one.charges.values()) for one in daily) < 0
    assert {lot.asset for lot in daily[-1].lots} == {"A", "B"}
    assert all(abs(lot.cost) == abs(lot.quantity) * (50 if lot.asset == "A" else 100) for lot in daily[-1].lots)


def run(work: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["statement", *arguments, "--work-dir", str(work)], standalone_mode=False)


def code(result: Result) -> int:
    assert isinstance(result.exception, SigcError)
    return exit_code(result.exception.diagnostics)


def test_the_files_hold_what_is_printed(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = run(whole, "momentum", "--month", "2016-01").stdout
    assert "momentum/main, 2016-01-01 to " in shown
    for name in ("month.csv", "month.html", "month.json"):
        assert run(whole, "--month", "2016-01", "-o", name).stdout == f"{name}\n"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "month.csv").read_text())))
    amounts = {row["item"]: Decimal(row["amount"]) for row in rows if row["item"] != "lot"}
    before, after = amounts.pop("NAV before"), amounts.pop("NAV after")
    assert before + sum(amounts.values()) == after
    (told,) = json.loads((tmp_path / "month.json").read_text())
    assert Decimal(told["after"]) == after
    assert f"{after:,.2f}" in shown
    assert f"{after:,.2f}" in (tmp_path / "month.html").read_text()
    blotter = list(csv.DictReader(io.StringIO(run_file(whole, tmp_path, "blotter.csv"))))
    assert [row["execution_id"] for row in blotter] == [e["fill"]["execution_id"] for e in told["executions"]]
    assert {row["session"] for row in blotter} <= {"2016-01-05", "2016-01-06", "2016-01-07", "2016-01-08"}


def run_file(work: Path, folder: Path, name: str) -> str:
    assert run(work, "--month", "2016-01", "--blotter", "-o", name).exit_code == 0
    return (folder / name).read_text()


def test_what_can_not_be_is_said(whole: Path, tmp_path: Path) -> None:
    assert run(whole, "--date", D4).exit_code == 0
    assert run(whole).stdout == run(whole, "--date", D4).stdout  # the newest close
    assert run(whole, "--date", D2).stdout != run(whole, "--date", D3).stdout
    assert code(run(whole, "--date", "2016-01-10")) == 1
    assert code(run(whole, "--date", "10.1.2016")) != 0
    assert code(run(whole, "--month", "2016-13")) != 0
    assert code(run(whole, "--month", "2016-01", "--date", D2)) == 2
    assert code(run(whole, "momentun")) == 1
    assert code(run(whole, "-o", str(tmp_path / "x.pdf"))) == 2
    assert code(run(whole, "-o", str(tmp_path / "no" / "x.csv"))) != 0
