"""What the command line says of a book whose figures were worked out by hand: whole tables, whole rows, from literals."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sigc.clock import HandClock
from sigc.metrics import DaemonMetrics
from sigc.rpc.messages.status import StatusReply, StrategyStatus
from sigc.store.ledger.books import Book
from sigc.store.ledger.connection import FILE
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import BookKey
from sigc_cli.main import cli
from sigc_cli.text.daemon_text import status_block
from sigc_cli.text.ledger_view import BookView, books
from sigc_pipelines.service.metrics_feed import count_from_here, tell_book
from tests.dashboard.reading import Document
from tests.store import worked_book
from tests.store.worked_book import BOOK, FIRST, LAST

NEW_YORK = "America/New_York"
ORDERS = """\
strategy  session     asset  side  quantity  price  state             filled  client order id  reason
--------  ----------  -----  ----  --------  -----  ----------------  ------  ---------------  ---------------------
momentum  2024-01-12  BBB    sell  20        50.25  acknowledged      0       r0112-trade-1
momentum  2024-01-12  AAA    buy   150       101.5  partially_filled  60      r0112-trade-0
momentum  2024-01-10  BBB    buy   50        48.50  expired           0       r0110-trade-1    the session has ended
momentum  2024-01-10  AAA    sell  100       102    filled            100     r0110-trade-0
momentum  2024-01-09  CCC    buy   10        20     rejected          0       r0109-trade-2    CCC is not traded
momentum  2024-01-09  BBB    sell  400       50     filled            400     r0109-trade-1
momentum  2024-01-09  AAA    buy   500       100    filled            500     r0109-trade-0
"""
OPEN = """\
strategy  session     asset  side  quantity  price  state             filled  client order id
--------  ----------  -----  ----  --------  -----  ----------------  ------  ---------------
momentum  2024-01-12  BBB    sell  20        50.25  acknowledged      0       r0112-trade-1
momentum  2024-01-12  AAA    buy   150       101.5  partially_filled  60      r0112-trade-0
"""
LAST_KEY = {"strategy": "momentum", "portfolio": "main", "session": "2024-01-12", "kind": "trade", "slot": ""}
OPEN_SALE = {
    "client_order_id": "r0112-trade-1",
    "run": "r0112-trade",
    "key": LAST_KEY,
    "place": 1,
    "asset": "BBB",
    "side": "sell",
    "quantity": "20",
    "reference": "50",
    "order_type": "limit",
    "limit": "50.25",
    "time_in_force": "day",
    "parent": "",
    "slice": 0,
    "not_before": None,
    "state": "acknowledged",
    "filled": "0",
    "broker_order_id": "b-r0112-trade-1",
    "sent_at": "2024-01-12T13:31:00+00:00",
    "attempts": 1,
    "message": "",
}
OPEN_PURCHASE = OPEN_SALE | {
    "client_order_id": "r0112-trade-0",
    "place": 0,
    "asset": "AAA",
    "side": "buy",
    "quantity": "150",
    "reference": "101.5",
    "order_type": "market",
    "limit": None,
    "state": "partially_filled",
    "filled": "60",
    "broker_order_id": "b-r0112-trade-0",
}
LAST_RUN = {
    "id": "r0112-trade",
    "key": LAST_KEY,
    "as_of": "2024-01-11",
    "revision": 0,
    "started": "2024-01-12T13:30:00+00:00",
    "who": "anna@cli",
    "reason": "",
    "broker": "paper",
    "cut_off": None,
    "finished": "2024-01-12T13:31:30+00:00",
    "outcome": "done",
    "message": "2 orders",
    "digests": {"weights": "w-r0112-trade"},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book, in a work dir that nobody changes."""
    folder = tmp_path_factory.mktemp("written")
    worked_book.write(folder)
    return folder


@pytest.fixture
def project(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the configuration of the book's work dir, entered. Weights are shares of NAV here."""
    (tmp_path / "sigc.yaml").write_text(f"daemon: {{work_dir: {written}}}\nexecution: {{sizing: nav}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sigc(*arguments: str) -> str:
    result = CliRunner().invoke(cli, list(arguments), standalone_mode=False, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def data(*arguments: str) -> Any:
    return json.loads(sigc(*arguments, "--json"))


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), ORDERS),
        (("--open",), OPEN),
        (("--open", "--strategy", "momentum"), OPEN),
        (("--strategy", "momentum"), ORDERS),
        (("-n", "2"), OPEN),
        (("--run", LAST, "--open", "-n", "1"), "".join(OPEN.splitlines(keepends=True)[i] for i in (0, 1, 3))),
        (("--run", FIRST, "--open"), "no orders\n"),
    ],
)
def test_orders(words: tuple[str, ...], said: str) -> None:
    assert sigc("orders", *words) == said


@pytest.mark.usefixtures("project")
def test_orders_as_data() -> None:
    assert data("orders", "--open") == [OPEN_SALE, OPEN_PURCHASE]
    told = [(o["client_order_id"], o["state"], o["quantity"], o["filled"], o["message"]) for o in data("orders")]
    assert told == [
        ("r0112-trade-1", "acknowledged", "20", "0", ""),
        ("r0112-trade-0", "partially_filled", "150", "60", ""),
        ("r0110-trade-1", "expired", "50", "0", "the session has ended"),
        ("r0110-trade-0", "filled", "100", "100", ""),
        ("r0109-trade-2", "rejected", "10", "0", "CCC is not traded"),
        ("r0109-trade-1", "filled", "400", "400", ""),
        ("r0109-trade-0", "filled", "500", "500", ""),
    ]
    assert data("orders", "--run", LAST) == [OPEN_PURCHASE, OPEN_SALE]  # as they were sent


@pytest.mark.usefixtures("project")
def test_positions() -> None:
    assert sigc("positions") == (
        "momentum (main): cash 74002.99, NAV 100687.50 at the close of 2024-01-11\n"
        "asset  quantity  average price  price  of          value\n"
        "-----  --------  -------------  -----  ----------  ---------\n"
        "AAA    460       100.3737       101.5  2024-01-11  46690.00\n"
        "BBB    -400      49.9000        50     2024-01-11  -20000.00\n"
    )
    key = {"strategy": "momentum", "portfolio": "main"}
    nav = {
        "nav": "100687.50",
        "cash": "80087.50",
        "gross": "60600.00",
        "net": "20600.00",
        "receivables": "0",
        "basis": "traded",
    }
    assert data("positions") == [
        {
            "book": {
                "key": key,
                "capital": "100000",
                "cash": "74002.9900",
                "opened": "2024-01-08T09:00:00+00:00",
                "anchor": "2024-01-08",
                "receivables": "0",
                "funded": "momentum/main",
            },
            "positions": [
                {"book": key, "asset": "AAA", "quantity": "460", "average_price": "100.3737173913"},
                {"book": key, "asset": "BBB", "quantity": "-400", "average_price": "49.9000000000"},
            ],
            "prices": {
                a: {"price": p, "day": "2024-01-11"} for a, p in (("AAA", "101.5"), ("BBB", "50"), ("CCC", "20"))
            },
            "nav": {"book": key, "session": "2024-01-11", **nav},
        }
    ]


def test_money_that_is_owed_is_told_beside_the_cash() -> None:
    key, opened = BookKey("momentum", "main"), datetime(2024, 1, 8, 9, tzinfo=UTC)
    book = Book(key, Decimal(1000), Decimal("812.5"), opened, "2024-01-08", Decimal("12.3"))
    assert books((BookView(book, (), {}, None),)) == ("momentum (main): cash 812.50, receivables 12.30\n  no positions")


@pytest.mark.usefixtures("project")
def test_runs() -> None:
    assert sigc("runs", "list") == (
        "run            strategy  job  kind   began                    as of       session     outcome  filled  message\n"
        "-------------  --------  ---  -----  -----------------------  ----------  ----------  -------  ------  ---------------------------\n"
        "r0112-trade    momentum  -    trade  2024-01-12 08:30:00 EST  2024-01-11  2024-01-12  done     open    2 orders\n"
        "r0112-refused  momentum  -    trade  2024-01-12 08:30:00 EST  2024-01-11  2024-01-12  refused  -       prices of AAA are missing\n"
        "r0111-dry      momentum  -    dry    2024-01-12 08:30:00 EST  2024-01-11  2024-01-12  done     -       2 orders, none of them sent\n"
        "r0110-trade    momentum  -    trade  2024-01-10 08:30:00 EST  2024-01-09  2024-01-10  done     part    2 orders\n"
        "r0109-trade    momentum  -    trade  2024-01-09 08:30:00 EST  2024-01-08  2024-01-09  done     all     3 orders\n"
    )
    assert [r["id"] for r in data("runs", "list", "--outcome", "refused")] == ["r0112-refused"]
    assert [r["id"] for r in data("runs", "list", "--kind", "dry")] == ["r0111-dry"]
    assert [r["id"] for r in data("runs", "list", "--since", "2024-01-10", "--kind", "trade")] == [
        *("r0112-trade", "r0112-refused", "r0110-trade"),
    ]
    assert data("runs", "list", "--since", "1h") == data("runs", "list", "--strategy", "other") == []
    newest, refused = data("runs", "list", "-n", "2")
    assert LAST_RUN.items() <= newest.items()
    assert (newest["strategy"], newest["kind"]) == ("momentum", "trade")
    expected = LAST_RUN | {
        "id": "r0112-refused",
        "outcome": "refused",
        "message": "prices of AAA are missing",
        "digests": {"weights": "w-r0112-refused"},
    }
    assert {k: refused[k] for k in expected if k not in ("started", "finished")} == {
        k: v for k, v in expected.items() if k not in ("started", "finished")
    }


@pytest.mark.usefixtures("project")
def test_a_run() -> None:
    assert sigc("runs", "show", LAST) == (
        "momentum (main), paper trade r0112-trade, revision 0\n"
        "as of 2024-01-11, for the session 2024-01-12: done, 2 orders\n"
        "by anna@cli; began 2024-01-12 08:30:00 EST, ended 2024-01-12 08:31:30 EST\n"
        "  load      done        125.0 ms\n"
        "  validate  done        500.0 ms\n"
        "    warning: data.missing: 2 prices are missing (CCC)\n"
        "  weights: w-r0112-trade\n"
        "\n"
        "strategy  session     asset  side  quantity  price  state             filled  client order id\n"
        "--------  ----------  -----  ----  --------  -----  ----------------  ------  ---------------\n"
        "momentum  2024-01-12  AAA    buy   150       101.5  partially_filled  60      r0112-trade-0\n"
        "momentum  2024-01-12  BBB    sell  20        50.25  acknowledged      0       r0112-trade-1\n"
    )
    shown = data("runs", "show", LAST)
    stages = shown.pop("stages")
    assert [(s["name"], s["started"][11:19], s["seconds"], s["outcome"]) for s in stages] == [
        ("load", "13:30:00", 0.125, "done"),
        ("validate", "13:30:01", 0.5, "done"),
    ]
    about = {"check": "data.missing", "severity": "warning", "message": "2 prices are missing"}
    assert stages[1]["findings"] == [about | {"assets": ["CCC"], "value": 2.0, "limit": 1.0}]
    assert shown == {
        "run": LAST_RUN,
        "intents": [OPEN_PURCHASE, OPEN_SALE],
        "fills": [
            {
                "execution_id": "e-r0112-trade-0-1",
                "client_order_id": "r0112-trade-0",
                "asset": "AAA",
                "side": "buy",
                "quantity": "60",
                "price": "101.3985",
                "commission": "0.60",
                "at": "2024-01-12T14:30:00+00:00",
            }
        ],
        "filled": "open",
        "weights": {
            "AAA": {"wanted": 0.55, "target": 0.5, "held": 0.4},
            "BBB": {"wanted": -0.22, "target": -0.21, "held": -0.2},
            "CCC": {"wanted": 0.03, "target": 0.03, "held": 0.0},
        },
    }


@pytest.mark.usefixtures("project")
def test_what_differs_between_two_runs() -> None:
    result = CliRunner().invoke(cli, ["runs", "diff", FIRST, LAST], standalone_mode=False)
    assert isinstance(result.exception, SystemExit)
    assert [line.split() for line in result.stdout.splitlines()[2:]] == [
        ["as", "of", "2024-01-08", "2024-01-11"],
        ["digest", "weights", "w-r0109-trade", "w-r0112-trade"],
        ["ordered", "AAA", "500", "150"],
        ["ordered", "BBB", "-400", "-20"],
        ["ordered", "CCC", "10", "-"],
        ["session", "2024-01-09", "2024-01-12"],
        ["wanted", "AAA", "-", "0.55"],
        ["wanted", "BBB", "-", "-0.22"],
        ["wanted", "CCC", "-", "0.03"],
    ]


@pytest.mark.usefixtures("project")
def test_how_two_runs_ended() -> None:
    """A run that was refused, against the one after it."""
    result = CliRunner().invoke(cli, ["runs", "diff", "r0112-refused", LAST, "--json"], standalone_mode=False)
    assert json.loads(result.stdout)[:5] == [
        ["digest weights", "w-r0112-refused", "w-r0112-trade"],
        ["ordered AAA", "-", "150"],
        ["ordered BBB", "-", "-20"],
        ["outcome", "refused", "done"],
        ["wanted AAA", "-", "0.55"],
    ]


@pytest.mark.usefixtures("project")
def test_the_log_of_a_run() -> None:
    lines = sigc("runs", "logs", LAST).splitlines()
    assert [line.split()[2] for line in lines] == [
        "run.ordered",
        "run.opened",
        *["run.stage"] * 2,
        *["order.planned"] * 2,
        *["order.sending", "order.acknowledged"] * 2,
        "fill",
        "run.closed",
        "run.ended",
    ]
    number = int(lines[0].split()[0])
    assert [int(line.split()[0]) for line in lines] == list(range(number, number + len(lines)))
    assert lines[-2] == f"{number + 11:>7} 2024-01-15T12:00:00.000Z run.closed           message=2 orders outcome=done"
    fill = data("runs", "logs", LAST)[-3]["payload"]
    assert (fill["quantity"], fill["price"], fill["slippage_bps"], fill["position"]) == ("60", "101.3985", -10.0, "460")


def test_the_report_of_the_book(project: Path) -> None:
    said = CliRunner().invoke(cli, ["report", "momentum", "-o", "book.html"], standalone_mode=False)
    assert (said.stdout, said.stderr) == ("book.html\n", "3 sessions, 5 fills\n")
    found = Document((project / "book.html").read_text(encoding="utf-8"))
    assert found.tiles == {
        "NAV": ("100,688",),
        "Total return": ("+0.69%",),
        "Sharpe": ("2.03",),
        "Max drawdown": ("1.93%",),
        "Volatility": ("29.9%",),
        "Mean turnover": ("41%",),
        "Slippage": ("+10.8 bps",),
        "Commission": ("11",),
    }
    assert [found.classes[text] for text in ("+0.69%", "2.03", "+10.8 bps")] == ["up", "up", "down"]
    assert found.tables["Figures"] == [
        ("Capital, cash", "100,000.00, 74,002.99"),
        ("Annualized return", "+77.81%"),
        ("Best, worst session", "+1.41%, -1.93%"),
        ("Sessions with a gain", "66.7%"),
        ("Drawdown: peak, trough, recovery", "2024-01-09, 2024-01-10, not recovered"),
        ("Orders, fills", "7, 5"),
        ("Ordered, traded", "99,075, 86,405"),
        ("Commission, slippage", "10.60, 92.91 (+10.77 bps)"),
    ]
    assert found.tables["Positions"] == [
        ("Asset", "Quantity", "Price", "Value", "Weight", "Target", "Drift", "Unrealised"),
        ("AAA", "460", "101.50", "46,690", "46.37%", "50.00%", "-3.63%", "+518"),
        ("BBB", "-400", "50.00", "-20,000", "-19.86%", "-21.00%", "+1.14%", "-40"),
        ("CCC", "0", "20.00", "0", "0.00%", "3.00%", "-3.00%", "+0"),
    ]
    assert found.tables["Newest runs"] == [
        ("Session", "Run", "Outcome", "Traded", "Slippage, bps", "Commission"),
        ("2024-01-12", "r0112-trade", "done", "6,084", "-10.0", "0.60"),
        ("2024-01-10", "r0110-trade", "done", "10,251", "-50.0", "1.00"),
        ("2024-01-09", "r0109-trade", "done", "70,070", "+21.4", "9.00"),
    ]
    assert found.tables["Return by month and year, in percent"][1] == ("2024", "0.7", *[""] * 11, "0.7")
    assert found.pictures == [
        "NAV from 99,286 to 101,241, 100,688 at the end",
        "Drawdown, 1.9% at its deepest",
        "Returns by session, -1.93% to 1.41%",
        "Gross exposure 60%, net 20% of NAV at the end",
        "Turnover by session, 41% of NAV a rebalance",
        "Commission 10 and slippage 99 in all",
        "Slippage by run, 10.8 basis points over all",
    ]
    assert "The largest of 3, at the prices of 2024-01-11; weights are shares of 100,688" in found.words


@pytest.mark.parametrize("is_late", [False, True])
def test_the_metrics_of_the_book(written: Path, tmp_path: Path, is_late: bool) -> None:
    """Prometheus' text. A daemon that comes later counts from what it finds; how the book is, it tells all the same."""
    shutil.copy(written / FILE, tmp_path)
    metrics = DaemonMetrics()
    with Ledger.open(tmp_path, HandClock(worked_book.WRITTEN), durable=False) as ledger:
        if is_late:
            count_from_here(metrics, ledger)
        tell_book(metrics, ledger, BOOK)
    lines = [line.rsplit(" ", 1) for line in metrics.render().decode().splitlines() if "momentum" in line]
    counted = {
        'sigc_trades_total{strategy="momentum"}': 5,
        'sigc_orders_total{status="cancelled",strategy="momentum"}': 0,
        'sigc_orders_total{status="denied",strategy="momentum"}': 0,
        'sigc_orders_total{status="expired",strategy="momentum"}': 1,
        'sigc_orders_total{status="filled",strategy="momentum"}': 3,
        'sigc_orders_total{status="rejected",strategy="momentum"}': 1,
    }
    assert {name: round(float(value), 6) for name, value in lines} == {
        **(dict.fromkeys(counted, 0) if is_late else counted),
        'sigc_positions_count{strategy="momentum"}': 2,
        'sigc_nav_dollars{strategy="momentum"}': 100_687.5,
        'sigc_daily_return_ratio{strategy="momentum"}': 0.014121,
        'sigc_drawdown_ratio{strategy="momentum"}': 0.005467,
        'sigc_gross_exposure_ratio{strategy="momentum"}': 0.601862,
        'sigc_net_exposure_ratio{strategy="momentum"}': 0.204593,
        'sigc_turnover_ratio{strategy="momentum"}': 0.161142,
    }


def test_the_block_of_a_status() -> None:
    """`sigc status` of a daemon of which everything is known."""
    last, after = datetime(2024, 1, 12, 14, 30, tzinfo=UTC), datetime(2024, 7, 15, 13, tzinfo=UTC)
    found = StatusReply(
        name="demo",
        status="running",
        pid=4711,
        identity="",
        version="1",
        uptime_seconds=310_920.0,
        memory_bytes=300 << 20,
        memory_limit_bytes=4 << 30,
        cpu_pct=37.4,
        zone=NEW_YORK,
        is_ready=True,
        is_paused=True,
        life="one",
        strategies=(
            StrategyStatus("momentum", "active", last, after, "success", LAST),
            StrategyStatus("second", "halted", None, None, "never run", ""),
        ),
    )
    assert status_block(found) == (
        "sigc daemon status\n"
        "==================\n"
        "Status: running (paused)\n"
        "PID: 4711\n"
        "Uptime: 3d 14h 22m\n"
        "Memory: 300 MB / 4 GB\n"
        "CPU: 37%\n"
        "\n"
        "Strategies:\n"
        "  momentum: active\n"
        "    Last run: 2024-01-12 09:30:00\n"
        "    Next run: 2024-07-15 09:00:00\n"
        "    Status: success\n"
        "\n"
        "  second: halted\n"
        "    Last run: -\n"
        "    Next run: -\n"
        "    Status: never run"
    )
