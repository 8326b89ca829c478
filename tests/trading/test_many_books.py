"""Three books of slices in one ledger, killed again and again: each slice leaves at most once, none beside another."""

from __future__ import annotations

import os
import random
import signal
import sys
import traceback
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from sigc.failpoint import arm
from sigc.store.ledger import orders, runs
from sigc.store.ledger.records import IntentState, Outcome
from sigc_pipelines.brokers.faulty import Faults
from sigc_pipelines.brokers.protocol import OrderRequest
from tests.trading.floor import Floor
from tests.trading.script import D1, KilledError, before_cut_off, free, scene, written

S = IntentState
SEED = int(os.environ.get("SIGC_SEED", "11"))
NAMES = ("one", "two", "three")
BAD = Faults(unknown=0.1, lost=0.1, throttled=0.1, refused=0.0, unreachable=0.1, lag_s=2.0)
TWAP = free(execution={"style": "twap", "slices": 6, "window_minutes": 60.0})


def process(floors: list[Floor], minute: float, dies_at: int) -> int:
    """A process that begins then and recovers; it dies at that point. Its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    passed, code = 0, 70

    def hook(_: str) -> None:
        nonlocal passed
        passed += 1
        if passed == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        arm(hook)
        opens = before_cut_off(floors[0], D1, 0.0) - timedelta(hours=6, minutes=25)
        at = opens + timedelta(minutes=minute)
        with scene(floors[0], D1, at=at, rates=BAD, seed=dies_at):
            pass
        code = 0
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


def begun(first: Floor, floor: Floor) -> None:
    """A process that decides, and dies as it sends the second slice of the first asset."""

    def hook(number: int, _: OrderRequest) -> None:
        if number == 3:
            raise KilledError

    opens = before_cut_off(first, D1, 0.0) - timedelta(hours=6, minutes=25)
    with scene(first, D1, at=opens, hook=hook, is_recovering=False) as desk, pytest.raises(KilledError):
        floor.run(desk.trading, floor.strategy.name)


@pytest.mark.parametrize("number", range(4))
def test_killed_again_and_again(tmp_path: Path, number: int) -> None:
    dice = random.Random(f"{SEED} {number}")
    floors = [written(tmp_path, {"A": 0.1, "B": -0.1}, config=TWAP, name=name) for name in NAMES]
    for floor in floors:  # each decides, and dies with slices left
        begun(floors[0], floor)
    minute, deaths, code = 0.0, 0, 1
    while code:
        minute += dice.uniform(0.5, 9.0)
        code = process(floors, minute, dice.randint(1, 90))
        assert code in (0, -signal.SIGKILL)
        deaths += code != 0
    with scene(floors[0], D1, at=before_cut_off(floors[0], D1, -60.0)) as desk:
        with desk.trading.ledger.reading() as connection:
            everything = orders.recent(connection, 1_000)
            known = runs.recent(connection, 1_000)
        assert all(r.outcome is not Outcome.OPEN for r in known)
        booked = {o.request.client_order_id: o.request.quantity for o in desk.booked()}
        sent = {i.client_order_id: i.quantity for i in everything if i.was_placed}
        assert booked == sent
        assert {i.state for i in everything if not i.was_placed} <= {S.EXPIRED}
        of: dict[tuple[str, str], list[float]] = {}
        for one in everything:
            if one.was_placed and one.sent_at is not None:
                of.setdefault((one.run, one.asset), []).append(one.sent_at.timestamp())
        gaps = [b - a for times in of.values() for a, b in pairwise(sorted(times))]
        # A process sets its clock to when it begins: what an earlier one sent later is behind it, and still apart.
        assert all(gap >= 2.5 * 60 for gap in gaps), gaps
    print(f"seed {SEED} {number}: {deaths} deaths, {len(sent)} of {len(everything)} sent, {minute:.0f} minutes")
