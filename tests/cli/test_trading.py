"""Trading from the command line, on real files: a run, a repeat, what the ledger says of it, exit codes."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from sigc.clock import SystemClock
from sigc.config.settings import PaperSettings
from sigc.errors import SigcError, exit_code
from sigc.store.ledger import control
from sigc.store.ledger.ledger import Ledger
from sigc_cli.main import cli
from sigc_pipelines.brokers.paper import PaperBroker
from tests.trading.script import D1, D2, D3, written

SETTINGS = """
daemon: {{work_dir: {work}, cache: {{directory: {cache}}}}}
cluster: {{type: none}}
schedule: {{calendar: weekdays}}
safety: {{max_volume_ratio: 1000000, max_return: 100}}
broker: {{paper: {{slippage_bps: 0, commission_bps: 0, borrow_bps: 0}}}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jit_directory: Path) -> Path:
    """A folder with a scripted strategy, entered: a thousand shares of A are bought, of B sold short, and turned."""
    written(tmp_path, {"A": [0.1, 0.1, -0.1], "B": [-0.1, -0.1, 0.1]})
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    (cache / "jit").symlink_to(jit_directory / "jit")
    (tmp_path / "sigc.yaml").write_text(SETTINGS.format(work=tmp_path / "work", cache=cache))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sigc(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), standalone_mode=False, catch_exceptions=True)


def code(result: Result) -> int:
    match result.exception:
        case SigcError() as error:
            return exit_code(error.diagnostics)
        case click.ClickException() as error:
            return error.exit_code
        case SystemExit() as left:
            return int(str(left.code))
    return result.exit_code


def data(*arguments: str) -> Any:
    result = sigc(*arguments, "--json")
    return json.loads(result.stdout)


def run(day: str, *arguments: str) -> Any:
    return data("run", "scripted.sig", "--date", day, *arguments)


def test_what_a_run_leaves_is_closed_to_others(project: Path) -> None:
    before = os.umask(0)
    try:
        run(D1)
        assert sigc("report", "scripted", "-o", str(project / "out" / "book.html")).exit_code == 0
    finally:
        os.umask(before)
    folders = [p for top in ("work", "out") for p in (project / top, *(project / top).rglob("*")) if p.is_dir()]
    assert len(folders) > 3
    assert {p: p.stat().st_mode & 0o777 for p in folders} == dict.fromkeys(folders, 0o700)


def test_a_run_and_what_the_ledger_says_of_it(project: Path) -> None:
    done = run(D1)
    assert (done["outcome"], done["as_of"], done["session"], done["broker"]) == ("done", D1, D2, "paper")
    assert [(o["asset"], o["side"], o["quantity"], o["state"]) for o in done["orders"]] == [
        ("B", "sell", "1000", "acknowledged"),
        ("A", "buy", "1000", "acknowledged"),
    ]
    assert set(done["digests"]) >= {"strategy", "config", "code", "weights", "data:prices"}
    assert [o["client_order_id"] for o in data("orders", "--run", done["id"])] == [
        o["client_order_id"] for o in done["orders"]
    ]
    (book,) = data("positions")
    assert (book["book"]["cash"], book["positions"]) == ("1000000.0", [])
    run(D2)
    (book,) = data("positions")
    assert {p["asset"]: p["quantity"] for p in book["positions"]} == {"A": "1000", "B": "-1000"}
    assert book["nav"]["session"] == D2
    shown = data("runs", "show", done["id"])
    assert [f["asset"] for f in shown["fills"]] == ["A", "B"]
    assert {o["state"] for o in shown["intents"]} == {"filled"}
    text = sigc("runs", "show", done["id"]).stdout
    assert "scripted (main), paper trade" in text
    assert "execute   done" in text
    rows = [line.split() for line in sigc("positions").stdout.splitlines()[3:]]
    assert [row[:2] for row in rows] == [["A", "1000"], ["B", "-1000"]]
    assert len(data("runs", "list")) == 2
    assert sigc("runs").stdout == sigc("runs", "list").stdout


def test_a_second_run_is_refused_and_a_wanted_one_is_a_revision(project: Path) -> None:
    run(D1)
    again = sigc("run", "scripted.sig", "--date", D1)
    assert (code(again), again.stdout) == (8, "")
    assert isinstance(again.exception, SigcError)
    assert again.exception.diagnostics[0].code == "E800"
    assert code(sigc("run", "scripted.sig", "--date", D1, "--force")) == 2  # why?
    forced = run(D1, "--force", "--reason", "the first was a rehearsal")
    assert (forced["revision"], forced["outcome"]) == (1, "unchanged")
    opened = [r for r in data("runs", "logs", forced["id"]) if r["event"] == "run.opened"]
    assert opened[0]["payload"]["reason"] == "the first was a rehearsal"
    assert opened[0]["who"].endswith("@cli")
    earlier = run("2016-01-01", "--force", "--reason", "earlier")  # on paper, by hand: an account of its own
    assert "scripted (main) has traded for the session 2016-01-05 already" in earlier["scratch"]
    assert [r["revision"] for r in data("runs", "list")] == [1, 0]


def test_a_dry_run_changes_nothing(project: Path) -> None:
    dry = run(D1, "--dry-run")
    assert (dry["kind"], len(dry["orders"])) == ("dry", 2)
    assert data("orders") == []
    assert run(D1)["outcome"] == "done"
    assert run(D1, "--dry-run")["orders"] == []  # they are on their way


def test_diff(project: Path) -> None:
    first, second, third = run(D1), run(D2), run(D3)
    assert code(sigc("runs", "diff", first["id"], first["id"])) == 0
    found = sigc("runs", "diff", first["id"], third["id"])
    assert code(found) == 1
    assert "wanted A" in found.stdout
    names = {name for name, _, _ in data("runs", "diff", second["id"], third["id"])}
    assert {"as of", "session", "digest weights", "ordered A", "ordered B"} <= names
    assert "digest strategy" not in names


def test_logs(project: Path) -> None:
    done = run(D1)
    events = [r["event"] for r in data("runs", "logs", done["id"])]
    assert events[0] == "run.opened"
    assert events[-1] == "run.closed"
    assert events.index("run.decided") < events.index("order.sending") < events.index("order.acknowledged")
    lines = sigc("runs", "logs", done["id"]).stdout.splitlines()
    assert len(lines) == len(events)
    assert "order.planned" in "".join(lines)


def test_cancel(project: Path) -> None:
    done = run(D1)
    assert code(sigc("runs", "cancel", done["id"])) == 2  # --reason
    result = sigc("runs", "cancel", done["id"], "--reason", "changed my mind")
    number = len(done["orders"])
    head = f"{done['id']} ({done['strategy']}, trade): it had ended (done) when it was cancelled"
    said = f"{head}\n  had gone out: {number} orders; {number} cancelled at the broker\n"
    assert (code(result), result.stdout) == (0, said)
    assert {o["state"] for o in data("orders")} == {"cancelled"}
    assert data("orders", "--open") == []
    assert [r["payload"]["reason"] for r in data("runs", "logs", done["id"]) if r["event"] == "run.cancel"] == [
        "changed my mind"
    ]
    assert len(run(D2)["orders"]) == 2  # what was not bought is ordered for the next session


def test_ids_that_are_none(project: Path) -> None:
    run(D1)
    for command in (("show",), ("logs",), ("cancel", "--reason", "x")):
        assert code(sigc("runs", *command[:1], "nothing", *command[1:])) == 1
    assert code(sigc("runs", "diff", "nothing", "else")) == 1
    assert code(sigc("orders", "--run", "nothing")) == 1
    assert data("orders", "--strategy", "other") == []
    assert data("positions", "--strategy", "other") == []


@pytest.mark.parametrize("command", [("orders",), ("positions",), ("runs", "list"), ("runs", "show", "x")])
def test_without_a_ledger(project: Path, command: tuple[str, ...]) -> None:
    result = sigc(*command)
    assert code(result) == 5
    assert isinstance(result.exception, SigcError)
    assert result.exception.diagnostics[0].code == "E310"


def test_exit_codes_of_a_run(project: Path) -> None:
    (project / "sigc.yaml").write_text(
        (project / "sigc.yaml").read_text().replace("max_return: 100", "max_position: 0.05")
    )
    refused = sigc("run", "scripted.sig", "--date", D1, "--json")
    assert code(refused) == 8
    told = json.loads(refused.stdout)
    assert told["outcome"] == "refused"
    assert any(f["check"] == "position" or "0.05" in f["message"] for f in told["findings"])
    assert code(sigc("run", "scripted.sig", "--date", "1900-01-01")) == 6
    assert code(sigc("run", "scripted.sig", "--date", "never")) == 4
    assert code(sigc("run", "nowhere.sig")) == 4


@pytest.mark.parametrize(("name", "word"), [(control.HALTED, "halted"), (control.PAUSED, "paused")])
def test_what_a_person_holds_is_refused(project: Path, name: str, word: str) -> None:
    hold(project, lambda tx: control.put(tx, name, "scripted", "by hand", "ann", "wait"))
    result = sigc("run", "scripted.sig", "--date", D1)
    assert code(result) == 8
    assert f"{word} since" in str(result.exception)
    forced = sigc("run", "scripted.sig", "--date", D1, "--force", "--reason", "go")
    assert code(forced) == (8 if name == control.HALTED else 0)
    hold(project, lambda tx: control.drop(tx, name, "scripted", "ann", "go"))
    if name == control.HALTED:
        assert run(D1)["outcome"] == "done"


def hold(project: Path, decide: Callable[[Any], object]) -> None:
    with Ledger.open(project / "work", SystemClock(), durable=False) as ledger, ledger.transaction("control") as tx:
        decide(tx)


def test_one_process_trades_at_a_time(project: Path) -> None:
    with Ledger.open(project / "work", SystemClock(), durable=False):
        result = sigc("run", "scripted.sig", "--date", D1)
        assert code(result) == 12
        assert isinstance(result.exception, SigcError)
        assert result.exception.diagnostics[0].code == "E311"
    assert run(D1)["outcome"] == "done"


def test_differences_are_refused_and_accepted(project: Path) -> None:
    """The broker has forgotten our orders: refused, until a person says so; then they are ordered again."""
    run(D1)
    (project / "work" / "paper.sqlite").unlink()
    refused = sigc("run", "scripted.sig", "--date", D2)
    assert code(refused) == 7
    assert isinstance(refused.exception, SigcError)
    assert refused.exception.diagnostics[0].code == "E602"
    assert code(sigc("run", "scripted.sig", "--date", D2, "--accept-differences")) == 2  # why?
    accepted = run(D2, "--accept-differences", "--reason", "a new paper account")
    assert [o["quantity"] for o in accepted["orders"]] == ["1000", "1000"]
    gone = data("orders")[2:]
    assert {o["state"] for o in gone} == {"cancelled"}
    assert all("a new paper account" in o["message"] for o in gone)


def test_ledger_and_broker_are_compared_and_brought_together(project: Path) -> None:
    """Money that came past sigc: named, taken in with who and why in the audit."""
    for day in (D1, D2):
        run(day)
    run_out(project)
    assert sigc("reconcile").stdout == "ledger and broker agree\n"
    with closing(PaperBroker(project / "work" / "paper.sqlite", PaperSettings(), SystemClock())) as paper:
        paper.deposit("by wire", Decimal(250_000))
    told = sigc("reconcile")
    assert code(told) == 7
    assert "(cash)" in told.stdout
    assert "money was paid in" in told.stdout
    refused = sigc("run", "scripted.sig", "--date", D3)
    assert code(refused) == 7
    assert isinstance(refused.exception, SigcError)
    assert "money was paid in" in refused.exception.diagnostics[0].message
    assert code(sigc("reconcile", "--adopt")) == 2  # why?
    assert code(sigc("reconcile", "--book", "scripted")) == 2
    assert code(sigc("reconcile", "--adopt", "--reason", "x", "--book", "nobody")) == 1
    before = data("positions")[0]
    done = data("reconcile", "--adopt", "--reason", "a wire of the desk")
    (entry,) = done["adopted"]
    assert (entry["asset"], entry["change"], entry["cash"], entry["cause"]) == ("", "0", "250000", "transfer")
    assert done["left"] == []
    after = data("positions")[0]
    assert Decimal(after["book"]["cash"]) == Decimal(before["book"]["cash"]) + 250_000
    assert after["positions"] == before["positions"]
    assert sigc("reconcile").stdout == "ledger and broker agree\n"
    with closing(sqlite3.connect(project / "work" / "ledger.sqlite")) as connection:
        (record,) = connection.execute("SELECT record FROM audit WHERE event = 'book.adjusted'").fetchone()
    assert json.loads(record)["payload"]["reason"] == "a wire of the desk"
    assert sigc("audit", "verify").exit_code == 0


def test_a_strategy_is_renamed(project: Path) -> None:
    """Its book is listed without an owner; after the renaming the new name's run finds what is held."""
    for day in (D1, D2):
        run(day)
    (book,) = data("book", "list")
    assert (book["strategy"], book["positions"], book["capital"], book["is_owned"]) == (
        "scripted",
        2,
        "1000000.0",
        False,
    )
    assert sigc("book", "list").stdout.splitlines()[2].split()[:4] == [
        "scripted/main",
        "1,000,000.00",
        "1,000,000.00",
        "2",
    ]
    (project / "scripted.sig").rename(project / "other.sig")
    done = sigc("book", "rename", "scripted", "other", "--reason", "another name")
    assert done.stdout == "scripted/main is other/main now\n"
    assert code(sigc("book", "rename", "scripted", "other", "--reason", "again")) == 1
    assert [b["strategy"] for b in data("book", "list")] == ["other"]
    ended = data("run", "other.sig", "--date", D3)
    assert [o["quantity"] for o in ended["orders"]] == ["2000", "2000"]  # turned from what is held, not bought anew
    assert sigc("audit", "verify").exit_code == 0


def test_an_asset_is_renamed_by_hand(project: Path) -> None:
    """In the ledger and at the paper broker; what it cannot do changes nothing."""
    for day in (D1, D2, D3):
        run(day)
    assert sigc("book", "actions", "scripted").stdout == "no corporate actions\n"
    why = ("--reason", "the file has another name for it")
    for old, new in (("X", "Y"), ("A", "B")):
        assert code(sigc("book", "rename-asset", "scripted", old, new, *why)) in (1, 8)
    assert code(sigc("book", "rename-asset", "scripted", "A", "AA", *why)) == 8  # an order in it is open
    run_out(project)
    (entry,) = data("book", "rename-asset", "scripted/main", "A", "AA", *why)
    assert (entry["asset"], entry["into"], entry["into_change"], entry["reason"]) == ("A", "AA", "1000", "by hand")
    (book,) = data("positions")
    assert {p["asset"]: p["quantity"] for p in book["positions"]} == {"AA": "1000", "B": "-1000"}
    assert data("book", "actions", "scripted") == [entry]
    assert "by hand" in sigc("book", "actions", "scripted").stdout
    assert sigc("audit", "verify").exit_code == 0
    assert code(sigc("book", "actions", "other")) == 1
    with closing(PaperBroker(project / "work" / "paper.sqlite", PaperSettings(), SystemClock())) as broker:
        assert broker.positions() == {"AA": 1000, "B": -1000}


def run_out(project: Path) -> None:
    """End the orders that are open, at the broker and in the ledger."""
    with closing(PaperBroker(project / "work" / "paper.sqlite", PaperSettings(), SystemClock())) as broker:
        for order in data("orders", "--open"):
            broker.cancel(order["client_order_id"])


def test_books_that_do_not_add_up_are_told(project: Path) -> None:
    run(D1)
    run(D2)
    assert sigc("audit", "verify").exit_code == 0
    with closing(sqlite3.connect(project / "work" / "ledger.sqlite")) as connection:
        connection.execute("UPDATE positions SET quantity = '1001' WHERE asset = 'A'")
        connection.execute("UPDATE books SET receivables = '5'")
        connection.commit()
    result = sigc("audit", "verify")
    assert code(result) == 8
    assert isinstance(result.exception, SigcError)
    told = [d.message for d in result.exception.diagnostics]
    assert told == [
        "receivables of scripted/main: 5, the records come to 0",
        "A in scripted/main: 1001, the records come to 1000",
    ]


def test_shares_change_their_book(project: Path) -> None:
    for day in (D1, D2, D3):
        run(day)
    money = data("book", "list")[0]["cash"]
    assert code(sigc("book", "transfer", "scripted", "unassigned", "A", "10", "--reason", "x")) == 8  # an open order
    for order in data("orders", "--open"):
        assert sigc("runs", "cancel", order["run"], "--reason", "x").exit_code == 0
    done = data("book", "transfer", "scripted", "unassigned", "A", "400", "--value", "--reason", "ann's")
    assert [(e["strategy"], e["change"], e["cash"]) for e in done["entries"]] == [
        ("scripted", "-400", "40000"),
        ("unassigned", "400", "-40000"),
    ]
    text = sigc("book", "transfer", "unassigned", "scripted", "A", "all", "--value", "--reason", "back").stdout
    assert text.splitlines()[-1].split()[1:6] == ["scripted/main", "A", "400", "-40000", "transfer"]
    assert data("book", "list")[0]["cash"] == money
    assert sigc("reconcile").exit_code == 0
    for words in (("A", "none"), ("A", "-4"), ("A", "NaN")):
        assert code(sigc("book", "transfer", "scripted", "unassigned", *words, "--reason", "x")) == 2
    assert code(sigc("book", "transfer", "scripted", "unassigned", "A", "all", "--reason", " ")) == 2
    assert code(sigc("book", "transfer", "scripted", "nobody", "A", "all", "--reason", "x")) == 1


def test_a_dry_run_ends_as_the_run_would(project: Path) -> None:
    settings = project / "sigc.yaml"
    settings.write_text(settings.read_text().replace("max_return: 100}", "max_return: 100, max_order_value: 1}"))
    for more in (("--dry-run",), ()):
        done = sigc("run", "scripted.sig", "--date", D1, *more)
        assert code(done) == 8
        assert ": the order's value is 100000.0; the limit is 1.0" in str(done.exception)
    assert data("orders", "--open") == []


def test_the_book_of_nobody_is_closed_after_a_yes(project: Path) -> None:
    run(D1)
    run(D2)
    for order in data("orders", "--open"):
        assert sigc("runs", "cancel", order["run"], "--reason", "x").exit_code == 0
    data("book", "transfer", "scripted", "unassigned", "A", "400", "--reason", "nobody's")
    assert code(sigc("book", "close", "unassigned", "--reason", "x")) == 11  # nobody said yes
    assert data("orders", "--open") == []
    text = sigc("book", "close", "unassigned", "--yes", "--reason", "x").stdout
    assert text.splitlines()[:3] == [
        "no order was open",
        "positions are closed by 1 order:",
        "  unassigned  sell 400 A  acknowledged",
    ]
    assert [(o["asset"], o["side"], o["quantity"]) for o in data("orders", "--open")] == [("A", "sell", "400")]
    assert data("positions", "--strategy", "scripted")[0]["positions"][0]["quantity"] == "600"


def test_money_comes_and_goes_and_what_is_worthless_leaves(project: Path) -> None:
    for day in (D1, D2):
        run(day)
    for order in data("orders", "--open"):
        assert sigc("runs", "cancel", order["run"], "--reason", "x").exit_code == 0
    (before,) = data("book", "list")
    (came,) = data("book", "deposit", "scripted", "2500.50", "--reason", "more")["entries"]
    (left,) = data("book", "withdraw", "scripted/main", "500", "--reason", "less")["entries"]
    assert [(e["cash"], e["cause"]) for e in (came, left)] == [("2500.5", "deposit"), ("-500", "withdrawal")]
    assert Decimal(data("book", "list")[0]["cash"]) - Decimal(before["cash"]) == Decimal("2000.50")
    assert code(sigc("book", "withdraw", "scripted", "99999999", "--reason", "x")) == 8
    (gone,) = data("book", "write-off", "scripted", "A", "--reason", "it is worth nothing")["entries"]
    assert (gone["change"], gone["cash"], gone["cause"]) == ("-1000", "0", "write_off")
    assert sigc("reconcile").exit_code == 0
    run(D3)  # of the capital that the book has now, and A is bought again
    assert data("book", "list")[0]["positions"] == 1
