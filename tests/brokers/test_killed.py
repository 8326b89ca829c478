"""The paper broker under SIGKILL: at each statement of SQL, at random instants, and with several processes at once."""

from __future__ import annotations

import os
import random
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sigc.clock import HandClock
from sigc_pipelines.brokers.paper import PaperBroker
from tests.brokers.story import EPOCH, SETTINGS, START, check_laws, read, tell
from tests.daemon.processes import Script

# Dies by its own hand before or after the n-th statement of SQL, in a child for each n, until a child gets through.
STATEMENTS = """
import itertools, os, signal, sys
from pathlib import Path
from tests.brokers.story import tell

def die_at(number):
    passed = itertools.count(1)
    def watch(frame, event, called):
        if event in ("c_call", "c_return") and getattr(called, "__name__", "") in ("execute", "executemany"):
            if next(passed) == number:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(watch)

for number in itertools.count(1, int(sys.argv[2])):
    book = Path(sys.argv[1]) / str(number) / "paper.sqlite"
    child = os.fork()
    if not child:
        die_at(number)
        tell(book, sessions=3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(number, "killed" if os.WIFSIGNALED(status) else "told")
    if not os.WIFSIGNALED(status):
        break
"""

TOLD = """
import sys
from pathlib import Path
from tests.brokers.story import tell
print("begin")
print(tell(Path(sys.argv[1]), sessions=int(sys.argv[2]), heard=lambda: print("heard")))
"""

CROWD = """
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from sigc.clock import HandClock
from sigc.store.ledger.records import Side
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import OrderRequest
from tests.brokers.story import SETTINGS, START
broker = PaperBroker(Path(sys.argv[1]), SETTINGS, HandClock(START))
print("ready")
sys.stdin.readline()
ids = range(60) if sys.argv[2] == "up" else range(59, -1, -1)
broker.deposit("crowd", Decimal(100_000))
broker.mark("2024-01-01", datetime(2024, 1, 1, 21, tzinfo=UTC), {"A": Decimal(10)}, {})
for id in ids:
    broker.submit(OrderRequest(f"crowd-{id}", "A", Side.BUY, Decimal(id + 1)))
broker.mark("2024-01-02", datetime(2024, 1, 2, 21, tzinfo=UTC), {"A": Decimal(10)}, {})
broker.close()
print("done")
"""

# The disk is full (no file may grow) at some moment: what is said of each order then, and what is there afterwards.
FULL = """
import resource, signal, sys
from decimal import Decimal
from pathlib import Path
from sigc.clock import HandClock
from sigc.store.ledger.records import Side
from sigc_pipelines.brokers.paper import PaperBroker
from sigc_pipelines.brokers.protocol import NotSentError, OrderRequest, OutcomeUnknownError
from tests.brokers.story import SETTINGS, START
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
book = Path(sys.argv[1])
broker = PaperBroker(book, SETTINGS, HandClock(START))
broker.deposit("disk", Decimal(100_000))
broker.mark("2024-01-01", START, {"A": Decimal(10)}, {})
room = book.with_name(book.name + "-wal").stat().st_size + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
said = {}
for number in range(30):
    order = OrderRequest(f"disk-{number}", "A", Side.BUY, Decimal(1))
    try:
        broker.submit(order)
        said[order] = True
    except NotSentError:
        said[order] = False
    except OutcomeUnknownError:
        said[order] = None
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for order, is_taken in said.items():
    assert is_taken is None or (broker.order(order.client_order_id) is not None) == is_taken, order
    broker.submit(order)
print(sum(1 for taken in said.values() if taken), sum(1 for taken in said.values() if not taken))
assert len(broker.orders(START)) == 30
assert broker.account().buying_power == 4 * 100_000 - 30 * 10
broker.close()
"""


@pytest.mark.parametrize("room", [1, 5_000, 40_000, 100_001])
def test_a_full_disk_takes_no_order_by_halves(tmp_path: Path, room: int) -> None:
    with Script(FULL, str(tmp_path / "paper.sqlite"), str(room)) as script:
        line = script.line()
        assert line, script.end()
        taken, refused = map(int, line.split())
        assert (taken > 0) == (room > 12_000)
        assert refused > 0
        assert script.end()[0] == 0


def test_killed_at_some_statements(tmp_path: Path) -> None:
    _die_at_statements(tmp_path, every=5)


@pytest.mark.soak
def test_killed_at_every_statement(tmp_path: Path) -> None:
    _die_at_statements(tmp_path, every=1)


def _die_at_statements(directory: Path, every: int) -> None:
    undisturbed = tell(directory / "undisturbed" / "paper.sqlite", sessions=3)
    killed = 0
    with Script(STATEMENTS, str(directory), str(every)) as script:
        while (line := script.line()).endswith("killed"):
            _recovers(directory / line.split()[0] / "paper.sqlite", 3, undisturbed)
            killed += 1
        assert line.endswith("told"), script.end()
    assert killed > 200 / every


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random(tmp_path: Path, seed: int) -> None:
    _die_at_random(tmp_path, seed, kills=2, sessions=6)


@pytest.mark.soak
def test_killed_at_random_at_length(tmp_path: Path) -> None:
    _die_at_random(tmp_path, seed=99, kills=200, sessions=60)


def _die_at_random(directory: Path, seed: int, kills: int, sessions: int) -> None:
    undisturbed = tell(directory / "undisturbed.sqlite", sessions)
    draw = random.Random(seed)  # chance, no secret
    book = directory / "paper.sqlite"
    for _ in range(kills):
        with Script(TOLD, str(book), str(sessions)) as script:
            for _ in range(draw.randint(1, 5 * sessions)):
                script.line()
            os.kill(script.process.pid, signal.SIGKILL)
        if book.exists():
            _lawful(book)
    _recovers(book, sessions, undisturbed)


def _lawful(book: Path) -> str:
    broker = PaperBroker(book, SETTINGS, HandClock(START))
    check_laws(broker)
    found = read(broker)
    broker.close()
    return found


def _recovers(book: Path, sessions: int, undisturbed: str) -> None:
    """What is left obeys all laws, and the story told again ends as if nothing had been."""
    _lawful(book)
    assert tell(book, sessions) == undisturbed
    assert _lawful(book) == undisturbed


def test_two_processes_on_one_book(tmp_path: Path) -> None:
    book = tmp_path / "paper.sqlite"
    with Script(CROWD, str(book), "up") as one, Script(CROWD, str(book), "down") as other:
        for script in (one, other):
            assert script.line() == "ready"
        for script in (one, other):
            script.say("go")
        for script in (one, other):
            assert script.line() == "done", script.end()
    broker = PaperBroker(book, SETTINGS, HandClock(datetime(2024, 1, 2, 22, tzinfo=UTC)))
    orders = broker.orders(EPOCH)
    assert sorted(order.request.client_order_id for order in orders) == sorted(f"crowd-{id}" for id in range(60))
    assert broker.positions()["A"] == sum(order.filled for order in orders)
    broker.close()
