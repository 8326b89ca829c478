"""What a run does when its data are not what they should be: by policy, through the real stages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sigc.errors import SigcError
from sigc.store.ledger.records import Outcome
from tests.trading.floor import Floor, floor, settings

LAST, AFTER = "2018-01-11", "2018-01-12"  # the data end on LAST


@pytest.fixture
def traded(tmp_path: Path) -> Floor:
    """A book that was traded on good data."""
    here = floor(tmp_path)
    ended = here.day(LAST)
    assert ended.run.outcome is Outcome.DONE
    assert ended.orders
    return here


def stale(here: Floor, policy: str) -> Floor:
    return Floor(here.strategy, here.space, here.work_dir, settings(safety={"on_stale_data": policy}), here.calendar)


def test_halt_refuses_and_sends_nothing(traded: Floor) -> None:
    ended = stale(traded, "halt").day(AFTER)
    assert ended.run.outcome is Outcome.REFUSED
    assert [d.code for d in ended.problems] == ["E801"]
    assert ended.orders == ()


def test_hold_keeps_every_position(traded: Floor) -> None:
    ended = stale(traded, "hold").day(AFTER)
    assert (ended.run.outcome, ended.orders) == (Outcome.UNCHANGED, ())


def test_use_cache_trades_to_the_last_target(traded: Floor) -> None:
    ended = stale(traded, "use_cache").day(AFTER)
    assert ended.run.outcome is Outcome.UNCHANGED
    assert ended.target is not None
    assert ended.sight is not None
    assert ended.sight.as_of == LAST  # the newest row there is
    assert np.abs(ended.target).sum() == pytest.approx(2.0)
    assert any(f.check == "use_cache" for s in ended.stages for f in s.findings)


def test_use_cache_without_an_earlier_run_is_refused(tmp_path: Path) -> None:
    ended = stale(floor(tmp_path), "use_cache").day(AFTER)
    assert ended.run.outcome is Outcome.REFUSED
    assert "no earlier run" in ended.run.message


def test_alert_goes_on_with_the_newest_rows(traded: Floor) -> None:
    ended = stale(traded, "alert").day(AFTER)
    assert ended.run.outcome is Outcome.UNCHANGED
    assert any(f.check == "fresh" for s in ended.stages for f in s.findings)


def test_a_run_that_may_not_begin_is_in_the_audit(traded: Floor) -> None:
    with pytest.raises(SigcError, match="traded for the session"):
        traded.day(LAST, "again", who="ann", reason="by mistake")
    with traded.open(LAST) as trading, trading.ledger.reading() as connection:
        (record,) = connection.execute("SELECT record FROM audit WHERE event = 'run.refused'").fetchone()
    said = json.loads(record)
    assert said["who"] == "ann"
    assert said["payload"]["id"] == "again"
    assert said["payload"]["code"] == "E800"
    assert said["payload"]["reason"] == "by mistake"
