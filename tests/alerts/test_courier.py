"""Deliveries to a real local server that is down, slow, answers 429 and 500, by a hand-turned clock; a death on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sigc.alerts.channels import open_channel
from sigc.clock import HandClock
from sigc.config.alert_settings import WebhookSettings
from sigc.daemon.alerting.courier import OpenChannel, deliver
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger.ledger import Ledger
from sigc.store.outbox import alert_query as looking
from sigc.store.outbox import deliveries
from tests.alerts.servers import Hook, hook
from tests.daemon.processes import environment

START = datetime(2024, 1, 2, 21, tzinfo=UTC)


class Desk:
    """A ledger with alerts, a clock that is turned by hand, and one channel to a server."""

    def __init__(self, folder: Path, url: str, per_minute: int = 10) -> None:
        self.clock = HandClock(START)
        self.ledger = Ledger.open(folder, self.clock, durable=False)
        self.channel = channel(url, per_minute)

    def raise_(self, number: int, severity: str = "warning") -> None:
        with self.ledger.transaction("control") as tx:
            said = {"name": f"c{number}", "when": "nav < 1", "severity": severity}
            tx.audit(AuditEvent("condition.met", said))

    def route(self) -> None:
        with self.ledger.transaction("control") as tx:
            while deliveries.route(tx, lambda _: ("ops",)):
                pass

    def pass_time(self, seconds: float, *, only_critical: bool = False) -> int:
        """Turn the clock second by second and do what the daemon does; how many alerts were told of."""
        told = 0
        for _ in range(int(seconds)):
            self.clock.sleep(1.0)
            self.route()
            while now := deliver(self.ledger, self.channel, "sigc", only_critical=only_critical):
                told += now
        return told

    def load(self) -> deliveries.ChannelLoad:
        with self.ledger.reading() as connection:
            return deliveries.load_of(connection, "ops")


def channel(url: str, per_minute: int = 10) -> OpenChannel:
    settings = WebhookSettings(type="webhook", url=url, timeout_seconds=0.3)
    return OpenChannel("ops", per_minute, open_channel("ops", settings, lambda text, _: text))


@pytest.fixture
def told() -> Iterator[Hook]:
    with hook() as server:
        yield server


def titles(told: Hook) -> list[str]:
    return [said["title"].removeprefix("daemon: ") for said in told.taken]


def keys(bodies: list[Any]) -> list[str]:
    return [said["key"] for said in bodies]


def test_an_alert_is_sent_once_within_a_second(tmp_path: Path, told: Hook) -> None:
    desk = Desk(tmp_path, told.url)
    desk.raise_(1)
    desk.raise_(1)  # the same, again
    assert desk.pass_time(1) == 1
    assert desk.pass_time(100) == 0
    assert titles(told) == ["c1"]
    with desk.ledger.transaction("control") as tx:
        looking.acknowledge(tx, 1, "ann", "seen")
        looking.resolve(tx, 1, "ann", "restarted")
    assert desk.pass_time(1) == 1
    assert [(said["kind"], said["about"]) for said in told.taken] == [
        ("raise", f"{desk.ledger.id}-alert-1"),
        ("resolve", f"{desk.ledger.id}-alert-1"),
    ]
    assert "restarted" in told.taken[1]["text"]
    desk.raise_(1)  # it came again: an alert of its own
    assert desk.pass_time(1) == 1
    assert told.taken[2]["about"] == f"{desk.ledger.id}-alert-2"


@pytest.mark.parametrize("answers", [[500] * 6, [(429, {"Retry-After": "20"})] * 4, [503, 500, 429, 502, 401, 404]])
def test_a_channel_that_fails_gets_each_once_in_order_when_it_is_back(
    tmp_path: Path, told: Hook, answers: list[Any]
) -> None:
    desk = Desk(tmp_path, told.url)
    told.answers.extend(answers)
    for number in range(5):
        desk.raise_(number)
    while told.answers:
        assert desk.pass_time(1) in (0, 5)
    desk.pass_time(60)
    assert titles(told) == [f"c{number}" for number in range(5)]
    assert len(set(keys(told.bodies()))) == 5  # every try of one has the same key
    assert desk.load().undelivered == 0


def test_a_channel_that_is_down_gets_all_within_a_minute_of_its_return(tmp_path: Path) -> None:
    with hook() as first:
        port = int(first.url.rpartition(":")[2])
    desk = Desk(tmp_path, f"http://127.0.0.1:{port}")
    for number in range(5):
        desk.raise_(number)
    desk.pass_time(600)
    load = desk.load()
    assert (load.undelivered, load.oldest) == (5, START + timedelta(seconds=1))
    assert "refused" in load.error
    with hook(port) as back:
        desk.pass_time(60)
        assert titles(back) == [f"c{number}" for number in range(5)]


def test_a_message_that_no_channel_takes_does_not_block_the_others(tmp_path: Path, told: Hook) -> None:
    desk = Desk(tmp_path, told.url)
    told.answers.extend([400] * 5)
    desk.raise_(1)
    desk.raise_(2)
    desk.pass_time(120)
    assert titles(told) == ["c2"]
    with desk.ledger.reading() as connection:
        states = [state for (state,) in connection.execute("SELECT state FROM deliveries ORDER BY id")]
    assert states == ["given_up", "sent"]


def test_a_thousand_in_a_minute_become_the_configured_few(tmp_path: Path, told: Hook) -> None:
    """At most ten messages in any sixty seconds, and every alert told of."""
    desk = Desk(tmp_path, told.url)
    times: list[tuple[float, int]] = []
    for second in range(60):
        for number in range(17):
            desk.raise_(17 * second + number)
        before = len(told.taken)
        desk.pass_time(1)
        times += [(second, said["alerts"]) for said in told.taken[before:]]
    assert len(told.taken) == 10
    desk.pass_time(60)
    assert sum(said["alerts"] for said in told.taken) == 60 * 17
    assert len(told.taken) <= 20
    assert any("more alerts: " in said["title"] for said in told.taken)
    assert desk.load().undelivered == 0


def test_the_limit_holds_over_a_restart(tmp_path: Path, told: Hook) -> None:
    desk = Desk(tmp_path, told.url, per_minute=3)
    for number in range(5):
        desk.raise_(number)
    desk.pass_time(1)
    assert len(told.taken) == 3
    desk.ledger.close()
    again = Desk(tmp_path, told.url, per_minute=3)
    again.clock.turn(desk.clock.now())
    again.raise_(9)
    again.pass_time(50)
    assert len(told.taken) == 3
    again.pass_time(20)
    assert len(told.taken) == 4


def test_quiet_hours_hide_no_critical_one(tmp_path: Path, told: Hook) -> None:
    desk = Desk(tmp_path, told.url)
    desk.raise_(1)
    desk.raise_(2, "critical")
    desk.raise_(3)
    desk.pass_time(5, only_critical=True)
    assert titles(told) == ["c2"]
    desk.pass_time(5)
    assert titles(told) == ["c2", "c1", "c3"]


_KILLED = """
import sys
from pathlib import Path
from tests.alerts.test_courier import Desk

desk = Desk(Path(sys.argv[1]), sys.argv[2])
for number in range(4):
    desk.raise_(number)
desk.pass_time(5)
"""


@pytest.mark.parametrize("die_at", [1, 2, 4])
@pytest.mark.parametrize("is_answered", [False, True])
def test_a_death_during_a_delivery_loses_none(tmp_path: Path, told: Hook, die_at: int, is_answered: bool) -> None:
    """kill -9 when the server has the message: it is sent again under its key, and the order stays."""
    started: list[subprocess.Popen[bytes]] = []

    def kill(handler: Any) -> None:
        if is_answered:
            told.taken.append(json.loads(told.got[-1][2]))
        os.kill(started[0].pid, signal.SIGKILL)

    told.answers.extend([200] * (die_at - 1))
    told.answers.append(kill)
    started.append(subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path), told.url], env=environment()))
    assert started[0].wait(60) == -signal.SIGKILL
    with Ledger.open(tmp_path, HandClock(START), durable=False) as ledger, ledger.reading() as connection:
        left = deliveries.due(connection, "ops", 10)
        assert [one.state for one in left] == ["sending"] + ["pending"] * (4 - die_at)
    desk = Desk(tmp_path, told.url)
    desk.clock.turn(START + timedelta(minutes=5))
    desk.pass_time(5)
    first_seen = list(dict.fromkeys(titles(told)))
    assert first_seen == ["c0", "c1", "c2", "c3"]
    twice = [key for key in keys(told.taken) if keys(told.taken).count(key) > 1]
    assert len(twice) == (2 if is_answered else 0)
    assert len(set(keys(told.taken))) == 4


def test_what_is_routed_nowhere_is_sent_nowhere_later(tmp_path: Path, told: Hook) -> None:
    """An alert of a time without channels is in the list, and no news when a channel comes."""
    desk = Desk(tmp_path, told.url)
    desk.raise_(1)
    with desk.ledger.transaction("control") as tx:
        deliveries.route(tx, lambda _: ())
    desk.raise_(2)
    desk.pass_time(2)
    assert titles(told) == ["c2"]
