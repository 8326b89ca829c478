"""What is printed and drawn of one run, and of a book that is held up: whole texts, from literals."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigc.clock import HandClock
from sigc.errors import SigcError
from sigc.store.ledger import control
from sigc.store.ledger.connection import FILE, connect_reader, connect_writer
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Outcome, RunKind
from sigc_cli.text import ledger_view, run_view, show_run
from sigc_cli.text.live_view import live_view
from sigc_dashboard.reports.live_report import render
from sigc_pipelines.live.trading import Ended
from sigc_pipelines.records.artifacts import RunArtifacts, account_of
from sigc_pipelines.targets import TargetSnapshot
from tests.dashboard.reading import Document
from tests.store import worked_book
from tests.store.ledgers import Size, fill
from tests.store.worked_book import FIRST, LAST


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book, in a work dir that nobody changes."""
    folder = tmp_path_factory.mktemp("written")
    worked_book.write(folder)
    return folder


@pytest.fixture
def account(written: Path) -> RunArtifacts:
    """The book's newest run."""
    with closing(connect_reader(written / FILE)) as connection:
        return account_of(connection, written, LAST)


def test_the_page_of_a_run(account: RunArtifacts) -> None:
    found = Document(run_view.render(replace(account, run=replace(account.run, reason="a wish", revision=2))))
    assert found.tiles == {
        "Assets wanted": ("3",),
        "Gross target": ("0.740",),
        "Net target": ("+0.320",),
        "Orders": ("2",),
        "Filled value": ("6,083.91",),
    }
    for words in (
        "momentum (main)",
        "paper trade r0112-trade, as of 2024-01-11, for the session 2024-01-12",
        "done: 2 orders",
        "validate: data.missing 2 prices are missing",
    ):
        assert words in found.words
    assert found.tables["Stages"][1:] == [("load", "done", "125.0 ms", ""), ("validate", "done", "500.0 ms", "1")]
    assert found.tables["Weights"] == [
        ("asset", "wanted", "target", "held before"),
        ("AAA", "+0.550000", "+0.500000", "+0.400000"),
        ("BBB", "-0.220000", "-0.210000", "-0.200000"),
        ("CCC", "+0.030000", "+0.030000", "+0.000000"),
    ]
    assert found.tables["Orders"] == [
        ("asset", "side", "quantity", "price", "value", "state", "filled", "said"),
        ("AAA", "buy", "150", "101.5", "15,225.00", "partially_filled", "60", ""),
        ("BBB", "sell", "20", "50.25", "1,005.00", "acknowledged", "0", ""),
    ]
    assert found.tables["Fills"] == [
        ("at (UTC)", "asset", "side", "quantity", "price", "commission"),
        ("2024-01-12 14:30:00", "AAA", "buy", "60", "101.3985", "0.6"),
    ]
    assert found.tables["Made of"] == [
        ("asked for by", "anna@cli: a wish"),
        ("revision", "2"),
        ("began, ended", "2024-01-12 13:30:00 UTC, 2024-01-12 13:31:30 UTC"),
        ("weights", "w-r0112-trade"),
    ]


@pytest.mark.parametrize(
    ("outcome", "tone"), [(Outcome.DONE, "good"), (Outcome.OPEN, "open"), (Outcome.REFUSED, "bad")]
)
def test_the_tone_of_a_verdict(account: RunArtifacts, outcome: Outcome, tone: str) -> None:
    told = run_view.render(replace(account, run=replace(account.run, outcome=outcome, message="so")))
    assert f'<p class="verdict {tone}">{outcome}: so</p>' in told


def test_orders_beyond_the_most_are_counted(account: RunArtifacts) -> None:
    more = "\n... and 1 more (--json prints all)"
    assert show_run.orders(account.intents, 1).endswith(f"partially_filled  60{more}")
    assert ledger_view.orders(account.intents, 1).endswith(f"60      r0112-trade-0{more}")
    assert ledger_view.account(replace(account, run=replace(account.run, reason="a wish"))).splitlines()[2] == (
        "by anna@cli: a wish; began 2024-01-12 13:30:00 UTC, ended 2024-01-12 13:31:30 UTC"
    )


def test_what_a_run_prints(account: RunArtifacts) -> None:
    """`sigc run`, and the same as data."""
    nothing = np.full(4, np.nan)
    wanted = np.array([0.55, -0.22, 0.0, np.nan])
    names = ("AAA", "BBB", "CCC", "DDD")
    sight = TargetSnapshot("2024-01-11", 9, names, wanted, nothing, nothing, None, None, None, np.asarray, "d" * 40)
    ended = Ended(account.run, account.stages, account.intents, sight, None, ())
    assert show_run.text(ended) == (
        "momentum (main), paper run r0112-trade\n"
        "as of 2024-01-11, for the session 2024-01-12: done, 2 orders\n"
        "wanted: 2 of 4 assets, gross 0.7700, net +0.3300, digest dddddddddddddddd\n"
        "  load      done        125.0 ms\n"
        "  validate  done        500.0 ms\n"
        "    warning: data.missing: 2 prices are missing (CCC)\n"
        "\n"
        "asset  side  quantity  price  value     state             filled\n"
        "-----  ----  --------  -----  --------  ----------------  ------\n"
        "AAA    buy   150       101.5  15225.00  partially_filled  60\n"
        "BBB    sell  20        50.25  1005.00   acknowledged      0"
    )
    dry = replace(account.run, key=replace(account.run.key, kind=RunKind.DRY))
    assert show_run.text(replace(ended, run=dry)).startswith("momentum (main), dry run r0112-trade\n")
    about = {"stage": "validate", "check": "data.missing", "severity": "warning"}
    order = {"state": "partially_filled", "filled": "60", "message": ""}
    told = show_run.as_data(ended)
    assert told.pop("orders") == [
        {"client_order_id": f"{LAST}-0", "asset": "AAA", "side": "buy", "quantity": "150", "reference": "101.5"}
        | order,
        {
            "client_order_id": f"{LAST}-1",
            "asset": "BBB",
            "side": "sell",
            "quantity": "20",
            "reference": "50",
            "state": "acknowledged",
            "filled": "0",
            "message": "",
        },
    ]
    assert told == {
        "id": LAST,
        "strategy": "momentum",
        "portfolio": "main",
        "kind": "trade",
        "as_of": "2024-01-11",
        "session": "2024-01-12",
        "revision": 0,
        "broker": "paper",
        "outcome": "done",
        "message": "2 orders",
        "digests": {"weights": "w-r0112-trade"},
        "weights": {"AAA": 0.55, "BBB": -0.22},
        "seconds": {"load": 0.125, "validate": 0.5},
        "waiting": None,
        "scratch": "",
        "findings": [about | {"message": "2 prices are missing", "assets": ("CCC",)}],
    }


def test_the_report_of_a_book_that_is_held_up(written: Path, tmp_path: Path) -> None:
    """What holds it, what it is made of; an asset without a price is shown at what was paid for it."""
    shutil.copy(written / FILE, tmp_path)
    with Ledger.open(tmp_path, HandClock(worked_book.WRITTEN), durable=False) as ledger:
        with ledger.transaction("control") as tx:
            control.put(tx, control.HALTED, "momentum", "by hand", "anna", "it lost")
            control.put(tx, control.PAUSED, "", "by hand", "bob", "")
            tx.connection.execute("UPDATE runs SET outcome = 'failed', message = 'no broker' WHERE id = ?", (LAST,))
            tx.connection.execute("DELETE FROM marks WHERE asset = 'BBB'")
        with ledger.reading() as connection:
            view = live_view(connection, tmp_path, "momentum", "main", {"lookback": 20.0, "top": 0.3})
            positions = ledger_view.books(ledger_view.books_of(connection)).splitlines()
    assert view.findings == (
        ("halted", "momentum since 2024-01-15 12:00:00 UTC by anna: it lost"),
        ("paused", "everything since 2024-01-15 12:00:00 UTC by bob: by hand"),
        ("last run", "failed: no broker"),
    )
    found = Document(render(view))
    for words in ("momentum (main)", "paper account, 2024-01-09 to 2024-01-11, 3 sessions", "halted momentum since"):
        assert words in found.words
    assert found.tables["Parameters and data"] == [
        ("parameter lookback", "20"),
        ("parameter top", "0.3"),
        ("newest run", "r0112-trade, as of 2024-01-11"),
        ("weights", "w-r0112-trade"),
    ]
    assert found.tables["Positions"][1:] == [
        ("AAA", "460", "101.50", "46,690", "46.37%", "0.00%", "+46.37%", "+518"),
        ("BBB", "-400", "–", "–", "–", "0.00%", "–", "–"),
    ]
    assert [line.split() for line in positions[3:]] == [
        ["AAA", "460", "100.3737", "101.5", "2024-01-11", "46690.00"],
        ["BBB", "-400", "49.9000", "none:", "at", "its", "average", "-", "-19960.00"],
    ]


def test_the_rolling_sharpe_of_the_report_is_that_of_pandas(tmp_path: Path) -> None:
    with closing(connect_writer(tmp_path / FILE, "OFF")) as connection:
        fill(connection, Size(sessions=130, strategies=1, orders=130, positions=20))
        view = live_view(connection, tmp_path, "s0")
        daily = pd.Series(returns(connection, "s0"), dtype=float)
    rolling = daily.rolling(126)
    expected = (rolling.mean() / rolling.std() * 252**0.5).dropna()
    assert [value for _, value in view.rolling] == pytest.approx(expected.tolist(), rel=1e-4)
    assert [session for session, _ in view.rolling] == list(view.nav.session[125:])
    assert len(view.rolling) == 5


def returns(connection: sqlite3.Connection, strategy: str) -> list[float]:
    """By session, of a book that began with a million."""
    rows = connection.execute("SELECT nav FROM nav WHERE strategy = ? ORDER BY session", (strategy,))
    worth = [1e6, *(float(nav) for (nav,) in rows)]
    return [after / before - 1 for before, after in itertools.pairwise(worth)]


@pytest.mark.parametrize(
    ("name", "portfolio", "of", "hint"),
    [
        ("momentun", "", "strategy 'momentun'", "did you mean 'momentum'?"),
        ("momentum", "x", "strategy 'momentum' with the portfolio 'x'", "momentum"),
        ("zzzzzzzz", "", "strategy 'zzzzzzzz'", "there are momentum"),
    ],
)
def test_a_book_that_is_not_there_is_told_of(written: Path, name: str, portfolio: str, of: str, hint: str) -> None:
    with closing(connect_reader(written / FILE)) as connection, pytest.raises(SigcError) as told:
        live_view(connection, written, name, portfolio)
    (found,) = told.value.diagnostics
    assert (found.code, found.message) == ("E312", f"no book of the {of}: it has not traded")
    assert hint in found.hint


def test_a_run_without_fills_says_so(written: Path) -> None:
    with closing(connect_reader(written / FILE)) as connection:
        refused = account_of(connection, written, "r0112-refused")
        first = account_of(connection, written, FIRST)
    assert "Nothing was filled yet." in Document(run_view.render(refused)).words
    assert Document(run_view.render(refused)).tiles["Filled value"] == ("0.00",)
    assert Document(run_view.render(first)).tiles["Filled value"] == ("70,070.00",)
