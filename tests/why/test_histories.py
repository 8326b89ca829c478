"""Laws over random histories: `why` never raises, and says that it ran iff the ledger has a trade of that session."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import pytest

from sigc.errors import SigcError
from sigc.rpc.schema import decode, encode
from sigc.store.ledger import control
from sigc.store.ledger.connection import FILE, connect_reader
from sigc.store.ledger.records import RunKind
from sigc.why.assets import AssetAnswer
from sigc.why.cases import LINKS
from sigc.why.chain import Explanation
from sigc.why.text import asset_lines, lines
from sigc_pipelines.brokers.faulty import Faults
from tests.trading.script import DAYS, KilledError, Scene, free, scene, written
from tests.why.scenes import answer, asset_answer, plan

_SEED = int(os.environ.get("SIGC_SEED", "0"))
ASSETS = ("A", "B", "C", "Z")


def decide(desk: Scene, random_: random.Random) -> None:
    name = random_.choice((control.HALTED, control.PAUSED))
    with desk.trading.ledger.transaction("control") as tx:
        if random_.random() < 0.5:
            control.put(
                tx, name, random_.choice(("", "scripted")), "by hand", "ann", "enough " * random_.choice((1, 200))
            )
        else:
            for scope in ("", "scripted"):
                control.drop(tx, name, scope, "ann", "again")


def one_day(desk: Scene, day: int, random_: random.Random) -> None:
    """Some runs and decisions; the process may be killed at an order, or the broker be silent."""
    dies_at = random_.choice((0, 0, 1, 2))

    def hook(number: int, _request: object) -> None:
        if number == dies_at:
            raise KilledError

    desk.broker.hook = hook
    desk.broker.is_silent = random_.random() < 0.15
    for number in range(random_.randint(1, 3)):
        if random_.random() < 0.3:
            decide(desk, random_)
        how = {"kind": RunKind.DRY} if random_.random() < 0.2 else {"is_scheduled": random_.random() < 0.5}
        forced = {"is_forced": True, "reason": "again"} if random_.random() < 0.3 else {}
        with suppress(SigcError):
            desk.run(f"r{day}-{number}", **how, **forced)


@pytest.mark.parametrize("seed", range(4))
def test_it_ran_iff_the_ledger_has_a_trade_of_that_session(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(_SEED + seed)
    print(f"SIGC_SEED={_SEED + seed}")
    weights = {n: [random_.choice((0.0, 0.05, 0.1, float("nan"))) for _ in range(8)] for n in "ABC"}
    limits = {"max_position": random_.choice((0.08, 0.5)), "max_orders_per_run": random_.choice((2, 50))}
    floor = written(tmp_path, weights, config=free(safety=limits))
    rates = Faults(unknown=0.1, lost=0.1, late=0.1, throttled=0.05, refused=0.05, unreachable=0.05)
    for number, day in enumerate(DAYS[:6]):
        with suppress(KilledError, SigcError), scene(floor, day, rates=rates, seed=seed) as desk:
            one_day(desk, number, random_)
        for session in DAYS[1 : number + 3]:
            looked_at(floor.work_dir, session, number)


def looked_at(work_dir: Path, session: str, number: int) -> None:
    """The law, and that an answer goes over the wire whole."""
    from datetime import UTC, datetime

    about = plan(session, datetime.fromisoformat(f"{DAYS[number]}T23:00:00+00:00").astimezone(UTC))
    found = answer(work_dir, about)
    connection = connect_reader(work_dir / FILE)
    try:
        (count,) = connection.execute(
            "SELECT count(*) FROM runs WHERE strategy = 'scripted' AND session = ? AND kind = 'trade'", (session,)
        ).fetchone()
    finally:
        connection.close()
    assert found.ran == (count > 0)
    assert found.verdict.startswith("ran: " if found.ran else ("did not run", "has not run yet"))
    assert tuple(link.name for link in found.links) == LINKS
    assert lines(found)[-1] == f"Look further: {found.look}"
    assert found.look.startswith("sigc ")
    assert decode(Explanation, encode(found)) == found
    for asset in ASSETS:
        told = asset_answer(work_dir, about, asset)
        assert asset_lines(told)[-1] == f"Look further: {told.look}"
        assert decode(AssetAnswer, encode(told)) == told
