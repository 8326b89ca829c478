"""Kills while alerts are raised and delivered to a server that fails half of the time: none is lost, none out of order."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sigc.alerts.channels import open_channel
from sigc.config.alert_settings import WebhookSettings
from sigc.daemon.alerting.courier import OpenChannel, deliver
from sigc.store.audit.chain import AuditEvent
from sigc.store.ledger.ledger import Ledger
from sigc.store.outbox import deliveries
from tests.daemon.processes import environment
from tests.killing import Tally, child, kills
from tests.trading.campaign import Paced

SEED = int(os.environ.get("SIGC_SEED", "20241130"))
BEGAN = datetime(2024, 1, 2, 21, tzinfo=UTC)
_PATIENCE_S = 300.0  # of one process


@contextmanager
def bad_server(seed: int, file: Path) -> Iterator[str]:
    """Its URL."""
    command = [sys.executable, "-m", "tests.alerts.bad_server", str(seed), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def raise_and_send(folder: Path, url: str, real: float, number: int) -> int:
    """Raise alerts one by one, sending all the while, until so many are raised and told."""
    settings = WebhookSettings(type="webhook", url=url, timeout_seconds=0.1)
    channel = OpenChannel("ops", 1_000_000, open_channel("ops", settings, lambda text, _: text))
    until = time.monotonic() + _PATIENCE_S
    with Ledger.open(folder, Paced(BEGAN, real), durable=False) as ledger:
        while time.monotonic() < until:
            with ledger.reading() as connection:
                (raised,) = connection.execute("SELECT count(*) FROM alerts").fetchone()
                left = deliveries.load_of(connection, "ops").undelivered
            if raised < number:
                with ledger.transaction("control") as tx:
                    said = {"name": f"c{raised}", "when": "nav < 1", "severity": "warning"}
                    tx.audit(AuditEvent("condition.met", said))
            elif not left:
                return 0
            with ledger.transaction("control") as tx:
                deliveries.route(tx, lambda _: ("ops",))
            if not deliver(ledger, channel, "sigc"):
                ledger.clock.sleep(0.5)
    return 1


def campaign(folder: Path, number: int, *, alerts: int) -> Tally:
    """Raise and send so many alerts in processes of which so many are killed, and look at what came of it."""
    folder.mkdir(parents=True, exist_ok=True)
    taken, real = folder / "taken.jsonl", time.time()
    taken.touch()
    tally, dice = Tally(), random.Random(SEED)
    with bad_server(SEED, taken) as url:
        for done, kill in enumerate(kills(dice, number, most_points=60, most_s=0.3)):
            aim = alerts * (done + 1) // number  # alerts are raised to the end
            ended = child(lambda aim=aim: raise_and_send(folder, url, real, aim), kill, tally)  # type: ignore[misc]
            assert ended in (0, -signal.SIGKILL), f"seed {SEED}: {kill} ended with {ended}"
            tally.kills += ended == -signal.SIGKILL
        assert child(lambda: raise_and_send(folder, url, real, alerts), None, tally) == 0, f"seed {SEED}"
    lines = [json.loads(line) for line in taken.read_text().splitlines()]
    with Ledger.open(folder, Paced(BEGAN, real), durable=False) as ledger, ledger.reading() as connection:
        titles = [title for (title,) in connection.execute("SELECT title FROM alerts ORDER BY id")]
        states = {state for (state,) in connection.execute("SELECT state FROM deliveries")}
        (events,) = connection.execute("SELECT count(*) FROM audit WHERE event = 'condition.met'").fetchone()
    assert titles == [f"daemon: c{n}" for n in range(alerts)]
    assert (events, states) == (alerts, {"sent"})
    # In order, none lost; what came twice came at once, under its key: its answer was not heard, or not written down.
    assert list(dict.fromkeys(line["title"] for line in lines)) == titles
    assert len({line["key"] for line in lines}) == len({(line["key"], line["title"]) for line in lines}) == alerts
    assert [line["title"] for line in lines] == sorted((line["title"] for line in lines), key=titles.index)
    twice, unheard = len(lines) - alerts, sum(not line["is_heard"] for line in lines)
    print(f"seed {SEED}: {alerts} alerts, {tally.kills} kills at {len(tally.points)} points and at any time")
    print(f"{twice} came again under their keys, {unheard} of them as the server was slow")
    assert twice - unheard <= tally.kills
    return tally


def test_forty_kills(tmp_path: Path) -> None:
    assert campaign(tmp_path, 48, alerts=100).kills >= 40


@pytest.mark.soak
def test_four_hundred_kills(tmp_path: Path) -> None:
    assert campaign(tmp_path, 500, alerts=2_000).kills >= 400
