"""A live broker starts halted, once, until a person lets it begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sigc.config.settings import BrokerSettings, Config
from sigc.daemon.kill_file_halts import lift
from sigc.daemon.runner import Services
from sigc.errors import SigcError
from sigc.metrics import DaemonMetrics
from sigc.store.ledger import control
from sigc.store.ledger.ledger import Ledger
from sigc.store.ledger.records import Outcome
from sigc_cli.assembly.daemon import run_output
from sigc_pipelines.service.runner import DaemonRunner
from sigc_pipelines.stopping.live_start import halt_before_live
from tests.brokers.alpaca_bench import settings
from tests.trading.script import D1, free, written
from tests.trading.twin_floor import Street, street


@pytest.fixture
def alpaca() -> Iterator[Street]:
    with street(datetime(2016, 1, 1, tzinfo=UTC), {"A": Decimal(100)}, fills_after_s=1.0, is_open=True) as made:
        yield made


def halts(ledger: Ledger) -> list[str]:
    with ledger.reading() as connection:
        return [one.reason for one in control.every(connection, control.HALTED)]


@contextmanager
def started(folder: Path, alpaca: Street, account: str) -> Iterator[Ledger]:
    """A daemon's runner, at the twin as a live or as a paper account."""
    broker = BrokerSettings(type="alpaca", alpaca=settings(alpaca.server.url, account=account))
    config = Config(broker=broker)
    with Ledger.open(folder / "work", alpaca.clock, durable=False) as ledger:
        runner = DaemonRunner(
            config, (), Services(ledger, DaemonMetrics(), alpaca.clock, folder / "scratch"), run_output()
        )
        try:
            yield ledger
        finally:
            runner.close()


def resume(ledger: Ledger) -> None:
    with ledger.transaction("control") as tx:
        assert lift(tx, ledger.directory, "", "ann", "keys and limits are checked")


def test_a_daemon_with_a_live_broker_starts_halted_once(alpaca: Street, tmp_path: Path) -> None:
    for _ in range(2):  # a restart before anybody resumed it
        with started(tmp_path, alpaca, "live") as ledger:
            (why,) = halts(ledger)
            assert "'alpaca live' trades real money" in why
            assert "sigc safety resume" in why
    with started(tmp_path, alpaca, "live") as ledger:
        resume(ledger)
    with started(tmp_path, alpaca, "live") as ledger:
        assert halts(ledger) == [], "a restart goes on"
    with started(tmp_path, alpaca, "paper") as ledger:
        assert halts(ledger) == []
    with started(tmp_path, alpaca, "live") as ledger:
        assert len(halts(ledger)) == 1, "the way back begins halted again"


def test_a_person_s_halt_is_kept_as_it_is(alpaca: Street, tmp_path: Path) -> None:
    with started(tmp_path, alpaca, "paper") as ledger, ledger.transaction("control") as tx:
        control.put(tx, control.HALTED, "", "by hand", "ann", "enough")
    with started(tmp_path, alpaca, "live") as ledger:
        assert halts(ledger) == ["enough"]


def test_nothing_is_sent_before_a_person_says_so(alpaca: Street, tmp_path: Path) -> None:
    floor = written(tmp_path, {"A": 0.1}, config=free())
    with alpaca.open(floor, D1, account="live") as desk:
        assert halt_before_live(desk.trading.ledger, desk.broker)
        with pytest.raises(SigcError, match="everything is halted since .* by start: .alpaca live. trades real money"):
            desk.run("one")
        assert alpaca.account.orders == {}
        resume(desk.trading.ledger)
        assert not halt_before_live(desk.trading.ledger, desk.broker)
        assert desk.run("two").run.outcome is Outcome.DONE
        assert desk.held() == {"A": Decimal(1000)}
