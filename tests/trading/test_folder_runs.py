"""Whole runs through two folders: orders are bought and sold, hand trades told, both sides agree to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from sigc.config.settings import BrokerSettings, Config
from sigc.daemon.runner import Services
from sigc.metrics import DaemonMetrics
from sigc.store.ledger import control
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import IntentState, Outcome, Side
from sigc_cli.assembly.daemon import run_output
from sigc_pipelines.brokers.files.broker import FolderBroker
from sigc_pipelines.brokers.protocol import OrderRequest
from sigc_pipelines.live.session import instant_of
from sigc_pipelines.live.trading import Trading
from sigc_pipelines.reconcile.differences import differences, settled_differences
from sigc_pipelines.service.runner import DaemonRunner
from tests.brokers.folder_bench import THEIRS, FolderBench, FolderKind
from tests.trading.floor import Floor, all_orders
from tests.trading.script import D1, D2, D3, written

D = Decimal


class FolderStreet(FolderBench):
    """Two folders and a desk that fills whatever is open, whenever somebody waits."""

    assets = ("A", "B")

    def _round(self) -> None:
        self.desk.take()
        self.desk.trade()
        self.desk.tell()

    @contextmanager
    def open_floor(self, floor: Floor, day: str) -> Iterator[tuple[Trading, FolderBroker]]:
        """A process that begins just after the close of a day."""
        self.clock.turn(instant_of(floor.calendar, day))
        self._round()
        broker = self._open()
        with floor.open(day, broker, self.clock) as trading:
            yield trading, broker


def street(folder: Path, start: datetime) -> FolderStreet:
    """The street in JSON lines of their columns, with a commission, before the first day."""
    found = FolderStreet(folder, FolderKind({"format": "jsonl", "columns": THEIRS}, commission=D("1.25")))
    found.clock._at = start
    found.desk.tell()
    return found


def test_it_buys_and_turns_round_and_both_sides_agree(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": [0.1, 0.0], "B": [-0.1, 0.05]})
    desk = street(tmp_path, instant_of(floor.calendar, D1))
    with desk.open_floor(floor, D1) as (trading, broker):
        ended = floor.run(trading, "one")
        assert (ended.run.outcome, ended.run.broker) == (Outcome.DONE, "files live"), ended.run.message
        assert [(i.asset, i.side, i.quantity, i.state) for i in all_orders(trading)] == [
            ("B", Side.SELL, D(1000), IntentState.FILLED),
            ("A", Side.BUY, D(1000), IntentState.FILLED),
        ]
        assert broker.positions() == {"A": D(1000), "B": D(-1000)}
    with desk.open_floor(floor, D2) as (trading, broker):
        assert floor.run(trading, "two").run.outcome is Outcome.DONE
        assert broker.positions() == {"B": D(500)}
        assert broker.account().cash == D(950_000) - 4 * D("1.25")
        assert settled_differences(trading.ledger, broker, trading.clock, 10.0) == ()
    with desk.open_floor(floor, D3) as (trading, _):
        assert floor.run(trading, "three").run.outcome is Outcome.UNCHANGED
    assert len(list((desk.folder / "outbox").glob("order-*"))) == 4


def test_a_rejection_that_comes_after_the_run_ends_the_order(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": [0.1], "B": [0.0]})
    desk = street(tmp_path, instant_of(floor.calendar, D1))
    desk.clock.meanwhile = lambda: None  # the desk is at lunch
    with desk.open_floor(floor, D1) as (trading, _):
        assert floor.run(trading, "one").run.outcome is Outcome.DONE
        assert [i.state for i in all_orders(trading)] == [IntentState.ACKNOWLEDGED]
    desk.desk.prices = {"B": D(100)}
    with desk.open_floor(floor, D1) as (trading, broker):
        (intent,) = all_orders(trading)
        assert (intent.state, intent.message) == (IntentState.REJECTED, "no such asset: A")
        assert differences(trading.ledger, broker) == ()


def test_a_hand_trade_at_the_desk_is_a_difference(tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": [0.1, 0.2]})
    desk = street(tmp_path, instant_of(floor.calendar, D1))
    with desk.open_floor(floor, D1) as (trading, broker):
        floor.run(trading, "one")
        broker.submit(OrderRequest("by-hand", "A", Side.BUY, D(7)))
        desk.settle()
        assert [str(d) for d in differences(trading.ledger, broker)] == ["A: ledger 1000, broker 1007"]
    with desk.open_floor(floor, D2) as (trading, _):
        ended = floor.run(trading, "two")
        assert ended.run.outcome not in (Outcome.DONE, Outcome.UNCHANGED)
        assert ended.problems[0].code == "E602"


def test_a_daemon_with_live_folders_starts_halted(tmp_path: Path) -> None:
    desk = FolderStreet(tmp_path)
    config = Config(broker=BrokerSettings(type="files", files=desk.settings))
    with Ledger.open(tmp_path / "work", desk.clock, durable=False) as ledger:
        services = Services(ledger, DaemonMetrics(), desk.clock, tmp_path / "scratch")
        DaemonRunner(config, (), services, run_output()).close()
        with ledger.reading() as connection:
            (halt,) = control.every(connection, control.HALTED)
    assert "files live" in halt.reason
