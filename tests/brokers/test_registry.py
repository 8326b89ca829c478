"""Brokers by name: the embedded one, and one that is really installed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigc.clock import HandClock
from sigc.config.settings import BrokerSettings, ExecutionSettings
from sigc.errors import SigcError
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.pooled import PooledBroker
from sigc_pipelines.brokers.protocol import Broker, simulation
from sigc_pipelines.brokers.registry import close_broker, installed, open_broker
from tests.daemon.processes import environment

CLOCK = HandClock(datetime(2024, 1, 5, 15, tzinfo=UTC))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions; one of them brings brokers."""
    site = tmp_path / "site"
    information = site / "far_broker-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: far-broker\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[sigc.brokers]\nfaraway = far_broker:open_far\nnarrow = far_broker:open_narrow\nbroken = far_broker:absent\npaper = far_broker:open_far\n"
    )
    (site / "far_broker.py").write_text(
        textwrap.dedent(
            """
            from dataclasses import replace
            from sigc_pipelines.brokers.paper import PaperBroker

            def open_far(settings, directory, clock):
                return PaperBroker(directory / settings.options["file"], settings.paper, clock)

            class Narrow(PaperBroker):
                def capabilities(self):
                    can = super().capabilities()
                    return replace(can, name="narrow", order_types=frozenset({"market"}), times_in_force=frozenset({"day"}))

                def close(self):
                    super().close()
                    self.path.with_suffix(".closed").touch()

            def open_narrow(settings, directory, clock):
                broker = Narrow(directory / "narrow.sqlite", settings.paper, clock)
                broker.path = directory / "narrow.sqlite"
                return broker
            """
        )
    )
    monkeypatch.syspath_prepend(str(site))
    return site


def synchronous(broker: Broker) -> int:
    """How SQLite writes the book of an embedded broker: 2 waits for the disk."""
    assert isinstance(broker, PooledBroker)
    assert isinstance(broker.inner, PaperBroker)
    with broker.inner._file.reading() as book:
        return int(book.execute("PRAGMA synchronous").fetchone()[0])


def test_paper_is_the_default(tmp_path: Path) -> None:
    broker = open_broker(BrokerSettings(), tmp_path / "work", CLOCK)
    market = simulation(broker)
    assert market is not None
    market.deposit("start", Decimal(5))
    assert synchronous(broker) == 2  # what it answered outlives a power cut
    close_broker(broker)
    again = open_broker(BrokerSettings(), tmp_path / "work", CLOCK, durable=False)
    assert synchronous(again) == 0
    assert again.account().cash == 5
    assert (tmp_path / "work" / "paper.sqlite").is_file()
    close_broker(again)


def test_an_installed_broker_is_opened_with_its_options(site: Path, tmp_path: Path) -> None:
    assert set(installed()) == {"faraway", "narrow", "broken"}, "no one takes the name of the embedded one"
    broker = open_broker(BrokerSettings(type="faraway", options={"file": "far.sqlite"}), tmp_path, CLOCK)
    assert broker.capabilities().name == "paper"
    assert (tmp_path / "far.sqlite").is_file()
    close_broker(broker)


@pytest.mark.parametrize(("name", "hint"), [("papr", "did you mean 'paper'?"), ("farawy", "did you mean 'faraway'?")])
def test_a_name_that_is_near_is_told(site: Path, tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(SigcError) as told:
        open_broker(BrokerSettings(type=name), tmp_path, CLOCK)
    (found,) = told.value.diagnostics
    assert (found.code, found.hint) == ("E402", hint)
    assert found.expected == "paper or alpaca or files or broken or faraway or narrow"


def test_a_broker_that_does_not_load_is_told(site: Path, tmp_path: Path) -> None:
    with pytest.raises(SigcError, match="far_broker:absent") as told:
        open_broker(BrokerSettings(type="broken"), tmp_path, CLOCK)
    assert told.value.diagnostics[0].code == "E402"


@pytest.mark.parametrize(
    ("execution", "refused"),
    [
        ({}, ""),
        ({"order_type": "market", "time_in_force": "day"}, ""),
        ({"order_type": "limit"}, "execution.order_type: the broker 'narrow' takes no orders of 'limit'"),
        ({"time_in_force": "ioc"}, "execution.time_in_force: the broker 'narrow' takes no orders of 'ioc'"),
    ],
)
def test_orders_that_a_broker_does_not_take_are_told_before_any_is_sent(
    site: Path, tmp_path: Path, execution: dict[str, Any], refused: str
) -> None:
    def opened() -> Broker:
        return open_broker(
            BrokerSettings(type="narrow"), tmp_path, CLOCK, execution=ExecutionSettings.model_validate(execution)
        )

    if not refused:
        close_broker(opened())
        return
    with pytest.raises(SigcError) as told:
        opened()
    (found,) = told.value.diagnostics
    assert (found.code, found.message) == ("E402", refused)
    assert found.expected == ("market" if "order_type" in execution else "day")
    assert (tmp_path / "narrow.closed").exists()


def test_brokers_need_no_pytest() -> None:
    script = (
        "import sys, sigc_pipelines.brokers.registry, sigc_pipelines.brokers.faulty, "
        "sigc_pipelines.brokers.contract_bench; print('pytest' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
