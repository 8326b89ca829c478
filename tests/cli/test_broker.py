"""`sigc broker check` at Alpaca's twin and at the paper broker: what it says, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import Result

from sigc.clock import SystemClock
from sigc.failpoint import arm
from sigc.store.ledger import control
from sigc.store.ledger.ledger import Ledger
from sigc_pipelines.service import broker_trial
from tests.brokers.twin.book import TwinAccount
from tests.brokers.twin.server import KEYS, TwinServer
from tests.cli.test_trading import code, sigc
from tests.trading.script import D1, D2, KilledError, written


@pytest.fixture
def twin() -> Iterator[TwinServer]:
    account = TwinAccount(lambda: datetime.now(UTC), {"A": Decimal(100), "B": Decimal(50)})
    server = TwinServer(account)
    yield server
    server.hang_up()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(folder: Path, url: str, account: str = "paper", secret: str = KEYS[1]) -> None:
    key = folder / "secret.key"
    key.write_text(f"{secret}\n")
    key.chmod(0o600)
    alpaca = f"{{account: {account}, base_url: '{url}', key_id: {KEYS[0]}, secret_key: 'file:{key}'}}"
    text = f"daemon: {{work_dir: {folder / 'work'}}}\nbroker: {{type: alpaca, timeout_s: 2, alpaca: {alpaca}}}\n"
    (folder / "sigc.yaml").write_text(text)


@pytest.mark.parametrize(("account", "word"), [("paper", "PAPER, no real money"), ("live", "LIVE, real money")])
def test_it_says_live_or_paper_first_and_only_reads(folder: Path, twin: TwinServer, account: str, word: str) -> None:
    order = {"symbol": "B", "side": "sell", "qty": "3", "type": "market", "time_in_force": "day"}
    twin.account.submit(order | {"client_order_id": "before"})
    twin.account.trade({"B": Decimal(50)}, {})
    twin.account.submit(order | {"symbol": "A", "side": "buy", "client_order_id": "open"})
    configure(folder, twin.url, account)
    done = sigc("broker", "check")
    assert code(done) == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"broker       alpaca {account}: {word}"
    assert lines[1] == "account      cash 1000150, equity 1000000, buying power 1999541.00"  # less 150, and 3 x 103
    assert lines[3:5] == ["positions    1: B -3", "open orders  1"]
    assert lines[5] == (
        "orders       limit or market, day, in steps of 1, short sales in steps of 1, a reversal is two orders, "
        "buys wait for the sales that pay for them, queued while the market is closed, 150 a minute"
    )
    assert {method for method, _ in twin.seen} == {"GET"}
    assert not (folder / "work" / "ledger.sqlite").exists()
    told = json.loads(sigc("broker", "check", "--json").stdout)
    assert (told["is_live"], told["positions"], told["problems"]) == (account == "live", {"B": "-3"}, [])
    assert (told["cash"], told["health"]["is_open"], told["takes"][-1]) == ("1000150", False, "150 a minute")


def test_what_is_wrong_with_the_account_has_a_code(folder: Path, twin: TwinServer) -> None:
    configure(folder, twin.url)
    twin.account.trading_blocked = True
    done = sigc("broker", "check")
    assert (code(done), done.stdout.splitlines()[-1]) == (8, "FAIL         the account can't trade: trading_blocked")
    twin.account.trading_blocked = False
    twin.account.now = lambda: datetime.now(UTC) + timedelta(seconds=90)
    done = sigc("broker", "check")
    assert code(done) == 8
    assert "differ by 90 s" in done.stdout


def test_a_broker_that_does_not_answer_and_keys_that_are_wrong(folder: Path, twin: TwinServer) -> None:
    configure(folder, twin.url, secret="wrong")  # noqa: S106
    done = sigc("broker", "check")
    assert code(done) == 7
    assert "secret_key are not accepted" in str(done.exception)
    twin.hang_up()
    configure(folder, twin.url)
    assert code(sigc("broker", "check")) == 7
    (folder / "sigc.yaml").write_text("broker: {type: alpaca}\n")
    done = sigc("broker", "check")
    assert code(done) == 6
    assert "broker.alpaca.key_id is not set" in str(done.exception)


def test_the_paper_broker_answers_too(folder: Path) -> None:
    (folder / "sigc.yaml").write_text(f"daemon: {{work_dir: {folder / 'work'}}}\n")
    (folder / "work").mkdir(mode=0o700)
    done = sigc("broker", "check")
    assert code(done) == 0, done.exception
    assert done.stdout.startswith("broker       paper: PAPER, no real money\naccount      cash 0,")


def test_runs_buy_turn_round_and_agree(folder: Path, twin: TwinServer, jit_directory: Path) -> None:
    """A thousand A are bought and sold again, 500 B sold short and bought to 400: by `sigc run`, in this process."""
    twin.account.prices = dict.fromkeys("AB", Decimal(100))
    twin.account.is_open, twin.account.fills_after_s = True, 0.0
    written(folder, {"A": [0.1, 0.0], "B": [-0.05, 0.04]})
    configure(folder, twin.url)
    cache = folder / "cache"
    cache.mkdir(mode=0o700)
    (cache / "jit").symlink_to(jit_directory / "jit")
    more = f"  cache: {{directory: {cache}}}\ncluster: {{type: none}}\nschedule: {{calendar: weekdays}}\n"
    more += "safety: {max_volume_ratio: 1000000, max_return: 100}\n"
    text = (folder / "sigc.yaml").read_text()
    text = text.replace(f"daemon: {{work_dir: {folder / 'work'}}}\n", f"daemon:\n  work_dir: {folder / 'work'}\n{more}")
    (folder / "sigc.yaml").write_text(text)
    for day, held, sent in ((D1, {"A": 1000, "B": -500}, 2), (D2, {"B": 400}, 5)):
        done = sigc("run", "scripted.sig", "--date", day)
        assert code(done) == 0, done.output
        assert twin.account.positions == held
        assert twin.seen.count(("POST", "/v2/orders")) == sent
    done = sigc("reconcile")
    assert (code(done), done.stdout) == (0, "ledger and broker agree\n")
    shown = json.loads(sigc("positions", "--json").stdout)
    assert "400" in json.dumps(shown)


def ready(folder: Path, twin: TwinServer, account: str = "paper") -> None:
    """A market that is open in the midst of a session, whatever the day; no ledger yet."""
    twin.account.is_open, twin.account.fills_after_s = True, 0.0
    configure(folder, twin.url, account)
    text = (folder / "sigc.yaml").read_text()
    (folder / "sigc.yaml").write_text(
        f"{text}execution: {{lookup_backoff_s: 0.05, cut_off: close}}\nschedule: {{calendar: always}}\n"
    )


def tried(*words: str) -> Result:
    return sigc("broker", "check", "--with-orders", "A", "--limit", "101.50", "--yes", *words)


def posted(twin: TwinServer) -> list[tuple[str, str, str]]:
    """Side, quantity and state of every order that the broker ever had."""
    return [(one.side, str(one.qty), one.status) for one in twin.account.orders.values()]


def test_one_share_is_bought_and_sold_again_through_the_ledger(folder: Path, twin: TwinServer) -> None:
    ready(folder, twin)
    twin.account.fee = Decimal("0.02")
    done = tried()
    assert code(done) == 0, done.output
    assert [line.split(maxsplit=1) for line in done.stdout.splitlines()[-3:]] == [
        ["buy", "1 A: filled at 100"],
        ["sell", "1 A: filled at 100"],
        ["cost", "0, charges that the broker books later not counted"],
    ]
    assert posted(twin) == [("buy", "1", "filled"), ("sell", "1", "filled")]
    (book,) = json.loads(sigc("book", "list", "--json").stdout)
    assert (book["strategy"], book["capital"], book["positions"], book["is_owned"]) == ("check", "101.50", 0, False)
    again = json.loads(tried("--json").stdout.partition("\n}\n")[2])
    assert [(one["side"], one["state"], one["price"]) for one in again["orders"]] == [
        ("buy", "filled", "100"),
        ("sell", "filled", "100"),
    ]
    assert (again["is_done"], again["left"], len(twin.account.orders)) == (True, {}, 4)
    assert sigc("audit", "verify").exit_code == 0
    assert sigc("reconcile").stdout == "ledger and broker agree\n"


def test_nothing_is_tried_while_halted_paused_or_closed(folder: Path, twin: TwinServer) -> None:
    ready(folder, twin, "live")
    done = tried()
    assert code(done) == 8
    assert "trades real money" in str(done.exception)  # a live account starts halted
    with Ledger.open(folder / "work", SystemClock()) as ledger, ledger.transaction("control") as tx:
        control.drop(tx, control.HALTED, "", "ann", "go")
        control.put(tx, control.PAUSED, "", "by hand", "ann", "lunch")
    paused = str(tried().exception)
    assert "everything is paused since " in paused
    assert " by ann: lunch" in paused
    with Ledger.open(folder / "work", SystemClock()) as ledger, ledger.transaction("control") as tx:
        control.drop(tx, control.PAUSED, "", "ann", "back")
    twin.account.is_open = False
    closed = tried()
    assert (code(closed), "the market is closed until" in str(closed.exception)) == (8, True)
    assert posted(twin) == []
    twin.account.is_open = True
    assert (
        code(sigc("broker", "check", "--with-orders", "A")),
        code(sigc("broker", "check", "--with-orders", "A", "--limit", "1")),
    ) == (2, 11)
    assert posted(twin) == []
    assert code(tried()) == 0


def test_what_is_not_filled_is_taken_back(folder: Path, twin: TwinServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ready(folder, twin)
    monkeypatch.setattr(broker_trial, "_FILLED_WITHIN_S", 0.1)
    twin.account.prices["A"] = Decimal("101.51")  # a cent too dear
    done = tried()
    assert (code(done), posted(twin)) == (8, [("buy", "1", "canceled")])
    assert "1 A: cancelled" in done.stdout


@pytest.mark.parametrize("point", ["post:before", "post:after"])
def test_a_trial_that_died_is_ended_by_the_next_one(folder: Path, twin: TwinServer, point: str) -> None:
    ready(folder, twin)

    def dies(name: str) -> None:
        if name == point:
            arm(None)
            raise KilledError(name)

    arm(dies)
    try:
        with pytest.raises(KilledError):
            raise tried().exception or AssertionError
    finally:
        arm(None)
    done = tried()
    assert code(done) == 0, done.output
    assert twin.account.positions == {}
    assert [one for one in posted(twin) if one[2] != "filled"] == []
    assert sigc("reconcile").stdout == "ledger and broker agree\n"


def test_no_trial_at_a_simulation_nor_in_an_account_that_another_ledger_uses(folder: Path, twin: TwinServer) -> None:
    (folder / "work").mkdir(mode=0o700)
    (folder / "sigc.yaml").write_text(f"daemon: {{work_dir: {folder / 'work'}}}\n")
    done = tried()
    assert (code(done), "fills orders from data" in str(done.exception)) == (6, True)
    ready(folder, twin)
    twin.account.submit(
        {"symbol": "B", "side": "buy", "qty": "3", "type": "market", "time_in_force": "day", "client_order_id": "x"}
    )
    done = tried()
    assert (code(done), "the account is in use" in str(done.exception)) == (7, True)
    assert len(posted(twin)) == 1
